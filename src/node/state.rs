//! All a node remembers: its meetings, the calls it has seen, and how it is told to misbehave.

use std::collections::{BTreeMap, HashMap, VecDeque};

use bytes::Bytes;
use http::{HeaderMap, Method};
use tokio::time::Instant;

use super::checksum::sha1_hex;
use super::farewell;
use super::meeting::{Attendee, ChatMessage, Document, Media, Meeting, Role};
use super::misbehave::Misbehaviour;
use super::recording::Recorded;
use super::says::Unsaid;

/// Calls remembered at most.
const CALLS: usize = 1000;
/// Bytes of bodies remembered at most, in all and of one call.
const BODIES: usize = 16 << 20;
const BODY: usize = 1 << 20;

/// A node's state at one moment.
#[derive(Debug, Default)]
pub struct NodeState {
    /// By internal id, which begins with the hash of the meeting id.
    meetings: BTreeMap<String, Meeting>,
    /// Internal meeting id by session token.
    sessions: HashMap<String, String>,
    calls: VecDeque<SeenCall>,
    body_bytes: usize,
    calls_seen: u64,
    last_create_time: u64,
    pub(super) misbehaviours: Vec<Rule>,
    /// Addresses still to be told that a meeting has ended.
    pub(super) farewells: Vec<String>,
    /// Meetings with analytics still to be told.
    pub(super) analysed: Vec<(Meeting, u64)>,
    /// Recorded meetings whose recordings are still to be published.
    pub(super) recorded: Vec<Recorded>,
    /// Ids of published recordings.
    pub(super) published: Vec<String>,
    /// Words still to be said to Redis.
    pub(super) unsaid: Unsaid,
}

/// When to misbehave, and how.
#[derive(Debug)]
pub(super) struct Rule {
    /// `None` is every call.
    call: Option<String>,
    how: Misbehaviour,
    once: bool,
}

/// A call as it came over the wire.
#[derive(Clone, Debug)]
pub struct SeenCall {
    /// Name of the call: `create`, `hooks/list`, `index`, `html5client`; empty for any other path.
    pub call: String,
    /// Method.
    pub method: Method,
    /// Path and raw query.
    pub target: String,
    /// Headers.
    pub headers: HeaderMap,
    /// The body, cut off after one mebibyte.
    pub body: Bytes,
}

/// A meeting as seen from outside.
#[derive(Clone, Debug)]
pub struct MeetingView {
    /// The id given in create.
    pub meeting_id: String,
    /// `sha1(meetingID)-createTime`.
    pub internal_id: String,
    /// Name.
    pub name: String,
    /// Epoch milliseconds.
    pub create_time: u64,
    /// Password of viewers.
    pub attendee_pw: String,
    /// Password of moderators.
    pub moderator_pw: String,
    /// Telephone number of the conference.
    pub voice_bridge: String,
    /// Whether someone is present.
    pub running: bool,
    /// Whether its end has been asked for.
    pub ending: bool,
    /// Who is present.
    pub attendees: Vec<AttendeeView>,
    /// How many called join and are in the lobby or on their way.
    pub expected: usize,
    /// The parameters of create, decoded, in the order in which they came, without the checksum.
    pub params: Vec<(String, String)>,
    /// `meta_` parameters.
    pub metadata: BTreeMap<String, String>,
    /// Presentations.
    pub documents: Vec<Document>,
    /// Text of the module `clientSettingsOverride`.
    pub client_settings: Option<String>,
    /// Messages of sendChatMessage.
    pub chat: Vec<ChatMessage>,
    /// Internal id of the meeting this is a breakout of.
    pub parent_internal_id: Option<String>,
}

/// Someone present in a meeting.
#[derive(Clone, Debug)]
pub struct AttendeeView {
    /// The node's own id.
    pub internal_id: String,
    /// The frontend's id.
    pub user_id: String,
    /// Full name.
    pub name: String,
    /// Role.
    pub role: Role,
    /// Microphone and camera.
    pub media: Media,
}

impl NodeState {
    /// All meetings, breakouts included.
    pub fn meetings(&self) -> Vec<MeetingView> {
        self.meetings.values().map(MeetingView::of).collect()
    }

    /// The meeting with this meeting id, or with this internal id.
    pub fn meeting(&self, id: &str) -> Option<MeetingView> {
        self.find(id).map(MeetingView::of)
    }

    /// The ids of recordings that are published, the oldest first.
    pub fn published(&self) -> &[String] {
        &self.published
    }

    /// The latest calls, oldest first: at most 1000, and no more than 16 MiB of bodies.
    pub fn calls(&self) -> impl DoubleEndedIterator<Item = &SeenCall> {
        self.calls.iter()
    }

    /// How many calls there were since the start, also those no longer remembered.
    pub fn calls_seen(&self) -> u64 {
        self.calls_seen
    }

