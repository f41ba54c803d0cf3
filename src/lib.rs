//! The programs around the pipeline.
//!
//! | module | is |
//! |---|---|
//! | [`cli`], [`config`], [`telemetry`], [`token`] | settings, log and output of a program |
//! | [`serve`] | a server, put together |
//! | [`pipeline`] | `pipeline.toml`, from text to the stack that calls travel through |
//! | [`admin`] | the REST API |
//! | [`server`] | the port: requests into calls, replies and faults into answers |
//! | [`budget`], [`proxies`] | how much may wait in memory; where a request comes from |
//! | `view` | this server\'s memory |
//! | [`cluster`] | how memory follows the database, and what the nodes are asked |
//! | [`ledger`] | what the cluster asks of its database, as traits, and a model of it in memory |
//! | [`store`] | PostgreSQL, and the private cluster of the default run |
//! | [`state`] | the configuration as one document, read out and put back |
//! | [`rest`] | the bodies of the REST API |
//! | [`client`] | a client of it |
//! | [`ctl`] | the command line over it |
//! | [`agent`] | what runs on a node, and tells of it |
//! | [`import`] | what b3scale and scalelite have, to be brought over |
//! | [`upstream`] | the HTTP client to the nodes |
//! | [`node`] | a simulated BBB node |
//! | [`demo`] | a whole cluster on this machine that plays a lesson |

mod address;
pub mod admin;
pub mod agent;
pub mod budget;
mod causes;
pub mod cli;
pub mod client;
pub mod cluster;
pub mod config;
pub mod ctl;
pub mod demo;
mod descriptors;
mod idle;
pub mod import;
pub mod ledger;
mod manager;
pub mod node;
mod offload;
pub mod output;
pub mod pipeline;
pub mod proxies;
pub mod rest;
pub mod serve;
pub mod server;
mod spelling;
pub mod state;
pub mod store;
mod table;
pub mod telemetry;
mod tls;
pub mod token;
pub mod upstream;
mod view;
