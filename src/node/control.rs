//! Acting on a node from behind: attendees without browsers, breakouts without a conference core, time without waiting.

use serde_json::Value;
use tokio::time::Instant;

use super::Shared;
use super::calls;
use super::meeting::{Attendee, Media, Meeting, Presence, Role};
use super::says::Unsaid;
use super::state::NodeState;

/// The hand inside the node. Meetings are named by meeting id or internal id.
pub struct Control<'a>(pub(super) &'a Shared);

impl Control<'_> {
    /// A meeting is created without a call. Gives its internal id.
    pub fn create(&self, meeting: &str) -> String {
        let now = self.0.epoch_ms();
        self.0.change(|state| calls::uncalled(state, meeting, now))
    }

    /// Someone is present at once. Gives the internal user id; `None` without such a meeting.
    pub fn join(&self, meeting: &str, name: &str, role: Role) -> Option<String> {
        self.0.change(|state| {
            let internal_id = state.find(meeting)?.internal_id.clone();
            let attendee = calls::attendee(name, role);
            let (user, token) = (attendee.internal_id.clone(), attendee.session_token.clone());
            state.enter(&internal_id, attendee);
            state.arrive(&token)?;
            Some(user)
        })
    }

    /// Someone opens the client, after a join over HTTP. False without such a user, by either id.
    pub fn arrive(&self, meeting: &str, user: &str) -> bool {
        self.with_session(meeting, user, |state, token| {
            state.arrive(token);
        })
    }

    /// Someone leaves. False without such a user.
    pub fn leave(&self, meeting: &str, user: &str) -> bool {
        let now = Instant::now();
        self.with_session(meeting, user, |state, token| {
            state.leave(token, now);
        })
    }

    /// A moderator lets someone in from the lobby; the client still has to be opened. False without such a user.
    pub fn admit(&self, meeting: &str, user: &str) -> bool {
        let now = Instant::now();
        self.0.change(|state| {
            let attendees = state.find_mut(meeting).map(|meeting| meeting.attendees.iter_mut());
            let waiting = attendees.into_iter().flatten().find(|attendee| attendee.is(user) && attendee.is_waiting());
            waiting.map(|attendee| attendee.presence = Presence::Entered(now)).is_some()
        })
    }

    /// Sets microphone and camera of someone. False without such a user.
    pub fn media(&self, meeting: &str, user: &str, media: Media) -> bool {
        self.0.change(|state| state.alter(meeting, user, |attendee| attendee.media = media))
    }

    /// Adds an element to an attendee's user data. The name may be an invalid one. False without such a user.
    pub fn tell(&self, meeting: &str, user: &str, name: &str, value: &str) -> bool {
        let told = |attendee: &mut Attendee| drop(attendee.custom_data.insert(name.to_owned(), value.to_owned()));
        self.0.change(|state| state.alter(meeting, user, told))
    }

    /// Gives someone another role. False without such a user.
    pub fn role(&self, meeting: &str, user: &str, role: Role) -> bool {
        self.0.change(|state| state.alter(meeting, user, |attendee| attendee.role = role))
    }

    /// Makes a user the presenter, in place of the former one. False without such a user.
    pub fn present(&self, meeting: &str, user: &str) -> bool {
        self.0.change(|state| {
            let presenter = state
                .find(meeting)
                .and_then(|meeting| meeting.present().find(|attendee| attendee.presenter && !attendee.is(user)));
            if let Some(before) = presenter.map(|attendee| attendee.internal_id.clone()) {
                state.alter(meeting, &before, |attendee| attendee.presenter = false);
            }
            state.alter(meeting, user, |attendee| attendee.presenter = true)
        })
    }

    /// Starts or pauses a recording, which only Redis reports. False without such a meeting.
    pub fn record(&self, meeting: &str, recording: bool) -> bool {
        self.0.change(|state| state.record(meeting, recording))
    }

    /// Someone writes into the public chat. False without such a user.
    pub fn chat(&self, meeting: &str, user: &str, text: &str) -> bool {
        self.of(meeting, user, |unsaid, meeting, user| unsaid.chat(meeting, user, "MAIN-PUBLIC-GROUP-CHAT", text))
    }

    /// Someone writes into a private chat. False without such a user.
    pub fn whisper(&self, meeting: &str, user: &str, text: &str) -> bool {
        self.of(meeting, user, |unsaid, meeting, user| unsaid.chat(meeting, user, "1700000000000-private", text))
    }

    /// Someone shows an emoji. False without such a user.
    pub fn emoji(&self, meeting: &str, user: &str, emoji: &str) -> bool {
        self.of(meeting, user, |unsaid, meeting, user| unsaid.emoji(meeting, user, emoji))
    }

    /// Someone raises a hand, or lowers it. False without such a user.
    pub fn raise_hand(&self, meeting: &str, user: &str, raised: bool) -> bool {
        self.of(meeting, user, |unsaid, meeting, user| unsaid.hand(meeting, user, raised))
    }

    /// Someone is muted, or is not any more. False without such a user.
    pub fn mute(&self, meeting: &str, user: &str, muted: bool) -> bool {
        self.of(meeting, user, |unsaid, meeting, user| unsaid.muted(meeting, user, muted))
    }

    /// The presenter shares a screen, or stops. False without such a meeting.
    pub fn share_screen(&self, meeting: &str, on: bool) -> bool {
        self.say(meeting, |unsaid, meeting| unsaid.screen(meeting, on))
    }

    /// Another presentation is shown. False without such a meeting.
    pub fn show(&self, meeting: &str, presentation: &str) -> bool {
        self.say(meeting, |unsaid, meeting| unsaid.slides(meeting, presentation))
    }

    /// The shared notes change. False without such a meeting.
    pub fn take_notes(&self, meeting: &str, text: &str) -> bool {
        self.say(meeting, |unsaid, meeting| unsaid.pad(meeting, text))
    }

    /// A presenter asks, and someone gives the first answer. False without such users.
    pub fn poll(&self, meeting: &str, presenter: &str, question: &str, answers: &[&str], voter: &str) -> bool {
        self.0.change(|state| {
            state.say(meeting, |unsaid, meeting| {
                let find = |user: &str| meeting.present().find(|attendee| attendee.is(user));
                let (Some(presenter), Some(voter)) = (find(presenter), find(voter)) else { return false };
                unsaid.poll(meeting, presenter, question, answers);
                unsaid.answered(meeting, presenter, voter, 0);
                true
            })
        })
    }

    /// A script of a recording is at a step, such as `process_ended`, with these fields besides the usual ones. Its meeting, named
    /// by internal id and meeting id, may be over.
    pub fn progress(&self, internal_id: &str, meeting_id: &str, step: &str, more: &Value) {
        self.0.change(|state| state.unsaid.progress(internal_id, meeting_id, step, more));
    }

    /// Makes a breakout, inside the node as BBB does. Gives its meeting id; `None` without such a parent.
    pub fn breakout(&self, parent: &str, name: &str) -> Option<String> {
        let now = self.0.epoch_ms();
        self.0.change(|state| calls::breakout(state, parent, name, now))
    }

    /// The meeting is over and gone at once, with its breakouts. False without such a meeting.
    pub fn expire(&self, meeting: &str) -> bool {
        let (now, epoch_ms) = (Instant::now(), self.0.epoch_ms());
        self.0.change(|state| {
            let known = state.end(meeting, now);
            state.expire(now, epoch_ms);
            known
        })
    }

    /// The node restarts: all meetings are lost, without events.
    pub fn forget(&self) {
        self.0.change(NodeState::forget);
    }

    fn say(&self, meeting: &str, words: impl FnOnce(&mut Unsaid, &Meeting)) -> bool {
        self.0.change(|state| {
            state.say(meeting, |unsaid, meeting| {
                words(unsaid, meeting);
                true
            })
        })
    }

    fn of(&self, meeting: &str, user: &str, words: impl FnOnce(&mut Unsaid, &Meeting, &Attendee)) -> bool {
        self.0.change(|state| {
            state.say(meeting, |unsaid, meeting| {
                let found = meeting.present().find(|attendee| attendee.is(user));
                found.map(|attendee| words(unsaid, meeting, attendee)).is_some()
            })
        })
    }

    fn with_session(&self, meeting: &str, user: &str, act: impl FnOnce(&mut NodeState, &str)) -> bool {
        self.0.change(|state| {
            let attendee = state.find(meeting).and_then(|meeting| meeting.attendees.iter().find(|one| one.is(user)));
            let token = attendee.map(|attendee| attendee.session_token.clone());
            token.map(|token| act(state, &token)).is_some()
        })
    }
}
