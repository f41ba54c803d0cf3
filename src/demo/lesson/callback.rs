//! A callback: a node tells of the end of a meeting in its own terms, and the frontend hears of it in the frontend's.

use b3scale_middleware::bbb::{CallKind, java_encode};

use super::super::DemoError;
use super::super::report::{Mismatch, Report};
use super::receiver::Receiver;
use super::{Lesson, Meeting, Outcome};

/// Ends a meeting, and waits until its frontend is told.
pub(super) async fn tell<'a>(lesson: &'a Lesson<'a>, report: &mut Report) -> Result<(), DemoError> {
    let Some(tenant) = lesson.scene.tenants.first() else { return Ok(()) };
    let meeting = Meeting::new(tenant, "told", 1);
    report.step(tenant.key, "callback", told(lesson, &meeting).await)
}

async fn told(lesson: &Lesson<'_>, meeting: &Meeting<'_>) -> Outcome {
    let frontend = Receiver::start().await?;
    let address = frontend.address.to_string();
    let url = format!("http://{address}/meeting_ended");
    lesson.answer(meeting, CallKind::Create, &[("meta_endCallbackUrl", &url)], "a meeting with a callback").await?;
    let (place, view) = lesson.only_place(meeting)?;
    let given = view.metadata.get("endcallbackurl").cloned().unwrap_or_default();
    Mismatch::unless(!given.contains(&address), "an address of ours on the node", || given.clone())?;
    lesson.answer(meeting, CallKind::End, &[], "SUCCESS").await?;
    let wanted = format!("/meeting_ended?recordingmarks=false&meetingID={}", java_encode(&meeting.id));
    let heard = frontend.hear(&wanted).await?.target;
    Mismatch::unless(heard == wanted, &wanted, || heard.clone())?;
    Ok(format!("{} ended on {}, its frontend was called", meeting.id, place.name))
}
