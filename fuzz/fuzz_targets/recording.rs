//! `metadata.xml`: a file is refused with words, or read within bounds.
#![no_main]

use b3scale_middleware::bbb::xml::{self, LARGEST_METADATA};
use b3scale_middleware::cluster::described;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let document = match xml::recording(input) {
        Ok(document) => document,
        Err(error) => return assert!(error.to_string().starts_with("metadata.xml")),
    };
    assert!(input.len() <= LARGEST_METADATA && !document.id.is_empty());
    assert!(document.metadata.keys().all(|name| xml::is_name(name)));
    if let Some(playback) = &document.playback {
        let links = playback.images.iter().map(|image| &image.link).chain([&playback.link]);
        for link in links.filter(|link| !link.is_empty()) {
            assert!(link.starts_with('/') && !link.starts_with("//"));
        }
        let extensions = format!("<e>{}</e>", playback.extensions);
        xml::taken_by_nodes(extensions.as_bytes()).expect("extensions stand in answers");
    }
    if let Ok((recording, format)) = described(&document) {
        assert_eq!(recording.id.as_str(), document.id);
        assert_eq!(format.is_some(), document.playback.is_some());
    }
});
