//! `params-rewrite`: the frontend's defaults and overrides for `create` and `join`.
//!
//! ```toml
//! [stages.params-rewrite]
//! ```
//!
//! Overrides are set first, in the place of every spelling of their names, then defaults where the call has no such parameter;
//! an empty parameter counts as present. `disabledFeatures` is the exception: a default list is added to the call's
//! own. The ids of meetings are never touched. Any other call passes unchanged.
//!
//! The stage stands before all readers of its parameters. `meeting-scope` reads `isBreakout`, for one. A failed join's wishes for
//! its answer (`errorRedirectUrl`, `logoutURL`, `redirect`) are read with these settings wherever it failed.
//!
//! ```
//! use b3scale_middleware::bbb::CallKind;
//! use b3scale_middleware::{memory::Memory, params_rewrite::ParamsRewrite};
//!
//! # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
//! let cluster = Memory::new().frontend_with("school", |settings| {
//!     settings.create_override_params.insert("record".to_owned(), "false".to_owned());
//! });
//! let (seen, _) = cluster.through(ParamsRewrite {}, cluster.verified(CallKind::Create, "record=true")).await;
//! assert_eq!(seen.expect("it goes on").params.first("record"), Some("false"));
//! # });
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use serde::Deserialize;

use crate::bbb::{self, CallKind, Params};
use crate::call::Call;
use crate::cluster::{FrontendSettings, ParamMap};
use crate::contract::{Contract, Fact};
use crate::fault::Fault;
use crate::ports::Ports;
use crate::stage::{SetupError, Stage, StageLayer, Transform};

/// What no setting may change: which meeting a call means, and the checksum, which is not a parameter.
const FIXED: [&str; 3] = ["meetingID", "parentMeetingID", "checksum"];

const FEATURES: &str = "disabledFeatures";

/// Settings of `params-rewrite`: none; each frontend's own settings have the values.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ParamsRewrite {}

impl Stage for ParamsRewrite {
    const KIND: &'static str = "params-rewrite";
    type Layer = StageLayer<Self>;

    fn contract(&self, call: CallKind) -> Contract {
        match call {
            CallKind::Create => {
                Contract::needs(&[Fact::Frontend, Fact::Checksum, Fact::OpenParams, Fact::OpenCallbacks])
            }
            CallKind::Join => Contract::needs(&[Fact::Frontend, Fact::Checksum, Fact::OpenParams, Fact::OpenAttendee]),
            _ => Contract::needs(&[Fact::Frontend, Fact::Checksum, Fact::OpenParams]),
        }
    }

    fn layer(self, _: &Ports) -> Result<StageLayer<Self>, SetupError> {
        Ok(StageLayer::new(self))
    }
}

impl Transform for ParamsRewrite {
    fn transform(&self, call: &mut Call) -> Result<(), Fault> {
        let settings = &call.facts.frontend()?.settings;
        rewrite(call.kind, settings, &mut call.params);
        Ok(())
    }
}

/// Gives the parameters of a call the values that its frontend's settings say. The way out does so, too, for a join that fails
/// before it meets the stage.
pub fn rewrite(kind: CallKind, settings: &FrontendSettings, params: &mut Params) {
    match kind {
        CallKind::Create => apply(params, &settings.create_override_params, &settings.create_default_params),
        CallKind::Join => apply(params, &settings.join_override_params, &settings.join_default_params),
        _ => {}
    }
}

fn apply(params: &mut Params, overrides: &ParamMap, defaults: &ParamMap) {
    for (name, value) in changeable(overrides) {
        params.set(name, value);
    }
    for (name, value) in changeable(defaults) {
        if name == FEATURES {
            let merged = merged_list(params.first(FEATURES).unwrap_or_default(), value);
            params.set(FEATURES, &merged);
        } else {
            params.set_default(name, value);
        }
    }
}

fn changeable(map: &ParamMap) -> impl Iterator<Item = (&String, &String)> {
    map.iter().filter(|(name, _)| !name.is_empty() && !FIXED.iter().any(|fixed| bbb::are_alike(fixed, name)))
}

