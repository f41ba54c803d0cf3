//! Parts of a request: a body of a known shape, a query, an id in the path.

use std::collections::BTreeMap;
use std::marker::PhantomData;

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use b3scale_middleware::bbb::xml::LARGEST_METADATA;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, header};
use http_body_util::BodyExt;
use serde::de::DeserializeOwned;
use serde_json::Value;
use url::form_urlencoded;
use uuid::Uuid;

use super::Admin;
use super::access;
use super::problem::Problem;
use crate::budget::{Full, Room};
use crate::net::causes;
use crate::offload::DOCUMENTS;
use crate::rest::shape::Shape;
use crate::rest::{Batch, StateDocument};
use crate::site::IntakeError;

/// The largest body, in bytes.
const LARGEST: usize = 1 << 20;

/// The largest document, in bytes.
pub(super) const LARGEST_DOCUMENT: usize = 32 << 20;

/// A body with a known shape.
pub(super) trait Shaped {
    const SHAPE: &'static Shape;
}

/// A body of a known shape, with its keys in their known spelling. An empty body has no fields.
pub(super) struct Given<S> {
    /// Its value.
    pub(super) said: Value,
    shape: PhantomData<S>,
    _room: Room,
}

impl<S: Shaped> FromRequest<Admin> for Given<S> {
    type Rejection = Problem;

    async fn from_request(request: Request, admin: &Admin) -> Result<Self, Problem> {
        let (body, room) = json(request, admin, LARGEST).await?;
        let read = if body.is_empty() {
            Ok(Value::Object(serde_json::Map::new()))
        } else {
            DOCUMENTS.work(body.len(), move || S::SHAPE.read(&body)).await
        };
        Ok(Self { said: read.map_err(Problem::Body)?, shape: PhantomData, _room: room })
    }
}

/// The largest document.
pub(super) trait Bounded: DeserializeOwned + Send + 'static {
    /// The most bytes it may have.
    const LARGEST: usize;
    /// How many times as much memory it may take up once it has been read.
    const SWELLS: usize;
}

/// All that an agent knows of its node.
impl Bounded for Batch {
    const LARGEST: usize = 8 << 20;
    const SWELLS: usize = 5;
}

/// A whole cluster.
impl Bounded for StateDocument {
    const LARGEST: usize = LARGEST_DOCUMENT;
    const SWELLS: usize = 1;
}

/// A document with a form of its own, and the room it takes up.
pub(super) struct Document<T>(pub(super) T, pub(super) Room);

impl<T: Bounded> FromRequest<Admin> for Document<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, admin: &Admin) -> Result<Self, Problem> {
        let (body, mut room) = json(request, admin, T::LARGEST).await?;
        room.grow(body.len() * T::SWELLS).map_err(full)?;
        let read = DOCUMENTS.work(body.len(), move || read(&body)).await;
        let read = read.map_err(|error| Problem::Body(format!("the document cannot be read: {error}")))?;
        Ok(Self(read, room))
    }
}

/// Reads a document. An error names the field: the path costs time, so it is searched for only then.
fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, String> {
    serde_json::from_slice(body).map_err(|error| {
        let json = &mut serde_json::Deserializer::from_slice(body);
        let named = serde_path_to_error::deserialize::<_, T>(json).err();
        named.map_or_else(|| error.to_string(), |named| named.to_string())
    })
}

/// A body of any type, as it stands, and the room it takes up.
pub(super) struct Raw(pub(super) Bytes, pub(super) Room);

impl FromRequest<Admin> for Raw {
    type Rejection = Problem;

    async fn from_request(request: Request, admin: &Admin) -> Result<Self, Problem> {
        bytes(request, admin, LARGEST_METADATA).await.map(|(body, room)| Self(body, room))
    }
}

