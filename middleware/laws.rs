//! The stage laws: they hold for every entry of the catalog.

use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use futures_util::FutureExt;
use futures_util::future::{Ready, ready};
use tower::{Layer, Service, ServiceExt};

use crate::bbb::CallKind;
use crate::call::{Call, Reply};
use crate::cluster::MeetingState;
use crate::contract::Fact;
use crate::fault::Fault;
use crate::memory::Memory;
use crate::stage::{Endpoint, Next, Stage, Visitor};

/// Gathers each law's verdict on each entry, so that a failure names all that break it.
struct Laws {
    seen: Vec<&'static str>,
    broken: Vec<String>,
}

impl Laws {
    fn hold(&mut self, law: &str, kind: &str, holds: bool) {
        if !holds {
            self.broken.push(format!("{kind}: {law}"));
        }
    }

    fn of_any_entry<T: serde::de::DeserializeOwned>(&mut self, kind: &'static str) {
        self.seen.push(kind);
        let source = source(kind);
        self.hold("there is a file of its name", kind, source.is_some());
        let documented = source.as_deref().and_then(documented_settings).unwrap_or_default();
        self.hold("its documentation opens with its settings table", kind, documented.contains_key(kind));
        let settings = documented.get(kind).cloned().unwrap_or(toml::Value::Boolean(false));
        self.hold("its documented settings can be read", kind, settings.clone().try_into::<T>().is_ok());
        let mut unknown = toml::Table::new();
        unknown.insert("no-such-key".to_owned(), toml::Value::Boolean(true));
        self.hold("an unknown key is refused", kind, unknown.try_into::<T>().is_err());
        self.hold("it has defaults", kind, toml::Table::new().try_into::<T>().is_ok());
    }
}

impl Visitor for Laws {
    fn stage<S: Stage>(&mut self) {
        self.of_any_entry::<S>(S::KIND);
        for kind in CallKind::ALL {
            let cluster = cluster();
            let Some(call) = prepared::<S>(&cluster, kind) else { continue };
            let trial = Trial { cluster, call, settings: settings::<S> };
            self.hold("it calls the rest when that is ready, and not before", S::KIND, trial.waits_for_readiness());
            self.hold("a fault from behind passes untouched", S::KIND, trial.passes_faults());
            self.hold("it gives what it declares, and takes what it declares", S::KIND, trial.keeps_contract());
        }
    }

    fn endpoint<E: Endpoint>(&mut self) {
        self.of_any_entry::<E>(E::KIND);
        for kind in CallKind::ALL {
            let contract = settings::<E>().contract(kind);
            self.hold("an endpoint gives nothing", E::KIND, contract.gives.is_empty() && contract.takes.is_empty());
        }
    }
}

#[test]
fn every_entry_of_the_catalog_keeps_the_laws() {
    let mut laws = Laws { seen: Vec::new(), broken: Vec::new() };
    crate::visit(&mut laws);
    assert!(laws.broken.is_empty(), "{:#?}", laws.broken);
    let mut sorted = laws.seen.clone();
    sorted.sort_unstable();
    sorted.dedup();
    assert_eq!(sorted.len(), laws.seen.len(), "no kind stands in the catalog twice");
}

fn settings<T: serde::de::DeserializeOwned>() -> T {
    toml::Table::new().try_into().expect("settings have defaults")
}

fn source(kind: &str) -> Option<String> {
    let path = format!("{}/{}.rs", env!("CARGO_MANIFEST_DIR"), kind.replace('-', "_"));
    std::fs::read_to_string(path).ok()
}

/// The `[stages.…]` table in the first TOML block of a file's documentation.
fn documented_settings(source: &str) -> Option<toml::Table> {
    let lines = source.lines().map_while(|line| line.strip_prefix("//!")).map(str::trim_start);
    let block: Vec<&str> =
        lines.skip_while(|line| *line != "```toml").skip(1).take_while(|line| *line != "```").collect();
    let document: toml::Table = block.join("\n").parse().ok()?;
    document.get("stages")?.as_table().cloned()
}

