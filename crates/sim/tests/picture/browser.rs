//! A real browser, if the machine has one.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What a Chromium is called.
const NAMES: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// Without a screen, without a network, and with a clock of its own that jumps over waits.
const FLAGS: [&str; 10] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1600,1000",
    "--virtual-time-budget=5000",
];

/// A Chromium on this machine.
pub(crate) struct Browser {
    program: PathBuf,
}

impl Browser {
    /// Finds the browser that the environment variable `HOLDFAST_CHROMIUM` or the search path
    /// names. If there is none, says so, whether or not the test's output is captured.
    pub(crate) fn find() -> Option<Browser> {
        if let Some(program) = std::env::var_os("HOLDFAST_CHROMIUM") {
            return Some(Browser { program: program.into() });
        }
        let path = std::env::var_os("PATH").unwrap_or_default();
        let places = std::env::split_paths(&path);
        let found =
            places.flat_map(|place| NAMES.map(|name| place.join(name))).find(|p| p.is_file());
        if found.is_none() {
            let text = "SKIPPED: no browser looks at the picture, since no Chromium is on PATH and \
                        HOLDFAST_CHROMIUM is not set";
            writeln!(std::io::stderr(), "{text}").expect("standard error is open");
        }
        found.map(|program| Browser { program })
    }

    /// Opens a page with `hash` in its address, runs `probe` in it, and returns what the page then
    /// tells about itself. The probe is the body of an async function that knows `report` (the
    /// attributes to read and write), `plot`, `press(key)` and `frames()`.
    pub(crate) fn open(&self, name: &str, page: &str, hash: &str, probe: &str) -> Report {
        let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("picture").join(name);
        // Left over from a run that was broken off.
        let _ = fs::remove_dir_all(&place);
        fs::create_dir_all(&place).expect("the place for test files can be written");
        let file = place.join("page.html");
        let probe = PROBE.replace("{{probe}}", probe);
        let page = page.replace("</body>", &format!("<script>{probe}</script></body>"));
        fs::write(&file, page).expect("the place for test files can be written");
        let output = Command::new(&self.program)
            .args(FLAGS)
            .arg(format!("--user-data-dir={}", place.join("profile").display()))
            .arg("--dump-dom")
            .arg(format!("file://{}#{hash}", file.display()))
            .output()
            .unwrap_or_else(|error| panic!("{} does not start: {error}", self.program.display()));
        let dom = String::from_utf8_lossy(&output.stdout).into_owned();
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "the browser failed: {told}");
        fs::remove_dir_all(&place).expect("the browser has ended");
        Report::read(&dom)
    }
}

/// What surrounds a probe. A browser that only dumps a page need not draw frames, so that they are
/// made here.
const PROBE: &str = "
    window.requestAnimationFrame = (draw) => setTimeout(draw, 5);
    (async () => {
        const report = document.getElementById('report').dataset;
        const plot = document.getElementById('plot');
        const press = (key) => document.dispatchEvent(new KeyboardEvent('keydown', { key }));
        const frames = () => new Promise((done) => setTimeout(done, 50));
        await frames();
        {{probe}}
        report.probed = 'yes';
    })();";

/// The attributes of the element in which a page tells about itself.
#[derive(Debug)]
pub(crate) struct Report(BTreeMap<String, String>);

impl Report {
    fn read(dom: &str) -> Report {
        let (_, rest) = dom.split_once(r#"<div id="report""#).expect("the page has a report");
        let (tag, _) = rest.split_once("></div>").expect("the report is one element");
        let attributes = tag.split(" data-").skip(1).filter_map(|attribute| {
            let (name, value) = attribute.split_once("=\"")?;
            Some((name.to_owned(), value.trim_end_matches('"').to_owned()))
        });
        let report = Report(attributes.collect());
        assert_eq!(report.text("probed"), "yes", "the probe did not come to its end: {report:?}");
        report
    }

    /// What an attribute says.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.0.get(name).unwrap_or_else(|| panic!("the report has no {name}: {self:?}"))
    }

    /// What an attribute says, as a number.
    pub(crate) fn number(&self, name: &str) -> usize {
        let text = self.text(name).replace(',', "");
        text.parse().unwrap_or_else(|_| panic!("{name} is not a number: {self:?}"))
    }
}
