//! Oddities in a node's report, for its operator.

/// Meetings in a node's last report that are not as they should be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Oddities {
    /// Their entries cannot be read.
    pub(crate) unreadable: u32,
    /// They belong to no frontend.
    pub(crate) strays: u32,
    /// They live on another node, and people are in them here.
    pub(crate) occupied_copies: u32,
}

impl Oddities {
    /// A sentence for each kind there is.
    pub(crate) fn remarks(self) -> impl Iterator<Item = String> {
        let counts = [
            (self.unreadable, "meeting in its list is unreadable", "meetings in its list are unreadable"),
            (self.strays, "meeting of no frontend runs there", "meetings of no frontend run there"),
            (
                self.occupied_copies,
                "meeting with people there lives elsewhere",
                "meetings with people there live elsewhere",
            ),
        ];
        let there = counts.into_iter().filter(|(count, ..)| *count > 0);
        there.map(|(count, one, many)| format!("{count} {}", if count == 1 { one } else { many }))
    }
}
