//! Reports of the agents, compared with the nodes.

use std::time::Duration;

use super::super::DemoError;
use super::super::report::{Mismatch, Report};
use super::{Lesson, Outcome, eventually, mismatch};
use crate::client::{Api, ApiSettings};
use crate::rest::{BackendReport, ClusterReport};

/// How long a server may take to follow an agent's report.
const LIMIT: Duration = Duration::from_secs(30);

/// Waits until the server knows by the agents who is on each node. Without agents there is nothing to wait for.
pub(super) async fn reported<'a>(lesson: &'a Lesson<'a>, report: &mut Report) -> Result<Vec<Vec<String>>, DemoError> {
    if lesson.scene.agents.count() == 0 {
        report.line("  (no redis-server on this machine: no agents)")?;
        return Ok(Vec::new());
    }
    let outcome = agents_are_right(lesson).await;
    report.step("cluster", "agents", outcome)?;
    let rows = ask(lesson).await.map(|cluster| rows(lesson, &cluster)).unwrap_or_default();
    Ok(rows)
}

async fn agents_are_right(lesson: &Lesson<'_>) -> Outcome {
    let right = async || {
        let cluster = ask(lesson).await?;
        Ok(lesson.scene.places.iter().find_map(|place| {
            let backend = cluster.backends.iter().find(|backend| backend.host == place.node.url())?;
            let people: usize = place.node.meetings().iter().map(|meeting| meeting.attendees.len()).sum();
            let heard = backend.heartbeat_age.is_some_and(|age| age < 5.0);
            let is_right = heard && backend.attendees as usize == people;
            (!is_right)
                .then(|| format!("{} people by the agent of {}, which has {people}", backend.attendees, place.name))
        }))
    };
    eventually(LIMIT, "as many people as the nodes have", right).await?;
    Ok(format!("{} agents report the people of their nodes", lesson.scene.agents.count()))
}

async fn ask(lesson: &Lesson<'_>) -> Result<ClusterReport, Mismatch> {
    let settings = ApiSettings {
        url: lesson.scene.urls[0].clone(),
        token: lesson.scene.token.clone(),
        user_agent: "b3scaled demo".to_owned(),
        ca_file: None,
        patience: LIMIT,
    };
    let answer = async { Api::new(&settings)?.cluster().await };
    answer.await.map_err(|error| mismatch("the cluster at a glance", error))
}

fn rows(lesson: &Lesson<'_>, cluster: &ClusterReport) -> Vec<Vec<String>> {
    let head = ["node", "meetings", "people", "load", "processors", "memory"].map(str::to_owned).to_vec();
    let share = |share: Option<f32>| share.map_or_else(|| "-".to_owned(), |share| format!("{:.0} %", share * 100.0));
    let row = |backend: &BackendReport| {
        let place = lesson.scene.places.iter().find(|place| place.node.url() == backend.host)?;
        let counts = [backend.meetings, backend.attendees].map(|count| count.to_string());
        let [meetings, people] = counts;
        let load = format!("{:.1}", backend.load);
        Some(vec![place.name.clone(), meetings, people, load, share(backend.cpu), share(backend.memory)])
    };
    std::iter::once(head).chain(cluster.backends.iter().filter_map(row)).collect()
}
