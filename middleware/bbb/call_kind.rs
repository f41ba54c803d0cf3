//! The calls of the API, in BBB's own spelling.

use std::fmt;
use std::str::FromStr;

use http::Method;

/// One call of the BBB API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names are BBB's and documented there")]
pub enum CallKind {
    Index,
    Create,
    Join,
    IsMeetingRunning,
    End,
    GetMeetingInfo,
    GetMeetings,
    GetSessions,
    InsertDocument,
    SendChatMessage,
    GetRecordings,
    PublishRecordings,
    DeleteRecordings,
    UpdateRecordings,
    GetRecordingTextTracks,
    PutRecordingTextTrack,
    HooksCreate,
    HooksList,
    HooksDestroy,
    HooksPing,
}

impl CallKind {
    /// How many calls there are.
    pub const COUNT: usize = Self::ALL.len();

    /// Every call, in the order of [`index`](Self::index).
    pub const ALL: [Self; 20] = [
        Self::Index,
        Self::Create,
        Self::Join,
        Self::IsMeetingRunning,
        Self::End,
        Self::GetMeetingInfo,
        Self::GetMeetings,
        Self::GetSessions,
        Self::InsertDocument,
        Self::SendChatMessage,
        Self::GetRecordings,
        Self::PublishRecordings,
        Self::DeleteRecordings,
        Self::UpdateRecordings,
        Self::GetRecordingTextTracks,
        Self::PutRecordingTextTrack,
        Self::HooksCreate,
        Self::HooksList,
        Self::HooksDestroy,
        Self::HooksPing,
    ];

