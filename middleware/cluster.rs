//! The domain: frontends, backends, meetings, and load.
//!
//! A leaf. It knows no tower, no SQL and no clock but the one it is handed.

mod attendee;
mod backend;
mod callback;
mod circuit;
mod claim;
mod frontend;
mod health;
mod hook;
mod id;
mod link;
mod load;
mod meeting;
mod node_batch;
mod null;
mod overload;
mod placement;
mod policy;
mod raw_json;
mod recording;
mod refusal;
mod signing;
mod tags;
mod vitals;

pub use attendee::{Attendee, AttendeeChange, NodeMeeting, Presence, PresentMeeting};
pub use backend::{AdminState, Backend, NodeStatus};
pub use callback::{CALLBACK_PATH, Callback, CallbackKind, DeliveryState, GivenCallback, restored};
pub use circuit::{Circuit, Passage};
pub use claim::{Claim, Move, NewMeeting};
pub use frontend::{AttendeesLimit, DefaultPresentation, Frontend, FrontendSettings, ParamMap, Secrets};
pub use health::{AgentReport, Health, NodeState};
pub use hook::{Hook, HookMade, HookState, NewHook, PermanentHook, WebhookSettings};
pub use id::{BackendId, FrontendId};
pub use link::Link;
pub use load::{LoadModel, MEETING_FLOOR, Seats};
pub use meeting::{Attempt, Meeting, MeetingState, Size};
pub use node_batch::{MappedEvent, NodeBatch, NodeEvent, NodeFigures, Receipt, Wants};
pub use overload::{Bound, OverloadBounds};
pub use placement::{Placement, Rank, Standing, Verdict};
pub use policy::{Policy, PolicyInForce};
pub use raw_json::RawJson;
pub use recording::{
    BreakoutOf, NewTrack, PreviewImage, RecordId, Recording, RecordingChange, RecordingCursor, RecordingFormat,
    RecordingPage, RecordingQuery, RecordingSettings, RecordingState, TRASH_DAYS, TextTrack, TrackKind, Visibility,
    described, is_format,
};
pub use refusal::Refusal;
pub use signing::Signing;
pub use tags::{TagChoice, Tags};
pub use vitals::{Reservation, Vitals};
