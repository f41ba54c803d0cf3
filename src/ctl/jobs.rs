//! `show jobs`: queued background work. Not known to the original.

use argh::{ArgsInfo, FromArgs};
use b3scale_base::program::table::NOTHING;
use b3scale_base::rest::{Job, JobState};

use super::console::table;
use super::context::Context;
use super::layout::moment;
use super::{CtlError, Exit};

/// Queued background work: waiting, running and given-up jobs.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "jobs")]
pub(super) struct Jobs {}

impl Jobs {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, CtlError> {
        let jobs = context.api().await?.jobs().await?;
        let head = ["job", "kind", "state", "attempts", "next attempt", "last error"];
        context.console.report(table(&head, jobs.iter().map(row)), &jobs)
    }
}

fn row(job: &Job) -> Vec<String> {
    let (state, next) = match job.state {
        JobState::Waiting => ("waiting", moment(job.run_after)),
        JobState::Running => ("running", NOTHING.to_owned()),
        JobState::Poisoned => ("poisoned", NOTHING.to_owned()),
    };
    vec![
        job.id.to_string(),
        job.kind.clone(),
        state.to_owned(),
        job.attempts.to_string(),
        next,
        job.last_error.clone().unwrap_or_else(|| NOTHING.to_owned()),
    ]
}
