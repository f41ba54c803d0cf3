//! What a call allocates on its way through each route of the shipped pipeline.
//!
//! Counted on the thread that carries the call, from the moment the route is called until it has answered: the futures of
//! all stages and of the endpoint, whatever they make, and the boxes that the ports' signatures ask for. The call itself
//! exists by then. The ports are those of a [`Frozen`] cluster, which add nothing of their own. Counts do not depend on the
//! machine; the bound is the one of the engine: three a stage, the endpoint being one.

use b3scale::pipeline::{Catalog, Pipeline, Plan, Source};
use b3scale_middleware::bbb::CallKind;
use b3scale_support::Frozen;
use futures_util::FutureExt;
use tower::ServiceExt;

/// Allocations that a stage may cost on average over its route.
const A_STAGE: u64 = 3;

#[test]
fn no_shipped_route_allocates_more_than_three_times_a_stage() {
    let shipped = Source::new("pipeline.toml", include_str!("../pipeline.toml"));
    let plan = Plan::read(&shipped, &Catalog::shipped()).unwrap();
    let cluster = Frozen::new();
    let pipeline = Pipeline::load(None, cluster.ports()).unwrap();
    let mut costly = Vec::new();
    for route in plan.routes() {
        // The first call pays for what is made once in a process.
        allocations(&pipeline, &cluster, route.call);
        let (count, stages) = (allocations(&pipeline, &cluster, route.call), route.steps.len());
        println!("{:<17} {stages:>2} stages {count:>3} allocations", route.call.name());
        if count > A_STAGE * stages as u64 {
            costly.push(format!("{}: {count} allocations in {stages} stages", route.call.name()));
        }
    }
    assert!(costly.is_empty(), "more than {A_STAGE} a stage: {costly:#?}");
}

fn allocations(pipeline: &Pipeline, cluster: &Frozen, kind: CallKind) -> u64 {
    let (route, call) = (pipeline.route(kind).expect("it is shipped"), cluster.call(kind));
    let mut reply = None;
    let counted = allocation_counter::measure(|| reply = route.oneshot(call).now_or_never());
    let reply = reply.expect("memory answers at once");
    assert!(reply.is_ok(), "{}: {reply:?}", kind.name());
    counted.count_total
}
