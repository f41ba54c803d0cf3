//! Reading documents.

use bytes::Bytes;

use super::events::{Event, Events};
use super::{Path, XmlError};

/// Checks that a document is well-formed and complete.
///
/// # Errors
///
/// It is not.
pub fn well_formed(xml: &[u8]) -> Result<(), XmlError> {
    let mut events = Events::new(xml)?;
    while events.next()?.is_some() {}
    Ok(())
}

/// Reads the text of children of the root, of any name. Of several children with one name the first counts.
///
/// # Errors
///
/// The document is not well-formed and complete.
pub fn fields<const N: usize>(xml: &[u8], names: [&str; N]) -> Result<[Option<String>; N], XmlError> {
    first_texts(xml, |path| (path.depth() == 2).then(|| names.iter().position(|name| *name == path.last()))?)
}

/// Cuts out every element at that path, tags included. The slices share the document's memory.
///
/// # Errors
///
/// The document is not well-formed and complete.
pub fn elements(xml: &Bytes, path: &[&str]) -> Result<Vec<Bytes>, XmlError> {
    let mut found = Vec::new();
    let mut start = 0;
    let mut events = Events::new(xml)?;
    while let Some(event) = events.next()? {
        if events.path().is(path) {
            match event {
                Event::Open => start = events.span().start,
                Event::Close => found.push(xml.slice(start..events.span().end)),
                Event::Text(_) => {}
            }
        }
    }
    Ok(found)
}

/// The name and the text of each child of the elements at that path. Text of grandchildren does not count.
///
/// # Errors
///
/// The document is not well-formed and complete.
pub fn children(xml: &[u8], path: &[&str]) -> Result<Vec<(String, String)>, XmlError> {
    let mut found: Vec<(String, String)> = Vec::new();
    let mut events = Events::new(xml)?;
    while let Some(event) = events.next()? {
        let Some((name, _)) = events.path().names().split_last().filter(|(_, parent)| *parent == path) else {
            continue;
        };
        match event {
            Event::Open => found.push(((*name).to_owned(), String::new())),
            Event::Text(text) => {
                if let Some((_, said)) = found.last_mut() {
                    said.push_str(&text);
                }
            }
            Event::Close => {}
        }
    }
    Ok(found)
}

/// Reads the text of children of the root as far as the document can be read. Of an element that is not complete there is none.
pub fn legible<const N: usize>(xml: &[u8], names: [&str; N]) -> [Option<String>; N] {
    let whole = std::str::from_utf8(xml).map_or_else(|error| error.valid_up_to(), str::len);
    let place = |path: &Path<'_>| (path.depth() == 2).then(|| names.iter().position(|name| *name == path.last()))?;
    let mut texts = [const { None }; N];
    // Texts after an error are passed over, and those before it stand.
    let _ = read_texts(&xml[..whole], place, &mut texts);
    texts
}

/// The text of the first element that `place` gives each index to.
pub(super) fn first_texts<const N: usize>(
    xml: &[u8],
    place: impl FnMut(&Path<'_>) -> Option<usize>,
) -> Result<[Option<String>; N], XmlError> {
    let mut texts = [const { None }; N];
    read_texts(xml, place, &mut texts)?;
    Ok(texts)
}

/// Fills `texts` with each text that is complete, up to the end or an error.
fn read_texts(
    xml: &[u8],
    mut place: impl FnMut(&Path<'_>) -> Option<usize>,
    texts: &mut [Option<String>],
) -> Result<(), XmlError> {
    let mut wanted: Option<(usize, usize, String)> = None;
    let mut events = Events::new(xml)?;
    while let Some(event) = events.next()? {
        let depth = events.path().depth();
        match event {
            Event::Open if wanted.is_none() => {
                let index = place(events.path()).filter(|index| texts.get(*index).is_some_and(Option::is_none));
                wanted = index.map(|index| (depth, index, String::new()));
            }
            Event::Text(text) => {
                if let Some((_, _, wanted)) = wanted.as_mut().filter(|(at, ..)| *at == depth) {
                    wanted.push_str(&text);
                }
            }
            Event::Close => {
                if let Some((_, index, text)) = wanted.take_if(|(at, ..)| *at == depth) {
                    texts[index] = Some(text);
                }
            }
            Event::Open => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn children_are_read_with_their_names_and_without_what_is_in_them() {
        let xml = b"<a><b>no</b><m><x>1</x><y/><x>a<z>no</z>&amp;b</x></m></a>";
        let read = children(xml, &["a", "m"]).expect("well-formed");
        let pair = |name: &str, text: &str| (name.to_owned(), text.to_owned());
        assert_eq!(read, [pair("x", "1"), pair("y", ""), pair("x", "a&b")]);
    }

    #[test]
    fn fields_are_children_of_the_root_only() {
        let xml = b"<response><a>1</a><b><a>2</a>t</b><a>3</a><c/></response>";
        let [a, b, c, d] = fields(xml, ["a", "b", "c", "d"]).expect("well-formed");
        assert_eq!((a.as_deref(), b.as_deref()), (Some("1"), Some("t")));
        assert_eq!((c.as_deref(), d.as_deref()), (Some(""), None));
    }

    #[test]
    fn what_stands_before_an_error_is_legible() {
        let read = |xml: &[u8]| legible(xml, ["a", "b", "c"]).map(Option::unwrap_or_default);
        assert_eq!(read(b"<m><a>1</a><d><b>no</b></d><b>2</b><x y>1</x y><c>3</c></m>"), ["1", "2", ""]);
        assert_eq!(read(b"<m><a>1</a><b>2</b><c>thr"), ["1", "2", ""], "the last one is not complete");
        assert_eq!(read(b"<m><a>1</a><b>\xff</b></m>"), ["1", "", ""]);
        assert_eq!(read(b"\xff"), ["", "", ""]);
    }

    #[test]
    fn elements_are_cut_out_as_they_are() {
        let xml = Bytes::from_static(
            b"<response><meetings>\n<meeting a='1'><meeting>x</meeting>&amp;</meeting> <meeting/></meetings></response>",
        );
        let found = elements(&xml, &["response", "meetings", "meeting"]).expect("well-formed");
        assert_eq!(found, [&b"<meeting a='1'><meeting>x</meeting>&amp;</meeting>"[..], b"<meeting/>"]);
        assert!(xml.as_ptr_range().contains(&found[0].as_ptr()));
    }
}
