//! The database of the original b3scale.

mod recordings;

use std::collections::{BTreeMap, HashMap};
use std::time::SystemTime;

use b3scale_base::net::url::{base_url, without_user};
use b3scale_base::rest::{
    AdminState, FrontendSettings, HistoryRow, ImportedMeeting, StateBackend, StateFrontend, lost,
};
use b3scale_middleware::cluster::CALLBACK_PATH;
use b3scale_postgres::{ForeignDatabase, StoreError, column};
use serde::Deserialize;
use serde_json::{Map, Value};
use time::OffsetDateTime;
use tokio_postgres::Row;
use tokio_postgres::types::Json;
use uuid::Uuid;

use super::{ImportError, Imported, changed_factor, load_factor, tenants_id, unkept};

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
    let source = super::open("--from", url).await?;
    check_schema(&source).await?;
    let mut imported = Imported::new();
    let keys = read_frontends(&source, &mut imported).await?;
    let hosts = read_backends(&source, &mut imported).await?;
    read_meetings(&source, &keys, &hosts, &mut imported).await?;
    read_history(&source, &keys, &mut imported).await?;
    recordings::read(&source, &keys, &mut imported).await?;
    Ok(imported)
}

async fn check_schema(source: &ForeignDatabase) -> Result<(), ImportError> {
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
        let advice = match version {
            Some(version) if version > SCHEMA => "it is newer than this program; take a newer one",
            _ => "bring it up to date first, with `b3scalectl db migrate` of the original",
        };
        return Err(stranger(format!("the version of its schema is {found} and not {SCHEMA}; {advice}")));
    }
    Ok(())
}

/// An entry that comes over, with remarks for the operator, or why it stays behind.
type Judged<T> = Result<(T, Vec<String>), String>;

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
        let (id, key): (Uuid, String) = (column(TABLE, &row, "id")?, text(TABLE, &row, "key")?);
        match frontend(TABLE, &row, id, key.clone())? {
            Ok((entry, notes)) => {
                notes.into_iter().for_each(|note| imported.note(note));
                imported.document.frontends.push(entry);
                keys.insert(id, key);
            }
            Err(why) => {
                imported.note(format!("The frontend `{}` ({id}) was left out: {why}.", key.escape_debug()));
            }
        }
    }
    Ok(keys)
}

fn frontend(table: &str, row: &Row, id: Uuid, key: String) -> Result<Judged<StateFrontend>, StoreError> {
    let secret = text(table, row, "secret")?;
    if key.trim().is_empty() || secret.trim().is_empty() {
        return Ok(Err("it has no key or no secret".to_owned()));
    }
    let (settings, unknown) = match settings(column(table, row, "settings")?) {
        Ok(read) => read,
        Err(why) => return Ok(Err(why)),
    };
    let unknown = unknown
        .iter()
        .map(|name| format!("The setting `{name}` of the frontend `{key}` was left out: it is not known here."));
    let notes = unknown.collect();
    let entry = StateFrontend {
        active: column::<Option<bool>>(table, row, "active")?.unwrap_or(true),
        account_ref: reference(table, row, "account_ref")?,
        settings,
        id: Some(id),
        created_at: moment(table, row, "created_at")?,
        ..StateFrontend::new(key, secret)
    };
    Ok(unkept(entry.problems(false)).map_or(Ok((entry, notes)), Err))
}

/// Settings as the original keeps them, and the names of unsupported ones.
fn settings(stored: Option<Json<Value>>) -> Result<(FrontendSettings, Vec<String>), String> {
    let stored = said(stored)?;
    let read = FrontendSettings::read(stored.clone()).map_err(|name| format!("`settings.{name}` cannot be read"))?;
    let kept = serde_json::to_value(&read).unwrap_or_default();
    Ok((read, lost(&stored, &kept)))
}

/// The settings in an object. `null` counts as missing, also within it.
fn said(stored: Option<Json<Value>>) -> Result<Value, String> {
    let mut stored = stored.map(|Json(stored)| stored).unwrap_or_default();
    match &mut stored {
        Value::Null => Ok(Value::Object(Map::new())),
        Value::Object(settings) => {
            settings.retain(|_, value| !value.is_null());
            Ok(stored)
        }
        _ => Err("`settings` should be an object".to_owned()),
    }
}

/// The hosts of the backends that come over, by their ids.
async fn read_backends(
    source: &ForeignDatabase,
    imported: &mut Imported,
) -> Result<HashMap<Uuid, String>, ImportError> {
    const TABLE: &str = "backends";
    let sql = format!(
        "SELECT id, host, secret, admin_state::text, agent_ref, load_factor::text, settings, {CREATED}
        FROM backends ORDER BY host COLLATE \"C\""
    );
    let mut hosts = HashMap::new();
    for row in source.rows("read the backends", &sql, &[]).await? {
        let (id, host): (Uuid, String) = (column(TABLE, &row, "id")?, text(TABLE, &row, "host")?);
        let (entry, notes) = match backend(TABLE, &row, id, &host)? {
            Ok(read) => read,
            Err(why) => {
                let host = without_user(&host);
                imported.note(format!("The backend `{}` ({id}) was left out: {why}.", host.escape_debug()));
                continue;
            }
        };
        hosts.insert(id, entry.host.clone());
        if imported.document.backends.iter().any(|there| there.host == entry.host) {
            imported.note(format!("The backend `{host}` ({id}) is there twice; the first one counts."));
            continue;
        }
        notes.into_iter().for_each(|note| imported.note(note));
        imported.document.backends.push(entry);
    }
    Ok(hosts)
}

