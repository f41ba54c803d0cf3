//! Taking the ids that nodes know out of texts that tenants read.

use super::meeting_id::{MeetingId, ScopedId};

/// The encoded end of the JSON of an id, where no padding says that the id is over.
const ENCODED_END: &str = "LCJiM3NjbCJd";
/// How padding is written, also in a URL.
const PADDING: [&str; 3] = ["=", "%3D", "%3d"];

/// A text in which the tenant's own ids stand for the scoped ones, also within longer words. `None`: there is none.
///
/// `own` gives the tenant's id. Unknown ids stay.
pub fn unscoped(text: &str, own: impl Fn(&ScopedId) -> Option<MeetingId>) -> Option<String> {
    let mut out = String::new();
    let (mut copied, mut at) = (0, 0);
    let mut starts = Starts::of(text);
    while let Some(start) = starts.next_from(at) {
        let word = word(&text[start..]);
        at = start + word.len();
        let cut = word.find(ENCODED_END).map(|end| &word[..end + ENCODED_END.len()]);
        let mut words = [Some(word), cut].into_iter().flatten();
        let found = words.find_map(|id| Some((id, own(&verbatim(id))?)));
        if let Some((id, tenants)) = found {
            out.extend([&text[copied..start], tenants.as_ref()]);
            copied = start + id.len();
        }
    }
    (copied > 0).then(|| out + &text[copied..])
}

/// A word as the id that it is outside of a URL.
fn verbatim(word: &str) -> ScopedId {
    if !word.contains('%') {
        return ScopedId::verbatim(word);
    }
    ScopedId::verbatim(&PADDING.iter().fold(word.to_owned(), |word, padding| word.replace(padding, PADDING[0])))
}

/// Where something begins that looks like a scoped id. Each place is looked for once, however many there are of the other kind.
struct Starts<'t> {
    text: &'t str,
    /// The next place of each kind.
    next: [Option<usize>; ScopedId::STARTS.len()],
}

impl<'t> Starts<'t> {
    fn of(text: &'t str) -> Self {
        Self { text, next: ScopedId::STARTS.map(|start| text.find(start)) }
    }

    /// The first place that is not before `at`.
    fn next_from(&mut self, at: usize) -> Option<usize> {
        for (next, start) in self.next.iter_mut().zip(ScopedId::STARTS) {
            if next.is_some_and(|place| place < at) {
                *next = self.text[at..].find(start).map(|place| at + place);
            }
        }
        self.next.iter().flatten().min().copied()
    }
}

/// A possible id: letters of base64 and padding, or a hash after its mark.
fn word(text: &str) -> &str {
    let is_hash = !text.starts_with(ScopedId::STARTS[0]);
    let mark = if is_hash { ScopedId::STARTS[1].len() } else { 0 };
    let of_id = |byte: &u8| byte.is_ascii_alphanumeric() || (!is_hash && matches!(byte, b'-' | b'_'));
    let letters = mark + text.as_bytes()[mark..].iter().take_while(|byte| of_id(byte)).count();
    &text[..letters + padding(&text[letters..])]
}

/// How much of a text is padding at its beginning.
fn padding(text: &str) -> usize {
    let after = |rest: &str| PADDING.iter().find_map(|padding| Some(rest.len() - rest.strip_prefix(padding)?.len()));
    let first = after(text).unwrap_or_default();
    first + after(&text[first..]).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scoped(id: &str) -> String {
        ScopedId::new("fe1", &MeetingId::new(id)).to_string()
    }

    fn decoded(text: &str) -> Option<String> {
        unscoped(text, |id| id.decode_for("fe1"))
    }

    #[test]
    fn every_id_in_a_text_is_the_tenants_own() {
        // One of each kind of padding.
        for id in ["m 1", "m 12", "m 123"] {
            let (id, long) = (scoped(id), id);
            for (before, after) in
                [("", ""), ("\"", "\" is here"), ("i-", "-1700000000000"), ("a,", ","), ("Wy", " Wy")]
            {
                let text = format!("{before}{id}{after}");
                if before == "Wy" {
                    assert_eq!(decoded(&text), None, "that is another word");
                } else {
                    assert_eq!(decoded(&text), Some(format!("{before}{long}{after}")), "{text}");
                }
            }
        }
        assert_eq!(decoded(&[scoped("a"), scoped("b")].join(",")), Some("a,b".to_owned()));
    }

    #[test]
    fn ids_of_both_kinds_are_found_in_any_order() {
        let (id, hash) = (scoped("a"), format!("b3scl.{}", "0".repeat(40)));
        let own = |id: &ScopedId| id.decode_for("fe1").or_else(|| (id.as_ref() == hash).then(|| MeetingId::new("h")));
        for (text, read) in [
            (format!("{hash} {id} {hash} {hash}"), "h a h h"),
            (format!("Wy Wy {id} b3scl. {hash} {id}"), "Wy Wy a b3scl. h a"),
        ] {
            assert_eq!(unscoped(&text, own).as_deref(), Some(read));
        }
    }

    #[test]
    fn an_id_is_decoded_once() {
        let inner = scoped("m 1");
        assert_eq!(decoded(&scoped(&inner)), Some(inner));
    }

    #[test]
    fn an_id_in_a_url_is_the_tenants_own() {
        for id in ["m1", "m 1", "m 12", "m 123"] {
            for padding in ["%3D", "%3d"] {
                let url = format!("https://x/?meetingID={}&a=1", scoped(id).replace('=', padding));
                assert_eq!(decoded(&url), Some(format!("https://x/?meetingID={id}&a=1")), "{url}");
            }
        }
        assert_eq!(decoded("WyJmZTEiLCJtMSIsImIzc2NsIl0%3D%20b"), Some("m1%20b".to_owned()));
    }

    #[test]
    fn an_id_of_another_key_stays() {
        let foreign = ScopedId::new("fe2", &MeetingId::new("m 1")).to_string();
        assert_eq!(decoded(&foreign), None);
        assert_eq!(decoded(&format!("{foreign},{}", scoped("m 1"))), Some(format!("{foreign},m 1")));
        assert_eq!(decoded(&scoped(&foreign)), Some(foreign), "a tenant may be a b3scale itself");
    }

    #[test]
    fn other_texts_stay() {
        for text in ["", "Wy", "WyJ", "Why not?", "b3scl.", "b3scl", "WyJmZTEiLCJtIDEiLCJvdGhlciJd", "Wy\u{e4}"] {
            assert_eq!(decoded(text), None, "{text}");
        }
    }

    #[test]
    fn a_hashed_id_is_looked_up() {
        let id = scoped(&"m".repeat(250));
        let known = |text: &ScopedId| (text.as_ref() == id).then(|| MeetingId::new("mm"));
        assert_eq!(unscoped(&format!("<{id}.>"), known), Some("<mm.>".to_owned()));
        assert_eq!(decoded(&id), None);
    }
}
