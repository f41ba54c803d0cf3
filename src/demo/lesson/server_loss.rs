//! A server is killed among creates and joins, and the others go on.

use std::slice;

use b3scale_middleware::bbb::CallKind;

use super::super::DemoError;
use super::super::report::{Mismatch, Report};
use super::super::scene::{Place, SERVERS};
use super::super::servers::Servers;
use super::{Lesson, Meeting, Outcome, PEOPLE, Roll, count, mismatch};

/// The server that is killed: the last, since the first is the published one.
pub(super) const KILLED: usize = SERVERS - 1;

/// Kills a server, and looks for lost meetings.
pub(super) async fn lose_server<'a>(
    lesson: &'a Lesson<'a>,
    servers: &mut Servers,
    report: &mut Report,
) -> Result<(), DemoError> {
    report.step("cluster", "kill server", rush_and_kill(lesson, servers).await)?;
    report.step("cluster", "isMeetingRunning", all_run(lesson).await)
}

/// Meetings are created and joined one after the other, and in the middle of it the server is killed, at the very moment
/// after which its answer counts: it has acknowledged a create, and joins at the others must find the meeting. A
/// create that dies with its server was never acknowledged, and its repetition waits for the claim.
async fn rush_and_kill<'a>(lesson: &'a Lesson<'a>, servers: &mut Servers) -> Outcome {
    for (number, meeting) in lesson.rush.iter().enumerate() {
        let last_act = number == lesson.rush.len() / 2;
        let endpoints = &meeting.tenant.endpoints[if last_act { KILLED } else { 0 }..];
        let wanted = || format!("{} to be created", meeting.id);
        let answer = lesson.call_at(endpoints, meeting, CallKind::Create, &[]).await;
        let answer = answer.map_err(|error| mismatch(wanted(), error))?;
        Mismatch::unless(answer.succeeded(), wanted(), || answer.to_string())?;
        if last_act {
            servers.kill(KILLED).await;
        }
        lesson.seat(meeting).await?;
    }
    let (creates, joins) = (lesson.rush.len(), lesson.rush.len() * PEOPLE.len());
    Ok(format!("{}: {creates} creates, {joins} joins, all answered", servers.name(KILLED)))
}

/// No acknowledged meeting is lost, at any server.
async fn all_run<'a>(lesson: &'a Lesson<'a>) -> Outcome {
    let all: Roll<'_> = lesson.all().collect();
    let runs = async |meeting: &Meeting<'_>| {
        for endpoint in &meeting.tenant.endpoints[..KILLED] {
            lesson.runs_at(slice::from_ref(endpoint), meeting).await?;
        }
        lesson.only_place(meeting).map(drop)
    };
    lesson.each(&all, runs).await?;
    Ok(format!("true for {} at each server left", count(&all)))
}

/// Starts the killed server again.
pub(super) async fn recover<'a>(
    lesson: &'a Lesson<'a>,
    servers: &mut Servers,
    lost: Option<&Place>,
    report: &mut Report,
) -> Result<(), DemoError> {
    servers.restart(KILLED, lesson.scene).await?;
    let server = servers.name(KILLED);
    let mut back = server.to_owned();
    if let Some(place) = lost {
        place.node.restart().await.map_err(DemoError::Node)?;
        lesson.scene.agents.start(&place.name);
        back = format!("{server} and {}", place.name);
    }
    let all: Roll<'_> = lesson.all().collect();
    let known =
        lesson.each(&all, async |meeting| lesson.runs_at(&meeting.tenant.endpoints[KILLED..], meeting).await).await;
    let outcome = known.map(|()| format!("{back} again, with all {}", count(&all)));
    report.step("cluster", "start", outcome)
}
