//! Tickets: signed permissions to open a protected recording, without a cookie and without a row.
//!
//! A ticket is one segment of a path: its expiry, a dot, and a signature over its use, tenant, recording, format, epoch and expiry.
//! So it opens nothing else, any server checks it from memory, and a raised epoch ends it. It may be used many times: mail
//! scanners, double clicks and the back button open a link again.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::hmac::{self, HMAC_SHA256, Key};
use b3scale_middleware::cluster::{FrontendId, RecordId};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// The purpose of the derived key. No other token of the cluster is signed with that key.
const LABEL: &[u8] = b"b3scale recording tickets 1";

/// The use of a ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// In a link of a list. It leads to the player, and opens no file.
    Link = 1,
    /// In the path of the files.
    Play = 2,
    /// In a cookie, for the files of all formats.
    Cookie = 3,
    /// In the path of a thumbnail, and of no other file.
    Thumbnail = 4,
    /// In the path of a text track. The format is its kind and language.
    Track = 5,
}

impl Purpose {
    /// How long a ticket of that use is valid. Links are opened from pages that stay open for a while, and files are fetched for
    /// as long as the recording is watched. Thumbnails are shown by pages that keep a list.
    pub const fn lifetime(self) -> Duration {
        match self {
            Self::Link | Self::Track => Duration::from_hours(1),
            Self::Play | Self::Cookie => Duration::from_hours(8),
            Self::Thumbnail => Duration::from_hours(24),
        }
    }
}

/// The subject of a ticket.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The tenant of the recording.
    pub frontend: FrontendId,
    /// The recording.
    pub record: &'a RecordId,
    /// The recording's epoch.
    pub epoch: i32,
    /// The format. Empty in cookies.
    pub format: &'a str,
}

/// Issues tickets and checks them. All servers of a cluster have the same secret, and so take each other's tickets.
pub struct Tickets(Key);

impl Tickets {
    /// Tickets signed with a key derived from the cluster's secret.
    pub fn new(secret: &[u8]) -> Self {
        let derived = hmac::sign(&Key::new(HMAC_SHA256, secret), LABEL);
        Self(Key::new(HMAC_SHA256, derived.as_ref()))
    }

    /// A ticket for a subject, valid from now on for the lifetime of its use.
    pub fn issue(&self, purpose: Purpose, subject: Subject<'_>, now: SystemTime) -> String {
        let expiry = seconds(now) + purpose.lifetime().as_secs();
        let signature = hmac::sign(&self.0, &signed(purpose, subject, expiry));
        format!("{expiry}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// Whether a ticket has that use, was issued for that subject, and has not expired.
    pub fn admits(&self, ticket: &str, purpose: Purpose, subject: Subject<'_>, now: SystemTime) -> bool {
        let Some((expiry, signature)) = parse(ticket) else { return false };
        let is_ours = hmac::verify(&self.0, &signed(purpose, subject, expiry), &signature).is_ok();
        is_ours && seconds(now) < expiry
    }

    /// Whether a segment of a path has the form of a ticket. No id of a recording has.
    pub fn is_like(segment: &str) -> bool {
        parse(segment).is_some()
    }
}

/// The expiry, in seconds since 1970, and the signature.
fn parse(ticket: &str) -> Option<(u64, [u8; 32])> {
    let (expiry, signature) = ticket.split_once('.')?;
    // One text for one expiry: no sign, no zeros in front.
    let expiry = expiry.parse().ok().filter(|parsed: &u64| parsed.to_string() == expiry)?;
    Some((expiry, URL_SAFE_NO_PAD.decode(signature).ok()?.try_into().ok()?))
}

/// The signed bytes. All parts but the last have a known length.
fn signed(purpose: Purpose, subject: Subject<'_>, expiry: u64) -> Vec<u8> {
    let Subject { frontend, record, epoch, format } = subject;
    let record = record.as_str().as_bytes();
    let (expiry, epoch, length) = (expiry.to_be_bytes(), epoch.to_be_bytes(), (record.len() as u64).to_be_bytes());
    let parts: [&[u8]; 7] =
        [&[purpose as u8], &expiry, frontend.0.as_bytes(), &epoch, &length, record, format.as_bytes()];
    parts.concat()
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const RECORD: &str = "0123456789012345678901234567890123456789-1700000000000";

    const PURPOSES: [Purpose; 5] = [Purpose::Link, Purpose::Play, Purpose::Cookie, Purpose::Thumbnail, Purpose::Track];

    fn now() -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_700_000_000)
    }

    fn record(id: &str) -> RecordId {
        RecordId::new(id).unwrap()
    }

