//! Recordings of other systems, without their files.

use std::collections::BTreeMap;

use b3scale_base::rest::{ImportedRecording, Visibility};
use b3scale_middleware::cluster::{PreviewImage, RecordId, RecordingFormat, is_format};
use url::Url;

use super::Imported;

/// Metadata in which other systems keep what is a field here.
const FIELDS: [&str; 2] = ["protect", "tenant-id"];

/// Takes recordings over. Those with an id that is none stay behind.
pub(super) fn take(found: impl IntoIterator<Item = ImportedRecording>, imported: &mut Imported) {
    let (usable, odd): (Vec<_>, Vec<_>) =
        found.into_iter().partition(|recording| RecordId::new(&recording.record_id).is_some());
    imported.left_out(odd.len(), "recording", "with an id that is none of a recording");
    if !usable.is_empty() {
        let advice = "their files lie where they are: take the folders over, or copy them";
        imported.note(format!("Of {} recordings only the records come over: {advice}.", usable.len()));
    }
    imported.document.recordings.extend(usable.into_iter().map(tidied));
}

/// The recording as it is kept here: links without a host, each format once, nothing negative, no metadata of another system.
fn tidied(mut recording: ImportedRecording) -> ImportedRecording {
    let mut seen = Vec::new();
    recording.formats.retain(|RecordingFormat { kind, .. }| {
        let is_first = !seen.contains(kind);
        seen.push(kind.clone());
        is_first && is_format(kind)
    });
    for format in &mut recording.formats {
        format.link = path(&format.link);
        format.images.iter_mut().for_each(|PreviewImage { link, .. }| *link = path(link));
        for number in [&mut format.processing_time, &mut format.duration, &mut format.size] {
            *number = (*number).max(0);
        }
    }
    recording.metadata.retain(|name, _| !FIELDS.contains(&name.as_str()) && !name.starts_with("b3s-"));
    for number in [&mut recording.start_time, &mut recording.end_time, &mut recording.participants] {
        *number = (*number).max(0);
    }
    recording
}

/// The visibility of a recording, by its flags and its metadata.
pub(super) fn visibility(is_published: bool, is_protected: bool, metadata: &BTreeMap<String, String>) -> Visibility {
    let is_listed = metadata.get("gl-listed").is_some_and(|listed| listed == "true");
    match (is_published, is_protected, is_listed) {
        (false, ..) => Visibility::Unpublished,
        (true, false, false) => Visibility::Published,
        (true, true, false) => Visibility::Protected,
        (true, false, true) => Visibility::Public,
        (true, true, true) => Visibility::PublicProtected,
    }
}

/// Path and query of a link. Its host was another system's.
fn path(link: &str) -> String {
    let link = link.trim();
    match Url::parse(link) {
        Ok(url) if url.has_host() => {
            let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
            format!("{}{query}", url.path())
        }
        _ => format!("/{}", link.trim_start_matches('/')),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_keeps_its_path_and_its_query_alone() {
        for (link, kept) in [
            ("https://play.example/playback/presentation/2.3/r-1", "/playback/presentation/2.3/r-1"),
            (
                " \n/playback/presentation/2.0/playback.html?meetingId=r-1\n",
                "/playback/presentation/2.0/playback.html?meetingId=r-1",
            ),
            ("http://n1.example:8080/podcast/r-1/audio.ogg?a=1&b=2#c", "/podcast/r-1/audio.ogg?a=1&b=2"),
            ("presentation/r-1/thumb-1.png", "/presentation/r-1/thumb-1.png"),
            ("//n1.example/x", "/n1.example/x"),
            ("javascript:alert(1)", "/javascript:alert(1)"),
        ] {
            assert_eq!(path(link), kept);
        }
    }
}
