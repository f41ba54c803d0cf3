//! Carrying out commands. Each is a job.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use b3scale_middleware::bbb::{CallKind, ScopedId, cut, cut_at};
use b3scale_middleware::cluster::{AdminState, Backend, BackendId, Meeting, MeetingState};
use futures_util::{StreamExt, stream};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::timeout;
use uuid::Uuid;

use super::endings::Endings;
use super::finder::Finder;
use super::listing::Asker;
use super::poll::Poller;
use super::replica::Replica;
use super::{Parts, Stray};
use crate::ledger::COMMAND_JOB;
use crate::ledger::{Command, CommandState};
use crate::telemetry::catalog::COMMANDS;
use crate::work::{Attempt, Job, JobError, Terms};

/// How long a command may take. Then it has failed.
const WORK_LIMIT: Duration = Duration::from_secs(45);

/// The most characters of an error that is logged.
const LONGEST_ERROR: usize = 1000;

/// Meetings that are ended at once.
const ENDS_AT_ONCE: usize = 16;

/// The outcome of a command: its result, or its error.
type Outcome = Result<Value, String>;

/// A node's answer to the end of a meeting.
enum End {
    Accepted,
    NotFound,
}

/// The actions of the original, and `end_meeting`.
#[derive(Clone, Copy)]
enum Action {
    EndAllMeetings,
    EndMeeting,
    UpdateNodeState,
    DecommissionBackend,
    UpdateMeetingState,
    CollectGarbage,
}

impl Action {
    const ALL: [Self; 6] = [
        Self::EndAllMeetings,
        Self::EndMeeting,
        Self::UpdateNodeState,
        Self::DecommissionBackend,
        Self::UpdateMeetingState,
        Self::CollectGarbage,
    ];

    fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.name() == word)
    }

    /// Its word in the table of commands.
    fn name(self) -> &'static str {
        match self {
            Action::EndAllMeetings => "end_all_meetings",
            Action::EndMeeting => "end_meeting",
            Action::UpdateNodeState => "update_node_state",
            Action::DecommissionBackend => "decommission_backend",
            Action::UpdateMeetingState => "update_meeting_state",
            Action::CollectGarbage => "collect_garbage",
        }
    }
}

/// Carries out commands.
pub(super) struct Commands {
    replica: Arc<Replica>,
    asker: Asker,
    finder: Arc<Finder>,
    endings: Arc<Endings>,
    poller: Poller,
}

/// Which command a job carries out.
#[derive(Serialize, Deserialize)]
pub(super) struct CommandJob {
    id: Uuid,
}

impl Job for Commands {
    const KIND: &'static str = COMMAND_JOB;
    /// A command that fails is not tried again. Its job is, where the database does not answer: until the command's deadline,
    /// two minutes after the request.
    const TERMS: Terms = Terms {
        at_once: 1,
        lease: Duration::from_secs(60),
        limit: Duration::from_secs(60),
        attempts: 30,
        pause: Duration::from_secs(5),
        longest_pause: Duration::from_secs(5),
    };
    type Payload = CommandJob;

    async fn run(&self, CommandJob { id }: CommandJob, _: Attempt) -> Result<(), JobError> {
        let store = &self.replica.store;
        let begun = self.replica.observe(store.begin_command(id).await)?;
        let Some(command) = begun.filter(|command| command.state == CommandState::Running) else { return Ok(()) };
        let outcome = timeout(WORK_LIMIT, self.carry_out(&command)).await;
        let outcome = outcome.unwrap_or_else(|_| Err("timedout".to_owned()));
        let action = Action::of(&command.action).map_or("(unknown)", Action::name);
        COMMANDS.with([action, if outcome.is_ok() { "success" } else { "error" }]).increment(1);
        match &outcome {
            Ok(_) => tracing::info!(command.id = %id, action, "Command carried out"),
            Err(error) => {
                tracing::warn!(command.id = %id, action, error = &*cut_at(error, LONGEST_ERROR), "Command failed");
            }
        }
        self.replica.observe(store.finish_command(&command, outcome).await)?;
        Ok(())
    }
}

