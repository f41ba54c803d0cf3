//! An ordinary day: create, join, ask, list, end. And calls with a wrong secret.

use std::collections::BTreeSet;
use std::time::Duration;

use b3scale_middleware::bbb::{CallKind, Secret, xml};
use b3scale_middleware::cluster::MEETING_FLOOR;
use futures_util::{StreamExt, stream};

use super::super::DemoError;
use super::super::client::{Answer, CallError, Endpoint};
use super::super::report::{Mismatch, Report};
use super::super::scene::{SERVERS, Tenant};
use super::{Lesson, Meeting, Outcome, PEOPLE, count, eventually, mismatch};

/// How long a meeting may take to be gone after its end was asked for.
const END_LIMIT: Duration = Duration::from_secs(20);

/// An ordinary day, but for its end.
pub(super) async fn everyday<'a>(lesson: &'a Lesson<'a>, report: &mut Report) -> Result<(), DemoError> {
    create(lesson, report).await?;
    for tenant in &lesson.scene.tenants {
        let roll = lesson.lessons_of(tenant);
        report.step(tenant.key, "create", create_again(lesson, &roll).await)?;
        report.step(tenant.key, "join", join(lesson, &roll).await)?;
        report.step(tenant.key, "isMeetingRunning", is_running(lesson, &roll).await)?;
        report.step(tenant.key, "getMeetingInfo", info(lesson, &roll).await)?;
        report.step(tenant.key, "getMeetings", list(lesson, tenant, &roll).await)?;
        report.step(tenant.key, "getMeetings", forge(lesson, tenant).await)?;
    }
    Ok(())
}

/// The end of the day: of all there was.
pub(super) async fn end<'a>(lesson: &'a Lesson<'a>, report: &mut Report) -> Result<(), DemoError> {
    for tenant in &lesson.scene.tenants {
        let roll = lesson.all_of(tenant);
        report.step(tenant.key, "end", ask_to_end(lesson, &roll).await)?;
        report.step(tenant.key, "isMeetingRunning", is_gone(lesson, &roll).await)?;
    }
    Ok(())
}

/// The meetings of both frontends, with creates under way at all servers at any time: the hard case of placement. Each
/// server has only one, since it cannot know of simultaneous creates elsewhere.
async fn create<'a>(lesson: &'a Lesson<'a>, report: &mut Report) -> Result<(), DemoError> {
    let calls = stream::iter(&lesson.lessons).map(|meeting| lesson.call(meeting, CallKind::Create, &[]));
    let answers: Vec<_> = calls.buffered(SERVERS).collect().await;
    // The load before each create is only known once all are there.
    for tenant in &lesson.scene.tenants {
        for (meeting, answer) in lesson.lessons.iter().zip(&answers).filter(|(one, _)| one.belongs_to(tenant)) {
            report.step(tenant.key, "create", placed(lesson, meeting, answer.as_ref()))?;
        }
    }
    Ok(())
}

fn placed(lesson: &Lesson<'_>, meeting: &Meeting<'_>, answer: Result<&Answer, &CallError>) -> Outcome {
    let wanted = || format!("{} to be created", meeting.id);
    let answer = answer.map_err(|error| mismatch(wanted(), error))?;
    Mismatch::unless(answer.succeeded(), wanted(), || answer.to_string())?;
    let (place, view) = lesson.only_place(meeting)?;
    let tag = meeting.tenant.tag;
    Mismatch::unless(place.tag == tag, format!("{} on a node with the tag {tag}", meeting.id), || {
        format!("{} has {}", place.name, place.tag)
    })?;
    let earlier = place.node.meetings().iter().filter(|other| other.create_time < view.create_time).count();
    let before = earlier * MEETING_FLOOR as usize;
    Ok(format!("{:<8} → {:<7} tagged {tag}, load was {before}", meeting.id, place.name))
}

async fn create_again(lesson: &Lesson<'_>, roll: &[&Meeting<'_>]) -> Outcome {
    let Some(meeting) = roll.first() else { return Err(mismatch("a meeting", "there is none")) };
    let (_, first) = lesson.only_place(meeting)?;
    let wanted = format!("duplicateWarning for {}", first.internal_id);
    let answer = lesson.answer(meeting, CallKind::Create, &[], &wanted).await?;
    let [key, internal_id] = answer.fields(["messageKey", "internalMeetingID"]);
    let same = internal_id.as_deref() == Some(&first.internal_id);
    Mismatch::unless(same && key.as_deref() == Some("duplicateWarning"), wanted, || {
        format!("{answer} for {}", internal_id.unwrap_or_default())
    })?;
    let (place, _) = lesson.only_place(meeting)?;
    Ok(format!("{:<8} → {:<7} as before (duplicateWarning)", meeting.id, place.name))
}

