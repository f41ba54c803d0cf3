//! The second step: every name found, every setting read, and the order proved by facts.
//!
//! The planner does no I/O. Apart from unknown names and settings it finds: a stage without its needed facts, a stage that
//! establishes a fact a second time or is not made for the call, a route that does not end in its one endpoint, and an
//! instance that no route uses.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use b3scale_base::names::nearest;
use b3scale_middleware::bbb::CallKind;
use b3scale_middleware::cluster::Policy;
use b3scale_middleware::{Contract, Fact};

use super::catalog::{Catalog, Entry, Planned, Role};
use super::document::{Document, Instance, Name, RouteText};
use super::problem::{Problem, Problems, Source, names_near};
use super::settings::examine;

/// Fields that the table of an unknown kind may lack.
const ITS_OWN: &str = "an instance with a name of its own says what it is: `use = \"KIND\"`.";

/// Where all of them are listed.
const ALL_KINDS: &str = "All kinds: `b3scalectl pipeline catalog`";

/// A pipeline that makes sense.
pub struct Plan {
    pub(super) source: Source,
    pub(super) routes: Vec<PlannedRoute>,
}

/// One route, entry included.
pub struct PlannedRoute {
    /// The call.
    pub call: CallKind,
    /// The stages in the order the call meets them; the last is the endpoint.
    pub steps: Vec<Step>,
}

/// One stage on a route.
pub struct Step {
    /// Its name in the file.
    pub name: String,
    /// The kind it is of.
    pub kind: &'static str,
    /// Its contract on this route.
    pub contract: Contract,
    pub(super) role: Role,
    pub(super) span: Range<usize>,
    pub(super) planned: Box<dyn Planned>,
}

impl Plan {
    /// Reads a text and plans it.
    pub fn read(source: &Source, catalog: &Catalog) -> Result<Plan, Problems> {
        let mut problems = Problems::new(source.clone());
        let document = Document::read(source, &mut problems);
        let mut planner =
            Planner { catalog, problems, instances: BTreeMap::new(), used: BTreeSet::new(), broken: BTreeSet::new() };
        let routes = planner.plan(&document);
        planner.problems.or(routes).map(|routes| Plan { source: source.clone(), routes })
    }

    /// The policy of its stages.
    pub fn policy(&self) -> Policy {
        let mut policy = Policy::default();
        self.routes.iter().flat_map(|route| &route.steps).for_each(|step| step.planned.set_policy(&mut policy));
        policy
    }

    /// The routes, in the order of the file.
    pub fn routes(&self) -> &[PlannedRoute] {
        &self.routes
    }
}

struct Planner<'c, 'd, 't> {
    catalog: &'c Catalog,
    problems: Problems,
    instances: BTreeMap<&'d str, (&'d Instance<'t>, &'c Entry)>,
    used: BTreeSet<&'d str>,
    /// Instances of no kind. Consequences of that are not reported.
    broken: BTreeSet<&'d str>,
}

impl<'c, 'd, 't> Planner<'c, 'd, 't> {
    fn plan(&mut self, document: &'d Document<'t>) -> Vec<PlannedRoute> {
        document.instances.iter().for_each(|instance| self.register(instance));
        // The parser sorts keys; people read the file.
        let mut texts: Vec<&RouteText> = document.routes.iter().collect();
        texts.sort_by_key(|route| route.call.span.start);
        let routes = texts.into_iter().filter_map(|route| self.route(route, &document.entry)).collect();
        for instance in &document.instances {
            if !self.used.contains(&*instance.name.text) && !self.broken.contains(&*instance.name.text) {
                let message = format!("no route uses `{}`", instance.name.text);
                let problem = Problem::new(instance.name.span.clone(), message);
                self.problems.push(problem.hint("name it on a route, or remove its table"));
            }
        }
        routes
    }

    fn register(&mut self, instance: &'d Instance<'t>) {
        match self.entry_of(instance) {
            Ok(entry) => {
                self.instances.insert(&instance.name.text, (instance, entry));
                examine(entry, instance).into_iter().for_each(|problem| self.problems.push(problem));
            }
            Err(problem) => {
                self.broken.insert(&instance.name.text);
                self.problems.push(problem);
            }
        }
    }

