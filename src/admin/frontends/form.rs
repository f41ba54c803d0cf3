//! What may be said of a frontend, and what of it can be kept.

use serde::Deserialize;
use serde_json::Value;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::admin::body::Shaped;
use crate::admin::operators::{OperatorField, guard};
use crate::admin::problem::Problem;
use crate::admin::shape::Shape;
use crate::rest::{Frontend, FrontendKeys, FrontendSettings, StateFrontend, check};

static PRESENTATION: Shape = Shape::Object(&[("url", Shape::Text), ("force", Shape::Flag), ("filename", Shape::Text)]);
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
    let Filled { bbb, active, settings, account_ref } = read(form, None)?;
    Ok(Frontend { id: Uuid::now_v7(), active, bbb, settings, account_ref, created_at: now, updated_at: now })
}

/// The frontend with the changes applied. Only operators set its owner and the tags it may choose.
/// `operators`: the caller is no operator, and only operators change these fields, too.
pub(super) fn changed(there: &Frontend, said: Value, operators: Option<&[OperatorField]>) -> Result<Frontend, Problem> {
    let mut form = serde_json::to_value(there).map_err(|_| Problem::Internal)?;
    Form::SHAPE.merge(&mut form, said);
    let Filled { bbb, active, settings, account_ref } = read(form, Some(&there.bbb.key))?;
    let mut changed = Frontend { bbb, active, settings, account_ref, ..there.clone() };
    if let Some(fields) = operators {
        guard(fields, there, &changed)?;
        changed.account_ref.clone_from(&there.account_ref);
        changed.settings.allowed_tags.clone_from(&there.settings.allowed_tags);
    }
    Ok(changed)
}

/// A form that can be kept.
struct Filled {
    bbb: FrontendKeys,
    active: bool,
    settings: FrontendSettings,
    account_ref: Option<String>,
}

/// A form as it came.
#[derive(Deserialize)]
struct Sheet {
    bbb: Option<FrontendKeys>,
    active: bool,
    settings: FrontendSettings,
    account_ref: Option<String>,
}

fn read(form: Value, kept_key: Option<&str>) -> Result<Filled, Problem> {
    let sheet: Sheet = serde_json::from_value(form).map_err(|error| Problem::Body(error.to_string()))?;
    let Sheet { bbb: Some(bbb), active, settings, account_ref } = sheet else {
        return Err(Problem::field("bbb", check::REQUIRED));
    };
    let some = |text: Option<String>| text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    let entry = StateFrontend {
        key: bbb.key.trim().to_owned(),
        secret: bbb.secret.trim().to_owned(),
        next_secret: some(bbb.next_secret),
        checksum_algorithms: bbb.checksum_algorithms,
        active,
        account_ref: some(account_ref),
        settings,
        id: None,
        created_at: None,
    };
    let is_kept = kept_key == Some(entry.key.as_str());
    Problem::unless_none(check::frontend(&entry, is_kept).into_iter().map(|(place, why)| (in_form(&place), why)))?;
    let StateFrontend { key, secret, next_secret, checksum_algorithms, settings, account_ref, .. } = entry;
    let bbb = FrontendKeys { key, secret, next_secret, checksum_algorithms };
    Ok(Filled { bbb, active, settings, account_ref })
}

/// Where a field of an entry stands in the form.
fn in_form(place: &str) -> String {
    let keys = ["key", "secret", "next_secret", "checksum_algorithms"];
    if keys.iter().any(|key| place.starts_with(key)) { format!("bbb.{place}") } else { place.to_owned() }
}
