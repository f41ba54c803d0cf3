//! Commands on backends and frontends alike.

use b3scale_base::client::{Api, ApiError};
use b3scale_base::rest::{Backend, Frontend, StateBackend, StateFrontend};
use serde::Serialize;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::CtlError;
use super::console::Exit;
use super::context::Context;
use super::layout::veil;

/// A command with its object as a subcommand. With `--dry` it only prints the change.
macro_rules! dry_command {
    ($(#[$documentation:meta])* $name:ident, $word:literal) => {
        $(#[$documentation])*
        #[derive(FromArgs, ArgsInfo, Debug)]
        #[argh(subcommand, name = $word)]
        pub(super) struct $name {
            /// only say what would be done
            #[argh(switch)]
            dry: bool,
            #[argh(subcommand)]
            what: What,
        }
    };
}

pub(super) use dry_command;

/// The change of an entry, as the API takes it.
pub(super) type Change = Map<String, Value>;

/// A backend or a frontend.
pub(super) trait Entry: Serialize + Sized {
    /// The word for it.
    const WHAT: &'static str;
    /// The API's field of its name.
    const NAME: &'static str;
    /// The original's line before one is added, if any.
    const ADDING: &'static str;

    /// Its identity.
    fn id(&self) -> Uuid;
    /// What people know it by.
    fn name(&self) -> &str;
    /// The same to be shown.
    fn shown(self, secrets: bool) -> Self;
    /// Whether nothing that can be set is different.
    fn is_set_as(&self, other: &Self) -> bool;
    /// Has one added.
    async fn add(api: &Api, entry: &Value) -> Result<Self, ApiError>;
    /// Has this one changed.
    async fn change(&self, api: &Api, change: &Value) -> Result<Self, ApiError>;
}

impl Entry for Backend {
    const WHAT: &'static str = "backend";
    const NAME: &'static str = "host";
    const ADDING: &'static str = "";

    fn id(&self) -> Uuid {
        self.id
    }

    fn name(&self) -> &str {
        &self.bbb.host
    }

    fn shown(mut self, secrets: bool) -> Self {
        veil(&mut self.bbb.secret, secrets);
        self
    }

    fn is_set_as(&self, other: &Self) -> bool {
        StateBackend::from(self.clone()) == StateBackend::from(other.clone())
    }

    async fn add(api: &Api, entry: &Value) -> Result<Self, ApiError> {
        api.add_backend(entry).await
    }

    async fn change(&self, api: &Api, change: &Value) -> Result<Self, ApiError> {
        api.change_backend(self.id, change).await
    }
}

impl Entry for Frontend {
    const WHAT: &'static str = "frontend";
    const NAME: &'static str = "key";
    const ADDING: &'static str = "creating frontend";

    fn id(&self) -> Uuid {
        self.id
    }

    fn name(&self) -> &str {
        &self.bbb.key
    }

    fn shown(mut self, secrets: bool) -> Self {
        veil(&mut self.bbb.secret, secrets);
        self.bbb.next_secret.iter_mut().for_each(|secret| veil(secret, secrets));
        self
    }

    fn is_set_as(&self, other: &Self) -> bool {
        StateFrontend::from(self.clone()) == StateFrontend::from(other.clone())
    }

    async fn add(api: &Api, entry: &Value) -> Result<Self, ApiError> {
        api.add_frontend(entry).await
    }

    async fn change(&self, api: &Api, change: &Value) -> Result<Self, ApiError> {
        api.change_frontend(self.id, change).await
    }
}

/// Changes of entries, or with `dry` only their announcement.
#[derive(Clone, Copy)]
pub(super) struct Editor<'c> {
    pub(super) context: &'c Context,
    pub(super) api: &'c Api,
    pub(super) dry: bool,
}

impl Editor<'_> {
    /// Adds an entry, or changes the existing one.
    pub(super) async fn put<T: Entry>(self, name: &str, there: Option<T>, change: Change) -> Result<Exit, CtlError> {
        match there {
            None => self.add::<T>(name, change).await,
            Some(there) => self.update(there, change).await,
        }
    }

    async fn add<T: Entry>(self, name: &str, mut change: Change) -> Result<Exit, CtlError> {
        let (what, console) = (T::WHAT, &self.context.console);
        let keys = change.get_mut("bbb").and_then(Value::as_object_mut).filter(|keys| keys.contains_key("secret"));
        let Some(keys) = keys else {
            return Err(CtlError::Usage(format!("the {what} {name} is new: it needs --secret")));
        };
        keys.insert(T::NAME.to_owned(), name.into());
        if self.dry {
            return console.skipping(format_args!("create {what} {name}"));
        }
        console.progress(T::ADDING)?;
        let added = T::add(self.api, &change.into()).await?.shown(false);
        console.report(format_args!("created {what}: {} {}", added.id(), added.name()), &added)
    }

    async fn update<T: Entry>(self, before: T, change: Change) -> Result<Exit, CtlError> {
        let (what, console) = (T::WHAT, &self.context.console);
        if change.is_empty() {
            return console.unchanged(&before.shown(false));
        }
        if self.dry {
            return console.skipping(format_args!("update {what} {}", before.name()));
        }
        let after = before.change(self.api, &change.into()).await?;
        if after.is_set_as(&before) {
            return console.unchanged(&after.shown(false));
        }
        console.report(format_args!("updated {what}"), &after.shown(false))
    }
}
