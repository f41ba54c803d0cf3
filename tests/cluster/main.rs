//! The cluster as it is kept: the store on a real PostgreSQL.

mod bench;
mod commands;
mod copies;
mod feed;
mod fixture;
mod import;
mod imports;
mod ingest;
mod jobs;
mod locks;
mod meetings;
mod migrations;
mod model;
mod orphans;
mod polls;
mod private;
mod records;
mod relay;
mod reload;
mod retention;
mod seats;
mod servers;
mod simulated;
mod state;
mod survival;
mod tls;
