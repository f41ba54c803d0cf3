//! An operator drains a node: what runs there goes on, and nothing new begins there.

use std::slice;
use std::time::Duration;

use b3scale_middleware::bbb::CallKind;
use b3scale_middleware::cluster::AdminState;

use super::super::DemoError;
use super::super::client::Endpoint;
use super::super::report::{Mismatch, Report};
use super::super::scene::{Place, SERVERS, Tenant};
use super::{BusyNode, Lesson, Meeting, Outcome, Roll, count, eventually, mismatch};
use crate::store::StoreError;

/// How long the servers may take to hear of a change.
const HEARD_LIMIT: Duration = Duration::from_secs(20);
/// Who joins while the node is drained, and as what.
const LATECOMER: (&str, &str) = ("Mary Jackson", "VIEWER");

/// Drains a node, and enables it again.
pub(super) async fn drain<'a>(lesson: &'a Lesson<'a>, report: &mut Report) -> Result<(), DemoError> {
    let Some(BusyNode { tenant, place, meetings }) = lesson.busiest() else {
        return report.line("  – no frontend has two nodes, so no node is drained or killed");
    };
    report.step(tenant.key, "drain", stop(lesson, place, &meetings).await)?;
    report.step(tenant.key, "create", create_beside(lesson, place).await)?;
    report.step(tenant.key, "enable", enable(lesson, place).await)
}

async fn stop<'a>(lesson: &'a Lesson<'a>, place: &Place, meetings: &[&'a Meeting<'a>]) -> Outcome {
    want(lesson, place, AdminState::Stopped).await?;
    let goes_on = async |meeting: &Meeting<'_>| {
        lesson.runs(meeting).await?;
        let (name, role) = LATECOMER;
        lesson.send_to_node(meeting, place, name, role).await
    };
    lesson.each(meetings, goes_on).await?;
    Ok(format!("{} stopped: {} go on, people join", place.name, count(meetings)))
}

/// New meetings, at all servers, while the node is drained.
async fn create_beside<'a>(lesson: &'a Lesson<'a>, drained: &Place) -> Outcome {
    let extras: Roll<'_> = lesson.extras.iter().collect();
    let create_and_join = async |meeting: &Meeting<'_>| {
        create_away_from(lesson, drained, meeting).await?;
        lesson.seat(meeting).await
    };
    lesson.each(&extras, create_and_join).await?;
    Ok(format!("{} at {SERVERS} servers, none of them on {}", count(&extras), drained.name))
}

/// Creates a meeting, which must get a node of its frontend, and not that one.
pub(super) async fn create_away_from(
    lesson: &Lesson<'_>,
    place: &Place,
    meeting: &Meeting<'_>,
) -> Result<(), Mismatch> {
    let wanted = format!("a new meeting on a node tagged {}, and not on {}", place.tag, place.name);
    let answer = lesson.answer(meeting, CallKind::Create, &[], &wanted).await?;
    let (chosen, view) = lesson.only_place(meeting)?;
    let [internal_id] = answer.fields(["internalMeetingID"]);
    let holds = chosen.tag == place.tag && chosen.name != place.name && internal_id == Some(view.internal_id);
    Mismatch::unless(holds, wanted, || format!("{answer}, on {}", chosen.name))
}

async fn enable(lesson: &Lesson<'_>, place: &Place) -> Outcome {
    want(lesson, place, AdminState::Ready).await?;
    Ok(format!("{} is ready again, as all servers have heard", place.name))
}

/// Sets a node's wanted state, and waits until all servers know.
async fn want(lesson: &Lesson<'_>, place: &Place, state: AdminState) -> Result<(), Mismatch> {
    let (store, url) = (&lesson.scene.store, place.node.url());
    let wanted = || format!("{} to be set to {state:?}", place.name);
    let refused = |error: StoreError| mismatch(wanted(), error);
    let backends = store.backends().load().await.map_err(refused)?;
    let backend = backends.iter().find(|backend| backend.url == url);
    let backend = backend.ok_or_else(|| mismatch(wanted(), "no such backend"))?;
    store.backends().record_admin_state(backend.id, state).await.map_err(refused)?;
    heard(lesson, SERVERS).await
}

/// Waits until the first servers have followed all changes until now. They follow changes in the order in which these
/// were made, so a server that knows a new frontend knows all earlier changes.
pub(super) async fn heard(lesson: &Lesson<'_>, servers: usize) -> Result<(), Mismatch> {
    let store = &lesson.scene.store;
    let refused = |error: StoreError| mismatch("a frontend to be recorded and removed", error);
    let echo = Tenant::new("echo", "", &lesson.scene.urls);
    let frontend = store.frontends().record(&echo.frontend()).await.map_err(refused)?;
    let knows = async |endpoint: &Endpoint| {
        let answer = lesson.scene.balancer.call(slice::from_ref(endpoint), CallKind::GetMeetings, &[]).await;
        let answer = answer.map_err(|error| mismatch("an answer", error))?;
        Ok((!answer.succeeded()).then(|| answer.to_string()))
    };
    for endpoint in &echo.endpoints[..servers] {
        eventually(HEARD_LIMIT, "a change to be heard of", async || knows(endpoint).await).await?;
    }
    store.frontends().remove(frontend.id).await.map(drop).map_err(refused)
}
