//! XML: a document is refused or survives everything that is done to it.
#![no_main]

use b3scale_middleware::bbb::{MeetingId, unscoped, xml};
use bytes::Bytes;
use libfuzzer_sys::fuzz_target;

const NEW: &str = "<new> & 'other'";

fuzz_target!(|input: &[u8]| {
    let document = Bytes::copy_from_slice(input);
    pieces(&document);
    xml::printable(&document);
    if let Err(error) = xml::well_formed(&document) {
        assert!(error.position() <= input.len());
        xml::outcome(&document).expect_err("broken");
        xml::elements(&document, &["response"]).expect_err("broken");
        xml::rewrite(&document, |_, _| Some(NEW.to_owned())).expect_err("broken");
        assert!(input.trim_ascii().is_empty() || xml::with_presentation(Some(input), "u", None, true).is_err());
        xml::taken_by_nodes(&document).expect_err("broken");
        return;
    }
    let meeting = xml::answer(&document).ok().and_then(|answer| answer.meeting).unwrap_or_default();
    xml::fields(&document, ["returncode", "a"]).expect("well-formed");
    let params = b3scale_middleware::bbb::Params::parse("name=%3C&meta_a=%26&meta_%3C=1");
    let entry = xml::entry_of_create(&meeting, &params);
    xml::well_formed(&entry).expect("an entry of a list is well-formed");
    if let Ok(entry) = xml::entry_of_info(&document) {
        xml::well_formed(&entry).expect("an entry of a list is well-formed");
    }
    let listed = xml::with_breakouts(&entry, &[NEW.to_owned()]).expect("well-formed");
    xml::well_formed(&listed).expect("it still is");
    shown(&document);
    rewriting(&document);
    slides(&document);
});

fn pieces(document: &Bytes) {
    let [first] = xml::legible(document, ["meetingID"]);
    if let Ok([whole]) = xml::fields(document, ["meetingID"]) {
        assert_eq!(first, whole, "of a whole document all is legible");
    }
    let Some(list) = xml::pieces(document, "meetings") else { return };
    for entry in &list.entries {
        assert!(entry.starts_with(b"<meeting>") && document.as_ptr_range().contains(&entry.as_ptr()));
        xml::legible(entry, ["meetingID", "participantCount"]);
    }
}

fn shown(document: &Bytes) {
    let ids = |text: &str| unscoped(text, |id| id.as_ref().len().is_multiple_of(2).then(|| MeetingId::new(NEW)));
    let shown = xml::shown(document, ids).expect("well-formed");
    xml::well_formed(&shown).expect("it still is");
}

fn rewriting(document: &Bytes) {
    let mut paths = Vec::new();
    let same = xml::rewrite(document, |path, text| {
        paths.push(path.names().iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
        Some(text.to_owned())
    });
    assert_eq!(same.expect("well-formed").as_ptr(), document.as_ptr());

    let rewritten = xml::rewrite(document, |_, _| Some(NEW.to_owned())).expect("well-formed");
    let mut count = 0;
    let again = xml::rewrite(&rewritten, |_, text| {
        assert_eq!(text, NEW);
        count += 1;
        None
    });
    assert_eq!(again.expect("well-formed").as_ptr(), rewritten.as_ptr());
    assert_eq!(count, paths.len());

    if let Some(path) = paths.first() {
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        let found = xml::elements(document, &path).expect("well-formed");
        assert!(!found.is_empty());
        for element in found {
            xml::well_formed(&element).expect("an element of a document is one");
        }
    }
}

fn slides(body: &Bytes) {
    let url = "https://files.example/a?b&c";
    let with = |body: &[u8], force| xml::with_presentation(Some(body), url, Some("a.pdf"), force).expect("well-formed");
    let forced = with(body, true).expect("forced");
    for changed in [with(body, false), Some(forced.clone())].into_iter().flatten() {
        xml::well_formed(&changed).expect("still well-formed");
        assert_eq!(with(&changed, false), None);
    }
    assert_eq!(with(&forced, true), Some(forced));
}
