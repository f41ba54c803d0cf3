//! The whole cluster at a glance, and why a meeting goes where it goes.

use axum::extract::{RawQuery, State};
use b3scale_middleware::bbb::Params;
use b3scale_middleware::cluster::{self, BackendId, FrontendId, Placement, Standing};
use b3scale_middleware::ports::{Directory as _, Meetings as _};
use serde::Deserialize;
use tokio::time::Instant;

use super::Admin;
use super::access::{Admins, Caller};
use super::body::Asked;
use super::problem::Problem;
use super::reply::Reply;
use crate::ledger::Servers;
use crate::rest::{BackendReport, Candidate, ClusterReport, Explanation, FrontendReport, Server, Verdict};
use crate::site::Check;
use crate::store::{BackendEntry, BackendFilter, FrontendFilter, StoreError, Trouble};

/// Why a backend takes no new meetings that would take them.
const NO_DATABASE: &str = "no meeting can be created: the database cannot be used";

/// Show every server, backend and frontend, and why a backend takes no new meetings. While the database does not answer, it is
/// this server's memory.
#[utoipa::path(get, path = "/api/v1/cluster", tag = "cluster",
    responses((status = OK, description = "The cluster, as the server that answers sees it", body = ClusterReport)))]
pub(super) async fn cluster(State(admin): State<Admin>, _: Caller<Admins>) -> Result<Reply<ClusterReport>, Problem> {
    match admin.stored_cluster().await {
        Err(error) if error.is_away() => Ok(Reply(admin.remembered_cluster(error.obstacle()))),
        report => Ok(Reply(report?)),
    }
}

impl Admin {
    async fn stored_cluster(&self) -> Result<ClusterReport, StoreError> {
        let (mine, problems) = (self.cluster.server_id(), self.problems());
        let servers = self.store.load_servers().await?.into_iter().map(|row| Server {
            id: row.server.id,
            host: row.server.host,
            address: row.server.address,
            version: row.server.version,
            pipeline_hash: row.server.pipeline_hash,
            started_at: row.started_at.into(),
            beat_age: row.age.as_secs_f64(),
            alive: row.alive,
            answering: row.server.id == mine,
            problems: if row.server.id == mine { problems.clone() } else { Vec::new() },
        });
        let entries = self.store.backends().list(&BackendFilter::default()).await?;
        let frontends = self.store.frontends().list(&FrontendFilter::default()).await?.into_iter();
        let frontends = frontends.map(|entry| self.crowd(entry.id, entry.key, entry.active));
        let backends = entries.into_iter().map(|entry| self.reported(entry)).collect();
        let database = self.cluster.trouble().map(Trouble::obstacle);
        let frontends = frontends.collect();
        Ok(honest(ClusterReport { database, servers: servers.collect(), backends, frontends }))
    }

    /// Problems that keep this server from being ready.
    pub(super) fn problems(&self) -> Vec<String> {
        self.readiness.checks().iter().filter_map(Check::failure).collect()
    }

    fn reported(&self, entry: BackendEntry) -> BackendReport {
        let entry = self.shown_backend(entry);
        let known = self.cluster.backend(BackendId(entry.id)).map(|backend| self.seen(&backend));
        let stored = BackendReport {
            id: entry.id,
            host: entry.bbb.host,
            admin_state: entry.admin_state,
            node_state: entry.node_state,
            reason: Some("this server does not know it yet".to_owned()),
            remarks: Vec::new(),
            heartbeat_age: None,
            cpu: None,
            memory: None,
            load: 0.0,
            meetings: entry.meetings_count,
            attendees: entry.attendees_count,
            latency: entry.latency,
            tags: entry.settings.tags,
        };
        let Some(seen) = known else { return stored };
        let BackendReport { reason, remarks, heartbeat_age, cpu, memory, load, .. } = seen;
        BackendReport { reason, remarks, heartbeat_age, cpu, memory, load, ..stored }
    }