/// A call with every fact that the stage needs on that route, or `None` if no stages before it can make one.
fn prepared<S: Stage>(cluster: &Memory, kind: CallKind) -> Option<Call> {
    let of_a_meeting = !matches!(kind, CallKind::Index | CallKind::GetMeetings | CallKind::GetSessions);
    let contract = settings::<S>().contract(kind);
    let needs = contract.needs;
    let takes_candidates = contract.takes.contains(&Fact::Candidates) || needs.contains(&Fact::Candidates);
    if !contract.fits(kind) || (takes_candidates && kind != CallKind::Create) {
        return None;
    }
    let call = match needs {
        _ if needs.is_empty() => cluster.call(kind, "meetingID=m1"),
        [Fact::Frontend] => {
            let signed = cluster.verified(kind, "meetingID=m1");
            cluster.resolved(kind, signed.params.raw())
        }
        _ if takes_candidates => cluster.pooled(kind, "m1"),
        _ if needs.contains(&Fact::Meeting) => cluster.looked_up(kind, "m1"),
        _ if !of_a_meeting => return None,
        _ if needs.contains(&Fact::Backend) => cluster.placed(kind, "m1", "n1"),
        _ if needs.contains(&Fact::Scope) => cluster.scoped(kind, "m1"),
        _ => cluster.verified(kind, "meetingID=m1"),
    };
    Some(call)
}

/// A cluster with one meeting for every call but `create`, which makes its own.
fn cluster() -> Memory {
    let cluster = Memory::new().frontend("school", "secret").backend("n1", &[]);
    cluster.meeting("school", "m1", "n1", MeetingState::Live).replies_created()
}

/// The rest of the pipeline: not ready at first, and cross if it is called all the same.
#[derive(Clone)]
struct Sluggish {
    readied: bool,
    polls: Arc<Mutex<u32>>,
    seen: Arc<Mutex<Option<Call>>>,
    reply: Result<Reply, Fault>,
}

impl Sluggish {
    fn new(reply: Result<Reply, Fault>) -> Self {
        Self { readied: false, polls: Arc::default(), seen: Arc::default(), reply }
    }
}

impl Service<Call> for Sluggish {
    type Response = Reply;
    type Error = Fault;
    type Future = Ready<Result<Reply, Fault>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        let mut polls = self.polls.lock().unwrap();
        *polls += 1;
        if *polls == 1 {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.readied = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: Call) -> Self::Future {
        assert!(self.readied, "called before it was ready");
        self.seen.lock().unwrap().get_or_insert(call);
        ready(self.reply.clone())
    }
}

/// One stage, and a call that has all it needs.
struct Trial<S> {
    cluster: Memory,
    call: Call,
    settings: fn() -> S,
}

impl<S: Stage> Trial<S> {
    fn run(&self, rest: &Sluggish) -> Option<Result<Reply, Fault>> {
        let layer = (self.settings)().layer(&self.cluster.ports()).expect("defaults can be used");
        let mut running = Box::pin(layer.layer(Next::new(rest.clone())).oneshot(self.call.clone()));
        // The rest is pending once; a stage that waits for it is done at the second look.
        (&mut running).now_or_never().or_else(|| running.now_or_never())
    }

    fn waits_for_readiness(&self) -> bool {
        let rest = Sluggish::new(created());
        self.run(&rest).is_some() && *rest.polls.lock().unwrap() >= 2
    }

    fn passes_faults(&self) -> bool {
        let fault = Fault::Internal("from behind".to_owned());
        self.run(&Sluggish::new(Err(fault.clone()))) == Some(Err(fault))
    }

    fn keeps_contract(&self) -> bool {
        let contract = (self.settings)().contract(self.call.kind);
        let rest = Sluggish::new(created());
        self.run(&rest);
        let Some(seen) = rest.seen.lock().unwrap().take() else { return false };
        let (before, behind) = (self.call.facts.established(), seen.facts.established());
        let given = contract.gives.iter().all(|fact| behind.contains(fact));
        let taken = contract.takes.iter().all(|fact| !behind.contains(fact));
        let undeclared = behind.iter().any(|fact| !before.contains(fact) && !contract.gives.contains(fact));
        given && taken && !undeclared
    }
}

fn created() -> Result<Reply, Fault> {
    let document = "<response><returncode>SUCCESS</returncode><internalMeetingID>i</internalMeetingID></response>";
    Reply::xml(document.into()).read(crate::cluster::BackendId(uuid::Uuid::nil()))
}
