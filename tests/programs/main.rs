//! The programs as they are built: output, exit codes, and that no process stays.

mod agent;
mod attack;
mod ctl;
mod demo;
mod manager;
mod pipeline;
mod playback;
mod spelling;
mod starts;
mod typing;

use tokio::process::Command;

/// A `b3scaled` without settings of the environment that the tests run in.
fn b3scaled(arguments: &[&str]) -> Command {
    b3scale_support::program(env!("CARGO_BIN_EXE_b3scaled"), arguments)
}