impl Commands {
    pub(super) fn of(parts: &Parts) -> Self {
        for action in Action::ALL {
            ["success", "error"].into_iter().for_each(|outcome| COMMANDS.with([action.name(), outcome]).increment(0));
        }
        Self {
            replica: Arc::clone(&parts.replica),
            asker: parts.asker.clone(),
            finder: Arc::clone(&parts.finder),
            endings: Arc::clone(&parts.endings),
            poller: parts.poller.clone(),
        }
    }

    async fn carry_out(&self, command: &Command) -> Outcome {
        let param = |name| param(command, name);
        let action =
            Action::of(&command.action).ok_or_else(|| format!("there is no action `{}`", cut(&command.action)))?;
        match action {
            Action::EndAllMeetings => self.end_all_meetings(backend_id(param("BackendID")?)?).await,
            Action::EndMeeting => {
                let id = ScopedId::verbatim(param("ID")?);
                match param("BackendID") {
                    Ok(backend) => self.end_copy_on(backend_id(backend)?, &id).await,
                    Err(_) => self.end_meeting(&id).await,
                }
            }
            Action::UpdateNodeState => self.update_node_state(backend_id(param("ID")?)?).await,
            Action::DecommissionBackend => self.decommission(backend_id(param("id")?)?).await,
            Action::UpdateMeetingState => self.update_meeting_state(&ScopedId::verbatim(param("ID")?)).await,
            Action::CollectGarbage => {
                let collected = self.replica.observe(self.replica.store.collect_garbage().await);
                collected.map(|()| Value::Bool(true)).map_err(|error| error.to_string())
            }
        }
    }

    /// Ends every meeting of a backend, and every copy with the people in it. It is down to the node when each is gone.
    async fn end_all_meetings(&self, id: BackendId) -> Outcome {
        let backend = self.backend_or_error(id)?;
        self.replica.observe(self.replica.store.doom_copies(id, None).await).map_err(|error| error.to_string())?;
        let meetings = self.replica.view.meetings.filtered(|meeting| meeting.backend == id);
        let ends = stream::iter(meetings).map(|meeting| self.end(Arc::clone(&backend), meeting));
        let mut ended: Vec<_> = ends.buffer_unordered(ENDS_AT_ONCE).collect().await;
        ended.extend(self.end_strays(self.replica.view.all_strays(Some(id))).await);
        let count = ended.len();
        let failed: Vec<String> = ended.into_iter().filter_map(Result::err).collect();
        match failed.first() {
            None => Ok(Value::Bool(true)),
            Some(first) => Err(format!("{} of {count} meetings could not be ended: {first}", failed.len())),
        }
    }

    /// Ends the copy of a meeting on one backend with everyone in it, and not the meeting itself. A meeting that no frontend
    /// owns is as good as a copy.
    async fn end_copy_on(&self, backend: BackendId, id: &ScopedId) -> Outcome {
        let doomed = self
            .replica
            .observe(self.replica.store.doom_copies(backend, Some(id)).await)
            .map_err(|error| error.to_string())?;
        if doomed > 0 {
            return Ok(Value::Bool(true));
        }
        let strays = self.strays_called(id, Some(backend));
        if strays.is_empty() {
            return Err(format!("backend {backend} has no copy of {id}"));
        }
        self.end_strays(strays).await.into_iter().collect::<Result<(), String>>().map(|()| Value::Bool(true))
    }

    /// Ends one meeting, wherever it is. Meetings that no frontend owns may share an id: none of several is taken for the one.
    async fn end_meeting(&self, id: &ScopedId) -> Outcome {
        let ended = match self.meeting_or_error(id).await {
            Ok(meeting) => self.end(self.backend_or_error(meeting.backend)?, meeting).await,
            Err(error) => match self.strays_called(id, None) {
                strays if strays.is_empty() => Err(error),
                strays if strays.len() > 1 => Err(format!(
                    "{} backends run a meeting {} that no frontend owns: say which by `BackendID`",
                    strays.len(),
                    cut(id.as_ref())
                )),
                strays => self.end_strays(strays).await.into_iter().collect(),
            },
        };
        ended.map(|()| Value::Bool(true))
    }

