//! The checksum as a node counts it: a plain hash over call name, raw query and secret.
//!
//! Written apart from the verifier of the load balancer, so that each is a witness for the other.

use std::fmt::Write;

use sha1::Sha1;
use sha2::{Digest, Sha256, Sha384, Sha512};

use super::answers::Failure;
use super::params::Params;

/// The secret and algorithms of checksums.
pub(super) struct Signed<'a> {
    pub(super) call: &'a str,
    pub(super) raw_query: &'a str,
    /// The parameters of a form body; `None` for every other body.
    pub(super) form: Option<&'a Params>,
    /// All values named `checksum`, from query and form.
    pub(super) given: &'a [&'a str],
}

impl Signed<'_> {
    /// Accepts the call when its checksum fits `secret` and has so many digits. An empty secret switches the check off, as on
    /// a node.
    pub(super) fn verify(&self, secret: &str, digits: Option<usize>) -> Result<(), Failure> {
        let given = match self.given {
            _ if secret.is_empty() => return Ok(()),
            [] | [""] => return Err(Failure::key("checksumError", "You must provide the checksum")),
            [one] if digits.is_none_or(|digits| digits == one.len()) => *one,
            _ => return Err(mismatch()),
        };
        let query = without_checksum(self.raw_query, given);
        let fits = |signed: &str| {
            digest(given.len(), &[self.call, signed, secret]).is_some_and(|hex| hex.eq_ignore_ascii_case(given))
        };
        let sorted_form = || self.form.is_some_and(|form| query.is_empty() && fits(&sorted(form)));
        if fits(&query) || sorted_form() { Ok(()) } else { Err(mismatch()) }
    }
}

fn mismatch() -> Failure {
    Failure::key("checksumError", "Checksums do not match")
}

/// The lower-case hash of `parts`, by the algorithm with `length` hex digits.
pub(super) fn digest(length: usize, parts: &[&str]) -> Option<String> {
    match length {
        40 => Some(hex::<Sha1>(parts)),
        64 => Some(hex::<Sha256>(parts)),
        96 => Some(hex::<Sha384>(parts)),
        128 => Some(hex::<Sha512>(parts)),
        _ => None,
    }
}

/// SHA-1 of `text` in lower-case hex, as in internal meeting ids.
pub(super) fn sha1_hex(text: &str) -> String {
    hex::<Sha1>(&[text])
}

fn hex<D: Digest>(parts: &[&str]) -> String {
    let mut hash = D::new();
    parts.iter().for_each(|part| hash.update(part.as_bytes()));
    hash.finalize().iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Cuts the checksum out by literal replacement, in the order a node tries it.
fn without_checksum(raw_query: &str, value: &str) -> String {
    [format!("&checksum={value}"), format!("checksum={value}&"), format!("checksum={value}")]
        .iter()
        .fold(raw_query.to_owned(), |query, pattern| query.replace(pattern, ""))
}

/// The string BBB up to 2.5 rebuilds from a form: sorted by name, values in Java's form encoding.
fn sorted(form: &Params) -> String {
    let mut items: Vec<_> = form.iter().filter(|(name, _)| *name != "checksum").collect();
    items.sort_by_key(|(name, _)| *name);
    let items: Vec<_> = items.into_iter().map(|(name, value)| format!("{name}={}", java_encoded(value))).collect();
    items.join("&")
}

fn java_encoded(value: &str) -> String {
    value.bytes().fold(String::new(), |mut text, byte| {
        match byte {
            b' ' => text.push('+'),
            b'*' | b'-' | b'.' | b'_' => text.push(char::from(byte)),
            byte if byte.is_ascii_alphanumeric() => text.push(char::from(byte)),
            byte => {
                let _ = write!(text, "%{byte:02X}");
            }
        }
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "639259d4-9dd8-4b25-bf01-95f9567eaf4b";
    const CREATE: &str = "name=Test+Meeting&meetingID=abc123&attendeePW=111222&moderatorPW=333444";

    fn accepts(call: &str, raw_query: &str, given: &str) -> bool {
        Signed { call, raw_query, form: None, given: &[given] }.verify(SECRET, None).is_ok()
    }

    #[test]
    fn the_vectors_of_all_four_algorithms_are_met() {
        let vectors = [
            "1fcbb0c4fc1f039f73aa6d697d2db9ba7f803f17",
            "da9185f7f333cfdfcd6eeac32dca3777510c4c436020d8b887ba5515bd1d189e",
            "891ac633df39d0a1b4f8d597f3e190833216c4b29c4fb51ea3ca72757eeb958d6e7b49a845cf29f5c6019c7d29d029d1",
            "de73ad61d11a5c801b68d4bd6ec5248546085cefb0b25c85f3c46249ea93a3a4b120f92c0a8a58d7512cb77821884951a3b01245f3435dbbef49fff3cc3988b4",
        ];
        for vector in vectors {
            assert!(accepts("create", &format!("{CREATE}&checksum={vector}"), vector));
            let upper = vector.to_uppercase();
            assert!(accepts("create", &format!("checksum={upper}&{CREATE}"), &upper));
        }
        assert!(accepts(
            "hooks/create",
            "callbackURL=https%3A%2F%2Fcb.example%2Fx",
            "854eda86f15e5c55b3cda6c8bc97c3291b49f8ed"
        ));
    }

    #[test]
    fn the_checksum_is_cut_out_literally() {
        let empty = "2027baa7771026e9e93392f55031535d1444c41f";
        assert!(accepts("getMeetings", &format!("checksum={empty}"), empty));
        assert!(accepts("getMeetings", &format!("&checksum={empty}"), empty));
        let trailing = "f7852c67c1eecaa5348da05d5e8395b17f445f44";
        assert!(accepts("isMeetingRunning", &format!("meetingID=abc123&checksum={trailing}&"), trailing));
        let plain = "8478733ccb8695b8aaaff48b3c1e281a75a6f046";
        assert!(accepts("isMeetingRunning", &format!("meetingID=abc123&checksum={plain}"), plain));
        assert!(!accepts("isMeetingRunning", &format!("meetingID=abc123&checksum={plain}&"), plain));
    }

    #[test]
    fn a_form_may_be_signed_by_the_empty_rule_and_by_the_sorted_rule() {
        let form = Params::parse(&format!("{CREATE}&checksum=x"));
        let signed = |given: &str| {
            Signed { call: "create", raw_query: "", form: Some(&form), given: &[given] }.verify(SECRET, None)
        };
        assert!(signed("8a21c9b7e3b18541974c9e78c0d0bfa790c665eb").is_ok());
        assert!(signed("272c9555258496a3f19c5ad8f599af2a4ebec031381ff1e37b34842c42c12284").is_ok());
        assert!(signed("0b89c2ebcfefb76772cbcf19386c33561f66f6ae").is_ok());
        assert!(signed("1fcbb0c4fc1f039f73aa6d697d2db9ba7f803f17").is_err());
    }

    #[test]
    fn a_missing_a_doubled_and_an_unknown_checksum_are_refused() {
        let refuse =
            |given: &[&str]| match (Signed { call: "x", raw_query: "", form: None, given }).verify(SECRET, None) {
                Err(Failure::Key { message, .. }) => message.into_owned(),
                other => panic!("not refused: {other:?}"),
            };
        assert_eq!(refuse(&[]), "You must provide the checksum");
        assert_eq!(refuse(&[""]), "You must provide the checksum");
        assert_eq!(refuse(&["1", "1"]), "Checksums do not match");
        assert_eq!(refuse(&["abc"]), "Checksums do not match");
    }
}
