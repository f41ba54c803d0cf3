//! Requests that set a backend.

use b3scale_middleware::cluster::{Backend, NodeStatus};
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use crate::admin::body::Shaped;
use crate::admin::problem::Problem;
use crate::rest::check::REQUIRED;
use crate::rest::shape::Shape;
use crate::rest::{self, AdminState, BACKEND, BackendSettings, NodeKeys, StateBackend};

/// The fields of a backend in a request.
pub(in crate::admin) struct Form;

impl Shaped for Form {
    const SHAPE: &'static Shape = &BACKEND;
}

/// Whether an agent of the original registers its node. It sends a whole backend without an id, with a `null` for its tags.
/// An operator's tool leaves these fields out, or has a list of tags.
pub(super) fn is_registration(said: &Value) -> bool {
    let tags = said.pointer("/settings/tags");
    said["id"] == "" && said["node_state"] == "init" && said["admin_state"] == "init" && tags == Some(&Value::Null)
}

/// Whether an agent of the original has started again.
pub(super) fn is_restart(said: &Value) -> bool {
    said["backend"].is_object()
}

/// A new backend. Fields that are missing or empty have their defaults. A backend that an agent adds waits to be enabled.
pub(super) fn filled(said: Value, agent_ref: Option<String>) -> Result<Backend, Problem> {
    let mut form = BACKEND.zero();
    BACKEND.merge(&mut form, said);
    if form["admin_state"] == "" {
        form["admin_state"] = if agent_ref.is_some() { "init" } else { "ready" }.into();
    }
    if form["load_factor"].as_f64() == Some(0.0) {
        form["load_factor"] = 1.into();
    }
    read(form, Uuid::now_v7(), agent_ref)
}

/// A backend with a form merged over it.
pub(super) fn changed(there: &Backend, said: Value) -> Result<Backend, Problem> {
    let shown = rest::Backend::of(there.clone(), &NodeStatus::default());
    let mut form = serde_json::to_value(shown).map_err(|_| Problem::Internal)?;
    BACKEND.merge(&mut form, said);
    read(form, there.id.0, there.agent_ref.clone())
}

/// A URL as backends have it: calls are made by appending to it.
pub(in crate::admin) fn with_slash(host: &str) -> String {
    let host = host.trim();
    if host.ends_with('/') { host.to_owned() } else { format!("{host}/") }
}

/// A form as it came.
#[derive(Deserialize)]
struct Sheet {
    bbb: Option<NodeKeys>,
    settings: BackendSettings,
    admin_state: String,
    load_factor: f64,
}

fn read(form: Value, id: Uuid, agent_ref: Option<String>) -> Result<Backend, Problem> {
    let sheet: Sheet = serde_json::from_value(form).map_err(|error| Problem::Body(error.to_string()))?;
    let Sheet { bbb: Some(bbb), settings, admin_state, load_factor } = sheet else {
        return Err(Problem::field("bbb", REQUIRED));
    };
    let state = AdminState::deserialize(Value::from(admin_state));
    let entry = StateBackend {
        checksum_algorithm: bbb.checksum_algorithm.filter(|word| !word.is_empty()),
        tags: settings.tags.into_iter().filter(|tag| !tag.trim().is_empty()).collect(),
        load_factor,
        // No backend can be given this state, as it can be given none that does not exist.
        admin_state: state.unwrap_or(AdminState::Destroyed),
        agent_ref,
        ..StateBackend::new(bbb.host.trim().to_owned(), bbb.secret.trim().to_owned())
    };
    let read = entry
        .record(id)
        .map_err(|problems| Problem::fields(problems.into_iter().map(|(place, why)| (in_form(&place), why))))?;
    Ok(Backend { url: with_slash(&entry.host), ..read })
}

/// Where a field of an entry stands in the form.
fn in_form(place: &str) -> String {
    if ["host", "secret", "checksum_algorithm"].contains(&place) { format!("bbb.{place}") } else { place.to_owned() }
}
