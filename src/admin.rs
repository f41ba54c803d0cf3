//! The REST API: `/api/v1`, as the tools of the original b3scale know it, and more.
//!
//! Who asks is settled first (`access`): a token that holds, then a scope that the route wants, which is in the type of its
//! handler's argument. Then the body is read by its shape (`shape`), merged over the existing record, checked, and stored with a
//! comparison of versions, so that of two changes at once none is lost. An error is a `Problem`; every change
//! leaves an audit line. The routes and their OpenAPI document are made from the same list.

mod access;
mod agent;
mod backends;
mod body;
mod commands;
mod deliveries;
mod docs;
mod failures;
mod frontends;
mod hooks;
mod imports;
mod insight;
mod jobs;
mod meetings;
mod metrics;
mod operators;
mod pipeline;
mod problem;
mod recording_files;
mod recordings;
mod remembered;
mod reply;
mod state;
mod status;

use std::convert::Infallible;
use std::fmt;
use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, header};
use http_body_util::Either;
use time::OffsetDateTime;
use tokio::time::{Instant, timeout};
use tower::ServiceExt;
use tower_http::cors::{AllowOrigin, CorsLayer};
use tracing::error;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::budget::Budget;
use crate::cluster::Cluster;
use crate::pipeline::Pipeline;
use crate::proxies::Proxies;
use crate::recordings::{Importer, Library, Verifier};
use crate::site::{Answer, Claim, Intake, Readiness, Site, Visitor};
use crate::store::Store;
use crate::telemetry::Counts;
use crate::work::Waker;
use access::Gate;
use problem::Problem;

pub use docs::openapi;
pub use operators::OperatorField;

/// How long a request may take, its body included.
const LIMIT: Duration = Duration::from_secs(60);

/// The header in which an operator puts a token to follow one BBB call through its stages in the log.
pub const FOLLOW: HeaderName = HeaderName::from_static("x-b3scale-follow");

/// The parts of the REST API.
pub struct AdminParts {
    /// This server's cluster.
    pub cluster: Cluster,
    /// The database.
    pub store: Store,
    /// The recordings.
    pub library: Arc<Library>,
    /// Takes in recordings. `None`: this server takes none in.
    pub importer: Option<Importer>,
    /// Compares their files with their records. `None`: there are no files here.
    pub verifier: Option<Verifier>,
    /// The right to wake the queues of background work.
    pub waker: Waker,
    /// What calls travel through.
    pub pipeline: Arc<Pipeline>,
    /// Whether this server can take calls.
    pub readiness: Arc<dyn Readiness>,
    /// What tokens are signed with.
    pub secret: String,
    /// The proxies trusted to name the client, in addition to this machine.
    pub proxies: Proxies,
    /// What bodies may take up in memory.
    pub budget: Budget,
    /// The counters; frontends see their part. `None`: none.
    pub counted: Option<Counts>,
    /// The pages that may use the API in a browser: their origins, or `*` for any.
    pub cors: Vec<HeaderValue>,
    /// What customers do not change of their frontends.
    pub operator_fields: Vec<OperatorField>,
    /// The tags that agents may give their nodes, and take.
    pub agent_tags: Vec<String>,
}

/// The state that the handlers share.
#[derive(Clone)]
struct Admin(Arc<Inner>);

impl Deref for Admin {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

struct Inner {
    cluster: Cluster,
    store: Store,
    library: Arc<Library>,
    importer: Option<Importer>,
    verifier: Option<Verifier>,
    waker: Waker,
    pipeline: Arc<Pipeline>,
    readiness: Arc<dyn Readiness>,
    gate: Gate,
    budget: Budget,
    counted: Option<Counts>,
    operator_fields: Vec<OperatorField>,
    agent_tags: Vec<String>,
    started_at: OffsetDateTime,
}

/// The REST API, ready to be asked.
#[derive(Clone)]
pub struct Api {
    router: Router,
    admin: Admin,
}

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Api").finish_non_exhaustive()
    }
}

impl Api {
    /// Puts it together.
    pub fn new(parts: AdminParts) -> Self {
        let AdminParts {
            cluster,
            store,
            library,
            importer,
            verifier,
            waker,
            pipeline,
            readiness,
            secret,
            proxies,
            budget,
            counted,
            cors,
            operator_fields,
            agent_tags,
        } = parts;
        let inner = Inner {
            cluster,
            store,
            library,
            importer,
            verifier,
            waker,
            pipeline,
            readiness,
            gate: Gate::new(&secret, proxies),
            budget,
            counted,
            operator_fields,
            agent_tags,
            started_at: OffsetDateTime::now_utc(),
        };
        let admin = Admin(Arc::new(inner));
        let (router, _) = routes().split_for_parts();
        let router = router
            .fallback(nothing)
            .method_not_allowed_fallback(nothing)
            .layer(from_fn_with_state(admin.clone(), access::admit))
            .layer(from_fn(metrics::note_route))
            .with_state(admin.clone())
            .merge(docs::pages());
        Self { router: if cors.is_empty() { router } else { router.layer(cors_layer(cors)) }, admin }
    }

