//! The cost of the engine per call.
//!
//! *Ten stages*: the same small service ten times, which looks at a fact and leaves the call to the next one, as most stages
//! do. Stacked statically, the compiler sees through all ten. Behind `Next`, each is a heap-allocated future behind a
//! pointer. From `pipeline.toml`, it is the real thing with all that the engine puts around a stage (span, histogram, trail,
//! with the recorder that the server installs): ten instances of `params-rewrite` that have nothing to rewrite, in the
//! middle of a join. What ten cost there is the difference to the same join without them.
//!
//! *Shipped routes*: each route of `pipeline.toml` over a cluster in memory. Its ports answer at once, so the measurement
//! covers all of the pipeline's work but waiting.
//!
//! Making the call is not measured. The tables show medians of samples taken in one run; compare ratios, not runs.

use std::cell::RefCell;
use std::hint::black_box;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use b3scale::pipeline::{Catalog, Plan, Routes, Source};
use b3scale::telemetry::{self, Counts};
use b3scale_middleware::bbb::CallKind;
use b3scale_middleware::stage::Link;
use b3scale_middleware::{Call, Fault, Next, Reply};
use b3scale_support::{Frozen, with_idle_stages};
use criterion::{BenchmarkGroup, Criterion, Throughput, measurement::WallTime};
use futures_util::FutureExt;
use tower::{Service, ServiceExt, service_fn};

const SHIPPED: &str = include_str!("../pipeline.toml");
/// What ten stages may cost, in nanoseconds.
const BAR: f64 = 5_000.0;
/// Calls that are made before any of them is measured.
const BATCH: u64 = 64;

/// Reads a fact, then passes the call on.
#[derive(Clone)]
struct Glance<S>(S);

impl<S: Link> Service<Call> for Glance<S> {
    type Response = Reply;
    type Error = Fault;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, call: Call) -> S::Future {
        black_box(call.facts.frontend().is_ok());
        self.0.call(call)
    }
}

/// Ten of them around `$end`, each put there by `$wrap`.
macro_rules! ten {
    ($wrap:expr, $end:expr) => {
        ten!(@ $wrap, $end, 0 1 2 3 4 5 6 7 8 9)
    };
    (@ $wrap:expr, $end:expr, $first:literal $($rest:literal)*) => {
        $wrap(ten!(@ $wrap, $end, $($rest)*))
    };
    (@ $wrap:expr, $end:expr,) => {
        $end
    };
}

struct Bench<'c> {
    group: BenchmarkGroup<'c, WallTime>,
    cluster: &'c Frozen,
    metrics: &'c Counts,
}

impl Bench<'_> {
    /// The median cost of a call, in nanoseconds.
    fn measure(&mut self, name: &str, kind: CallKind, service: &impl Link) -> f64 {
        let (cluster, metrics) = (self.cluster, self.metrics);
        let samples = RefCell::new(Vec::new());
        self.group.throughput(Throughput::Elements(1));
        self.group.bench_function(name, |bencher| {
            bencher.iter_custom(|count| {
                let took = time(count, &cluster.call(kind), service);
                // Samples of a histogram stay in memory until a scrape, and there is none here.
                metrics.run_upkeep();
                samples.borrow_mut().push(took.as_secs_f64() * 1e9 / count as f64);
                took
            });
        });
        median(samples.into_inner())
    }
}

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime starts");
    let _guard = runtime.enter();
    let metrics = telemetry::start_metrics().expect("no other recorder is there");
    let mut criterion = Criterion::default().configure_from_args();
    let cluster = Frozen::school();
    ten_stages(&mut criterion, &cluster, &metrics);
    shipped_routes(&mut criterion, &cluster, &metrics);
    criterion.final_summary();
}