    /// A backend as memory has it.
    pub(super) fn seen(&self, backend: &cluster::Backend) -> BackendReport {
        let (now, vitals) = (Instant::now().into_std(), &backend.vitals);
        let agent = vitals.agent();
        BackendReport {
            id: backend.id.0,
            host: backend.url.clone(),
            admin_state: backend.admin_state.into(),
            node_state: vitals.health().state.into(),
            reason: backend.takes_meetings(now).err().map(|refusal| refusal.reason),
            remarks: self.cluster.remarks(backend.id),
            heartbeat_age: agent.map(|agent| now.saturating_duration_since(agent.heartbeat).as_secs_f64()),
            cpu: agent.map(|agent| agent.cpu),
            memory: agent.map(|agent| agent.memory),
            load: backend.load(&vitals.load_model(), now),
            meetings: vitals.meetings().saturating_add(self.count_strays(backend.id)),
            attendees: vitals.attendees(),
            latency: vitals.latency().map_or(0, |latency| i64::try_from(latency.as_nanos()).unwrap_or(i64::MAX)),
            tags: backend.tags.words().to_vec(),
        }
    }

    /// A frontend, its meetings and the people in them.
    pub(super) fn crowd(&self, id: FrontendId, key: String, active: bool) -> FrontendReport {
        let meetings = self.cluster.of_frontend(id);
        FrontendReport {
            id: id.0,
            key,
            active,
            meetings: u32::try_from(meetings.len()).unwrap_or(u32::MAX),
            attendees: meetings.iter().map(|meeting| self.cluster.attendees(meeting)).fold(0, u32::saturating_add),
        }
    }
}

/// While the database cannot be used, no backend takes new meetings.
pub(super) fn honest(mut report: ClusterReport) -> ClusterReport {
    if report.database.is_some() {
        for backend in &mut report.backends {
            backend.reason.get_or_insert_with(|| NO_DATABASE.to_owned());
        }
    }
    report
}

/// The frontend of the create. Every other parameter belongs to the create.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Imagined {
    /// The key of the frontend.
    frontend: String,
}

/// Explain where a meeting would be created now, and why not elsewhere. Nothing is placed.
#[utoipa::path(get, path = "/api/v1/explain/create", tag = "cluster", params(Imagined),
    responses((status = OK, description = "What would become of each backend", body = Explanation),
        (status = NOT_FOUND), (status = CONFLICT)))]
pub(super) async fn explain(
    State(admin): State<Admin>,
    _: Caller<Admins>,
    Asked(imagined): Asked<Imagined>,
    RawQuery(query): RawQuery,
) -> Result<Reply<Explanation>, Problem> {
    let frontend = admin.cluster.frontend(&imagined.frontend).ok_or(Problem::NotFound)?;
    let params = Params::parse(query.as_deref().unwrap_or_default());
    let params: Vec<(&str, &str)> = params.iter().filter(|(name, _)| *name != "frontend").collect();
    let explained = admin.pipeline.explain(&frontend, &params).await;
    let Placement(verdicts) = explained.map_err(|fault| Problem::Conflict(format!("such a create fails: {fault}")))?;
    let mut candidates: Vec<Candidate> = verdicts.into_iter().map(|verdict| admin.candidate(verdict)).collect();
    let database = admin.cluster.rehearse_create().await.err().map(|error| error.obstacle());
    if database.is_some() {
        for chosen in candidates.iter_mut().filter(|candidate| candidate.verdict == Verdict::Chosen) {
            (chosen.verdict, chosen.reason) = (Verdict::Refused, NO_DATABASE.to_owned());
        }
    }
    candidates.sort_by_key(|candidate| (candidate.verdict, candidate.host.clone()));
    let chosen = candidates.iter().find(|candidate| candidate.verdict == Verdict::Chosen);
    let chosen = chosen.map(|candidate| candidate.host.clone());
    Ok(Reply(Explanation { database, frontend: frontend.key.clone(), chosen, candidates }))
}

impl Admin {
    fn candidate(&self, judged: cluster::Verdict) -> Candidate {
        let backend = self.cluster.backend(judged.backend);
        let host = backend.map_or(judged.host, |backend| backend.url.clone());
        let (verdict, reason, stage, load) = match judged.standing {
            Standing::Chosen { load } => (Verdict::Chosen, "it has the lowest load".to_owned(), None, Some(load)),
            Standing::Outranked { load, because } => (
                Verdict::Outranked,
                because.unwrap_or_else(|| "another one has less load".to_owned()),
                None,
                Some(load),
            ),
            Standing::Refused { stage, refusal } => (Verdict::Refused, refusal.reason, Some(stage.to_owned()), None),
        };
        Candidate { id: judged.backend.0, host, verdict, reason, stage, load }
    }
}
