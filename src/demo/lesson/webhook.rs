//! A webhook: a frontend hears of the events of a meeting, signed with its secret.

use b3scale_middleware::bbb::{Algorithm, CallKind, sign};
use url::form_urlencoded;

use super::super::DemoError;
use super::super::report::{Mismatch, Report};
use super::receiver::{Heard, Receiver};
use super::{Lesson, Meeting, Outcome};

/// Registers a hook for a meeting, holds the meeting, and waits for its events.
pub(super) async fn hear<'a>(lesson: &'a Lesson<'a>, report: &mut Report) -> Result<(), DemoError> {
    let Some(tenant) = lesson.scene.tenants.first() else { return Ok(()) };
    let meeting = Meeting::new(tenant, "hooked", 1);
    report.step(tenant.key, "webhook", heard(lesson, &meeting).await)
}

async fn heard(lesson: &Lesson<'_>, meeting: &Meeting<'_>) -> Outcome {
    let frontend = Receiver::start().await?;
    let base = format!("http://{}", frontend.address);
    let params = [("callbackURL", &*format!("{base}/hook")), ("eventID", "meeting-created,meeting-ended")];
    let made = lesson.answer(meeting, CallKind::HooksCreate, &params, "a hook").await?;
    let [hook] = made.fields(["hookID"]);
    lesson.answer(meeting, CallKind::Create, &[], "a meeting").await?;
    for (event, next) in [("meeting-created", Some(CallKind::End)), ("meeting-ended", None)] {
        let heard = frontend.hear(event).await?;
        verify(meeting, &base, &heard)?;
        let told = told(&heard);
        let is_it = [event, &meeting.id].iter().all(|part| told.contains(&format!("\"{part}\"")));
        Mismatch::unless(is_it, format!("{event} of {}", meeting.id), || told.clone())?;
        if let Some(next) = next {
            lesson.answer(meeting, next, &[], "SUCCESS").await?;
        }
    }
    let hook = hook.unwrap_or_default();
    lesson.answer(meeting, CallKind::HooksDestroy, &[("hookID", &hook)], "no hook any more").await?;
    Ok(format!("heard {} begin and end, both signed", meeting.id))
}

/// Verifies the checksum of a post as a frontend does.
fn verify(meeting: &Meeting<'_>, base: &str, heard: &Heard) -> Result<(), Mismatch> {
    let (path, checksum) = heard.target.split_once("?checksum=").unwrap_or_default();
    let secret = &meeting.tenant.endpoints[0].secret;
    let wanted = sign(Algorithm::Sha1, &format!("{base}{path}"), &heard.body, secret);
    Mismatch::unless(checksum == wanted, "a checksum by the frontend's secret", || "another".to_owned())
}

/// The event in a post.
fn told(heard: &Heard) -> String {
    let mut fields = form_urlencoded::parse(heard.body.as_bytes());
    fields.find(|(name, _)| name == "event").map(|(_, event)| event.into_owned()).unwrap_or_default()
}
