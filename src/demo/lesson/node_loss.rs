//! A node is killed, and its meetings go on elsewhere.

use std::slice;
use std::time::Duration;

use b3scale_middleware::bbb::CallKind;
use tokio::time::Instant;

use super::super::DemoError;
use super::super::client::Endpoint;
use super::super::report::{Mismatch, Report};
use super::server_loss::KILLED;
use super::{BusyNode, Lesson, Meeting, Outcome, count, eventually, mismatch};

/// How long the servers may take to notice that a node is lost, and not only slow.
const NOTICE_LIMIT: Duration = Duration::from_secs(90);

/// Kills a node, and creates its meetings again, as frontends do.
pub(super) async fn lose_node<'a>(
    lesson: &'a Lesson<'a>,
    lost: &BusyNode<'a>,
    report: &mut Report,
) -> Result<(), DemoError> {
    let BusyNode { tenant, meetings, .. } = lost;
    report.step("cluster", "kill node", kill(lesson, lost).await)?;
    report.step(tenant.key, "create", create_elsewhere(lesson, lost).await)?;
    report.step(tenant.key, "join", super::everyday::join(lesson, meetings).await)?;
    report.step(tenant.key, "getMeetings", super::everyday::list(lesson, tenant, &lesson.all_of(tenant)).await)
}

async fn kill<'a>(lesson: &Lesson<'a>, BusyNode { place, meetings, .. }: &BusyNode<'a>) -> Outcome {
    let began = Instant::now();
    place.node.crash().await;
    lesson.scene.agents.stop(&place.name).await;
    lesson
        .each(meetings, async |meeting| {
            for endpoint in &meeting.tenant.endpoints[..KILLED] {
                let noticed = async || is_given_up(lesson, endpoint, meeting).await;
                eventually(NOTICE_LIMIT, "running: false", noticed).await?;
            }
            Ok(())
        })
        .await?;
    let seconds = began.elapsed().as_secs() + 1;
    Ok(format!("{} with {}, noticed within {seconds} s", place.name, count(meetings)))
}

/// Asks one server for a meeting on a lost node. Until the server has noticed the loss, its answers may be failures.
async fn is_given_up(
    lesson: &Lesson<'_>,
    endpoint: &Endpoint,
    meeting: &Meeting<'_>,
) -> Result<Option<String>, Mismatch> {
    let answer = lesson.call_at(slice::from_ref(endpoint), meeting, CallKind::IsMeetingRunning, &[]).await;
    let answer = answer.map_err(|error| mismatch("an answer", error))?;
    let [running] = answer.fields(["running"]);
    let given_up = answer.succeeded() && running.as_deref() == Some("false");
    Ok((!given_up).then(|| answer.to_string()))
}

async fn create_elsewhere<'a>(lesson: &'a Lesson<'a>, BusyNode { place, meetings, .. }: &BusyNode<'a>) -> Outcome {
    lesson.each(meetings, async |meeting| super::drain::create_away_from(lesson, place, meeting).await).await?;
    // A server that has not heard yet believes the meeting lost, and does not list it.
    super::drain::heard(lesson, KILLED).await?;
    Ok(format!("{} again on other nodes tagged {}", count(meetings), place.tag))
}
