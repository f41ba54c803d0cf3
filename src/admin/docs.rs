//! The OpenAPI document, made from the routes, and the page that shows it.

use axum::Router;
use utoipa::OpenApi as _;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{ContentBuilder, OpenApi, Ref, Response, ResponseBuilder};
use utoipa_swagger_ui::SwaggerUi;

/// Where the page is.
pub(super) const PATH: &str = "/docs/api/v1";

/// Where the document is.
const DOCUMENT: &str = "/api/v1/openapi.json";

/// What may be answered to any request that is made with care.
const ALWAYS: [(&str, &str); 5] = [
    ("401", "There is no token that holds"),
    ("403", "The token may not do this"),
    ("404", "There is no such thing, or it is not theirs"),
    ("429", "Too many invalid tokens came from this address"),
    ("503", "It could not be done in time, or the database cannot be asked now"),
];

/// What may be answered to a request with parameters.
const TO_PARAMETERS: (&str, &str) = ("400", "The request cannot be understood, or its fields cannot be used");

/// What may be answered to a request with a body.
const TO_BODIES: [(&str, &str); 3] =
    [("409", "It contradicts what is there"), ("413", "The body is too large"), ("415", "The body is no JSON")];

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "b3scale",
        description = "One BigBlueButton endpoint for many tenants, spread over many nodes: tenants, nodes, meetings.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0")
    ),
    components(schemas(crate::rest::Problem)),
    tags(
        (name = "status", description = "Who answers"),
        (name = "frontends", description = "Tenants"),
        (name = "backends", description = "Nodes"),
        (name = "meetings", description = "Where meetings are"),
        (name = "commands", description = "What is to be done"),
        (name = "agents", description = "For the agents on the nodes"),
        (name = "cluster", description = "The whole cluster, and why a meeting goes where it goes"),
        (name = "pipeline", description = "What calls travel through"),
        (name = "state", description = "The configuration as one document"),
    )
)]
struct Head;

/// The document without its routes.
pub(super) fn head() -> OpenApi {
    Head::openapi()
}

/// The whole document, as JSON.
pub fn openapi() -> String {
    document().to_pretty_json().unwrap_or_default()
}

/// The page, and the document itself. They need no token.
pub(super) fn pages() -> Router {
    SwaggerUi::new(PATH).url(DOCUMENT, document()).into()
}

fn document() -> OpenApi {
    let (_, mut document) = super::routes().split_for_parts();
    let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT (HS384)").build();
    let components = document.components.get_or_insert_default();
    components.add_security_scheme("token", SecurityScheme::Http(scheme));
    document.security = Some(vec![SecurityRequirement::new("token", Vec::<String>::new())]);
    for item in document.paths.paths.values_mut() {
        let operations = [&mut item.get, &mut item.post, &mut item.patch, &mut item.delete];
        for operation in operations.into_iter().flatten() {
            let mut answers: Vec<_> = ALWAYS.to_vec();
            if operation.parameters.is_some() || operation.request_body.is_some() {
                answers.push(TO_PARAMETERS);
            }
            if operation.request_body.is_some() {
                answers.extend(TO_BODIES);
            }
            for (status, what) in answers {
                operation.responses.responses.entry(status.to_owned()).or_insert_with(|| problem(what).into());
            }
        }
    }
    document
}

fn problem(what: &str) -> Response {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
    ResponseBuilder::new().description(what).content("application/json", content).build()
}
