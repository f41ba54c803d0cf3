//! Refusals: the statuses and bodies of the original, and where that has only a 500, an answer
//! with the reason.

use std::collections::BTreeMap;

use axum::response::{IntoResponse, Response};
use b3scale_middleware::bbb::cut_at;
use http::{HeaderValue, StatusCode, header};
use tracing::error;

use super::reply::json;
use crate::rest;
use crate::store::{StoreError, taken};
use crate::token::Scope;

/// The most fields of a body that an answer names.
const MOST_FIELDS: usize = 100;

/// The most characters of one text of an answer, which may quote the request.
const LONGEST_TEXT: usize = 500;

/// Problems of fields, by path.
pub(super) type Fields = BTreeMap<String, Vec<String>>;

/// Why a request is not granted.
#[derive(Debug)]
pub(super) enum Problem {
    /// There is no token.
    NoToken,
    /// The token is not ours, has expired, or is none.
    BadToken,
    /// Too many bad tokens came from there.
    TooManyBadTokens,
    /// The token may not do this: it has none of these scopes.
    Scope(&'static [Scope]),
    /// The caller may not.
    Forbidden,
    /// There is no such thing, or it is not theirs.
    NotFound,
    /// There is no such thing: which.
    Missing(String),
    /// The request says too little, or nothing that could be understood.
    BadRequest,
    /// The body cannot be read.
    Body(String),
    /// Fields of the body cannot be used.
    Fields(Fields),
    /// Only operators change these fields.
    Operators(Fields),
    /// The body's type is not accepted here.
    MediaType,
    /// The body is too large.
    TooLarge,
    /// It is a conflict with existing records.
    Conflict(String),
    /// It cannot be done now: why. The same may be granted later.
    Unavailable(String),
    /// It is our fault.
    Internal,
}

impl Problem {
    /// The request or its answer took too long.
    pub(super) fn too_slow() -> Self {
        Self::Unavailable("it took too long".to_owned())
    }

    /// One field cannot be used.
    pub(super) fn field(path: &str, why: &str) -> Self {
        Self::Fields(BTreeMap::from([(path.to_owned(), vec![why.to_owned()])]))
    }

    /// Fields cannot be used, each with why, up to a bound.
    pub(super) fn fields(wrong: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut fields = Fields::new();
        for (place, why) in wrong.into_iter().take(MOST_FIELDS) {
            fields.entry(place).or_default().push(why);
        }
        Self::Fields(fields)
    }

    /// The same. None: all is well.
    pub(super) fn unless_none(wrong: impl IntoIterator<Item = (String, String)>) -> Result<(), Self> {
        let mut wrong = wrong.into_iter().peekable();
        if wrong.peek().is_none() { Ok(()) } else { Err(Self::fields(wrong)) }
    }

    /// Only operators change these fields. None: all is well.
    pub(super) fn for_operators(refused: impl IntoIterator<Item = (String, String)>) -> Result<(), Self> {
        Self::unless_none(refused).map_err(|problem| match problem {
            Self::Fields(fields) => Self::Operators(fields),
            other => other,
        })
    }

    fn status(&self) -> StatusCode {
        match self {
            Problem::NoToken | Problem::BadToken => StatusCode::UNAUTHORIZED,
            Problem::TooManyBadTokens => StatusCode::TOO_MANY_REQUESTS,
            Problem::Scope(_) | Problem::Forbidden | Problem::Operators(_) => StatusCode::FORBIDDEN,
            Problem::NotFound | Problem::Missing(_) => StatusCode::NOT_FOUND,
            Problem::BadRequest | Problem::Body(_) | Problem::Fields(_) => StatusCode::BAD_REQUEST,
            Problem::MediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Problem::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Problem::Conflict(_) => StatusCode::CONFLICT,
            Problem::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
            Problem::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn body(self) -> rest::Problem {
        let says = |message: &str| rest::Problem { message: message.to_owned(), ..rest::Problem::default() };
        bounded(match self {
            Problem::NoToken => says("missing or malformed jwt"),
            Problem::BadToken => says("invalid or expired jwt"),
            Problem::TooManyBadTokens => says("invalid or expired jwt, too many times; try again in a minute"),
            Problem::Scope(scopes) => {
                let names: Vec<_> = scopes.iter().map(|scope| scope.name()).collect();
                says(&format!("{} scope required", names.join(", ")))
            }
            Problem::Forbidden => says("Forbidden"),
            Problem::NotFound => says("Not Found"),
            Problem::BadRequest => says("Bad Request"),
            Problem::Body(why) | Problem::Missing(why) => says(&why),
            Problem::Fields(fields) => {
                let error = Some("validation_error".to_owned());
                rest::Problem { error, fields, message: "validation failed with input".to_owned() }
            }
            Problem::Operators(fields) => {
                let error = Some("operators_only".to_owned());
                rest::Problem { error, fields, message: "only operators change these fields".to_owned() }
            }
            Problem::MediaType => says("Unsupported Media Type"),
            Problem::TooLarge => says("Request Entity Too Large"),
            Problem::Conflict(why) => {
                rest::Problem { error: Some("conflict".to_owned()), message: why, ..rest::Problem::default() }
            }
            Problem::Unavailable(why) => says(&format!("Service Unavailable: {why}")),
            Problem::Internal => says("Internal Server Error"),
        })
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (status, bearer) = (self.status(), matches!(self, Problem::NoToken | Problem::BadToken));
        let later = match self {
            Problem::TooManyBadTokens => Some("60"),
            Problem::Unavailable(_) => Some("5"),
            _ => None,
        };
        let mut response = json(status, &self.body());
        let headers = response.headers_mut();
        if bearer {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = later {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static(seconds));
        }
        response
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match &error {
            StoreError::Taken { rule, .. } => Self::Conflict(taken(rule).to_owned()),
            error if error.is_away() => {
                error!(%error, "Asking the database for the REST API failed");
                Self::Unavailable(error.obstacle())
            }
            error => {
                error!(%error, "The REST API failed");
                Self::Internal
            }
        }
    }
}

/// The same, with quotes of the request cut to a readable length.
fn bounded(problem: rest::Problem) -> rest::Problem {
    let text = |text: String| cut_at(&text, LONGEST_TEXT).into_owned();
    let texts = |why: Vec<String>| why.into_iter().take(MOST_FIELDS).map(text).collect();
    let fields = problem.fields.into_iter().take(MOST_FIELDS).map(|(path, why)| (text(path), texts(why)));
    rest::Problem { error: problem.error, fields: fields.collect(), message: text(problem.message) }
}
