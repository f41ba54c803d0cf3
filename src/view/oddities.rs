//! Oddities in a node's report that concern operators.

use std::sync::Arc;
use std::time::SystemTime;

use b3scale_middleware::cluster::BackendId;

use super::View;
use super::strays::Other;

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

impl View {
    /// Oddities in the last report of a node.
    pub(crate) fn oddities(&self, backend: BackendId) -> Oddities {
        let Some(report) = self.reports.get(&backend).map(|report| Arc::clone(&report)) else {
            return Oddities::default();
        };
        let unreadable = report.own_meetings().filter(|(_, reported)| reported.entry.is_none()).count();
        let mut odd = Oddities { unreadable: u32::try_from(unreadable).unwrap_or(u32::MAX), ..Oddities::default() };
        for (_, reported, other) in self.others(backend, &report) {
            match other {
                Other::Stray => odd.strays += 1,
                Other::Copy => odd.occupied_copies += u32::from(reported.attendees > 0),
                Other::Homeless => {}
            }
        }
        odd
    }

    /// When a node was asked that then ran nothing but what lives there. `None`: it ran something else, or copies with people, or
    /// did not say all that it ran.
    pub(crate) fn clear_since(&self, backend: BackendId) -> Option<SystemTime> {
        let Some(report) = self.reports.get(&backend).map(|report| Arc::clone(&report)) else {
            return Some(SystemTime::UNIX_EPOCH);
        };
        let odd = self.oddities(backend);
        (report.is_complete && odd.strays == 0 && odd.occupied_copies == 0).then(|| report.holds_since())
    }
}