    /// The place of this call in [`ALL`](Self::ALL), for tables with one entry a call.
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The name as the path has it. The version call has none there and is `index` here.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Index => "index",
            Self::Create => "create",
            Self::Join => "join",
            Self::IsMeetingRunning => "isMeetingRunning",
            Self::End => "end",
            Self::GetMeetingInfo => "getMeetingInfo",
            Self::GetMeetings => "getMeetings",
            Self::GetSessions => "getSessions",
            Self::InsertDocument => "insertDocument",
            Self::SendChatMessage => "sendChatMessage",
            Self::GetRecordings => "getRecordings",
            Self::PublishRecordings => "publishRecordings",
            Self::DeleteRecordings => "deleteRecordings",
            Self::UpdateRecordings => "updateRecordings",
            Self::GetRecordingTextTracks => "getRecordingTextTracks",
            Self::PutRecordingTextTrack => "putRecordingTextTrack",
            Self::HooksCreate => "hooks/create",
            Self::HooksList => "hooks/list",
            Self::HooksDestroy => "hooks/destroy",
            Self::HooksPing => "hooks/ping",
        }
    }

    /// The name as a checksum covers it: empty for the version call.
    pub const fn checksum_name(self) -> &'static str {
        match self {
            Self::Index => "",
            named => named.name(),
        }
    }

    /// A name that a checksum may cover instead: bbb-webhooks takes the slash at the end of a path for a part of it.
    pub const fn other_checksum_name(self) -> Option<&'static str> {
        match self {
            Self::HooksCreate => Some("hooks/create/"),
            Self::HooksList => Some("hooks/list/"),
            Self::HooksDestroy => Some("hooks/destroy/"),
            _ => None,
        }
    }

    /// The call of that name. Case matters, as it does to BBB.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Whether BBB has, or has had, a call of that name that is none of [`ALL`](Self::ALL): for people's browsers,
    /// or given up.
    pub fn is_foreign(name: &str) -> bool {
        FOREIGN.contains(&name)
    }

    /// Whether BBB answers the call of that name in JSON, errors included. Those of the checksum are XML all the same.
    pub fn answers_json(name: &str) -> bool {
        IN_JSON.contains(&name)
    }

    /// Whether the call changes something, on a node or here, so that it must be neither cut in half nor made twice.
    pub const fn changes_something(self) -> bool {
        match self {
            Self::Create
            | Self::End
            | Self::InsertDocument
            | Self::SendChatMessage
            | Self::PublishRecordings
            | Self::DeleteRecordings
            | Self::UpdateRecordings
            | Self::PutRecordingTextTrack
            | Self::HooksCreate
            | Self::HooksDestroy => true,
            Self::Index
            | Self::Join
            | Self::IsMeetingRunning
            | Self::GetMeetingInfo
            | Self::GetMeetings
            | Self::GetSessions
            | Self::GetRecordings
            | Self::GetRecordingTextTracks
            | Self::HooksList
            | Self::HooksPing => false,
        }
    }

    /// The methods BBB 3.0 maps for this call.
    pub const fn methods(self) -> Methods {
        match self {
            Self::Index
            | Self::Join
            | Self::SendChatMessage
            | Self::PublishRecordings
            | Self::DeleteRecordings
            | Self::HooksCreate
            | Self::HooksList
            | Self::HooksDestroy
            | Self::HooksPing => Methods::Get,
            Self::InsertDocument | Self::PutRecordingTextTrack => Methods::Post,
            Self::Create
            | Self::IsMeetingRunning
            | Self::End
            | Self::GetMeetingInfo
            | Self::GetMeetings
            | Self::GetSessions
            | Self::GetRecordings
            | Self::UpdateRecordings
            | Self::GetRecordingTextTracks => Methods::GetAndPost,
        }
    }

    /// Whether it is about recordings, which live here and at no node.
    pub const fn concerns_recordings(self) -> bool {
        matches!(
            self,
            Self::GetRecordings
                | Self::PublishRecordings
                | Self::DeleteRecordings
                | Self::UpdateRecordings
                | Self::GetRecordingTextTracks
                | Self::PutRecordingTextTrack
        )
    }

    /// Whether it is about webhooks, which live here and at no node.
    pub const fn concerns_hooks(self) -> bool {
        matches!(self, Self::HooksCreate | Self::HooksList | Self::HooksDestroy | Self::HooksPing)
    }

    /// Whether it takes a file among the parts of its body.
    pub const fn takes_file(self) -> bool {
        matches!(self, Self::PutRecordingTextTrack)
    }

    /// Whether this call may carry a body of that type. A call without a body need not be asked.
    pub const fn accepts(self, media: Media) -> bool {
        match media {
            Media::Form | Media::Multipart => !matches!(self, Self::InsertDocument),
            Media::Xml => matches!(self, Self::Create | Self::InsertDocument),
            Media::Other => false,
        }
    }
}

/// The calls of BBB that are not for frontends, or not any more.
const FOREIGN: [&str; 13] = [
    "configXML",
    "enter",
    "feedback",
    "getDefaultConfigXML",
    "getJoinUrl",
    "guestWait",
    "joinViaHtml5",
    "learningDashboard",
    "setConfigXML",
    "setPollXML",
    "signOut",
    "stuns",
    "textTrack/validateAuthToken",
];

/// The calls of BBB that are answered in JSON: for text tracks, and for the client in a browser.
const IN_JSON: [&str; 8] = [
    "enter",
    "feedback",
    "getJoinUrl",
    "getRecordingTextTracks",
    "guestWait",
    "learningDashboard",
    "putRecordingTextTrack",
    "stuns",
];

impl fmt::Display for CallKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for CallKind {
    type Err = UnknownCall;

    fn from_str(name: &str) -> Result<Self, UnknownCall> {
        Self::from_name(name).ok_or_else(|| UnknownCall(name.to_owned()))
    }
}

/// There is no call of that name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no call of the BigBlueButton API; names are case-sensitive, such as `getMeetings`")]
pub struct UnknownCall(pub String);

/// The HTTP methods of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Methods {
    /// GET only.
    Get,
    /// POST only.
    Post,
    /// Either.
    GetAndPost,
}

