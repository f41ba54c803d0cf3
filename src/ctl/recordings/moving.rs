//! `recording move`: recordings to another shelf.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use argh::{ArgsInfo, FromArgs};
use b3scale_base::client::{Api, ApiError};
use b3scale_base::rest::{FormatFiles, Job, JobState};
use serde_json::json;
use tokio::time::sleep;
use uuid::Uuid;

use super::retention::size;
use super::unknown;
use crate::context::Context;
use crate::progress::{Progress, Unit};
use crate::{CtlError, Exit};

/// Recordings that are queued or moved at a time.
const AT_ONCE: usize = 16;
/// Between two looks at their jobs.
const LOOK_PAUSE: Duration = Duration::from_millis(500);

/// Move the files of recordings between the folders and the bucket. Each is copied, compared, and then removed from its old shelf.
///
/// Started again, it goes on with those that are left.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "move")]
pub(super) struct Move {
    /// s3 or local
    #[argh(option, arg_name = "shelf")]
    to: String,
    /// only those of the frontend with that key; also --fe
    #[argh(option, arg_name = "key")]
    frontend: Option<String>,
    /// record ids; without any: all
    #[argh(positional)]
    ids: Vec<String>,
}

/// The bytes to move of each recording.
type Wanted = BTreeMap<String, u64>;

/// Moves under way.
struct Moving<'m> {
    api: &'m Api,
    to: &'m str,
    progress: Progress<'m>,
    /// The jobs, with the bytes of their recordings.
    jobs: Vec<(String, u64, Uuid)>,
    moved: Vec<String>,
    failed: BTreeMap<String, String>,
    /// Recordings with a remark about a failed attempt.
    remarked: BTreeSet<String>,
}

impl Move {
    pub(super) async fn run(self, context: &Context, dry: bool) -> Result<Exit, CtlError> {
        let from = match &*self.to {
            "s3" => "local",
            "local" => "s3",
            other => return Err(CtlError::Usage(format!("--to {other}: s3 or local is wanted"))),
        };
        let api = context.api_for_changes().await?;
        let wanted = self.wanted(&api, from).await?;
        let (count, bytes) = (wanted.len(), wanted.values().sum::<u64>());
        let amount = format!("{count} recordings with {} to {}", size(bytes.cast_signed()), self.to);
        if count == 0 {
            return context.console.unchanged(&json!({ "moved": [], "failed": {} }));
        }
        if dry {
            return context.console.skipping(format_args!("move {amount}"));
        }
        context.console.progress(format_args!("moving {amount}"))?;
        let progress = Progress::new(&context.console, bytes, Unit::Bytes);
        let (jobs, moved, failed, remarked) = Default::default();
        let mut moving = Moving { api: &api, to: &self.to, progress, jobs, moved, failed, remarked };
        for (id, bytes) in wanted {
            moving.queue(id, bytes).await?;
            moving.wait(AT_ONCE - 1).await?;
        }
        moving.wait(0).await?;
        let Moving { progress, moved, failed, .. } = moving;
        progress.end();
        let text = format!("moved {} recordings to {}, {} failed", moved.len(), self.to, failed.len());
        let exit = context.console.report(text, &json!({ "moved": moved, "failed": failed }))?;
        if failed.is_empty() { Ok(exit) } else { Ok(Exit::WRONG) }
    }

    /// The recordings with files on the other shelf.
    async fn wanted(&self, api: &Api, from: &str) -> Result<Wanted, CtlError> {
        let mut wanted = Wanted::new();
        let mut after = String::new();
        loop {
            let page = api.recording_files(self.frontend.as_deref(), Some(from), &after).await;
            let page = page.map_err(|error| self.unknown_frontend(api, error))?;
            let Some(last) = page.last() else { break };
            after.clone_from(&last.record_id);
            for FormatFiles { record_id, bytes, .. } in page {
                if self.ids.is_empty() || self.ids.contains(&record_id) {
                    *wanted.entry(record_id).or_default() += bytes.unsigned_abs();
                }
            }
        }
        for id in self.ids.iter().filter(|id| !wanted.contains_key(*id)) {
            // It has no files there: it is moved already, or there is none.
            api.recording(id).await.map_err(|error| unknown(api, id, error))?;
        }
        Ok(wanted)
    }

    fn unknown_frontend(&self, api: &Api, error: ApiError) -> CtlError {
        match &self.frontend {
            Some(key) if error.is_not_found() => {
                crate::find::missing(api, "frontend", key, "b3scalectl show frontends")
            }
            _ => error.into(),
        }
    }
}

impl Moving<'_> {
    async fn queue(&mut self, id: String, bytes: u64) -> Result<(), CtlError> {
        match self.api.move_recording(&id, self.to).await {
            Ok(job) => self.jobs.push((id, bytes, job.id)),
            // It was moved, or removed, since it was listed.
            Err(error) if error.is_conflict() || error.is_not_found() => self.progress.advance(bytes)?,
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// Waits until no more jobs than that are open.
    async fn wait(&mut self, most: usize) -> Result<(), CtlError> {
        while self.jobs.len() > most {
            sleep(LOOK_PAUSE).await;
            for (id, bytes, job) in std::mem::take(&mut self.jobs) {
                match self.api.job(job).await {
                    Ok(Job { state: JobState::Poisoned, last_error, .. }) => {
                        let why = last_error.unwrap_or_default();
                        self.progress.remark(&format!("{id} was not moved: {why}"));
                        self.failed.insert(id, why);
                        self.progress.advance(bytes)?;
                    }
                    Ok(Job { last_error, .. }) => {
                        if let Some(why) = last_error.filter(|_| self.remarked.insert(id.clone())) {
                            self.progress.remark(&format!("{id} is tried again later: {why}"));
                        }
                        self.jobs.push((id, bytes, job));
                    }
                    // A job that is done is gone.
                    Err(error) if error.is_not_found() => {
                        self.moved.push(id);
                        self.progress.advance(bytes)?;
                    }
                    // A server that restarts is back in a moment.
                    Err(error) if error.is_passing() => self.jobs.push((id, bytes, job)),
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(())
    }
}
