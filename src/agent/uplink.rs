//! The way to the server: one batch at a time, each sent again until it is answered.

use std::sync::Arc;
use std::time::Duration;

use b3scale_base::client::{Api, ApiError};
use b3scale_base::rest::{AdminState, Backend, Batch, Receipt};
use http::StatusCode;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::sleep;
use tracing::{info, warn};

use super::AgentError;
use super::settings::{LoadFactor, Node, Server};
use super::trouble::Trouble;

/// Pauses between attempts.
const SHORTEST: Duration = Duration::from_millis(250);
const LONGEST: Duration = Duration::from_secs(4);

/// The outcome of a batch.
#[derive(Debug, PartialEq)]
pub(super) enum Delivered {
    /// A server has answered.
    Answered(Receipt),
    /// It is lost, and the server knows nothing of what it said.
    Lost,
}

/// The way to the server.
pub(super) struct Uplink {
    server: Server,
    node: Arc<Node>,
    load_factor: Option<LoadFactor>,
    /// Whether to register the node where it is not known.
    registers: bool,
    token: String,
    api: Api,
    /// Whether the server knows our backend as it should be.
    enrolled: bool,
    trouble: Trouble,
}

/// The server's record of this node.
#[derive(Debug, PartialEq, Eq)]
enum Enrolment {
    Known,
    New,
}

impl Uplink {
    pub(super) fn new(
        server: Server,
        node: Arc<Node>,
        load_factor: Option<LoadFactor>,
        registers: bool,
    ) -> Result<Self, AgentError> {
        let token = server.token()?;
        let api = server.api(&token)?;
        let trouble = Trouble::new(SHORTEST, LONGEST);
        Ok(Self { server, node, load_factor, registers, token, api, enrolled: false, trouble })
    }

    /// Registers the node, or updates its record. Waits for a server that is away.
    ///
    /// # Errors
    /// The server refuses it, and will do so again.
    pub(super) async fn start(&mut self) -> Result<(), AgentError> {
        while let Err(error) = self.enrol().await {
            if !is_passing(&error) {
                return Err(error);
            }
            self.met(&error.to_string());
            sleep(self.trouble.pause()).await;
        }
        self.trouble.over();
        self.enrolled = true;
        Ok(())
    }

    /// Delivers batches until there are no more.
    pub(super) async fn run(mut self, mut batches: mpsc::Receiver<Batch>, delivered: mpsc::Sender<Delivered>) {
        while let Some(batch) = batches.recv().await {
            let outcome = self.deliver(&batch).await;
            if delivered.send(outcome).await.is_err() {
                return;
            }
        }
    }

    async fn deliver(&mut self, batch: &Batch) -> Delivered {
        loop {
            let error = match self.attempt(batch).await {
                Ok(delivered) => return delivered,
                Err(error) => error,
            };
            self.met(&error.to_string());
            if !is_passing(&error) {
                self.trouble.is_lasting();
            }
            sleep(self.trouble.pause()).await;
            if matches!(&error, AgentError::Api(error) if error.is_unauthorized()) {
                self.read_token();
            }
        }
    }

    /// Sends a batch once.
    async fn attempt(&mut self, batch: &Batch) -> Result<Delivered, AgentError> {
        if !self.enrolled {
            let enrolment = self.enrol().await?;
            self.enrolled = true;
            if enrolment == Enrolment::New && batch.seq > 1 {
                return Ok(Delivered::Lost);
            }
        }
        match self.api.ingest(batch).await {
            Ok(receipt) => {
                if self.trouble.over() {
                    info!(server.url = self.api.url(), "The server accepts batches again");
                }
                Ok(Delivered::Answered(receipt))
            }
            Err(error) if is_unusable(&error) => {
                warn!(%error, "The server refused a batch; sending a snapshot");
                Ok(Delivered::Lost)
            }
            Err(error) => {
                self.enrolled &= !is_of_backend(&error);
                Err(error.into())
            }
        }
    }

    /// Updates the server's record of this node.
    async fn enrol(&self) -> Result<Enrolment, AgentError> {
        let backend = match self.api.own_backend().await {
            Ok(backend) => backend,
            Err(error) if error.is_not_found() && self.registers => {
                let mut registration = self.record();
                registration["admin_state"] = json!(AdminState::Init);
                let backend = self.api.add_backend(&registration).await?;
                let message = match backend.admin_state {
                    AdminState::Init => "This node is registered; it takes meetings once it is enabled",
                    _ => "This node is registered; an operator had added its backend",
                };
                info!(
                    server.url = self.api.url(), backend.id = %backend.id, backend.url = self.node.url,
                    backend.admin_state = %backend.admin_state, "{message}"
                );
                return Ok(Enrolment::New);
            }
            Err(error) if error.is_not_found() => {
                return Err(AgentError::NotRegistered { url: self.api.url().to_owned() });
            }
            Err(error) => return Err(error.into()),
        };
        self.api.change_backend(backend.id, &self.record()).await?;
        info!(server.url = self.api.url(), backend.id = %backend.id, "Reporting for this node");
        Ok(Enrolment::Known)
    }

    /// The node's record. Without a load factor of ours, the server's stays.
    fn record(&self) -> Value {
        let mut record = json!({ "bbb": { "host": self.node.url, "secret": self.node.secret.expose() } });
        if let Some(LoadFactor(factor)) = self.load_factor {
            record["load_factor"] = json!(factor);
        }
        record
    }

    fn met(&mut self, why: &str) {
        if self.trouble.met(why) {
            warn!(server.url = self.api.url(), "Reporting failed: {why}");
        }
    }

    /// Takes the token that may have come meanwhile.
    fn read_token(&mut self) {
        let Ok(token) = self.server.token() else { return };
        if token != self.token
            && let Ok(api) = self.server.api(&token)
        {
            (self.token, self.api) = (token, api);
        }
    }
}

/// The backend of this agent, and a client of its server.
///
/// # Errors
/// There is none, or the server cannot be asked.
pub(super) async fn own(server: &Server) -> Result<(Api, Backend), AgentError> {
    let api = server.api(&server.token()?)?;
    let url = api.url().to_owned();
    match api.own_backend().await {
        Ok(backend) => Ok((api, backend)),
        Err(error) if error.is_not_found() => Err(AgentError::NotRegistered { url }),
        Err(error) => Err(error.into()),
    }
}

/// Whether sending the same again would be answered in the same way.
fn is_unusable(error: &ApiError) -> bool {
    let spared = [StatusCode::FORBIDDEN, StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_MANY_REQUESTS];
    error.refusal().is_some_and(|status| status.is_client_error() && !spared.contains(&status))
}

/// Whether our backend may be gone.
fn is_of_backend(error: &ApiError) -> bool {
    error.is_not_found() || error.refusal() == Some(StatusCode::FORBIDDEN)
}

/// Whether the same may succeed later.
fn is_passing(error: &AgentError) -> bool {
    matches!(error, AgentError::Api(error) if error.is_passing())
}
