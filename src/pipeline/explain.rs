//! Why a meeting would be placed where it would, told by the pipeline itself.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use b3scale_middleware::bbb::{CallKind, Params, sign};
use b3scale_middleware::call::Rehearsal;
use b3scale_middleware::cluster::{Frontend, Placement};
use b3scale_middleware::{Body, Call, Door, Fault};
use http::HeaderValue;
use tower::ServiceExt;
use uuid::Uuid;

use super::Pipeline;

impl Pipeline {
    /// The verdict on each backend if that frontend created a meeting now: chosen, outranked, or refused by which stage
    /// and why. The create travels through the stages that run, and stops before anything is placed. Without a `meetingID` it
    /// is a new meeting.
    ///
    /// # Errors
    /// The fault that such a create would meet before there is a choice, as that of a frontend that is switched off.
    pub async fn explain(&self, frontend: &Frontend, params: &[(&str, &str)]) -> Result<Placement, Fault> {
        let nowhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let door = Door::new(HeaderValue::from_static("explain"), nowhere, self.ports.clock.now(), &frontend.key);
        let door = Arc::new(Door { rehearsal: Some(Rehearsal::default()), ..door });
        let call = Call::new(CallKind::Create, signed(frontend, params)?, Body::None, Arc::clone(&door));
        let kind = CallKind::Create;
        let route = self.route(kind).ok_or_else(|| Fault::UnsupportedRequest(kind.name().into()))?;
        match route.oneshot(call).await {
            Ok(_) => Ok(door.rehearsal.as_ref().and_then(Rehearsal::placement).unwrap_or_default()),
            Err(Fault::NoBackend(placement) | Fault::NoTaggedBackend { placement, .. }) => Ok((*placement).clone()),
            Err(fault) => Err(fault),
        }
    }
}

/// The parameters as the frontend itself would send them.
fn signed(frontend: &Frontend, params: &[(&str, &str)]) -> Result<Params, Fault> {
    let mut query = Params::default();
    query.set("meetingID", &Uuid::new_v4().to_string());
    query.set("name", "explanation");
    params.iter().for_each(|(name, value)| query.set(name, value));
    let algorithm = frontend.algorithms.iter().next();
    let algorithm = algorithm.ok_or(Fault::ChecksumMismatch("the frontend may use no algorithm".into()))?;
    let query = query.encode();
    let checksum = sign(algorithm, CallKind::Create.checksum_name(), &query, frontend.secrets.current());
    Ok(Params::parse(&format!("{query}&checksum={checksum}")))
}
