//! Scripts about scripts: what the runner reads, refuses and draws.

use super::{play, run, trace};

const SCRIPT: &str = "# A fact.\n\ncluster voters=1\ncampaign 1\nstatus\n---\n";

#[test]
fn script_is_printed_with_its_output() {
    let (printed, trace) = play(SCRIPT).expect("the script runs");
    assert!(printed.starts_with(SCRIPT), "the commands stay as they are: {printed}");
    assert!(printed.contains("m1 follower@0 ⇨ candidate@1"), "the campaign is drawn: {printed}");
    assert!(!trace.events.is_empty(), "what happened can be drawn");
    let (again, _) = play(&printed).expect("a script with output runs too");
    assert_eq!(again, printed, "a second run changes nothing");
}

#[test]
fn mistakes_are_named_and_not_swallowed() {
    for (command, complaint) in [
        ("tack 1", "there is no command tack"),
        ("tick 1 2 3", "3 means nothing here"),
        ("tick 9", "m9 is not on stage"),
        ("deliver", "finds no such message"),
        ("deliver Nonsense", "no kind of message"),
    ] {
        let script = format!("# A fact.\n\ncluster voters=1\n{command}\n---\n");
        let error = play(&script).expect_err("the command makes no sense");
        let error = format!("{error:#}");
        assert!(error.contains(complaint), "{command}: {error}");
    }
}

#[test]
fn changed_output_is_an_error_that_names_the_script_and_the_line() {
    let path = std::env::temp_dir().join(format!("script-{}", std::process::id()));
    let printed = play(SCRIPT).expect("the script runs").0;
    std::fs::write(&path, &printed).expect("the directory for temporary files is writable");
    let same = run(&path);
    let title = trace(&path).expect("the script runs").title;
    std::fs::write(&path, printed.replace("candidate@1", "candidate@2")).expect("as above");
    let changed = run(&path);
    std::fs::remove_file(&path).expect("the file was just written");
    same.expect("the output is the recorded one");
    assert_eq!(title, "A fact.");
    let error = format!("{:#}", changed.expect_err("the output is another one"));
    assert!(error.contains(&path.display().to_string()), "{error}");
    assert!(error.contains("from line 7 on"), "{error}");
}
