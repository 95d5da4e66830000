//! The picture of a run: one page with its message timeline, which any browser shows without a
//! network.
//!
//! Each member has a lane, from left to right as time passes: a band for its role and term, and
//! below it how far its log has come. Messages are arrows from lane to lane. The page draws on a
//! canvas and zooms from minutes to single steps; it can list, filter and follow up events, and its
//! address holds what is in view (`#theme=dark&from=1000&to=9000&kinds=all&event=17&list=off`,
//! times in microseconds), so that a link can be passed on.
//!
//! The parts of the page stand in `html/`: its skeleton `page.html`, its style, and scripts that
//! need no build. [`render`] puts them together with the trace as JSON. An element `report` holds
//! what the page tells about itself: how many messages it has and has drawn, what is under the
//! pointer, and whether a script failed. Tests in a real browser read that.

use crate::trace::Trace;

const SKELETON: &str = include_str!("html/page.html");

/// In this order: the last decides.
const STYLES: [&str; 4] = [
    include_str!("html/page.css"),
    include_str!("html/chart.css"),
    include_str!("html/panel.css"),
    include_str!("html/media.css"),
];

/// In this order: while it is loaded, each uses only those before it.
const SCRIPTS: [&str; 16] = [
    include_str!("html/js/report.js"),
    include_str!("html/js/kinds.js"),
    include_str!("html/js/words.js"),
    include_str!("html/js/clients.js"),
    include_str!("html/js/model.js"),
    include_str!("html/js/view.js"),
    include_str!("html/js/layout.js"),
    include_str!("html/js/palette.js"),
    include_str!("html/js/arrows.js"),
    include_str!("html/js/lanes.js"),
    include_str!("html/js/frame.js"),
    include_str!("html/js/probe.js"),
    include_str!("html/js/list.js"),
    include_str!("html/js/pinned.js"),
    include_str!("html/js/controls.js"),
    include_str!("html/js/app.js"),
];

/// Draws a run as one page of HTML that needs nothing else.
#[must_use]
pub fn render(trace: &Trace) -> String {
    let title = if trace.title.is_empty() { "A run" } else { &trace.title };
    let json = serde_json::to_string(trace).expect("numbers, texts and lists are JSON");
    let scripts = SCRIPTS.map(|script| format!("<script>\n{script}</script>")).join("\n");
    fill(SKELETON, |place| match place {
        "title" => text(title),
        "style" => STYLES.join("\n"),
        "trace" => embedded(&json),
        "scripts" => scripts.clone(),
        unknown => unreachable!("the skeleton has no place {unknown}"),
    })
}

/// Replaces each `{{place}}` of the skeleton, and looks at nothing that was put in.
fn fill(skeleton: &str, content: impl Fn(&str) -> String) -> String {
    let mut parts = skeleton.split("{{");
    let mut page = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (place, rest) = part.split_once("}}").expect("each place of the skeleton is closed");
        page.push_str(&content(place));
        page.push_str(rest);
    }
    page
}

/// Escapes a text that stands between tags.
fn text(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Escapes JSON that stands in a script element, where `</script` and `<!--` would mean something.
/// In JSON a `<` can only be part of a text, where it may be written by its number.
fn embedded(json: &str) -> String {
    json.replace('<', "\\u003c")
}
