//! The pipeline of this server, and the stages that it knows.

use axum::extract::State;
use b3scale_middleware::bbb::CallKind;
use b3scale_middleware::{Contract, Fact};

use super::Admin;
use super::access::{Admins, Caller};
use super::problem::Problem;
use super::reply::Reply;
use crate::ledger::Announcements;
use crate::pipeline::{Catalog, Entry, Pipeline, Role};
use crate::rest::{PipelineReport, StageKind, StageRole};

/// Show the pipeline that the server runs.
#[utoipa::path(get, path = "/api/v1/pipeline", tag = "pipeline",
    responses((status = OK, description = "The pipeline", body = PipelineReport)))]
pub(super) async fn pipeline(State(admin): State<Admin>, _: Caller<Admins>) -> Reply<PipelineReport> {
    Reply(report(&admin.pipeline))
}

/// Let every server reload its pipeline. A server with a faulty file keeps its pipeline.
#[utoipa::path(post, path = "/api/v1/pipeline/reload", tag = "pipeline",
    responses((status = OK, description = "The pipeline that the server runs now", body = PipelineReport),
        (status = CONFLICT, description = "Everything that is wrong with the file", body = crate::rest::Problem)))]
pub(super) async fn reload(State(admin): State<Admin>, who: Caller<Admins>) -> Result<Reply<PipelineReport>, Problem> {
    let hash = admin.pipeline.reload().map_err(|error| Problem::Conflict(error.to_string()))?;
    admin.store.announce_pipeline().await?;
    who.audit("the pipeline was reloaded", &hash);
    Ok(Reply(report(&admin.pipeline)))
}

/// List every kind of stage, with its contract in a create.
#[utoipa::path(get, path = "/api/v1/pipeline/catalog", tag = "pipeline",
    responses((status = OK, description = "The kinds", body = Vec<StageKind>)))]
pub(super) async fn catalog(_: Caller<Admins>) -> Reply<Vec<StageKind>> {
    Reply(Catalog::shipped().iter().map(kind).collect())
}

fn report(pipeline: &Pipeline) -> PipelineReport {
    let file = pipeline.file().map(|file| file.display().to_string());
    PipelineReport { hash: pipeline.hash(), file, plan: pipeline.plan() }
}

fn kind(entry: &Entry) -> StageKind {
    let Contract { needs, gives, takes, only } = entry.contract(CallKind::Create).unwrap_or_default();
    let names = |facts: &[Fact]| facts.iter().map(|fact| fact.name().to_owned()).collect();
    let role = match entry.role {
        Role::Stage => StageRole::Stage,
        Role::Endpoint => StageRole::Endpoint,
    };
    let only = only.unwrap_or_default().iter().map(|call| call.name().to_owned()).collect();
    let kind = entry.kind.to_owned();
    StageKind { kind, role, needs: names(needs), gives: names(gives), takes: names(takes), only }
}
