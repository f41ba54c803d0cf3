//! `text-tracks`: answers getRecordingTextTracks and putRecordingTextTrack, both in JSON.
//!
//! ```toml
//! [stages.text-tracks]
//! ```
//!
//! A file comes as the part `file` of a `multipart/form-data` body, as WebVTT or SubRip, and is kept as WebVTT. `kind` is `captions`
//! or `subtitles`, `lang` a language such as `en-US` or `en_US`. Without a `label`, the track is called by its language in English.
//!
//! ```
//! use b3scale_middleware::bbb::CallKind;
//! use b3scale_middleware::{Fault, memory::Memory, text_tracks::TextTracks};
//!
//! # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
//! let cluster = Memory::new().frontend("school", "secret").recording("school", "r-1", |_| {});
//! let call = cluster.verified(CallKind::GetRecordingTextTracks, "recordID=r-1");
//! assert_eq!(cluster.ask(TextTracks {}, call).await, Err(Fault::NoTextTracks("r-1".into())));
//! # });
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::future::Either;
use serde::Deserialize;
use serde_json::{Value, json};
use tower::Service;

use crate::bbb::{self, CallKind, LanguageTag};
use crate::call::{Body, Call, Reply};
use crate::cluster::{FrontendId, NewTrack, RecordId, TextTrack, TrackKind};
use crate::contract::{Contract, Fact};
use crate::fault::Fault;
use crate::ports::{Ports, Recordings};
use crate::stage::{Endpoint, SetupError, StageFuture, refuse};
use crate::work::Workers;

/// The longest name of a track, in characters.
const LONGEST_LABEL: usize = 255;

/// Settings of `text-tracks`: none.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TextTracks {}

impl Endpoint for TextTracks {
    const KIND: &'static str = "text-tracks";
    type Service = TextTracksService;

    fn contract(&self, _: CallKind) -> Contract {
        let calls = &[CallKind::GetRecordingTextTracks, CallKind::PutRecordingTextTrack];
        Contract::needs(&[Fact::Frontend, Fact::Checksum]).only(calls)
    }

    fn service(self, ports: &Ports) -> Result<TextTracksService, SetupError> {
        let Ports { recordings, workers, .. } = ports.clone();
        Ok(TextTracksService { recordings, workers })
    }
}

/// See the module's documentation.
#[derive(Clone)]
pub struct TextTracksService {
    recordings: Arc<dyn Recordings>,
    workers: Arc<dyn Workers>,
}

impl Service<Call> for TextTracksService {
    type Response = Reply;
    type Error = Fault;
    type Future = StageFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: Call) -> StageFuture {
        let frontend = match call.facts.frontend() {
            Ok(frontend) => frontend.id,
            Err(fault) => return refuse(fault),
        };
        let Self { recordings, workers } = self.clone();
        if call.kind == CallKind::PutRecordingTextTrack {
            return match Upload::read(&call) {
                Ok(upload) => {
                    Either::Right(Box::pin(async move { upload.put(&*recordings, &*workers, frontend).await }))
                }
                Err(fault) => refuse(fault),
            };
        }
        match call.params.first("recordID").filter(|id| !id.is_empty()) {
            Some(id) => {
                let id = id.to_owned();
                Either::Right(Box::pin(async move { tracks(&*recordings, frontend, &id).await }))
            }
            None => refuse(Fault::no_record_id()),
        }
    }
}

/// The tracks of a recording.
async fn tracks(recordings: &dyn Recordings, frontend: FrontendId, id: &str) -> Result<Reply, Fault> {
    let shown = || bbb::cut(id).into();
    let record = RecordId::new(id).ok_or_else(|| Fault::RecordingNotFound(shown()))?;
    let tracks = recordings.tracks(frontend, &record).await?.ok_or_else(|| Fault::RecordingNotFound(shown()))?;
    if tracks.is_empty() {
        return Err(Fault::NoTextTracks(shown()));
    }
    let tracks: Vec<Value> = tracks.iter().map(track).collect();
    Ok(Reply::json(&json!({ "returncode": "SUCCESS", "tracks": tracks })))
}

fn track(track: &TextTrack) -> Value {
    let TextTrack { kind, lang, label, source, href } = track;
    json!({ "href": href, "kind": kind.name(), "label": label, "lang": lang, "source": source })
}

