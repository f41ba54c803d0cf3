//! The Redis of scalelite, where its servers, its tenants and the meetings that run are, and the PostgreSQL of its recordings.

mod recordings;
mod redis;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use b3scale_base::net::url::{base_url, without_user};
use b3scale_base::rest::{AdminState, FrontendSettings, ImportedMeeting, Params, StateBackend, StateFrontend};
use b3scale_middleware::bbb::MeetingId;
use uuid::Uuid;

use self::redis::{Hash, Redis};
use super::{ImportError, Imported, changed_factor, load_factor, unkept};

/// The prefix of scalelite's keys, unless its `REDIS_NAMESPACE` says otherwise.
pub const NAMESPACE: &str = "scalelite";
/// The parameter by which a meeting chooses among tagged servers.
const CHOICE: &str = "meta_server-tag";

/// The databases of scalelite.
#[derive(Clone)]
pub struct Source {
    /// `redis://…`, `rediss://…` or `unix://…`: its `REDIS_URL`.
    pub redis: String,
    /// The prefix of its keys: its `REDIS_NAMESPACE`.
    pub namespace: String,
    /// `postgres://…`, its `DATABASE_URL`, where its recordings are.
    pub postgres: Option<String>,
    /// The one frontend that it has without tenants.
    pub single: Option<SingleTenant>,
}

/// The frontend of a scalelite without tenants. Its secret is only in scalelite's environment.
#[derive(Clone)]
pub struct SingleTenant {
    /// The key that the frontend is to have.
    pub key: String,
    /// Its `LOADBALANCER_SECRET`; several are separated by colons.
    pub secrets: String,
}

/// Reads what scalelite knows.
///
/// # Errors
/// [`ImportError::Redis`] when Redis is out of reach, [`ImportError::Stranger`] when it is not scalelite's.
pub async fn read(source: &Source) -> Result<Imported, ImportError> {
    let redis = Redis::connect(&source.redis, &source.namespace).await?;
    let [servers, enabled, meetings, tenants] =
        redis.sets(["servers", "server_enabled", "meetings", "tenants"]).await?;
    if servers.is_empty() && tenants.is_empty() {
        let reason = format!(
            "it has no keys `{0}:servers` and `{0}:tenants`; its REDIS_NAMESPACE may be another",
            source.namespace
        );
        return Err(ImportError::stranger(redis.place(), "scalelite", reason));
    }
    let mut imported = Imported::new();
    let hosts = read_servers(&redis, &servers, &enabled, &mut imported).await?;
    let mut keys = read_tenants(&redis, &tenants, &mut imported).await?;
    if let Some(single) = &source.single {
        let frontend = sole(single, &mut imported)
            .map_err(|reason| ImportError::Single { key: single.key.escape_debug().to_string(), reason })?;
        imported.document.frontends.push(frontend);
        keys.insert(String::new(), single.key.clone());
    }
    keep_tagged_servers_apart(&mut imported);
    read_meetings(&redis, &meetings, &keys, &hosts, &mut imported).await?;
    note_what_is_elsewhere(&mut imported);
    if let Some(url) = &source.postgres {
        recordings::read(url, &keys, &mut imported).await?;
    }
    Ok(imported)
}

/// The hosts of the servers that come over, by their ids.
async fn read_servers(
    redis: &Redis,
    ids: &BTreeSet<String>,
    enabled: &BTreeSet<String>,
    imported: &mut Imported,
) -> Result<HashMap<String, String>, ImportError> {
    let mut hosts = HashMap::new();
    let servers = redis.hashes("server", ids, imported).await?;
    note_without_hash("server", ids, &servers, imported);
    for (id, server) in servers {
        let field = |name: &str| server.get(name).map_or("", |value| value.trim());
        let (given, secret) = (field("url"), field("secret"));
        let url = without_user(given);
        let Some(host) = base_url(given).filter(|_| !secret.is_empty()) else {
            imported
                .note(format!("The server `{id}` was left out: its URL `{url}` cannot be used, or it has no secret."));
            continue;
        };
        if imported.document.backends.iter().any(|there| there.host == host) {
            imported.note(format!("The server `{id}` was left out: another one has its URL `{url}`."));
            hosts.insert(id, host);
            continue;
        }
        let is_enabled = field("state") == "enabled" || (field("state").is_empty() && enabled.contains(&id));
        // As scalelite reads it: nothing and zero are one.
        let multiplier = field("load_multiplier").parse().ok().filter(|factor| *factor != 0.0);
        let (load_factor, is_kept) = load_factor(multiplier.or(Some(1.0)));
        let entry = StateBackend {
            tags: Some(field("tag").to_owned()).filter(|tag| !tag.is_empty()).into_iter().collect(),
            load_factor,
            admin_state: if is_enabled { AdminState::Ready } else { AdminState::Stopped },
            id: Uuid::parse_str(&id).ok(),
            ..StateBackend::new(host.clone(), secret.to_owned())
        };
        if let Some(why) = unkept(entry.problems()) {
            imported.note(format!("The server `{id}` was left out: {why}."));
            continue;
        }
        if !is_kept {
            imported.note(changed_factor(&url, field("load_multiplier"), load_factor));
        }
        imported.document.backends.push(entry);
        hosts.insert(id, host);
    }
    Ok(hosts)
}

