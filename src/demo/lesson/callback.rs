//! A callback: a node tells of the end of a meeting in its own terms, and the frontend hears of it in the frontend's.

use std::io;
use std::net::Ipv4Addr;
use std::time::Duration;

use b3scale_middleware::bbb::{CallKind, java_encode};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::time::timeout;

use super::super::DemoError;
use super::super::report::{Mismatch, Report};
use super::{Lesson, Meeting, Outcome, mismatch};

/// How long a frontend may wait for the end of its meeting.
const LIMIT: Duration = Duration::from_secs(30);

/// Ends a meeting, and waits until its frontend is told.
pub(super) async fn tell<'a>(lesson: &'a Lesson<'a>, report: &mut Report) -> Result<(), DemoError> {
    let Some(tenant) = lesson.scene.tenants.first() else { return Ok(()) };
    let meeting = Meeting::new(tenant, "told", 1);
    report.step(tenant.key, "callback", told(lesson, &meeting).await)
}

async fn told(lesson: &Lesson<'_>, meeting: &Meeting<'_>) -> Outcome {
    let frontend = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
    let frontend = frontend.map_err(|error| mismatch("a port for the frontend", error))?;
    let address = frontend.local_addr().map_err(|error| mismatch("an address of the frontend", error))?;
    let url = format!("http://{address}/meeting_ended");
    lesson.answer(meeting, CallKind::Create, &[("meta_endCallbackUrl", &url)], "a meeting with a callback").await?;
    let (place, view) = lesson.only_place(meeting)?;
    let given = view.metadata.get("endcallbackurl").cloned().unwrap_or_default();
    Mismatch::unless(!given.contains(&address.to_string()), "an address of ours on the node", || given.clone())?;
    lesson.answer(meeting, CallKind::End, &[], "SUCCESS").await?;
    let wanted = format!("/meeting_ended?recordingmarks=false&meetingID={}", java_encode(&meeting.id));
    let heard = timeout(LIMIT, hear(&frontend)).await;
    let heard = heard.map_err(|_| mismatch(format!("{wanted} within {} s", LIMIT.as_secs()), "nothing"))?;
    let heard = heard.map_err(|error| mismatch(&wanted, error))?;
    Mismatch::unless(heard == wanted, &wanted, || heard.clone())?;
    Ok(format!("{} ended on {}, its frontend was called", meeting.id, place.name))
}

/// The target of the first request, which is answered with success.
async fn hear(frontend: &TcpListener) -> io::Result<String> {
    let (stream, _) = frontend.accept().await?;
    let mut stream = BufReader::new(stream);
    let (mut target, mut line) = (None, String::new());
    while stream.read_line(&mut line).await? > 2 {
        target = target.or_else(|| line.split(' ').nth(1).map(str::to_owned));
        line.clear();
    }
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}").await?;
    Ok(target.unwrap_or_default())
}
