//! `b3scaleagent`, between a simulated node that speaks on a real Redis and a server that takes notes.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod desk;
mod drain;
mod interruptions;
mod recordings;
mod registration;
mod reports;
mod told;
mod whole_way;

use std::fs;
use std::path::PathBuf;

use b3scale_node::{Node, NodeOptions, Role};
use b3scale_support::{Log, Relay, Running, TestFolder, TestRedis, program};
use tokio::process::Command;

use desk::{Desk, Picture};

const TOKEN: &str = "a.b.c";

/// A node with its Redis, and all that an agent needs on it.
struct Site {
    node: Node,
    redis: TestRedis,
    /// The agent's way to Redis. The node has its own.
    relay: Relay,
    desk: Desk,
    folder: TestFolder,
}

/// An agent that runs, and its log.
struct Agent {
    running: Running,
    log: Log,
}

impl Site {
    /// A site with a server that knows the agent.
    async fn start() -> Self {
        Self::with(TestRedis::start().await, Desk::start(TOKEN, true).await, "").await
    }

    /// A site with these properties and the required ones.
    async fn with(redis: TestRedis, desk: Desk, properties: &str) -> Self {
        Self::of(NodeOptions::default(), redis, desk, properties).await
    }

    /// A site with another node.
    async fn of(options: NodeOptions, redis: TestRedis, desk: Desk, properties: &str) -> Self {
        let node = Node::start(NodeOptions { redis: Some(redis.url().to_owned()), ..options }).await.unwrap();
        let relay = Relay::to(redis.socket()).await;
        let site = Self { node, redis, relay, desk, folder: TestFolder::new() };
        let settings = format!(
            "# of the administrator\nhost={}\nbigbluebutton.web.serverURL=${{host}}\nsecuritySalt = {}\n\
             redisHost: {}\nredisPort {}\n{properties}\n",
            site.node.url().trim_end_matches("/bigbluebutton/api/"),
            site.node.secret(),
            site.relay.address().ip(),
            site.relay.address().port(),
        );
        fs::write(site.properties(), settings).unwrap();
        site
    }

    fn properties(&self) -> PathBuf {
        self.folder.path().join("bbb-web.properties")
    }

    /// The agent with these arguments.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = program(env!("CARGO_BIN_EXE_b3scaleagent"), arguments);
        command
            .env("BBB_CONFIG", self.properties())
            .env("B3SCALE_API_URL", self.desk.url())
            .env("B3SCALE_API_ACCESS_TOKEN", TOKEN)
            .env("B3SCALE_LOG_FORMAT", "structured")
            .current_dir(self.folder.path());
        command
    }

    /// An agent that reports.
    fn agent(&self, arguments: &[&str]) -> Agent {
        Agent::start(self.command(arguments))
    }

    /// Who is on the node.
    fn picture(&self) -> Picture {
        let people = |meeting: b3scale_node::MeetingView| {
            meeting.attendees.into_iter().map(|attendee| attendee.internal_id).collect()
        };
        self.node.meetings().into_iter().map(|meeting| (meeting.internal_id.clone(), people(meeting))).collect()
    }

    /// Waits until the server has a picture to which nothing that happens later is lost.
    async fn until_followed(&self) {
        self.desk
            .until("a snapshot", |known| {
                known.batches.iter().any(|batch| batch.snapshot.is_some() && batch.redis_connected)
            })
            .await;
    }

    /// Waits until the server knows who is on the node.
    async fn until_known(&self, what: &str) {
        self.desk.until(what, |known| known.picture == self.picture()).await;
    }

    /// Some people join a meeting. Gives the node's ids.
    fn join(&self, meeting: &str, people: usize) -> Vec<String> {
        (0..people).map(|_| self.node.control().join(meeting, "Ada", Role::Viewer).unwrap()).collect()
    }
}

impl Agent {
    fn start(command: Command) -> Self {
        let mut running = Running::logging(command);
        let log = running.keep_reading();
        Self { running, log }
    }
}
