//! The OpenAPI document, made from the routes, and the page that shows it.

mod refusals;
mod schemas;

use axum::Router;
use serde_json::Value;
use utoipa::OpenApi as _;
use utoipa::openapi::OpenApi;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa_swagger_ui::SwaggerUi;

pub(super) use refusals::complete;

/// Where the page is.
pub(super) const PATH: &str = "/docs/api/v1";

/// Where the document is.
const DOCUMENT: &str = "/api/v1/openapi.json";

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
        (name = "recordings", description = "What meetings have left"),
        (name = "commands", description = "The action"),
        (name = "deliveries", description = "Messages to callbacks of frontends"),
        (name = "hooks", description = "Webhooks of frontends"),
        (name = "jobs", description = "Queued background work"),
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
    serde_json::to_string_pretty(&document()).unwrap_or_default()
}

/// The page, and the document itself. They need no token.
pub(super) fn pages() -> Router {
    SwaggerUi::new(PATH).external_url_unchecked(DOCUMENT, document()).into()
}

fn document() -> Value {
    let (_, mut document) = super::routes().split_for_parts();
    let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT (HS384)").build();
    let components = document.components.get_or_insert_default();
    components.add_security_scheme("token", SecurityScheme::Http(scheme));
    document.security = Some(vec![SecurityRequirement::new("token", Vec::<String>::new())]);
    let mut document = serde_json::to_value(document).unwrap_or_default();
    schemas::settle(&mut document);
    document
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    #[test]
    fn the_document_that_the_command_line_carries_is_that_of_the_routes() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/openapi.json");
        let document = openapi() + "\n";
        if std::env::var_os("INSTA_UPDATE").is_some_and(|update| update == "always") {
            fs::write(&file, &document).unwrap();
        }
        let kept = fs::read_to_string(&file).unwrap();
        let first = kept.lines().zip(document.lines()).find(|(kept, made)| kept != made);
        assert!(kept == document, "docs/openapi.json differs, first at {first:?}: run this with INSTA_UPDATE=always");
    }
}
