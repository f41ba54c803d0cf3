//! Allocations of a call in each route of the shipped pipeline.
//!
//! Counted on the thread that carries the call, from the moment the route is called until it has answered: the futures of
//! all stages, their own allocations, and the boxes that the ports' signatures ask for. The ports are those of a [`Frozen`]
//! cluster, which add nothing of their own. Counts do not depend on the machine.
//!
//! Two figures are measured alone and subtracted, since they grow with the input and not with the route: the allocations of the
//! endpoint for the same call without stages, and those of reading a node's document once more, or the body of a call that has one.
//! `backend-select` reads it for the meeting's internal id and its entry in lists, `meeting-scope` to put the
//! tenant's own id back.
//! The rest are allocations of the stages and of the engine between them. The document here does not name the meeting:
//! one with its id is rewritten, at a cost per occurrence.

use b3scale::pipeline::{Catalog, Pipeline, Plan, PlannedRoute, Routes, Source};
use b3scale_middleware::answer::Answer;
use b3scale_middleware::bbb::{CallKind, Params, xml};
use b3scale_middleware::gather::Gather;
use b3scale_middleware::hook_ping::HookPing;
use b3scale_middleware::hook_registry::HookRegistry;
use b3scale_middleware::meeting_list::MeetingList;
use b3scale_middleware::proxy::Proxy;
use b3scale_middleware::recording_change::RecordingChange;
use b3scale_middleware::recording_list::RecordingList;
use b3scale_middleware::redirect::Redirect;
use b3scale_middleware::stage::Link;
use b3scale_middleware::text_tracks::TextTracks;
use b3scale_middleware::{Body, Call, Endpoint, Next};
use b3scale_support::{Frozen, with_idle_stages};
use futures_util::FutureExt;
use tower::ServiceExt;

/// Allocations that a stage may cost on average over its route.
const A_STAGE: u64 = 3;

#[test]
fn no_shipped_route_allocates_more_than_three_times_a_stage() {
    let shipped = Source::new("pipeline.toml", include_str!("../pipeline.toml"));
    let plan = Plan::read(&shipped, &Catalog::shipped()).unwrap();
    let cluster = Frozen::school();
    let pipeline = Pipeline::load(None, cluster.ports()).unwrap();
    let mut costly = Vec::new();
    println!("{:<17}{:>8}{:>10}{:>10}{:>8}{:>8}", "call", "all", "endpoint", "documents", "stages", "bound");
    for route in plan.routes() {
        let name = route.call.name();
        let all = allocations(&pipeline.route(route.call).expect("it is shipped"), || cluster.call(route.call));
        let (endpoint, documents) = (of_endpoint(route, &cluster), of_documents(route) + of_body(route, &cluster));
        let bound = A_STAGE * (route.steps.len() as u64 - 1);
        let stages = all - endpoint - documents;
        println!("{name:<17}{all:>8}{endpoint:>10}{documents:>10}{stages:>8}{bound:>8}");
        if stages > bound {
            costly.push(format!("{name}: {stages} allocations in stages that may make {bound}"));
        }
    }
    assert!(costly.is_empty(), "{costly:#?}");
}

/// Allocations of the endpoint alone.
fn of_endpoint(route: &PlannedRoute, cluster: &Frozen) -> u64 {
    let kind = route.call;
    match route.steps.last().expect("a route has an end").kind {
        Answer::KIND => direct(Answer::default(), cluster, || cluster.call(kind)),
        MeetingList::KIND => direct(MeetingList {}, cluster, || cluster.verified_call(kind)),
        RecordingList::KIND => direct(RecordingList {}, cluster, || cluster.verified_call(kind)),
        RecordingChange::KIND => direct(RecordingChange {}, cluster, || cluster.verified_call(kind)),
        TextTracks::KIND => direct(TextTracks {}, cluster, || cluster.verified_call(kind)),
        HookRegistry::KIND => direct(HookRegistry {}, cluster, || cluster.verified_call(kind)),
        HookPing::KIND => direct(HookPing {}, cluster, || cluster.call(kind)),
        Gather::KIND => direct(Gather::default(), cluster, || cluster.verified_call(kind)),
        Proxy::KIND => direct(Proxy {}, cluster, || cluster.signed_call(kind)),
        Redirect::KIND => direct(Redirect {}, cluster, || cluster.signed_call(kind)),
        other => panic!("the shipped pipeline ends in `{other}` now; measure it alone, here"),
    }
}

fn direct(endpoint: impl Endpoint, cluster: &Frozen, call: impl Fn() -> Call) -> u64 {
    let service = endpoint.service(&cluster.ports()).expect("its defaults can be used");
    // Behind a pointer, as on its route.
    allocations(&Next::new(service), call)
}

/// Allocations of reading the node's document as often as the stages of a route do.
fn of_documents(route: &PlannedRoute) -> u64 {
    let has = |kind: &str| route.steps.iter().any(|step| step.kind == kind);
    let document = bytes::Bytes::from(Frozen::ANSWER);
    let mut count = 0;
    if has("backend-select") {
        let params = Params::parse(Frozen::CREATE);
        let meeting = xml::answer(&document).expect("it is readable").meeting.expect("it has a meeting");
        let read = || {
            assert!(!meeting.text("internalMeetingID").to_owned().is_empty());
            assert!(!xml::entry_of_create(&meeting, &params).is_empty());
        };
        count += allocation_counter::measure(read).count_total;
    }
    if has("meeting-scope") && has("proxy") {
        let read = || assert!(xml::rewrite(&document, |_, _| None).is_ok());
        count += allocation_counter::measure(read).count_total;
    }
    count
}

/// Allocations of reading the body of a call, and the form in it.
fn of_body(route: &PlannedRoute, cluster: &Frozen) -> u64 {
    let Call { body: Body::Unread(source), mut params, .. } = cluster.call(route.call) else { return 0 };
    let read = || {
        assert!(source.read().now_or_never().is_some_and(|read| read.is_ok()));
        params.merge_uncovered("");
    };
    allocation_counter::measure(read).count_total
}

/// Allocations of the second call: the first also pays for one-time set-up.
fn allocations(service: &impl Link, call: impl Fn() -> Call) -> u64 {
    let mut count = 0;
    for _ in 0..2 {
        let (service, call) = (service.clone(), call());
        let kind = call.kind.name();
        let mut reply = None;
        count = allocation_counter::measure(|| reply = service.oneshot(call).now_or_never()).count_total;
        let reply = reply.expect("memory answers at once");
        assert!(reply.is_ok(), "{kind}: {reply:?}");
    }
    count
}

#[test]
fn a_stage_that_has_nothing_to_do_costs_one_allocation() {
    let shipped = include_str!("../pipeline.toml");
    let idle = with_idle_stages(shipped, 1);
    let cluster = Frozen::school();
    let of_join = |text: &str| {
        let source = Source::new("pipeline.toml", text);
        let plan = Plan::read(&source, &Catalog::shipped()).unwrap();
        let routes = Routes::build(plan, &cluster.ports()).unwrap();
        allocations(&routes.route(CallKind::Join).unwrap(), || cluster.call(CallKind::Join))
    };
    assert_eq!(of_join(&idle), of_join(shipped) + 1);
}
