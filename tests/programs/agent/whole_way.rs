//! The whole way: a node, its Redis, the agent, two servers on one database.

use std::fs;
use std::net::SocketAddr;

use b3scale::ledger::Ingest;
use b3scale_middleware::bbb::CallKind;
use b3scale_middleware::cluster::{AdminState, BackendId};
use b3scale_support::{Relay, Servers, ServersOptions, TestFolder, TestRedis, eventually, token};

use super::desk::{Desk, Picture};
use super::{Agent, Site, TOKEN};
use crate::pipeline::PIPELINE;

const MEETINGS: usize = 50;

/// Servers, and an agent that reports to the first of them.
struct World {
    servers: Servers,
    site: Site,
    /// The agent's way to the server, wherever that is started again.
    way: Relay,
    backend: BackendId,
    _agent: Agent,
    _folder: TestFolder,
}

/// The node's machine is this one, and as busy as all tests together.
fn without_overload(pipeline: &str) -> String {
    let lines = pipeline.lines().map(|line| match line.split_once(" = 0.") {
        Some((name @ ("overload-cpu" | "recovered-cpu" | "overload-memory" | "recovered-memory"), _)) => {
            format!("{name} = 1.0\n")
        }
        _ => format!("{line}\n"),
    });
    lines.collect()
}

fn address(servers: &Servers) -> SocketAddr {
    servers.url(0).trim_start_matches("http://").parse().unwrap()
}

impl World {
    /// A node that registers itself, and is enabled.
    async fn start() -> Self {
        let folder = TestFolder::new();
        let pipeline = folder.path().join("pipeline.toml");
        fs::write(&pipeline, without_overload(PIPELINE)).unwrap();
        let options = ServersOptions { servers: 2, nodes: 0, pipeline: Some(pipeline), ..ServersOptions::default() };
        let servers = Servers::start(env!("CARGO_BIN_EXE_b3scaled"), options).await;
        let way = Relay::to_port(address(&servers)).await;
        let site = Site::with(TestRedis::start().await, Desk::start(TOKEN, false).await, "").await;
        let mut command = site.command(&["--register"]);
        command.env("B3SCALE_API_URL", format!("http://{}", way.address()));
        command.env("B3SCALE_API_ACCESS_TOKEN", token("node-1", "b3scale:node"));
        let agent = Agent::start(command);
        agent.log.line_with("This node is registered").await;
        let backend = servers.store.backends().id_of_agent("node-1").await.unwrap().unwrap();
        servers.store.backends().record_admin_state(backend, AdminState::Ready).await.unwrap();
        servers.followed().await;
        let world = Self { servers, site, way, backend, _agent: agent, _folder: folder };
        for number in 0..MEETINGS {
            let query = format!("name=Lesson&meetingID=lesson-{number}");
            let create = async || world.servers.call(number, CallKind::Create, &query).await.is_success();
            eventually("a meeting is created", create).await;
        }
        world
    }

    /// People join every meeting.
    fn join(&self, people: usize) {
        self.site.picture().keys().for_each(|meeting| drop(self.site.join(meeting, people)));
    }

    /// The first people of every meeting leave.
    fn leave(&self, people: usize) {
        for (meeting, attendees) in self.site.picture() {
            let leaving = attendees.iter().take(people);
            leaving.for_each(|attendee| assert!(self.site.node.control().leave(&meeting, attendee)));
        }
    }

    /// The server is killed; something happens; it is started again.
    async fn kill_during(&mut self, happens: impl AsyncFnOnce(&Self)) {
        self.servers.kill(0);
        self.servers.ended(0).await;
        happens(self).await;
        self.servers.restart(0).await;
        self.way.lead_to(address(&self.servers));
    }

    /// The node's state in the store.
    async fn stored(&self) -> Picture {
        let presence = self.servers.store.presence_since(&[(self.backend, 0)]).await.unwrap();
        let presence = presence.get(&self.backend).cloned().unwrap_or_default();
        let there = presence.meetings.into_iter().filter_map(|(id, there)| there.map(|_| id));
        let mut picture: Picture = there.map(|id| (id, Default::default())).collect();
        for ((meeting, attendee), there) in presence.attendees {
            if there.is_some() {
                picture.entry(meeting).or_default().insert(attendee);
            }
        }
        picture
    }

    /// Waits until the store, and then every server, knows who is there.
    async fn until_exact(&self) {
        let expected = self.site.picture();
        eventually("the store knows who is there", async || self.stored().await == expected).await;
        let people: usize = expected.values().map(std::collections::BTreeSet::len).sum();
        for server in 0..self.servers.count() {
            let listed = async || {
                let list = self.servers.call(server, CallKind::GetMeetings, "").await.text;
                list.matches("<attendee>").count() == people
            };
            eventually("a server lists who is there", listed).await;
        }
    }
}

#[tokio::test]
async fn attendees_are_exact_although_the_server_is_killed_twice() {
    let mut world = World::start().await;
    world.join(8);
    world.kill_during(async |world| world.leave(4)).await;
    world.join(6);
    world.leave(3);
    world.kill_during(async |world| world.join(6)).await;
    world.leave(5);
    world.until_exact().await;
}

#[tokio::test]
async fn meetings_that_end_while_redis_is_away_are_gone() {
    let world = World::start().await;
    world.join(2);
    world.until_exact().await;
    world.site.relay.cut();
    world.site.picture().keys().step_by(2).for_each(|meeting| assert!(world.site.node.control().expire(meeting)));
    world.site.relay.heal();
    world.until_exact().await;
}