/// Both comma lists, without empty entries; of equal entries the first stays.
fn merged_list(first: &str, second: &str) -> String {
    let mut entries: Vec<&str> = Vec::new();
    for entry in first.split(',').chain(second.split(',')).map(str::trim) {
        if !entry.is_empty() && !entries.contains(&entry) {
            entries.push(entry);
        }
    }
    entries.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Memory;

    fn map(pairs: &[(&str, &str)]) -> ParamMap {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    async fn rewritten(kind: CallKind, query: &str, settings: impl FnOnce(&mut FrontendSettings)) -> Params {
        let cluster = Memory::new().frontend_with("school", settings);
        let (seen, _) = cluster.through(ParamsRewrite {}, cluster.verified(kind, query)).await;
        seen.unwrap().params
    }

    #[tokio::test]
    async fn an_override_wins_over_the_call_and_the_default() {
        let params = rewritten(CallKind::Join, "guest=false", |settings| {
            settings.join_override_params = map(&[("guest", "true")]);
            settings.join_default_params = map(&[("guest", "maybe")]);
        });
        assert_eq!(params.await.first("guest"), Some("true"));
    }

    #[tokio::test]
    async fn an_override_wins_over_every_spelling_and_repetition() {
        let query = "%72ecord=1&RECORD=true&record=true&record[]=true&record%00=true&meta_X=1&meta_x=2&userdata-Y=1";
        let params = rewritten(CallKind::Create, query, |settings| {
            settings.create_override_params = map(&[("record", "false"), ("meta_x", "3"), ("userdata-y", "4")]);
        });
        assert_eq!(params.await.encode(), "record=false&meta_x=3&userdata-y=4");
    }

    #[tokio::test]
    async fn a_setting_in_another_spelling_means_what_bbb_reads() {
        let params = rewritten(CallKind::Join, "role=MODERATOR", |settings| {
            settings.join_override_params = map(&[("Role", "VIEWER")]);
            settings.join_default_params = map(&[("GUEST", "true")]);
        });
        assert_eq!(params.await.encode(), "role=VIEWER&guest=true");
    }

    #[tokio::test]
    async fn an_override_in_another_spelling_never_reaches_an_id() {
        let params = rewritten(CallKind::Create, "meetingID=m1", |settings| {
            settings.create_override_params = map(&[("MeetingID", "stolen"), ("parentMeetingID ", "x")]);
        });
        assert_eq!(params.await.encode(), "meetingID=m1");
    }

    #[tokio::test]
    async fn a_default_fills_only_what_is_absent() {
        let defaults = |settings: &mut FrontendSettings| {
            settings.create_default_params = map(&[("welcome", "Hello"), ("logo", "l.png")]);
        };
        let params = rewritten(CallKind::Create, "welcome=", defaults).await;
        assert_eq!(params.first("welcome"), Some(""), "present and empty is present");
        assert_eq!(params.first("logo"), Some("l.png"));
    }

    #[tokio::test]
    async fn disabled_features_are_added_to_the_calls_own() {
        let params = rewritten(CallKind::Create, "disabledFeatures=chat,,polls", |settings| {
            settings.create_default_params = map(&[("disabledFeatures", "polls, captions")]);
        });
        assert_eq!(params.await.first("disabledFeatures"), Some("chat,polls,captions"));
    }

    #[tokio::test]
    async fn the_meetings_id_is_never_touched() {
        let params = rewritten(CallKind::Create, "meetingID=m1", |settings| {
            settings.create_override_params = map(&[("meetingID", "stolen"), ("", "x")]);
        });
        assert_eq!(params.await.first("meetingID"), Some("m1"));
    }

    #[tokio::test]
    async fn settings_of_create_do_not_reach_other_calls() {
        let params = rewritten(CallKind::End, "", |settings| {
            settings.create_override_params = map(&[("record", "false")]);
        });
        assert_eq!(params.await.first("record"), None);
    }
}
