//! What may be said of a frontend, and what of it can be kept.

use b3scale_middleware::bbb::Algorithm;
use serde::Deserialize;
use serde_json::Value;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::admin::body::Shaped;
use crate::admin::problem::Problem;
use crate::admin::shape::Shape;
use crate::rest::{Frontend, FrontendKeys, FrontendSettings, Visibility};

static PRESENTATION: Shape = Shape::Object(&[("url", Shape::Text), ("force", Shape::Flag)]);
static LIMIT: Shape = Shape::Object(&[("limit", Shape::Whole)]);
static RECORDINGS: Shape = Shape::Object(&[("visibility_override", Shape::Optional(&Shape::Text))]);
static KEYS: Shape = Shape::Object(&[
    ("key", Shape::Text),
    ("secret", Shape::Text),
    ("next_secret", Shape::Optional(&Shape::Text)),
    ("checksum_algorithms", Shape::List(&Shape::Text)),
]);

/// What may be said of a frontend.
pub(in crate::admin) struct Form;

impl Shaped for Form {
    const SHAPE: &'static Shape = &Shape::Object(&[
        ("bbb", Shape::Optional(&KEYS)),
        ("active", Shape::Flag),
        (
            "settings",
            Shape::Object(&[
                ("required_tags", Shape::List(&Shape::Text)),
                ("default_presentation", Shape::Optional(&PRESENTATION)),
                ("attendees_limit", Shape::Optional(&LIMIT)),
                ("create_default_params", Shape::Texts),
                ("create_override_params", Shape::Texts),
                ("join_default_params", Shape::Texts),
                ("join_override_params", Shape::Texts),
                ("recordings", Shape::Optional(&RECORDINGS)),
                ("allowed_tags", Shape::List(&Shape::Text)),
            ]),
        ),
        ("account_ref", Shape::Optional(&Shape::Text)),
    ]);
}

/// A new frontend.
///
/// Defect 46 of the original: what was said of `active` was ignored.
pub(super) fn filled(said: Value) -> Result<Frontend, Problem> {
    let mut form = Form::SHAPE.zero();
    form["active"] = true.into();
    Form::SHAPE.merge(&mut form, said);
    let now = OffsetDateTime::now_utc();
    let Checked { bbb, active, settings, account_ref } = checked(form)?;
    Ok(Frontend { id: Uuid::now_v7(), active, bbb, settings, account_ref, created_at: now, updated_at: now })
}

/// A frontend with what is said put over what is there. Only an operator gives it to another customer.
pub(super) fn changed(there: &Frontend, said: Value, by_operator: bool) -> Result<Frontend, Problem> {
    let mut form = serde_json::to_value(there).map_err(|_| Problem::Internal)?;
    Form::SHAPE.merge(&mut form, said);
    let Checked { bbb, active, settings, account_ref } = checked(form)?;
    let account_ref = if by_operator { account_ref } else { there.account_ref.clone() };
    Ok(Frontend { bbb, active, settings, account_ref, ..there.clone() })
}

/// What can be kept.
#[derive(Deserialize)]
struct Checked {
    bbb: FrontendKeys,
    active: bool,
    settings: FrontendSettings,
    account_ref: Option<String>,
}

fn checked(mut form: Value) -> Result<Checked, Problem> {
    if form["bbb"].is_null() {
        return Err(Problem::field("bbb", "this field is required"));
    }
    for name in ["key", "secret", "next_secret"] {
        let text = &mut form["bbb"][name];
        *text = text.as_str().map(str::trim).into();
    }
    for empty in ["/bbb/next_secret", "/account_ref"] {
        if let Some(text) = form.pointer_mut(empty).filter(|text| text.as_str() == Some("")) {
            *text = Value::Null;
        }
    }
    let visibility = &form["settings"]["recordings"]["visibility_override"];
    if Option::<Visibility>::deserialize(visibility).is_err() {
        let word = visibility.as_str().unwrap_or_default();
        return Err(Problem::Body(format!("unknown recording visibility: '{word}'")));
    }
    check(&form)?;
    serde_json::from_value(form).map_err(|error| Problem::Body(error.to_string()))
}

/// Says of everything that cannot be kept why.
fn check(form: &Value) -> Result<(), Problem> {
    let (key, secret) = (form["bbb"]["key"].as_str(), form["bbb"]["secret"].as_str());
    let algorithms = &form["bbb"]["checksum_algorithms"];
    let unknown = Option::<Vec<Algorithm>>::deserialize(algorithms).is_err();
    let limit = &form["settings"]["attendees_limit"]["limit"];
    let in_path = |key: &str| !key.contains(|char: char| char == '/' || char.is_control());
    Problem::of_fields([
        ("bbb.key", key.is_none_or(str::is_empty), "this field is required"),
        ("bbb.key", !key.is_none_or(in_path), "should have no slash and no control character: it is a part of a URL"),
        ("bbb.secret", secret.is_none_or(str::is_empty), "this field is required"),
        ("bbb.checksum_algorithms", unknown, "should be some of sha1, sha256, sha384, sha512"),
        (
            "bbb.checksum_algorithms",
            algorithms.as_array().is_some_and(Vec::is_empty),
            "should be null, or name at least one",
        ),
        // Tools keep it in 32 bits with a sign.
        (
            "settings.attendees_limit.limit",
            !limit.is_null() && limit.as_u64().is_none_or(|limit| i32::try_from(limit).is_err()),
            "should be from 0 to 2147483647",
        ),
    ])
}