    async fn end(&self, backend: Arc<Backend>, meeting: Arc<Meeting>) -> Result<(), String> {
        if meeting.state == MeetingState::Detached {
            return Ok(());
        }
        match self.end_on(&backend, &meeting.id).await? {
            End::Accepted => self.endings.record_accepted(&meeting).await,
            End::NotFound if meeting.state == MeetingState::Claimed => {}
            End::NotFound => self.endings.forget(&meeting).await,
        }
        Ok(())
    }

    /// Ends strays. Their nodes are polled at once.
    async fn end_strays(&self, strays: Vec<Stray>) -> Vec<Result<(), String>> {
        let places: BTreeSet<BackendId> = strays.iter().map(|stray| stray.backend).collect();
        let ends = stream::iter(strays).map(async |Stray { id, backend, .. }| {
            let backend = self.backend_or_error(backend)?;
            self.end_on(&backend, &id).await.map(drop)
        });
        let ended = ends.buffer_unordered(ENDS_AT_ONCE).collect().await;
        for backend in places {
            self.replica.hasten_poll(backend, Duration::ZERO).await;
        }
        ended
    }

    fn strays_called(&self, id: &ScopedId, backend: Option<BackendId>) -> Vec<Stray> {
        self.replica.view.all_strays(backend).into_iter().filter(|stray| stray.id == *id).collect()
    }

    /// Asks a node to end a meeting.
    async fn end_on(&self, backend: &Arc<Backend>, id: &ScopedId) -> Result<End, String> {
        let reply = self.asker.ask_about(backend, CallKind::End, id).await.map_err(|fault| fault.to_string())?;
        match reply {
            reply if reply.is_success() => Ok(End::Accepted),
            reply if reply.failed_with("notFound") => Ok(End::NotFound),
            _ => Err(format!("the node of {id} refused its end")),
        }
    }

    async fn update_node_state(&self, id: BackendId) -> Outcome {
        self.poller.ask_now(id).await.map(|()| Value::Bool(true))
    }

    /// The result says whether the backend is gone already.
    async fn decommission(&self, id: BackendId) -> Outcome {
        let store = &self.replica.store;
        let decommissioned = async {
            if store.record_admin_state(id, AdminState::Decommissioned).await?.is_none() {
                return Ok(None);
            }
            self.replica.read_backend(id).await?;
            // A node without an answer keeps its backend.
            let _ = self.poller.ask_now(id).await;
            Ok(Some(self.replica.remove_decommissioned().await?.contains(&id)))
        };
        let decommissioned = self.replica.observe(decommissioned.await).map_err(|error| error.to_string())?;
        decommissioned.map(Value::Bool).ok_or_else(|| format!("there is no backend {id}"))
    }

    /// Asks the node of a meeting whether it still runs it.
    async fn update_meeting_state(&self, id: &ScopedId) -> Outcome {
        let meeting = self.meeting_or_error(id).await?;
        let backend = self.backend_or_error(meeting.backend)?;
        let reply =
            self.asker.ask_about(&backend, CallKind::GetMeetingInfo, id).await.map_err(|fault| fault.to_string())?;
        if reply.failed_with("notFound") && meeting.state != MeetingState::Claimed {
            self.endings.forget(&meeting).await;
        }
        Ok(Value::Bool(true))
    }

    async fn meeting_or_error(&self, id: &ScopedId) -> Result<Arc<Meeting>, String> {
        let found = self.finder.find(id).await.map_err(|fault| fault.to_string())?;
        found.ok_or_else(|| format!("there is no meeting {}", cut(id.as_ref())))
    }

    fn backend_or_error(&self, id: BackendId) -> Result<Arc<Backend>, String> {
        let backend = self.replica.view.roster().backend(id).cloned();
        backend.ok_or_else(|| format!("there is no backend {id}"))
    }
}

fn param<'c>(command: &'c Command, name: &str) -> Result<&'c str, String> {
    let param = command.params.as_ref().and_then(|params| params.get(name)?.as_str());
    param.ok_or_else(|| format!("`{}` needs the parameter `{name}`, a text", command.action))
}

fn backend_id(text: &str) -> Result<BackendId, String> {
    text.parse::<Uuid>().map(BackendId).map_err(|_| format!("`{}` is no id of a backend", cut(text)))
}
