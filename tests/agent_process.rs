//! The real binary as a process: how it starts, what it refuses, how it ends and comes back.

#![allow(clippy::disallowed_methods, reason = "real processes live in real time")]

#[path = "support/agent_process.rs"]
mod support;

use nix::sys::signal::Signal;
use serde_json::Value;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};
use support::{Agent, Answer, PATIENCE, Place, finish, poll, write_request};

const WEB: &str = r#"{"Name": "web", "Port": 8080, "Check": {"TTL": "1h"}}"#;

fn register(agent: &Agent, body: &str) {
    let answer = agent.put("/v1/agent/service/register", body);
    assert_eq!(answer.status, 200, "{answer:?}\n{}", agent.log());
}

fn generation(agent: &Agent) -> u64 {
    agent.get("/v1/shoal/status").json()["generation"].as_u64().expect("a number")
}

fn with(mut flags: Vec<String>, flag: &str, value: &str) -> Vec<String> {
    match flags.iter().position(|f| f == flag) {
        Some(at) => value.clone_into(&mut flags[at + 1]),
        None => flags.extend([flag.to_owned(), value.to_owned()]),
    }
    flags
}

fn agent_args(flags: Vec<String>) -> Vec<String> {
    std::iter::once("agent".to_owned()).chain(flags).collect()
}

#[test]
fn an_agent_says_where_it_is_and_answers_there() {
    let place = Place::new();
    let agent = place.start("one", &[]);
    let gossip = agent.gossip();
    let port: u16 = gossip.strip_prefix("127.0.0.1:").expect("loopback").parse().expect("a port");
    assert_ne!(port, 0);
    let paste = format!("shoal agent --join {gossip}");
    assert!(agent.printed.iter().any(|l| l.contains(&paste)), "{:?}", agent.printed);
    assert_eq!(agent.socket(), place.path("agent.sock"));
    let mode = std::fs::metadata(agent.socket()).expect("is there").permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    let itself = agent.get("/v1/agent/self").json();
    assert_eq!(itself["Config"]["NodeName"], "one");
}

#[test]
fn tcp_is_served_when_asked_for() {
    let place = Place::new();
    let agent = place.start("one", &["--http", "127.0.0.1:0"]);
    let url = agent.printed.iter().find_map(|l| l.strip_prefix("http ")).expect("is printed").trim();
    let addr = url.strip_prefix("http://").expect("a URL");
    let mut stream = std::net::TcpStream::connect(addr).expect("listens");
    write_request(&mut stream, "GET", "/v1/agent/self", "");
    assert_eq!(Answer::read(stream).status, 200);
}

#[test]
fn a_second_agent_takes_nothing_from_the_first() {
    let (place, other) = (Place::new(), Place::new());
    let first = place.start("one", &[]);
    let text = |p: &Path| p.display().to_string();
    let cases = [
        (with(other.flags("two"), "--socket", &text(first.socket())), "another agent is running at socket"),
        (with(other.flags("two"), "--data-dir", &text(&place.path("data"))), "in use by another agent"),
        (with(other.flags("two"), "--bind", &first.gossip()), "is in use by another process"),
    ];
    for (flags, want) in cases {
        let ended = finish(&agent_args(flags));
        assert_eq!(ended.code, Some(2), "{}", ended.err);
        assert!(ended.err.contains(want), "{:?} does not say {want:?}", ended.err);
        assert!(ended.out.is_empty(), "{:?}", ended.out);
        assert_eq!(first.get("/v1/agent/self").status, 200);
    }
    // What it refused did not cost it its own place.
    other.start("two", &[]);
}

