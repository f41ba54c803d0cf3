//! Faults: the one error that crosses a seam.
//!
//! A fault is raised where something fails and rendered once, where the call leaves. Each question the way out asks has one
//! exhaustive `match` here: the key and the text for tenants, the HTTP status, the blame, and whether a node may
//! have got the call.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use http::StatusCode;

use crate::bbb::CallKind;
use crate::cluster::{BackendId, Placement};
use crate::contract::Fact;

/// Why a call could not be answered as asked. `Display` is for the log; a tenant reads [`Fault::message`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// No `checksum`, or an empty one.
    #[error("the call carries no checksum")]
    ChecksumMissing,
    /// It does not match, its algorithm is not allowed, it is given twice, or the frontend is unknown or disabled.
    #[error("the checksum does not hold: {0}")]
    ChecksumMismatch(Cow<'static, str>),
    /// No such call, or none that this pipeline has a route for.
    #[error("there is no route for the call `{0}`")]
    UnsupportedRequest(Box<str>),
    /// A path at which a node has nothing, and so have we.
    #[error("there is nothing at this path: {0}")]
    NothingThere(Box<str>),
    /// The call exists and is not to be made with this method.
    #[error("the call does not take this method, but {allow}")]
    UnsupportedMethod {
        /// The methods it does take, as in the header `Allow`.
        allow: &'static str,
    },
    /// A body of a type that the call does not take.
    #[error("the body's content type is missing or not one this call takes")]
    UnsupportedContentType,
    /// A body that ended too early, came too slowly, or does not match its media type.
    #[error("the body cannot be read: {0}")]
    UnreadableBody(String),
    /// A body above the limit.
    #[error("the body is larger than {limit} bytes")]
    BodyTooLarge {
        /// In bytes.
        limit: usize,
    },
    /// A form above the limit of forms with their own checksum.
    #[error("the form is larger than {limit} bytes, and its checksum is not in the query")]
    UnprovedTooLarge {
        /// In bytes.
        limit: usize,
    },
    /// A parameter that BBB would refuse, with BBB's own key and text.
    #[error("a parameter was refused: {message}")]
    InvalidParam {
        /// BBB's message key.
        key: &'static str,
        /// BBB's text.
        message: Cow<'static, str>,
    },
    /// The meeting does not exist, or belongs to another frontend.
    #[error("no such meeting of this frontend")]
    MeetingNotFound,
    /// None of these recordings exists, or they belong to another frontend. The first id that was asked for.
    #[error("no such recording of this frontend: {0}")]
    RecordingNotFound(Box<str>),
    /// The recording has no text tracks. Its id.
    #[error("the recording has no text tracks: {0}")]
    NoTextTracks(Box<str>),
    /// The meeting is being made, or its node does not answer: a join may be tried again.
    #[error("the meeting's node is not ready")]
    MeetingNotReady,
    /// The frontend has as many people in its meetings as it may.
    #[error("all {limit} seats of the frontend are taken")]
    NoSeat {
        /// How many it has.
        limit: i64,
    },
    /// No backend may take the meeting, and why each may not.
    #[error("no backend can take the meeting: {0}")]
    NoBackend(Arc<Placement>),
    /// None that may take it has one of the tags that the frontend insists on for this meeting.
    #[error("no backend carries one of the tags `{tags}` that the call insists on: {placement}")]
    NoTaggedBackend {
        /// The frontend's own words.
        tags: Box<str>,
        /// Why each backend may not take the meeting.
        placement: Arc<Placement>,
    },
    /// No node can be asked for what only nodes know.
    #[error("no node answers")]
    NoNode,
    /// A node did not do its part.
    #[error("backend {backend}: {failure}")]
    Node {
        /// Which node.
        backend: BackendId,
        /// Its actual behaviour.
        failure: NodeFailure,
    },
    /// The database is away, so its decisions must wait.
    #[error("the database cannot be used: {0}")]
    StoreAway(String),
    /// More calls at once than this server takes, or more bytes than it has room for.
    #[error("this server has as much to do as it takes")]
    Overloaded,
    /// An operator has closed this route.
    #[error("the pipeline refuses this call: {0}")]
    Refused(Box<str>),
    /// A stage asked for a fact that no stage had established: a defect of the pipeline's contracts.
    #[error("no stage has established the fact `{0}`; this is a defect of b3scale")]
    Unestablished(Fact),
    /// A defect of ours.
    #[error("internal: {0}")]
    Internal(String),
}

