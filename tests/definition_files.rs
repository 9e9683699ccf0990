//! Services and checks from files: read at the start, read again, and out of callers' way.

#![allow(clippy::disallowed_methods, reason = "real processes live in real time")]

#[path = "support/agent_process.rs"]
mod support;

use nix::sys::signal::Signal;
use serde_json::Value;
use std::time::Duration;
use support::{Agent, PATIENCE, Place, finish, poll};

/// An agent's directory of definition files.
struct Files<'a> {
    place: &'a Place,
}

impl<'a> Files<'a> {
    fn new(place: &'a Place) -> Self {
        std::fs::create_dir(place.path("conf")).expect("creates");
        Self { place }
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.place.path("conf").join(name), text).expect("writes");
    }

    fn remove(&self, name: &str) {
        std::fs::remove_file(self.place.path("conf").join(name)).expect("removes");
    }

    fn start(&self) -> Agent {
        self.place.start("one", &["--config-dir", &self.place.path("conf").display().to_string()])
    }
}

fn ids(agent: &Agent) -> Vec<String> {
    let services = agent.get("/v1/agent/services").json();
    services.as_object().map(|o| o.keys().cloned().collect()).unwrap_or_default()
}

fn modified(agent: &Agent, service: &str) -> Value {
    let found = agent.get(&format!("/v1/health/service/{service}")).json();
    serde_json::json!([found[0]["Service"]["ModifyIndex"], found[0]["Checks"][1]["ModifyIndex"]])
}

const WEB: &str = "[[service]]\nname = \"web\"\nport = 80\ncheck = { ttl = \"1h\", status = \"passing\" }\n";
const DB: &str = r#"{"service": {"id": "db-1", "name": "db", "port": 5432, "tags": ["main"],
    "checks": [{"ttl": "1h"}]}}"#;

