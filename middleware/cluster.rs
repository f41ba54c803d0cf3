//! The domain: frontends, backends, meetings, and what a backend's load is.
//!
//! A leaf. It knows no tower, no SQL and no clock but the one it is handed.

mod backend;
mod frontend;
mod load;
mod meeting;
mod tags;

pub use backend::{AdminState, Backend, BackendId, NodeState, Reservation, Vitals};
pub use frontend::{DefaultPresentation, Frontend, FrontendId, FrontendSettings, ParamMap, Secrets};
pub use load::{MEETING_FLOOR, load};
pub use meeting::{Attempt, Meeting, MeetingState};
pub use tags::Tags;