/// A node's failure to answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NodeFailure {
    /// No connection: the call never left.
    #[error("no connection: {0}")]
    Unreachable(String),
    /// The connection broke after the call had been sent.
    #[error("the connection broke: {0}")]
    Broken(String),
    /// No answer in time.
    #[error("no answer within {seconds} s")]
    Silent {
        /// How long it was waited for.
        seconds: u64,
    },
    /// It was found to be gone while the call waited for it.
    #[error("it does not answer any more")]
    Lost,
    /// An HTTP status that is no answer of the BBB API.
    #[error("HTTP status {0}")]
    Status(u16),
    /// A body that is no BBB document.
    #[error("the answer is no BBB document: {0}")]
    Garbled(String),
    /// More than a BBB answer can be.
    #[error("the answer is larger than {limit} bytes")]
    TooLarge {
        /// In bytes.
        limit: usize,
    },
    /// This server has no memory left for its answers.
    #[error("this server has no memory left for its answers")]
    NoRoom,
    /// This server could not ask it, for a reason of its own: the call never left.
    #[error("it could not be asked: {0}")]
    NotAsked(&'static str),
    /// It is left alone for a while: the call never left.
    #[error("it is not called: {0}")]
    LeftAlone(&'static str),
    /// It does not accept our checksum: its secret is not the one we have.
    #[error("it refused our checksum; is its secret right?")]
    SecretRefused,
}

impl NodeFailure {
    /// The word used in metrics.
    pub fn name(&self) -> &'static str {
        match self {
            NodeFailure::Unreachable(_) => "unreachable",
            NodeFailure::Broken(_) => "broken",
            NodeFailure::Silent { .. } => "silent",
            NodeFailure::Lost => "lost",
            // That the call was too large is no failing of the node.
            NodeFailure::Status(413 | 414) => "oversized",
            NodeFailure::Status(_) => "status",
            NodeFailure::Garbled(_) => "garbled",
            NodeFailure::TooLarge { .. } => "too_large",
            NodeFailure::NoRoom => "no_room",
            NodeFailure::NotAsked(_) => "not_asked",
            NodeFailure::LeftAlone(_) => "left_alone",
            NodeFailure::SecretRefused => "secret_refused",
        }
    }

    /// Whether the node does not answer any request.
    pub fn is_silence(&self) -> bool {
        match self {
            NodeFailure::Unreachable(_) | NodeFailure::Broken(_) | NodeFailure::Silent { .. } | NodeFailure::Lost => {
                true
            }
            NodeFailure::Status(_)
            | NodeFailure::Garbled(_)
            | NodeFailure::TooLarge { .. }
            | NodeFailure::NoRoom
            | NodeFailure::NotAsked(_)
            | NodeFailure::LeftAlone(_)
            | NodeFailure::SecretRefused => false,
        }
    }

    /// Whether it says nothing of the node: this server did not ask it, or had no room for its answer.
    pub fn is_ours(&self) -> bool {
        matches!(self, NodeFailure::NotAsked(_) | NodeFailure::NoRoom)
    }
}

/// The blame for a [`Fault`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Blame {
    /// The call itself was wrong.
    Frontend,
    /// A node failed.
    Backend,
    /// This server, its pipeline or its database.
    Us,
}

