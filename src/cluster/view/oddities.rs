//! What a node reports that an operator should look at.

use b3scale_middleware::cluster::{BackendId, MeetingState};

use super::{Known, View};

/// Meetings in a node's last report that are not as they should be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::cluster) struct Oddities {
    /// Their entries cannot be read.
    pub(in crate::cluster) unreadable: u32,
    /// They belong to no frontend.
    pub(in crate::cluster) strays: u32,
    /// They live on another node, and people are in them here.
    pub(in crate::cluster) occupied_copies: u32,
}

impl Oddities {
    /// A sentence for each kind there is.
    pub(in crate::cluster) fn remarks(self) -> impl Iterator<Item = String> {
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
    /// What is odd in the last report of a node.
    pub(in crate::cluster) fn oddities(&self, backend: BackendId) -> Oddities {
        let mut odd = Oddities::default();
        let Some(report) = self.reports.get(&backend).map(|report| report.clone()) else { return odd };
        for (id, reported) in report.own_meetings() {
            odd.unreadable += u32::from(reported.entry.is_none());
            match self.meeting(id.as_ref()) {
                Known::There(meeting) if meeting.backend == backend => {}
                Known::There(meeting) => {
                    let is_copy = meeting.state != MeetingState::Detached && reported.attendees > 0;
                    odd.occupied_copies += u32::from(is_copy);
                }
                Known::Absent | Known::Unknown => odd.strays += 1,
            }
        }
        odd
    }
}
