//! Parts of the API that only real agents show: the log as a stream, and events between hosts.

#![allow(clippy::disallowed_methods, reason = "real processes live in real time")]

#[path = "support/agent_process.rs"]
mod support;

use nix::sys::signal::Signal;
use std::io::Read;
use support::{Agent, PATIENCE, Place, poll};

const WEB: &str = r#"{"Name": "web", "Tags": ["blue"], "Port": 8080}"#;

fn register(agent: &Agent) {
    let answer = agent.put("/v1/agent/service/register", WEB);
    assert_eq!(answer.status, 200, "{answer:?}\n{}", agent.log());
}

/// Reads until what came contains `text`.
fn read_until(stream: &mut impl Read, text: &str) -> String {
    let mut seen = Vec::new();
    let mut buffer = [0; 4096];
    while !String::from_utf8_lossy(&seen).contains(text) {
        let n = stream.read(&mut buffer).expect("the stream goes on");
        assert!(n > 0, "it ended: {}", String::from_utf8_lossy(&seen));
        seen.extend(&buffer[..n]);
    }
    String::from_utf8_lossy(&seen).into_owned()
}

#[test]
fn the_log_can_be_read_in_more_detail_than_the_agent_writes_it() {
    let place = Place::new();
    let mut agent = place.start("one", &["--log-level", "error"]);
    let mut text = agent.send("GET", "/v1/agent/monitor?loglevel=info", "");
    let mut json = agent.send("GET", "/v1/agent/monitor?loglevel=debug&logjson=true", "");
    read_until(&mut text, "\r\n\r\n");
    read_until(&mut json, "\r\n\r\n");
    register(&agent);
    let lines = read_until(&mut text, "registered");
    assert!(lines.contains("INFO"), "{lines}");
    let lines = read_until(&mut json, "\"registered\"");
    let line = lines.lines().find(|l| l.contains("\"registered\"")).expect("it was read");
    let line: serde_json::Value = serde_json::from_str(line.trim()).expect("one object in a line");
    assert_eq!((&line["level"], &line["service"]), (&"INFO".into(), &"web".into()), "{line}");
    assert!(!agent.log().contains("registered"), "its own log is as it was: {}", agent.log());
    // Streams do not hold up the end.
    agent.signal(Signal::SIGTERM);
    assert_eq!(agent.exit_code(PATIENCE), 0);
    let mut rest = Vec::new();
    text.read_to_end(&mut rest).expect("it was closed");
}

#[test]
fn an_event_is_heard_by_the_agents_it_is_meant_for() {
    let place = Place::new();
    let one = place.start("one", &["--profile", "local"]);
    let elsewhere = Place::new();
    let two = elsewhere.start("two", &["--profile", "local", "--join", &one.gossip()]);
    register(&two);
    let members = || {
        let members = one.get("/v1/agent/members").json();
        members.as_array().is_some_and(|m| m.len() == 2).then_some(())
    };
    poll(PATIENCE, members).expect("two members");
    let fired = one.put("/v1/event/fire/deploy", "hi").json();
    let names = |agent: &Agent| -> Vec<String> {
        let list = agent.get("/v1/event/list").json();
        let list = list.as_array().expect("a list");
        list.iter().map(|e| e["Name"].as_str().expect("a text").to_owned()).collect()
    };
    let heard = poll(PATIENCE, || {
        let list = two.get("/v1/event/list?name=deploy").json();
        list.as_array().and_then(|l| l.first().cloned())
    });
    assert_eq!(heard.expect("it was heard"), fired);
    for (target, last) in [
        ("/v1/event/fire/a?node=%5Etwo$", "a"),
        ("/v1/event/fire/b?service=we&tag=blue", "b"),
        ("/v1/event/fire/c?service=web&tag=green", "b"),
        ("/v1/event/fire/d", "d"),
    ] {
        assert_eq!(one.put(target, "").status, 200);
        let arrived = || (names(&two).last().map(String::as_str) == Some(last)).then_some(());
        poll(PATIENCE, arrived).unwrap_or_else(|| panic!("{target}: {:?}", names(&two)));
    }
    assert_eq!(names(&one), ["deploy", "d"], "what is meant for others is not listed");
    assert_eq!(names(&two), ["deploy", "a", "b", "d"]);
}