impl Blame {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Frontend, Self::Backend, Self::Us];

    /// The word used in logs and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Blame::Frontend => "frontend",
            Blame::Backend => "backend",
            Blame::Us => "us",
        }
    }
}

impl Fault {
    /// A node answered with something that is no BBB document.
    pub fn garbled(backend: BackendId, why: impl fmt::Display) -> Self {
        Fault::Node { backend, failure: NodeFailure::Garbled(why.to_string()) }
    }

    /// No recording is named.
    pub fn no_record_id() -> Self {
        Fault::InvalidParam { key: "missingParamRecordID", message: "You must specify a recordID.".into() }
    }

    /// A parameter refused with BBB's `validationError`.
    pub fn validation(message: impl Into<Cow<'static, str>>) -> Self {
        Fault::InvalidParam { key: "validationError", message: message.into() }
    }

    /// BBB's `messageKey`. It depends on the call where BBB's does.
    pub fn message_key(&self, kind: CallKind) -> &'static str {
        match self {
            Fault::ChecksumMissing | Fault::ChecksumMismatch(_) => "checksumError",
            Fault::UnsupportedRequest(_)
            | Fault::NothingThere(_)
            | Fault::UnsupportedMethod { .. }
            | Fault::Refused(_) => "unsupportedRequest",
            Fault::UnsupportedContentType => "unsupportedContentType",
            Fault::UnreadableBody(_) | Fault::BodyTooLarge { .. } | Fault::UnprovedTooLarge { .. } => {
                "invalidRequestBody"
            }
            Fault::InvalidParam { key, .. } => key,
            Fault::MeetingNotFound => match kind {
                CallKind::Join => "invalidMeetingIdentifier",
                CallKind::SendChatMessage => "meetingNotFound",
                _ => "notFound",
            },
            Fault::RecordingNotFound(_) if CallKind::answers_json(kind.name()) => "noRecordings",
            Fault::RecordingNotFound(_) => "notFound",
            Fault::NoTextTracks(_) => "noCaptionsFound",
            Fault::MeetingNotReady => "serverUnavailable",
            // BBB's own for a meeting that is full.
            Fault::NoSeat { .. } => "maxParticipantsReached",
            // The key of scalelite, from which the parameter comes.
            Fault::NoTaggedBackend { .. } => "serverTagUnavailable",
            Fault::NoBackend(_)
            | Fault::NoNode
            | Fault::Node { .. }
            | Fault::StoreAway(_)
            | Fault::Overloaded
            | Fault::Unestablished(_)
            | Fault::Internal(_) => "internalError",
        }
    }

    /// The text a tenant may read: never a node's address, a signed URL or an inner error. It depends on the call where BBB's
    /// does.
    pub fn message(&self, kind: CallKind) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Fault::ChecksumMissing => "You must provide the checksum",
            Fault::ChecksumMismatch(_) => "Checksums do not match",
            Fault::UnsupportedRequest(_) => "This request is not supported.",
            Fault::NothingThere(_) => "There is nothing at this address.",
            Fault::UnsupportedMethod { .. } => "This request is not supported with this HTTP method.",
            Fault::Refused(text) => return Cow::Owned(text.to_string()),
            Fault::UnsupportedContentType => "POST request Content-Type is missing or unsupported",
            Fault::UnreadableBody(why) => return Cow::Owned(format!("The request body cannot be read: {why}")),
            Fault::BodyTooLarge { limit } => {
                return Cow::Owned(format!("The request body is larger than {limit} bytes."));
            }
            Fault::UnprovedTooLarge { limit } => {
                return Cow::Owned(format!(
                    "The form is larger than {limit} bytes. Send its checksum in the query: then it may be larger."
                ));
            }
            Fault::InvalidParam { message, .. } => return message.clone(),
            Fault::MeetingNotFound if kind == CallKind::SendChatMessage => "Meeting not found or not active",
            Fault::MeetingNotFound => "A meeting with that ID does not exist",
            Fault::RecordingNotFound(id) => match kind {
                CallKind::GetRecordingTextTracks => return Cow::Owned(format!("No recording found for {id}")),
                CallKind::PutRecordingTextTrack => return Cow::Owned(format!("No recording was found for {id}")),
                _ => "We could not find recordings",
            },
            Fault::NoTextTracks(id) => return Cow::Owned(format!("No captions found for {id}")),
            Fault::MeetingNotReady => "The server of this meeting is not ready. Please try again in a moment.",
            Fault::NoSeat { .. } => {
                "The number of people who may be in the meetings of this organisation at once has been reached."
            }
            Fault::NoBackend(_) => "There is no server that can take this meeting.",
            Fault::NoTaggedBackend { tags, .. } => {
                return Cow::Owned(format!("There is no available server with the required tag={tags}."));
            }
            Fault::NoNode => "There is no server that can answer at the moment.",
            Fault::Node { failure: NodeFailure::Status(413 | 414), .. } => {
                "The request is larger than the servers take."
            }
            Fault::Node { .. } => "The server of this meeting could not answer.",
            Fault::StoreAway(_) if kind.concerns_recordings() => {
                "The recordings cannot be read or changed at the moment. Please try again."
            }
            Fault::StoreAway(_) if kind.concerns_hooks() => {
                "The hooks cannot be read or changed at the moment. Please try again."
            }
            Fault::StoreAway(_) => "The meeting cannot be looked up or placed at the moment. Please try again.",
            Fault::Overloaded => "There are too many requests at the moment. Please try again.",
            Fault::Unestablished(_) | Fault::Internal(_) => {
                "The request could not be answered because of an internal error."
            }
        })
    }

    /// The HTTP status. BBB answers 200 with any document; the exceptions are BBB's own, and a server that
    /// sheds load.
    pub fn status(&self) -> StatusCode {
        match self {
            Fault::NothingThere(_) => StatusCode::NOT_FOUND,
            Fault::UnsupportedMethod { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Fault::Overloaded => StatusCode::SERVICE_UNAVAILABLE,
            Fault::ChecksumMissing
            | Fault::ChecksumMismatch(_)
            | Fault::UnsupportedRequest(_)
            | Fault::UnsupportedContentType
            | Fault::UnreadableBody(_)
            | Fault::BodyTooLarge { .. }
            | Fault::UnprovedTooLarge { .. }
            | Fault::InvalidParam { .. }
            | Fault::MeetingNotFound
            | Fault::RecordingNotFound(_)
            | Fault::NoTextTracks(_)
            | Fault::MeetingNotReady
            | Fault::NoSeat { .. }
            | Fault::NoBackend(_)
            | Fault::NoTaggedBackend { .. }
            | Fault::NoNode
            | Fault::Node { .. }
            | Fault::StoreAway(_)
            | Fault::Refused(_)
            | Fault::Unestablished(_)
            | Fault::Internal(_) => StatusCode::OK,
        }
    }

    /// The blame.
    pub fn blame(&self) -> Blame {
        match self {
            Fault::ChecksumMissing
            | Fault::ChecksumMismatch(_)
            | Fault::UnsupportedRequest(_)
            | Fault::NothingThere(_)
            | Fault::UnsupportedMethod { .. }
            | Fault::UnsupportedContentType
            | Fault::UnreadableBody(_)
            | Fault::BodyTooLarge { .. }
            | Fault::UnprovedTooLarge { .. }
            | Fault::InvalidParam { .. }
            | Fault::MeetingNotFound
            | Fault::RecordingNotFound(_)
            | Fault::NoTextTracks(_)
            | Fault::NoSeat { .. }
            | Fault::Refused(_) => Blame::Frontend,
            Fault::Node { failure, .. } if failure.is_ours() => Blame::Us,
            Fault::Node { failure: NodeFailure::Status(413 | 414), .. } => Blame::Frontend,
            Fault::MeetingNotReady | Fault::NoNode | Fault::Node { .. } => Blame::Backend,
            Fault::NoBackend(_)
            | Fault::NoTaggedBackend { .. }
            | Fault::StoreAway(_)
            | Fault::Overloaded
            | Fault::Unestablished(_)
            | Fault::Internal(_) => Blame::Us,
        }
    }

    /// Whether a node may have got the call, and so may have carried it out.
    pub fn sent(&self) -> bool {
        match self {
            Fault::Node { failure, .. } => match failure {
                // A request that a node's web server refuses for its size never reaches BBB.
                NodeFailure::Unreachable(_)
                | NodeFailure::NotAsked(_)
                | NodeFailure::LeftAlone(_)
                | NodeFailure::SecretRefused
                | NodeFailure::Status(413 | 414) => false,
                NodeFailure::Broken(_)
                | NodeFailure::Silent { .. }
                | NodeFailure::Lost
                | NodeFailure::Status(_)
                | NodeFailure::Garbled(_)
                | NodeFailure::TooLarge { .. }
                | NodeFailure::NoRoom => true,
            },
            Fault::ChecksumMissing
            | Fault::ChecksumMismatch(_)
            | Fault::UnsupportedRequest(_)
            | Fault::NothingThere(_)
            | Fault::UnsupportedMethod { .. }
            | Fault::UnsupportedContentType
            | Fault::UnreadableBody(_)
            | Fault::BodyTooLarge { .. }
            | Fault::UnprovedTooLarge { .. }
            | Fault::InvalidParam { .. }
            | Fault::MeetingNotFound
            | Fault::RecordingNotFound(_)
            | Fault::NoTextTracks(_)
            | Fault::MeetingNotReady
            | Fault::NoSeat { .. }
            | Fault::NoBackend(_)
            | Fault::NoTaggedBackend { .. }
            | Fault::NoNode
            | Fault::StoreAway(_)
            | Fault::Overloaded
            | Fault::Refused(_)
            | Fault::Unestablished(_)
            | Fault::Internal(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_meeting_is_named_as_bbb_names_it() {
        assert_eq!(Fault::MeetingNotFound.message_key(CallKind::Join), "invalidMeetingIdentifier");
        assert_eq!(Fault::MeetingNotFound.message_key(CallKind::End), "notFound");
        assert_eq!(Fault::MeetingNotFound.message_key(CallKind::SendChatMessage), "meetingNotFound");
    }

    /// Defect 6 of the original: texts for tenants carried the node's address and a signed URL.
    #[test]
    fn a_tenant_never_reads_what_a_node_said() {
        let backend = BackendId(uuid::Uuid::nil());
        let failure = NodeFailure::Broken("https://node-7.example/create?checksum=abc reset".to_owned());
        let fault = Fault::Node { backend, failure };
        assert!(!fault.message(CallKind::Create).contains("node-7"));
        assert!(fault.to_string().contains("node-7"), "the log does say it");
    }

    #[test]
    fn an_answer_without_room_is_our_fault_and_the_call_was_sent() {
        let fault = Fault::Node { backend: BackendId(uuid::Uuid::nil()), failure: NodeFailure::NoRoom };
        assert_eq!((fault.blame(), fault.sent()), (Blame::Us, true));
    }

    #[test]
    fn a_call_that_is_too_large_for_a_node_is_not_the_nodes_fault() {
        let failure = NodeFailure::Status(414);
        let fault = Fault::Node { backend: BackendId(uuid::Uuid::nil()), failure };
        assert_eq!((fault.blame(), fault.sent()), (Blame::Frontend, false));
    }

    #[test]
    fn a_call_that_never_left_was_not_sent() {
        let backend = BackendId(uuid::Uuid::nil());
        let sent = |failure| Fault::Node { backend, failure }.sent();
        assert!(!sent(NodeFailure::Unreachable("refused".to_owned())));
        assert!(sent(NodeFailure::Silent { seconds: 5 }));
    }
}
