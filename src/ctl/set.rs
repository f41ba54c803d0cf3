//! `set`: adds a backend or a frontend, or changes it.

use argh::{ArgsInfo, FromArgs};
use serde_json::{Value, json};

use super::context::Context;
use super::entry::{Change, Editor, dry_command};
use super::openapi::SettingsOf;
use super::{CtlError, Exit};

dry_command! {
    /// Add a backend or a frontend, or change it. Also: add, update.
    Set, "set"
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
    /// the secret of its checksums; a new backend needs it
    #[argh(option, short = 's')]
    secret: Option<String>,
    /// the only algorithm of its checksums: sha1, sha256, sha384 or sha512; empty: found out from its node
    #[argh(option, arg_name = "name")]
    checksum_algorithm: Option<String>,
    /// its settings as JSON, such as {"tags": ["a", "b"]}
    #[argh(option, short = 'j', arg_name = "json")]
    opts: Option<String>,
    /// how much a unit of load counts there: 2.0 for a node half as strong as the others
    #[argh(option, arg_name = "number")]
    load_factor: Option<f64>,
    /// its wanted state: ready, stopped, …
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
    /// the secret of its checksums; a new frontend needs it
    #[argh(option, short = 's')]
    secret: Option<String>,
    /// a second valid secret, while the frontend is moved; empty: removes it
    #[argh(option, arg_name = "secret")]
    next_secret: Option<String>,
    /// its settings as JSON, such as {"required_tags": ["a"]}
    #[argh(option, short = 'j', arg_name = "json")]
    opts: Option<String>,
    /// the customer it belongs to, in another system
    #[argh(option, arg_name = "ref")]
    account_ref: Option<String>,
    /// its purpose, in your words; empty: removes it
    #[argh(option, arg_name = "text")]
    description: Option<String>,
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
        let api = context.api_for_changes().await?;
        let there = api.find_backend(&host).await?;
        Editor { context, api: &api, dry }.put(&host, there, change).await
    }

    fn change(self) -> Result<Change, CtlError> {
        let mut change = Change::new();
        let mut keys = Change::new();
        insert(&mut keys, "secret", self.secret.map(Value::from));
        insert(&mut keys, "checksum_algorithm", self.checksum_algorithm.map(Value::from));
        insert(&mut change, "settings", settings(self.opts.as_deref(), SettingsOf::Backend)?);
        insert(&mut change, "bbb", (!keys.is_empty()).then_some(keys.into()));
        insert(&mut change, "load_factor", self.load_factor.map(load_factor).transpose()?);
        insert(&mut change, "admin_state", self.state.map(Value::from));
        Ok(change)
    }
}

/// What loads are multiplied by.
fn load_factor(factor: f64) -> Result<Value, CtlError> {
    if factor > 0.0 && factor.is_finite() {
        return Ok(factor.into());
    }
    Err(CtlError::Usage(format!("--load-factor {factor}: a number above 0 is wanted, such as 2.0")))
}

impl SetFrontend {
    async fn run(self, context: &Context, dry: bool) -> Result<Exit, CtlError> {
        let key = self.key.clone();
        let change = self.change()?;
        let api = context.api_for_changes().await?;
        context.console.progress(format_args!("getting frontend: {key}"))?;
        let there = api.find_frontend(&key).await?;
        Editor { context, api: &api, dry }.put(&key, there, change).await
    }

    fn change(self) -> Result<Change, CtlError> {
        let mut keys = Change::new();
        insert(&mut keys, "secret", self.secret.map(Value::from));
        let next = self.next_secret.map(|next| if next.is_empty() { Value::Null } else { next.into() });
        insert(&mut keys, "next_secret", next);
        let mut change = Change::new();
        insert(&mut change, "settings", settings(self.opts.as_deref(), SettingsOf::Frontend)?);
        insert(&mut change, "bbb", (!keys.is_empty()).then_some(keys.into()));
        insert(&mut change, "account_ref", self.account_ref.map(Value::from));
        insert(&mut change, "description", self.description.map(Value::from));
        Ok(change)
    }
}

fn insert(change: &mut Change, name: &str, value: Option<Value>) {
    change.extend(value.map(|value| (name.to_owned(), value)));
}

/// The settings of `--opts`: an object with known names only.
fn settings(opts: Option<&str>, whose: SettingsOf) -> Result<Option<Value>, CtlError> {
    let refused = |why: String| CtlError::Usage(format!("--opts is no JSON object: {why}"));
    let settings = match opts.map(serde_json::from_str) {
        None => return Ok(None),
        Some(Ok(object @ Value::Object(_))) => object,
        Some(Ok(other)) => return Err(refused(format!("it is `{other}`"))),
        Some(Err(error)) => return Err(refused(error.to_string())),
    };
    whose.check(&settings).map_err(|error| CtlError::Usage(format!("--opts: {error}")))?;
    Ok(Some(settings))
}

impl SetVisibility {
    async fn run(self, context: &Context, dry: bool) -> Result<Exit, CtlError> {
        let Self { id, visibility } = self;
        let (api, console) = (context.api_for_changes().await?, &context.console);
        console.progress(format_args!("Update recording: {id} Visiblity: {visibility}"))?;
        if dry {
            return console.skipping("update recording");
        }
        let changed = api.change_visibility(&json!({ "record_id": id, "visibility": visibility })).await?;
        console.report("Ok.", &changed)
    }
}
