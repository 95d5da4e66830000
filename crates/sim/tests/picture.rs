//! The picture of a run: what stands in the page, and what a real browser makes of it.

#[path = "picture/browser.rs"]
mod browser;
#[path = "picture/sample.rs"]
mod sample;

use sim::html::render;
use sim::trace::{Trace, What};

use browser::{Browser, Report};

/// What stands between `from` and the next `to`.
fn between<'a>(page: &'a str, from: &str, to: &str) -> &'a str {
    let (_, rest) = page.split_once(from).unwrap_or_else(|| panic!("the page has no {from}"));
    rest.split_once(to).unwrap_or_else(|| panic!("nothing ends {from}")).0
}

/// The trace that a page holds.
fn held(page: &str) -> serde_json::Value {
    let json = between(page, r#"<script type="application/json" id="trace">"#, "</script>");
    serde_json::from_str(json).expect("the page holds its trace as JSON")
}

fn messages(trace: &Trace) -> usize {
    trace.events.iter().filter(|event| matches!(event.what, What::Sent { .. })).count()
}

#[test]
fn page_needs_nothing_from_elsewhere() {
    let page = render(&sample::story());
    for way_out in ["http:", "https:", " src=", " href=", "url(", "@import", "import(", "fetch("] {
        assert!(!page.contains(way_out), "the page has {way_out}");
    }
    assert!(page.contains("default-src 'none'"), "the page does not forbid itself the network");
}

#[test]
fn page_holds_the_whole_trace() {
    let trace = sample::story();
    let wanted = serde_json::to_value(&trace).expect("a trace is JSON");
    assert_eq!(held(&render(&trace)), wanted, "the page holds another trace");
}

#[test]
fn hostile_text_stays_text() {
    let trace = sample::hostile();
    let page = render(&trace);
    assert_eq!(held(&page)["title"], trace.title.as_str(), "the title is not whole");
    assert!(!page.contains("<!--"), "a comment was opened");
    let (opened, closed) = (page.matches("<script").count(), page.matches("</script").count());
    assert_eq!(opened, closed, "a script was opened or closed by a text");
    assert_eq!(opened, render(&sample::story()).matches("<script").count(), "a script was added");
    let title = between(&page, "<title>", "</title>");
    assert!(title.starts_with("&lt;/script&gt;"), "the title is not escaped: {title}");
}

#[test]
fn untitled_and_empty_run_has_a_page() {
    let page = render(&Trace::default());
    assert_eq!(between(&page, "<title>", "</title>"), "A run", "the page needs some title");
    let Some(browser) = Browser::find() else { return };
    assert_drawn(&browser.open("empty", &page, "", ""), &Trace::default());
}

/// Checks that no script failed, and that all messages of the trace were read and drawn.
fn assert_drawn(report: &Report, trace: &Trace) {
    assert_eq!(report.text("errors"), "0", "a script failed: {report:?}");
    assert_eq!(report.number("ready"), 1, "the page did not start: {report:?}");
    assert_eq!(report.number("events"), trace.events.len(), "events are missing: {report:?}");
    assert_eq!(report.number("messages"), messages(trace), "messages are missing: {report:?}");
    assert_eq!(report.number("drawn"), messages(trace), "not all are drawn: {report:?}");
}

#[test]
fn browser_draws_every_message_of_a_story() {
    let Some(browser) = Browser::find() else { return };
    let trace = sample::story();
    for hash in ["kinds=all&theme=light", "kinds=all&theme=dark&list=off"] {
        let report = browser.open("story", &render(&trace), hash, "");
        assert_drawn(&report, &trace);
        assert_eq!(report.number("members"), 4, "a lane is missing: {report:?}");
        assert_eq!(report.number("lines"), messages(&trace), "each is an arrow: {report:?}");
    }
}

#[test]
fn browser_draws_every_message_of_a_long_run() {
    let Some(browser) = Browser::find() else { return };
    let trace = sample::long();
    assert!(trace.events.len() > 50_000, "the run is not long: {} events", trace.events.len());
    let report = browser.open("long", &render(&trace), "kinds=all", "");
    assert_drawn(&report, &trace);
    let lines = report.number("lines");
    assert!(lines < messages(&trace), "what falls together is drawn once: {report:?}");
}

/// In a probe: whether a colour of the style sheet is on the chart, in a box or near a place; the
/// edges of the lanes; the place of a time.
const PIXELS: &str = "
    const { top, width } = plot.getBoundingClientRect();
    const pen = document.getElementById('chart-canvas').getContext('2d');
    const colour = (name) => {
        const text = getComputedStyle(document.documentElement).getPropertyValue(name).trim();
        return [1, 3, 5].map((place) => parseInt(text.slice(place, place + 2), 16));
    };
    const hasIn = (name, ...box) => {
        const wanted = colour(name);
        const { data } = pen.getImageData(...box.map((at) => Math.round(at * devicePixelRatio)));
        for (let at = 0; at < data.length; at += 4) {
            if (wanted.every((value, part) => Math.abs(value - data[at + part]) < 24)) return true;
        }
        return false;
    };
    const has = (name, x, y, reach) =>
        hasIn(name, x - reach, y - reach, 2 * reach + 1, 2 * reach + 1);
    const lanes = [...document.querySelectorAll('.member')].map((lane) => {
        const box = lane.getBoundingClientRect();
        return { top: box.top - top, bottom: box.bottom - top };
    });
    const x = (at) => ((at - report.from) / (report.to - report.from)) * width;";

#[test]
fn arrows_and_bands_lie_where_they_belong() {
    let Some(browser) = Browser::find() else { return };
    let probe = "
        const [one, two] = lanes;
        const gap = (share) => one.bottom + share * (two.top - one.bottom);
        const append = (share) => has('--kind-append', x(2000 + 4000 * share), gap(share), 2);
        const vote = (share) => has('--kind-vote', x(2000 + 4000 * share), gap(1 - share), 2);
        report.append = [0.02, 0.3, 0.7, 0.98].map(append);
        report.vote = [0.02, 0.3, 0.48, 0.55, 0.7, 0.98].map(vote);
        const band = (role, at, lane) => has(`--role-${role}`, x(at), lane.top + 3, 1);
        report.leads = [[5000, one], [5000, two]].map(([at, lane]) => band('leader', at, lane));
        report.follows = [[5000, one], [5000, two], [9000, two]]
            .map(([at, lane]) => band('follower', at, lane));";
    for theme in ["light", "dark"] {
        let probe = format!("{PIXELS}{probe}");
        let page = render(&sample::two_messages());
        let report = browser.open("pixels", &page, &format!("theme={theme}"), &probe);
        assert_eq!(report.text("errors"), "0", "a script failed: {report:?}");
        assert_eq!(report.number("members"), 2, "only members have lanes: {report:?}");
        assert_eq!(report.text("append"), "true,true,true,true", "the arrow leads elsewhere");
        let half = "true,true,true,false,false,false";
        assert_eq!(report.text("vote"), half, "a lost message ends in the middle");
        assert_eq!(report.text("leads"), "true,false", "m1 leads, and m2 does not");
        assert_eq!(report.text("follows"), "false,true,false", "m2 follows until it crashes");
    }
}

#[test]
fn each_kind_has_its_colour_on_the_chart() {
    let Some(browser) = Browser::find() else { return };
    let probe = "
        const chips = [...document.querySelectorAll('.chip[data-key]')];
        const between = lanes.slice(1).map((lane, place) => [lanes[place].bottom, lane.top]);
        const seen = (key) => between.some(([from, to]) =>
            hasIn(`--kind-${key}`, 0, from + 10, width, to - from - 20));
        chips.forEach((chip) => chip.click());
        await frames();
        report.none = chips.filter(({ dataset }) => seen(dataset.key)).length;
        report.missing = '';
        for (const chip of chips) {
            chip.click();
            await frames();
            if (!seen(chip.dataset.key)) report.missing += chip.dataset.key;
            chip.click();
        }
        report.kinds = chips.length;";
    let probe = format!("{PIXELS}{probe}");
    let report = browser.open("kinds", &render(&sample::story()), "kinds=all&theme=light", &probe);
    assert_eq!(report.text("errors"), "0", "a script failed: {report:?}");
    assert_eq!(report.number("kinds"), 8, "the story has all kinds: {report:?}");
    assert_eq!(report.number("none"), 0, "a kind that is off is drawn: {report:?}");
    assert_eq!(report.text("missing"), "", "kinds that are on are not drawn: {report:?}");
}

#[test]
fn browser_takes_hostile_text_for_text() {
    let Some(browser) = Browser::find() else { return };
    let trace = sample::hostile();
    let page = render(&trace);
    let probe =
        "report.escaped = String(window.escaped) + document.querySelectorAll('b b').length;";
    let report = browser.open("hostile", &page, "kinds=all&event=2", probe);
    assert_drawn(&report, &trace);
    assert_eq!(report.text("escaped"), "undefined0", "a text became something else: {report:?}");
}

#[test]
fn view_in_the_address_is_shown() {
    let Some(browser) = Browser::find() else { return };
    let trace = sample::story();
    let report = browser.open("address", &render(&trace), "from=10000&to=80000&kinds=vote", "");
    assert_eq!(report.number("from"), 10_000, "another part is shown: {report:?}");
    assert_eq!(report.number("to"), 80_000, "another part is shown: {report:?}");
    assert!((1..20).contains(&report.number("drawn")), "not the votes alone: {report:?}");
}

#[test]
fn wheel_zooms_around_the_pointer_and_keys_come_back() {
    let Some(browser) = Browser::find() else { return };
    let probe = "
        const { left, width } = plot.getBoundingClientRect();
        const under = () => +report.from + 0.25 * (report.to - report.from);
        const [before, at] = [report.to - report.from, under()];
        const where = { clientX: left + width / 4, clientY: 500, bubbles: true, cancelable: true };
        plot.dispatchEvent(new WheelEvent('wheel', { ...where, deltaY: -800 }));
        await frames();
        report.zoomed = String(Math.round(before / (report.to - report.from)));
        report.moved = String(Math.round(Math.abs(under() - at)));
        press('ArrowRight');
        await frames();
        report.panned = String(under() > at + 1);
        press('0');
        await frames();
        report.back = String(report.to - report.from === before);";
    let report = browser.open("zoom", &render(&sample::story()), "", probe);
    assert_eq!(report.text("errors"), "0", "a script failed: {report:?}");
    assert_eq!(report.number("zoomed"), 4, "the wheel zooms by another factor: {report:?}");
    assert!(report.number("moved") < 5, "what was under the pointer moved: {report:?}");
    assert_eq!(report.text("panned"), "true", "the arrow key does not pan: {report:?}");
    assert_eq!(report.text("back"), "true", "0 does not show the whole run: {report:?}");
}

#[test]
fn pointer_tells_and_pins_messages() {
    let Some(browser) = Browser::find() else { return };
    let probe = "
        const { left, top } = plot.getBoundingClientRect();
        const point = (name, clientX, clientY) => plot.dispatchEvent(new PointerEvent(name, {
            clientX, clientY, pointerId: 1, button: 0, bubbles: true, cancelable: true,
        }));
        const hovers = (x, y) => {
            point('pointermove', x, y);
            return (report.hover || '').startsWith('message');
        };
        let [x, y] = [left, top + 40];
        for (; y < top + 600 && !hovers(x, y); y += 20) {
            for (x = left; x < left + 900 && !hovers(x, y); x += 3);
            if (hovers(x, y)) break;
        }
        report.tip = document.getElementById('tip').textContent;
        point('pointerdown', x, y);
        point('pointerup', x, y);
        await frames();
        report.panel = document.getElementById('pinned').textContent;
        report.selected = document.querySelectorAll('.row[aria-selected=true]').length;
        const first = report.pinned;
        press('n');
        await frames();
        report.walked = String(+report.pinned > +first);
        press('Escape');
        await frames();
        report.unpinned = String(document.getElementById('pinned').hidden);";
    let report = browser.open("pointer", &render(&sample::story()), "", probe);
    assert_eq!(report.text("errors"), "0", "a script failed: {report:?}");
    for told in ["tip", "panel"] {
        let text = report.text(told);
        assert!(text.contains(" → m") && text.contains("sent at"), "{told} tells {text}");
    }
    assert_eq!(report.number("selected"), 1, "the list does not show the message: {report:?}");
    assert_eq!(report.text("walked"), "true", "n does not go on: {report:?}");
    assert_eq!(report.text("unpinned"), "true", "Esc does not unpin: {report:?}");
}

#[test]
fn legend_switches_kinds_off() {
    let Some(browser) = Browser::find() else { return };
    let trace = sample::story();
    let probe = "
        const chip = document.querySelector('[data-key=heartbeat]');
        report.count = chip.querySelector('small').textContent;
        chip.click();
        await frames();
        report.pressed = chip.getAttribute('aria-pressed');";
    let report = browser.open("legend", &render(&trace), "kinds=all", probe);
    assert_eq!(report.text("pressed"), "false", "the switch does not tell: {report:?}");
    let left = messages(&trace) - report.number("count");
    assert_eq!(report.number("drawn"), left, "heartbeats are still drawn: {report:?}");
}
