//! Captions: a file is refused, or becomes WebVTT that stays as it is.
#![no_main]

use b3scale_middleware::bbb;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    if let Ok(vtt) = bbb::webvtt(input) {
        assert!(vtt.starts_with("WEBVTT") && vtt.contains("-->"));
        assert_eq!(bbb::webvtt(vtt.as_bytes()).as_ref(), Ok(&vtt));
    }
});
