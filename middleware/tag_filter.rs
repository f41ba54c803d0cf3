//! `tag-filter`: keeps the backends that carry the tags which the frontend requires, and of them those it chooses.
//!
//! ```toml
//! [stages.tag-filter]
//! tags = []                      # required for every frontend's meetings, in addition to its own `required_tags`
//! when-empty = "fail"            # or "ignore": rather a backend without the tags than none
//! choice = "meta_server-tag"     # the parameter by which a frontend chooses for one meeting; "": none
//! ```
//!
//! A choice is scalelite's: `gpu;fast;none!` is a backend with one of these tags or without any, and because of the `!` no
//! meeting at all where there is none. Without the `!` it is a wish. A frontend that has `allowed_tags` chooses among those.
//! A running meeting stays in its place, even after a change of tags.
//!
//! ```
//! use b3scale_middleware::bbb::CallKind;
//! use b3scale_middleware::{memory::Memory, tag_filter::TagFilter};
//!
//! # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
//! let cluster = Memory::new().frontend_with("school", |settings| settings.required_tags = Some(["eu"].iter().collect()));
//! let cluster = cluster.backend("n1", &["eu"]).backend("n2", &["us"]);
//! let (seen, _) = cluster.through(TagFilter::default(), cluster.pooled(CallKind::Create, "m1")).await;
//! assert_eq!(seen.expect("it goes on").facts.candidates_mut()?.len(), 1);
//! # Ok::<(), b3scale_middleware::Fault>(()) })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::sync::Arc;

use serde::Deserialize;

use crate::bbb::CallKind;
use crate::call::Call;
use crate::cluster::{Refusal, TagChoice, Tags};
use crate::contract::{Contract, Fact};
use crate::facts::Candidates;
use crate::fault::Fault;
use crate::ports::Ports;
use crate::stage::{SetupError, Stage, StageLayer, Transform};

/// Settings of `tag-filter`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct TagFilter {
    /// Tags required in addition to the frontend's own.
    pub tags: Tags,
    /// What to do when no backend carries the tags.
    pub when_empty: WhenEmpty,
    /// The parameter by which a frontend chooses for one meeting. Empty: none.
    pub choice: String,
}

impl Default for TagFilter {
    fn default() -> Self {
        Self { tags: Tags::default(), when_empty: WhenEmpty::Fail, choice: "meta_server-tag".to_owned() }
    }
}

/// What to do when no backend carries the tags.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WhenEmpty {
    /// Answer that there is no backend.
    #[default]
    Fail,
    /// Go on with the backends there were.
    Ignore,
}

impl Stage for TagFilter {
    const KIND: &'static str = "tag-filter";
    type Layer = StageLayer<Self>;

    fn contract(&self, _: CallKind) -> Contract {
        Contract::needs(&[Fact::Frontend, Fact::Candidates])
    }

    fn layer(self, _: &Ports) -> Result<StageLayer<Self>, SetupError> {
        Ok(StageLayer::new(self))
    }
}

impl Transform for TagFilter {
    fn transform(&self, call: &mut Call) -> Result<(), Fault> {
        let frontend = Arc::clone(call.facts.frontend()?);
        // A tag that anybody may have added is no choice of the frontend's.
        let chosen = call.params.covered(&self.choice).filter(|_| !self.choice.is_empty());
        let choice = chosen.and_then(|text| TagChoice::read(text, frontend.settings.allowed_tags.as_ref()));
        let required = frontend.settings.required_tags();
        let candidates = call.facts.candidates_mut()?;

        let mut kept = candidates.clone();
        kept.judge(TagFilter::KIND, |backend| {
            let missing = backend.tags.missing(required).or_else(|| backend.tags.missing(&self.tags));
            missing.map_or(Ok(()), |tag| Err(Refusal::new("tags", format!("it lacks the tag `{tag}`"))))
        });
        match self.when_empty {
            WhenEmpty::Fail => kept.or_none()?,
            WhenEmpty::Ignore if kept.is_empty() => kept = candidates.clone(),
            WhenEmpty::Ignore => {}
        }
        if let Some(choice) = choice {
            choose(&mut kept, &choice, required)?;
        }
        *candidates = kept;
        Ok(())
    }
}