/// Remarks on servers or tenants that scalelite lists without their data.
fn note_without_hash(kind: &str, ids: &BTreeSet<String>, found: &BTreeMap<String, Hash>, imported: &mut Imported) {
    for id in ids.iter().filter(|id| !found.contains_key(*id)) {
        imported.note(format!("The {kind} `{id}` was left out: its key `{kind}:{id}` is missing or cannot be read."));
    }
}

/// The keys of the frontends that come over, by the ids of the tenants.
async fn read_tenants(
    redis: &Redis,
    ids: &BTreeSet<String>,
    imported: &mut Imported,
) -> Result<HashMap<String, String>, ImportError> {
    let tenants = redis.hashes("tenant", ids, imported).await?;
    note_without_hash("tenant", ids, &tenants, imported);
    let name = |tenant: &Hash| tenant.get("name").cloned().unwrap_or_default();
    // Two tenants may have one name. The index names its owner.
    let owners = redis.hashes("tenant_name", &tenants.values().map(name).collect(), imported).await?;
    let mut settings = read_settings(redis, ids, imported).await?;
    let mut keys = HashMap::new();
    for (id, tenant) in &tenants {
        let key = name(tenant);
        let owner = owners.get(&key).and_then(|index| index.get("id"));
        if owner.is_some_and(|owner| owner != id && ids.contains(owner)) || keys.values().any(|taken| *taken == key) {
            imported.note(format!("The tenant `{id}` was left out: another one is known by its name `{key}`."));
            continue;
        }
        let secrets = tenant.get("secrets").map_or("", String::as_str);
        let settings = settings.remove(id).unwrap_or_default();
        let frontend = match frontend(&key, secrets, settings, Uuid::parse_str(id).ok(), imported) {
            Ok(frontend) => frontend,
            Err(why) => {
                imported.note(format!("The tenant `{}` was left out: {why}.", key.escape_debug()));
                continue;
            }
        };
        if ["lrs_endpoint", "kc_token_url"].iter().any(|name| tenant.get(*name).is_some_and(|value| !value.is_empty()))
        {
            imported.note(format!("The learning record store of the tenant `{key}` was left out."));
        }
        imported.document.frontends.push(frontend);
        keys.insert(id.clone(), key);
    }
    Ok(keys)
}

/// The frontend of a scalelite without tenants, or why there is none.
fn sole(single: &SingleTenant, imported: &mut Imported) -> Result<StateFrontend, String> {
    if imported.document.frontends.iter().any(|tenant| tenant.key == single.key) {
        return Err("scalelite has a tenant of that name; give another key".to_owned());
    }
    frontend(&single.key, &single.secrets, FrontendSettings::default(), None, imported)
}

/// A frontend by its name and its secrets, which are separated by colons, or why it cannot be kept.
fn frontend(
    key: &str,
    secrets: &str,
    settings: FrontendSettings,
    id: Option<Uuid>,
    imported: &mut Imported,
) -> Result<StateFrontend, String> {
    let mut secrets = secrets.split(':').map(str::trim).filter(|secret| !secret.is_empty()).map(str::to_owned);
    let (secret, next_secret) = (secrets.next(), secrets.next());
    let Some(secret) = secret.filter(|_| !key.is_empty()) else {
        return Err("it has no name or no secret".to_owned());
    };
    let more = secrets.count();
    if more > 0 {
        imported.note(format!("The tenant `{key}` has {} secrets: only the first two are valid here.", more + 2));
    }
    let entry = StateFrontend { next_secret, settings, id, ..StateFrontend::new(key.to_owned(), secret) };
    unkept(entry.problems(false)).map_or(Ok(entry), Err)
}

/// The settings of tenants by their ids.
async fn read_settings(
    redis: &Redis,
    tenants: &BTreeSet<String>,
    imported: &mut Imported,
) -> Result<HashMap<String, FrontendSettings>, ImportError> {
    let lists = redis.members(tenants.iter().map(|id| format!("tenant_settings:{id}")).collect()).await?;
    let rows = redis.hashes("tenant_setting", &lists.iter().flatten().cloned().collect(), imported).await?;
    let of_tenant = |ids: &BTreeSet<String>| settings(ids.iter().filter_map(|id| rows.get(id)));
    Ok(tenants.iter().cloned().zip(lists.iter().map(of_tenant)).collect())
}

/// Scalelite does not say of a parameter whether it is one of `create` or of `join`: it is one of both.
fn settings<'a>(rows: impl Iterator<Item = &'a Hash>) -> FrontendSettings {
    let (mut defaults, mut overrides) = (Params::new(), Params::new());
    for row in rows {
        let field = |name: &str| row.get(name).cloned().unwrap_or_default();
        let params = if field("override") == "true" { &mut overrides } else { &mut defaults };
        params.insert(field("param"), field("value"));
    }
    let of_join = |params: &Params| {
        let mut params = params.clone();
        params.remove(CHOICE);
        params
    };
    FrontendSettings {
        join_default_params: of_join(&defaults),
        join_override_params: of_join(&overrides),
        create_default_params: defaults,
        create_override_params: overrides,
        ..FrontendSettings::default()
    }
}

