//! The call, the stages it travels through, and the contract that holds them together.
//!
//! A BBB API call is a [`Call`]: a small typed value. It travels through a route, a list of [`Stage`]s that ends in an
//! [`Endpoint`], each a tower service that sees the rest as [`Next`]. Which stages, and in which order, is written in
//! `pipeline.toml`; that the order makes sense is proved by the [`Fact`]s each stage needs, gives and takes.
//!
//! This crate opens no socket and sees no SQL and no TOML. A stage reaches the world through a [port](ports).
//!
//! | module | is |
//! |---|---|
//! | [`bbb`] | the BBB protocol: parameters, checksums, documents, meeting ids |
//! | [`cluster`] | the domain: frontends, backends, meetings, load, health |
//! | [`stage`], [`contract`], [`call`], [`facts`], [`fault`], [`node_request`], [`ports`], [`trace`], [`work`] | the contract |
//! | [`chance`] | clocks and random numbers, handed in |
//! | [`memory`] | ports in memory, for tests, examples and benches |
//! | everything else | one stage or endpoint each, named as in `pipeline.toml` |

pub mod bbb;
pub mod call;
pub mod chance;
pub mod cluster;
pub mod contract;
pub mod facts;
pub mod fault;
#[cfg(test)]
mod laws;
pub mod memory;
pub mod node_request;
pub mod ports;
pub mod stage;
pub mod trace;
pub mod work;

pub mod answer;
pub mod answer_fresh;
pub mod attendee_limit;
pub mod backend_pool;
pub mod backend_select;
pub mod callback_rewrite;
pub mod checksum_verify;
pub mod frontend_resolve;
pub mod gather;
pub mod hook_ping;
pub mod hook_registry;
pub mod meeting_list;
pub mod meeting_lookup;
pub mod meeting_scope;
pub mod meta_frontend;
pub mod params_rewrite;
pub mod presentation_default;
pub mod proxy;
pub mod recording_change;
pub mod recording_list;
pub mod redirect;
pub mod refuse;
pub mod request_sign;
pub mod tag_filter;
pub mod text_tracks;

pub use bbb::Content;
pub use call::{Body, Call, Door, Reply};
pub use contract::{Contract, Fact};
pub use fault::{Blame, Fault, NodeFailure};
pub use node_request::NodeRequest;
pub use ports::Ports;
pub use stage::{Endpoint, Next, SetupError, Stage, Visitor};
pub use trace::Trace;

/// The catalog: every stage and endpoint that `pipeline.toml` can name.
pub fn visit<V: Visitor>(visitor: &mut V) {
    visitor.stage::<frontend_resolve::FrontendResolve>();
    visitor.stage::<checksum_verify::ChecksumVerify>();
    visitor.stage::<meeting_scope::MeetingScope>();
    visitor.stage::<meeting_lookup::MeetingLookup>();
    visitor.stage::<answer_fresh::AnswerFresh>();
    visitor.stage::<params_rewrite::ParamsRewrite>();
    visitor.stage::<attendee_limit::AttendeeLimit>();
    visitor.stage::<presentation_default::PresentationDefault>();
    visitor.stage::<meta_frontend::MetaFrontend>();
    visitor.stage::<backend_pool::BackendPool>();
    visitor.stage::<tag_filter::TagFilter>();
    visitor.stage::<backend_select::BackendSelect>();
    visitor.stage::<callback_rewrite::CallbackRewrite>();
    visitor.stage::<request_sign::RequestSign>();
    visitor.endpoint::<proxy::Proxy>();
    visitor.endpoint::<redirect::Redirect>();
    visitor.endpoint::<meeting_list::MeetingList>();
    visitor.endpoint::<gather::Gather>();
    visitor.endpoint::<recording_list::RecordingList>();
    visitor.endpoint::<recording_change::RecordingChange>();
    visitor.endpoint::<text_tracks::TextTracks>();
    visitor.endpoint::<hook_registry::HookRegistry>();
    visitor.endpoint::<hook_ping::HookPing>();
    visitor.endpoint::<answer::Answer>();
    visitor.endpoint::<refuse::Refuse>();
}
