//! Taking the ids that nodes know out of texts that tenants read.

use super::meeting_id::{MeetingId, ScopedId};

/// The encoded end of the JSON of an id, where no padding says that the id is over.
const ENCODED_END: &str = "LCJiM3NjbCJd";

/// A text in which every scoped id is the tenant's own, also within longer words. `None`: there is none.
///
/// `known` looks an id up. One that it does not know is decoded, which a hashed one cannot be.
pub fn unscoped(text: &str, known: impl Fn(&str) -> Option<MeetingId>) -> Option<String> {
    let mut out = String::new();
    let (mut copied, mut at) = (0, 0);
    while let Some(start) = next_start(&text[at..]).map(|start| at + start) {
        let word = word(&text[start..]);
        at = start + word.len();
        let cut = word.find(ENCODED_END).map(|end| &word[..end + ENCODED_END.len()]);
        let found = [Some(word), cut].into_iter().flatten().find_map(|id| Some((id, tenants_id(id, &known)?)));
        if let Some((id, tenants)) = found {
            out.extend([&text[copied..start], tenants.as_ref()]);
            copied = start + id.len();
        }
    }
    (copied > 0).then(|| out + &text[copied..])
}

fn tenants_id(id: &str, known: impl Fn(&str) -> Option<MeetingId>) -> Option<MeetingId> {
    known(id).or_else(|| Some(ScopedId::verbatim(id).decode()?.1))
}

/// Where something begins that looks like a scoped id.
fn next_start(text: &str) -> Option<usize> {
    ScopedId::STARTS.iter().filter_map(|start| text.find(start)).min()
}

/// What could be an id: letters of base64 and padding, or a hash behind its mark.
fn word(text: &str) -> &str {
    let is_hash = !text.starts_with(ScopedId::STARTS[0]);
    let mark = if is_hash { ScopedId::STARTS[1].len() } else { 0 };
    let of_id = |byte: &u8| byte.is_ascii_alphanumeric() || (!is_hash && matches!(byte, b'-' | b'_'));
    let letters = mark + text.as_bytes()[mark..].iter().take_while(|byte| of_id(byte)).count();
    let padding = text.as_bytes()[letters..].iter().take(2).take_while(|byte| **byte == b'=').count();
    &text[..letters + padding]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scoped(id: &str) -> String {
        ScopedId::new("fe1", &MeetingId::new(id)).to_string()
    }

    fn decoded(text: &str) -> Option<String> {
        unscoped(text, |_| None)
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
    fn an_id_is_decoded_once() {
        let inner = scoped("m 1");
        assert_eq!(decoded(&scoped(&inner)), Some(inner));
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
        let known = |text: &str| (text == id).then(|| MeetingId::new("mm"));
        assert_eq!(unscoped(&format!("<{id}.>"), known), Some("<mm.>".to_owned()));
        assert_eq!(decoded(&id), None);
    }
}