#[test]
fn wrong_use_exits_with_2_and_says_what_was_wanted() {
    let place = Place::new();
    let file = place.path("shoal.toml");
    std::fs::write(&file, "node = \"one\"\nprobe_intreval = \"1s\"\n").expect("writes");
    let config = vec!["--config".to_owned(), file.display().to_string(), "--no-persist".to_owned()];
    let cases = [
        (with(place.flags("one"), "--bind", "0.0.0.0"), "--allow-plaintext"),
        (with(place.flags("one"), "--bind", "nowhere"), "bind = \"nowhere\": want ADDR[:PORT]"),
        (with(place.flags("one"), "--profile", "moon"), "profile = \"moon\": want lan, wan or local"),
        (config.clone(), "shoal.toml:2: unknown key probe_intreval"),
    ];
    for (flags, want) in cases {
        let ended = finish(&agent_args(flags));
        assert_eq!(ended.code, Some(2), "{}", ended.err);
        assert!(ended.err.contains(want), "{:?} does not say {want:?}", ended.err);
    }
    let check = |flags: Vec<String>| {
        let words = ["config", "check"].map(str::to_owned);
        finish(&words.into_iter().chain(flags).collect::<Vec<_>>())
    };
    let refused = check(config);
    assert_eq!(refused.code, Some(2));
    assert!(refused.err.contains("did you mean probe_interval?"), "{}", refused.err);
    let shown = check(place.flags("one"));
    assert_eq!(shown.code, Some(0), "{}", shown.err);
    assert!(shown.out.contains("node = \"one\""), "{}", shown.out);
}

#[test]
fn told_to_end_it_leaves_and_exits_with_0() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let place = Place::new();
        let mut agent = place.start("one", &[]);
        // A query that waits must not hold it up, nor be left without an answer.
        let index = agent.get_index("/v1/health/service/web");
        let waiting = agent.send("GET", &format!("/v1/health/service/web?wait=5m&index={index}"), "");
        let asked = Instant::now();
        agent.signal(signal);
        assert_eq!(agent.exit_code(Duration::from_secs(5)), 0, "{}", agent.log());
        assert!(asked.elapsed() < Duration::from_secs(5));
        assert!(!place.path("agent.sock").exists(), "its socket is gone");
        assert_eq!(Answer::read(waiting).status, 503);
    }
}

#[test]
fn asked_to_leave_it_answers_and_exits_with_0() {
    let place = Place::new();
    let mut agent = place.start("one", &[]);
    assert_eq!(agent.put("/v1/agent/leave", "").status, 200);
    assert_eq!(agent.exit_code(Duration::from_secs(5)), 0, "{}", agent.log());
}

#[test]
fn killed_and_started_again_it_has_its_registrations_and_a_later_generation() {
    let place = Place::new();
    let mut last = 0;
    for round in 0..3 {
        let agent = place.start("one", &[]);
        assert!(generation(&agent) > last);
        last = generation(&agent);
        let services = agent.get("/v1/agent/services").json();
        for earlier in 0..round {
            assert!(services.get(format!("web-{earlier}")).is_some(), "{services}");
        }
        if round > 0 {
            // The heartbeat of the first round is remembered with its status.
            let checks = agent.get("/v1/agent/checks").json();
            assert_eq!(checks["service:web-0"]["Status"], "passing", "{checks}");
        }
        register(&agent, &WEB.replace("web", &format!("web-{round}")));
        if round == 0 {
            let state = place.path("data/state");
            let before = std::fs::metadata(&state).expect("is there").modified().expect("has a time");
            assert_eq!(agent.put("/v1/agent/check/pass/service:web-0", "").status, 200);
            // A heartbeat does not wait for the disk; its status is there within a second or so.
            let written = poll(PATIENCE, || {
                let now = std::fs::metadata(&state).ok()?.modified().ok()?;
                (now > before).then_some(())
            });
            assert!(written.is_some(), "{}", agent.log());
        }
        // At once after the answer: what was answered is durable.
        agent.kill();
        assert!(place.path("agent.sock").exists(), "a killed agent leaves its socket");
    }
}

