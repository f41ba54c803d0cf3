//! `b3scaled demo`: a whole cluster on this machine, and a lesson played on it through the real HTTP port.
//!
//! This process owns a private PostgreSQL and the simulated nodes; the servers are child processes, the same program as in
//! production, and are spoken to like any other, through a load balancer as it stands in front of them. Nothing of it
//! outlives this process.

mod agents;
mod balancer;
mod child;
mod client;
mod database;
mod error;
mod folder;
mod lesson;
mod ports;
mod report;
mod scene;
mod servers;
mod words;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::pin::{Pin, pin};
use std::process::ExitCode;

pub use error::DemoError;

use crate::program::signals::stop_signal;
use crate::store::private::PrivatePostgres;
use folder::Folder;
use lesson::Lesson;
use report::Report;
use scene::Scene;
use servers::Servers;

/// The size and options of a demo.
#[derive(Clone, Debug)]
pub struct DemoOptions {
    /// Simulated nodes, 2 to 64: half of them for each frontend.
    pub nodes: usize,
    /// Meetings of the lesson, 2 to 10,000: half of them of each frontend.
    pub meetings: usize,
    /// Where the first server listens; port 0 takes a free one. The others take free ones of the loopback.
    pub listen: SocketAddr,
    /// Keeps the database and the logs here. `None`: in a temporary folder, removed at the end.
    pub data_dir: Option<PathBuf>,
    /// Ends after the lesson.
    pub once: bool,
    /// Prints one JSON object on standard output, and everything else on standard error.
    pub json: bool,
    /// The nodes speak https, with certificates of a private authority.
    pub https_nodes: bool,
}

impl Default for DemoOptions {
    fn default() -> Self {
        Self {
            nodes: 4,
            meetings: 12,
            listen: (Ipv4Addr::LOCALHOST, 42353).into(),
            data_dir: None,
            once: false,
            json: false,
            https_nodes: false,
        }
    }
}

impl DemoOptions {
    fn check(&self) -> Result<(), DemoError> {
        let within = |option, value, least, most| {
            let fits = (least..=most).contains(&value);
            if fits { Ok(()) } else { Err(DemoError::Option { option, value, least, most }) }
        };
        within("--nodes", self.nodes, 2, 64)?;
        within("--meetings", self.meetings, 2, 10_000)
    }

    /// A script that reads the JSON wants an unused cluster.
    fn plays_lesson(&self) -> bool {
        self.once || !self.json
    }
}

/// Whether every step came out as it should.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// All did, or none was asked for.
    Passed,
    /// One did not, or the lesson was interrupted by hand.
    Failed,
}

impl From<Verdict> for ExitCode {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Passed => Self::SUCCESS,
            Verdict::Failed => Self::FAILURE,
        }
    }
}

/// Runs the demo until its lesson is over or, without `once`, until Ctrl-C or SIGTERM. It ends early when the reader of its report
/// has left: with the verdict so far.
///
/// # Errors
/// [`DemoError`], when the cluster cannot be set up or one of its servers ends by itself.
pub async fn run(options: DemoOptions) -> Result<Verdict, DemoError> {
    options.check()?;
    let mut stop = pin!(stop_signal().map_err(DemoError::Signals)?);
    let folder = Folder::open(options.data_dir.as_deref())?;
    // A start of PostgreSQL is not interrupted, so that no half-made cluster is left.
    let database = PrivatePostgres::start(folder.path()).await?;
    let outcome = with_database(&options, &folder, &database, stop.as_mut()).await;
    database.stop().await;
    outcome
}

async fn with_database(
    options: &DemoOptions,
    folder: &Folder,
    database: &PrivatePostgres,
    stop: Pin<&mut impl Future<Output = ()>>,
) -> Result<Verdict, DemoError> {
    let mut servers = Servers::plan(options.listen, folder)?;
    let scene = Scene::set(options, folder, database, servers.urls()).await?;
    let mut report = Report::new(if options.json { Box::new(io::stderr()) } else { Box::new(io::stdout()) });
    let outcome = tokio::select! {
        outcome = perform(options, &scene, folder, &mut servers, &mut report) => outcome,
        () = stop => Err(DemoError::Interrupted),
    };
    scene.agents.stop_all().await;
    servers.stop().await;
    scene.store.close();
    match outcome {
        Err(DemoError::Interrupted) if options.once => Ok(Verdict::Failed),
        Err(DemoError::Interrupted | DemoError::Unread) => Ok(report.verdict()),
        outcome => outcome,
    }
}

async fn perform(
    options: &DemoOptions,
    scene: &Scene,
    folder: &Folder,
    servers: &mut Servers,
    report: &mut Report,
) -> Result<Verdict, DemoError> {
    servers.start(scene)?;
    servers.ready(scene.balancer.client()).await?;
    scene.agents.start_all();
    words::introduction(scene, servers, report)?;
    if options.json {
        words::json(scene)?;
    }
    if options.plays_lesson() {
        Lesson::of(scene, options.meetings).play(servers, report).await?;
    }
    if options.once {
        return Ok(report.verdict());
    }
    words::invitation(scene, folder, report)?;
    Err(servers.ended().await)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_demo_without_nodes_for_both_frontends_is_refused() {
        let said = DemoOptions { nodes: 1, ..DemoOptions::default() }.check().unwrap_err().to_string();
        assert_eq!(said, "--nodes 1 is not possible: 2 to 64 are");
        DemoOptions::default().check().unwrap();
    }

    #[test]
    fn a_script_that_reads_json_gets_an_untouched_cluster() {
        let json = DemoOptions { json: true, ..DemoOptions::default() };
        assert!(!json.plays_lesson());
        assert!(DemoOptions { once: true, ..json }.plays_lesson());
        assert!(DemoOptions::default().plays_lesson());
    }
}
