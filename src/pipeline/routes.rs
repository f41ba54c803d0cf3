//! The last two steps: layers made, put around one another, and kept in a table by call.

use b3scale_middleware::bbb::CallKind;
use b3scale_middleware::cluster::Policy;
use b3scale_middleware::{Next, Ports};
use sha2::{Digest, Sha256};

use super::plan::{Plan, PlannedRoute};
use super::problem::{Problem, Problems};

/// The stacks that calls travel through.
#[derive(Debug)]
pub struct Routes {
    stacks: [Option<Next>; CallKind::COUNT],
    policy: Policy,
    plan: String,
    hash: String,
}

impl Routes {
    /// Makes the layers of a plan. Done once a load, never per call.
    pub fn build(plan: Plan, ports: &Ports) -> Result<Routes, Problems> {
        let mut problems = Problems::new(plan.source.clone());
        let mut stacks = [const { None }; CallKind::COUNT];
        let (shown, policy) = (plan.to_string(), plan.policy());
        for route in plan.routes {
            let place = route.call.index();
            stacks[place] = stack(route, ports, &mut problems);
        }
        let digest = Sha256::digest(plan.source.text.as_bytes());
        let hash = digest[..6].iter().map(|byte| format!("{byte:02x}")).collect();
        problems.or(Routes { stacks, policy, plan: shown, hash })
    }

    /// The stack of a call, if the pipeline has a route for it.
    pub fn route(&self, call: CallKind) -> Option<Next> {
        self.stacks[call.index()].clone()
    }

    /// The pipeline's policy, put in force with its routes.
    pub fn policy(&self) -> Policy {
        self.policy
    }

    /// The plan that these routes were made of, as `--check` prints it.
    pub fn plan(&self) -> &str {
        &self.plan
    }

    /// Names the text that these routes were made from: servers with the same hash run the same pipeline.
    pub fn hash(&self) -> &str {
        &self.hash
    }
}

/// Builds from the endpoint outwards.
fn stack(route: PlannedRoute, ports: &Ports, problems: &mut Problems) -> Option<Next> {
    let mut rest = None;
    for step in route.steps.into_iter().rev() {
        match step.planned.build(&step.name, rest.take(), ports) {
            Ok(next) => rest = Some(next),
            Err(error) => {
                problems.push(Problem::new(step.span, error.to_string()));
                return None;
            }
        }
    }
    rest
}
