//! What only webhooks hear of: chat, slides, polls, pads, hands, and the progress of recordings.

use serde_json::{Value, json};

use super::{CHAT, PRESENTATIONS, PROGRESS, Unsaid};
use crate::meeting::{Attendee, Meeting};
use crate::wall_clock_ms;

impl Unsaid {
    /// A message in a chat, `MAIN-PUBLIC-GROUP-CHAT` being everyone's.
    pub(crate) fn chat(&mut self, meeting: &Meeting, attendee: &Attendee, chat: &str, text: &str) {
        let (id, at) = (&attendee.internal_id, wall_clock_ms());
        let sender = json!({ "id": id, "name": attendee.name, "role": super::role(attendee.role) });
        let body = || {
            json!({ "chatId": chat, "msg": {
                "id": format!("{at}-chat"), "timestamp": at, "correlationId": format!("{id}-{at}"), "sender": sender,
                "chatEmphasizedText": true, "message": text, "metadata": {}, "replyToMessageId": "",
            } })
        };
        self.within_on(CHAT, "GroupChatMessageBroadcastEvtMsg", meeting, id, body);
    }

    pub(crate) fn emoji(&mut self, meeting: &Meeting, attendee: &Attendee, emoji: &str) {
        let id = &attendee.internal_id;
        self.within("UserReactionEmojiChangedEvtMsg", meeting, id, || json!({ "userId": id, "reactionEmoji": emoji }));
    }

    pub(crate) fn hand(&mut self, meeting: &Meeting, attendee: &Attendee, raised: bool) {
        let id = &attendee.internal_id;
        self.within("UserRaiseHandChangedEvtMsg", meeting, id, || json!({ "userId": id, "raiseHand": raised }));
    }

    pub(crate) fn muted(&mut self, meeting: &Meeting, attendee: &Attendee, muted: bool) {
        let id = &attendee.internal_id;
        let body = || json!({ "voiceConf": meeting.voice_bridge, "intId": id, "voiceUserId": id, "muted": muted });
        self.within("UserMutedVoiceEvtMsg", meeting, id, body);
    }

    /// Without the sharing user, as BBB before 3.0.11.
    pub(crate) fn screen(&mut self, meeting: &Meeting, on: bool) {
        let name = if on { "ScreenshareRtmpBroadcastStartedEvtMsg" } else { "ScreenshareRtmpBroadcastStoppedEvtMsg" };
        let body = || {
            json!({
                "voiceConf": meeting.voice_bridge, "screenshareConf": meeting.voice_bridge, "stream": "screen-1",
                "vidWidth": 0, "vidHeight": 0, "timestamp": "", "hasAudio": false, "contentType": "screenshare",
            })
        };
        self.within(name, meeting, "not-used", body);
    }

    pub(crate) fn slides(&mut self, meeting: &Meeting, presentation: &str) {
        let body = || json!({ "podId": "DEFAULT_PRESENTATION_POD", "presentationId": presentation });
        self.within_on(PRESENTATIONS, "SetCurrentPresentationEvtMsg", meeting, "not-used", body);
    }

    pub(crate) fn pad(&mut self, meeting: &Meeting, text: &str) {
        let body = || json!({ "externalId": "notes", "padId": "g.1$notes", "rev": "7", "start": 0, "end": text.len(), "text": text });
        self.within("PadContentEvtMsg", meeting, "not-used", body);
    }

    pub(crate) fn poll(&mut self, meeting: &Meeting, presenter: &Attendee, question: &str, answers: &[&str]) {
        let answers: Vec<Value> = answers.iter().enumerate().map(|(id, key)| json!({ "id": id, "key": key })).collect();
        let id = &presenter.internal_id;
        let body = || {
            json!({
                "userId": id, "pollId": "poll-1", "pollType": "CUSTOM", "secretPoll": false, "question": question,
                "poll": { "id": "poll-1", "isMultipleResponse": false, "answers": answers },
            })
        };
        self.within("PollStartedEvtMsg", meeting, id, body);
    }

    /// The presenter hears of someone's answer, and so the header names the presenter.
    pub(crate) fn answered(&mut self, meeting: &Meeting, presenter: &Attendee, voter: &Attendee, answer: u64) {
        let body = || json!({ "pollId": "poll-1", "userId": voter.internal_id, "answerIds": [answer] });
        self.within("UserRespondedToPollRespMsg", meeting, &presenter.internal_id, body);
    }

    /// A script of a recording is at a step, such as `process_ended`.
    pub(crate) fn progress(&mut self, internal_id: &str, meeting_id: &str, step: &str, more: &Value) {
        let seconds = wall_clock_ms() / 1000;
        let mut payload = json!({
            "success": true, "step_time": 1200, "meeting_id": internal_id, "record_id": internal_id,
            "external_meeting_id": meeting_id,
        });
        more.as_object().into_iter().flatten().for_each(|(field, value)| payload[field] = value.clone());
        let header = json!({ "timestamp": seconds, "name": step, "current_time": seconds, "version": "0.0.1" });
        self.push(PROGRESS, || json!({ "header": header, "payload": payload }));
    }
}
