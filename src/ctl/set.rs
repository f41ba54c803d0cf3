//! `set`: adds a backend or a frontend, or changes it.

use argh::{ArgsInfo, FromArgs};
use serde_json::{Map, Value, json};

use super::context::Context;
use super::layout::{shown_backend, shown_frontend};
use super::{CtlError, Exit};
use crate::client::Api;
use crate::rest::{Backend, Frontend};

/// Add a backend or a frontend, or change it. Also: add, update.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "set")]
pub(super) struct Set {
    /// only say what would be done
    #[argh(switch)]
    dry: bool,
    #[argh(subcommand)]
    what: What,
}

#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand)]
enum What {
    Backend(SetBackend),
    Frontend(SetFrontend),
    RecordingVisibility(SetVisibility),
}

/// Add a backend, or change it.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "backend")]
struct SetBackend {
    /// what its checksums are made with; a new backend needs it
    #[argh(option, short = 's')]
    secret: Option<String>,
    /// its settings as JSON, such as {"tags": ["a", "b"]}
    #[argh(option, short = 'j', arg_name = "json")]
    opts: Option<String>,
    /// how much a unit of load counts there: 2.0 for a node half as strong as the others
    #[argh(option, arg_name = "number")]
    load_factor: Option<f64>,
    /// what is wanted of it: ready, stopped, …
    #[argh(option)]
    state: Option<String>,
    /// the base URL of its API; a slash at its end is added
    #[argh(positional)]
    host: String,
}

/// Add a frontend, or change it.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "frontend")]
struct SetFrontend {
    /// what its checksums are made with; a new frontend needs it
    #[argh(option, short = 's')]
    secret: Option<String>,
    /// a second secret that is valid beside it, while the frontend is moved; an empty one is removed
    #[argh(option, arg_name = "secret")]
    next_secret: Option<String>,
    /// its settings as JSON, such as {"required_tags": ["a"]}
    #[argh(option, short = 'j', arg_name = "json")]
    opts: Option<String>,
    /// the customer it belongs to, in another system
    #[argh(option, arg_name = "ref")]
    account_ref: Option<String>,
    /// its key
    #[argh(positional)]
    key: String,
}

/// Say who may see a recording: unpublished, published, protected, public, or public_protected.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "recording-visibility")]
struct SetVisibility {
    /// its record id
    #[argh(positional)]
    id: String,
    /// who may see it
    #[argh(positional)]
    visibility: String,
}

impl Set {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, CtlError> {
        match self.what {
            What::Backend(command) => command.run(context, self.dry).await,
            What::Frontend(command) => command.run(context, self.dry).await,
            What::RecordingVisibility(command) => command.run(context, self.dry).await,
        }
    }
}

impl SetBackend {
    async fn run(self, context: &Context, dry: bool) -> Result<Exit, CtlError> {
        let host = if self.host.ends_with('/') { self.host.clone() } else { format!("{}/", self.host) };
        if !host.starts_with("http") {
            return Err(CtlError::Usage(format!("`{host}` is no backend: http://… or https://… is wanted")));
        }
        let change = self.change()?;
        let api = context.api().await?;
        match api.find_backend(&host).await? {
            None => self.add(context, &api, &host, change, dry).await,
            Some(backend) => update_backend(context, &api, &backend, change, dry).await,
        }
    }

    fn change(&self) -> Result<Map<String, Value>, CtlError> {
        let mut change = Map::new();
        insert(&mut change, "settings", settings(self.opts.as_deref())?);
        insert(&mut change, "bbb", self.secret.as_ref().map(|secret| json!({ "secret": secret })));
        insert(&mut change, "load_factor", self.load_factor.map(Value::from));
        insert(&mut change, "admin_state", self.state.clone().map(Value::from));
        Ok(change)
    }

    async fn add(
        &self,
        context: &Context,
        api: &Api,
        host: &str,
        mut change: Map<String, Value>,
        dry: bool,
    ) -> Result<Exit, CtlError> {
        let Some(secret) = &self.secret else {
            return Err(CtlError::Usage(format!("the backend {host} is new: it needs --secret")));
        };
        insert(&mut change, "bbb", Some(json!({ "host": host, "secret": secret })));
        if dry {
            context.console.line(format!("skipping: create backend {host}"))?;
            return Ok(Exit::Done);
        }
        let backend = api.add_backend(&change.into()).await?;
        context.console.line(format!("created backend: {} {}", backend.id, backend.bbb.host))?;
        context.console.object(&shown_backend(backend, false))?;
        Ok(Exit::Done)
    }
}

