//! The BBB endpoint over real sockets: lessons played on simulated nodes and a real database, every way a client may call,
//! and every way clients and nodes may misbehave.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod bodies;
mod callbacks;
mod circuit;
mod counts;
mod degraded;
mod down;
mod failures;
mod fresh;
mod frontends;
mod hooks;
mod internal_ids;
mod joins;
mod lesson;
mod limits;
mod log;
mod lost;
mod metrics;
mod placement;
mod playback;
mod recordings;
mod rest;
mod returned;
mod rig;
mod servers;
mod shapes;
mod shelves;
mod signatures;
mod silent;
mod sites;
mod starts;
mod status;
mod strangers;
mod strays;
mod tenants_view;
mod troubled;
mod uploads;
mod waiting;
mod wire;
