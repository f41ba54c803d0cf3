//! The common base of b3scale's programs.
//!
//! | module | is |
//! |---|---|
//! | [`program`] | environment, command line, terminal, signals, systemd |
//! | [`net`] | the HTTP client to the nodes, TLS, reasons behind errors |
//! | [`rest`], [`client`] | the bodies of the REST API, and a client of it |
//! | [`token`] | access tokens |
//! | [`upload`] | uploads of recordings |
//! | [`signature`] | signatures of nodes under uploads |
//! | [`telemetry`] | log, metrics, traces |
//! | [`clock`] | the clocks that the async runtime goes by |
//! | [`budget`] | how much may wait in memory |
//! | [`names`] | the nearest name to an unknown one |

pub mod budget;
pub mod client;
pub mod clock;
pub mod names;
pub mod net;
pub mod program;
pub mod rest;
pub mod signature;
pub mod telemetry;
pub mod token;
pub mod upload;
