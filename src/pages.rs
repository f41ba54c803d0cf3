//! Pages that a server shows beside BBB's calls and the REST API: its health, its metrics, and the page where joins wait.

mod health;
mod home;
mod metrics;
mod waiting;

pub use health::Health;
pub use home::Home;
pub use metrics::Metrics;
pub use waiting::{WAIT, WaitingPage, WaitingRoom};
