//! Fields that only operators change, while others may change the rest of the same thing.
//!
//! A change is compared with the record after it was merged: so its form does not matter, and tools that send whole
//! objects back are not refused for unchanged fields.

use std::str::FromStr;

use b3scale_middleware::bbb::cut;
use b3scale_middleware::cluster::{AdminState, Backend, Frontend};
use serde_json::Value;

use super::problem::Problem;
use crate::names::nearest;
use crate::rest::shape::Shape;
use crate::rest::{self, FRONTEND, check};
use crate::store::Standing;

/// The reason why a customer may not change such a field.
const REFUSED: &str = "only operators change this field";

/// A field of a frontend that customers do not change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperatorField {
    path: String,
}

/// A name that no field has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a frontend has no field `{given}`{hint}")]
pub struct NoField {
    given: String,
    hint: String,
}

impl FromStr for OperatorField {
    type Err = NoField;

    fn from_str(given: &str) -> Result<Self, NoField> {
        let fields = fields();
        let found = fields.iter().find(|(name, path)| given == *name || given == path);
        found.map(|(_, path)| Self { path: path.clone() }).ok_or_else(|| {
            let near = nearest(given, fields.iter().map(|(name, _)| *name));
            let hint = near.map_or_else(String::new, |name| format!(", did you mean `{name}`?"));
            NoField { given: cut(given).into_owned(), hint }
        })
    }
}

/// The names of the fields of a frontend, and where they stand in it.
fn fields() -> Vec<(&'static str, String)> {
    let inner = |(name, shape): (&'static str, &'static Shape)| {
        let inside: Vec<_> = shape.members().map(|(field, _)| (field, format!("{name}.{field}"))).collect();
        if inside.is_empty() { vec![(name, name.to_owned())] } else { inside }
    };
    FRONTEND.members().flat_map(inner).collect()
}

/// Refuses a customer's change of its frontend, if it changes one of these fields.
///
/// # Errors
/// The fields, each by its path.
pub(super) fn guard(fields: &[OperatorField], before: &Frontend, after: &Frontend) -> Result<(), Problem> {
    let shown = |one: &Frontend| serde_json::to_value(rest::Frontend::from(one.clone())).unwrap_or_default();
    let [before, after] = [before, after].map(shown);
    let at = |frontend: &Value, path: &str| frontend.pointer(&format!("/{}", path.replace('.', "/"))).cloned();
    let changed = fields.iter().filter(|field| at(&before, &field.path) != at(&after, &field.path));
    Problem::for_operators(changed.map(|field| (field.path.clone(), REFUSED.to_owned())))
}

/// Refuses the fields of a node, new (no `before`) or known, that its agent may not set.
///
/// A stolen token must not draw meetings to the node, make us ask any address, or undo an operator's change.
///
/// # Errors
/// The fields, each with the rights of agents.
pub(super) fn guard_agent(
    tags: &[String],
    before: Option<(&Backend, Standing)>,
    after: &Backend,
) -> Result<(), Problem> {
    let mut refused = Vec::new();
    let mut refuse = |path: &str, why: String| refused.push((path.to_owned(), why));
    let known = before.map_or(&[][..], |(there, _)| there.tags.words());
    let wanted = after.tags.words();
    let moved = known.iter().filter(|tag| !wanted.contains(tag));
    let moved = moved.chain(wanted.iter().filter(|tag| !known.contains(tag)));
    for tag in moved.filter(|tag| !tags.contains(tag)) {
        refuse("settings.tags", format!("only operators give or take `{}`: see B3SCALE_AGENT_TAGS", cut(tag)));
    }
    let factor = after.load_factor;
    let is_new = before.is_none_or(|(there, _)| there.load_factor.total_cmp(&factor).is_ne());
    if is_new && !check::AGENTS_FACTORS.contains(&factor) {
        let (least, most) = check::AGENTS_FACTORS.into_inner();
        refuse("load_factor", format!("an agent sets {least} to {most}: only operators set others"));
    }
    if before.is_some_and(|(there, standing)| standing.enabled && there.url != after.url) {
        refuse(
            "bbb.host",
            "only operators move a backend that was enabled; another node needs a token of its own".to_owned(),
        );
    }
    if !may_set(before.map(|(there, standing)| (there.admin_state, standing)), after.admin_state) {
        let why = "only operators enable a backend; an agent stops a ready one, and starts it again";
        refuse("admin_state", why.to_owned());
    }
    Problem::for_operators(refused)
}

