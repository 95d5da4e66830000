//! Prometheus' text format.

use std::fmt::Write;

use super::cell::{Counter, Gauge, Histogram};

/// A page of metrics that is being written.
#[derive(Debug, Default)]
pub(super) struct Page {
    text: String,
}

/// What a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    Counter,
    Gauge,
    Histogram,
}

/// The labels of a series.
pub(super) type Labels<'a> = &'a [(&'a str, &'a str)];

impl Page {
    pub(super) fn into_text(self) -> String {
        self.text
    }

    /// Begins a metric, to be followed by its series.
    pub(super) fn family(&mut self, name: &str, metric: Type, help: &str) {
        let metric = match metric {
            Type::Counter => "counter",
            Type::Gauge => "gauge",
            Type::Histogram => "histogram",
        };
        self.line(format_args!("# HELP {name} {help}"));
        self.line(format_args!("# TYPE {name} {metric}"));
    }

    /// A series of a metric that has begun.
    pub(super) fn series(&mut self, name: &str, labels: Labels<'_>, value: u64) {
        let labels = braced(labels, None);
        self.line(format_args!("{name}{labels} {value}"));
    }

    /// A histogram of a metric that has begun.
    pub(super) fn buckets(&mut self, name: &str, labels: Labels<'_>, histogram: &Histogram) {
        let scale = histogram.unit().scale();
        #[expect(clippy::cast_precision_loss, reason = "the format has no other numbers")]
        let shown = |kept: u64| number(kept as f64 / scale);
        let (buckets, count, sum) = histogram.read();
        for (bound, below) in buckets {
            let labels = braced(labels, Some(&shown(bound)));
            self.line(format_args!("{name}_bucket{labels} {below}"));
        }
        let infinite = braced(labels, Some("+Inf"));
        let labels = braced(labels, None);
        self.line(format_args!("{name}_bucket{infinite} {count}"));
        self.line(format_args!("{name}_sum{labels} {}", shown(sum)));
        self.line(format_args!("{name}_count{labels} {count}"));
    }

    /// A counter without labels.
    pub(super) fn counter(&mut self, name: &str, help: &str, counter: &Counter) {
        self.count(name, help, counter.value());
    }

    /// A counter without labels whose value is known.
    pub(super) fn count(&mut self, name: &str, help: &str, value: u64) {
        self.family(name, Type::Counter, help);
        self.series(name, &[], value);
    }

    /// A gauge without labels.
    pub(super) fn gauge(&mut self, name: &str, help: &str, gauge: &Gauge) {
        self.value(name, help, gauge.value());
    }

    /// A gauge without labels whose value is known.
    pub(super) fn value(&mut self, name: &str, help: &str, value: u64) {
        self.family(name, Type::Gauge, help);
        self.series(name, &[], value);
    }

    /// A gauge without labels that has a fraction.
    pub(super) fn fraction(&mut self, name: &str, metric: Type, help: &str, value: f64) {
        self.family(name, metric, help);
        self.line(format_args!("{name} {}", number(value)));
    }

    /// A histogram without labels.
    pub(super) fn histogram(&mut self, name: &str, help: &str, histogram: &Histogram) {
        self.family(name, Type::Histogram, help);
        self.buckets(name, &[], histogram);
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        writeln!(self.text, "{line}").expect("writing to a string cannot fail");
    }
}

/// Labels in braces, with the bound of a bucket as the last; nothing if there are none.
fn braced(labels: Labels<'_>, bound: Option<&str>) -> String {
    let bound = bound.map(|bound| ("le", bound));
    let labels: Vec<String> = labels
        .iter()
        .copied()
        .chain(bound)
        .map(|(name, value)| format!("{name}=\"{}\"", escaped(value)))
        .collect();
    if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) }
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// A number as Go writes it, so that the bounds of buckets are etcd's letter by letter: from a
/// million on with an exponent.
fn number(value: f64) -> String {
    if value < 1e6 && (1e-4 <= value || value == 0.0) {
        return value.to_string();
    }
    let text = format!("{value:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, exponent) = match exponent.strip_prefix('-') {
        Some(exponent) => ('-', exponent),
        None => ('+', exponent),
    };
    format!("{digits}e{sign}{exponent:0>2}")
}

#[cfg(test)]
mod tests {
    use super::super::cell::Unit;
    use super::*;

    #[test]
    fn numbers_are_written_as_go_writes_them() {
        for (value, text) in [
            (0.0, "0"),
            (0.001, "0.001"),
            (8.192, "8.192"),
            (819_200.0, "819200"),
            (1_048_576.0, "1.048576e+06"),
            (1.7e9, "1.7e+09"),
            (0.000_05, "5e-05"),
            (0.000_1, "0.0001"),
        ] {
            assert_eq!(number(value), text);
        }
    }

    #[test]
    fn a_page_has_help_type_and_series() {
        let histogram = Histogram::doubling(Unit::Seconds, 0.001, 2);
        histogram.observe_number(1_500_000);
        let mut page = Page::default();
        page.value("a", "How much.", 7);
        page.histogram("b", "How long.", &histogram);
        page.family("c", Type::Counter, "How often.");
        page.series("c", &[("of", "a \"b\"\\")], 1);
        assert_eq!(
            page.into_text(),
            "# HELP a How much.\n# TYPE a gauge\na 7\n\
             # HELP b How long.\n# TYPE b histogram\n\
             b_bucket{le=\"0.001\"} 0\nb_bucket{le=\"0.002\"} 1\nb_bucket{le=\"+Inf\"} 1\n\
             b_sum 0.0015\nb_count 1\n\
             # HELP c How often.\n# TYPE c counter\nc{of=\"a \\\"b\\\"\\\\\"} 1\n"
        );
    }
}