fn ten_stages(criterion: &mut Criterion, cluster: &Frozen, metrics: &Counts) {
    let mut bench = Bench { group: criterion.benchmark_group("ten stages"), cluster, metrics };
    let end = || service_fn(async |_: Call| Ok::<_, Fault>(Reply::xml(bytes::Bytes::new())));
    let join = |idle| {
        let text = with_idle_stages(SHIPPED, idle);
        routes(&text, cluster).route(CallKind::Join).expect("there is a route")
    };
    let alone = bench.measure("none", CallKind::Join, &end());
    let stacked = bench.measure("static", CallKind::Join, &ten!(Glance, end())) - alone;
    let boxed = bench.measure("behind Next", CallKind::Join, &ten!(|rest| Next::new(Glance(rest)), end())) - alone;
    let bare = bench.measure("a join without them", CallKind::Join, &join(0));
    let with = bench.measure("a join with them", CallKind::Join, &join(10));
    bench.group.finish();

    print_table("ten stages", &["ns a call", "× static", "bar (ns)"]);
    for (name, cost) in [("static", stacked), ("behind Next", boxed), ("from pipeline.toml", with - bare)] {
        print_row(name, &[format!("{cost:.0}"), format!("{:.1}", cost / stacked), format!("{BAR:.0}")]);
    }
}

fn shipped_routes(criterion: &mut Criterion, cluster: &Frozen, metrics: &Counts) {
    let mut bench = Bench { group: criterion.benchmark_group("shipped routes"), cluster, metrics };
    let shipped = Source::new("pipeline.toml", SHIPPED);
    let plan = Plan::read(&shipped, &Catalog::shipped()).expect("it is shipped");
    let lengths: Vec<_> = plan.routes().iter().map(|route| (route.call, route.steps.len())).collect();
    let routes = routes(SHIPPED, cluster);
    let costs: Vec<_> = lengths
        .into_iter()
        .map(|(kind, stages)| {
            let route = routes.route(kind).expect("it is shipped");
            (kind, stages, bench.measure(kind.name(), kind, &route))
        })
        .collect();
    bench.group.finish();

    print_table("shipped routes", &["stages", "ns a call", "ns a stage", "calls/s"]);
    for (kind, stages, cost) in costs {
        let each = cost / stages as f64;
        let columns = [stages.to_string(), format!("{cost:.0}"), format!("{each:.0}"), format!("{:.0}", 1e9 / cost)];
        print_row(kind.name(), &columns);
    }
}

/// How long `count` calls take one after the other, without the making of them.
fn time(count: u64, call: &Call, service: &impl Link) -> Duration {
    let mut took = Duration::ZERO;
    let mut left = count;
    while left > 0 {
        let batch = left.min(BATCH);
        let calls: Vec<_> = (0..batch).map(|_| call.clone()).collect();
        let began = Instant::now();
        for call in calls {
            let reply = service.clone().oneshot(call).now_or_never().expect("memory answers at once");
            assert!(black_box(reply).is_ok());
        }
        took += began.elapsed();
        left -= batch;
    }
    took
}

fn routes(text: &str, cluster: &Frozen) -> Routes {
    let source = Source::new("pipeline.toml", text);
    let plan = Plan::read(&source, &Catalog::shipped()).unwrap_or_else(|problems| panic!("{problems}"));
    Routes::build(plan, &cluster.ports()).unwrap_or_else(|problems| panic!("{problems}"))
}

fn median(mut samples: Vec<f64>) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples.get(samples.len() / 2).copied().unwrap_or(f64::NAN)
}

#[expect(clippy::print_stdout, reason = "the table is what this program is for")]
fn print_table(title: &str, columns: &[&str]) {
    let columns: String = columns.iter().map(|column| format!("{column:>12}")).collect();
    println!("\n{title:<20}{columns}");
}

#[expect(clippy::print_stdout, reason = "the table is what this program is for")]
fn print_row(name: &str, columns: &[String]) {
    let columns: String = columns.iter().map(|column| format!("{column:>12}")).collect();
    println!("{name:<20}{columns}");
}
