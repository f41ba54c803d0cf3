//! The server, and the demo around it.
//!
//! | module | is |
//! |---|---|
//! | [`cli`], [`config`] | command line and settings of `b3scaled` |
//! | [`serve`] | a server, put together |
//! | [`admin`] | the REST API |
//! | [`server`] | the port: requests into calls, replies and faults into answers |
//! | [`site`] | the contract of everything else that answers requests |
//! | [`pages`] | health, metrics, and the page where joins wait |
//! | [`proxies`] | where a request comes from |
//! | `view` | this server's memory |
//! | [`cluster`] | how memory follows the database, and polls of the nodes |
//! | [`ledger`] | the cluster's database, as traits, and a model of it in memory |
//! | [`callbacks`] | what nodes tell frontends, through us |
//! | [`recordings`] | recordings: their files and records |
//! | [`outbox`] | deliveries to the callbacks of frontends |
//! | [`work`] | a bench for background work: rounds, duties, queued jobs |
//! | [`store`] | PostgreSQL, and the private cluster of the default run |
//! | [`state`] | the configuration as one document, read out and put back |
//! | [`demo`] | a whole cluster on this machine that plays a lesson |

pub mod admin;
pub mod callbacks;
pub mod cli;
pub mod cluster;
pub mod config;
pub mod demo;
pub mod hooks;
pub mod ledger;
mod offload;
pub mod outbox;
pub mod pages;
pub mod proxies;
pub mod recordings;
pub mod serve;
pub mod server;
pub mod site;
pub mod state;
pub mod store;
mod view;
pub mod work;

pub use b3scale_base::{budget, client, clock, names, net, program, rest, signature, telemetry, token, upload};
pub use b3scale_pipeline as pipeline;
