//! `explain`: why a meeting would be placed where it would. Not known to the original.

use argh::{ArgsInfo, FromArgs};
use b3scale_base::program::table::NOTHING;
use b3scale_base::rest::Candidate;

use super::console::table;
use super::context::Context;
use super::find::missing;
use super::layout::warned;
use super::param::Param;
use super::{CtlError, Exit};

/// Explain the cluster's decisions.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "explain")]
pub(super) struct Explain {
    #[argh(subcommand)]
    what: What,
}

#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand)]
enum What {
    Create(ExplainCreate),
}

/// Say what would become of every backend if a frontend created a meeting now. Nothing is created.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "create")]
struct ExplainCreate {
    /// the key of the frontend
    #[argh(option, arg_name = "key")]
    frontend: String,
    /// a parameter of the create, as NAME=VALUE; may be repeated
    #[argh(option, arg_name = "name=value")]
    param: Vec<Param>,
}

impl Explain {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, CtlError> {
        let What::Create(ExplainCreate { frontend, param }) = self.what;
        let (api, _) = context.connect().await?;
        let explanation = match api.explain_create(&frontend, &Param::pairs(&param)).await {
            Err(error) if error.is_not_found() => {
                return Err(missing(&api, "frontend", &frontend, "b3scalectl show frontends"));
            }
            explanation => explanation?,
        };
        let warning = warned(explanation.database.as_deref());
        let chosen = explanation.chosen.as_deref().map_or_else(
            || format!("No backend would take a meeting of {frontend} now."),
            |host| format!("A meeting of {frontend} would go to {host}"),
        );
        let head = ["verdict", "backend", "load", "stage", "reason"];
        let candidates = table(&head, explanation.candidates.iter().map(row));
        context.console.report(format_args!("{warning}{chosen}\n\n{candidates}"), &explanation)
    }
}

fn row(candidate: &Candidate) -> Vec<String> {
    let nothing = || NOTHING.to_owned();
    vec![
        candidate.verdict.to_string(),
        candidate.host.clone(),
        candidate.load.map_or_else(nothing, |load| format!("{load:.1}")),
        candidate.stage.clone().unwrap_or_else(nothing),
        candidate.reason.clone(),
    ]
}
