//! `import`: brings over what another system has, while it goes on running. Not known to the original.

use argh::{ArgsInfo, FromArgs};

use super::scalelite::{NAMESPACE, SingleTenant, Source};
use super::{b3scale, scalelite};
use crate::console::complain;
use crate::context::Context;
use crate::state::{Wanted, put};
use crate::{CtlError, Exit};

/// Import the records of another system. It is only read, and may go on running; a repetition imports new records.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "import")]
pub(crate) struct Import {
    #[argh(subcommand)]
    what: What,
}

#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand)]
enum What {
    B3scale(FromB3scale),
    Scalelite(FromScalelite),
}

/// From a database of the original b3scale: frontends, backends, meetings, and recordings without their files.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "b3scale")]
struct FromB3scale {
    /// its B3SCALE_DB_URL, as it is reached from here
    #[argh(option, arg_name = "url")]
    from: String,
    /// only show what would come
    #[argh(switch)]
    dry_run: bool,
}

/// From a scalelite: servers, tenants and running meetings.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "scalelite")]
struct FromScalelite {
    /// its REDIS_URL, as it is reached from here
    #[argh(option, arg_name = "url")]
    from: String,
    /// its DATABASE_URL, for the recordings, without their files
    #[argh(option, arg_name = "url")]
    from_db: Option<String>,
    /// its REDIS_NAMESPACE; default: scalelite
    #[argh(option, arg_name = "name", default = "NAMESPACE.to_owned()")]
    namespace: String,
    /// the key of the one frontend of a scalelite without tenants; needs --secret too
    #[argh(option)]
    key: Option<String>,
    /// the LOADBALANCER_SECRET of a scalelite without tenants; needs --key too
    #[argh(option, short = 's')]
    secret: Option<String>,
    /// only show what would come
    #[argh(switch)]
    dry_run: bool,
}

impl Import {
    pub(crate) async fn run(self, context: &Context) -> Result<Exit, CtlError> {
        // Who may not write here need not be read there.
        let api = context.api_for_changes().await?;
        let (imported, dry_run) = match self.what {
            What::B3scale(FromB3scale { from, dry_run }) => (b3scale::read(&from).await?, dry_run),
            What::Scalelite(command) => (scalelite::read(&command.source()?).await?, command.dry_run),
        };
        imported.notes.iter().for_each(|note| complain(&format!("note: {note}")));
        put(context, &api, &imported.into_parts(), Wanted { dry_run, moving: true, ..Wanted::default() }).await
    }
}

impl FromScalelite {
    fn source(&self) -> Result<Source, CtlError> {
        let single = match (&self.key, &self.secret) {
            (Some(key), Some(secret)) => Some(SingleTenant { key: key.clone(), secrets: secret.clone() }),
            (None, None) => None,
            _ => return Err(CtlError::Usage("--key and --secret are only of use together".to_owned())),
        };
        let (redis, postgres) = (self.from.clone(), self.from_db.clone());
        Ok(Source { redis, namespace: self.namespace.clone(), postgres, single })
    }
}
