//! A link: a join that does not say who comes.

use sha2::{Digest, Sha256};

use crate::bbb::{Params, clean};

/// A join without a `userID`, recognized when it is opened again. Neither digest shows its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// Of all its parameters but the checksum, in any order: signing a link in another way makes no other link.
    pub digest: [u8; 32],
    /// Of the name under which the attendee joins.
    pub name: [u8; 32],
}

impl Link {
    /// The link with these parameters.
    pub fn of(params: &Params) -> Self {
        let mut pairs: Vec<_> = params.iter().filter(|(name, _)| *name != "checksum").collect();
        pairs.sort_unstable();
        let mut digest = Sha256::new();
        for text in pairs.into_iter().flat_map(|(name, value)| [name, value]) {
            digest.update((text.len() as u64).to_be_bytes());
            digest.update(text);
        }
        let name = clean(params.first("fullName").unwrap_or_default());
        Self { digest: digest.finalize().into(), name: Sha256::digest(&*name).into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_the_same_in_any_order_and_by_any_checksum() {
        let link = |query: &str| Link::of(&Params::parse(query));
        let guest = link("meetingID=m1&fullName=Guest&checksum=1");
        assert_eq!(guest, link("fullName=Guest&checksum=2&meetingID=m1"));
        assert_ne!(guest.digest, link("meetingID=m1&fullName=Guest&role=MODERATOR").digest);
        assert_ne!(link("a=bc").digest, link("ab=c").digest);
        assert_eq!(guest.name, link("fullName=Guest").name);
    }
}
