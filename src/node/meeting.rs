//! A meeting in the memory of a node, with the moments at which it ends by itself.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use tokio::time::Instant;

use super::params::Params;

/// How long someone who called join may take to open the client.
const ENTERED_TIMEOUT: Duration = Duration::from_secs(45);
/// From create to the confirmation by the conference core, in milliseconds, which a node reports as start.
const CONFIRMATION_MS: u64 = 45;

/// A meeting that was created and is not gone.
#[derive(Clone, Debug)]
pub(super) struct Meeting {
    pub(super) meeting_id: String,
    pub(super) internal_id: String,
    pub(super) name: String,
    pub(super) attendee_pw: String,
    pub(super) moderator_pw: String,
    /// Epoch milliseconds.
    pub(super) create_time: u64,
    pub(super) voice_bridge: String,
    pub(super) web_voice: String,
    pub(super) dial_number: String,
    /// Minutes; 0 is without limit.
    pub(super) duration: u64,
    pub(super) record: bool,
    /// Someone has started the recording.
    pub(super) marked: bool,
    /// 0 is without limit.
    pub(super) max_users: u64,
    pub(super) metadata: BTreeMap<String, String>,
    pub(super) params: Params,
    pub(super) breakout: Option<Breakout>,
    /// External ids of the breakouts, also of ended ones.
    pub(super) breakout_rooms: Vec<String>,
    pub(super) documents: Vec<Document>,
    pub(super) client_settings: Option<String>,
    pub(super) chat: Vec<ChatMessage>,
    pub(super) attendees: Vec<Attendee>,
    pub(super) has_user_joined: bool,
    pub(super) limits: Limits,
    pub(super) created_at: Instant,
    pub(super) last_left: Option<Instant>,
    /// The last moderator has left, and none has come since.
    pub(super) moderator_left: Option<Instant>,
    pub(super) ends_at: Option<Instant>,
}

/// After how long a meeting ends by itself; `None` is never.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// No user has ever joined.
    unused: Option<Duration>,
    /// The last has left.
    left: Option<Duration>,
    /// It was created.
    duration: Option<Duration>,
    /// The last moderator has left.
    unmoderated: Option<Duration>,
}

/// What makes a meeting a breakout.
#[derive(Clone, Debug)]
pub(super) struct Breakout {
    pub(super) parent_internal_id: String,
    pub(super) sequence: u64,
    pub(super) free_join: bool,
}

/// A presentation a meeting was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// File name.
    pub name: String,
    /// Where it comes from.
    pub source: DocumentSource,
    /// Whether it is the one shown first.
    pub current: bool,
}

/// Where a document comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DocumentSource {
    /// The node's own `default.pdf`.
    Default,
    /// To be downloaded by the node.
    Url(String),
    /// Base64 text in the body; its length in bytes.
    Inline(usize),
}

/// A message sent to the public chat through the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChatMessage {
    /// Name of the sender.
    pub user_name: String,
    /// The text.
    pub text: String,
}

/// Someone who called join and has not left.
#[derive(Clone, Debug)]
pub(super) struct Attendee {
    /// `w_` and twelve letters, drawn by the node.
    pub(super) internal_id: String,
    /// The id the frontend gave, or the internal one.
    pub(super) user_id: String,
    pub(super) name: String,
    pub(super) role: Role,
    pub(super) presenter: bool,
    pub(super) media: Media,
    pub(super) custom_data: BTreeMap<String, String>,
    pub(super) auth_token: String,
    pub(super) session_token: String,
    pub(super) presence: Presence,
}

/// How far someone has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Presence {
    /// In the lobby, until admitted.
    Waiting,
    /// Has called join, has not opened the client.
    Entered(Instant),
    Present,
}

/// What someone may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// May do everything.
    Moderator,
    /// May take part.
    Viewer,
    /// Takes part by telephone.
    DialIn,
}

/// Microphone, camera and telephone of an attendee.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Media {
    /// Hears, cannot speak.
    pub listening_only: bool,
    /// Has a microphone in the conference.
    pub voice: bool,
    /// Shows a camera.
    pub video: bool,
}

impl Limits {
    /// Reads the parameters of create, all in minutes, 0 for never.
    pub(super) fn of(params: &Params) -> Limits {
        let minutes = |name: &str, default: u64| {
            let minutes = params.number(name).unwrap_or(default);
            (minutes > 0).then(|| Duration::from_secs(minutes.saturating_mul(60)))
        };
        Limits {
            unused: minutes("meetingExpireIfNoUserJoinedInMinutes", 5),
            left: minutes("meetingExpireWhenLastUserLeftInMinutes", 1),
            duration: minutes("duration", 0),
            unmoderated: minutes("endWhenNoModeratorDelayInMinutes", 1).filter(|_| params.flag("endWhenNoModerator")),
        }
    }
}

