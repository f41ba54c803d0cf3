//! People see the same words as programs.

use std::fmt;

use serde::Serialize;

use super::{AdminState, ChangeKind, CommandState, MeetingStage, NodeState, Verdict};

macro_rules! worded {
    ($($name:ident),+) => { $(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.serialize(f)
            }
        }
    )+ };
}

worded!(AdminState, ChangeKind, CommandState, MeetingStage, NodeState, Verdict);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_spelt_as_in_json() {
        assert_eq!(AdminState::Decommissioned.to_string(), "decommissioned");
        assert_eq!([MeetingStage::Live, MeetingStage::Ending].map(|stage| stage.to_string()), ["live", "ending"]);
    }
}