#[test]
fn a_damaged_state_file_is_set_aside_and_the_agent_starts() {
    let place = Place::new();
    let agent = place.start("one", &[]);
    register(&agent, WEB);
    agent.kill();
    let state = place.path("data/state");
    let mut bytes = std::fs::read(&state).expect("is there");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xff;
    std::fs::write(&state, &bytes).expect("writes");
    let agent = place.start("one", &[]);
    assert_eq!(agent.get("/v1/agent/services").json(), serde_json::json!({}));
    assert!(agent.log().contains("the state file is damaged"), "{}", agent.log());
    let aside = std::fs::read_dir(place.path("data"))
        .expect("lists")
        .map(|e| e.expect("is there").path())
        .find(|p| p.to_string_lossy().contains("state.damaged-"))
        .expect("is kept");
    assert_eq!(std::fs::read(aside).expect("is there"), bytes);
}

#[test]
fn a_registration_that_cannot_be_made_durable_is_refused_and_changes_nothing() {
    let place = Place::new();
    let agent = place.start("one", &[]);
    let in_the_way = place.path("data/state.new");
    std::fs::create_dir(&in_the_way).expect("creates");
    let answer = agent.put("/v1/agent/service/register", WEB);
    assert_eq!(answer.status, 500, "{answer:?}");
    assert!(answer.body.contains("nothing was changed"), "{answer:?}");
    assert_eq!(agent.get("/v1/agent/services").json(), serde_json::json!({}));
    std::fs::remove_dir(&in_the_way).expect("removes");
    register(&agent, WEB);
    assert!(agent.get("/v1/agent/services").json().get("web").is_some());
}

#[test]
fn many_registrations_at_once_are_all_there() {
    let place = Place::new();
    let agent = place.start("one", &[]);
    let asked: Vec<_> = (0..100)
        .map(|n| agent.send("PUT", "/v1/agent/service/register", &WEB.replace("web", &format!("web-{n}"))))
        .collect();
    for stream in asked {
        assert_eq!(Answer::read(stream).status, 200);
    }
    let count = |agent: &Agent| agent.get("/v1/agent/services").json().as_object().map(serde_json::Map::len);
    assert_eq!(count(&agent), Some(100));
    agent.kill();
    assert_eq!(count(&place.start("one", &[])), Some(100));
}

#[test]
fn reading_the_configuration_again_changes_what_can_change_and_names_the_rest() {
    let place = Place::new();
    let file = place.path("shoal.toml");
    let write = |text: &str| std::fs::write(&file, text).expect("writes");
    write("cluster = \"blue\"\n");
    let agent = place.start("one", &["--config", &file.display().to_string()]);
    let logged = |want: &str| {
        let found = poll(PATIENCE, || agent.log().contains(want).then_some(()));
        assert!(found.is_some(), "want {want:?} in:\n{}", agent.log());
    };
    write("cluster = \"red\"\nlog_level = \"debug\"\n[tag]\nrack = \"r2\"\n");
    agent.signal(Signal::SIGHUP);
    logged("tags changed");
    logged("the log level changed");
    logged("need a restart to take effect");
    write("cluster = 7\n");
    let refused = agent.put("/v1/agent/reload", "");
    assert_eq!(refused.status, 500, "{refused:?}");
    assert!(refused.body.contains("cluster = 7: want"), "{refused:?}");
}

#[test]
fn two_agents_find_each_other_and_one_that_leaves_is_seen_to_leave() {
    let (a, b) = (Place::new(), Place::new());
    let first = a.start("one", &[]);
    let mut second = b.start("two", &["--join", &first.gossip()]);
    let status_of = |members: &Value, name: &str| {
        let members = members.as_array().cloned().unwrap_or_default();
        members.iter().find(|m| m["Name"] == name).and_then(|m| m["Status"].as_u64())
    };
    // 1 is alive, 3 has left.
    first.get_until("/v1/agent/members", |m| status_of(m, "two") == Some(1));
    second.get_until("/v1/agent/members", |m| status_of(m, "one") == Some(1));
    register(&second, WEB);
    first.get_until("/v1/catalog/services", |s| s.get("web").is_some());
    second.signal(Signal::SIGTERM);
    assert_eq!(second.exit_code(Duration::from_secs(5)), 0, "{}", second.log());
    first.get_until("/v1/agent/members", |m| status_of(m, "two").is_none_or(|s| s == 3));
    first.get_until("/v1/catalog/services", |s| s.get("web").is_none());
}

