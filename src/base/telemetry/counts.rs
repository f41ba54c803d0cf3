//! The counts. Each frontend and each backend has its own, so that its series end with it.
//!
//! The exporter keeps a series for good. So every frontend and every backend has a recorder of its own, which is dropped once it
//! is gone. All other series are in a common one.

use std::sync::Arc;

use dashmap::DashMap;
use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

use super::catalog;
use super::figures::{Figures, Thing};
use super::metric::Metric;
use super::sheet::Sheet;

/// For durations of stages, statements and calls, in seconds.
const BUCKETS: [f64; 14] =
    [0.000_01, 0.000_05, 0.000_1, 0.000_5, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0];

/// The same for calls over the network: they have many series, and so fewer buckets.
const CALL_BUCKETS: [f64; 10] = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0];

/// Everything that is counted.
#[derive(Clone)]
pub struct Counts(Arc<Inner>);

struct Inner {
    common: PrometheusRecorder,
    frontends: Own,
    backends: Own,
}

/// A recorder for each thing of a kind.
type Own = DashMap<String, PrometheusRecorder>;

impl Counts {
    /// Counts from zero.
    ///
    /// # Errors
    /// The buckets of the histograms cannot be used.
    pub fn new() -> Result<Self, BuildError> {
        let counts = Self(Arc::new(Inner { common: recorder()?, frontends: Own::new(), backends: Own::new() }));
        each(|metric| metric.declare(&counts.0.common));
        each(|metric| metric.begin(&counts.0.common));
        Ok(counts)
    }

    /// All of it, in Prometheus's text format.
    pub fn render(&self) -> String {
        let mut sheet = Sheet::default();
        for page in self.0.own().map(|handle| handle.render()) {
            for (family, line) in lines(&page) {
                sheet.copy(family, line);
            }
        }
        self.0.common.handle().render() + &sheet.text()
    }

    /// The counts of one frontend's calls, without those of nodes. Each series has the id of the server that tells it:
    /// the next recorder has counted others.
    pub fn of_frontend(&self, key: &str, server: &str) -> String {
        let handle = self.0.frontends.get(key).map(|recorder| recorder.handle());
        let page = handle.map(|handle| handle.render()).unwrap_or_default();
        let mut sheet = Sheet::default();
        let told = [catalog::CALLS.name, catalog::CALL_SECONDS.name];
        for (family, line) in lines(&page).filter(|(family, _)| told.contains(&family.name)) {
            sheet.copy(family, &line.replacen('{', &format!("{{server=\"{server}\","), 1));
        }
        sheet.text()
    }

    /// Ends the series of things that are gone.
    pub fn retain(&self, figures: &dyn Figures) {
        self.0.frontends.retain(|key, _| figures.has(Thing::Frontend, key));
        self.0.backends.retain(|host, _| figures.has(Thing::Backend, host));
    }

    /// Puts the values of histograms into their buckets. Otherwise they wait in memory for the next scrape.
    pub fn run_upkeep(&self) {
        self.0.common.handle().run_upkeep();
        self.0.own().for_each(|handle| handle.run_upkeep());
    }

    /// The recorder that has the series of that key.
    fn with<T>(&self, key: &Key, register: impl FnOnce(&PrometheusRecorder) -> T) -> T {
        let Inner { common, frontends, backends } = &*self.0;
        let thing = key.labels().next().and_then(|label| match label.key() {
            "frontend" => Some((frontends, label.value())),
            "backend" => Some((backends, label.value())),
            _ => None,
        });
        let Some((own, name)) = thing else { return register(common) };
        if let Some(known) = own.get(name) {
            return register(&known);
        }
        match recorder() {
            Ok(new) => register(&own.entry(name.to_owned()).or_insert(new)),
            // The buckets are constants, which could be used at the start.
            Err(_) => register(common),
        }
    }
}

