//! Cutting a list into its entries when it cannot be read as a whole.

use std::iter::once;

use bytes::Bytes;
use memchr::memmem;

use super::legible;

/// A list, cut by its tags alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pieces {
    /// The texts that begin like an entry. Each may be unreadable, and the last one may be incomplete.
    pub entries: Vec<Bytes>,
    /// Whether the list came to its end.
    pub is_whole: bool,
}

/// Cuts a successful list of that name, such as `meetings`, into its entries. BBB escapes every value, so that no value looks like a tag
/// of the list. The slices share the document's memory. `None`: it is no such list.
pub fn pieces(xml: &Bytes, list: &str) -> Option<Pieces> {
    let (tag, end_tag) = (format!("<{list}>"), format!("</{list}>"));
    let begin = memmem::find(xml, tag.as_bytes())?;
    let [returncode] = legible(&xml[..begin], ["returncode"]);
    returncode.filter(|code| code.trim() == "SUCCESS")?;
    let rest = xml.slice(begin + tag.len()..);
    let end = memmem::rfind(&rest, end_tag.as_bytes());
    let is_whole = end.is_some_and(|end| rest[end + end_tag.len()..].trim_ascii() == b"</response>");
    Some(Pieces { entries: cut(&rest.slice(..end.unwrap_or(rest.len())), "meeting"), is_whole })
}

/// Cuts out what begins like an element of that name, up to its last end tag before the next one begins.
pub fn cut(xml: &Bytes, name: &str) -> Vec<Bytes> {
    let (tag, end_tag) = (format!("<{name}>"), format!("</{name}>"));
    let starts: Vec<usize> = memmem::find_iter(xml, &tag).collect();
    let ends = starts.iter().copied().skip(1).chain(once(xml.len()));
    let element = |(start, end): (&usize, usize)| {
        let piece = xml.slice(*start..end);
        let end = memmem::rfind(&piece, end_tag.as_bytes()).map_or(piece.len(), |end| end + end_tag.len());
        piece.slice(..end)
    };
    starts.iter().zip(ends).map(element).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "<response>\n<returncode>SUCCESS</returncode>\n<meetings>\n";
    const TAIL: &str = "</meetings>\n</response>\n";
    const GOOD: &str = "<meeting>\n<meetingID>a</meetingID>\n</meeting>";
    const SPOILED: &str = "<meeting>\n<meetingID>b</meetingID>\n<x y>1</x y>\n</meeting>";

    fn of(xml: &str) -> Option<Pieces> {
        pieces(&Bytes::copy_from_slice(xml.as_bytes()), "meetings")
    }

    #[test]
    fn a_spoiled_entry_stands_alone() {
        let found = of(&format!("{HEAD}{GOOD}\n{SPOILED}\n{GOOD}\n{TAIL}")).expect("it is a list");
        assert_eq!(found.entries, [GOOD, SPOILED, GOOD]);
        assert!(found.is_whole);
    }

    #[test]
    fn a_list_that_is_cut_short_is_not_whole() {
        let whole = format!("{HEAD}{GOOD}\n{SPOILED}\n{TAIL}");
        for end in HEAD.len()..whole.trim_end().len() {
            let found = of(&whole[..end]).expect("its head is there");
            assert!(!found.is_whole && found.entries.len() <= 2, "{}", &whole[..end]);
        }
    }

    #[test]
    fn only_a_successful_list_is_cut() {
        let failed = format!("{HEAD}{GOOD}{TAIL}").replace("SUCCESS", "FAILED");
        for other in [&*failed, "<html/>", "<response><returncode>SUCCESS</returncode></response>", "", "<meetings>"] {
            assert_eq!(of(other), None, "{other}");
        }
    }
}