pub(super) async fn join<'a>(lesson: &'a Lesson<'a>, roll: &[&'a Meeting<'a>]) -> Outcome {
    lesson.each(roll, |meeting| lesson.seat(meeting)).await?;
    Ok(format!("{} people in {}, each on its node", roll.len() * PEOPLE.len(), count(roll)))
}

async fn is_running<'a>(lesson: &'a Lesson<'a>, roll: &[&'a Meeting<'a>]) -> Outcome {
    lesson.each(roll, |meeting| lesson.runs(meeting)).await?;
    Ok(format!("true for {}", count(roll)))
}

async fn info<'a>(lesson: &'a Lesson<'a>, roll: &[&'a Meeting<'a>]) -> Outcome {
    lesson
        .each(roll, |meeting| async move {
            let people = PEOPLE.len().to_string();
            let wanted = [meeting.id.clone(), meeting.name.clone(), people, "1".to_owned()];
            let said = || format!("id, name, people and moderators {}", wanted.join(", "));
            let answer = lesson.answer(meeting, CallKind::GetMeetingInfo, &[], &said()).await?;
            let came = answer.fields(["meetingID", "meetingName", "participantCount", "moderatorCount"]);
            let came = came.map(Option::unwrap_or_default);
            Mismatch::unless(came == wanted, said(), || format!("{answer}, {}", came.join(", ")))
        })
        .await?;
    Ok("its own id and name, 2 people, 1 moderator".to_owned())
}

pub(super) async fn list(lesson: &Lesson<'_>, tenant: &Tenant, roll: &[&Meeting<'_>]) -> Outcome {
    let wanted: BTreeSet<_> = roll.iter().map(|one| (one.id.clone(), one.name.clone())).collect();
    let said = || format!("the {} meetings of {} and no other", wanted.len(), tenant.key);
    let answer = lesson.scene.balancer.call(&tenant.endpoints, CallKind::GetMeetings, &[]).await;
    let answer = answer.map_err(|error| mismatch(said(), error))?;
    let found = xml::elements(&answer.body, &["response", "meetings", "meeting"]).unwrap_or_default();
    let listed = found.iter().map(|meeting| {
        let [id, name] = xml::fields(meeting, ["meetingID", "meetingName"]).unwrap_or_default();
        (id.unwrap_or_default(), name.unwrap_or_default())
    });
    let listed: BTreeSet<_> = listed.collect();
    Mismatch::unless(listed == wanted && found.len() == wanted.len(), said(), || {
        let odd: Vec<_> = listed.symmetric_difference(&wanted).map(|(id, name)| format!("{id} ({name})")).collect();
        format!("{answer}, {} meetings; missing or too many: {}", found.len(), odd.join(", "))
    })?;
    Ok(format!("{}, each once, none of others", count(roll)))
}

/// A call that was signed with another secret.
async fn forge(lesson: &Lesson<'_>, tenant: &Tenant) -> Outcome {
    let wanted = "checksumError for a wrong secret";
    let Some(secret) = Secret::new("a wrong secret") else { return Err(mismatch(wanted, "no secret")) };
    let forged =
        tenant.endpoints.each_ref().map(|Endpoint { url, .. }| Endpoint { url: url.clone(), secret: secret.clone() });
    let answer = lesson.scene.balancer.call(&forged, CallKind::GetMeetings, &[]).await;
    let answer = answer.map_err(|error| mismatch(wanted, error))?;
    Mismatch::unless(answer.failed_with("checksumError"), wanted, || answer.to_string())?;
    Ok("refused with a wrong secret (checksumError)".to_owned())
}

async fn ask_to_end<'a>(lesson: &'a Lesson<'a>, roll: &[&'a Meeting<'a>]) -> Outcome {
    lesson.each(roll, async |meeting| lesson.answer(meeting, CallKind::End, &[], "SUCCESS").await.map(drop)).await?;
    Ok(format!("{} asked to end", count(roll)))
}

/// Nodes end meetings a while after they were told to.
async fn is_gone<'a>(lesson: &'a Lesson<'a>, roll: &[&'a Meeting<'a>]) -> Outcome {
    let gone = async |meeting: &Meeting<'_>| {
        let answer = lesson.answer(meeting, CallKind::IsMeetingRunning, &[], "running: false").await?;
        let [running] = answer.fields(["running"]);
        let on_nodes = lesson.places(meeting).len();
        let gone = running.as_deref() == Some("false") && on_nodes == 0;
        Ok((!gone).then(|| format!("running: {}, on {on_nodes} nodes", running.unwrap_or_default())))
    };
    lesson.each(roll, |meeting| eventually(END_LIMIT, "gone", async move || gone(meeting).await)).await?;
    Ok(format!("false for {}, and gone from the nodes", count(roll)))
}
