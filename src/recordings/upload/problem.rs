//! Refusals of uploads. Each says what to do.

use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use serde_json::json;

use crate::net::causes;
use crate::recordings::shelf::ShelfError;
use crate::site::{self, Answer, IntakeError};
use crate::store::StoreError;

pub(super) const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Why a request is refused.
#[derive(Debug)]
pub(super) enum Problem {
    /// The sender is unknown, or the signature is wrong: both are answered alike.
    Unsigned,
    /// The signature is right, and its time is not. By how many seconds the clocks differ.
    Clock(i64),
    /// The signature is right, and covers another request.
    Other,
    NotFound,
    Wrong(String),
    /// The body is not the signed one.
    Damaged,
    TooLarge(u64),
    TooSlow,
    Conflict(String),
    /// The sender has that many open uploads.
    TooMany(i64),
    /// There is no memory for the body now.
    Busy,
    /// There is no room for the bytes of the archive.
    Full(String),
    Away(String),
}

impl Problem {
    pub(super) fn of_body(error: &axum::Error) -> Self {
        match causes::find(error) {
            Some(IntakeError::TooLarge(largest)) => Self::TooLarge(*largest as u64),
            Some(IntakeError::TooSlow) => Self::TooSlow,
            Some(IntakeError::Broken) | None => Self::Wrong("the body ended too early".to_owned()),
        }
    }

    pub(super) fn into_answer(self) -> Answer {
        let (status, message) = self.status_and_message();
        let mut answer = json(status, &json!({ "message": message }));
        let headers = answer.headers_mut();
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        let seconds = match status {
            StatusCode::INSUFFICIENT_STORAGE => "60",
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => "5",
            _ => return answer,
        };
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static(seconds));
        answer
    }

    fn status_and_message(self) -> (StatusCode, String) {
        match self {
            Self::Unsigned => {
                (StatusCode::UNAUTHORIZED, "this node is unknown or not enabled, or its signature is wrong".to_owned())
            }
            Self::Clock(seconds) => {
                let why = format!(
                    "the clocks of the node and of this server differ by {seconds} s; {} s are allowed: set the clocks by NTP",
                    crate::signature::LEEWAY
                );
                (StatusCode::UNAUTHORIZED, why)
            }
            Self::Other => (StatusCode::UNAUTHORIZED, "the signature is that of another request".to_owned()),
            Self::NotFound => (StatusCode::NOT_FOUND, "Not Found".to_owned()),
            Self::Wrong(why) => (StatusCode::BAD_REQUEST, why),
            Self::Damaged => (StatusCode::BAD_REQUEST, "the body is not the signed one: send it again".to_owned()),
            Self::TooLarge(most) => (StatusCode::PAYLOAD_TOO_LARGE, format!("at most {most} bytes are taken")),
            Self::TooSlow => (StatusCode::REQUEST_TIMEOUT, "the body came too slowly".to_owned()),
            Self::Conflict(why) => (StatusCode::CONFLICT, why),
            Self::TooMany(most) => (
                StatusCode::TOO_MANY_REQUESTS,
                format!("{most} uploads of this node are open: finish one of them first"),
            ),
            Self::Busy => (StatusCode::SERVICE_UNAVAILABLE, "no memory is free for this body".to_owned()),
            Self::Full(why) => (StatusCode::INSUFFICIENT_STORAGE, why),
            Self::Away(why) => (StatusCode::SERVICE_UNAVAILABLE, why),
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "Asking the database for an upload failed");
        Self::Away(error.obstacle())
    }
}

impl From<ShelfError> for Problem {
    fn from(error: ShelfError) -> Self {
        tracing::error!(%error, "Using the inbox of recordings failed");
        match error {
            ShelfError::Full { .. } => Self::Full("no room is left for recordings; try again later".to_owned()),
            ShelfError::Away { .. } => Self::Away("the inbox of recordings cannot be used now".to_owned()),
        }
    }
}

/// An answer of JSON.
pub(super) fn json(status: StatusCode, body: &impl Serialize) -> Answer {
    let text = serde_json::to_vec(body).unwrap_or_default();
    site::answer(status, JSON, Bytes::from(text))
}
