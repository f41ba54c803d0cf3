//! A whole list of meetings.

use std::collections::HashMap;
use std::sync::Arc;

use b3scale_middleware::bbb::xml;
use b3scale_middleware::cluster::Meeting;
use bytes::Bytes;

use super::View;

impl View {
    /// Entries of some meetings of one frontend. A parent reported before its breakout has it, too.
    pub(crate) fn list(&self, meetings: &[Arc<Meeting>]) -> Vec<Bytes> {
        let breakouts = self.young_breakouts(meetings);
        let entry = |meeting: &Arc<Meeting>| {
            let entry = self.entry(meeting)?;
            let own = meeting.internal_id.as_ref().and_then(|id| breakouts.get(id));
            Some(own.and_then(|own| xml::with_breakouts(&entry, own).ok()).unwrap_or(entry))
        };
        meetings.iter().filter_map(entry).collect()
    }

    /// The frontend's ids of breakouts that no report has yet, by the internal ids of their parents.
    fn young_breakouts(&self, meetings: &[Arc<Meeting>]) -> HashMap<String, Vec<String>> {
        let mut breakouts: HashMap<String, Vec<String>> = HashMap::new();
        for young in meetings.iter().filter(|one| one.size.breakout && self.report_of(one).is_none()) {
            let parent =
                self.young_entry(young).and_then(|entry| xml::fields(&entry.element, ["parentMeetingID"]).ok());
            if let Some([Some(parent)]) = parent {
                breakouts.entry(parent).or_default().push(young.meeting_id.to_string());
            }
        }
        breakouts
    }
}