impl Inner {
    /// The recorders of all things. None stays locked.
    fn own(&self) -> impl Iterator<Item = PrometheusHandle> {
        let handles = |own: &Own| own.iter().map(|one| one.handle()).collect::<Vec<_>>();
        handles(&self.frontends).into_iter().chain(handles(&self.backends))
    }
}

impl Recorder for Counts {
    fn describe_counter(&self, name: KeyName, unit: Option<Unit>, help: SharedString) {
        self.0.common.describe_counter(name, unit, help);
    }

    fn describe_gauge(&self, name: KeyName, unit: Option<Unit>, help: SharedString) {
        self.0.common.describe_gauge(name, unit, help);
    }

    fn describe_histogram(&self, name: KeyName, unit: Option<Unit>, help: SharedString) {
        self.0.common.describe_histogram(name, unit, help);
    }

    fn register_counter(&self, key: &Key, metadata: &Metadata<'_>) -> Counter {
        self.with(key, |recorder| recorder.register_counter(key, metadata))
    }

    fn register_gauge(&self, key: &Key, metadata: &Metadata<'_>) -> Gauge {
        self.with(key, |recorder| recorder.register_gauge(key, metadata))
    }

    fn register_histogram(&self, key: &Key, metadata: &Metadata<'_>) -> Histogram {
        self.with(key, |recorder| recorder.register_histogram(key, metadata))
    }
}

fn recorder() -> Result<PrometheusRecorder, BuildError> {
    let of_calls = [catalog::CALL_SECONDS.name, catalog::BACKEND_CALL_SECONDS.name];
    let builder = PrometheusBuilder::new().set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &BUCKETS)?;
    let builder = of_calls.into_iter().try_fold(builder, |builder, name| {
        builder.set_buckets_for_metric(Matcher::Full(name.to_owned()), &CALL_BUCKETS)
    })?;
    Ok(builder.build_recorder())
}

/// The series of a page, each with its metric.
fn lines(page: &str) -> impl Iterator<Item = (&'static Metric, &str)> {
    let mut family = None;
    page.lines().filter_map(move |line| {
        if let Some(head) = line.strip_prefix("# TYPE ") {
            family = head.split(' ').next().and_then(catalog::find);
        }
        family.filter(|_| !line.is_empty() && !line.starts_with('#')).map(|family| (family, line))
    })
}

fn each(act: impl FnMut(&Metric)) {
    catalog::ALL.iter().flat_map(|(_, metrics)| *metrics).for_each(act);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Only the thing called `there` exists.
    struct There;

    impl Figures for There {
        fn write(&self, _: &mut Sheet) {}

        fn has(&self, _: Thing, name: &str) -> bool {
            name == "there"
        }
    }

    #[test]
    fn series_end_with_what_they_tell_of_and_all_others_stay() {
        let counts = Counts::new().unwrap();
        metrics::with_local_recorder(&counts, || {
            for key in ["there", "gone"] {
                catalog::CALLS.with([key, "create", "success", ""]).increment(3);
                catalog::CALL_SECONDS.with([key, "create"]).record(0.5);
                catalog::BACKEND_CALLS.with([key, "answered"]).increment(1);
            }
            catalog::CLAIMS.with(["won"]).increment(1);
        });
        let page = counts.render();
        assert_eq!(page.matches("# TYPE b3scale_calls_total counter").count(), 1, "{page}");
        assert_eq!(page.matches("\"gone\"").count(), 15, "{page}");
        counts.retain(&There);
        let page = counts.render();
        assert!(!page.contains("\"gone\""), "{page}");
        for line in [
            r#"b3scale_calls_total{frontend="there",call="create",outcome="success",blame=""} 3"#,
            r#"b3scale_call_duration_seconds_count{frontend="there",call="create"} 1"#,
            r#"b3scale_backend_calls_total{backend="there",outcome="answered"} 1"#,
            r#"b3scale_claims_total{outcome="won"} 1"#,
        ] {
            assert!(page.lines().any(|one| one == line), "{line} is not in\n{page}");
        }
    }
}
