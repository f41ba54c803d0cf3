//! A recorded meeting: its node publishes and pushes the recording, and the frontend lists and plays it.

use std::time::Duration;

use b3scale_middleware::bbb::{CallKind, xml};
use http::StatusCode;

use super::super::DemoError;
use super::super::report::{Mismatch, Report};
use super::super::scene::Place;
use super::{Lesson, Meeting, Outcome, mismatch};
use crate::client::{Api, ApiSettings};
use crate::upload::{self, LocalFormat, Sender, Transfer};

/// How long a node may take to publish, and a server to take a recording in.
const LIMIT: Duration = Duration::from_secs(30);
/// The formats that a simulated node publishes.
const FORMATS: [&str; 2] = ["presentation", "video"];

/// Records a meeting, and plays it.
pub(super) async fn record<'a>(lesson: &'a Lesson<'a>, report: &mut Report) -> Result<(), DemoError> {
    let Some(tenant) = lesson.scene.tenants.first() else { return Ok(()) };
    let meeting = Meeting::new(tenant, "recorded", 1);
    let (key, outcome) = (tenant.key, held(lesson, &meeting).await);
    let recorded = match outcome {
        Ok(recorded) => recorded,
        Err(mismatch) => return report.step(key, "record", Err(mismatch)),
    };
    report.step(key, "record", pushed(lesson, &recorded).await)?;
    match listed(lesson, &meeting, &recorded).await {
        Err(mismatch) => report.step(key, "getRecordings", Err(mismatch)),
        Ok(links) => {
            report.step(key, "getRecordings", Ok(format!("{} with {} formats, published", meeting.id, links.len())))?;
            report.step(key, "playback", played(lesson, &links).await)?;
            links.first().map_or(Ok(()), |link| report.line(&format!("\n{link}\n")))
        }
    }
}

/// A recording on its node.
struct Recorded<'a> {
    place: &'a Place,
    id: String,
}

/// The meeting is held with its people, ended, and published by its node.
async fn held<'a>(lesson: &'a Lesson<'a>, meeting: &Meeting<'a>) -> Result<Recorded<'a>, Mismatch> {
    lesson.answer(meeting, CallKind::Create, &[("record", "true")], "a recorded meeting").await?;
    lesson.seat(meeting).await?;
    let (place, view) = lesson.only_place(meeting)?;
    lesson.answer(meeting, CallKind::End, &[], "SUCCESS").await?;
    let id = view.internal_id;
    let published = place.node.wait_until(|state| state.published().contains(&id));
    let published = tokio::time::timeout(LIMIT, published).await;
    published.map_err(|_| mismatch(format!("a recording on {} within {} s", place.name, LIMIT.as_secs()), "none"))?;
    Ok(Recorded { place, id })
}

/// The node pushes the formats as its agent does.
async fn pushed(lesson: &Lesson<'_>, recorded: &Recorded<'_>) -> Outcome {
    let Recorded { place, id } = recorded;
    let sender = Sender::Node { url: place.node.url(), secret: place.secret.clone() };
    let settings = ApiSettings {
        url: lesson.scene.urls[0].clone(),
        token: String::new(),
        user_agent: "b3scaled demo".to_owned(),
        ca_file: None,
        patience: LIMIT,
    };
    let api = Api::new(&settings).map_err(|error| mismatch("a client of the REST API", error))?;
    let transfer = Transfer::new(api, sender, None);
    for format in FORMATS {
        let folder = place.recordings.join(format).join(id);
        let local = LocalFormat { record: id.clone(), format: format.to_owned(), folder, is_unpublished: false };
        let outcome = transfer.send(&local, |_| ()).await;
        let is_imported = matches!(outcome, upload::Outcome::Imported { .. });
        Mismatch::unless(is_imported, format!("{format} of {} imported", place.name), || format!("{outcome:?}"))?;
    }
    Ok(format!("{} has pushed {}", place.name, FORMATS.join(", ")))
}

/// Every server lists the recording. Returns the links of its formats.
async fn listed(lesson: &Lesson<'_>, meeting: &Meeting<'_>, recorded: &Recorded<'_>) -> Result<Vec<String>, Mismatch> {
    let wanted = format!("recording {} of {}", recorded.id, meeting.id);
    let mut links = Vec::new();
    for endpoint in &meeting.tenant.endpoints {
        let endpoint = std::slice::from_ref(endpoint);
        let answer = lesson.call_at(endpoint, meeting, CallKind::GetRecordings, &[]).await;
        let answer = answer.map_err(|error| mismatch(&wanted, error))?;
        let found = xml::elements(&answer.body, &["response", "recordings", "recording"]).unwrap_or_default();
        let [recording] = &found[..] else {
            return Err(mismatch(wanted, format!("{answer}, {} recordings", found.len())));
        };
        let [id, state] = xml::fields(recording, ["recordID", "state"]).unwrap_or_default();
        let is_it = id.as_deref() == Some(&recorded.id) && state.as_deref() == Some("published");
        Mismatch::unless(is_it, &wanted, || format!("{} {}", id.unwrap_or_default(), state.unwrap_or_default()))?;
        let formats = xml::elements(recording, &["recording", "playback", "format"]).unwrap_or_default();
        let urls = formats.iter().filter_map(|format| xml::fields(format, ["url"]).ok()?.into_iter().next()?);
        links = urls.collect();
        Mismatch::unless(links.len() == FORMATS.len(), format!("{} formats", FORMATS.len()), || answer.to_string())?;
    }
    Ok(links)
}

/// A browser gets the page of each format, and the film that it shows.
async fn played(lesson: &Lesson<'_>, links: &[String]) -> Outcome {
    let client = lesson.scene.balancer.client();
    for link in links {
        let page = client.follow(link.clone()).await;
        let (_, page) = page.map_err(|error| mismatch("a page of the recording", error))?;
        Mismatch::unless(page.status == StatusCode::OK, "a page of the recording", || page.to_string())?;
    }
    Ok(format!("a page for each of {} formats", links.len()))
}
