//! `recording retention`: recordings past their days or beyond their frontend's bytes.

use argh::{ArgsInfo, FromArgs};
use b3scale_base::rest::{OverdueReason, OverdueRecording, Retention as Overdue};
use indicatif::HumanBytes;
use serde_json::json;

use crate::console::table;
use crate::context::Context;
use crate::{CtlError, Exit};

/// Move recordings past their days or beyond their frontend's bytes to the trash, and empty the trash of those past their days.
/// The servers do this every hour.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "retention")]
pub(super) struct Retention {
    /// only show which recordings would go
    #[argh(switch)]
    dry_run: bool,
}

impl Retention {
    pub(super) async fn run(self, context: &Context, dry: bool) -> Result<Exit, CtlError> {
        if self.dry_run || dry {
            let overdue = context.api().await?.overdue_recordings().await?;
            return context.console.report(shown(&overdue), &overdue);
        }
        let api = context.api_for_changes().await?;
        let (mut dropped, mut purged) = (0, 0);
        loop {
            let taken = api.retain_recordings().await?;
            dropped += taken.dropped;
            purged += taken.purged;
            if taken.dropped + taken.purged == 0 {
                break;
            }
        }
        if dropped + purged == 0 {
            return context.console.unchanged(&json!({ "dropped": 0, "purged": 0 }));
        }
        let text = format!("{} came to the trash, and {} left it", recordings(dropped), recordings(purged));
        context.console.report(text, &json!({ "dropped": dropped, "purged": purged }))
    }
}

fn shown(overdue: &Overdue) -> String {
    if overdue.total == 0 {
        return "no recording is overdue".to_owned();
    }
    let head = ["recording", "frontend", "size", "since", "goes", "meeting"];
    let table = table(&head, overdue.recordings.iter().map(row));
    let left = overdue.total - overdue.recordings.len() as i64;
    let more = if left > 0 { format!("\n… and {} more", recordings(left)) } else { String::new() };
    format!("{table}{more}\n{}, {}", recordings(overdue.total), size(overdue.bytes))
}

fn row(one: &OverdueRecording) -> Vec<String> {
    let goes = match one.reason {
        OverdueReason::Age => "to the trash: its days are over",
        OverdueReason::Size => "to the trash: newer ones fill the bytes",
        OverdueReason::Trash => "for good: its days in the trash are over",
    };
    let frontend = one.frontend_key.clone().unwrap_or_else(|| "–".to_owned());
    let since = one.since.date().to_string();
    vec![one.record_id.clone(), frontend, size(one.bytes), since, goes.to_owned(), one.name.clone()]
}

/// A number of recordings, as people say it.
fn recordings(count: i64) -> String {
    if count == 1 { "1 recording".to_owned() } else { format!("{count} recordings") }
}

/// A size, as people say it.
pub(super) fn size(bytes: i64) -> String {
    HumanBytes(bytes.unsigned_abs()).to_string()
}