/// The bytes of a body that says it is JSON. An empty one need not say so.
async fn json(request: Request, admin: &Admin, largest: usize) -> Result<(Bytes, Room), Problem> {
    let is_json = is_json(request.headers());
    let (body, room) = bytes(request, admin, largest).await?;
    if body.is_empty() || is_json { Ok((body, room)) } else { Err(Problem::MediaType) }
}

async fn bytes(request: Request, admin: &Admin, largest: usize) -> Result<(Bytes, Room), Problem> {
    let mut buffer = admin.budget.buffer(access::owner(&request));
    let mut body = request.into_body();
    while let Some(frame) = body.frame().await {
        let Ok(piece) = frame.map_err(|error| cut_off(&error))?.into_data() else { continue };
        if buffer.len() + piece.len() > largest {
            return Err(Problem::TooLarge);
        }
        buffer.push(&piece, largest).map_err(full)?;
    }
    Ok(buffer.finish())
}

fn cut_off(error: &axum::Error) -> Problem {
    match causes::find(error) {
        Some(IntakeError::TooLarge(_)) => Problem::TooLarge,
        Some(IntakeError::TooSlow) => Problem::too_slow(),
        Some(IntakeError::Broken) | None => Problem::BadRequest,
    }
}

fn full(Full: Full) -> Problem {
    Problem::Unavailable("no memory is free for bodies of requests".to_owned())
}

fn is_json(headers: &HeaderMap) -> bool {
    let media = headers.get(header::CONTENT_TYPE).map(HeaderValue::to_str);
    let media = media.and_then(Result::ok).and_then(|media| media.split(';').next());
    media.is_some_and(|media| media.trim().eq_ignore_ascii_case("application/json"))
}

/// The parameters of the query.
pub(super) struct Asked<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequestParts<Admin> for Asked<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Admin) -> Result<Self, Problem> {
        query(parts, |_| true).map(Self)
    }
}

/// The parameters of the query by which a list is narrowed. An empty one narrows nothing, as in the original.
pub(super) struct Filter<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequestParts<Admin> for Filter<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Admin) -> Result<Self, Problem> {
        query(parts, |value| !value.is_empty()).map(Self)
    }
}

/// Reads the parameters of the query that count.
fn query<T: DeserializeOwned>(parts: &Parts, counts: impl Fn(&str) -> bool) -> Result<T, Problem> {
    let query = parts.uri.query().unwrap_or_default();
    // PostgreSQL has no such character in its texts.
    if query.contains("%00") {
        return Err(Problem::BadRequest);
    }
    // Of several of one name the original takes the first.
    let mut first = BTreeMap::new();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        first.entry(name).or_insert(value);
    }
    first.retain(|_, value| counts(value));
    let query = form_urlencoded::Serializer::for_suffix("/?".to_owned(), 2).extend_pairs(first).finish();
    let asked = query.parse().ok().and_then(|uri| Query::try_from_uri(&uri).ok());
    asked.map(|Query(asked)| asked).ok_or(Problem::BadRequest)
}

/// A UUID in the path. Any other text is an unknown id.
pub(super) struct Id(pub(super) Uuid);

impl FromRequestParts<Admin> for Id {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, admin: &Admin) -> Result<Self, Problem> {
        let Name(name) = Name::from_request_parts(parts, admin).await?;
        name.parse().map(Self).map_err(|_| Problem::NotFound)
    }
}

/// A name in the path.
pub(super) struct Name(pub(super) String);

impl FromRequestParts<Admin> for Name {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, admin: &Admin) -> Result<Self, Problem> {
        let path = Path::<String>::from_request_parts(parts, admin).await;
        let name = path.map(|Path(name)| name).ok().filter(|name| !name.contains('\0'));
        name.map(Self).ok_or(Problem::NotFound)
    }
}

/// Whether a parameter of the query means yes, as the original reads it.
pub(super) fn is_yes(text: Option<&str>) -> bool {
    text.is_some_and(|text| ["yes", "true", "1"].iter().any(|yes| text.trim().eq_ignore_ascii_case(yes)))
}