/// Refuses an agent's change of the address while an agent reports for the old one: two nodes have one token.
///
/// # Errors
/// A conflict that says what to do.
pub(super) fn guard_move(there: &Backend, standing: Standing, after: &Backend) -> Result<(), Problem> {
    let host = &there.url;
    if !standing.reported || *host == after.url {
        return Ok(());
    }
    Err(Problem::Conflict(format!(
        "an agent with this token reports for {host}: give each node a token of its own (`b3scaled token --sub NODE \
         --scopes b3scale:node`), or stop that agent and try again after 10 s"
    )))
}

/// The load factor after an agent's change to `set`.
///
/// Once an operator has enabled the backend, a lower one is left alone: a stolen token must not draw meetings to the node. It is
/// not refused, since agents of the original send theirs at every start.
pub(super) fn factor_by_agent(there: &Backend, standing: Standing, set: f64) -> f64 {
    if standing.enabled { set.max(there.load_factor) } else { set }
}

/// Whether an agent may bring its backend into that state.
fn may_set(before: Option<(AdminState, Standing)>, after: AdminState) -> bool {
    match (before, after) {
        (None, after) => after == AdminState::Init,
        (Some((before, _)), after) if before == after => true,
        (Some((AdminState::Ready, _)), AdminState::Stopped) => true,
        (Some((AdminState::Stopped, standing)), AdminState::Ready) => standing.drained_by_agent,
        (Some(_), _) => false,
    }
}

#[cfg(test)]
mod tests {
    use b3scale_middleware::bbb::Secret;
    use b3scale_middleware::cluster::Secrets;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn every_field_of_a_frontend_has_a_name() {
        let secret = Secret::new("secret").expect("it is not empty");
        let frontend = Frontend::new(Uuid::nil(), "school", Secrets::new(secret, None));
        let shown = serde_json::to_value(rest::Frontend::from(frontend)).unwrap();
        let inner =
            |name: &str| shown[name].as_object().unwrap().keys().map(|field| format!("{name}.{field}")).collect();
        let mut paths: Vec<String> =
            ["bbb", "settings"].into_iter().flat_map(|name| -> Vec<_> { inner(name) }).collect();
        let outer = shown.as_object().unwrap().keys().map(String::as_str);
        let read_only = ["id", "bbb", "settings", "created_at", "updated_at"];
        paths.extend(outer.filter(|name| !read_only.contains(name)).map(str::to_owned));
        let mut known: Vec<_> = fields().into_iter().map(|(_, path)| path).collect();
        paths.sort();
        known.sort();
        assert_eq!(known, paths);
    }

    #[test]
    fn a_name_that_no_field_has_is_told_with_the_nearest() {
        assert_eq!("required_tags".parse::<OperatorField>(), "settings.required_tags".parse());
        let said = |name: &str| name.parse::<OperatorField>().unwrap_err().to_string();
        assert_eq!(said("requird_tags"), "a frontend has no field `requird_tags`, did you mean `required_tags`?");
        assert_eq!(said("moon"), "a frontend has no field `moon`");
    }

    #[test]
    fn an_agent_drains_what_is_ready_and_resumes_what_it_has_drained() {
        use AdminState::{Decommissioned, Init, Ready, Stopped};
        let operators = Standing { enabled: true, drained_by_agent: false, reported: false };
        let agents = Standing { drained_by_agent: true, ..operators };
        for (before, after) in [(Ready, Stopped), (Init, Init), (Stopped, Stopped)] {
            assert!(may_set(Some((before, operators)), after), "{before} {after}");
        }
        assert!(may_set(Some((Stopped, agents)), Ready) && may_set(None, Init));
        for (before, after) in
            [(Init, Ready), (Init, Stopped), (Stopped, Ready), (Decommissioned, Ready), (Ready, Decommissioned)]
        {
            assert!(!may_set(Some((before, operators)), after), "{before} {after}");
        }
        assert!([Ready, Stopped, Decommissioned].iter().all(|state| !may_set(None, *state)));
    }
}
