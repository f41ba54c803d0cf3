//! JSON as the original writes it: one line that ends, and nothing that a browser could take for markup.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use tracing::error;

/// An answer, with the status of success.
#[derive(Debug)]
pub(super) struct Reply<T>(pub(super) T);

impl<T: Serialize> IntoResponse for Reply<T> {
    fn into_response(self) -> Response {
        json(StatusCode::OK, &self.0)
    }
}

/// An answer to what will be done later.
#[derive(Debug)]
pub(super) struct Accepted<T>(pub(super) T);

impl<T: Serialize> IntoResponse for Accepted<T> {
    fn into_response(self) -> Response {
        json(StatusCode::ACCEPTED, &self.0)
    }
}

/// A body of JSON.
pub(super) fn json<T: Serialize>(status: StatusCode, body: &T) -> Response {
    let (status, mut text) = match serde_json::to_string(body) {
        Ok(text) => (status, escaped(text)),
        Err(error) => {
            error!(%error, "Writing an answer of the REST API failed");
            (StatusCode::INTERNAL_SERVER_ERROR, r#"{"message":"Internal Server Error"}"#.to_owned())
        }
    };
    text.push('\n');
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Go's `encoding/json` escapes these. They stand only in strings, so the JSON stays the same.
fn escaped(json: String) -> String {
    const MARKUP: [(char, &str); 5] =
        [('<', "\\u003c"), ('>', "\\u003e"), ('&', "\\u0026"), ('\u{2028}', "\\u2028"), ('\u{2029}', "\\u2029")];
    let is_markup = |char| MARKUP.iter().find(|(markup, _)| *markup == char);
    if !json.contains(|char| is_markup(char).is_some()) {
        return json;
    }
    let mut escaped = String::with_capacity(json.len() + 64);
    for char in json.chars() {
        match is_markup(char) {
            Some((_, text)) => escaped.push_str(text),
            None => escaped.push(char),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_is_escaped_as_go_does_it() {
        let json = serde_json::to_string("<a href=\"x\">&\u{2028}ü").unwrap();
        assert_eq!(escaped(json), r#""\u003ca href=\"x\"\u003e\u0026\u2028ü""#);
    }
}
