//! Texts that may be addresses of callbacks, as nodes and tenants write them.
#![no_main]

use b3scale_middleware::cluster::{Callback, CallbackKind, restored};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let _ = CallbackKind::of_name(text);
    let callback = Callback {
        name: "meta_endcallbackurl".to_owned(),
        kind: CallbackKind::End,
        url: "https://school.example/end".to_owned(),
        token: "t".to_owned(),
        address: String::new(),
    };
    if let Some(url) = restored(text, &[callback]) {
        assert!(text.contains("/api/v1/callbacks/proxy/"), "{text} became {url}");
    }
});
