//! A tenant's view of a node's document.

use bytes::Bytes;

use super::rewrite::rewrite_without;
use super::writer::{is_allowed, is_name};
use super::{Path, XmlError, children};

/// How the names of metadata begin that are ours and not the tenant's.
const OURS: &str = "b3s-";

/// What BBB counts and measures. It groups digits as its locale does.
const NUMBERS: [&str; 11] = [
    "createTime",
    "duration",
    "startTime",
    "endTime",
    "participantCount",
    "listenerCount",
    "voiceParticipantCount",
    "videoCount",
    "maxUsers",
    "moderatorCount",
    "sequence",
];

/// The longest reference to a character, without `&#`.
const LONGEST_REFERENCE: usize = 12;

/// A node's document as a tenant may read it: without our metadata, without elements with invalid names,
/// with plain numbers, and with the replacements of `ids` for texts with ids.
///
/// # Errors
///
/// The document is not well-formed and complete.
pub fn shown(xml: &Bytes, mut ids: impl FnMut(&str) -> Option<String>) -> Result<Bytes, XmlError> {
    rewrite_without(xml, is_left_out, |path, text| plain_number(path, text).or_else(|| ids(text)))
}

/// The metadata of an entry that is ours, by names.
pub fn ours(entry: &[u8]) -> Vec<(String, String)> {
    let mut metadata = children(entry, &["meeting", "metadata"]).unwrap_or_default();
    metadata.retain(|(name, _)| is_ours(name));
    metadata
}

/// Whether metadata of that name is ours and not the tenant's.
pub fn is_ours(name: &str) -> bool {
    name.starts_with(OURS)
}

fn is_left_out(path: &Path<'_>) -> bool {
    match path.names() {
        [.., "metadata", name] if is_ours(name) => true,
        [_, .., name] => !is_name(name),
        _ => false,
    }
}

/// A grouped number without what groups it.
fn plain_number(path: &Path<'_>, text: &str) -> Option<String> {
    let [.., "meeting" | "response", name] = path.names() else { return None };
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
    if is_plain || !NUMBERS.contains(name) {
        return None;
    }
    let mut groups = text.split([',', '.', '\'', '\u{2019}', ' ', '\u{a0}', '\u{202f}']);
    let are_digits = |group: &str| group.bytes().all(|byte| byte.is_ascii_digit());
    let first = groups.next().filter(|first| (1..=3).contains(&first.len()) && are_digits(first))?;
    groups.all(|group| group.len() == 3 && are_digits(group)).then_some(())?;
    Some(first.to_owned() + &text[first.len()..].replace(|letter: char| !letter.is_ascii_digit(), ""))
}

/// A document without the characters that XML 1.0 forbids, and without references to them. If it has none, it is the same document,
/// not a copy.
pub fn printable(xml: &Bytes) -> Bytes {
    let mut out = Vec::new();
    let (mut copied, mut at) = (0, 0);
    while at < xml.len() {
        let length = forbidden(&xml[at..]);
        if length == 0 {
            at += 1;
            continue;
        }
        out.extend_from_slice(&xml[copied..at]);
        at += length;
        copied = at;
    }
    if copied == 0 {
        return xml.clone();
    }
    out.extend_from_slice(&xml[copied..]);
    out.into()
}

/// The bytes of a forbidden character at the beginning of a text. 0: it begins with an allowed one.
fn forbidden(text: &[u8]) -> usize {
    match text {
        [0..=8 | 0xb | 0xc | 0xe..=0x1f, ..] => 1,
        // U+FFFE and U+FFFF.
        [0xef, 0xbf, 0xbe | 0xbf, ..] => 3,
        [b'&', b'#', reference @ ..] => forbidden_reference(reference).map_or(0, |length| "&#".len() + length),
        _ => 0,
    }
}

