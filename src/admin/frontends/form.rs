//! Requests that set a frontend.

use b3scale_middleware::cluster::Frontend;
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use crate::admin::body::Shaped;
use crate::admin::operators::{OperatorField, guard};
use crate::admin::problem::Problem;
use crate::rest::check::REQUIRED;
use crate::rest::shape::Shape;
use crate::rest::{self, FRONTEND, FrontendSettings, StateFrontend};

/// The fields of a frontend in a request.
pub(in crate::admin) struct Form;

impl Shaped for Form {
    const SHAPE: &'static Shape = &FRONTEND;
}

/// A new frontend.
///
/// Defect 46 of the original: `active` was ignored.
pub(super) fn filled(said: Value) -> Result<Frontend, Problem> {
    let mut form = FRONTEND.zero();
    form["active"] = true.into();
    FRONTEND.merge(&mut form, said);
    read(form, Uuid::now_v7(), None)
}

/// The frontend with the changes applied. Only operators set its owner, the tags it may choose and its webhooks.
/// `operators`: the caller is no operator, and only operators change these fields, too.
pub(super) fn changed(there: &Frontend, said: Value, operators: Option<&[OperatorField]>) -> Result<Frontend, Problem> {
    let shown = serde_json::to_value(rest::Frontend::from(there.clone())).map_err(|_| Problem::Internal)?;
    let mut form = FRONTEND.zero();
    FRONTEND.merge(&mut form, shown);
    FRONTEND.merge(&mut form, said);
    let Frontend { created_at, updated_at, version, .. } = *there;
    let read = read(form, there.id.0, Some(&there.key))?;
    let mut changed = Frontend { created_at, updated_at, version, ..read };
    if let Some(fields) = operators {
        guard(fields, there, &changed)?;
        changed.account_ref.clone_from(&there.account_ref);
        changed.settings.allowed_tags.clone_from(&there.settings.allowed_tags);
        changed.settings.webhooks.clone_from(&there.settings.webhooks);
    }
    Ok(changed)
}

/// Reads a form, with its keys in an object of their own. Its shape has skipped unknown settings, as the original does.
fn read(mut form: Value, id: Uuid, kept_key: Option<&str>) -> Result<Frontend, Problem> {
    let unreadable = |error: serde_json::Error| Problem::Body(error.to_string());
    let Value::Object(keys) = form["bbb"].take() else { return Err(Problem::field("bbb", REQUIRED)) };
    let settings = FrontendSettings::deserialize(form["settings"].take()).map_err(unreadable)?;
    let names: Vec<String> = keys.keys().cloned().collect();
    if let Value::Object(fields) = &mut form {
        fields.retain(|name, _| !["bbb", "settings"].contains(&&**name));
        fields.extend(keys);
    }
    let entry = StateFrontend { settings, ..StateFrontend::deserialize(form).map_err(unreadable)? }.trimmed();
    let is_key = |place: &str| names.iter().any(|name| place.split('[').next() == Some(name));
    let in_form = |(place, why): (String, String)| (if is_key(&place) { format!("bbb.{place}") } else { place }, why);
    let record = entry.record(id, kept_key == Some(&*entry.key));
    record.map_err(|problems| Problem::fields(problems.into_iter().map(in_form)))
}