impl Meeting {
    pub(super) fn is_running(&self) -> bool {
        self.present().next().is_some()
    }

    fn is_moderated(&self) -> bool {
        self.present().any(|attendee| attendee.role == Role::Moderator)
    }

    /// Whether its end has been asked for.
    pub(super) fn is_ending(&self) -> bool {
        self.ends_at.is_some()
    }

    /// Whether it is the meeting of this internal id, or one of its breakouts.
    pub(super) fn belongs_to(&self, internal_id: &str) -> bool {
        let parent = self.breakout.as_ref().map(|breakout| breakout.parent_internal_id.as_str());
        self.internal_id == internal_id || parent == Some(internal_id)
    }

    pub(super) fn start_time(&self) -> u64 {
        self.create_time + CONFIRMATION_MS
    }

    pub(super) fn present(&self) -> impl Iterator<Item = &Attendee> {
        self.attendees.iter().filter(|attendee| attendee.presence == Presence::Present)
    }

    /// The one with this session.
    pub(super) fn session(&self, session_token: &str) -> Option<&Attendee> {
        self.attendees.iter().find(|attendee| attendee.session_token == session_token)
    }

    /// Whether one more may come in. Sessions of one user id count once, so who is known may always come back.
    pub(super) fn has_room_for(&self, user_id: Option<&str>) -> bool {
        let users: BTreeSet<&str> = self.attendees.iter().map(|attendee| &*attendee.user_id).collect();
        let is_known = user_id.is_some_and(|user| users.contains(user));
        self.max_users == 0 || is_known || (users.len() as u64) < self.max_users
    }

    /// Makes the attendee with this session present; the first moderator becomes presenter. In the lobby nothing happens.
    pub(super) fn arrive(&mut self, session_token: &str) {
        let presented = self.present().any(|attendee| attendee.presenter);
        let Some(attendee) = self.attendees.iter_mut().find(|attendee| attendee.session_token == session_token) else {
            return;
        };
        if !attendee.is_waiting() {
            attendee.presence = Presence::Present;
            attendee.presenter |= !presented && attendee.role == Role::Moderator;
            self.has_user_joined = true;
            self.last_left = None;
            self.moderator_left = self.moderator_left.filter(|_| !self.is_moderated());
        }
    }

    /// Forgets an attendee.
    pub(super) fn leave(&mut self, session_token: &str, now: Instant) {
        self.forget(now, |attendee| attendee.session_token == session_token);
    }

    /// Forgets who called join and never came.
    pub(super) fn forget_late(&mut self, now: Instant) {
        self.forget(now, |attendee| attendee.deadline().is_some_and(|late| late <= now));
    }

    /// The next moment at which something happens by itself.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.attendees.iter().filter_map(Attendee::deadline).chain(self.end()).min()
    }

    /// When the meeting ends if nothing else happens.
    pub(super) fn end(&self) -> Option<Instant> {
        let unused =
            self.limits.unused.filter(|_| !self.has_user_joined).and_then(|wait| self.created_at.checked_add(wait));
        let left = self.limits.left.and_then(|wait| self.last_left?.checked_add(wait));
        let over = self.limits.duration.and_then(|wait| self.created_at.checked_add(wait));
        let unmoderated = self.limits.unmoderated.and_then(|wait| self.moderator_left?.checked_add(wait));
        [self.ends_at, unused, left, over, unmoderated].into_iter().flatten().min()
    }

    fn forget(&mut self, now: Instant, goes: impl Fn(&Attendee) -> bool) {
        let (ran, was_moderated) = (self.is_running(), self.is_moderated());
        self.attendees.retain(|attendee| !goes(attendee));
        if ran && !self.is_running() {
            self.last_left = Some(now);
        }
        if was_moderated && !self.is_moderated() {
            self.moderator_left = Some(now);
        }
    }
}

impl Attendee {
    /// Whether this is one of the two ids.
    pub(super) fn is(&self, user: &str) -> bool {
        self.internal_id == user || self.user_id == user
    }

    pub(super) fn is_waiting(&self) -> bool {
        self.presence == Presence::Waiting
    }

    fn deadline(&self) -> Option<Instant> {
        match self.presence {
            Presence::Entered(since) => Some(since + ENTERED_TIMEOUT),
            Presence::Waiting | Presence::Present => None,
        }
    }
}

impl Role {
    pub(super) fn client_type(self) -> &'static str {
        match self {
            Role::Moderator | Role::Viewer => "HTML5",
            Role::DialIn => "DIAL-IN",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Role::Moderator => "MODERATOR",
            Role::Viewer => "VIEWER",
            Role::DialIn => "DIAL-IN-USER",
        })
    }
}
