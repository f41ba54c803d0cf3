//! `pipeline.toml`, from text to the stack that calls travel through.
//!
//! Four steps, each impossible to hold unless the one before held:
//!
//! | step | is | can fail because |
//! |---|---|---|
//! | [`Document`] | every name with its position in the text | it is no TOML, or not of this shape |
//! | [`Plan`] | every name found in the catalog, settings read, the order proved by facts | what [`Plan::read`] finds |
//! | stack | the layers made and put around one another | a layer built over ports in memory cannot be built over the real ones |
//! | [`Routes`] | a table from call to stack | – |
//!
//! All problems of a file are reported at once, each with line, column, caret and a hint.

mod catalog;
mod check;
mod document;
mod explain;
mod live;
mod observe;
mod plan;
mod problem;
mod routes;
mod settings;

pub use catalog::{Catalog, Entry, Role};
pub use check::check;
pub use document::Document;
pub use live::{Pipeline, ReloadError};
pub use plan::{Plan, PlannedRoute, Step};
pub use problem::{Problem, Problems, Source};
pub use routes::Routes;
