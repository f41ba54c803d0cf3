//! The database of the original b3scale.

use std::collections::HashMap;
use std::time::SystemTime;

use serde_json::{Map, Value};
use time::OffsetDateTime;
use tokio_postgres::Row;
use tokio_postgres::types::Json;
use uuid::Uuid;

use super::{ImportError, Imported, tenants_id};
use crate::rest::check::{LOAD_FACTORS, base_url, without_user};
use crate::rest::{AdminState, FrontendSettings, HistoryRow, ImportedMeeting, StateBackend, StateFrontend};
use crate::store::{ForeignDatabase, StoreError, column, stored_settings};

/// The only version of its schema that there is besides the very first.
const SCHEMA: i32 = 2;

/// The moment of a column that PostgreSQL filled by its clock, in the time zone of its sessions. Go's zero is none.
const CREATED: &str = "CASE WHEN created_at BETWEEN '1970-01-02' AND '9000-01-01'
    THEN created_at AT TIME ZONE current_setting('TimeZone') END AS created_at";

/// Reads the database that `url` names, in one moment of it.
///
/// # Errors
/// [`ImportError::Stranger`] for a database that is not the original's.
pub async fn read(url: &str) -> Result<Imported, ImportError> {
    let source = super::open(url).await?;
    check(&source).await?;
    let mut imported = Imported::new();
    let keys = read_frontends(&source, &mut imported).await?;
    let hosts = read_backends(&source, &mut imported).await?;
    read_meetings(&source, &keys, &hosts, &mut imported).await?;
    read_history(&source, &keys, &mut imported).await?;
    let recordings = source.rows("count the recordings", "SELECT count(*) FROM recordings", &[]).await?;
    let recordings = recordings.first().map_or(Ok(0), |row| column::<i64>("recordings", row, "count"))?;
    imported.left_out(usize::try_from(recordings).unwrap_or(0), "recording", "(they are not brought over yet)");
    Ok(imported)
}

async fn check(source: &ForeignDatabase) -> Result<(), ImportError> {
    let stranger = |reason: String| ImportError::stranger(source.place(), "the original b3scale", reason);
    if source.has_table("refinery_schema_history").await? {
        return Err(stranger("this program's own tables are in it; name the database to be brought over".to_owned()));
    }
    if !(source.has_table("__meta__").await? && source.has_table("frontends").await?) {
        return Err(stranger("it has no tables `__meta__` and `frontends`".to_owned()));
    }
    let rows = source.rows("read the version of the schema", "SELECT max(version) FROM __meta__", &[]).await?;
    let version: Option<i32> = rows.first().map_or(Ok(None), |row| column("__meta__", row, "max"))?;
    if version != Some(SCHEMA) {
        let found = version.map_or_else(|| "none".to_owned(), |version| version.to_string());
        let advice = "bring it up to date first, with `b3scalectl db migrate` of the original";
        return Err(stranger(format!("the version of its schema is {found} and not {SCHEMA}; {advice}")));
    }
    Ok(())
}

/// The keys of the frontends that come over, by their ids.
async fn read_frontends(
    source: &ForeignDatabase,
    imported: &mut Imported,
) -> Result<HashMap<Uuid, String>, ImportError> {
    const TABLE: &str = "frontends";
    let sql = format!(
        "SELECT id, key, secret, active, settings, account_ref, {CREATED} FROM frontends ORDER BY key COLLATE \"C\""
    );
    let mut keys = HashMap::new();
    for row in source.rows("read the frontends", &sql, &[]).await? {
        let key = text(TABLE, &row, "key")?;
        let secret = text(TABLE, &row, "secret")?;
        let id: Uuid = column(TABLE, &row, "id")?;
        if key.is_empty() || secret.is_empty() {
            imported.note(format!("The frontend `{key}` ({id}) was left out: it has no key or no secret."));
            continue;
        }
        let (settings, unknown) = settings(column(TABLE, &row, "settings")?);
        for name in unknown {
            imported.note(format!("The setting `{name}` of the frontend `{key}` was left out: it is not known here."));
        }
        imported.document.frontends.push(StateFrontend {
            key: key.clone(),
            secret,
            next_secret: None,
            checksum_algorithms: None,
            active: column::<Option<bool>>(TABLE, &row, "active")?.unwrap_or(true),
            account_ref: reference(TABLE, &row, "account_ref")?,
            settings,
            id: Some(id),
            created_at: moment(TABLE, &row, "created_at")?,
        });
        keys.insert(id, key);
    }
    Ok(keys)
}

