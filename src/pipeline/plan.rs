//! The second step: every name found, every setting read, and the order proved by facts.
//!
//! The planner does no I/O. Beside unknown names and settings it finds: a stage whose facts nobody has established, one that
//! establishes a fact a second time, one that is not made for the call, a route that does not end in its one endpoint, and an
//! instance that no route uses.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use b3scale_middleware::bbb::CallKind;
use b3scale_middleware::{Contract, Fact};

use super::catalog::{Catalog, Entry, Planned, Role};
use super::document::{Document, Instance, Name, RouteText};
use super::problem::{Problem, Problems, Source};

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
    /// What the file calls it.
    pub name: String,
    /// The kind it is of.
    pub kind: &'static str,
    /// What it needs, gives and takes on this route.
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
    /// Instances that something is wrong with. What follows from that is not said again.
    broken: BTreeSet<&'d str>,
}

impl<'c, 'd, 't> Planner<'c, 'd, 't> {
    fn plan(&mut self, document: &'d Document<'t>) -> Vec<PlannedRoute> {
        for instance in &document.instances {
            self.register(instance);
        }
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
            let hint = "an instance with a name of its own says what it is: `use = \"KIND\"`";
            problem.did_you_mean(&kind.text, self.catalog.kinds()).or_hint(hint)
        })?;
        if kind.text != name.text && self.catalog.find(&name.text).is_some() {
            let message = format!("`{}` is the name of a kind, so it cannot be an instance of another", name.text);
            return Err(Problem::new(name.span.clone(), message).hint("choose another name"));
        }
        match entry.read(instance.settings.clone()) {
            Ok(_) => Ok(entry),
            Err(error) => Err(Problem::new(error.span().unwrap_or_else(|| name.span.clone()), error.message())),
        }
    }

    fn route(&mut self, route: &'d RouteText, common: &'d [Name]) -> Option<PlannedRoute> {
        let entry = route.entry.as_deref().unwrap_or(common);
        let call = CallKind::from_name(&route.call.text);
        if call.is_none() {
            let problem = Problem::new(route.call.span.clone(), format!("BBB has no call `{}`", route.call.text));
            self.problems.push(problem.did_you_mean(&route.call.text, CallKind::ALL.map(CallKind::name)));
        }
        // Every name is looked up, also behind one that is wrong, so that all that is wrong is said at once.
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
        let (entry, settings) = match self.instances.get(&*name.text) {
            Some((instance, entry)) => (*entry, instance.settings.clone()),
            None => match self.catalog.find(&name.text) {
                Some(entry) => (entry, toml::Spanned::new(name.span.clone(), toml::de::DeTable::new())),
                None => {
                    self.unknown_stage(name);
                    return None;
                }
            },
        };
        let planned = entry.read(settings).ok()?;
        let contract = planned.contract(call?);
        let (name, span) = (name.text.clone(), name.span.clone());
        Some(Step { name, kind: entry.kind, contract, role: entry.role, span, planned })
    }

    fn unknown_stage(&mut self, name: &Name) {
        let mut known: Vec<&str> = self.catalog.kinds().collect();
        known.extend(self.instances.keys());
        let problem = Problem::new(name.span.clone(), format!("there is no stage `{}`", name.text));
        self.problems.push(problem.did_you_mean(&name.text, known));
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
        for (place, step) in steps.iter().enumerate() {
            let contract = step.contract;
            if let Some(only) = contract.only.filter(|_| !contract.fits(call)) {
                let calls = only.iter().map(|call| format!("`{call}`")).collect::<Vec<_>>().join(", ");
                let message = format!("`{}` is not made for `{call}`", step.name);
                self.problems.push(Problem::new(step.span.clone(), message).hint(format!("it is made for {calls}")));
                return;
            }
            for fact in contract.needs.iter().chain(contract.takes).filter(|fact| !held.contains(fact)) {
                let message = format!("`{}` needs the fact `{fact}`, which nobody before it establishes", step.name);
                let hint = self.who_gives(*fact, call, &steps[..place], &steps[place + 1..]);
                self.problems.push(Problem::new(step.span.clone(), message).hint(hint));
            }
            // Said once is enough: the stages behind would only repeat it.
            held.extend(contract.needs);
            for fact in contract.gives.iter().filter(|fact| held.contains(fact)) {
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
