//! Checksums: what a frontend signs a call with, and what we sign ours to a node with.
//!
//! A checksum is the plain hash of the call's name, its raw query without the checksum, and the secret.

mod algorithm;
mod secret;

use subtle::ConstantTimeEq;

use super::params;
use algorithm::Digest;

pub use algorithm::{Algorithm, Algorithms};
pub use secret::Secret;

/// Signs a call, in lower-case hex. `query` must be sent exactly as it is given here.
pub fn sign(algorithm: Algorithm, call: &str, query: &str, secret: &Secret) -> String {
    Digest::of(algorithm, [call, query, secret.expose()]).hex()
}

/// What a checksum may cover, as it was received.
#[derive(Clone, Copy)]
pub struct Signed<'a> {
    /// The query without the leading `?`, neither decoded nor changed.
    pub query: &'a str,
    /// The body, if it is a form.
    pub form: Option<&'a str>,
}

/// Why a call is not to be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChecksumError {
    /// There is no checksum, or an empty one.
    #[error("You must provide the checksum")]
    Missing,
    /// It is not what any of the secrets gives, of an algorithm that is not allowed, or there is more than one.
    #[error("Checksums do not match")]
    Mismatch,
}

/// Checks that a call was signed with one of the secrets, in time that does not depend on how wrong it is.
///
/// With an empty query three readings of a form are accepted: BBB 3.0 signs nothing, BBB 2.5 the sorted parameters,
/// and some clients the body as it is. Next to a query the form is not signed.
///
/// # Errors
///
/// [`ChecksumError`] says whether there was a checksum at all.
pub fn verify<'s>(
    call: &str,
    signed: Signed<'_>,
    mut secrets: impl Iterator<Item = &'s Secret>,
    allowed: Algorithms,
) -> Result<(), ChecksumError> {
    let claimed = signed.claim()?;
    if !allowed.contains(claimed.algorithm()) {
        return Err(ChecksumError::Mismatch);
    }

    let query = without_checksum(signed.query);
    let form = signed.form.filter(|_| is_empty(query));
    let sorted = form.map(sorted_form);
    let readings = [Some(query), form.map(without_checksum), sorted.as_deref().map(|text| [text, ""])];
    let matches = |secret: &Secret| {
        readings.iter().flatten().any(|[head, tail]| {
            let expected = Digest::of(claimed.algorithm(), [call, head, tail, secret.expose()]);
            expected.as_ref().ct_eq(claimed.as_ref()).into()
        })
    };
    if secrets.any(matches) { Ok(()) } else { Err(ChecksumError::Mismatch) }
}

impl Signed<'_> {
    /// The one checksum of the call, wherever it stands.
    fn claim(&self) -> Result<Digest, ChecksumError> {
        let mut claims =
            [Some(self.query), self.form].into_iter().flatten().flat_map(params::items).filter(is_checksum);
        let item = claims.next().ok_or(ChecksumError::Missing)?;
        if claims.next().is_some() {
            return Err(ChecksumError::Mismatch);
        }
        let value = item.split_once('=').map_or("", |(_, value)| value);
        let decoded = params::decode(value);
        match params::clean(&decoded).as_ref() {
            "" => Err(ChecksumError::Missing),
            claim => Digest::parse(claim).ok_or(ChecksumError::Mismatch),
        }
    }
}

/// The text before and behind the checksum, which taken together are what it covers.
///
/// BBB replaces `&checksum=VALUE`, then `checksum=VALUE&`, then `checksum=VALUE` by nothing. Cutting by position gives
/// the same text for every checksum that a client can compute, and also for one whose digits are percent-encoded.
fn without_checksum(text: &str) -> [&str; 2] {
    let mut start = 0;
    for item in text.split('&') {
        let end = start + item.len();
        if is_checksum(&item) {
            return match start.checked_sub(1) {
                Some(before) => [&text[..before], &text[end..]],
                None => ["", text[end..].strip_prefix('&').unwrap_or_default()],
            };
        }
        start = end + 1;
    }
    [text, ""]
}

fn is_checksum(item: &&str) -> bool {
    item.strip_prefix("checksum").is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
}

fn is_empty(parts: [&str; 2]) -> bool {
    parts.iter().all(|part| part.is_empty())
}

/// A form as BBB 2.5 signs it: ordered by name, values encoded as Java does, names not encoded.
fn sorted_form(body: &str) -> String {
    let items = params::items(body).filter(|item| !is_checksum(item));
    let mut pairs: Vec<_> = items.map(|item| item.split_once('=').unwrap_or((item, ""))).collect();
    pairs.sort_by_cached_key(|(name, _)| params::decode(name).into_owned());
    let mut text = String::with_capacity(body.len());
    for (name, value) in pairs {
        if !text.is_empty() {
            text.push('&');
        }
        text.push_str(&params::decode(name));
        text.push('=');
        text.push_str(&params::java_encode(&params::decode(value)));
    }
    text
}

#[cfg(test)]
mod tests;
