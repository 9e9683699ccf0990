//! `shoal doctor` as a process, against agents with something wrong.

#![allow(clippy::disallowed_methods, reason = "real processes live in real time")]

#[path = "support/embedded.rs"]
mod embedded;
#[path = "support/agent_process.rs"]
mod support;

use nix::sys::signal::Signal;
use serde_json::Value;
use shoal::agent::{Interference, Running};
use std::collections::BTreeMap;
use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use support::{Agent, Finished, PATIENCE, Place, finish, poll};

fn doctor(socket: &Path, more: &[&str]) -> Finished {
    let mut args = vec!["doctor".to_owned(), "--socket".to_owned(), socket.display().to_string()];
    args.extend(more.iter().map(|&word| word.to_owned()));
    finish(&args)
}

/// What is found, as soon as `good` likes it.
fn found(socket: &Path, more: &[&str], good: impl Fn(&Value) -> bool) -> (Value, Option<i32>) {
    let mut last = String::new();
    let more = [more, &["--format", "json"]].concat();
    let answer = poll(PATIENCE * 2, || {
        let done = doctor(socket, &more);
        last = format!("{}{}", done.out, done.err);
        let report: Value = serde_json::from_str(&done.out).ok()?;
        good(&report).then_some((report, done.code))
    });
    answer.unwrap_or_else(|| panic!("still says {last}"))
}

fn finding<'a>(report: &'a Value, name: &str) -> Option<&'a Value> {
    report["findings"].as_array()?.iter().find(|finding| finding["name"] == name)
}

fn knows(agent: &Agent, members: usize) {
    agent.get_until("/v1/shoal/members", |list| {
        list.as_array().is_some_and(|list| list.iter().filter(|m| m["status"] == "alive").count() == members)
    });
}

#[test]
fn a_healthy_cluster_is_told_to_be_well() {
    let places: Vec<Place> = (0..3).map(|_| Place::new()).collect();
    let first = places[0].start("one", &["--profile", "local"]);
    let join = ["--profile", "local", "--join", &first.gossip()].map(str::to_owned);
    let join: Vec<&str> = join.iter().map(String::as_str).collect();
    let (_two, _three) = (places[1].start("two", &join), places[2].start("three", &join));
    knows(&first, 3);
    // A busy machine may let an agent doubt itself for a while.
    let (report, code) = found(first.socket(), &[], |report| report["well"] == true);
    assert_eq!((code, &report["node"], &report["examined"]), (Some(0), &"one".into(), &2.into()));
    let passed = report["passed"].as_array().expect("a list");
    for (what, words) in
        [("reach", "2 of 2 members answered"), ("size", "1400 bytes get through to 2 members")]
    {
        let seen = passed.iter().find(|p| p["what"] == what).and_then(|p| p["seen"].as_str());
        assert!(seen.is_some_and(|seen| seen.contains(words)), "{what}: {seen:?}");
    }
    let one = found(first.socket(), &["--node", "two"], |report| report["well"] == true).0;
    assert_eq!(one["examined"], 1);
    let text = poll(PATIENCE, || Some(doctor(first.socket(), &[])).filter(|done| done.code == Some(0)));
    let text = text.expect("is well").out;
    assert!(text.starts_with("one of cluster shoal, version "), "{text}");
    assert!(text.contains("well: reach: 2 of 2 members") && text.ends_with("all is well\n"), "{text}");
    let unknown = doctor(first.socket(), &["--node", "nine"]);
    assert_eq!(unknown.code, Some(1));
    assert!(unknown.err.contains("no node is named \"nine\""), "{}", unknown.err);
}

