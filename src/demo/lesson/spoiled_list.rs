//! A node's list of its meetings becomes unreadable, and no attendee notices.

use std::slice;
use std::time::Duration;

use b3scale_middleware::bbb::CallKind;
use b3scale_node::Misbehaviour;

use super::super::DemoError;
use super::super::report::{Mismatch, Report};
use super::super::scene::Place;
use super::{BusyNode, Lesson, Meeting, Outcome, count, eventually, mismatch};

/// How long the servers may take to ask a node three times.
const ASKED_LIMIT: Duration = Duration::from_secs(60);
/// How long they may take to use it again.
const BACK_LIMIT: Duration = Duration::from_secs(30);
/// After so many lists in a row that cannot be used, a node is degraded.
const LISTS: usize = 3;
/// Who joins meanwhile, and as what.
const LATECOMER: (&str, &str) = ("Dorothy Vaughan", "VIEWER");

/// Cuts the lists of a node short for a while.
pub(super) async fn spoil_list<'a>(lesson: &'a Lesson<'a>, report: &mut Report) -> Result<(), DemoError> {
    let Some(spoiled) = lesson.busiest() else { return Ok(()) };
    let outcome = spoil(lesson, &spoiled).await;
    spoiled.place.node.behave();
    report.step(spoiled.tenant.key, "spoil list", outcome)?;
    report.step(spoiled.tenant.key, "mend list", mended(lesson, spoiled.place).await)
}

/// Every server places meetings on the node again.
async fn mended(lesson: &Lesson<'_>, place: &Place) -> Outcome {
    let url = place.node.url();
    let host = url.split('/').nth(2).unwrap_or_default();
    let line = format!("b3scale_backend_takes_meetings{{backend=\"{host}\"}} 1");
    for server in &lesson.scene.urls {
        let takes = async || {
            let page = lesson.scene.balancer.client().visit(&format!("{server}/metrics")).await;
            let page = page.map_err(|error| mismatch("a page of metrics", error))?;
            let holds = String::from_utf8_lossy(&page.body).lines().any(|one| one == line);
            Ok((!holds).then(|| "it takes none".to_owned()))
        };
        eventually(BACK_LIMIT, &format!("{} takes new meetings", place.name), takes).await?;
    }
    Ok(format!("{} takes new meetings again at all servers", place.name))
}

async fn spoil<'a>(lesson: &'a Lesson<'a>, BusyNode { place, meetings, .. }: &BusyNode<'a>) -> Outcome {
    let lists = || place.node.calls().iter().filter(|call| call.call == "getMeetings").count();
    let before = lists();
    place.node.misbehave_on("getMeetings", Misbehaviour::BrokenXml);
    let asked = async || {
        let times = lists() - before;
        Ok((times <= LISTS).then(|| format!("{times} times")))
    };
    eventually(ASKED_LIMIT, &format!("{} asked more than {LISTS} times", place.name), asked).await?;
    lesson.each(meetings, async |meeting| carries_on(lesson, meeting, place).await).await?;
    Ok(format!("{}: lists cut short, its {} go on", place.name, count(meetings)))
}

/// The meeting runs by the word of each server, is not made again, and takes people.
async fn carries_on(lesson: &Lesson<'_>, meeting: &Meeting<'_>, place: &Place) -> Result<(), Mismatch> {
    for server in &meeting.tenant.endpoints {
        lesson.runs_at(slice::from_ref(server), meeting).await?;
    }
    let (_, view) = lesson.only_place(meeting)?;
    let again = lesson.answer(meeting, CallKind::Create, &[], "the meeting that runs").await?;
    let [internal_id] = again.fields(["internalMeetingID"]);
    let same = internal_id.as_deref() == Some(&view.internal_id);
    Mismatch::unless(same, format!("internalMeetingID {}", view.internal_id), || again.to_string())?;
    let (name, role) = LATECOMER;
    lesson.send_to_node(meeting, place, name, role).await
}
