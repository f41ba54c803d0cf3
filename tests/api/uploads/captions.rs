//! Captions of presentations that nodes made: in the player and in the call.

use b3scale_middleware::bbb::{CallKind, MeetingId, ScopedId};
use b3scale_support::{PublishedFolder, Recorded, eventually};
use serde_json::{Value, json};

use super::Rig;

/// The text tracks of a recording, as its frontend gets them.
async fn tracks(rig: &Rig, recorded: &Recorded) -> Vec<Value> {
    let answer = rig.cluster.call(CallKind::GetRecordingTextTracks, &format!("recordID={}", recorded.id)).await;
    let document: Value = serde_json::from_str(&answer.text).unwrap_or_default();
    document["response"]["tracks"].as_array().cloned().unwrap_or_default()
}

#[tokio::test]
async fn captions_of_an_imported_presentation_are_text_tracks() {
    let rig = Rig::new().await;
    let recorded = Recorded::new(1, ScopedId::new("school", &MeetingId::new("lesson")).as_ref());
    let published = PublishedFolder::new();
    let folder = published.publish(&recorded, "presentation");
    // Without `kind`, as nodes write live captions. A file is missing, another one is no text.
    let list = json!([
        {"locale": "en", "localeName": "English"}, {"locale": "pt_BR", "localeName": "Portugu\u{ea}s"},
        {"locale": "fr", "localeName": "Fran\u{e7}ais"}, {"locale": "it"}, {"locale": "../x"},
    ]);
    std::fs::write(folder.join("captions.json"), list.to_string()).unwrap();
    std::fs::write(folder.join("caption_en.vtt"), "WEBVTT\n\n00:01.000 --> 00:02.000\nHello").unwrap();
    std::fs::write(folder.join("caption_pt_BR.vtt"), "WEBVTT").unwrap();
    std::fs::write(folder.join("caption_it.vtt"), b"WEBVTT\xff").unwrap();
    let archive = published.archive(&[&recorded], &["presentation"]);
    std::fs::write(rig.folders.path("spool").join(format!("{}.tar", recorded.id)), archive).unwrap();

    eventually("its captions are listed", async || tracks(&rig, &recorded).await.len() == 2).await;
    let said = |track: &Value| ["kind", "lang", "label", "source"].map(|name| track[name].clone());
    let tracks = tracks(&rig, &recorded).await;
    assert_eq!(said(&tracks[0]), ["captions", "en", "English", "live"]);
    assert_eq!(said(&tracks[1]), ["captions", "pt-BR", "Portugu\u{ea}s", "live"]);
    let href = tracks[0]["href"].as_str().expect("it has a link");
    let path = &href[href.find("/textTrack").expect("it is a link")..];
    assert!(rig.cluster.get(path, &[]).await.text.ends_with("Hello"));
}
