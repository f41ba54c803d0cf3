//! The refusals that the document lists: those of every request, those of a handler's arguments, and the handler's own.

use axum::extract::{Extension, RawQuery, State};
use axum::handler::Handler;
use http::StatusCode;
use utoipa::openapi::path::{Operation, PathItem, Paths};
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Response, ResponseBuilder};

use crate::admin::Admin;
use crate::admin::access::{Caller, Rule};
use crate::admin::body::{Asked, Document, Filter, Given, Id, Name, Raw};
use crate::admin::problem::Problem;

/// The meaning of a refusal, unless its handler gives it.
const MEANINGS: [(StatusCode, &str); 10] = [
    (StatusCode::BAD_REQUEST, "The request cannot be read, or its fields cannot be used"),
    (StatusCode::UNAUTHORIZED, "The request has no valid token"),
    (StatusCode::FORBIDDEN, "The token may not do this"),
    (StatusCode::NOT_FOUND, "There is no such thing, or the token may not see it"),
    (StatusCode::CONFLICT, "The request contradicts what is there"),
    (StatusCode::PAYLOAD_TOO_LARGE, "The body is too large"),
    (StatusCode::UNSUPPORTED_MEDIA_TYPE, "The body is no JSON"),
    (StatusCode::TOO_MANY_REQUESTS, "Too many invalid tokens came from this address"),
    (StatusCode::INTERNAL_SERVER_ERROR, "A defect of the server or of its database; its log says more"),
    (StatusCode::SERVICE_UNAVAILABLE, "The request took too long, or the database or memory is not available now"),
];

/// The refusals of any request.
const ALWAYS: [StatusCode; 4] = [
    StatusCode::UNAUTHORIZED,
    StatusCode::TOO_MANY_REQUESTS,
    StatusCode::INTERNAL_SERVER_ERROR,
    StatusCode::SERVICE_UNAVAILABLE,
];

/// The refusals of a body.
const BODY: &[StatusCode] =
    &[StatusCode::BAD_REQUEST, StatusCode::PAYLOAD_TOO_LARGE, StatusCode::UNSUPPORTED_MEDIA_TYPE];

/// An argument of a handler.
pub(in crate::admin) trait Argument {
    /// The refusals of its extraction.
    const REFUSALS: &'static [StatusCode] = &[];
}

impl Argument for State<Admin> {}

impl Argument for RawQuery {}

impl<T> Argument for Extension<T> {}

impl<R: Rule> Argument for Caller<R> {
    const REFUSALS: &'static [StatusCode] = if R::SCOPES.is_empty() { &[] } else { &[StatusCode::FORBIDDEN] };
}

impl<S> Argument for Given<S> {
    const REFUSALS: &'static [StatusCode] = BODY;
}

impl<T> Argument for Document<T> {
    const REFUSALS: &'static [StatusCode] = BODY;
}

impl Argument for Raw {
    const REFUSALS: &'static [StatusCode] = &[StatusCode::PAYLOAD_TOO_LARGE];
}

impl<A: Argument> Argument for Result<A, Problem> {
    const REFUSALS: &'static [StatusCode] = A::REFUSALS;
}

impl<T> Argument for Asked<T> {
    const REFUSALS: &'static [StatusCode] = &[StatusCode::BAD_REQUEST];
}

impl<T> Argument for Filter<T> {
    const REFUSALS: &'static [StatusCode] = Asked::<T>::REFUSALS;
}

impl Argument for Id {
    const REFUSALS: &'static [StatusCode] = &[StatusCode::NOT_FOUND];
}

impl Argument for Name {
    const REFUSALS: &'static [StatusCode] = &[StatusCode::NOT_FOUND];
}

/// The arguments of a handler, behind the marker that axum puts before them.
pub(in crate::admin) trait Arguments {
    /// The refusals of all of them.
    fn refusals() -> Vec<StatusCode>;
}

macro_rules! arguments {
    ($($argument:ident)+) => {
        impl<M, $($argument: Argument),+> Arguments for (M, $($argument,)+) {
            fn refusals() -> Vec<StatusCode> {
                [$($argument::REFUSALS),+].concat()
            }
        }
    };
}

arguments!(A);
arguments!(A B);
arguments!(A B C);
arguments!(A B C D);

/// Completes the operation of a handler: with an id that no other module's handler has, and with the refusals.
pub(in crate::admin) fn complete<T: Arguments>(paths: &mut Paths, module: &str, name: &str, _: impl Handler<T, Admin>) {
    let operations = paths.paths.values_mut().flat_map(operations_of);
    for operation in operations.filter(|operation| operation.operation_id.as_deref() == Some(name)) {
        operation.operation_id = Some(format!("{module}_{name}"));
        let responses = &mut operation.responses.responses;
        for status in ALWAYS.into_iter().chain(T::refusals()) {
            responses.entry(status.as_str().to_owned()).or_insert_with(|| Response::new("").into());
        }
        for (status, response) in responses {
            let meaning = MEANINGS.iter().find(|(known, _)| known.as_str() == status);
            if let (Some((_, meaning)), RefOr::T(response)) = (meaning, response)
                && response.description.is_empty()
            {
                *response = problem(meaning);
            }
        }
    }
}

fn operations_of(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.post, &mut item.patch, &mut item.delete].into_iter().flatten()
}

fn problem(meaning: &str) -> Response {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
    ResponseBuilder::new().description(meaning).content("application/json", content).build()
}
