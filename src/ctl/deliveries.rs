//! `show deliveries` and `delivery`: messages to the callbacks of frontends. Not known to the original.

use argh::{ArgsInfo, FromArgs};
use b3scale_base::client::{Api, ApiError};
use b3scale_base::program::table::NOTHING;
use b3scale_base::rest::{self, CallbackKind, DeliveryState};

use super::console::table;
use super::context::Context;
use super::entry::dry_command;
use super::find::missing;
use super::layout::moment;
use super::{CtlError, Exit};

/// Messages to the callbacks of frontends, the waiting ones first.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "deliveries")]
pub(super) struct Deliveries {
    /// only those in that state: waiting, delivered, refused, dropped or dead
    #[argh(option, arg_name = "state")]
    state: Option<String>,
    /// only those to the frontend of that key; also --fe
    #[argh(option, arg_name = "key")]
    frontend: Option<String>,
    /// only those about the meeting of that id
    #[argh(option, arg_name = "id")]
    meeting: Option<String>,
}

dry_command! {
    /// Messages to the callbacks of frontends: retry, drop. Not known to the original.
    Delivery, "delivery"
}

#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand)]
enum What {
    Retry(RetryDelivery),
    Drop(DropDelivery),
}

/// Send a message at once, even a delivered one, with three days for further tries.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "retry")]
struct RetryDelivery {
    /// its id
    #[argh(positional)]
    id: String,
}

/// Drop a message that waits.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "drop")]
struct DropDelivery {
    /// its id
    #[argh(positional)]
    id: String,
}

impl Deliveries {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, CtlError> {
        let given = [("state", &self.state), ("frontend", &self.frontend), ("meeting", &self.meeting)];
        let filter: Vec<_> = given.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?))).collect();
        let deliveries = context.api().await?.deliveries(&filter).await?;
        let head = ["delivery", "kind", "frontend", "meeting", "host", "state", "attempts", "next try", "problem"];
        context.console.report(table(&head, deliveries.iter().map(row)), &deliveries)
    }
}

fn row(delivery: &rest::Delivery) -> Vec<String> {
    let shown = |text: &Option<String>| text.clone().unwrap_or_else(|| NOTHING.to_owned());
    vec![
        delivery.id.to_string(),
        CallbackKind::word(delivery.kind).to_owned(),
        delivery.frontend.clone(),
        delivery.meeting_id.clone(),
        shown(&delivery.host),
        DeliveryState::word(delivery.state).to_owned(),
        delivery.attempts.to_string(),
        delivery.next_try.map_or_else(|| NOTHING.to_owned(), moment),
        shown(&delivery.problem),
    ]
}

impl Delivery {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, CtlError> {
        match self.what {
            What::Retry(command) => command.run(context, self.dry).await,
            What::Drop(command) => command.run(context, self.dry).await,
        }
    }
}

impl RetryDelivery {
    async fn run(self, context: &Context, dry: bool) -> Result<Exit, CtlError> {
        let (id, api) = (&self.id, context.api_for_changes().await?);
        if dry {
            return context.console.skipping(format_args!("retry delivery {id}"));
        }
        let retried = api.retry_delivery(id).await.map_err(|error| unknown(&api, id, error))?;
        context.console.report(format_args!("retried delivery: {id}"), &retried)
    }
}

impl DropDelivery {
    async fn run(self, context: &Context, dry: bool) -> Result<Exit, CtlError> {
        let (id, api) = (&self.id, context.api_for_changes().await?);
        if dry {
            return context.console.skipping(format_args!("drop delivery {id}"));
        }
        let dropped = api.drop_delivery(id).await.map_err(|error| unknown(&api, id, error))?;
        context.console.report(format_args!("dropped delivery: {id}"), &dropped)
    }
}

/// The error, or that no such delivery waits.
fn unknown(api: &Api, id: &str, error: ApiError) -> CtlError {
    if error.is_not_found() { missing(api, "delivery", id, "b3scalectl show deliveries") } else { error.into() }
}
