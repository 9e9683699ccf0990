//! `watch --exec`, `render` and `top` as processes, against real agents.

#![allow(clippy::disallowed_methods, reason = "real processes live in real time")]

#[path = "support/agent_process.rs"]
mod support;
#[path = "support/terminal.rs"]
mod terminal;

use nix::sys::signal::Signal;
use std::fs;
use std::process::{Command, Stdio};
use support::{Agent, PATIENCE, Place, poll, shoal};
use terminal::{LEAVES_THE_SCREEN, Running, Terminal};

fn asking(agent: &Agent, words: &[&str]) -> Command {
    let mut command = shoal();
    command.args(words).arg("--socket").arg(agent.socket());
    command
}

fn register(agent: &Agent, id: &str, port: u16) {
    let body = format!(r#"{{"Name": "web", "ID": "{id}", "Port": {port}, "Address": "10.0.0.7"}}"#);
    assert_eq!(agent.put("/v1/agent/service/register", &body).status, 200, "{}", agent.log());
}

fn appears(path: &std::path::Path, wanted: &str) {
    let mut last = String::new();
    let found = poll(PATIENCE, || {
        last = fs::read_to_string(path).unwrap_or_default();
        (last == wanted).then_some(())
    });
    assert!(found.is_some(), "{} still says {last:?}, not {wanted:?}", path.display());
}

#[test]
fn a_rendered_file_follows_the_table_over_a_crash_of_the_agent() {
    let place = Place::new();
    let agent = place.start("one", &[]);
    register(&agent, "a", 80);
    let (template, out, runs) = (place.path("in"), place.path("out"), place.path("runs"));
    fs::write(&template, "{% for i in service('web') %}\n{{ i.endpoint }} {{ i.health }}\n{% endfor %}\n")
        .expect("is written");
    let exec = format!("echo run >> {}", runs.display());
    let words = ["render", &template.display().to_string(), &out.display().to_string(), "-q"];
    let mut render = asking(&agent, &words);
    let mut render =
        Running::start(render.args(["--debounce", "20ms", "--exec", &exec, "--verify", "test -s {}"]));
    appears(&out, "10.0.0.7:80 passing\n");
    register(&agent, "b", 81);
    appears(&out, "10.0.0.7:80 passing\n10.0.0.7:81 passing\n");
    agent.kill();
    let agent = place.start("one", &[]);
    assert_eq!(agent.put("/v1/agent/service/deregister/a", "").status, 200);
    appears(&out, "10.0.0.7:81 passing\n");
    // An empty file is what --verify refuses, so the last good one stays.
    assert_eq!(agent.put("/v1/agent/service/deregister/b", "").status, 200);
    register(&agent, "c", 82);
    appears(&out, "10.0.0.7:82 passing\n");
    render.signal(Signal::SIGTERM);
    assert_eq!(render.code(), Some(0));
    let ran = fs::read_to_string(&runs).expect("it ran").lines().count();
    assert!((3..=5).contains(&ran), "{ran} runs");
}

#[test]
fn a_watch_runs_its_command_for_what_changes_and_ends_with_a_signal() {
    let place = Place::new();
    let agent = place.start("one", &[]);
    let (begun, lines) = (place.path("begun"), place.path("lines"));
    let exec =
        format!("cat >> {}; echo \"$SHOAL_SERVICE $SHOAL_INDEX\" > {}", lines.display(), begun.display());
    let mut watch = asking(&agent, &["watch", "web", "-q", "--debounce", "20ms", "--exec", &exec]);
    let mut watch = Running::start(watch.stdout(Stdio::null()));
    // What was there before the watch began is no change, so there have to be some afterwards.
    let mut port = 80;
    let ran = poll(PATIENCE, || {
        port += 1;
        register(&agent, "a", port);
        fs::read_to_string(&begun).ok().filter(|text| text.ends_with('\n'))
    });
    let ran = ran.expect("the command runs");
    let index = ran.trim().strip_prefix("web ").and_then(|index| index.parse::<u64>().ok());
    assert!(index.is_some_and(|index| index > 0), "{ran}");
    let lines = fs::read_to_string(&lines).expect("it ran");
    for line in lines.lines() {
        let change: serde_json::Value = serde_json::from_str(line).expect("a line of JSON");
        assert_eq!(change["service"], "web");
    }
    watch.signal(Signal::SIGTERM);
    assert_eq!(watch.code(), Some(0));
}

#[test]
fn top_shows_the_cluster_and_gives_the_terminal_back_by_key_and_by_signal() {
    let place = Place::new();
    let agent = place.start("one", &[]);
    register(&agent, "a", 80);
    for ends_by_key in [true, false] {
        let terminal = Terminal::open();
        let mut top = terminal.run(&mut asking(&agent, &["top", "--interval", "50ms"]));
        terminal.shows("Members");
        assert!(terminal.is_raw());
        terminal.types("2");
        terminal.shows("SERVICE");
        if ends_by_key {
            terminal.types("q");
        } else {
            top.signal(Signal::SIGTERM);
        }
        assert_eq!(top.code(), Some(0));
        terminal.shows(LEAVES_THE_SCREEN);
        assert!(!terminal.is_raw());
    }
}

#[test]
fn top_once_prints_the_view_as_text() {
    let place = Place::new();
    let agent = place.start("one", &[]);
    register(&agent, "a", 80);
    let once = asking(&agent, &["top", "--once"]).output().expect("it runs");
    let text = String::from_utf8_lossy(&once.stdout).into_owned();
    assert!(once.status.success() && text.starts_with("one of shoal  1 alive"), "{text}");
    // No terminal is here.
    let refused = asking(&agent, &["top"]).output().expect("it runs");
    assert_eq!(refused.status.code(), Some(2));
}
