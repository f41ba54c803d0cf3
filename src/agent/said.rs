//! Messages of BBB that webhooks hear of, and what they are mapped with.

use serde_json::{Map, Value};

/// A message that webhooks hear of.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Said {
    /// BBB's name of it.
    pub(super) name: String,
    /// All of it.
    pub(super) whole: Value,
}

/// Whether webhooks hear of messages with this name.
pub(super) fn is_told(name: &str) -> bool {
    matches!(
        name,
        "MeetingCreatedEvtMsg"
            | "MeetingEndedEvtMsg"
            | "MeetingDestroyedEvtMsg"
            | "RecordingStatusChangedEvtMsg"
            | "ScreenshareRtmpBroadcastStartedEvtMsg"
            | "ScreenshareRtmpBroadcastStoppedEvtMsg"
            | "SetCurrentPresentationEvtMsg"
            | "UserJoinedMeetingEvtMsg"
            | "UserLeftMeetingEvtMsg"
            | "PresenterAssignedEvtMsg"
            | "PresenterUnassignedEvtMsg"
            | "UserEmojiChangedEvtMsg"
            | "UserReactionEmojiChangedEvtMsg"
            | "UserRaiseHandChangedEvtMsg"
            | "UserJoinedVoiceConfToClientEvtMsg"
            | "UserLeftVoiceConfToClientEvtMsg"
            | "UserMutedVoiceEvtMsg"
            | "UserBroadcastCamStartedEvtMsg"
            | "UserBroadcastCamStoppedEvtMsg"
            | "GroupChatMessageBroadcastEvtMsg"
            | "PadContentEvtMsg"
            | "PollStartedEvtMsg"
            | "UserRespondedToPollRespMsg"
            | "TranscriptUpdatedEvtMsg"
    )
}

/// An object of the fields that are there.
pub(super) fn present<'v>(fields: impl IntoIterator<Item = (&'v str, &'v Value)>) -> Value {
    let mut object = Value::Object(Map::new());
    set(&mut object, fields);
    object
}

pub(super) fn set<'v>(object: &mut Value, fields: impl IntoIterator<Item = (&'v str, &'v Value)>) {
    for (field, value) in fields.into_iter().filter(|(_, value)| !value.is_null()) {
        object[field] = value.clone();
    }
}
