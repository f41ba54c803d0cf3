//! Pushing recordings to the server: over HTTPS, in chunks, signed with the secret of the node.

mod queue;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use argh::{ArgsInfo, FromArgs};
use b3scale_base::clock::RuntimeClock;
use b3scale_base::program::Environment;
use b3scale_base::program::terminal;
use b3scale_base::upload::{LocalFormat, Outcome, Sender, Transfer};
use b3scale_middleware::chance::Clock;
use b3scale_middleware::cluster::{RecordId, is_format};
use tracing::{error, info, warn};

use super::AgentError;
use super::settings::{Node, Server};
use queue::{Queue, Waiting};

/// How long a request with a chunk may take.
const PATIENCE: Duration = Duration::from_secs(600);

/// Push queued recordings to b3scale, and end.
///
/// BBB's script b3scale_post_publish.rb queues each format that is ready.
/// Uploads go on where they were interrupted. Without ids: all that is due.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "push")]
pub(super) struct PushCommand {
    /// the folder of published recordings
    #[argh(option, default = "PathBuf::from(\"/var/bigbluebutton/published\")")]
    dir: PathBuf,
    /// the folder of the queue
    #[argh(option, default = "PathBuf::from(\"/var/lib/b3scaleagent/recordings\")")]
    queue: PathBuf,
    /// the most MiB to send in a second
    #[argh(option)]
    rate: Option<u32>,
    /// remove the folder of each format once the server has it in its place
    #[argh(switch)]
    delete_after_import: bool,
    /// push all formats of these recordings, now
    #[argh(positional)]
    record_ids: Vec<String>,
}

/// Pushes recordings.
pub(super) async fn push(environment: &Environment, server: &Server, push: PushCommand) -> Result<(), AgentError> {
    let unusable = |path: &Path, hint| {
        let path = path.to_owned();
        move |source| AgentError::Folder { path, source, hint }
    };
    let of_queue = "--queue names the folder, which BBB's scripts and this user can write";
    let node = Node::read(environment)?;
    let Some(queue) = Queue::open(&push.queue).map_err(unusable(&push.queue, of_queue))? else {
        terminal::print("Another process pushes the recordings of this queue.\n")?;
        return Ok(());
    };
    for record in &push.record_ids {
        let missing = || AgentError::NoRecording { record: record.clone(), dir: push.dir.clone() };
        let id = RecordId::new(record).ok_or_else(missing)?;
        let formats = formats_of(&id, &push.dir).map_err(unusable(&push.dir, "--dir names the folder"))?;
        if formats.is_empty() {
            return Err(missing());
        }
        let added = formats.iter().try_for_each(|format| queue.add(&id, format));
        added.map_err(unusable(&push.queue, of_queue))?;
    }
    let sender = Sender::Node { url: node.url, secret: node.secret };
    let transfer = Transfer::new(server.uploader(PATIENCE)?, sender, push.rate);
    let mut pushing = Pushing { push: &push, transfer, failed: 0 };
    for waiting in queue.waiting().map_err(unusable(&push.queue, of_queue))? {
        let is_named = push.record_ids.iter().any(|record| *record == *waiting.record.as_str());
        let is_wanted = if push.record_ids.is_empty() { waiting.is_due(RuntimeClock.time()) } else { is_named };
        if is_wanted {
            // A failure of one recording holds up no other.
            pushing.push(&waiting).await.map_err(unusable(&push.queue, of_queue))?;
        }
    }
    if pushing.failed == 0 { Ok(()) } else { Err(AgentError::NotPushed { failed: pushing.failed }) }
}

/// The names of the formats of a recording.
fn formats_of(record: &RecordId, dir: &Path) -> io::Result<Vec<String>> {
    let mut formats = Vec::new();
    for entry in fs::read_dir(dir)? {
        let name = entry?.file_name();
        let format = name.to_str().filter(|name| is_format(name));
        formats.extend(format.filter(|format| dir.join(format).join(record.as_str()).is_dir()).map(str::to_owned));
    }
    Ok(formats)
}

/// One run over the queue.
struct Pushing<'p> {
    push: &'p PushCommand,
    transfer: Transfer,
    failed: usize,
}

impl Pushing<'_> {
    /// Pushes one format, and notes the outcome in the queue.
    async fn push(&mut self, waiting: &Waiting) -> io::Result<()> {
        let name = format!("{}/{}", waiting.format, waiting.record);
        let folder = self.push.dir.join(&waiting.format).join(waiting.record.as_str());
        if !folder.is_dir() {
            // A meeting without notes has none to publish, and yet its script runs.
            info!(recording = name, "Passing over a format without a folder");
            return waiting.finish();
        }
        let (record, format) = (waiting.record.to_string(), waiting.format.clone());
        let local = LocalFormat { record, format, folder, is_unpublished: false };
        let outcome = self.transfer.send(&local, |_| ()).await;
        match outcome {
            Outcome::Imported { .. } => {
                info!(recording = name, "Recording imported");
                if self.push.delete_after_import {
                    fs::remove_dir_all(&local.folder)?;
                }
                waiting.finish()
            }
            Outcome::Refused(reason) => {
                self.failed += 1;
                error!(recording = name, reason, "The server refused a recording");
                waiting.refuse(&reason)
            }
            Outcome::Failed { reason, arrived } => {
                self.failed += 1;
                let pause = waiting.postpone(&reason, arrived, RuntimeClock.time())?;
                warn!(recording = name, reason, ?pause, "Pushing a recording failed");
                Ok(())
            }
            Outcome::Queued => {
                info!(recording = name, "The server has the recording in its queue");
                waiting.postpone("the server has it in its queue", true, RuntimeClock.time()).map(drop)
            }
        }
    }
}
