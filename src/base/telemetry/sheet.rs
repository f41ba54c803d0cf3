//! How things are at one moment, in Prometheus's text format.
//!
//! Not a second recorder: filling one takes several microseconds a series, and there are tens of thousands.

use std::collections::BTreeMap;
use std::fmt::{Display, Write as _};

use super::catalog;
use super::metric::{Figure, Metric, Reading};

/// A sheet to write figures on.
#[derive(Debug, Default)]
pub struct Sheet(BTreeMap<&'static str, String>);

impl Sheet {
    /// Notes a figure. Of each series there is one.
    pub fn set<const N: usize>(&mut self, figure: &Figure<N>, values: [&str; N], value: impl Display) {
        self.write(figure.name, figure.labels, values, value);
    }

    /// The same, if there is such a figure.
    pub fn set_some<const N: usize>(&mut self, figure: &Figure<N>, values: [&str; N], value: Option<impl Display>) {
        if let Some(value) = value {
            self.set(figure, values, value);
        }
    }

    /// Writes a counter's value.
    pub fn read<const N: usize>(&mut self, reading: &Reading<N>, values: [&str; N], value: impl Display) {
        self.write(reading.name, reading.labels, values, value);
    }

    /// Notes a series that is written already.
    pub(super) fn copy(&mut self, metric: &Metric, line: &str) {
        self.0.entry(metric.name).or_default().extend([line, "\n"]);
    }

    /// All figures, with their help.
    pub fn text(self) -> String {
        let mut text = String::new();
        for (name, series) in self.0 {
            if let Some(Metric { kind, help, .. }) = catalog::find(name) {
                text.extend(["# HELP ", name, " ", help, "\n# TYPE ", name, " ", kind.name(), "\n", &series, "\n"]);
            }
        }
        text
    }

    fn write<const N: usize>(
        &mut self,
        name: &'static str,
        labels: [&'static str; N],
        values: [&str; N],
        value: impl Display,
    ) {
        let text = self.0.entry(name).or_default();
        text.push_str(name);
        for (number, (label, value)) in labels.into_iter().zip(values).enumerate() {
            text.extend([if number == 0 { "{" } else { "," }, label, "=\""]);
            push_escaped(text, value);
            text.push('"');
        }
        let end = if N == 0 { " " } else { "} " };
        // A `String` takes everything.
        let _ = writeln!(text, "{end}{value}");
    }
}

fn push_escaped(text: &mut String, value: &str) {
    for char in value.chars() {
        match char {
            '\\' => text.push_str(r"\\"),
            '"' => text.push_str("\\\""),
            '\n' => text.push_str(r"\n"),
            char => text.push(char),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sheet_is_what_prometheus_reads() {
        let mut sheet = Sheet::default();
        sheet.set(&catalog::BACKEND_UP, ["a\"b\\c\nd"], 1);
        sheet.set(&catalog::BACKEND_UP, ["n2"], 0);
        sheet.set(&catalog::DB_UP, [], 0.5);
        sheet.set_some(&catalog::VIEW_AGE, [], None::<f64>);
        let text = "# HELP b3scale_backend_up Whether the node answers.\n# TYPE b3scale_backend_up gauge\n\
            b3scale_backend_up{backend=\"a\\\"b\\\\c\\nd\"} 1\nb3scale_backend_up{backend=\"n2\"} 0\n\n";
        assert!(sheet.text().starts_with(text));
    }
}
