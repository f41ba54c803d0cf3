//! `watch`: the load of the cluster as it changes. Not known to the original.

use std::io::{self, IsTerminal};
use std::time::Duration;

use argh::{ArgsInfo, FromArgs};
use b3scale_base::client::{Api, ApiError};
use b3scale_base::program::table::{self, NOTHING};
use b3scale_base::program::terminal::Reader;
use b3scale_base::rest::{BackendReport, ClusterReport};
use rustix::termios::tcgetwinsize;
use serde_json::json;
use tokio::signal::ctrl_c;
use tokio::time::{MissedTickBehavior, interval};

use super::context::Context;
use super::layout::{meetings, people, warned};
use super::{CtlError, Exit};

/// Cells of a bar.
const BAR: usize = 20;
/// Cursor home, and the rest of the screen cleared.
const REDRAW: &str = "\x1b[H\x1b[J";

/// Watch the load of the cluster until Ctrl-C, or until its reader leaves.
///
/// With --json, each look is an object in a line of its own. It is {"error": "why"} while the server does not answer.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "watch")]
pub(super) struct Watch {
    /// show it once
    #[argh(switch)]
    once: bool,
    /// seconds between two looks; default: 2
    #[argh(option, arg_name = "seconds", default = "2.0")]
    interval: f64,
}

impl Watch {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, CtlError> {
        let interval = Duration::try_from_secs_f64(self.interval).ok().filter(|interval| !interval.is_zero());
        let Some(interval) = interval else {
            return Err(CtlError::Usage(format!("--interval {}: a number of seconds is wanted", self.interval)));
        };
        let (api, _) = context.connect().await?;
        if self.once {
            let cluster = api.cluster().await?;
            return context.console.report(picture(&cluster), &cluster);
        }
        tokio::select! {
            watched = forever(context, &api, interval) => watched,
            interrupted = ctrl_c() => Ok(interrupted.map(|()| Exit::SEEN)?),
        }
    }
}

async fn forever(context: &Context, api: &Api, every: Duration) -> Result<Exit, CtlError> {
    let redraw = io::stdout().is_terminal() && !context.console.json;
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        // A server that restarts is back in a moment.
        if show(context, &api.cluster().await, redraw)? == Reader::Left {
            return Ok(Exit::SEEN);
        }
    }
}

fn show(context: &Context, cluster: &Result<ClusterReport, ApiError>, redraw: bool) -> Result<Reader, CtlError> {
    let console = &context.console;
    match cluster {
        // One line a look, so that a program can read on.
        Ok(cluster) if console.json => console.print(&format!("{}\n", json!(cluster))),
        // Only a write tells that the reader has left.
        Err(error) if console.json => console.print(&format!("{}\n", json!({ "error": error.to_string() }))),
        seen => {
            let picture = seen.as_ref().map_or_else(|error| format!("{error}\n"), picture);
            let rows = tcgetwinsize(io::stdout()).ok().map(|size| usize::from(size.ws_row)).filter(|rows| *rows > 1);
            match rows.filter(|_| redraw) {
                Some(rows) => console.print(&format!("{REDRAW}{}", cut(&picture, rows - 1))),
                None => console.print(&format!("{picture}\n")),
            }
        }
    }
}

/// The cluster at a glance.
fn picture(cluster: &ClusterReport) -> String {
    let meetings = meetings(cluster.backends.iter().map(|backend| backend.meetings).sum());
    let people = people(cluster.backends.iter().map(|backend| backend.attendees).sum::<u32>());
    let servers = cluster.servers.iter().filter(|server| server.serves()).count();
    let used = cluster.backends.iter().filter(|backend| backend.reason.is_none()).count();
    let all = cluster.backends.len();
    let summary = format!("{meetings}, {people} · {used} of {all} backends take meetings · {servers} servers\n\n");
    let highest = cluster.backends.iter().map(|backend| backend.load).fold(0.0, f64::max);
    let head = ["backend", "load", "", "meetings", "people", "not used because"].map(str::to_owned).to_vec();
    let rows = cluster.backends.iter().map(|backend| row(backend, highest));
    let backends: Vec<Vec<String>> = [head].into_iter().chain(rows).collect();
    let head = ["frontend", "meetings", "people"].map(str::to_owned).to_vec();
    let rows = cluster.frontends.iter().filter(|frontend| frontend.meetings > 0);
    let rows =
        rows.map(|frontend| vec![frontend.key.clone(), frontend.meetings.to_string(), frontend.attendees.to_string()]);
    let frontends: Vec<Vec<String>> = [head].into_iter().chain(rows).collect();
    let frontends = if frontends.len() > 1 { format!("\n{}", lines(&frontends)) } else { String::new() };
    [warned(cluster.database.as_deref()), summary, lines(&backends), frontends].concat()
}

/// As much of a picture as fits on a screen.
fn cut(picture: &str, rows: usize) -> String {
    let lines: Vec<&str> = picture.lines().collect();
    if lines.len() <= rows {
        return picture.to_owned();
    }
    let shown = rows.saturating_sub(1);
    format!("{}\n… and {} more lines\n", lines[..shown].join("\n"), lines.len() - shown)
}

fn row(backend: &BackendReport, highest: f64) -> Vec<String> {
    vec![
        backend.host.clone(),
        format!("{:.1}", backend.load),
        bar(backend.load, highest),
        backend.meetings.to_string(),
        backend.attendees.to_string(),
        backend.reason.clone().unwrap_or_else(|| NOTHING.to_owned()),
    ]
}

fn bar(load: f64, highest: f64) -> String {
    let share = if highest > 0.0 { load / highest } else { 0.0 };
    let filled = (0..BAR).filter(|cell| (*cell as f64) < share * BAR as f64).count();
    format!("{}{}", "█".repeat(filled), "░".repeat(BAR - filled))
}

fn lines(rows: &[Vec<String>]) -> String {
    table::lines(rows).map(|line| format!("{line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_load_fills_its_bar() {
        assert_eq!(bar(4.0, 4.0), "█".repeat(BAR));
        assert_eq!(bar(0.0, 4.0), "░".repeat(BAR));
        assert_eq!(bar(2.0, 4.0).matches('█').count(), BAR / 2);
        assert_eq!(bar(0.0, 0.0).matches('█').count(), 0);
    }

    #[test]
    fn what_does_not_fit_on_the_screen_is_counted() {
        assert_eq!(cut("a\nb\nc\n", 3), "a\nb\nc\n");
        assert_eq!(cut("a\nb\nc\nd\n", 3), "a\nb\n… and 2 more lines\n");
    }
}
