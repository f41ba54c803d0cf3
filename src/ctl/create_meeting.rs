//! `create-meeting`: creates a meeting as a frontend would, and joins it.

use argh::{ArgsInfo, FromArgs};
use b3scale_base::client::Api;
use b3scale_base::rest::Frontend;
use b3scale_middleware::bbb::{Algorithm, CallKind, Params, Secret, sign, xml};
use bytes::Bytes;
use http::{Method, Response, StatusCode, header};
use serde_json::json;
use uuid::Uuid;

use super::context::Context;
use super::find::find_frontend;
use super::param::Param;
use super::{CtlError, Exit};

/// The printed fields of a new meeting.
const FIELDS: [&str; 4] = ["meetingID", "internalMeetingID", "createDate", "duration"];

/// Create a meeting as a frontend would, and print a link that joins it as a moderator. Also: cm.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "create-meeting")]
pub(super) struct CreateMeeting {
    /// the key of the frontend
    #[argh(option, arg_name = "key")]
    frontend: String,
    /// the meeting's name
    #[argh(option)]
    name: Option<String>,
    /// a parameter of the create, as NAME=VALUE; may be repeated
    #[argh(option, arg_name = "name=value")]
    param: Vec<Param>,
}

impl CreateMeeting {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, CtlError> {
        let api = context.api_for_changes().await?;
        let mut caller =
            Caller { frontend: find_frontend(&api, &self.frontend).await?, api, algorithm: Algorithm::Sha512 };
        let id = Uuid::new_v4().to_string();
        let mut params = vec![("meetingID", id.as_str()), ("name", self.name.as_deref().unwrap_or("b3scale meeting"))];
        params.extend(Param::pairs(&self.param));
        let created = caller.create(&params).await?;
        let document = caller.success(CallKind::Create, &created)?;
        // The parameters may have named an id of their own.
        let id = document[0].clone().unwrap_or(id);
        for (name, value) in FIELDS.iter().zip(&document) {
            context.console.progress(format_args!("{name}: {}", value.as_deref().unwrap_or_default()))?;
        }
        let join = [("meetingID", id.as_str()), ("fullName", "b3scalectl"), ("role", "MODERATOR")];
        let joined = caller.call(Method::GET, CallKind::Join, &join).await?;
        let url = caller.location(&joined)?;
        context.console.report(format_args!("URL: {url}"), &json!({ "meeting_id": id, "url": url }))
    }
}

/// Calls as the frontend's own.
struct Caller {
    frontend: Frontend,
    api: Api,
    /// The secret of its checksums.
    algorithm: Algorithm,
}

impl Caller {
    /// Creates a meeting, signed with the strongest algorithm that the frontend may use and the server accepts.
    async fn create(&mut self, params: &[(&str, &str)]) -> Result<Response<Bytes>, CtlError> {
        let allowed = self.frontend.bbb.checksum_algorithms.clone();
        let may_use = |name: String| allowed.as_ref().is_none_or(|names| names.contains(&name));
        let mut tries = Algorithm::strongest_first().filter(|algorithm| may_use(algorithm.to_string())).peekable();
        while let Some(algorithm) = tries.next() {
            self.algorithm = algorithm;
            let answer = self.call(Method::POST, CallKind::Create, params).await?;
            let refused =
                xml::outcome(answer.body()).is_ok_and(|said| said.message_key.as_deref() == Some("checksumError"));
            if !refused || tries.peek().is_none() {
                return Ok(answer);
            }
        }
        Err(CtlError::Failed(format!("the frontend {} may use no algorithm", self.frontend.bbb.key)))
    }

    async fn call(&self, method: Method, kind: CallKind, params: &[(&str, &str)]) -> Result<Response<Bytes>, CtlError> {
        let Frontend { bbb, .. } = &self.frontend;
        let unusable = || CtlError::Failed(format!("the frontend {} has no usable secret", bbb.key));
        let secret = Secret::new(&bbb.secret).ok_or_else(unusable)?;
        let mut query = Params::default();
        params.iter().for_each(|(name, value)| query.set(name, value));
        let query = query.encode();
        let checksum = sign(self.algorithm, kind.checksum_name(), &query, &secret);
        let path = format!("/bbb/{}/{}?{query}&checksum={checksum}", bbb.key, kind.checksum_name());
        Ok(self.api.call(method, &path).await?)
    }

    /// The fields of a document that says SUCCESS.
    fn success(&self, kind: CallKind, answer: &Response<Bytes>) -> Result<[Option<String>; 4], CtlError> {
        let status = answer.status();
        let said = xml::fields(answer.body(), ["returncode", "messageKey", "message"]);
        match said {
            Ok([Some(code), ..]) if code == "SUCCESS" => {
                xml::fields(answer.body(), FIELDS).map_err(|error| self.failed(kind, status, &error.to_string()))
            }
            Ok([_, key, message]) => {
                let said = format!("{}: {}", key.unwrap_or_default(), message.unwrap_or_default());
                Err(self.failed(kind, status, &said))
            }
            Err(error) => Err(self.failed(kind, status, &error.to_string())),
        }
    }

    /// Where a join leads.
    fn location(&self, answer: &Response<Bytes>) -> Result<String, CtlError> {
        let location = answer.headers().get(header::LOCATION).and_then(|location| location.to_str().ok());
        match location.filter(|_| answer.status() == StatusCode::FOUND) {
            Some(location) => Ok(location.to_owned()),
            None => {
                self.success(CallKind::Join, answer)?;
                Err(self.failed(CallKind::Join, answer.status(), "it leads nowhere"))
            }
        }
    }

    fn failed(&self, kind: CallKind, status: StatusCode, why: &str) -> CtlError {
        let (url, key) = (self.api.url(), &self.frontend.bbb.key);
        CtlError::Failed(format!("{url}/bbb/{key}: {} failed ({status}): {why}", kind.name()))
    }
}
