//! What may be said of a backend, and what of it can be kept.

use serde::Deserialize;
use serde_json::{Value, json};
use time::OffsetDateTime;
use url::Url;
use uuid::Uuid;

use crate::admin::body::Shaped;
use crate::admin::problem::Problem;
use crate::admin::shape::Shape;
use crate::rest::{AdminState, Backend, BackendSettings, NodeKeys, NodeState};

static KEYS: Shape = Shape::Object(&[("host", Shape::Text), ("secret", Shape::Text)]);

/// What may be said of a backend.
pub(in crate::admin) struct Form;

impl Shaped for Form {
    const SHAPE: &'static Shape = &Shape::Object(&[
        ("bbb", Shape::Optional(&KEYS)),
        ("settings", Shape::Object(&[("tags", Shape::List(&Shape::Text))])),
        ("admin_state", Shape::Text),
        ("load_factor", Shape::Number),
    ]);
}

/// A new backend. What is not said, or said to be nothing, has its default.
pub(super) fn filled(said: Value, agent_ref: Option<String>) -> Result<Backend, Problem> {
    let mut form = Form::SHAPE.zero();
    Form::SHAPE.merge(&mut form, said);
    if form["admin_state"] == "" {
        form["admin_state"] = "ready".into();
    }
    if form["load_factor"].as_f64() == Some(0.0) {
        form["load_factor"] = json!(1.0);
    }
    let Checked { bbb, settings, admin_state, load_factor } = checked(form)?;
    let now = OffsetDateTime::now_utc();
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
    let Checked { bbb, settings, admin_state, load_factor } = checked(form)?;
    Ok(Backend { bbb, settings, admin_state, load_factor, ..there.clone() })
}

/// A URL as backends have it: calls are made by appending to it.
pub(in crate::admin) fn with_slash(host: &str) -> String {
    let host = host.trim();
    if host.ends_with('/') { host.to_owned() } else { format!("{host}/") }
}

/// What can be kept.
#[derive(Deserialize)]
struct Checked {
    bbb: NodeKeys,
    settings: BackendSettings,
    admin_state: AdminState,
    load_factor: f64,
}

fn checked(mut form: Value) -> Result<Checked, Problem> {
    if form["bbb"].is_null() {
        return Err(Problem::field("bbb", "this field is required"));
    }
    let secret = form["bbb"]["secret"].as_str().map(str::trim).unwrap_or_default().to_owned();
    form["bbb"]["secret"] = secret.into();
    check(&form)?;
    let mut checked: Checked = serde_json::from_value(form).map_err(|error| Problem::Body(error.to_string()))?;
    checked.bbb.host = with_slash(&checked.bbb.host);
    checked.settings.tags.retain(|tag| !tag.trim().is_empty());
    Ok(checked)
}

/// Says of everything that cannot be kept why.
fn check(form: &Value) -> Result<(), Problem> {
    let host = form["bbb"]["host"].as_str().map(str::trim).unwrap_or_default();
    let odd = |char: char| char.is_whitespace() || char.is_control();
    let is_url = ["http://", "https://"].iter().any(|scheme| host.starts_with(scheme))
        && Url::parse(host).is_ok_and(|url| url.has_host())
        && !host.contains(odd);
    let bare = Url::parse(host).is_ok_and(|url| url.query().is_none() && url.fragment().is_none());
    let state = AdminState::deserialize(&form["admin_state"]).ok();
    let factor = form["load_factor"].as_f64().unwrap_or_default();
    Problem::of_fields([
        ("bbb.host", host.is_empty(), "this field is required"),
        ("bbb.host", !host.is_empty() && !is_url, "should start with http(s)://"),
        ("bbb.host", is_url && !bare, "should have no query and no fragment"),
        ("bbb.secret", form["bbb"]["secret"] == "", "this field is required"),
        (
            "admin_state",
            state.is_none_or(|state| state == AdminState::Destroyed),
            "should be init, ready, stopped or decommissioned",
        ),
        ("load_factor", !(factor > 0.0 && factor.is_finite()), "should be greater than 0"),
    ])
}
