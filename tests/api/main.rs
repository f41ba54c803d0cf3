//! The BBB endpoint, end to end: a real server, a real database, simulated nodes.

mod failures;
mod frontends;
mod lesson;
mod waiting;
