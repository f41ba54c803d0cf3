//! A server's own pages: its health, its metrics, and the waiting page of joins.

mod health;
mod home;
mod metrics;
mod waiting;

pub use health::Health;
pub use home::Home;
pub use metrics::Metrics;
pub use waiting::{WAIT, WaitingPage, WaitingRoom};