/// A track that a frontend uploads.
struct Upload {
    record: RecordId,
    kind: TrackKind,
    lang: LanguageTag,
    label: Option<String>,
    file: Bytes,
}

impl Upload {
    fn read(call: &Call) -> Result<Self, Fault> {
        let wrong = |key, message: String| Fault::InvalidParam { key, message: message.into() };
        let given = |name| {
            let value = call.params.first(name).filter(|value| !value.is_empty());
            value.ok_or_else(|| wrong("paramError", format!("Missing param {name}.")))
        };
        let (id, kind, lang) = (given("recordID")?, given("kind")?, given("lang")?);
        let record = RecordId::new(id).ok_or_else(|| Fault::RecordingNotFound(bbb::cut(id).into()))?;
        let other = || format!("Invalid kind parameter, expected='subtitles|captions' actual={}", bbb::cut(kind));
        let kind = TrackKind::from_name(kind).ok_or_else(|| wrong("invalidKind", other()))?;
        let malformed = || format!("Malformed lang param, received={}", bbb::cut(lang));
        let lang = LanguageTag::new(lang).ok_or_else(|| wrong("invalidLang", malformed()))?;
        let label = given("label").ok().map(str::to_owned);
        if label.as_ref().is_some_and(|label| label.chars().count() > LONGEST_LABEL) {
            let message = format!("The param label is longer than {LONGEST_LABEL} characters.");
            return Err(wrong("paramError", message));
        }
        let Body::Read(content) = &call.body else { return Err(nothing()) };
        let file = content.file("file").filter(|file| !file.is_empty()).ok_or_else(nothing)?.clone();
        Ok(Self { record, kind, lang, label, file })
    }

    async fn put(
        self,
        recordings: &dyn Recordings,
        workers: &dyn Workers,
        frontend: FrontendId,
    ) -> Result<Reply, Fault> {
        let Self { record, kind, lang, label, file } = self;
        let vtt = workers.work(file.len(), move || bbb::webvtt(&file)).await?.map_err(|error| Fault::InvalidParam {
            key: "upload_text_track_failed",
            message: format!("Text track upload failed. The file cannot be used: {error}.").into(),
        })?;
        let lang_name = || lang.name().map_or_else(|| lang.to_string(), str::to_owned);
        let track = NewTrack { kind, label: label.unwrap_or_else(lang_name), lang: lang.to_string(), vtt };
        if !recordings.put_track(frontend, &record, track).await? {
            return Err(Fault::RecordingNotFound(record.as_str().into()));
        }
        Ok(Reply::json(&json!({
            "returncode": "SUCCESS",
            "recordId": record.as_str(),
            "messageKey": "upload_text_track_success",
            "message": "Text track uploaded successfully",
        })))
    }
}

