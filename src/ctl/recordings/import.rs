//! `recording import`: all recordings of a folder of BBB, scalelite or b3scale.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use argh::{ArgsInfo, FromArgs};
use b3scale_base::client::RecordingsOf;
use b3scale_base::upload::{LocalFormat, Outcome, Sender, Transfer};
use b3scale_middleware::cluster::{RecordId, is_format};
use futures_util::{FutureExt, StreamExt, stream};
use serde_json::{Value, json};

use super::retention::size;
use crate::context::Context;
use crate::progress::{Progress, Unit};
use crate::{CtlError, Exit};

/// Formats that are sent at a time.
const AT_ONCE: usize = 4;
/// How long a request with a chunk may take.
const PATIENCE: Duration = Duration::from_secs(600);
/// The deepest folder of a format.
const DEEPEST: usize = 32;

/// Import all recordings of a folder: BBB's /var/bigbluebutton, scalelite's /mnt/scalelite-recordings/var/bigbluebutton, or the folders
/// of b3scale.
///
/// It holds published and unpublished, each with FORMAT/RECORD_ID, or is itself such a folder.
/// Unpublished recordings stay so. Started again, it passes over those that are there.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "import")]
pub(super) struct ImportFolder {
    /// the recordings are not published, whatever the folder is called
    #[argh(switch)]
    unpublished: bool,
    /// the most MiB to send in a second
    #[argh(option, arg_name = "mib")]
    rate: Option<u32>,
    /// the folder
    #[argh(positional)]
    dir: PathBuf,
}

/// A format to send, and the size of its files.
struct Found {
    local: LocalFormat,
    bytes: u64,
}

/// How the formats fared.
#[derive(Default)]
struct Tally {
    imported: Vec<String>,
    known: usize,
    queued: usize,
    refused: Vec<(String, String)>,
    failed: Vec<(String, String)>,
}

impl ImportFolder {
    pub(super) async fn run(self, context: &Context, dry: bool) -> Result<Exit, CtlError> {
        let found = self.found()?;
        if found.is_empty() {
            let why = "there is no folder FORMAT/RECORD_ID with a metadata.xml in it";
            return Err(CtlError::Unreadable { what: self.dir.display().to_string(), why: why.to_owned() });
        }
        let api = context.api_for_changes().await?;
        let bytes: u64 = found.iter().map(|one| one.bytes).sum();
        let records: BTreeSet<&str> = found.iter().map(|one| &*one.local.record).collect();
        let amount = format!("{} formats of {} recordings, {}", found.len(), records.len(), size(bytes.cast_signed()));
        if dry {
            return context.console.skipping(format_args!("import {amount}"));
        }
        context.console.progress(format_args!("importing {amount}"))?;
        let progress = RefCell::new(Progress::new(&context.console, bytes, Unit::Bytes));
        let transfer = Transfer::new(context.patient_api(PATIENCE).await?, Sender::Operator, self.rate);
        let sent = |bytes| drop(progress.borrow_mut().advance(bytes));
        let sending =
            stream::iter(&found).map(|one| transfer.send(&one.local, sent).map(move |outcome| (one, outcome)));
        let mut outcomes = sending.buffer_unordered(AT_ONCE);
        let mut tally = Tally::default();
        while let Some((one, outcome)) = outcomes.next().await {
            tally.note(one, outcome, &mut progress.borrow_mut())?;
        }
        drop(outcomes);
        progress.into_inner().end();
        let unassigned = unassigned(&api, &records).await?;
        tally.report(context, &unassigned)
    }

    fn found(&self) -> Result<Vec<Found>, CtlError> {
        let unreadable = |path: &Path, error: io::Error| CtlError::Unreadable {
            what: path.display().to_string(),
            why: error.to_string(),
        };
        let trees = [("published", false), ("unpublished", true)]
            .map(|(name, is_unpublished)| (self.dir.join(name), is_unpublished || self.unpublished));
        let mut trees: Vec<_> = trees.into_iter().filter(|(tree, _)| tree.is_dir()).collect();
        if trees.is_empty() {
            let is_unpublished = self.unpublished || self.dir.file_name().is_some_and(|name| name == "unpublished");
            trees.push((self.dir.clone(), is_unpublished));
        }
        let mut found = Vec::new();
        for (tree, is_unpublished) in trees {
            found.extend(formats(&tree, is_unpublished).map_err(|error| unreadable(&tree, error))?);
        }
        Ok(found)
    }
}

/// The formats in a tree: `<format>/<record id>/metadata.xml`.
fn formats(tree: &Path, is_unpublished: bool) -> io::Result<Vec<Found>> {
    let mut found = Vec::new();
    for format in names(tree)?.into_iter().filter(|name| is_format(name)) {
        let folder = tree.join(&format);
        if !folder.is_dir() {
            continue;
        }
        for record in names(&folder)?.into_iter().filter(|name| RecordId::new(name).is_some()) {
            let folder = folder.join(&record);
            if folder.join("metadata.xml").is_file() {
                let bytes = weight(&folder, DEEPEST)?;
                found.push(Found {
                    local: LocalFormat { record, format: format.clone(), folder, is_unpublished },
                    bytes,
                });
            }
        }
    }
    Ok(found)
}

