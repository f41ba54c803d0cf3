//! A metric: name, labels, and a sentence of help.
//!
//! A metric is declared once, in the catalog, and used by that declaration: `CLAIMS.with(["won"]).increment(1)`. A metric without labels,
//! or with all their values declared, starts at zero, so that a rate never lacks its first step.
//! Events are recorded when they occur; states are written on a [`Sheet`](super::Sheet) at each scrape.

use metrics::{Key, Label, Level, Metadata, Recorder, SharedString};

const METADATA: Metadata<'static> = Metadata::new("b3scale", Level::INFO, None);

/// The declaration of a metric.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// Its name, which ends in its unit.
    pub name: &'static str,
    /// What kind it is.
    pub kind: Kind,
    /// The names of its labels.
    pub labels: &'static [&'static str],
    /// All values of its one label, where that has no others.
    pub values: &'static [&'static str],
    /// Its help.
    pub help: &'static str,
}

/// A kind of metric, as Prometheus knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only ever grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// How many were how large.
    Histogram,
    /// A gauge that is read at a scrape.
    Figure,
    /// A counter kept elsewhere and read at a scrape.
    Reading,
}

impl Kind {
    /// Prometheus's word.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Counter | Kind::Reading => "counter",
            Kind::Gauge | Kind::Figure => "gauge",
            Kind::Histogram => "histogram",
        }
    }
}

impl Metric {
    /// Describes it to the recorder, and starts counters at zero.
    pub(super) fn declare(&self, recorder: &dyn Recorder) {
        let (name, help) = (self.name.into(), SharedString::const_str(self.help));
        match self.kind {
            Kind::Counter => recorder.describe_counter(name, None, help),
            Kind::Gauge => recorder.describe_gauge(name, None, help),
            Kind::Histogram => recorder.describe_histogram(name, None, help),
            Kind::Figure | Kind::Reading => {}
        }
    }

    /// Starts all series of a counter, if they are known.
    pub(super) fn begin(&self, recorder: &dyn Recorder) {
        if self.kind != Kind::Counter {
            return;
        }
        match self.labels {
            [] => recorder.register_counter(&Key::from_name(self.name), &METADATA).increment(0),
            [label] => {
                for value in self.values {
                    let key = Key::from_parts(self.name, vec![Label::from_static_parts(label, value)]);
                    recorder.register_counter(&key, &METADATA).increment(0);
                }
            }
            _ => {}
        }
    }
}

macro_rules! declared {
    ($($(#[$doc:meta])* $kind:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $kind<const N: usize> {
            pub(super) name: &'static str,
            pub(super) labels: [&'static str; N],
        }

        impl<const N: usize> $kind<N> {
            pub(super) const fn new(name: &'static str, labels: [&'static str; N]) -> Self {
                Self { name, labels }
            }
        }
    )*};
}

declared! {
    /// Only ever grows.
    Counter;
    /// Goes up and down.
    Gauge;
    /// How many were how large.
    Histogram;
    /// Goes up and down, and is read at a scrape.
    Figure;
    /// Only ever grows, is kept elsewhere, and is read at a scrape.
    Reading;
}

macro_rules! recorded {
    ($($kind:ident by $register:ident;)*) => {$(
        impl<const N: usize> $kind<N> {
            /// The series with these values of its labels, in their order.
            pub fn with(&self, values: [&str; N]) -> metrics::$kind {
                let labels = self.labels.iter().zip(values);
                let labels: Vec<_> = labels.map(|(name, value)| Label::new(*name, value.to_owned())).collect();
                let key = Key::from_parts(self.name, labels);
                metrics::with_recorder(|recorder| recorder.$register(&key, &METADATA))
            }
        }
    )*};
}

recorded! {
    Counter by register_counter;
    Gauge by register_gauge;
    Histogram by register_histogram;
}