    /// Records a call and returns its fault: the last setting counts.
    pub(super) fn see(&mut self, mut call: SeenCall) -> Option<Misbehaviour> {
        let how = self.misbehaviour(&call.call);
        // A copy, so that no larger buffer is kept alive.
        call.body = Bytes::copy_from_slice(&call.body[..call.body.len().min(BODY)]);
        self.calls_seen += 1;
        self.body_bytes += call.body.len();
        self.calls.push_back(call);
        while self.calls.len() > CALLS || self.body_bytes > BODIES {
            self.body_bytes -= self.calls.pop_front().map_or(0, |call| call.body.len());
        }
        how
    }

    fn misbehaviour(&mut self, call: &str) -> Option<Misbehaviour> {
        let applies = |rule: &Rule| rule.call.as_ref().is_none_or(|name| name == call);
        let at = self.misbehaviours.iter().rposition(applies)?;
        let how = self.misbehaviours[at].how.clone();
        if self.misbehaviours[at].once {
            self.misbehaviours.remove(at);
        }
        Some(how)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Meeting> {
        self.meetings.values()
    }

    /// Finds as a node does: by the hash of the id, else by internal id. A running meeting comes before an ending one.
    pub(super) fn find(&self, id: &str) -> Option<&Meeting> {
        let prefix = format!("{}-", sha1_hex(id));
        self.meetings
            .range(prefix.clone()..)
            .map(|(_, meeting)| meeting)
            .take_while(|meeting| meeting.internal_id.starts_with(&prefix))
            .max_by_key(|meeting| (!meeting.is_ending(), meeting.create_time))
            .or_else(|| self.meetings.get(id))
    }

    pub(super) fn find_mut(&mut self, id: &str) -> Option<&mut Meeting> {
        let internal_id = self.find(id)?.internal_id.clone();
        self.meetings.get_mut(&internal_id)
    }

    /// A create time no other meeting of this node has: `now` in epoch milliseconds, or a little later.
    pub(super) fn next_create_time(&mut self, now: u64) -> u64 {
        self.last_create_time = now.max(self.last_create_time + 1);
        self.last_create_time
    }

    /// Whether a meeting that is not ending uses this number.
    pub(super) fn voice_taken(&self, number: &str) -> bool {
        self.all()
            .any(|meeting| !meeting.is_ending() && (meeting.voice_bridge == number || meeting.web_voice == number))
    }

    /// Adds a meeting, and its name to the list of its parent.
    pub(super) fn insert(&mut self, meeting: Meeting) {
        if let Some(breakout) = &meeting.breakout
            && let Some(parent) = self.meetings.get_mut(&breakout.parent_internal_id)
        {
            parent.breakout_rooms.push(meeting.meeting_id.clone());
        }
        self.unsaid.created(&meeting);
        self.meetings.insert(meeting.internal_id.clone(), meeting);
    }

    /// Adds someone to a meeting of this internal id.
    pub(super) fn enter(&mut self, internal_id: &str, attendee: Attendee) {
        if let Some(meeting) = self.meetings.get_mut(internal_id) {
            self.sessions.insert(attendee.session_token.clone(), internal_id.to_owned());
            meeting.attendees.push(attendee);
        }
    }

    /// Makes the one with this session present, unless they are in the lobby; gives them as they are then.
    pub(super) fn arrive(&mut self, session_token: &str) -> Option<&Attendee> {
        let meeting = self.meetings.get_mut(self.sessions.get(session_token)?)?;
        let before = meeting.session(session_token)?.clone();
        meeting.arrive(session_token);
        let attendee = meeting.session(session_token)?;
        if before.presence != attendee.presence {
            self.unsaid.joined(meeting, attendee);
        }
        if before.presenter != attendee.presenter {
            self.unsaid.presenter(meeting, attendee);
        }
        Some(attendee)
    }

    /// Ends a session; false when there is none.
    pub(super) fn leave(&mut self, session_token: &str, now: Instant) -> bool {
        let meeting = self.sessions.remove(session_token).and_then(|meeting| self.meetings.get_mut(&meeting));
        let Some(meeting) = meeting else { return false };
        if let Some(attendee) = meeting.present().find(|attendee| attendee.session_token == session_token) {
            self.unsaid.left(meeting, attendee);
        }
        meeting.leave(session_token, now);
        true
    }

    /// Changes a user, by either id, and publishes the differences; false without such a user.
    pub(super) fn alter(&mut self, meeting: &str, user: &str, change: impl FnOnce(&mut Attendee)) -> bool {
        let Some(internal_id) = self.find(meeting).map(|meeting| meeting.internal_id.clone()) else { return false };
        let Some(meeting) = self.meetings.get_mut(&internal_id) else { return false };
        let Some(place) = meeting.attendees.iter().position(|attendee| attendee.is(user)) else { return false };
        let before = meeting.attendees[place].clone();
        change(&mut meeting.attendees[place]);
        let (meeting, attendee) = (&*meeting, &meeting.attendees[place]);
        if before.role != attendee.role {
            self.unsaid.role(meeting, attendee);
        }
        if before.presenter != attendee.presenter {
            self.unsaid.presenter(meeting, attendee);
        }
        self.unsaid.media(meeting, attendee, before.media);
        true
    }

    /// Says that a recording was started or paused; false when there is no such meeting.
    pub(super) fn record(&mut self, id: &str, recording: bool) -> bool {
        let Some(internal_id) = self.find(id).map(|meeting| meeting.internal_id.clone()) else { return false };
        let Some(meeting) = self.meetings.get_mut(&internal_id) else { return false };
        meeting.marked |= recording;
        self.unsaid.recording(meeting, recording);
        true
    }

    /// Lets a meeting say something; false when there is no such meeting.
    pub(super) fn say(&mut self, id: &str, words: impl FnOnce(&mut Unsaid, &Meeting) -> bool) -> bool {
        let Some(internal_id) = self.find(id).map(|meeting| meeting.internal_id.clone()) else { return false };
        self.meetings.get(&internal_id).is_some_and(|meeting| words(&mut self.unsaid, meeting))
    }

    /// Marks a meeting and its breakouts as ending; false when there is none. An earlier end stays.
    pub(super) fn end(&mut self, id: &str, at: Instant) -> bool {
        let Some(internal_id) = self.find(id).map(|meeting| meeting.internal_id.clone()) else { return false };
        for meeting in self.meetings.values_mut().filter(|meeting| meeting.belongs_to(&internal_id)) {
            if !meeting.is_ending() {
                self.unsaid.ending(meeting, "ENDED_FROM_API");
            }
            meeting.ends_at = Some(meeting.ends_at.map_or(at, |earlier| earlier.min(at)));
        }
        true
    }

    /// Runs due timers: forgets late users, removes meetings with their breakouts.
    pub(super) fn expire(&mut self, now: Instant, epoch_ms: u64) {
        self.meetings.values_mut().for_each(|meeting| meeting.forget_late(now));
        let due = |meeting: &&Meeting| meeting.end().is_some_and(|end| end <= now);
        let due: Vec<_> = self.all().filter(due).map(|meeting| meeting.internal_id.clone()).collect();
        for internal_id in due {
            for (_, meeting) in self.meetings.extract_if(.., |_, meeting| meeting.belongs_to(&internal_id)) {
                if !meeting.is_ending() {
                    self.unsaid.ending(&meeting, "ENDED_BY_TIMER");
                }
                self.unsaid.ended(&meeting);
                self.farewells.extend(farewell::addresses(&meeting));
                self.recorded.extend(Recorded::of(&meeting, epoch_ms));
                if meeting.metadata.contains_key("analytics-callback-url") {
                    self.analysed.push((meeting, epoch_ms));
                }
            }
        }
        let meetings = &self.meetings;
        self.sessions.retain(|token, internal_id| {
            let knows = |meeting: &Meeting| meeting.attendees.iter().any(|attendee| attendee.session_token == *token);
            meetings.get(internal_id).is_some_and(knows)
        });
    }

    /// When something is due next.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.all().filter_map(Meeting::deadline).min()
    }

