//! Keys as an operator meets them: key files, a rotation through the program's own commands, restarts,
//! and what is never shown.

#![allow(clippy::disallowed_methods, reason = "real processes live in real time")]

#[path = "support/agent_process.rs"]
mod support;

use serde_json::Value;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use support::{Agent, Answer, PATIENCE, Place, finish, poll, shoal, write_request};

fn command(args: &[&str], input: &str) -> Output {
    let mut child = shoal()
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    child.stdin.take().expect("is piped").write_all(input.as_bytes()).expect("is read");
    child.wait_with_output().expect("ends")
}

fn out(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn keyring(agent: &Agent, args: &[&str], input: &str) -> Output {
    let socket = agent.socket().display().to_string();
    let all: Vec<&str> =
        ["keyring"].into_iter().chain(args.iter().copied()).chain(["--socket", &socket]).collect();
    command(&all, input)
}

fn list(agent: &Agent) -> Vec<Value> {
    let text = out(&keyring(agent, &["list", "--format", "json"], ""));
    serde_json::from_str(&text).expect("is a list")
}

fn keygen() -> String {
    out(&command(&["keygen"], ""))
}

fn key_file(place: &Place, mode: u32, text: &str) -> PathBuf {
    let path = place.path("keys");
    std::fs::write(&path, text).expect("writes");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("is ours");
    path
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

/// Does as an operator would: tries until the agents know enough of each other.
fn until_done(agent: &Agent, args: &[&str]) {
    let mut said = String::new();
    let done = poll(PATIENCE, || {
        let output = keyring(agent, args, "");
        said = String::from_utf8_lossy(&output.stderr).into_owned();
        output.status.success().then_some(())
    });
    assert!(done.is_some(), "{args:?}: {said}\n{}", agent.log());
}

fn unknown_keys(agent: &Agent) -> u64 {
    let metrics = agent.get("/metrics").body;
    let line = metrics.lines().find(|l| l.contains("reason=\"unknown_key\""));
    line.and_then(|l| l.rsplit(' ').next()).map_or(0, |n| n.parse().expect("a number"))
}

fn alive(agent: &Agent, count: usize) {
    agent.get_until("/v1/shoal/members", |m| {
        m.as_array().is_some_and(|m| m.iter().filter(|m| m["status"] == "alive").count() == count)
    });
}

#[test]
fn a_cluster_changes_its_keys_without_losing_anything_and_a_restart_keeps_them() {
    let places: Vec<Place> = (0..3).map(|_| Place::new()).collect();
    let (old, new) = (keygen(), keygen());
    assert_ne!(old, new);
    let files: Vec<PathBuf> =
        places.iter().map(|p| key_file(p, 0o600, &format!("# the first\n{old}\n"))).collect();
    let mut agents: Vec<Agent> = Vec::new();
    for (n, place) in places.iter().enumerate() {
        let first = agents.first().map(Agent::gossip);
        let file = text(&files[n]);
        let mut more = vec!["--key-file", file.as_str(), "--log-level", "trace"];
        more.extend(first.iter().flat_map(|a| ["--join", a.as_str()]));
        agents.push(place.start(&format!("n{n}"), &more));
    }
    agents.iter().for_each(|agent| alive(agent, 3));
    let keys = list(&agents[1]);
    assert_eq!(keys.len(), 1);
    let old_id = keys[0]["id"].as_str().expect("an id").to_owned();
    // The primary key cannot be removed.
    let refused = keyring(&agents[0], &["remove", &old_id], "");
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("is the primary one"));
    out(&keyring(&agents[0], &["install"], &new));
    until_done(&agents[1], &["use", &new]);
    until_done(&agents[2], &["remove", &old_id]);
    for agent in &agents {
        let found = poll(PATIENCE, || {
            let keys = list(agent);
            (keys.len() == 1 && keys[0]["id"] != old_id.as_str() && keys[0]["use"] == 3).then_some(())
        });
        assert!(found.is_some(), "{:?}\n{}", list(agent), agent.log());
        assert_eq!(unknown_keys(agent), 0, "{}", agent.log());
    }
    for (agent, place) in agents.iter().zip(&places) {
        let kept = place.path("data/keyring");
        let mode = std::fs::metadata(&kept).expect("is kept").permissions().mode() & 0o777;
        assert_eq!(mode, 0o600);
        for secret in [&old, &new] {
            let found = [agent.log(), agent.get("/v1/agent/self").body, agent.get("/v1/shoal/keyring").body];
            assert!(found.iter().all(|text| !text.contains(secret.as_str())), "a key is shown");
        }
    }
    // Its file holds the old key still: what was kept decides.
    agents.remove(2).kill();
    let file = text(&files[2]);
    let back = places[2].start("n2", &["--key-file", &file]);
    alive(&back, 3);
    assert!(back.log().contains("was removed from the cluster's keyring"), "{}", back.log());
    let keys = list(&back);
    assert!(keys.len() == 1 && keys[0]["id"] != old_id.as_str(), "{keys:?}");
}

#[test]
fn who_has_no_key_in_common_is_told_what_to_do_and_gets_in() {
    let (here, away) = (Place::new(), Place::new());
    let (present, old) = (keygen(), keygen());
    let file = text(&key_file(&here, 0o600, &present));
    let first = here.start("here", &["--key-file", &file, "--profile", "local"]);
    let gossip = first.gossip();
    let old_file = text(&key_file(&away, 0o600, &old));
    let lost = away.start("away", &["--key-file", &old_file, "--profile", "local", "--join", &gossip]);
    let status = first.get_until("/v1/shoal/status", |s| s["encryption"]["advice"].is_string());
    let advice = status["encryption"]["advice"].as_str().expect("a text").to_owned();
    assert!(advice.contains("shoal keyring install") && advice.contains(&lost.gossip()), "{advice}");
    assert!(first.log().contains("shoal keyring install"), "{}", first.log());
    out(&keyring(&lost, &["install", "-"], &present));
    alive(&lost, 2);
    alive(&first, 2);
}

#[test]
fn keys_are_changed_over_the_socket_only() {
    let place = Place::new();
    let file = text(&key_file(&place, 0o600, &keygen()));
    let agent = place.start("one", &["--key-file", &file, "--http", "127.0.0.1:0"]);
    let url = agent.printed.iter().find_map(|l| l.strip_prefix("http ")).expect("is printed").trim();
    let addr = url.strip_prefix("http://").expect("a URL");
    let body = format!("{{\"Key\": \"{}\"}}", keygen());
    for (method, target, body) in [
        ("GET", "/v1/shoal/keyring", ""),
        ("PUT", "/v1/shoal/keyring/install", body.as_str()),
        ("PUT", "/v1/shoal/keyring/use/00000001", ""),
        ("PUT", "/v1/shoal/keyring/remove/00000001", ""),
    ] {
        let mut stream = std::net::TcpStream::connect(addr).expect("listens");
        write_request(&mut stream, method, target, body);
        assert_eq!(Answer::read(stream).status, 403, "{target}");
    }
    assert_eq!(list(&agent).len(), 1);
    for (target, body, status) in [
        ("/v1/shoal/keyring/use/00000001", "", 404),
        ("/v1/shoal/keyring/remove/00000001", "", 404),
        ("/v1/shoal/keyring/use/nothing", "", 400),
        ("/v1/shoal/keyring/install", "{}", 400),
        ("/v1/shoal/keyring/install", "{\"Key\": \"abc\"}", 400),
        ("/v1/shoal/keyring/install", body.as_str(), 200),
    ] {
        let answer = agent.put(target, body);
        assert_eq!(answer.status, status, "{target}: {answer:?}");
    }
    assert_eq!(list(&agent).len(), 2);
}

#[test]
fn without_a_key_gossip_stays_on_the_host_and_a_lax_key_file_is_refused() {
    let place = Place::new();
    let start = |more: &[&str]| {
        let mut args = vec!["agent".to_owned()];
        args.extend(place.flags("one"));
        args.extend(more.iter().map(|&a| a.to_owned()));
        args
    };
    let routable = ["--bind", "0.0.0.0:0", "--advertise", "127.0.0.1"];
    let without = |flags: Vec<String>| {
        let at = flags.iter().position(|f| f == "--bind").expect("is given");
        let mut flags = flags;
        flags.drain(at..at + 2);
        flags
    };
    let refused =
        finish(&without(start(&[])).into_iter().chain(routable.map(str::to_owned)).collect::<Vec<_>>());
    assert_eq!(refused.code, Some(2), "{}", refused.err);
    assert!(
        refused.err.contains("--key-file") && refused.err.contains("--allow-plaintext"),
        "{}",
        refused.err
    );
    let lax = text(&key_file(&place, 0o644, &keygen()));
    let refused = finish(&start(&["--key-file", &lax]));
    assert_eq!(refused.code, Some(2), "{}", refused.err);
    assert!(refused.err.contains("mode 0644") && refused.err.contains("chmod 0600"), "{}", refused.err);
    let plain = place.start("one", &[]);
    let output = keyring(&plain, &["install", &keygen()], "");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--key-file"), "{output:?}");
    assert!(list(&plain).is_empty());
}