fn backend(table: &str, row: &Row, id: Uuid, host: &str) -> Result<Judged<StateBackend>, StoreError> {
    let secret = text(table, row, "secret")?;
    let Some(url) = base_url(host).filter(|_| !secret.trim().is_empty()) else {
        return Ok(Err("it has no usable URL or no secret".to_owned()));
    };
    let (tags, unknown) = match tags(column(table, row, "settings")?) {
        Ok(read) => read,
        Err(why) => return Ok(Err(why)),
    };
    let unknown = unknown
        .iter()
        .map(|name| format!("The setting `{name}` of the backend `{url}` was left out: it is not known here."));
    let given = text(table, row, "load_factor")?;
    // The column has single precision, so its text is the number that was entered.
    let (load_factor, is_kept) = load_factor(given.parse().ok());
    let changed = (!is_kept).then(|| changed_factor(&url, &given, load_factor));
    let notes = unknown.chain(changed).collect();
    let entry = StateBackend {
        tags,
        load_factor,
        admin_state: admin_state(&text(table, row, "admin_state")?),
        agent_ref: reference(table, row, "agent_ref")?,
        id: Some(id),
        created_at: moment(table, row, "created_at")?,
        ..StateBackend::new(url, secret)
    };
    Ok(unkept(entry.problems()).map_or(Ok((entry, notes)), Err))
}

/// The tags of a backend, and the names of its other settings.
fn tags(stored: Option<Json<Value>>) -> Result<(Vec<String>, Vec<String>), String> {
    let mut stored = said(stored)?;
    let tags = stored.as_object_mut().and_then(|settings| settings.remove("tags"));
    let tags = tags.map(Vec::deserialize).transpose().map_err(|_| "`settings.tags` cannot be read".to_owned())?;
    Ok((tags.unwrap_or_default(), lost(&stored, &Value::Null)))
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
            state->>'IsBreakout' IS NOT DISTINCT FROM 'true' AS breakout,
            CASE jsonb_typeof(state->'Metadata') WHEN 'object' THEN state->'Metadata' END AS metadata
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
            callbacks: callbacks(column(TABLE, &row, "metadata")?),
        });
    }
    let breakouts = "without a frontend that comes over (breakouts are found again on their nodes)";
    imported.left_out(strangers, "meeting", breakouts);
    imported.left_out(homeless, "meeting", "without a backend that comes over");
    Ok(())
}

/// The metadata that holds addresses of the original.
fn callbacks(metadata: Option<Json<BTreeMap<String, Value>>>) -> BTreeMap<String, String> {
    let texts = metadata.into_iter().flat_map(|Json(metadata)| metadata);
    let texts = texts.filter_map(|(name, value)| Some((name, value.as_str()?.to_owned())));
    texts.filter(|(_, text)| text.contains(CALLBACK_PATH)).collect()
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

/// A time that has come. One of the future is that of a clock that was wrong.
fn moment(table: &str, row: &Row, name: &str) -> Result<Option<OffsetDateTime>, StoreError> {
    let moment = column::<Option<SystemTime>>(table, row, name)?;
    Ok(moment.filter(|moment| *moment <= SystemTime::now()).map(OffsetDateTime::from))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn settings_that_mean_nothing_here_are_named_and_do_not_hide_the_others() {
        let stored = json!({"required_tags": ["eu"], "join_default_params": null, "gone": null, "theirs": 1,
            "default_presentation": {"url": "https://slides.example/a.pdf", "forced": true}});
        let (read, unknown) = settings(Some(Json(stored))).unwrap();
        assert_eq!(read.required_tags, Some(["eu"].iter().collect()));
        assert_eq!(unknown, ["default_presentation.forced", "theirs"]);
        assert_eq!(settings(Some(Json(Value::Null))), Ok(Default::default()));
        assert_eq!(settings(None), Ok(Default::default()));
    }

    /// Without it the frontend would do more, or less, than its operator wants.
    #[test]
    fn a_setting_that_cannot_be_read_is_named_and_not_passed_over() {
        for (stored, named) in [
            (json!({"attendees_limit": -1}), "`settings.attendees_limit` cannot be read"),
            (json!({"attendees_limit": {"limit": "many"}}), "`settings.attendees_limit` cannot be read"),
            (json!({"required_tags": "eu"}), "`settings.required_tags` cannot be read"),
            (json!({"create_default_params": {"duration": 60}}), "`settings.create_default_params` cannot be read"),
            (json!({"recordings": {"visibility_override": "secret"}}), "`settings.recordings` cannot be read"),
            (json!(["eu"]), "`settings` should be an object"),
        ] {
            assert_eq!(settings(Some(Json(stored))), Err(named.to_owned()));
        }
    }

    #[test]
    fn tags_are_a_list_of_texts() {
        let read = |stored: Value| tags(Some(Json(stored)));
        assert_eq!(
            read(json!({"tags": ["eu"], "theirs": 1, "gone": null})),
            Ok((vec!["eu".to_owned()], vec!["theirs".to_owned()]))
        );
        assert_eq!(read(json!({"tags": null})), Ok(Default::default()));
        for wrong in [json!({"tags": "eu"}), json!({"tags": [1]})] {
            assert_eq!(read(wrong), Err("`settings.tags` cannot be read".to_owned()));
        }
    }
}