/// Settings as the original keeps them, and the names of those that mean nothing here.
fn settings(stored: Option<Json<Value>>) -> (FrontendSettings, Vec<String>) {
    let known = serde_json::to_value(FrontendSettings::default()).unwrap_or_default();
    let Some(Json(Value::Object(stored))) = stored else { return Default::default() };
    let alone = |name: &str, value: &Value| Value::Object(Map::from_iter([(name.to_owned(), value.clone())]));
    let is_read = |name: &str, value: &Value| known.get(name).is_some() && stored_settings(alone(name, value)).is_ok();
    let (read, unknown): (Map<_, _>, Map<_, _>) =
        stored.into_iter().filter(|(_, value)| !value.is_null()).partition(|(name, value)| is_read(name, value));
    (stored_settings(read.into()).unwrap_or_default(), unknown.into_iter().map(|(name, _)| name).collect())
}

/// The hosts of the backends that come over, by their ids.
async fn read_backends(
    source: &ForeignDatabase,
    imported: &mut Imported,
) -> Result<HashMap<Uuid, String>, ImportError> {
    const TABLE: &str = "backends";
    let sql = format!(
        "SELECT id, host, secret, admin_state::text, agent_ref, load_factor::text, settings->'tags' AS tags, {CREATED}
        FROM backends ORDER BY host COLLATE \"C\""
    );
    let mut hosts = HashMap::new();
    for row in source.rows("read the backends", &sql, &[]).await? {
        let (id, host): (Uuid, String) = (column(TABLE, &row, "id")?, text(TABLE, &row, "host")?);
        let secret = text(TABLE, &row, "secret")?;
        let Some(url) = base_url(&host).filter(|_| !secret.is_empty()) else {
            let host = without_user(&host);
            imported.note(format!("The backend `{host}` ({id}) was left out: it has no usable URL or no secret."));
            continue;
        };
        hosts.insert(id, url.clone());
        if imported.document.backends.iter().any(|there| there.host == url) {
            imported.note(format!("The backend `{host}` ({id}) is there twice; the first one counts."));
            continue;
        }
        let backend = StateBackend {
            host: url,
            secret,
            checksum_algorithm: None,
            tags: tags(column(TABLE, &row, "tags")?),
            load_factor: load_factor(&text(TABLE, &row, "load_factor")?),
            admin_state: admin_state(&text(TABLE, &row, "admin_state")?),
            agent_ref: reference(TABLE, &row, "agent_ref")?,
            id: Some(id),
            created_at: moment(TABLE, &row, "created_at")?,
        };
        imported.document.backends.push(backend);
    }
    Ok(hosts)
}

