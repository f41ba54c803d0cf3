//! `recording verify`: rows and files of recordings against each other.

use argh::{ArgsInfo, FromArgs};
use b3scale_base::rest::{FileProblem, VerifyLine, VerifyTotals};
use serde_json::json;

use crate::context::Context;
use crate::progress::{Progress, Unit};
use crate::{CtlError, Exit};

/// Compare the files of all recordings with the database, in both directions. It may take hours.
///
/// Exit code 1: something is wrong.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "verify")]
pub(super) struct Verify {
    /// repair what can be repaired without loss; no file is removed
    #[argh(switch)]
    fix: bool,
}

impl Verify {
    pub(super) async fn run(self, context: &Context, dry: bool) -> Result<Exit, CtlError> {
        let fix = self.fix && !dry;
        let api = if fix { context.api_for_changes().await? } else { context.api().await? };
        let mut lines = api.verify_recordings(fix).await?;
        let (mut progress, mut problems) = (None, Vec::new());
        let totals = loop {
            match lines.next().await? {
                Some(VerifyLine::Progress(at)) => {
                    let total = at.total.unsigned_abs();
                    let progress =
                        progress.get_or_insert_with(|| Progress::new(&context.console, total, Unit::Formats));
                    progress.reach(at.formats.unsigned_abs())?;
                }
                Some(VerifyLine::Problem(problem)) => {
                    match &progress {
                        Some(progress) => progress.line(shown(&problem))?,
                        None => context.console.progress(shown(&problem))?,
                    }
                    if context.console.json {
                        problems.push(problem);
                    }
                }
                Some(VerifyLine::Done(totals)) => break totals,
                Some(VerifyLine::Failed(why)) => return Err(CtlError::Failed(format!("{}: {why}", api.url()))),
                None => {
                    let why = "the server ended the verification, since it goes down; start it again";
                    return Err(CtlError::Failed(format!("{}: {why}", api.url())));
                }
            }
        };
        progress.into_iter().for_each(Progress::end);
        let exit = context.console.report(summary(&totals), &json!({ "problems": problems, "totals": totals }))?;
        if totals.problems > totals.repaired { Ok(Exit::WRONG) } else { Ok(exit) }
    }
}

fn shown(problem: &FileProblem) -> String {
    let FileProblem { record_id, format, problem: kind, shelf, detail, repaired } = problem;
    let shelf = shelf.as_deref().map(|shelf| format!(" on {shelf}")).unwrap_or_default();
    let repaired = if *repaired { " – repaired" } else { "" };
    let name = if record_id.is_empty() { String::new() } else { format!(" {format}/{record_id}") };
    format!("{}{name}{shelf}: {detail}{repaired}", kind.name())
}

fn summary(totals: &VerifyTotals) -> String {
    let VerifyTotals { formats, on_shelves, problems, repaired } = totals;
    let wrong = match (problems, repaired) {
        (0, _) => "all is well".to_owned(),
        (problems, 0) => format!("{problems} problems"),
        (problems, repaired) => format!("{problems} problems, {repaired} of them repaired"),
    };
    format!("{formats} formats in the database, {on_shelves} on shelves: {wrong}")
}
