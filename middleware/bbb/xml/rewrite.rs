//! Changing texts of a document and nothing else.

use std::borrow::Cow;
use std::ops::Range;

use bytes::Bytes;

use super::events::{Event, Events};
use super::writer::escape;
use super::{Path, XmlError};

/// Replaces the text of every element without children by the result of `map`.
///
/// All other bytes stay as they are. If nothing changes the result is the same document, not a copy.
///
/// # Errors
///
/// The document is not well-formed and complete.
pub fn rewrite(xml: &Bytes, map: impl FnMut(&Path<'_>, &str) -> Option<String>) -> Result<Bytes, XmlError> {
    rewrite_without(xml, |_| false, map)
}

/// The same without some elements and all that is in them.
pub(super) fn rewrite_without(
    xml: &Bytes,
    is_left_out: impl Fn(&Path<'_>) -> bool,
    mut map: impl FnMut(&Path<'_>, &str) -> Option<String>,
) -> Result<Bytes, XmlError> {
    let mut edits = Vec::new();
    let mut leaf: Option<(usize, Cow<'_, str>)> = None;
    // Depth and start of an element that is left out.
    let mut left_out: Option<(usize, usize)> = None;
    let mut events = Events::new(xml)?;
    while let Some(event) = events.next()? {
        match (event, left_out) {
            (Event::Close, Some((depth, start))) if events.path().depth() == depth => {
                left_out = None;
                edits.push(Edit::removal(start..events.span().end));
            }
            (_, Some(_)) => {}
            (Event::Open, None) if is_left_out(events.path()) => {
                left_out = Some((events.path().depth(), events.span().start));
                leaf = None;
            }
            (Event::Open, None) => leaf = Some((events.span().end, Cow::Borrowed(""))),
            (Event::Text(piece), None) => {
                if let Some((_, text)) = &mut leaf {
                    *text += piece;
                }
            }
            (Event::Close, None) => {
                let Some((start, text)) = leaf.take() else { continue };
                if let Some(new) = map(events.path(), &text).filter(|new| *new != text) {
                    edits.push(Edit::fill(&events, start, &escape(&new)));
                }
            }
        }
    }
    Ok(if edits.is_empty() { xml.clone() } else { apply(xml, edits) })
}

/// Puts another element in the place of the first at that path. If there is none, the result is the same document.
///
/// # Errors
///
/// The document is not well-formed and complete.
pub fn replace(xml: &Bytes, path: &[&str], element: &[u8]) -> Result<Bytes, XmlError> {
    let (mut start, mut place) = (0, None);
    let mut events = Events::new(xml)?;
    while let Some(event) = events.next()? {
        match event {
            Event::Open if place.is_none() && events.path().is(path) => start = events.span().start,
            Event::Close if place.is_none() && events.path().is(path) => place = Some(start..events.span().end),
            Event::Open | Event::Close | Event::Text(_) => {}
        }
    }
    let Some(place) = place else { return Ok(xml.clone()) };
    Ok([&xml[..place.start], element, &xml[place.end..]].concat().into())
}

/// A range of a document and its replacement.
pub(super) struct Edit {
    range: Range<usize>,
    text: String,
}

impl Edit {
    /// Fills the element that has just closed from `start` on. An element of the form `<x/>` is taken apart.
    pub(super) fn fill(events: &Events<'_>, start: usize, content: &str) -> Self {
        let span = events.span();
        if events.is_self_closed() {
            let name = events.path().last();
            return Self { range: span.end - "/>".len()..span.end, text: format!(">{content}</{name}>") };
        }
        Self { range: start..span.start, text: content.to_owned() }
    }

    fn removal(range: Range<usize>) -> Self {
        Self { range, text: String::new() }
    }
}

/// Applies edits, which must be in the document's order and not overlap.
pub(super) fn apply(xml: &[u8], edits: Vec<Edit>) -> Bytes {
    let growth: usize = edits.iter().map(|edit| edit.text.len()).sum();
    let mut out = Vec::with_capacity(xml.len() + growth);
    let mut copied = 0;
    for edit in edits {
        out.extend_from_slice(&xml[copied..edit.range.start]);
        out.extend_from_slice(edit.text.as_bytes());
        copied = edit.range.end;
    }
    out.extend_from_slice(&xml[copied..]);
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewritten(xml: &str, map: impl FnMut(&Path<'_>, &str) -> Option<String>) -> String {
        let out = rewrite(&Bytes::copy_from_slice(xml.as_bytes()), map).expect(xml);
        String::from_utf8(out.to_vec()).expect("UTF-8")
    }

    #[test]
    fn only_the_mapped_text_changes() {
        let xml = "\u{feff}<?xml version='1.0'?>\n<response ><!-- x --><meetings><meeting>\n\
            <meetingID  a = '1'>a<![CDATA[&]]>&#98;<!-- c --></meetingID>\n<new>&quot;<x/></new></meeting></meetings >\
            <meetingID>top</meetingID></response>\n";
        let out = rewritten(xml, |path, text| {
            path.is(&["response", "meetings", "meeting", "meetingID"]).then(|| format!("<{text}>"))
        });
        assert_eq!(out, xml.replace("a<![CDATA[&]]>&#98;<!-- c -->", "&lt;a&amp;b&gt;"));
    }

    #[test]
    fn an_untouched_document_is_not_copied() {
        let xml = Bytes::from_static(b"<a><b>x</b></a>");
        assert_eq!(rewrite(&xml, |_, _| None).expect("well-formed").as_ptr(), xml.as_ptr());
        assert_eq!(rewrite(&xml, |_, text| Some(text.to_owned())).expect("well-formed").as_ptr(), xml.as_ptr());
    }

    #[test]
    fn only_elements_without_children_are_mapped() {
        let mut seen = Vec::new();
        rewritten("<a>1<b>2</b>3<c/><d></d></a>", |path, text| {
            seen.push((path.names().join("/"), text.to_owned()));
            None
        });
        let expected = [("a/b", "2"), ("a/c", ""), ("a/d", "")];
        assert_eq!(seen, expected.map(|(path, text)| (path.to_owned(), text.to_owned())));
    }

    #[test]
    fn an_empty_element_can_be_filled() {
        assert_eq!(rewritten("<a><b x='/'/><b></b></a>", |_, _| Some("y".to_owned())), "<a><b x='/'>y</b><b>y</b></a>");
    }

    #[test]
    fn an_element_is_replaced_with_all_that_is_in_it() {
        let replaced = |xml: &'static str| replace(&Bytes::from_static(xml.as_bytes()), &["a", "b"], b"<b>new</b>");
        assert_eq!(replaced("<a>1<b x='1'><c>2</c></b> <b/></a>").expect("well-formed"), "<a>1<b>new</b> <b/></a>");
        assert_eq!(replaced("<a><b/></a>").expect("well-formed"), "<a><b>new</b></a>");
        assert_eq!(replaced("<a><c><b/></c></a>").expect("well-formed"), "<a><c><b/></c></a>");
        replaced("<a><b/>").expect_err("truncated");
    }

    #[test]
    fn a_broken_document_is_not_rewritten() {
        rewrite(&Bytes::from_static(b"<a><b>x</b>"), |_, _| None).expect_err("truncated");
    }
}
