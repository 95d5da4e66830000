//! Two kinds of picture: bars of ratios, and curves.

use std::fmt::Write;

const FONT: &str = "font-family=\"sans-serif\" font-size=\"12\" fill=\"#222\"";
/// Blue and orange can be told apart by everybody.
const COLOURS: [&str; 4] = ["#1f77b4", "#ff7f0e", "#6baed6", "#fdbe85"];
const WIDTH: f64 = 760.0;

/// One bar.
pub(super) struct Bar {
    pub(super) label: String,
    pub(super) value: f64,
    /// The smallest and the largest of the rounds.
    pub(super) range: (f64, f64),
    /// Where the bar should reach to, if there is a goal.
    pub(super) goal: Option<f64>,
}

/// One curve.
pub(super) struct Curve {
    pub(super) label: String,
    pub(super) points: Vec<(f64, f64)>,
}

/// Bars from left to right on a logarithmic scale on which 1 is marked.
pub(super) fn bars(title: &str, bars: &[Bar]) -> String {
    const LABELS: f64 = 260.0;
    const ROW: f64 = 24.0;
    const TOP: f64 = 50.0;
    let largest =
        bars.iter().map(|bar| bar.range.1.max(bar.goal.unwrap_or(0.0))).fold(4.0, f64::max);
    let smallest = bars.iter().map(|bar| bar.range.0).filter(|low| *low > 0.0).fold(0.5, f64::min);
    let (from, to) = (smallest.log2().floor(), largest.log2().ceil());
    let x = |value: f64| {
        let part = (value.max(smallest).log2() - from) / (to - from);
        LABELS + part * (WIDTH - LABELS - 70.0)
    };
    let height = TOP + bars.len() as f64 * ROW + 10.0;
    let mut svg = Picture::new(title, height);
    let mut power = from;
    while power <= to {
        let value = power.exp2();
        let colour = if power == 0.0 { "#222" } else { "#ddd" };
        svg.line((x(value), TOP - 6.0), (x(value), height - 8.0), colour, 1.0);
        svg.text((x(value), TOP - 10.0), "middle", &format!("{value}x"));
        // Few labels on a long scale.
        power += if to - from > 8.0 { 2.0 } else { 1.0 };
    }
    for (row, bar) in bars.iter().enumerate() {
        let y = TOP + row as f64 * ROW;
        svg.text((LABELS - 8.0, y + 15.0), "end", &bar.label);
        let (left, right) = (x(bar.value.min(1.0)), x(bar.value.max(1.0)));
        let colour = if bar.value >= 1.0 { COLOURS[0] } else { COLOURS[1] };
        svg.rectangle((left, y + 3.0), (right - left, ROW - 8.0), colour);
        svg.line((x(bar.range.0), y + 11.0), (x(bar.range.1), y + 11.0), "#222", 1.5);
        if let Some(goal) = bar.goal {
            svg.line((x(goal), y), (x(goal), y + ROW - 2.0), "#d62728", 2.0);
        }
        let end = x(bar.range.1.max(bar.value)).max(right) + 6.0;
        svg.text((end, y + 15.0), "start", &format!("{:.2}x", bar.value));
    }
    svg.finish()
}

/// Curves over a linear axis, heights on a logarithmic one.
pub(super) fn curves(title: &str, x_title: &str, y_title: &str, curves: &[Curve]) -> String {
    const LEFT: f64 = 70.0;
    const TOP: f64 = 40.0;
    const BOTTOM: f64 = 330.0;
    const RIGHT: f64 = 560.0;
    let all = || curves.iter().flat_map(|curve| curve.points.iter().copied());
    let x_max = nice(all().map(|(x, _)| x).fold(1.0, f64::max));
    let y_from = all().map(|(_, y)| y).filter(|y| *y > 0.0).fold(1.0, f64::min).log10().floor();
    let y_to = all().map(|(_, y)| y).fold(1.0, f64::max).log10().ceil().max(y_from + 1.0);
    let x = |value: f64| LEFT + value / x_max * (RIGHT - LEFT);
    let y = |value: f64| {
        let part = (value.max(f64::MIN_POSITIVE).log10() - y_from) / (y_to - y_from);
        BOTTOM - part.max(0.0) * (BOTTOM - TOP)
    };
    let mut svg = Picture::new(title, BOTTOM + 45.0);
    for step in 0..=4 {
        let value = x_max * f64::from(step) / 4.0;
        svg.line((x(value), TOP), (x(value), BOTTOM), "#ddd", 1.0);
        svg.text((x(value), BOTTOM + 16.0), "middle", &format!("{value}"));
    }
    let mut power = y_from;
    while power <= y_to {
        let value = 10_f64.powf(power);
        svg.line((LEFT, y(value)), (RIGHT, y(value)), "#ddd", 1.0);
        svg.text((LEFT - 6.0, y(value) + 4.0), "end", &format!("{value}"));
        power += 1.0;
    }
    svg.text((f64::midpoint(LEFT, RIGHT), BOTTOM + 34.0), "middle", x_title);
    svg.text((LEFT, TOP - 8.0), "start", y_title);
    for (at, curve) in curves.iter().enumerate() {
        let colour = COLOURS[at % COLOURS.len()];
        let points: Vec<(f64, f64)> = curve.points.iter().map(|(a, b)| (x(*a), y(*b))).collect();
        svg.polyline(&points, colour);
        let height = TOP + 14.0 + at as f64 * 20.0;
        svg.line((RIGHT + 16.0, height - 4.0), (RIGHT + 40.0, height - 4.0), colour, 3.0);
        svg.text((RIGHT + 46.0, height), "start", &curve.label);
    }
    svg.finish()
}