fn nothing() -> Fault {
    Fault::InvalidParam { key: "empty_uploaded_text_track", message: "Empty uploaded text track.".into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bbb::Media;
    use crate::checksum_verify::ChecksumVerify;
    use crate::memory::{Memory, Waiting};

    const VTT: &str = "WEBVTT\n\n00:01.000 --> 00:02.000\nHello\n";

    fn school() -> Memory {
        let cluster = Memory::new().frontend("school", "secret").frontend("other", "secret");
        cluster.recording("school", "r-1", |_| {}).recording("other", "r-2", |_| {})
    }

    fn answer(reply: Result<Reply, Fault>, kind: CallKind) -> Value {
        match reply {
            Ok(reply) => serde_json::from_slice::<Value>(&reply.body).unwrap()["response"].clone(),
            Err(fault) => json!([fault.message_key(kind), fault.message(kind)]),
        }
    }

    async fn get(cluster: &Memory, query: &str) -> Value {
        let call = cluster.verified(CallKind::GetRecordingTextTracks, query);
        answer(cluster.ask(TextTracks {}, call).await, CallKind::GetRecordingTextTracks)
    }

    /// Puts a file as it comes in: behind its checksum.
    async fn put(cluster: &Memory, query: &str, body: Waiting) -> Value {
        let kind = CallKind::PutRecordingTextTrack;
        let signed = cluster.verified(kind, query);
        let mut call = cluster.resolved(kind, signed.params.raw());
        call.body = body.waiting();
        let (call, _) = cluster.through(ChecksumVerify::default(), call).await;
        answer(cluster.ask(TextTracks {}, call.unwrap()).await, kind)
    }

    fn upload(file: &str) -> Waiting {
        Waiting::new(Media::Form, "").file("other", b"x").file("file", file.as_bytes())
    }

    #[tokio::test]
    async fn a_file_becomes_a_track() {
        let cluster = school();
        let done = put(&cluster, "recordID=r-1&kind=captions&lang=en_us", upload(VTT)).await;
        let expected = json!({"returncode": "SUCCESS", "recordId": "r-1", "messageKey": "upload_text_track_success",
            "message": "Text track uploaded successfully"});
        assert_eq!(done, expected);
        let subrip = upload("1\n00:00:01,000 --> 00:00:02,000\nHallo\n");
        put(&cluster, "recordID=r-1&kind=subtitles&lang=gsw&label=Deutsch", subrip).await;
        let again = Waiting::new(Media::Form, "label=Better&recordID=r-2").file("file", VTT.as_bytes());
        put(&cluster, "recordID=r-1&kind=captions&lang=en-US", again).await;
        let tracks = get(&cluster, "recordID=r-1").await;
        let shown = |kind: &str, lang: &str, label: &str| {
            let href = format!("https://play.example/r-1/{kind}_{lang}.vtt");
            json!({"href": href, "kind": kind, "label": label, "lang": lang, "source": "upload"})
        };
        let both = [shown("captions", "en-US", "Better"), shown("subtitles", "gsw", "Deutsch")];
        assert_eq!(tracks, json!({"returncode": "SUCCESS", "tracks": both}));
        assert_eq!(cluster.track("r-1", TrackKind::Subtitles, "gsw").unwrap().vtt.lines().last(), Some("Hallo"));
    }

    #[tokio::test]
    async fn a_language_names_a_track_without_a_label() {
        let cluster = school();
        for (lang, label) in [("pt-BR", "Portuguese"), ("gsw", "gsw")] {
            put(&cluster, &format!("recordID=r-1&kind=captions&lang={lang}&label="), upload(VTT)).await;
            assert_eq!(cluster.track("r-1", TrackKind::Captions, lang).unwrap().label, label);
        }
    }

    #[tokio::test]
    async fn every_failure_is_named_as_bbb_names_it() {
        let cluster = school();
        let fine = "recordID=r-1&kind=captions&lang=en";
        let long = format!("{fine}&label={}", "x".repeat(256));
        let kind = "Invalid kind parameter, expected='subtitles|captions' actual=chapters";
        let bare = "Text track upload failed. The file cannot be used: it has no cues.";
        for (query, file, key, message) in [
            ("kind=captions&lang=en", VTT, "paramError", "Missing param recordID."),
            ("recordID=r-1&lang=en", VTT, "paramError", "Missing param kind."),
            ("recordID=r-1&kind=captions&lang=", VTT, "paramError", "Missing param lang."),
            ("recordID=r-1&kind=chapters&lang=en", VTT, "invalidKind", kind),
            ("recordID=r-1&kind=captions&lang=..%2Fx", VTT, "invalidLang", "Malformed lang param, received=../x"),
            (&long, VTT, "paramError", "The param label is longer than 255 characters."),
            (fine, "", "empty_uploaded_text_track", "Empty uploaded text track."),
            (fine, "WEBVTT\n", "upload_text_track_failed", bare),
            ("recordID=r-2&kind=captions&lang=en", VTT, "noRecordings", "No recording was found for r-2"),
            ("recordID=%25&kind=captions&lang=en", VTT, "noRecordings", "No recording was found for %"),
        ] {
            assert_eq!(put(&cluster, query, upload(file)).await, json!([key, message]), "{query}");
        }
        let form = Waiting::new(Media::Form, "file=WEBVTT");
        assert_eq!(put(&cluster, fine, form).await[0], "empty_uploaded_text_track", "a field is no file");
        for (query, key, message) in [
            ("", "missingParamRecordID", "You must specify a recordID."),
            ("recordID=r-2", "noRecordings", "No recording found for r-2"),
            ("recordID=r-1", "noCaptionsFound", "No captions found for r-1"),
        ] {
            assert_eq!(get(&cluster, query).await, json!([key, message]), "{query}");
        }
    }
}