/// The names in a folder, in their order.
fn names(folder: &Path) -> io::Result<Vec<String>> {
    let entries = fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name().into_string().ok()));
    let mut names: Vec<String> = entries.filter_map(Result::transpose).collect::<io::Result<_>>()?;
    names.sort_unstable();
    Ok(names)
}

/// The size of all files below a folder.
fn weight(folder: &Path, depth: usize) -> io::Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_file() {
            bytes += entry.metadata()?.len();
        } else if kind.is_dir() && depth > 0 {
            bytes += weight(&entry.path(), depth - 1)?;
        }
    }
    Ok(bytes)
}

/// Of these recordings those without a frontend.
async fn unassigned(api: &b3scale_base::client::Api, records: &BTreeSet<&str>) -> Result<Vec<String>, CtlError> {
    let (mut found, mut after) = (Vec::new(), None::<String>);
    loop {
        let page = api.recordings(RecordingsOf::Unassigned, false, after.as_deref()).await?;
        let ids: Vec<_> = page.iter().filter_map(|one| one["record_id"].as_str().map(str::to_owned)).collect();
        let Some(last) = ids.last().cloned() else { return Ok(found) };
        after = Some(last);
        found.extend(ids.into_iter().filter(|id| records.contains(&**id)));
    }
}

impl Tally {
    fn note(&mut self, one: &Found, outcome: Outcome, progress: &mut Progress<'_>) -> Result<(), CtlError> {
        let name = format!("{}/{}", one.local.format, one.local.record);
        match outcome {
            Outcome::Imported { was_known: false } => self.imported.push(name),
            Outcome::Imported { was_known: true } => {
                self.known += 1;
                progress.advance(one.bytes)?;
            }
            Outcome::Queued => self.queued += 1,
            Outcome::Refused(reason) => {
                progress.remark(&format!("{name} was refused: {reason}"));
                self.refused.push((name, reason));
            }
            Outcome::Failed { reason, .. } => {
                progress.remark(&format!("{name} was not imported: {reason}"));
                self.failed.push((name, reason));
            }
        }
        Ok(())
    }

    fn report(self, context: &Context, unassigned: &[String]) -> Result<Exit, CtlError> {
        let Self { imported, known, queued, refused, failed } = self;
        let counts = [
            (imported.len(), "imported"),
            (known, "there already"),
            (queued, "queued"),
            (refused.len(), "refused"),
            (failed.len(), "failed: start it again"),
        ];
        let counts = counts.into_iter().filter(|(count, _)| *count > 0);
        let mut text = counts.map(|(count, word)| format!("{count} {word}")).collect::<Vec<_>>().join(", ");
        if !unassigned.is_empty() {
            text.push_str(&format!(
                "\n{} recordings belong to no meeting that is known here. They are adopted once it is, as by `b3scalectl import`; \
                 `b3scalectl show recordings --unassigned` lists them, and `b3scalectl recording assign ID FRONTEND` gives one to a frontend.",
                unassigned.len()
            ));
        }
        let reasons = |list: &[(String, String)]| -> Vec<Value> {
            list.iter().map(|(name, reason)| json!({ "format": name, "reason": reason })).collect()
        };
        let value = json!({
            "imported": imported, "known": known, "queued": queued, "refused": reasons(&refused), "failed": reasons(&failed),
            "unassigned": unassigned,
        });
        let exit = context.console.report(text, &value)?;
        if refused.is_empty() && failed.is_empty() { Ok(exit) } else { Ok(Exit::WRONG) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn import(dir: &Path, unpublished: bool) -> Vec<(String, String, bool, u64)> {
        let import = ImportFolder { unpublished, rate: None, dir: dir.to_owned() };
        let found = import.found().unwrap().into_iter();
        found.map(|Found { local, bytes }| (local.format, local.record, local.is_unpublished, bytes)).collect()
    }

    fn publish(tree: &Path, path: &str) {
        fs::create_dir_all(tree.join(path)).unwrap();
        fs::write(tree.join(path).join("metadata.xml"), "<recording/>").unwrap();
    }

    #[test]
    fn both_trees_are_read_and_other_folders_are_not() {
        let folder = tempfile::tempdir().unwrap();
        for path in ["published/video/a-1", "published/notes/b-2", "unpublished/video/c-3", "deleted/video/d-4"] {
            publish(folder.path(), path);
        }
        fs::create_dir_all(folder.path().join("published/video/e-5")).unwrap();
        fs::write(folder.path().join("published/README"), "").unwrap();
        let one = |format: &str, record: &str, unpublished| (format.to_owned(), record.to_owned(), unpublished, 12);
        let all = [one("notes", "b-2", false), one("video", "a-1", false), one("video", "c-3", true)];
        assert_eq!(import(folder.path(), false), all);
        assert_eq!(import(&folder.path().join("unpublished"), false), all[2..]);
        assert_eq!(import(&folder.path().join("published/video").join(".."), true).len(), 2);
        assert_eq!(import(&folder.path().join("deleted"), true), [one("video", "d-4", true)]);
    }
}
