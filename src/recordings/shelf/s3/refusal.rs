//! What a bucket's server refuses, in its own words.

use std::error::Error;

use crate::net::causes::chain;

/// The words of a server's answer. The words of the client are left out: they name the address, and an address may hold any word.
pub(in crate::recordings) struct Refusal(String);

impl Refusal {
    /// The answer behind an error. Without an answer it is the reason of the connection.
    pub(in crate::recordings) fn of(error: &(dyn Error + 'static)) -> Self {
        Self(chain(error).last().map(ToString::to_string).unwrap_or_default())
    }

    /// Whether there is no room left. The servers have no common code for it.
    pub(in crate::recordings) fn is_full(&self) -> bool {
        let codes = ["InsufficientStorage", "StorageFull", "QuotaExceeded", "NoSpace"];
        self.0.contains("507 Insufficient Storage") || codes.iter().any(|code| self.code().ends_with(code))
    }

    /// Whether the same request will be refused again: the bucket is not there, or the key may not use it.
    pub(in crate::recordings) fn is_final(&self) -> bool {
        ["NoSuchBucket", "AccessDenied", "SignatureDoesNotMatch", "InvalidAccessKeyId"].contains(&self.code())
    }

    /// The code of an answer in S3's form, else nothing.
    fn code(&self) -> &str {
        let code = self.0.split_once("<Code>").and_then(|(_, rest)| rest.split_once("</Code>"));
        code.map_or("", |(code, _)| code)
    }
}
