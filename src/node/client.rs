//! A tiny client page: opening it makes an attendee present.

use http::{Method, StatusCode};
use tokio::time::Instant;

use super::Shared;
use super::answers::{self, Reply};
use super::request::Request;

/// Answers `/html5client/` and `/html5client/leave`, both with a `sessionToken`.
pub(super) fn answer(shared: &Shared, request: &Request) -> Reply {
    let token = request.params.given("sessionToken").unwrap_or_default();
    match (request.path.as_str(), &request.method) {
        ("/html5client" | "/html5client/", &Method::GET) => open(shared, token),
        // The browser's farewell is a POST (`sendBeacon`), the link on the page a GET.
        ("/html5client/leave", &Method::GET | &Method::POST) => leave(shared, token),
        _ => answers::html(StatusCode::NOT_FOUND, "Not Found"),
    }
}

fn open(shared: &Shared, token: &str) -> Reply {
    let room = shared.change(|state| {
        let waits = state.arrive(token)?.is_waiting();
        Some(if waits { "waiting for a moderator" } else { "you are in the meeting" })
    });
    let Some(room) = room else { return answers::html(StatusCode::NOT_FOUND, "Session not found") };
    page(&format!(
        "{room} on {}. <a href=\"/html5client/leave?sessionToken={token}\">Leave</a>\n\
         <script>addEventListener('pagehide', () => navigator.sendBeacon('/html5client/leave?sessionToken={token}'))</script>",
        shared.options.name
    ))
}

fn leave(shared: &Shared, token: &str) -> Reply {
    let now = Instant::now();
    if shared.change(|state| state.leave(token, now)) {
        page("You have left the meeting.")
    } else {
        answers::html(StatusCode::NOT_FOUND, "Session not found")
    }
}

fn page(content: &str) -> Reply {
    let page = format!("<!doctype html>\n<title>Simulated BigBlueButton client</title>\n<p>{content}\n");
    answers::reply(StatusCode::OK, "text/html;charset=utf-8", page)
}