    /// Loses all meetings, as a node does when it restarts.
    pub(super) fn forget(&mut self) {
        self.meetings.clear();
        self.sessions.clear();
    }
}

impl Rule {
    pub(super) fn new(call: Option<&str>, how: Misbehaviour, once: bool) -> Rule {
        Rule { call: call.map(str::to_owned), how, once }
    }
}

impl MeetingView {
    fn of(meeting: &Meeting) -> MeetingView {
        let attendees: Vec<_> = meeting.present().map(AttendeeView::of).collect();
        MeetingView {
            meeting_id: meeting.meeting_id.clone(),
            internal_id: meeting.internal_id.clone(),
            name: meeting.name.clone(),
            create_time: meeting.create_time,
            attendee_pw: meeting.attendee_pw.clone(),
            moderator_pw: meeting.moderator_pw.clone(),
            voice_bridge: meeting.voice_bridge.clone(),
            running: meeting.is_running(),
            ending: meeting.is_ending(),
            expected: meeting.attendees.len() - attendees.len(),
            attendees,
            params: meeting.params.to_vec(),
            metadata: meeting.metadata.clone(),
            documents: meeting.documents.clone(),
            client_settings: meeting.client_settings.clone(),
            chat: meeting.chat.clone(),
            parent_internal_id: meeting.breakout.as_ref().map(|breakout| breakout.parent_internal_id.clone()),
        }
    }

    /// The first parameter of create with this name.
    pub fn param(&self, name: &str) -> Option<&str> {
        self.params.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

impl AttendeeView {
    fn of(attendee: &Attendee) -> AttendeeView {
        AttendeeView {
            internal_id: attendee.internal_id.clone(),
            user_id: attendee.user_id.clone(),
            name: attendee.name.clone(),
            role: attendee.role,
            media: attendee.media,
        }
    }
}
