//! Tokens of callbacks: the last segment of an address of ours, which a node gets in place of a frontend's URL.
//!
//! A token cannot be guessed, and is bound to the kind of a callback, its meeting and its node. It is found by its row. A server
//! that is lost after a create and before its row leaves a token without one: the signature then tells which callback of the meeting
//! it belongs to.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac::{self, HMAC_SHA256, Key};
use b3scale_middleware::cluster::{BackendId, CallbackKind};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// The purpose of the derived key. No other token of the cluster is signed with that key.
const LABEL: &[u8] = b"b3scale callback tokens 1";

const VERSION: u8 = 1;
/// Bytes that make tokens of one callback differ. The signature makes them unguessable.
const NONCE: usize = 12;
/// Kept bytes of the signature.
const SIGNATURE: usize = 18;
const LENGTH: usize = 2 + NONCE + SIGNATURE;

/// Makes tokens and checks them. All servers of a cluster have the same secret, and so take each other's tokens.
pub(super) struct CallbackTokens(Key);

impl CallbackTokens {
    /// Tokens signed with a key derived from the cluster's secret.
    pub(super) fn new(secret: &[u8]) -> Self {
        let derived = hmac::sign(&Key::new(HMAC_SHA256, secret), LABEL);
        Self(Key::new(HMAC_SHA256, derived.as_ref()))
    }

    /// A token for a callback of a meeting on a node.
    pub(super) fn issue(&self, kind: CallbackKind, meeting: &str, backend: BackendId, nonce: [u8; NONCE]) -> String {
        let mut bytes = vec![VERSION, kind as u8];
        bytes.extend(nonce);
        let signature = self.signature(&bytes, meeting, backend);
        bytes.extend(signature);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Whether a token was issued for a callback of that kind, of that meeting, on that node.
    pub(super) fn holds(&self, token: &str, kind: CallbackKind, meeting: &str, backend: BackendId) -> bool {
        let Some(bytes) = parse(token).filter(|bytes| bytes[1] == kind as u8) else { return false };
        let (signed, signature) = bytes.split_at(2 + NONCE);
        verify_slices_are_equal(&self.signature(signed, meeting, backend), signature).is_ok()
    }

    /// The kind of callback that a token says it is for. `None`: it is no token of this form.
    pub(super) fn kind(token: &str) -> Option<CallbackKind> {
        let bytes = parse(token)?;
        CallbackKind::ALL.into_iter().find(|kind| *kind as u8 == bytes[1])
    }

    fn signature(&self, signed: &[u8], meeting: &str, backend: BackendId) -> [u8; SIGNATURE] {
        // All parts but the last have a known length.
        let text = [b"callback", signed, backend.0.as_bytes(), meeting.as_bytes()].concat();
        let mut kept = [0; SIGNATURE];
        kept.copy_from_slice(&hmac::sign(&self.0, &text).as_ref()[..SIGNATURE]);
        kept
    }
}

fn parse(token: &str) -> Option<[u8; LENGTH]> {
    let bytes: [u8; LENGTH] = URL_SAFE_NO_PAD.decode(token).ok()?.try_into().ok()?;
    (bytes[0] == VERSION).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const NODE: BackendId = BackendId(Uuid::from_u128(1));

    #[test]
    fn a_token_belongs_to_one_kind_one_meeting_and_one_node() {
        let tokens = CallbackTokens::new(b"secret");
        for issued in CallbackKind::ALL {
            let token = tokens.issue(issued, "m1", NODE, [7; NONCE]);
            assert_eq!(token.len(), 43);
            assert_eq!(CallbackTokens::kind(&token), Some(issued));
            for kind in CallbackKind::ALL {
                assert_eq!(tokens.holds(&token, kind, "m1", NODE), kind == issued);
            }
            assert!(!tokens.holds(&token, issued, "m2", NODE));
            assert!(!tokens.holds(&token, issued, "m1", BackendId(Uuid::from_u128(2))));
            assert!(!CallbackTokens::new(b"other").holds(&token, issued, "m1", NODE));
        }
    }

    #[test]
    fn a_changed_cut_or_made_up_token_holds_for_nothing() {
        let tokens = CallbackTokens::new(b"secret");
        let token = tokens.issue(CallbackKind::End, "m1", NODE, [7; NONCE]);
        let mut forged = vec![String::new(), format!("{token}="), format!("{token}A"), "A".repeat(43), "..".to_owned()];
        forged.extend((0..token.len()).map(|length| token[..length].to_owned()));
        forged.extend((0..token.len()).map(|at| {
            let letter = if token.as_bytes()[at] == b'A' { "E" } else { "A" };
            format!("{}{letter}{}", &token[..at], &token[at + 1..])
        }));
        for token in forged {
            let holds = |kind| tokens.holds(&token, kind, "m1", NODE);
            assert!(!CallbackKind::ALL.into_iter().any(holds), "{token}");
        }
    }
}
