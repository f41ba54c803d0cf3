//! The requests to a server, by name.

use serde_json::Value;
use uuid::Uuid;

use super::{Api, ApiError, Lines, segment};
use crate::rest::{
    Backend, Batch, ClusterReport, Command, Delivery, Explanation, FormatFiles, Frontend, Hook, Job, Meeting,
    NewCommand, PipelineReport, Receipt, RecordingMove, Retention, RetentionStep, SchemaStatus, StageKind,
    StateChanges, StateDocument, Status,
};

/// The owner of the meetings to list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MeetingsOf<'a> {
    /// Those of a backend, by its host.
    Backend(&'a str),
    /// Those of a frontend, by its key.
    Frontend(&'a str),
    /// All of them.
    Everybody,
}

/// The owner of the recordings to list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordingsOf<'a> {
    /// Those of a frontend, by its identity.
    Id(&'a str),
    /// Those of a frontend, by its key.
    Key(&'a str),
    /// Those without a frontend.
    Unassigned,
    /// All of them.
    Everybody,
}

/// How a configuration is put back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PutState<'a> {
    /// Only report the changes.
    pub dry_run: bool,
    /// Remove records that it does not name.
    pub delete: bool,
    /// Leave records alone that the source system cannot know.
    pub moving: bool,
    /// Refuse if the cluster's fingerprint has changed since.
    pub fingerprint: Option<&'a str>,
}

/// The errors of all these are those of [`Api::get`].
impl Api {
    /// The server, and its reading of the token.
    pub async fn status(&self) -> Result<Status, ApiError> {
        self.get("", &[]).await
    }

    /// All backends.
    pub async fn backends(&self) -> Result<Vec<Backend>, ApiError> {
        self.get("backends", &[]).await
    }

    /// The backend of that very host.
    pub async fn find_backend(&self, host: &str) -> Result<Option<Backend>, ApiError> {
        let found: Vec<Backend> = self.get("backends", &[("host", host)]).await?;
        Ok(found.into_iter().find(|backend| backend.bbb.host == host))
    }

    /// Adds a backend.
    pub async fn add_backend(&self, backend: &Value) -> Result<Backend, ApiError> {
        self.post("backends", &[], backend).await
    }

    /// Changes a backend.
    pub async fn change_backend(&self, id: Uuid, change: &Value) -> Result<Backend, ApiError> {
        self.patch(&format!("backends/{id}"), change).await
    }

    /// Removes a backend at once, even with meetings on it.
    pub async fn destroy_backend(&self, id: Uuid) -> Result<Backend, ApiError> {
        self.delete(&format!("backends/{id}"), &[("force", "true")]).await
    }

    /// The backend of this token's agent.
    pub async fn own_backend(&self) -> Result<Backend, ApiError> {
        self.get("agent/backend", &[]).await
    }

    /// Sends events of that agent's node.
    pub async fn ingest(&self, batch: &Batch) -> Result<Receipt, ApiError> {
        self.post("agent/ingest", &[], batch).await
    }

    /// All frontends.
    pub async fn frontends(&self) -> Result<Vec<Frontend>, ApiError> {
        self.get("frontends", &[]).await
    }

    /// The frontend of that very key.
    pub async fn find_frontend(&self, key: &str) -> Result<Option<Frontend>, ApiError> {
        let found: Vec<Frontend> = self.get("frontends", &[("key", key)]).await?;
        Ok(found.into_iter().find(|frontend| frontend.bbb.key == key))
    }

    /// Adds a frontend.
    pub async fn add_frontend(&self, frontend: &Value) -> Result<Frontend, ApiError> {
        self.post("frontends", &[], frontend).await
    }

    /// Changes a frontend.
    pub async fn change_frontend(&self, id: Uuid, change: &Value) -> Result<Frontend, ApiError> {
        self.patch(&format!("frontends/{id}"), change).await
    }

    /// Removes a frontend.
    pub async fn delete_frontend(&self, id: Uuid) -> Result<Frontend, ApiError> {
        self.delete(&format!("frontends/{id}"), &[]).await
    }

    /// Meetings.
    pub async fn meetings(&self, whose: MeetingsOf<'_>) -> Result<Vec<Meeting>, ApiError> {
        let filter = match whose {
            MeetingsOf::Backend(host) => ("backend_host", host),
            MeetingsOf::Frontend(key) => ("frontend_key", key),
            MeetingsOf::Everybody => ("all", "true"),
        };
        self.get("meetings", &[filter]).await
    }

    /// A meeting by the id that its node knows it by, or by `internal:` and the node's own id of it.
    pub async fn meeting(&self, id: &str) -> Result<Meeting, ApiError> {
        self.get(&format!("meetings/{}", segment(id)), &[]).await
    }

    /// Queues a command for any server.
    pub async fn dispatch(&self, command: &NewCommand) -> Result<Command, ApiError> {
        self.post("commands", &[], command).await
    }

    /// How far a command has come.
    pub async fn command(&self, id: Uuid) -> Result<Command, ApiError> {
        self.get(&format!("commands/{id}"), &[]).await
    }

    /// A job. One that is done is not found.
    pub async fn job(&self, id: Uuid) -> Result<Job, ApiError> {
        self.get(&format!("jobs/{id}"), &[]).await
    }

    /// The oldest jobs.
    pub async fn jobs(&self) -> Result<Vec<Job>, ApiError> {
        self.get("jobs", &[]).await
    }

    /// Messages to callbacks of frontends, 1000 at most. The filter has the names of the query: `state`, `frontend`, `meeting`.
    pub async fn deliveries(&self, filter: &[(&str, &str)]) -> Result<Vec<Delivery>, ApiError> {
        self.get("deliveries", filter).await
    }

    /// Sends a message to a callback at once.
    pub async fn retry_delivery(&self, id: &str) -> Result<Delivery, ApiError> {
        self.trigger(&format!("deliveries/{}/retry", segment(id))).await
    }

    /// Drops a message to a callback that waits.
    pub async fn drop_delivery(&self, id: &str) -> Result<Delivery, ApiError> {
        self.delete(&format!("deliveries/{}", segment(id)), &[]).await
    }

    /// Webhooks of frontends, 1000 at most. The filter has the names of the query: `frontend`, `meeting`.
    pub async fn hooks(&self, filter: &[(&str, &str)]) -> Result<Vec<Hook>, ApiError> {
        self.get("hooks", filter).await
    }

    /// Begins a webhook again at the event that failed.
    pub async fn resume_hook(&self, id: &str) -> Result<Hook, ApiError> {
        self.trigger(&format!("hooks/{}/resume", segment(id))).await
    }

    /// Removes a webhook.
    pub async fn delete_hook(&self, id: &str) -> Result<Hook, ApiError> {
        self.delete(&format!("hooks/{}", segment(id)), &[]).await
    }

    /// Recordings, 1000 at most: the newest, or those that follow a record id. `deleted`: those in the trash, too.
    pub async fn recordings(
        &self,
        whose: RecordingsOf<'_>,
        deleted: bool,
        after: Option<&str>,
    ) -> Result<Vec<Value>, ApiError> {
        let filter = match whose {
            RecordingsOf::Id(id) => Some(("frontend_id", id)),
            RecordingsOf::Key(key) => Some(("frontend_key", key)),
            RecordingsOf::Unassigned => Some(("unassigned", "true")),
            RecordingsOf::Everybody => None,
        };
        let query = [filter, deleted.then_some(("deleted", "true")), after.map(|id| ("after", id))];
        self.get("recordings", &query.into_iter().flatten().collect::<Vec<_>>()).await
    }

    /// A recording.
    pub async fn recording(&self, id: &str) -> Result<Value, ApiError> {
        self.get(&format!("recordings/{}", segment(id)), &[]).await
    }

    /// Moves a recording to the trash.
    pub async fn delete_recording(&self, id: &str) -> Result<Value, ApiError> {
        self.delete(&format!("recordings/{}", segment(id)), &[]).await
    }

    /// Gives a recording to a frontend.
    pub async fn assign_recording(&self, id: &str, assignment: &Value) -> Result<Value, ApiError> {
        self.post(&format!("recordings/{}/assign", segment(id)), &[], assignment).await
    }

    /// Announces a recording to its frontend again.
    pub async fn announce_recording(&self, id: &str) -> Result<Value, ApiError> {
        self.trigger(&format!("recordings/{}/ready", segment(id))).await
    }

    /// Files of recordings, about 1000 of whole ones: those of a frontend or on a shelf, whose record ids follow one.
    pub async fn recording_files(
        &self,
        frontend: Option<&str>,
        shelf: Option<&str>,
        after: &str,
    ) -> Result<Vec<FormatFiles>, ApiError> {
        let query =
            [frontend.map(|key| ("frontend_key", key)), shelf.map(|name| ("shelf", name)), Some(("after", after))];
        self.get("recordings-files", &query.into_iter().flatten().collect::<Vec<_>>()).await
    }

    /// Queues the move of a recording to a shelf.
    pub async fn move_recording(&self, id: &str, to: &str) -> Result<Job, ApiError> {
        let body = RecordingMove { to: to.to_owned() };
        self.post(&format!("recordings/{}/move", segment(id)), &[], &body).await
    }

    /// Compares files of recordings with the database. With `fix`: repairs, too.
    pub async fn verify_recordings(&self, fix: bool) -> Result<Lines, ApiError> {
        let query: &[_] = if fix { &[("fix", "true")] } else { &[] };
        self.post_for_lines("recordings-verify", query).await
    }

    /// The recordings that retention takes.
    pub async fn overdue_recordings(&self) -> Result<Retention, ApiError> {
        self.get("recordings-retention", &[]).await
    }

    /// Lets retention take some of them now.
    pub async fn retain_recordings(&self) -> Result<RetentionStep, ApiError> {
        self.trigger("recordings-retention").await
    }

    /// Says who may see a recording.
    pub async fn change_visibility(&self, change: &Value) -> Result<Value, ApiError> {
        self.post("recordings-visibility", &[], change).await
    }

    /// Applies the migrations that the database lacks.
    pub async fn migrate(&self) -> Result<SchemaStatus, ApiError> {
        self.trigger("ctrl/migrate").await
    }

    /// The whole cluster at a glance.
    pub async fn cluster(&self) -> Result<ClusterReport, ApiError> {
        self.get("cluster", &[]).await
    }

    /// Why a meeting of a frontend would be placed where it would. `params` are those of its create.
    pub async fn explain_create(&self, frontend: &str, params: &[(&str, &str)]) -> Result<Explanation, ApiError> {
        self.get("explain/create", &[&[("frontend", frontend)], params].concat()).await
    }

    /// The pipeline that the server runs.
    pub async fn pipeline(&self) -> Result<PipelineReport, ApiError> {
        self.get("pipeline", &[]).await
    }

    /// Every kind of stage that the server knows.
    pub async fn pipeline_catalog(&self) -> Result<Vec<StageKind>, ApiError> {
        self.get("pipeline/catalog", &[]).await
    }

    /// Has every server reload its pipeline. Returns the pipeline of the server that was asked.
    pub async fn reload_pipeline(&self) -> Result<PipelineReport, ApiError> {
        self.trigger("pipeline/reload").await
    }

    /// The cluster's configuration, secrets included.
    pub async fn state(&self) -> Result<StateDocument, ApiError> {
        self.get("state", &[]).await
    }

    /// Puts a configuration back, or reports the changes.
    pub async fn put_state(&self, state: &StateDocument, how: PutState<'_>) -> Result<StateChanges, ApiError> {
        let switches = [("dry_run", how.dry_run), ("delete", how.delete), ("moving", how.moving)];
        let switches = switches.into_iter().filter_map(|(name, wanted)| wanted.then_some((name, "true")));
        let fingerprint = how.fingerprint.map(|fingerprint| ("fingerprint", fingerprint));
        self.post("state", &switches.chain(fingerprint).collect::<Vec<_>>(), state).await
    }
}