fn tags(stored: Option<Json<Value>>) -> Vec<String> {
    let stored = stored.map(|Json(tags)| tags).unwrap_or_default();
    stored.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// The column has single precision, so its text is the number that was entered. b3scale also took zero, and numbers beyond our
/// bounds.
fn load_factor(text: &str) -> f64 {
    let given = text.parse().ok().filter(|factor: &f64| factor.is_finite() && *factor > 0.0).unwrap_or(1.0);
    given.clamp(*LOAD_FACTORS.start(), *LOAD_FACTORS.end())
}

/// There are states of nodes among the wanted ones: such a backend takes nothing.
fn admin_state(word: &str) -> AdminState {
    match word {
        "init" => AdminState::Init,
        "ready" => AdminState::Ready,
        "decommissioned" => AdminState::Decommissioned,
        _ => AdminState::Stopped,
    }
}

async fn read_meetings(
    source: &ForeignDatabase,
    keys: &HashMap<Uuid, String>,
    hosts: &HashMap<Uuid, String>,
    imported: &mut Imported,
) -> Result<(), ImportError> {
    const TABLE: &str = "meetings";
    let sql = "SELECT id, internal_id, frontend_id, backend_id, state->>'CreateTime' AS create_time,
            state->>'IsBreakout' IS NOT DISTINCT FROM 'true' AS breakout
        FROM meetings WHERE id <> '' ORDER BY id COLLATE \"C\"";
    let (mut strangers, mut homeless) = (0, 0);
    for row in source.rows("read the meetings", sql, &[]).await? {
        let id = text(TABLE, &row, "id")?;
        let frontend = column::<Option<Uuid>>(TABLE, &row, "frontend_id")?.and_then(|id| keys.get(&id));
        let backend = column::<Option<Uuid>>(TABLE, &row, "backend_id")?.and_then(|id| hosts.get(&id));
        let (Some(frontend), Some(backend)) = (frontend, backend) else {
            *(if frontend.is_none() { &mut strangers } else { &mut homeless }) += 1;
            continue;
        };
        imported.document.meetings.push(ImportedMeeting {
            meeting_id: tenants_id(&id),
            id,
            frontend: frontend.clone(),
            backend: backend.clone(),
            internal_id: Some(text(TABLE, &row, "internal_id")?).filter(|internal| !internal.is_empty()),
            create_time: text(TABLE, &row, "create_time")?.parse().ok().filter(|time| *time > 0),
            breakout: column(TABLE, &row, "breakout")?,
        });
    }
    let breakouts = "without a frontend that comes over (breakouts are found again on their nodes)";
    imported.left_out(strangers, "meeting", breakouts);
    imported.left_out(homeless, "meeting", "without a backend that comes over");
    Ok(())
}

async fn read_history(
    source: &ForeignDatabase,
    keys: &HashMap<Uuid, String>,
    imported: &mut Imported,
) -> Result<(), ImportError> {
    const TABLE: &str = "frontend_meetings";
    let sql = "SELECT meeting_id, frontend_id,
            CASE WHEN seen_at BETWEEN '1970-01-02' AND '9000-01-01'
                THEN seen_at AT TIME ZONE current_setting('TimeZone') END AS seen_at
        FROM frontend_meetings WHERE meeting_id <> '' ORDER BY meeting_id COLLATE \"C\"";
    let mut strangers = 0;
    for row in source.rows("read the meetings that ran", sql, &[]).await? {
        let Some(frontend) = column::<Option<Uuid>>(TABLE, &row, "frontend_id")?.and_then(|id| keys.get(&id)) else {
            strangers += 1;
            continue;
        };
        let id = text(TABLE, &row, "meeting_id")?;
        imported.document.history.push(HistoryRow {
            meeting_id: tenants_id(&id),
            id,
            frontend: frontend.clone(),
            seen_at: moment(TABLE, &row, "seen_at")?.unwrap_or(OffsetDateTime::UNIX_EPOCH),
        });
    }
    imported.left_out(strangers, "past meeting", "without a frontend that comes over");
    Ok(())
}

/// A text, where NULL is none.
fn text(table: &str, row: &Row, name: &str) -> Result<String, StoreError> {
    Ok(column::<Option<String>>(table, row, name)?.unwrap_or_default())
}

/// A name in another system. An empty one names nothing.
fn reference(table: &str, row: &Row, name: &str) -> Result<Option<String>, StoreError> {
    Ok(column::<Option<String>>(table, row, name)?.filter(|reference| !reference.is_empty()))
}

fn moment(table: &str, row: &Row, name: &str) -> Result<Option<OffsetDateTime>, StoreError> {
    Ok(column::<Option<SystemTime>>(table, row, name)?.map(OffsetDateTime::from))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn settings_that_mean_nothing_here_are_named_and_do_not_hide_the_others() {
        let stored = json!({"required_tags": ["eu"], "join_default_params": null, "attendees_limit": {"limit": "many"},
            "theirs": 1, "gone": null});
        let (read, unknown) = settings(Some(Json(stored)));
        assert_eq!(read.required_tags, Some(vec!["eu".to_owned()]));
        assert_eq!(unknown, ["attendees_limit", "theirs"]);
        assert_eq!(settings(Some(Json(Value::Null))), Default::default());
    }

    #[test]
    fn a_factor_that_is_none_is_one() {
        assert_eq!(["1.1", "0", "-2", "NaN", "Infinity", ""].map(load_factor), [1.1, 1.0, 1.0, 1.0, 1.0, 1.0]);
        assert_eq!(["1e-30", "1e30"].map(load_factor), [0.01, 100.0]);
    }
}