    fn subject(record: &RecordId) -> Subject<'_> {
        Subject { frontend: FrontendId(Uuid::from_u128(1)), record, epoch: 3, format: "video" }
    }

    #[test]
    fn a_ticket_admits_again_and_again_until_it_expires() {
        let (tickets, id) = (Tickets::new(b"secret"), record(RECORD));
        for purpose in PURPOSES {
            let ticket = tickets.issue(purpose, subject(&id), now());
            let admits = |at| tickets.admits(&ticket, purpose, subject(&id), at);
            let end = now() + purpose.lifetime();
            assert!(admits(now()) && admits(now()) && admits(end - Duration::from_secs(1)), "{purpose:?}");
            assert!(!admits(end) && !admits(end + Duration::from_hours(1)), "{purpose:?}");
        }
    }

    #[test]
    fn another_server_takes_it_and_another_cluster_does_not() {
        let id = record(RECORD);
        let ticket = Tickets::new(b"secret").issue(Purpose::Play, subject(&id), now());
        let admits = |secret: &[u8]| Tickets::new(secret).admits(&ticket, Purpose::Play, subject(&id), now());
        assert!(admits(b"secret"));
        assert!(!admits(b"secre") && !admits(b""));
    }

    #[test]
    fn a_ticket_has_one_use_one_tenant_one_recording_one_epoch_and_one_format() {
        let (tickets, id) = (Tickets::new(b"secret"), record(RECORD));
        for issued in PURPOSES {
            let ticket = tickets.issue(issued, subject(&id), now());
            for wanted in PURPOSES {
                assert_eq!(tickets.admits(&ticket, wanted, subject(&id), now()), wanted == issued);
            }
        }
        let ticket = tickets.issue(Purpose::Play, subject(&id), now());
        let sibling = record("0123456789012345678901234567890123456789-1700000000001");
        let others = [
            Subject { frontend: FrontendId(Uuid::from_u128(2)), ..subject(&id) },
            Subject { record: &sibling, ..subject(&id) },
            Subject { epoch: 4, ..subject(&id) },
            Subject { format: "podcast", ..subject(&id) },
            Subject { format: "", ..subject(&id) },
        ];
        for other in others {
            assert!(!tickets.admits(&ticket, Purpose::Play, other, now()), "{other:?}");
        }
    }

    #[test]
    fn no_letter_moves_between_recording_and_format() {
        let (tickets, short, long) = (Tickets::new(b"secret"), record("a-1"), record("a-1v"));
        let ticket = tickets.issue(Purpose::Play, Subject { format: "video", ..subject(&short) }, now());
        assert!(!tickets.admits(&ticket, Purpose::Play, Subject { format: "ideo", ..subject(&long) }, now()));
    }

    #[test]
    fn a_changed_cut_or_made_up_ticket_admits_nothing() {
        let (tickets, id) = (Tickets::new(b"secret"), record(RECORD));
        let ticket = tickets.issue(Purpose::Play, subject(&id), now());
        let (expiry, signature) = ticket.split_once('.').unwrap();
        let mut forged = vec![
            String::new(),
            ".".to_owned(),
            "..".to_owned(),
            RECORD.to_owned(),
            ticket.to_uppercase(),
            format!("{ticket}="),
            format!("{ticket}A"),
            format!(" {ticket}"),
            format!("+{ticket}"),
            format!("0{ticket}"),
            format!("-{ticket}"),
            format!("{expiry}.{ticket}"),
            format!("{}.{signature}", u64::MAX),
            format!("{}0.{signature}", u64::MAX),
            format!("{expiry}.{}", "A".repeat(43)),
            "1".repeat(100_000),
        ];
        forged.extend((0..ticket.len()).map(|length| ticket[..length].to_owned()));
        forged.extend((0..ticket.len()).map(|at| {
            let letter = if ticket.as_bytes()[at] == b'A' { "E" } else { "A" };
            format!("{}{letter}{}", &ticket[..at], &ticket[at + 1..])
        }));
        for ticket in forged {
            assert!(!tickets.admits(&ticket, Purpose::Play, subject(&id), now()), "{ticket}");
        }
    }

    #[test]
    fn a_ticket_is_a_segment_that_no_recording_has_for_its_id() {
        let (tickets, id) = (Tickets::new(b"secret"), record(RECORD));
        let ticket = tickets.issue(Purpose::Play, subject(&id), now());
        assert!(ticket.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)), "{ticket}");
        assert!(Tickets::is_like(&ticket) && !Tickets::is_like(RECORD));
        assert_eq!(RecordId::new(&ticket), None);
    }
}