    /// Whether a BBB call from `peer` is followed through its stages in the log, by an operator's token in
    /// the header [`FOLLOW`] asks for.
    pub fn lets_follow(&self, headers: &HeaderMap, peer: SocketAddr) -> bool {
        headers.get(FOLLOW).is_some_and(|token| self.admin.gate.is_operator(token, headers, peer))
    }

    async fn respond(&self, request: Request<Body>) -> Response {
        let (began, method) = (Instant::now(), request.method().clone());
        // A task of its own, so that a change that was begun is noted even if its client hangs up.
        let answer = tokio::spawn(self.router.clone().oneshot(request));
        let answer = match timeout(LIMIT, answer).await {
            Ok(Ok(answer)) => answer.unwrap_or_else(|never: Infallible| match never {}),
            Ok(Err(error)) => {
                error!(%error, "Request of the REST API panicked; this is a defect of b3scale");
                Problem::Internal.into_response()
            }
            Err(_) => Problem::too_slow().into_response(),
        };
        metrics::count(&method, began, &answer);
        answer
    }
}

impl Site for Api {
    fn claims(&self) -> Vec<Claim> {
        vec![Claim::below("/api/v1"), Claim::below(docs::PATH), Claim::at(metrics::PATH)]
    }

    fn intake(&self) -> Option<Intake> {
        Some(Intake { largest: body::LARGEST_DOCUMENT, pause: LIMIT, whole: LIMIT })
    }

    fn answer(&self, mut request: Request<Body>, visitor: Visitor) -> BoxFuture<'_, Answer> {
        request.extensions_mut().insert(visitor);
        self.respond(request).map(|answer| answer.map(Either::Right)).boxed()
    }
}

/// The routes of one path, with their part of the OpenAPI document.
macro_rules! documented {
    ($($module:ident :: $name:ident),+) => {{
        let mut route = routes!($($module::$name),+);
        $(docs::complete(&mut route.1, stringify!($module), stringify!($name), $module::$name);)+
        route
    }};
}

/// Every route that needs a token, with its part of the OpenAPI document.
fn routes() -> OpenApiRouter<Admin> {
    OpenApiRouter::with_openapi(docs::head())
        .routes(documented!(status::root))
        .routes(documented!(status::status))
        .routes(documented!(status::migrate))
        .routes(documented!(frontends::list, frontends::add))
        .routes(documented!(frontends::show, frontends::change, frontends::remove))
        .routes(documented!(backends::list, backends::add))
        .routes(documented!(backends::show, backends::change, backends::remove))
        .routes(documented!(meetings::list))
        .routes(documented!(meetings::show, meetings::change, meetings::remove))
        .routes(documented!(recordings::list))
        .routes(documented!(recordings::show, recordings::remove))
        .routes(documented!(recordings::assign))
        .routes(documented!(recordings::ready))
        .routes(documented!(recordings::set_visibility))
        .routes(documented!(imports::add))
        .routes(documented!(recording_files::files))
        .routes(documented!(recording_files::move_one))
        .routes(documented!(recording_files::verify))
        .routes(documented!(recording_files::retention, recording_files::retain))
        .routes(documented!(commands::list, commands::add))
        .routes(documented!(commands::show))
        .routes(documented!(jobs::list))
        .routes(documented!(jobs::show, jobs::discard))
        .routes(documented!(jobs::retry))
        .routes(documented!(deliveries::list))
        .routes(documented!(deliveries::show, deliveries::discard))
        .routes(documented!(deliveries::retry))
        .routes(documented!(hooks::list))
        .routes(documented!(hooks::show, hooks::remove))
        .routes(documented!(hooks::resume))
        .routes(documented!(agent::backend))
        .routes(documented!(agent::heartbeat))
        .routes(documented!(agent::ingest))
        .routes(documented!(agent::rpc))
        .routes(documented!(insight::cluster))
        .routes(documented!(insight::explain))
        .routes(documented!(pipeline::pipeline))
        .routes(documented!(pipeline::catalog))
        .routes(documented!(pipeline::reload))
        .routes(documented!(state::export, state::import))
        .routes(documented!(metrics::show))
}

/// The original knows no 405: an unknown route is not found.
async fn nothing() -> Problem {
    Problem::NotFound
}

fn cors_layer(origins: Vec<HeaderValue>) -> CorsLayer {
    let any = origins.iter().any(|origin| origin == "*");
    CorsLayer::new()
        .allow_origin(if any { AllowOrigin::any() } else { AllowOrigin::list(origins) })
        .allow_methods([Method::GET, Method::POST, Method::PATCH, Method::DELETE])
        .allow_headers([header::AUTHORIZATION, header::CONTENT_TYPE])
}