#[test]
fn a_host_with_another_key_is_named_with_what_to_do() {
    let (one, two) = (Place::new(), Place::new());
    let key = |place: &Place| {
        let path = place.path("keys");
        fs::write(&path, finish(&["keygen".to_owned()]).out).expect("is written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("is ours");
        path.display().to_string()
    };
    let first = one.start("one", &["--key-file", &key(&one)]);
    let second = two.start("two", &["--key-file", &key(&two), "--join", &first.gossip()]);
    let (report, code) = found(first.socket(), &[], |report| finding(report, "unknown_key").is_some());
    let stranger = finding(&report, "unknown_key").expect("is there");
    assert_eq!((code, &stranger["about"]), (Some(1), &second.gossip().into()));
    assert_eq!(stranger["severity"], "warning");
    assert!(
        stranger["do"].as_str().is_some_and(|text| text.contains("shoal keyring install KEY")),
        "{stranger}"
    );
}

#[test]
fn a_second_node_of_a_name_and_another_cluster_are_named() {
    let places: Vec<Place> = (0..4).map(|_| Place::new()).collect();
    let first = places[0].start("one", &[]);
    let _second = places[1].start("two", &["--join", &first.gossip()]);
    knows(&first, 2);
    let mut rival = places[2].start("two", &["--join", &first.gossip()]);
    assert_eq!(rival.exit_code(PATIENCE), 2);
    let other = places[3].start("far", &["--cluster", "other", "--join", &first.gossip()]);
    let both =
        |report: &Value| ["name_taken", "other_cluster"].iter().all(|name| finding(report, name).is_some());
    let (report, code) = found(first.socket(), &[], both);
    assert_eq!(code, Some(1));
    let taken = finding(&report, "name_taken").expect("is there");
    assert!(taken["seen"].as_str().is_some_and(|seen| seen.contains(&rival.gossip())), "{taken}");
    assert_eq!(finding(&report, "other_cluster").expect("is there")["about"], other.gossip());
}

#[test]
fn datagrams_that_the_kernel_dropped_are_counted() {
    let place = Place::new();
    let agent = place.start("one", &[]);
    agent.signal(Signal::SIGSTOP);
    let flood = UdpSocket::bind("127.0.0.1:0").expect("binds");
    let bytes = [0_u8; 1_400];
    // More than any buffer that is asked for.
    for _ in 0..12_000 {
        flood.send_to(&bytes, agent.gossip()).ok();
    }
    agent.signal(Signal::SIGCONT);
    let (report, code) =
        found(agent.socket(), &[], |report| finding(report, "receive_buffer_overflow").is_some());
    assert_eq!(code, Some(1));
    let overflow = finding(&report, "receive_buffer_overflow").expect("is there");
    assert!(overflow["do"].as_str().is_some_and(|text| text.contains("net.core.rmem_max=")), "{overflow}");
}

/// Lets datagrams of more than so many bytes get lost from one agent to another.
#[derive(Debug, Default)]
struct Losing {
    addrs: Mutex<BTreeMap<String, SocketAddr>>,
    rule: Mutex<Option<(&'static str, &'static str, usize)>>,
}

#[derive(Debug)]
struct Of(Arc<Losing>, &'static str);

impl Interference for Of {
    fn lets_out(&self, to: SocketAddr, bytes: usize) -> bool {
        let rule = *self.0.rule.lock().unwrap_or_else(PoisonError::into_inner);
        let addrs = self.0.addrs.lock().unwrap_or_else(PoisonError::into_inner);
        let lost = |(from, there, most): (&str, &str, usize)| {
            self.1 == from && addrs.get(there) == Some(&to) && bytes > most
        };
        !rule.is_some_and(lost)
    }
}

/// Three agents of which one loses something, by name.
struct Trio {
    dir: tempfile::TempDir,
    losing: Arc<Losing>,
    _agents: Vec<Running>,
    _runtime: tokio::runtime::Runtime,
}

impl Trio {
    fn start() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let losing = Arc::new(Losing::default());
        let mut agents: Vec<Running> = Vec::new();
        for node in ["one", "two", "three"] {
            let join: Vec<String> = agents.iter().map(|agent| agent.gossip_addr().to_string()).collect();
            let interference: Arc<dyn Interference> = Arc::new(Of(Arc::clone(&losing), node));
            let agent = embedded::start(dir.path(), node, &join, runtime.handle(), Some(interference));
            let mut addrs = losing.addrs.lock().unwrap_or_else(PoisonError::into_inner);
            addrs.insert(node.to_owned(), agent.gossip_addr());
            drop(addrs);
            agents.push(agent);
        }
        let trio = Self { dir, losing, _agents: agents, _runtime: runtime };
        found(&trio.socket(), &[], |report| report["examined"] == 2);
        trio
    }

    fn socket(&self) -> std::path::PathBuf {
        self.dir.path().join("one.sock")
    }

    fn lose(&self, from: &'static str, to: &'static str, above: usize) {
        *self.losing.rule.lock().unwrap_or_else(PoisonError::into_inner) = Some((from, to, above));
    }
}

#[test]
fn a_link_that_works_in_one_direction_is_named_with_the_direction() {
    let trio = Trio::start();
    for (from, to, name, about) in
        [("one", "two", "link_broken_there", "one -> two"), ("two", "one", "link_broken_back", "two -> one")]
    {
        trio.lose(from, to, 0);
        let (report, code) =
            found(&trio.socket(), &["--node", "two"], |report| finding(report, name).is_some());
        assert_eq!(code, Some(1));
        let link = finding(&report, name).expect("is there");
        assert_eq!((&link["about"], &link["severity"]), (&about.into(), &"critical".into()), "{link}");
    }
}

#[test]
fn a_path_that_is_too_narrow_is_named_with_the_direction_and_the_size() {
    let trio = Trio::start();
    for (from, to, name) in [("one", "three", "large_lost_there"), ("three", "one", "large_lost_back")] {
        trio.lose(from, to, 1_200);
        let (report, code) = found(&trio.socket(), &[], |report| finding(report, name).is_some());
        assert_eq!(code, Some(1));
        let narrow = finding(&report, name).expect("is there");
        assert_eq!(narrow["about"], format!("{from} -> {to}"));
        assert!(narrow["seen"].as_str().is_some_and(|seen| seen.contains("1400 bytes")), "{narrow}");
    }
}

#[test]
fn without_an_agent_it_says_what_can_be_said_and_exits_with_3() {
    let (place, other) = (Place::new(), Place::new());
    let socket = place.path("agent.sock");
    let missing = doctor(&socket, &[]);
    assert_eq!(missing.code, Some(3), "{}{}", missing.out, missing.err);
    assert!(
        missing.out.contains("CRITICAL: no_agent: ") && missing.out.contains("do     start one"),
        "{}",
        missing.out
    );
    // One that was killed leaves its socket behind.
    place.start("one", &[]).kill();
    let stale = doctor(&socket, &[]);
    assert_eq!(stale.code, Some(3));
    assert!(stale.out.contains("CRITICAL: stale_socket: "), "{}", stale.out);
    // Another agent has the port and the data.
    let running = other.start("two", &[]);
    let file = place.path("agent.toml");
    let config = format!("bind = {:?}\ndata_dir = {:?}\n", running.gossip(), other.path("data"));
    fs::write(&file, config).expect("is written");
    let file = file.display().to_string();
    let taken = doctor(&socket, &["--config", &file]);
    assert_eq!(taken.code, Some(3));
    let holder = format!("process {} (shoal)", running.pid());
    for name in ["port_in_use", "data_dir_in_use"] {
        assert!(
            taken.out.contains(&format!("CRITICAL: {name}: ")) && taken.out.contains(&holder),
            "{}",
            taken.out
        );
    }
    fs::write(&file, "bnd = 7\n").expect("is written");
    let invalid = doctor(&socket, &["--config", &file]);
    assert!(invalid.out.contains("config_invalid") && invalid.out.contains("bnd"), "{}", invalid.out);
    // One that stands still is not one that is gone, and is not waited for.
    running.signal(Signal::SIGSTOP);
    let silent = doctor(running.socket(), &[]);
    running.signal(Signal::SIGCONT);
    assert_eq!(silent.code, Some(3));
    assert!(silent.out.contains("CRITICAL: agent_silent: "), "{}", silent.out);
    assert_eq!(doctor(&socket, &["--format", "yaml"]).code, Some(2));
}

#[test]
fn examinations_beyond_those_that_may_wait_are_refused() {
    let (one, two) = (Place::new(), Place::new());
    let first = one.start("one", &[]);
    let second = two.start("two", &["--join", &first.gossip()]);
    knows(&first, 2);
    // Whoever does not answer is waited for.
    second.signal(Signal::SIGSTOP);
    let asked: Vec<_> = (0..12).map(|_| first.send("GET", "/v1/shoal/doctor", "")).collect();
    let answers: Vec<u16> = asked.into_iter().map(|stream| support::Answer::read(stream).status).collect();
    second.signal(Signal::SIGCONT);
    let refused = answers.iter().filter(|status| **status == 503).count();
    let done = answers.iter().filter(|status| **status == 200).count();
    assert_eq!((done, refused), (4, 8), "{answers:?}");
}

/// Names of findings in the source: first arguments, and first fields of tuples.
fn names_in(dir: &Path, names: &mut Vec<String>) {
    let pattern = regex::Regex::new(r#"(?:Finding::new\(|found\(|=> \(|\{ \(|\()\s*"([a-z]+(?:_[a-z]+)+|isolated|stalls|unsealed|forged)","#)
        .expect("is one");
    for entry in fs::read_dir(dir).expect("is there") {
        let path = entry.expect("is readable").path();
        if path.is_dir() {
            names_in(&path, names);
        } else {
            let text = fs::read_to_string(&path).expect("is text");
            let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
            names.extend(pattern.captures_iter(code).map(|found| found[1].to_owned()));
        }
    }
}

#[test]
fn every_finding_has_its_section_and_every_section_its_finding() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut names = Vec::new();
    names_in(&root.join("src/cli/doctor"), &mut names);
    names.retain(|name| !name.starts_with("shoal_"));
    names.sort();
    names.dedup();
    let page = fs::read_to_string(root.join("docs/doctor.md")).expect("is there");
    let mut sections: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix("### ")).collect();
    sections.sort_unstable();
    assert_eq!(names, sections);
}