/// The next number that is round.
fn nice(value: f64) -> f64 {
    let power = 10_f64.powf(value.max(1.0).log10().floor());
    let steps = [1.0, 2.0, 4.0, 6.0, 8.0, 10.0];
    steps.into_iter().map(|step| step * power).find(|round| *round >= value).unwrap_or(value)
}

struct Picture(String);

impl Picture {
    fn new(title: &str, height: f64) -> Picture {
        let mut picture = Picture(format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" \
             viewBox=\"0 0 {WIDTH} {height}\">\n"
        ));
        picture.rectangle((0.0, 0.0), (WIDTH, height), "#fff");
        picture.text((10.0, 18.0), "start", title);
        picture
    }

    fn push(&mut self, element: std::fmt::Arguments<'_>) {
        self.0.write_fmt(element).expect("a string takes all that is written to it");
        self.0.push('\n');
    }

    fn rectangle(&mut self, (x, y): (f64, f64), (width, height): (f64, f64), colour: &str) {
        self.push(format_args!(
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" \
             fill=\"{colour}\"/>"
        ));
    }

    fn line(&mut self, from: (f64, f64), to: (f64, f64), colour: &str, width: f64) {
        self.push(format_args!(
            "<line x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\" stroke=\"{colour}\" \
             stroke-width=\"{width}\"/>",
            from.0, from.1, to.0, to.1
        ));
    }

    fn text(&mut self, (x, y): (f64, f64), anchor: &str, text: &str) {
        let text = text.replace('&', "&amp;").replace('<', "&lt;");
        self.push(format_args!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" {FONT}>{text}</text>"
        ));
    }

    fn polyline(&mut self, points: &[(f64, f64)], colour: &str) {
        let shown: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        self.push(format_args!(
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>",
            shown.join(" ")
        ));
        for (x, y) in points {
            self.push(format_args!(
                "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{colour}\"/>"
            ));
        }
    }

    fn finish(mut self) -> String {
        self.0.push_str("</svg>\n");
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bar_reaches_from_one_to_its_value() {
        let bar = |value: f64| Bar {
            label: "put & <get>".to_owned(),
            value,
            range: (value, value),
            goal: Some(3.0),
        };
        let picture = bars("ratios", &[bar(4.0), bar(0.5)]);
        assert!(picture.starts_with("<svg ") && picture.ends_with("</svg>\n"), "{picture}");
        assert!(picture.contains("put &amp; &lt;get>"), "what is special is escaped: {picture}");
        // From 0.5 to 4 there are three doublings, 430 wide: 1 lies at 403.3.
        assert!(picture.contains("<rect x=\"403.3\" y=\"53.0\" width=\"286.7\""), "{picture}");
        assert!(picture.contains("<rect x=\"260.0\" y=\"77.0\" width=\"143.3\""), "{picture}");
    }

    #[test]
    fn curve_has_a_point_for_each_figure() {
        let curve = Curve { label: "etcd".to_owned(), points: vec![(100.0, 1.0), (200.0, 10.0)] };
        let picture = curves("latency", "rate", "ms", &[curve]);
        assert_eq!(picture.matches("<circle").count(), 2);
        assert!(picture.contains("points=\"315.0,330.0 560.0,40.0\""), "{picture}");
    }

    #[test]
    fn axes_end_at_round_numbers() {
        for (value, round) in [(0.5, 1.0), (7_515.0, 8_000.0), (12_000.0, 20_000.0)] {
            assert!((nice(value) - round).abs() < 1e-9, "{value} goes to {}", nice(value));
        }
    }
}
