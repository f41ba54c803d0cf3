//! A node hangs: it takes calls and never answers. New meetings begin elsewhere, and people elsewhere do not notice.

use std::slice;
use std::time::Duration;

use b3scale_middleware::bbb::CallKind;
use b3scale_node::Misbehaviour;
use tokio::time::{Instant, timeout};

use super::super::DemoError;
use super::super::client::Endpoint;
use super::super::report::{Mismatch, Report};
use super::{BusyNode, Lesson, Meeting, Outcome, Roll, count, eventually, mismatch};

/// How long a create may take that was for the node.
const CREATE_LIMIT: Duration = Duration::from_secs(10);
/// How long the servers may take to see that the node answers again.
const BACK_LIMIT: Duration = Duration::from_secs(30);

/// Lets a node hang while meetings begin, and then answer again.
pub(super) async fn hang_node<'a>(
    lesson: &'a Lesson<'a>,
    hung: &BusyNode<'a>,
    report: &mut Report,
) -> Result<(), DemoError> {
    let BusyNode { tenant, place, .. } = hung;
    place.node.misbehave(Misbehaviour::Stall);
    let created = create_beside_hung(lesson, hung).await;
    place.node.behave();
    report.step(tenant.key, "hang node", created)?;
    report.step(tenant.key, "join", super::everyday::join(lesson, &lesson.late.iter().collect::<Roll<'_>>()).await)?;
    report.step(tenant.key, "isMeetingRunning", answers_again(lesson, hung).await)
}

async fn create_beside_hung<'a>(lesson: &'a Lesson<'a>, BusyNode { place, .. }: &BusyNode<'a>) -> Outcome {
    let (late, began): (Roll<'_>, _) = (lesson.late.iter().collect(), Instant::now());
    let create = async |meeting: &Meeting<'_>| {
        let created = timeout(CREATE_LIMIT, super::drain::create_away_from(lesson, place, meeting)).await;
        let limit = CREATE_LIMIT.as_secs();
        created.unwrap_or_else(|_| Err(mismatch(format!("a new meeting within {limit} s"), "no answer")))
    };
    lesson.each(&late, create).await?;
    let seconds = began.elapsed().as_secs() + 1;
    Ok(format!("{} hangs: {} elsewhere within {seconds} s", place.name, count(&late)))
}

/// The meetings on the node still run, as every server says once the node answers.
async fn answers_again<'a>(lesson: &'a Lesson<'a>, BusyNode { tenant, place, meetings }: &BusyNode<'a>) -> Outcome {
    for endpoint in &tenant.endpoints {
        let back =
            |meeting| eventually(BACK_LIMIT, "running: true", async move || is_back(lesson, endpoint, meeting).await);
        lesson.each(meetings, back).await?;
    }
    Ok(format!("true for {} on {}, which is back", count(meetings), place.name))
}

/// Asks one server for a meeting on a node that was hanging. Until it knows better, its answers may be failures.
async fn is_back(lesson: &Lesson<'_>, endpoint: &Endpoint, meeting: &Meeting<'_>) -> Result<Option<String>, Mismatch> {
    let answer = lesson.call_at(slice::from_ref(endpoint), meeting, CallKind::GetMeetingInfo, &[]).await;
    let answer = answer.map_err(|error| mismatch("an answer", error))?;
    let [running] = answer.fields(["running"]);
    let back = answer.succeeded() && running.as_deref() == Some("true");
    Ok((!back).then(|| answer.to_string()))
}