fn forbidden_reference(text: &[u8]) -> Option<usize> {
    let end = text.iter().take(LONGEST_REFERENCE).position(|byte| *byte == b';')?;
    let number = std::str::from_utf8(&text[..end]).ok()?;
    let code = match number.strip_prefix(['x', 'X']) {
        Some(digits) => u32::from_str_radix(digits, 16),
        None => number.parse(),
    };
    let is_fine = code.ok().map(|code| char::from_u32(code).is_some_and(is_allowed))?;
    (!is_fine).then_some(end + ";".len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(xml: &str) -> String {
        let printed = printable(&Bytes::copy_from_slice(xml.as_bytes()));
        let shown = shown(&printed, |text| (text == "scoped").then(|| "own".to_owned())).expect(xml);
        String::from_utf8(shown.to_vec()).expect("it is text")
    }

    #[test]
    fn metadata_of_ours_is_left_out_and_that_of_the_tenant_is_not() {
        for root in ["response", "meeting"] {
            let with = |ours: &str| {
                format!("<{root}><metadata>\n{ours}<b3x>1</b3x></metadata><b3s-frontend>kept</b3s-frontend></{root}>")
            };
            for ours in ["<b3s-frontend>school</b3s-frontend>", "<b3s-x/>", "<b3s-x><y>scoped</y></b3s-x>"] {
                assert_eq!(read(&with(ours)), with(""), "{ours}");
            }
        }
    }

    #[test]
    fn metadata_of_ours_can_be_read_beside() {
        let entry =
            "<meeting><metadata><a>1</a><b3s-frontend>school</b3s-frontend></metadata><b3s-x>2</b3s-x></meeting>";
        assert_eq!(ours(entry.as_bytes()), [("b3s-frontend".to_owned(), "school".to_owned())]);
        assert_eq!(ours(b"<meeting>"), []);
    }

    #[test]
    fn numbers_are_plain() {
        let numbers = |text: &str| format!("<meeting><maxUsers>{text}</maxUsers><duration>{text}</duration></meeting>");
        for grouped in ["1,440", "1.440", "1\u{a0}440", "1\u{202f}440", "1'440"] {
            assert_eq!(read(&numbers(grouped)), numbers("1440"), "{grouped}");
        }
        assert_eq!(read(&numbers("1,234,567")), numbers("1234567"));
        for other in ["", "0", "999", "1,44", "1,4400", "12345,678", ",123", "-1", "1,23a", "many"] {
            assert_eq!(read(&numbers(other)), numbers(other), "{other}");
        }
        let texts =
            "<meeting><meetingName>1,000</meetingName><metadata><duration>1,000</duration></metadata></meeting>";
        assert_eq!(read(texts), texts);
    }

    #[test]
    fn what_xml_does_not_take_is_left_out() {
        let of = |name: &str, text: &str| format!("<a><c>{text}</c>{name}</a>");
        for odd in ["<1a>x</1a>", "<-/>", "<x:y>z<b/></x:y>", "<b+c>scoped</b+c>"] {
            assert_eq!(read(&of(odd, "x")), of("", "x"), "{odd}");
        }
        for odd in ["\u{b}", "\u{fffe}", "\u{ffff}", "\0", "\u{1f}", "&#11;", "&#xB;", "&#xfffe;", "&#0;", "&#xD800;"] {
            assert_eq!(read(&of("", &format!("a{odd}b{odd}"))), of("", "ab"), "{odd:?}");
        }
        for fine in ["\t\n", "&#10;", "&#x1F600;", "\u{fffd}", "\u{feff}", "&amp;#11;", "\u{7f}", "\u{85}"] {
            assert_eq!(read(&of("", fine)), of("", fine), "{fine:?}");
        }
    }

    #[test]
    fn nothing_is_copied_where_nothing_changes() {
        let xml = Bytes::from_static(b"<a><b>&#65; x</b></a>");
        assert_eq!(printable(&xml).as_ptr(), xml.as_ptr());
        assert_eq!(shown(&xml, |_| None).expect("well-formed").as_ptr(), xml.as_ptr());
    }

    #[test]
    fn ids_are_shown_as_the_caller_says() {
        assert_eq!(read("<a><b>scoped</b><c><d>scoped</d></c></a>"), "<a><b>own</b><c><d>own</d></c></a>");
    }
}
