//! Taking a node out of service, and putting it back.

use std::time::Duration;

use b3scale_base::client::Api;
use b3scale_base::program::terminal::{self, complain};
use b3scale_base::rest::{AdminState, Backend};
use tokio::time::sleep;

use super::AgentError;
use super::settings::Server;
use super::trouble::Trouble;
use super::uplink::own;

/// Between two looks at how many meetings are left.
const PACE: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(10);

/// Lets the node keep its meetings and gives it no new ones. Waits, if that is wanted, until the last has ended.
pub(super) async fn drain(server: &Server, wait: bool) -> Result<(), AgentError> {
    let (api, mut backend) = set(server, AdminState::Stopped).await?;
    say(&format!("This node takes no new meetings. There are {} on it.", backend.meetings_count))?;
    let mut trouble = Trouble::new(PACE, LONGEST);
    while wait && backend.meetings_count > 0 {
        sleep(trouble.pause()).await;
        match api.own_backend().await {
            Ok(now) => {
                trouble.over();
                if now.meetings_count != backend.meetings_count {
                    say(&format!("{} left.", now.meetings_count))?;
                }
                backend = now;
            }
            // A server that restarts meanwhile ends no maintenance; a refusal is final.
            Err(error) if error.is_not_found() || error.is_unauthorized() || error.refusal().is_some() => {
                return Err(error.into());
            }
            Err(error) => {
                if trouble.met(&error.to_string()) {
                    complain(&error.to_string());
                }
            }
        }
    }
    Ok(())
}

/// Lets the node take meetings again.
pub(super) async fn resume(server: &Server) -> Result<(), AgentError> {
    set(server, AdminState::Ready).await?;
    say("This node takes meetings.")
}

/// Sets the admin state of the node's backend.
async fn set(server: &Server, state: AdminState) -> Result<(Api, Backend), AgentError> {
    let (api, backend) = own(server).await?;
    match api.change_backend(backend.id, &serde_json::json!({ "admin_state": state })).await {
        Ok(backend) => Ok((api, backend)),
        Err(error) if error.is_for_operators() => Err(AgentError::NotEnabled { host: backend.bbb.host, error }),
        Err(error) => Err(error.into()),
    }
}

/// Says how far it has come. The work goes on without a reader.
fn say(text: &str) -> Result<(), AgentError> {
    terminal::print(&format!("{text}\n"))?;
    Ok(())
}