fn choose(candidates: &mut Candidates, choice: &TagChoice, bound: &Tags) -> Result<(), Fault> {
    let mut kept = candidates.clone();
    kept.judge(TagFilter::KIND, |backend| {
        let none_of = || Refusal::new("tags", format!("it is none of the chosen `{}`", choice.words()));
        choice.accepts(&backend.tags, bound).then_some(()).ok_or_else(none_of)
    });
    match kept.or_none() {
        Ok(()) => *candidates = kept,
        Err(Fault::NoBackend(placement)) if choice.required => {
            return Err(Fault::NoTaggedBackend { tags: choice.words().into(), placement });
        }
        // A wish that no backend can grant.
        Err(_) => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Memory;

    fn cluster(required: &[&str]) -> Memory {
        let required = required.iter().collect();
        Memory::new()
            .frontend_with("school", |settings| settings.required_tags = Some(required))
            .backend("eu", &["eu"])
            .backend("gpu", &["eu", "gpu"])
    }

    async fn kept(cluster: &Memory, stage: TagFilter) -> Result<usize, Fault> {
        let (seen, reply) = cluster.through(stage, cluster.pooled(CallKind::Create, "m1")).await;
        match seen {
            Some(mut call) => Ok(call.facts.candidates_mut()?.len()),
            None => Err(reply.unwrap_err()),
        }
    }

    #[tokio::test]
    async fn all_required_tags_must_be_there() {
        assert_eq!(kept(&cluster(&["eu", "gpu"]), TagFilter::default()).await, Ok(1));
        assert_eq!(kept(&cluster(&[]), TagFilter::default()).await, Ok(2));
    }

    #[tokio::test]
    async fn without_a_match_there_is_no_backend() {
        let fault = kept(&cluster(&["us"]), TagFilter::default()).await.unwrap_err().to_string();
        assert!(fault.ends_with("2 × tag-filter: it lacks the tag `us` (eu.example, gpu.example)"), "{fault}");
    }

    #[tokio::test]
    async fn without_a_match_the_tags_can_be_ignored() {
        let stage = TagFilter { when_empty: WhenEmpty::Ignore, ..TagFilter::default() };
        assert_eq!(kept(&cluster(&["us"]), stage).await, Ok(2));
    }

    #[tokio::test]
    async fn an_instance_can_ask_for_tags_of_its_own() {
        let stage = TagFilter { tags: ["gpu"].iter().collect(), ..TagFilter::default() };
        assert_eq!(kept(&cluster(&[]), stage).await, Ok(1));
    }

    /// The hosts that are left when a frontend bound to `eu` chooses.
    async fn chosen(choice: &str) -> Result<Vec<String>, Fault> {
        let cluster = cluster(&["eu"]).backend("us", &["us"]);
        let mut call = cluster.pooled(CallKind::Create, "m1");
        call.params.set("meta_server-tag", choice);
        let (seen, reply) = cluster.through(TagFilter::default(), call).await;
        match seen {
            Some(mut call) => {
                Ok(call.facts.candidates_mut()?.backends().iter().map(|one| one.host().to_owned()).collect())
            }
            None => Err(reply.unwrap_err()),
        }
    }

    #[tokio::test]
    async fn a_frontend_chooses_among_what_it_may_have() {
        assert_eq!(chosen("gpu").await.unwrap(), ["gpu.example"]);
        assert_eq!(chosen("none!").await.unwrap(), ["eu.example"], "it is bound to that tag anyway");
        assert_eq!(chosen("us").await.unwrap(), ["eu.example", "gpu.example"], "a wish that cannot be granted");
    }

    #[tokio::test]
    async fn a_choice_that_is_insisted_on_and_cannot_be_had_is_named_to_the_tenant() {
        let fault = chosen("us;vip!").await.unwrap_err();
        assert_eq!(fault.message_key(CallKind::Create), "serverTagUnavailable");
        assert_eq!(fault.message(CallKind::Create), "There is no available server with the required tag=us;vip.");
    }
}