#[test]
fn files_are_read_at_the_start_and_again_and_what_callers_registered_stays() {
    let place = Place::new();
    let files = Files::new(&place);
    files.write("web.toml", WEB);
    files.write("db.json", DB);
    let agent = files.start();
    assert_eq!(ids(&agent), ["db-1", "web"]);
    let registered = agent.put("/v1/agent/service/register", r#"{"Name": "api", "Port": 1}"#);
    assert_eq!(registered.status, 200);
    assert_eq!(agent.put("/v1/agent/check/pass/service:db-1", "").status, 200);
    agent.get_until("/v1/health/service/db?passing", |s| s[0]["Service"]["Port"] == 5432);

    // What stays the same is not published again; what changed is, and keeps its status.
    let before = modified(&agent, "db");
    files.write("web.toml", &WEB.replace("80", "81"));
    files.write("new.toml", "[[service]]\nname = \"new\"\n");
    assert_eq!(agent.put("/v1/agent/reload", "").status, 200);
    assert_eq!(ids(&agent), ["api", "db-1", "new", "web"]);
    agent.get_until("/v1/health/service/web?passing", |s| s[0]["Service"]["Port"] == 81);
    assert_eq!(modified(&agent, "db"), before);

    // One bad file changes nothing, and says which and what.
    files.write("new.toml", "[[service]]\nname = \"newer\"\n");
    files.write("zz.json", r#"{"service": {"name": "bad", "port": "x"}}"#);
    let refused = agent.put("/v1/agent/reload", "");
    assert_eq!(refused.status, 500, "{refused:?}");
    let wanted = "zz.json: service \"bad\": Port is a string: want a whole number";
    assert!(refused.body.contains(wanted), "{refused:?}");
    assert_eq!(ids(&agent), ["api", "db-1", "new", "web"]);
    // Nor does a check of an instance that is nowhere, which no file alone shows.
    files.write("zz.json", r#"{"check": {"name": "c", "ttl": "5s", "service_id": "nowhere"}}"#);
    let refused = agent.put("/v1/agent/reload", "");
    assert!(refused.body.contains("zz.json: check \"c\": unknown service id \"nowhere\""), "{refused:?}");
    files.remove("zz.json");

    // By signal as well. What went from the files goes, and nothing else.
    files.remove("web.toml");
    agent.signal(Signal::SIGHUP);
    let done = poll(PATIENCE, || (ids(&agent) == ["api", "db-1", "newer"]).then_some(()));
    assert!(done.is_some(), "{:?}\n{}", ids(&agent), agent.log());

    // A restart knows which were the files', although they are gone meanwhile.
    agent.kill();
    files.remove("new.toml");
    let agent = files.start();
    assert_eq!(ids(&agent), ["api", "db-1"]);
    let checks = agent.get("/v1/agent/checks").json();
    assert_eq!(checks["service:db-1"]["Status"], "passing", "{checks}");
}

#[test]
fn an_agent_with_a_bad_file_does_not_start_and_the_check_says_so_before() {
    let place = Place::new();
    let files = Files::new(&place);
    files.write("web.toml", WEB);
    let conf = place.path("conf").display().to_string();
    let check = |more: &[&str]| {
        let words = ["config", "check", "--node", "one", "--no-persist", "--config-dir", &conf];
        finish(&words.iter().chain(more).map(|&w| w.to_owned()).collect::<Vec<_>>())
    };
    let good = check(&[]);
    assert_eq!((good.code, good.err.as_str()), (Some(0), ""));
    assert!(good.out.contains("# service \"web\" ("), "{}", good.out);
    files.write("script.toml", "[[check]]\nname = \"disk\"\nargs = [\"/bin/true\"]\ninterval = \"1s\"\n");
    let bad = check(&[]);
    assert_eq!(bad.code, Some(2));
    assert!(bad.err.contains("script.toml:1: check \"disk\": Args: scripts are disabled"), "{}", bad.err);
    assert_eq!(check(&["--enable-local-script-checks"]).code, Some(0));
    let mut words = vec!["agent".to_owned()];
    words.extend(place.flags("one"));
    words.extend(["--config-dir".to_owned(), conf]);
    let refused = finish(&words);
    assert_eq!(refused.code, Some(2));
    assert!(refused.err.contains("script.toml:1"), "{}", refused.err);
}

#[test]
fn scripts_of_files_run_where_callers_may_register_none() {
    let place = Place::new();
    let files = Files::new(&place);
    let script = "args = [\"/bin/sh\", \"-c\", \"echo it runs; exit 1\"]\ninterval = \"1s\"\n";
    files.write(
        "script.toml",
        &format!("enable_local_script_checks = true\n[[check]]\nname = \"disk\"\n{script}"),
    );
    let agent = files.start();
    agent.get_until("/v1/agent/checks", |c| {
        c["disk"]["Status"] == "warning" && c["disk"]["Output"] == "it runs\n"
    });
    let body = r#"{"Name": "other", "Args": ["/bin/true"], "Interval": "1s"}"#;
    let refused = agent.put("/v1/agent/check/register", body);
    assert_eq!(refused.status, 500, "{refused:?}");
    assert!(refused.body.contains("Scripts are disabled"), "{refused:?}");
}

#[test]
fn a_script_that_was_registered_when_it_was_allowed_does_not_run_when_it_is_not() {
    let place = Place::new();
    let agent = place.start("one", &["--enable-script-checks"]);
    let ran = place.path("ran");
    let args = serde_json::json!(["/bin/sh", "-c", format!("echo x >>{}", ran.display())]);
    let body = serde_json::json!({"Name": "disk", "Args": args, "Interval": "1s"}).to_string();
    assert_eq!(agent.put("/v1/agent/check/register", &body).status, 200);
    agent.get_until("/v1/agent/checks", |c| c["disk"]["Status"] == "passing");
    agent.kill();
    let before = std::fs::read(&ran).expect("it ran");
    let agent = place.start("one", &[]);
    let says = |c: &Value| {
        let output = c["disk"]["Output"].as_str().unwrap_or_default();
        output.contains("want enable_script_checks = true") && c["disk"]["Status"] == "critical"
    };
    agent.get_until("/v1/agent/checks", says);
    assert_eq!(std::fs::read(&ran).expect("it ran"), before);
}

#[test]
fn maintenance_outlives_a_restart_a_heartbeat_and_a_reading_of_the_files() {
    let place = Place::new();
    let files = Files::new(&place);
    files.write("web.toml", WEB);
    let agent = files.start();
    agent.get_until("/v1/health/service/web?passing", |s| s[0].is_object());
    let on = agent.put("/v1/agent/service/maintenance/web?enable=true&reason=new%20disk", "");
    assert_eq!(on.status, 200, "{on:?}");
    assert_eq!(agent.put("/v1/agent/maintenance?enable=true", "").status, 200);
    assert_eq!(agent.put("/v1/agent/check/pass/service:web", "").status, 200);
    agent.kill();
    let agent = files.start();
    assert_eq!(agent.put("/v1/agent/reload", "").status, 200);
    let checks = agent.get("/v1/agent/checks").json();
    assert_eq!(checks["_service_maintenance:web"]["Notes"], "new disk", "{checks}");
    assert_eq!(checks["_node_maintenance"]["Status"], "critical", "{checks}");
    assert_eq!(checks["service:web"]["Status"], "passing", "{checks}");
    assert_eq!(agent.get("/v1/health/service/web?passing").json(), serde_json::json!([]));
    for path in ["/v1/agent/service/maintenance/web?enable=false", "/v1/agent/maintenance?enable=false"] {
        assert_eq!(agent.put(path, "").status, 200);
    }
    agent.get_until("/v1/health/service/web?passing", |s| s[0].is_object());
}

#[test]
fn a_rolling_restart_of_all_agents_leaves_nothing_stale() {
    let places: Vec<Place> = (0..4).map(|_| Place::new()).collect();
    let name = |n: usize| format!("n{n}");
    let first = places[0].start("n0", &[]);
    let seed = first.gossip();
    let mut agents = vec![first];
    for (n, place) in places.iter().enumerate().skip(1) {
        agents.push(place.start(&name(n), &["--join", &seed]));
    }
    for (n, agent) in agents.iter().enumerate() {
        let body = format!(
            r#"{{"Name": "web", "ID": "web-{n}", "Port": {n}, "Check": {{"TTL": "1h", "Status": "passing"}}}}"#
        );
        assert_eq!(agent.put("/v1/agent/service/register", &body).status, 200);
    }
    let shown = |agent: &Agent| {
        let all = agent.get("/v1/health/service/web").json();
        let mut seen: Vec<String> = all
            .as_array()
            .into_iter()
            .flatten()
            .map(|i| {
                let healthy =
                    i["Checks"].as_array().is_some_and(|c| c.iter().all(|c| c["Status"] == "passing"));
                format!("{} on {} {healthy}", i["Service"]["ID"], i["Node"]["Node"])
            })
            .collect();
        seen.sort();
        seen
    };
    let wanted: Vec<String> = (0..4).map(|n| format!("\"web-{n}\" on \"n{n}\" true")).collect();
    let settled = |agents: &[Agent]| {
        let all = poll(PATIENCE, || agents.iter().all(|a| shown(a) == wanted).then_some(()));
        assert!(all.is_some(), "{:?}", agents.iter().map(shown).collect::<Vec<_>>());
    };
    settled(&agents);
    for n in 0..4 {
        agents[n].signal(Signal::SIGTERM);
        assert_eq!(agents[n].exit_code(Duration::from_secs(5)), 0);
        let other = agents[(n + 1) % 4].gossip();
        agents[n] = places[n].start(&name(n), &["--join", &other]);
        // Its service comes back with it, under the new run and as healthy as it was.
        settled(&agents);
    }
}
