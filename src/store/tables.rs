//! The tables that have a type of their own, and their unique fields.

use super::backends::Backends;
use super::callbacks::Callbacks;
use super::commands::Commands;
use super::deliveries::Deliveries;
use super::frontends::Frontends;
use super::holdings::Holdings;
use super::hook_events::HookEvents;
use super::hooks::Hooks;
use super::imports::Imports;
use super::jobs::Jobs;
use super::meetings::Meetings;
use super::migrations::Schema;
use super::pool::Store;
use super::recordings::Recordings;

impl Store {
    /// The table of backends.
    pub fn backends(&self) -> Backends<'_> {
        Backends(self)
    }

    /// The callbacks that frontends have registered.
    pub fn callbacks(&self) -> Callbacks<'_> {
        Callbacks(self)
    }

    /// The table of commands.
    pub fn commands(&self) -> Commands<'_> {
        Commands(self)
    }

    /// The deliveries to the callbacks of frontends.
    pub fn deliveries(&self) -> Deliveries<'_> {
        Deliveries(self)
    }

    /// The table of frontends.
    pub fn frontends(&self) -> Frontends<'_> {
        Frontends(self)
    }

    /// The files of recordings, as the tables have them.
    pub fn holdings(&self) -> Holdings<'_> {
        Holdings(self)
    }

    /// The events of frontends, for the posts of hooks.
    pub fn hook_events(&self) -> HookEvents<'_> {
        HookEvents(self)
    }

    /// The hooks of frontends.
    pub fn hooks(&self) -> Hooks<'_> {
        Hooks(self)
    }

    /// The table of imports of recordings.
    pub fn imports(&self) -> Imports<'_> {
        Imports(self)
    }

    /// The table of jobs, for operators.
    pub fn jobs(&self) -> Jobs<'_> {
        Jobs(self)
    }

    /// The table of meetings, for the REST API.
    pub fn meetings(&self) -> Meetings<'_> {
        Meetings(self)
    }

    /// The tables of recordings.
    pub fn recordings(&self) -> Recordings<'_> {
        Recordings(self)
    }

    /// The schema of the database.
    pub fn schema(&self) -> Schema<'_> {
        Schema(self)
    }
}

/// The unique field that is in use already, by the name of its constraint.
pub(crate) fn taken(rule: &str) -> &'static str {
    match rule {
        "frontends_key_key" => "a frontend with this key exists already",
        "backends_url_key" => "a backend with this host exists already",
        "backends_agent_ref_key" => "another backend has this agent_ref",
        _ => "this exists already",
    }
}
