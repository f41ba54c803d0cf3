//! Checksums: of calls from frontends, and of ours to nodes.
//!
//! A checksum is the plain hash of the call's name, its raw query without the checksum, and the secret.

mod algorithm;
mod secret;

use subtle::{Choice, ConstantTimeEq};

use super::params;
use algorithm::Digest;

pub use algorithm::{Algorithm, Algorithms, UnknownAlgorithm};
pub use secret::Secret;

/// Signs a call, in lower-case hex. `query` must be sent exactly as it is given here.
pub fn sign(algorithm: Algorithm, call: &str, query: &str, secret: &Secret) -> String {
    Digest::of(algorithm, [call, query, secret.expose()]).hex()
}

/// The text that a checksum may cover, as it was received.
#[derive(Clone, Copy)]
pub struct Signed<'a> {
    /// The query without the leading `?`, neither decoded nor changed.
    pub query: &'a str,
    /// The body, if it is a form.
    pub form: Option<&'a str>,
}

/// Why a call is not to be trusted. Clients see [`Missing`](Self::Missing) or a mismatch. The log names the reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChecksumError {
    /// There is no checksum, or an empty one.
    #[error("there is none")]
    Missing,
    /// There is more than one, or its name is encoded.
    #[error("it is given twice, or its name is encoded")]
    Ambiguous,
    /// No algorithm gives such a text.
    #[error("it does not have the digits of any algorithm")]
    Unreadable,
    /// The algorithm is not allowed.
    #[error("its algorithm {0} is not allowed")]
    NotAllowed(Algorithm),
    /// It holds and covers no parameter, and such are not accepted.
    #[error("it covers no parameter, and `constant-checksum` is false")]
    Constant,
    /// It is not what any of the secrets gives.
    #[error("it was made with another secret or of another query")]
    Mismatch,
}

/// The algorithms that a frontend may use.
#[derive(Clone, Copy, Debug)]
pub struct Accepted {
    /// The algorithms.
    pub algorithms: Algorithms,
    /// Whether the checksum of a form without a query need not cover its parameters, as BBB 3.0 has it: it is the same for
    /// every call of that name.
    pub constant: bool,
}

/// The part of a call that a valid checksum covers. The rest must not decide the call's frontend or rights.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Covered {
    /// The query, and nothing of its form.
    Query,
    /// A form. Its parameters are read from this text: any form with the same checksum means the same.
    Form(String),
    /// Nothing of a form that has no query.
    Nothing,
}

/// Proof that a checksum holds. Only [`verify`] makes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verified(());

/// Checks that a call was signed with one of the secrets. Returns the proof, and which part of the call was signed.
///
/// How long a refusal takes does not tell how many secrets there are, which algorithms are accepted, or how wrong the
/// checksum is: the same is hashed for all. A frontend that has one secret gives it twice.
///
/// With an empty query three readings of a form are accepted: BBB 3.0 signs nothing, BBB 2.5 the sorted parameters,
/// and some clients the body as it is. Next to a query the form is not signed.
///
/// # Errors
///
/// [`ChecksumError`] has the reason.
pub fn verify(
    call: &str,
    signed: Signed<'_>,
    secrets: [&Secret; 2],
    accepted: Accepted,
) -> Result<(Verified, Covered), ChecksumError> {
    let claimed = signed.claim()?;
    let holds = |[head, tail]: [&str; 2]| {
        let made = Digest::of_each(claimed.algorithm(), [call, head, tail], secrets.map(Secret::expose));
        made.iter().fold(Choice::from(0), |held, made| held | made.as_ref().ct_eq(claimed.as_ref()))
    };
    let found = |holds: Choice, covered: Covered| bool::from(holds).then_some(covered);
    let allowed = |covered: Covered| match (accepted.algorithms.contains(claimed.algorithm()), &covered) {
        (false, _) => Err(ChecksumError::NotAllowed(claimed.algorithm())),
        (true, Covered::Nothing) if !accepted.constant => Err(ChecksumError::Constant),
        (true, _) => Ok((Verified(()), covered)),
    };

    let query = without_checksum(signed.query);
    let by_query = holds(query);
    let Some(form) = signed.form.filter(|_| query.concat().is_empty()) else {
        return found(by_query, Covered::Query).ok_or(ChecksumError::Mismatch).and_then(allowed);
    };
    let as_it_is = without_checksum(form).concat();
    let sorted = sorted_form(form).unwrap_or_default();
    let (by_form, by_sorted) =
        (holds([&as_it_is, ""]), holds([&sorted, ""]) & Choice::from(u8::from(!sorted.is_empty())));
    found(by_form, Covered::Form(as_it_is))
        .or_else(|| found(by_sorted, Covered::Form(sorted)))
        .or_else(|| found(by_query, Covered::Nothing))
        .ok_or(ChecksumError::Mismatch)
        .and_then(allowed)
}

impl Signed<'_> {
    /// The one checksum of the call, wherever it stands.
    fn claim(&self) -> Result<Digest, ChecksumError> {
        let is_named_so = |item: &&str| params::decode(item.split('=').next().unwrap_or_default()) == "checksum";
        let mut claims =
            [Some(self.query), self.form].into_iter().flatten().flat_map(params::items).filter(is_named_so);
        let item = claims.next().ok_or(ChecksumError::Missing)?;
        // A checksum with an encoded name would not be cut out.
        if claims.next().is_some() || !is_checksum(&item) {
            return Err(ChecksumError::Ambiguous);
        }
        let value = item.split_once('=').map_or("", |(_, value)| value);
        let decoded = params::decode(value);
        match params::clean(&decoded).as_ref() {
            "" => Err(ChecksumError::Missing),
            claim => Digest::parse(claim).ok_or(ChecksumError::Unreadable),
        }
    }
}

/// The text before and after the checksum. Joined, they are the covered text.
///
/// BBB replaces `&checksum=VALUE`, then `checksum=VALUE&`, then `checksum=VALUE` by nothing. Cutting by position gives
/// the same text for every checksum that a client can compute, even with percent-encoded digits.
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

/// A form as BBB 2.5 signs it: ordered by name, values encoded as Java does, names not encoded. None if a name holds what
/// would let the same text be read as other parameters.
fn sorted_form(body: &str) -> Option<String> {
    let items = params::items(body).filter(|item| !is_checksum(item));
    let pairs = items.map(|item| item.split_once('=').unwrap_or((item, "")));
    let mut pairs: Vec<_> = pairs.map(|(name, value)| (params::decode(name), value)).collect();
    if pairs.iter().any(|(name, _)| name.contains(['=', '&', '%', '+'])) {
        return None;
    }
    pairs.sort_by(|(one, _), (other, _)| one.cmp(other));
    let mut text = String::with_capacity(body.len());
    for (name, value) in pairs {
        if !text.is_empty() {
            text.push('&');
        }
        text.push_str(&name);
        text.push('=');
        text.push_str(&params::java_encode(&params::decode(value)));
    }
    Some(text)
}

#[cfg(test)]
mod tests;
