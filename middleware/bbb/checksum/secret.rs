//! The secret a checksum is made with.

use std::fmt;

use subtle::ConstantTimeEq;

/// A shared secret. It is never empty, is not printed, and compares in constant time.
#[derive(Clone)]
pub struct Secret(Box<str>);

impl Secret {
    /// Takes a secret without the white space around it, which is a common slip. None if nothing is left:
    /// an empty secret would let any client in.
    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        (!text.is_empty()).then(|| Self(text.into()))
    }

    /// The secret itself. Not for logs, metrics or messages.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
    }
}

impl Eq for Secret {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_trimmed_and_never_empty() {
        assert_eq!(Secret::new(" s3cret\n").expect("not empty").expose(), "s3cret");
        assert!(Secret::new(" \t ").is_none());
        assert!(Secret::new("").is_none());
    }

    #[test]
    fn a_secret_is_not_printed() {
        assert_eq!(format!("{:?}", Secret::new("s3cret")), "Some(Secret(…))");
    }

    #[test]
    fn secrets_compare_by_their_text() {
        assert_eq!(Secret::new("a"), Secret::new(" a "));
        assert_ne!(Secret::new("a"), Secret::new("ab"));
    }
}