/// Scalelite keeps servers with a tag for the meetings that choose it. Here a backend with tags takes any meeting, unless the
/// meeting chooses one without.
fn keep_tagged_servers_apart(imported: &mut Imported) {
    let document = &mut imported.document;
    if document.frontends.is_empty() || document.backends.iter().all(|backend| backend.tags.is_empty()) {
        return;
    }
    for frontend in &mut document.frontends {
        frontend.settings.create_default_params.entry(CHOICE.to_owned()).or_insert_with(|| "none!".to_owned());
    }
    let note =
        "Some servers have a tag. So that meetings without one stay away from them, every frontend has the default";
    imported.note(format!("{note} `{CHOICE}=none!` of create."));
}

async fn read_meetings(
    redis: &Redis,
    ids: &BTreeSet<String>,
    keys: &HashMap<String, String>,
    hosts: &HashMap<String, String>,
    imported: &mut Imported,
) -> Result<(), ImportError> {
    let mut found = BTreeMap::new();
    let (mut strangers, mut homeless) = (0, 0);
    for (id, meeting) in redis.hashes("meeting", ids, imported).await? {
        // Nodes know a meeting by the tenant's own id, which BBB cleans.
        let id = MeetingId::new(&id).to_string();
        let frontend = keys.get(meeting.get("tenant_id").map_or("", String::as_str));
        let backend = meeting.get("server_id").and_then(|server| hosts.get(server));
        match (frontend, backend) {
            (Some(frontend), Some(backend)) if (1..=MeetingId::MAX_CHARS).contains(&id.chars().count()) => {
                found.insert(id, (frontend.clone(), backend.clone()));
            }
            (Some(_), _) => homeless += 1,
            (None, _) => strangers += 1,
        }
    }
    imported.document.meetings = found
        .into_iter()
        .map(|(id, (frontend, backend))| ImportedMeeting {
            meeting_id: id.clone(),
            id,
            frontend,
            backend,
            internal_id: None,
            create_time: None,
            breakout: false,
            callbacks: BTreeMap::new(),
        })
        .collect();
    imported.left_out(strangers, "meeting", "without a frontend that comes over");
    imported.left_out(homeless, "meeting", "without a server that comes over, or with an id that BBB refuses");
    Ok(())
}

fn note_what_is_elsewhere(imported: &mut Imported) {
    if imported.document.frontends.is_empty() {
        let advice = "give a key for it and the LOADBALANCER_SECRET of scalelite's environment";
        imported.note(format!("No frontend was made, since scalelite has no tenants: {advice}."));
    }
    let names = "DEFAULT_CREATE_PARAMS, OVERRIDE_CREATE_PARAMS, DEFAULT_JOIN_PARAMS, OVERRIDE_JOIN_PARAMS, MAX_MEETING_DURATION";
    imported.note(format!(
        "What scalelite has in its environment is not read: {names}. It goes into the frontends' settings."
    ));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(fields: &[(&str, &str)]) -> Hash {
        fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_setting_is_one_of_create_and_of_join() {
        let rows = [
            hash(&[("param", "logo"), ("value", "x"), ("override", "false")]),
            hash(&[("param", "record"), ("value", "false"), ("override", "true")]),
            hash(&[("param", CHOICE), ("value", "gpu!"), ("override", "true")]),
        ];
        let settings = settings(rows.iter());
        let params = |pairs: &[(&str, &str)]| hash(pairs).into_iter().collect::<Params>();
        assert_eq!(settings.create_default_params, params(&[("logo", "x")]));
        assert_eq!(settings.join_default_params, params(&[("logo", "x")]));
        assert_eq!(settings.create_override_params, params(&[("record", "false"), (CHOICE, "gpu!")]));
        assert_eq!(settings.join_override_params, params(&[("record", "false")]));
    }

    #[test]
    fn a_tenant_has_two_secrets_at_most() {
        let mut imported = Imported::new();
        let read =
            frontend("t", "one:two::three", FrontendSettings::default(), None, &mut imported).expect("it is made");
        assert_eq!((read.secret.as_str(), read.next_secret.as_deref()), ("one", Some("two")));
        assert_eq!(imported.notes, ["The tenant `t` has 3 secrets: only the first two are valid here."]);
        let none = frontend("t", ":", FrontendSettings::default(), None, &mut imported);
        assert_eq!(none, Err("it has no name or no secret".to_owned()));
    }

    #[test]
    fn a_tenant_whose_name_cannot_stand_in_a_url_is_left_out_by_name() {
        let mut imported = Imported::new();
        let why = frontend("a/b", "one", FrontendSettings::default(), None, &mut imported).unwrap_err();
        assert!(why.starts_with("`key` should"), "{why}");
    }
}
