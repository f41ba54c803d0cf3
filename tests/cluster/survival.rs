//! Bad luck, tried for real: three servers, each a process of its own, on one PostgreSQL, and what befalls them.

mod absent;
mod calls;
mod counts;
mod cut_off;
mod hooks;
mod killed;
mod misbehaving;
mod orphaned;
mod outbox;
mod placement;
mod postgres;
mod recordings;
mod restarted;
mod returned;
mod seats;

/// The server, as it was built with these tests.
const B3SCALED: &str = env!("CARGO_BIN_EXE_b3scaled");