async fn update_backend(
    context: &Context,
    api: &Api,
    before: &Backend,
    change: Map<String, Value>,
    dry: bool,
) -> Result<Exit, CtlError> {
    if change.is_empty() {
        return unchanged(context);
    }
    if dry {
        context.console.line(format!("skipping: update backend {}", before.bbb.host))?;
        return Ok(Exit::Done);
    }
    let after = api.change_backend(before.id, &change.into()).await?;
    let set = |backend: &Backend| {
        (backend.bbb.clone(), backend.settings.clone(), backend.load_factor.to_bits(), backend.admin_state)
    };
    if set(before) == set(&after) {
        return unchanged(context);
    }
    context.console.line("updated backend")?;
    context.console.object(&shown_backend(after, false))?;
    Ok(Exit::Done)
}

/// Says that nothing changes.
pub(super) fn unchanged(context: &Context) -> Result<Exit, CtlError> {
    context.console.line("no changes")?;
    Ok(Exit::Unchanged)
}

impl SetFrontend {
    async fn run(self, context: &Context, dry: bool) -> Result<Exit, CtlError> {
        let change = self.change()?;
        let api = context.api().await?;
        context.console.line(format!("getting frontend: {}", self.key))?;
        match api.find_frontend(&self.key).await? {
            None => self.add(context, &api, change, dry).await,
            Some(frontend) => update_frontend(context, &api, &frontend, change, dry).await,
        }
    }

    fn change(&self) -> Result<Map<String, Value>, CtlError> {
        let mut keys = Map::new();
        insert(&mut keys, "secret", self.secret.clone().map(Value::from));
        let next = self.next_secret.clone().map(|next| if next.is_empty() { Value::Null } else { next.into() });
        insert(&mut keys, "next_secret", next);
        let mut change = Map::new();
        insert(&mut change, "settings", settings(self.opts.as_deref())?);
        insert(&mut change, "bbb", (!keys.is_empty()).then_some(keys.into()));
        insert(&mut change, "account_ref", self.account_ref.clone().map(Value::from));
        Ok(change)
    }

    async fn add(
        &self,
        context: &Context,
        api: &Api,
        mut change: Map<String, Value>,
        dry: bool,
    ) -> Result<Exit, CtlError> {
        let Some(Value::Object(keys)) = change.get_mut("bbb").filter(|_| self.secret.is_some()) else {
            return Err(CtlError::Usage(format!("the frontend {} is new: it needs --secret", self.key)));
        };
        keys.insert("key".to_owned(), self.key.clone().into());
        if dry {
            context.console.line(format!("skipping: create frontend {}", self.key))?;
            return Ok(Exit::Done);
        }
        context.console.line("creating frontend")?;
        let frontend = api.add_frontend(&change.into()).await?;
        context.console.line(format!("created frontend: {} {}", frontend.id, frontend.bbb.key))?;
        context.console.object(&shown_frontend(frontend, false))?;
        Ok(Exit::Done)
    }
}

async fn update_frontend(
    context: &Context,
    api: &Api,
    before: &Frontend,
    change: Map<String, Value>,
    dry: bool,
) -> Result<Exit, CtlError> {
    if change.is_empty() {
        return unchanged(context);
    }
    if dry {
        context.console.line(format!("skipping: update frontend {}", before.bbb.key))?;
        return Ok(Exit::Done);
    }
    let after = api.change_frontend(before.id, &change.into()).await?;
    let set = |frontend: &Frontend| (frontend.bbb.clone(), frontend.settings.clone(), frontend.account_ref.clone());
    if set(before) == set(&after) {
        return unchanged(context);
    }
    context.console.line("updated frontend")?;
    context.console.object(&shown_frontend(after, false))?;
    Ok(Exit::Done)
}

fn insert(map: &mut Map<String, Value>, name: &str, value: Option<Value>) {
    map.extend(value.map(|value| (name.to_owned(), value)));
}

/// The settings of `--opts`: an object.
fn settings(opts: Option<&str>) -> Result<Option<Value>, CtlError> {
    let refused = |why: String| CtlError::Usage(format!("--opts is no JSON object: {why}"));
    match opts.map(serde_json::from_str) {
        None => Ok(None),
        Some(Ok(object @ Value::Object(_))) => Ok(Some(object)),
        Some(Ok(other)) => Err(refused(format!("it is `{other}`"))),
        Some(Err(error)) => Err(refused(error.to_string())),
    }
}

impl SetVisibility {
    async fn run(self, context: &Context, dry: bool) -> Result<Exit, CtlError> {
        let Self { id, visibility } = self;
        let api = context.api().await?;
        context.console.line(format!("Update recording: {id} Visiblity: {visibility}"))?;
        if dry {
            context.console.line("skipping: update recording")?;
            return Ok(Exit::Done);
        }
        let recording = api.change_visibility(&json!({ "record_id": id, "visibility": visibility })).await?;
        context.console.line("Ok.")?;
        context.console.object(&recording)?;
        Ok(Exit::Done)
    }
}