    fn entry_of(&self, instance: &Instance<'t>) -> Result<&'c Entry, Problem> {
        let (name, kind) = (&instance.name, &instance.kind);
        let entry = self.catalog.find(&kind.text).ok_or_else(|| {
            let problem = Problem::new(kind.span.clone(), format!("there is no kind of stage `{}`", kind.text));
            let is_own_name = kind == name && nearest(&kind.text, self.catalog.kinds()).is_none();
            let hint = if is_own_name { ITS_OWN.into() } else { names_near(&kind.text, self.catalog.kinds()) };
            problem.hint(format!("{hint} {ALL_KINDS}"))
        })?;
        if kind.text != name.text && self.catalog.find(&name.text).is_some() {
            let message = format!("`{}` is the name of a kind, so it cannot be an instance of another", name.text);
            return Err(Problem::new(name.span.clone(), message).hint("choose another name"));
        }
        Ok(entry)
    }

    fn route(&mut self, route: &'d RouteText, common: &'d [Name]) -> Option<PlannedRoute> {
        let entry = route.entry.as_deref().unwrap_or(common);
        let call = CallKind::from_name(&route.call.text);
        if call.is_none() {
            let problem = Problem::new(route.call.span.clone(), format!("BBB has no call `{}`", route.call.text));
            self.problems.push(problem.did_you_mean(&route.call.text, CallKind::ALL.map(CallKind::name)));
        }
        // Every name is looked up, also after a wrong one, so that all errors are reported at once.
        let steps: Vec<Option<Step>> = entry.iter().chain(&route.stages).map(|name| self.step(name, call)).collect();
        let (call, steps) = (call?, steps.into_iter().collect::<Option<Vec<Step>>>()?);
        self.check_end(route, &steps);
        self.check_order(call, &steps);
        Some(PlannedRoute { call, steps })
    }

    fn step(&mut self, name: &'d Name, call: Option<CallKind>) -> Option<Step> {
        self.used.insert(&name.text);
        if self.broken.contains(&*name.text) {
            return None;
        }
        let named = self.instances.get(&*name.text);
        let Some(entry) = named.map(|(_, entry)| *entry).or_else(|| self.catalog.find(&name.text)) else {
            self.unknown_stage(name);
            return None;
        };
        // Where settings are wrong, those by default show what else is.
        let written = named.and_then(|(instance, _)| entry.read(instance.settings.clone()).ok());
        let planned = written.or_else(|| entry.by_default())?;
        let contract = planned.contract(call?);
        let (name, span) = (name.text.clone(), name.span.clone());
        Some(Step { name, kind: entry.kind, contract, role: entry.role, span, planned })
    }

    fn unknown_stage(&mut self, name: &Name) {
        let mut known: Vec<&'d str> = self.catalog.kinds().collect();
        known.extend(self.instances.keys());
        // The table of the nearest name does not count as unused.
        self.used.extend(nearest(&name.text, known.iter().copied()));
        let hint = format!("{} {ALL_KINDS}", names_near(&name.text, known));
        let problem = Problem::new(name.span.clone(), format!("there is no stage `{}`", name.text));
        self.problems.push(problem.hint(hint));
    }

    fn check_end(&mut self, route: &RouteText, steps: &[Step]) {
        for early in steps.iter().rev().skip(1).filter(|step| step.role == Role::Endpoint) {
            let message = format!("`{}` is an endpoint: nothing behind it is ever reached", early.name);
            self.problems.push(Problem::new(early.span.clone(), message).hint("put it last"));
        }
        if !route.stages.is_empty() && steps.last().is_none_or(|last| last.role == Role::Stage) {
            let span = steps.last().map_or(route.span.clone(), |last| last.span.clone());
            let message = format!("the route `{}` does not end in an endpoint", route.call.text);
            let endpoints = self.catalog.iter().filter(|entry| entry.role == Role::Endpoint);
            let list = endpoints.map(|entry| format!("`{}`", entry.kind)).collect::<Vec<_>>().join(", ");
            self.problems.push(Problem::new(span, message).hint(format!("the endpoints are {list}")));
        }
    }

    fn check_order(&mut self, call: CallKind, steps: &[Step]) {
        let mut held: BTreeSet<Fact> = Fact::AT_THE_DOOR.iter().copied().collect();
        // Facts that were missed, said once. A stage that establishes one further behind stands in the wrong place, no more.
        let mut missing: BTreeSet<Fact> = BTreeSet::new();
        for (place, step) in steps.iter().enumerate() {
            let contract = step.contract;
            if let Some(only) = contract.only.filter(|_| !contract.fits(call)) {
                let calls = only.iter().map(|call| format!("`{call}`")).collect::<Vec<_>>().join(", ");
                let message = format!("`{}` is not made for `{call}`", step.name);
                self.problems.push(Problem::new(step.span.clone(), message).hint(format!("it is made for {calls}")));
                return;
            }
            for fact in contract.needs.iter().chain(contract.takes).filter(|fact| !held.contains(fact)) {
                let message = format!("`{}` needs the fact `{fact}`, which no stage before it gives", step.name);
                let hint = self.who_gives(*fact, call, &steps[..place], &steps[place + 1..]);
                self.problems.push(Problem::new(step.span.clone(), message).hint(hint));
                missing.insert(*fact);
            }
            held.extend(contract.needs);
            for fact in contract.gives.iter().filter(|fact| !missing.remove(fact) && held.contains(fact)) {
                let message = format!("`{}` establishes the fact `{fact}`, which is established already", step.name);
                self.problems.push(Problem::new(step.span.clone(), message).hint("remove one of the two"));
            }
            held.extend(contract.gives);
            held.retain(|fact| !contract.takes.contains(fact));
        }
    }

    fn who_gives(&self, fact: Fact, call: CallKind, before: &[Step], behind: &[Step]) -> String {
        if let Some(taker) = before.iter().find(|step| step.contract.takes.contains(&fact)) {
            return format!("`{}` has taken it; put this stage before that", taker.name);
        }
        if let Some(giver) = behind.iter().find(|step| step.contract.gives.contains(&fact)) {
            return format!("`{}` establishes it; put that before this stage", giver.name);
        }
        let gives = |entry: &&Entry| entry.contract(call).is_some_and(|it| it.fits(call) && it.gives.contains(&fact));
        match self.catalog.iter().find(gives) {
            Some(giver) => format!("put `{}` before it", giver.kind),
            None => format!("no stage establishes it for `{call}`"),
        }
    }
}