impl Methods {
    /// The value of an `Allow` header.
    pub const fn allow(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::GetAndPost => "GET, POST",
        }
    }

    /// Whether `method` is among these. HEAD is not: it must never become a create.
    pub fn contains(self, method: &Method) -> bool {
        match self {
            Self::Get => method == Method::GET,
            Self::Post => method == Method::POST,
            Self::GetAndPost => method == Method::GET || method == Method::POST,
        }
    }
}

/// The kind of a body, by its media type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Media {
    /// `application/x-www-form-urlencoded`: more parameters.
    Form,
    /// `multipart/form-data`: parameters or a file.
    Multipart,
    /// `application/xml` or `text/xml`: slides.
    Xml,
    /// A type that no call takes.
    Other,
}

impl Media {
    /// Reads a `Content-Type`. Case and parameters such as `; charset=utf-8` do not matter.
    pub fn of(content_type: &str) -> Self {
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        let known = [
            ("application/x-www-form-urlencoded", Self::Form),
            ("multipart/form-data", Self::Multipart),
            ("application/xml", Self::Xml),
            ("text/xml", Self::Xml),
        ];
        known.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(essence)).map_or(Self::Other, |(_, media)| media)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_is_found_by_its_own_name() {
        for (place, kind) in CallKind::ALL.into_iter().enumerate() {
            assert_eq!(kind.index(), place);
            assert_eq!(kind.name().parse(), Ok(kind));
            assert_eq!(kind.to_string(), kind.name());
        }
        assert_eq!(CallKind::COUNT, 20);
    }

    #[test]
    fn names_are_case_sensitive() {
        assert_eq!(CallKind::from_name("getmeetings"), None);
        assert_eq!("getmeetings".parse::<CallKind>(), Err(UnknownCall("getmeetings".to_owned())));
    }

    #[test]
    fn the_version_call_is_hashed_without_a_name() {
        assert_eq!(CallKind::Index.checksum_name(), "");
        assert_eq!(CallKind::Join.checksum_name(), "join");
    }

    #[test]
    fn calls_of_hooks_are_hashed_with_and_without_a_slash() {
        for kind in [CallKind::HooksCreate, CallKind::HooksList, CallKind::HooksDestroy] {
            assert_eq!(kind.other_checksum_name(), Some(&*format!("{}/", kind.checksum_name())));
        }
        assert_eq!(CallKind::Create.other_checksum_name(), None);
    }

    #[test]
    fn methods_are_those_of_bbb_3() {
        assert_eq!(CallKind::Create.methods().allow(), "GET, POST");
        assert_eq!(CallKind::Join.methods().allow(), "GET");
        assert_eq!(CallKind::InsertDocument.methods().allow(), "POST");
        assert!(CallKind::Create.methods().contains(&Method::POST));
        assert!(!CallKind::Join.methods().contains(&Method::POST));
        assert!(!CallKind::Create.methods().contains(&Method::HEAD));
    }

    #[test]
    fn a_media_type_is_read_without_case_and_parameters() {
        assert_eq!(Media::of("Application/XML; charset=utf-8"), Media::Xml);
        assert_eq!(Media::of("text/xml"), Media::Xml);
        assert_eq!(Media::of("multipart/form-data; boundary=x"), Media::Multipart);
        assert_eq!(Media::of(" application/x-www-form-urlencoded "), Media::Form);
        assert_eq!(Media::of("application/json"), Media::Other);
        assert_eq!(Media::of(""), Media::Other);
    }

    #[test]
    fn only_slides_come_as_xml() {
        let xml = CallKind::ALL.into_iter().filter(|kind| kind.accepts(Media::Xml));
        assert!(xml.eq([CallKind::Create, CallKind::InsertDocument]));
        let form = CallKind::ALL.into_iter().filter(|kind| !kind.accepts(Media::Form));
        assert!(form.eq([CallKind::InsertDocument]));
        assert!(CallKind::ALL.into_iter().all(|kind| !kind.accepts(Media::Other)));
    }
}