#[test]
fn an_agent_whose_name_is_taken_ends_with_2_and_names_the_holder() {
    let (a, b) = (Place::new(), Place::new());
    let first = a.start("one", &[]);
    let mut second = b.start("one", &["--join", &first.gossip()]);
    assert_eq!(second.exit_code(PATIENCE), 2, "{}", second.log());
    assert!(second.log().contains("another live node has this node's name"), "{}", second.log());
    assert!(second.log().contains(&first.gossip()), "{}", second.log());
    assert_eq!(first.get("/v1/agent/self").status, 200);
}

/// A server that answers every request with the status that it is told to.
fn web_server() -> (std::net::SocketAddr, std::sync::Arc<std::sync::atomic::AtomicU16>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let addr = listener.local_addr().expect("it is bound");
    let status = std::sync::Arc::new(std::sync::atomic::AtomicU16::new(200));
    let told = std::sync::Arc::clone(&status);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            let mut request = [0; 4096];
            let _ = std::io::Read::read(&mut stream, &mut request);
            let status = told.load(std::sync::atomic::Ordering::Relaxed);
            let answer =
                format!("HTTP/1.1 {status} Said\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhm");
            let _ = std::io::Write::write_all(&mut stream, answer.as_bytes());
        }
    });
    (addr, status)
}

#[test]
fn checks_are_carried_out_and_their_results_shown() {
    let place = Place::new();
    let agent = place.start("one", &["--enable-script-checks"]);
    let (addr, status) = web_server();
    let body = format!(
        r#"{{"Name": "web", "Port": 1, "Checks": [
            {{"CheckID": "http", "HTTP": "http://{addr}/", "Interval": "1s", "FailuresBeforeCritical": 2}},
            {{"CheckID": "tcp", "TCP": "{addr}", "Interval": "1s"}},
            {{"CheckID": "script", "Args": ["sh", "-c", "echo so so; exit 1"], "Interval": "1s"}}]}}"#
    );
    register(&agent, &body);
    let check = |id: &str| agent.get("/v1/agent/checks").json()[id].clone();
    let becomes = |id: &str, status: &str| {
        let found = poll(PATIENCE, || Some(check(id)).filter(|c| c["Status"] == status));
        found.unwrap_or_else(|| panic!("{id}: {}\n{}", check(id), agent.log()))
    };
    let output = |check: &Value| check["Output"].as_str().expect("text").to_owned();
    assert_eq!(output(&becomes("http", "passing")), format!("HTTP GET http://{addr}/: 200 Said Output: hm"));
    assert_eq!(output(&becomes("tcp", "passing")), format!("TCP connect {addr}: Success"));
    assert_eq!(output(&becomes("script", "warning")).trim(), "so so");
    status.store(503, std::sync::atomic::Ordering::Relaxed);
    assert!(output(&becomes("http", "critical")).contains("503"));
    let health = agent.get("/v1/health/checks/web").json();
    let critical = health.as_array().expect("a list").iter().filter(|c| c["Status"] == "critical").count();
    assert_eq!(critical, 1, "{health}");
    // It is taken up again by the next process.
    agent.kill();
    status.store(200, std::sync::atomic::Ordering::Relaxed);
    let agent = place.start("one", &["--enable-script-checks"]);
    let passing = || agent.get("/v1/agent/checks").json()["http"]["Status"] == "passing";
    assert!(poll(PATIENCE, || passing().then_some(())).is_some(), "{}", agent.log());
}
