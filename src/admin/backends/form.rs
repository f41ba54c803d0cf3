//! The fields of a backend that a request may set, and how they are kept.

use serde::Deserialize;
use serde_json::Value;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::admin::body::Shaped;
use crate::admin::problem::Problem;
use crate::admin::shape::Shape;
use crate::rest::{AdminState, Backend, BackendSettings, NodeKeys, NodeState, StateBackend, check};

static KEYS: Shape = Shape::Object(&[
    ("host", Shape::Text),
    ("secret", Shape::Text),
    ("checksum_algorithm", Shape::Optional(&Shape::Text)),
]);

/// The fields of a backend in a request. The last three only tell an agent of the original, which calls `bbb` `backend` when it
/// starts again.
pub(in crate::admin) struct Form;

impl Shaped for Form {
    const SHAPE: &'static Shape = &Shape::Object(&[
        ("bbb", Shape::Optional(&KEYS)),
        ("settings", Shape::Object(&[("tags", Shape::List(&Shape::Text))])),
        ("admin_state", Shape::Text),
        ("load_factor", Shape::Number),
        ("backend", Shape::Any),
        ("id", Shape::Any),
        ("node_state", Shape::Any),
    ]);
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
    let mut form = Form::SHAPE.zero();
    Form::SHAPE.merge(&mut form, said);
    if form["admin_state"] == "" {
        form["admin_state"] = if agent_ref.is_some() { "init" } else { "ready" }.into();
    }
    if form["load_factor"].as_f64() == Some(0.0) {
        form["load_factor"] = 1.into();
    }
    let (now, Filled { bbb, settings, admin_state, load_factor }) =
        (OffsetDateTime::now_utc(), read(form, &agent_ref)?);
    Ok(Backend {
        id: Uuid::now_v7(),
        node_state: NodeState::Init,
        admin_state,
        agent_heartbeat: now,
        agent_ref,
        last_error: None,
        latency: 0,
        meetings_count: 0,
        attendees_count: 0,
        load_factor,
        bbb,
        settings,
        created_at: now,
        updated_at: now,
        synced_at: now,
    })
}

/// A backend with what is said put over what is there.
pub(super) fn changed(there: &Backend, said: Value) -> Result<Backend, Problem> {
    let mut form = serde_json::to_value(there).map_err(|_| Problem::Internal)?;
    Form::SHAPE.merge(&mut form, said);
    let Filled { bbb, settings, admin_state, load_factor } = read(form, &there.agent_ref)?;
    Ok(Backend { bbb, settings, admin_state, load_factor, ..there.clone() })
}

/// A URL as backends have it: calls are made by appending to it.
pub(in crate::admin) fn with_slash(host: &str) -> String {
    let host = host.trim();
    if host.ends_with('/') { host.to_owned() } else { format!("{host}/") }
}

/// A form that can be kept.
struct Filled {
    bbb: NodeKeys,
    settings: BackendSettings,
    admin_state: AdminState,
    load_factor: f64,
}

/// A form as it came.
#[derive(Deserialize)]
struct Sheet {
    bbb: Option<NodeKeys>,
    settings: BackendSettings,
    admin_state: String,
    load_factor: f64,
}

fn read(form: Value, agent_ref: &Option<String>) -> Result<Filled, Problem> {
    let sheet: Sheet = serde_json::from_value(form).map_err(|error| Problem::Body(error.to_string()))?;
    let Sheet { bbb: Some(bbb), settings, admin_state, load_factor } = sheet else {
        return Err(Problem::field("bbb", check::REQUIRED));
    };
    let state = AdminState::deserialize(Value::from(admin_state));
    let entry = StateBackend {
        host: bbb.host.trim().to_owned(),
        secret: bbb.secret.trim().to_owned(),
        checksum_algorithm: bbb.checksum_algorithm.filter(|word| !word.is_empty()),
        tags: settings.tags.into_iter().filter(|tag| !tag.trim().is_empty()).collect(),
        load_factor,
        // No backend can be given this state, as it can be given none that does not exist.
        admin_state: state.unwrap_or(AdminState::Destroyed),
        agent_ref: agent_ref.clone(),
        id: None,
        created_at: None,
    };
    Problem::unless_none(check::backend(&entry).into_iter().map(|(place, why)| (in_form(&place), why)))?;
    let StateBackend { host, secret, checksum_algorithm, tags, load_factor, admin_state, .. } = entry;
    let bbb = NodeKeys { host: with_slash(&host), secret, checksum_algorithm };
    Ok(Filled { bbb, settings: BackendSettings { tags }, admin_state, load_factor })
}

/// Where a field of an entry stands in the form.
fn in_form(place: &str) -> String {
    if ["host", "secret", "checksum_algorithm"].contains(&place) { format!("bbb.{place}") } else { place.to_owned() }
}
