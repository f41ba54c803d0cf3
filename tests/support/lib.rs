//! Helpers that the tests share.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod bucket;
mod client;
mod cluster;
mod counted;
mod document;
mod frozen;
mod hearing;
mod postgres;
mod program;
mod receiver;
mod recorder;
mod recording_rows;
mod recordings;
mod records;
mod redis;
mod relay;
mod rest;
mod servers;
mod wait;
mod wire;

pub use bucket::TestBucket;
pub use client::{Answer, SECRET, Unanswered, signed};
pub use cluster::{ClusterOptions, TestCluster};
pub use counted::Counted;
pub use frozen::{Frozen, with_idle_stages};
pub use hearing::{hear, keep};
pub use postgres::{TestDatabase, TestFolder, TestPostgres, postgres, until_blocked};
pub use program::{Log, Running, kill, output, program, servers, still_running};
pub use receiver::{Heard, Reaction, Receiver};
pub use recorder::{Asked, Recorder, Told};
pub use recording_rows::{MANY_RECORDINGS, RULES, new_format, record_id};
pub use recordings::{PublishedFolder, Recorded, RecordingFolders, publish};
pub use records::new_frontend;
pub use redis::TestRedis;
pub use relay::{Mark, Relay};
pub use rest::{JWT_SECRET, Tool, token};
pub use servers::{Servers, ServersOptions};
pub use wait::{eventually, within};
pub use wire::RoundTrip;
