//! `shoal demo` as a process: its story as text, and the whole terminal.

#![allow(clippy::disallowed_methods, reason = "real processes live in real time")]

#[path = "support/agent_process.rs"]
mod support;
#[path = "support/terminal.rs"]
mod terminal;

use nix::sys::signal::Signal;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use support::{PATIENCE, poll, shoal};
use terminal::{LEAVES_THE_SCREEN, Running, Terminal};

fn demo(dir: &Path, more: &[&str]) -> Command {
    let mut command = shoal();
    command.env("TMPDIR", dir).args(["demo", "--profile", "local"]).args(more);
    command
}

fn is_empty(dir: &Path) -> bool {
    std::fs::read_dir(dir).expect("is there").next().is_none()
}

/// The text of the first line that contains `words`, without its time.
fn line_with<'a>(text: &'a str, words: &[&str]) -> &'a str {
    let found = text.lines().find(|line| words.iter().all(|word| line.contains(word)));
    found.unwrap_or_else(|| panic!("no line with {words:?} in\n{text}"))
}

#[test]
fn a_story_of_failures_is_told_to_its_end_and_nothing_is_left() {
    let dir = tempfile::tempdir().expect("a directory");
    let story = "settle; kill n3; settle; heal n3; settle; crash payment-1; settle; heal; settle; drain n2; settle; \
        undrain n2; settle; partition n4,n5; settle; heal; settle";
    // The output is no terminal.
    let told = demo(dir.path(), &["--script", story]).output().expect("it runs");
    let text = String::from_utf8_lossy(&told.stdout).into_owned();
    assert_eq!(told.status.code(), Some(0), "{text}{}", String::from_utf8_lossy(&told.stderr));
    for words in [
        ["shoal demo: a shop on five agents", "profile local"].as_slice(),
        &["shoal members --socket", "n1.sock"],
        &["http://127.0.0.1:", "/ui/ in a browser"],
        &["the shop is open: all 5 agents agree after", "14 instances"],
        &["KILL n3: its agent and payment-2 and inventory-2 are gone"],
        &["holds n3 for failed after"],
        &["n3, host of payment-2 and inventory-2, was killed", "all 4 agents agree after", "requests failed"],
        &["n3 healed: all 5 agents agree after"],
        &["payment-1 crashed: all 5 agents agree after"],
        &["n2 drained: nobody is sent there any more", "all 5 agents agree after"],
        &["n2 back in service"],
        &["PARTITION: n1, n2 and n3 | n4 and n5"],
        &["n4 and n5 cut off", "all 5 agents agree after"],
        &["the end: ", "requests"],
    ] {
        line_with(&text, words);
    }
    // Whoever asks an agent for each request is not sent to what is being drained.
    assert!(line_with(&text, &["n2 drained"]).contains(" 0 of "), "{text}");
    assert!(!text.contains("not everybody agrees: "), "{text}");
    assert!(is_empty(dir.path()));
}

#[test]
fn agents_are_asked_from_elsewhere_and_a_signal_ends_all_of_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut child = demo(dir.path(), &["--plain", "--script", "settle; wait 1h"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let mut lines = BufReader::new(child.stdout.take().expect("is piped")).lines().map_while(Result::ok);
    let mut running = Running::own(child);
    let command = lines.find(|line| line.contains("shoal members --socket")).expect("is said");
    lines.find(|line| line.contains("the shop is open")).expect("opens");
    let socket = command.split_whitespace().last().expect("has words").to_owned();
    let members = shoal().args(["members", "--socket", &socket]).output().expect("it runs");
    let members = String::from_utf8_lossy(&members.stdout).into_owned();
    assert_eq!(members.matches(" alive").count(), 5, "{members}");
    running.signal(Signal::SIGTERM);
    assert_eq!(running.code(), Some(1), "the story was not told to its end");
    assert!(is_empty(dir.path()));
}

#[test]
fn a_full_screen_shows_what_to_try_acts_on_keys_and_gives_the_terminal_back() {
    let dir = tempfile::tempdir().expect("a directory");
    for ends_by_key in [true, false] {
        let terminal = Terminal::open();
        let mut running = terminal.run(&mut demo(dir.path(), &[]));
        terminal.shows("Try from another terminal");
        assert!(terminal.is_raw());
        terminal.types(" ");
        terminal.shows("INSTANCES");
        if ends_by_key {
            terminal.types("3d");
            terminal.shows("DRAIN");
            terminal.types("q");
        } else {
            running.signal(Signal::SIGHUP);
        }
        assert_eq!(running.code(), Some(0));
        terminal.shows(LEAVES_THE_SCREEN);
        assert!(!terminal.is_raw());
        assert!(poll(PATIENCE, || is_empty(dir.path()).then_some(())).is_some());
    }
}

#[test]
fn what_is_no_script_is_refused_before_anything_starts() {
    let dir = tempfile::tempdir().expect("a directory");
    let refused = demo(dir.path(), &["--script", "kil n3"]).output().expect("it runs");
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(2));
    assert!(said.contains("step 1, \"kil n3\": want kill HOST"), "{said}");
    assert!(is_empty(dir.path()));
}
