//! Everything that strangers can do to a cluster of real agents that seal, at once; and hosts that were
//! away while its keys were changed.

#![allow(clippy::disallowed_methods, reason = "real processes live in real time")]

#[path = "../support/ear.rs"]
mod ear;
mod siege;
#[path = "../support/agent_process.rs"]
mod support;

use nix::sys::signal::Signal;
use serde_json::Value;
use shoal::core::Settings;
use shoal::model::KeyMaterial;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};
use support::{Agent, PATIENCE, Place, poll};

/// How long everything goes on at once.
const SIEGE: Duration = Duration::from_secs(4);
/// What an agent may have grown by: its tables of strangers fill up, and are bounded.
const GROWTH_KIB_MAX: u64 = 24 * 1024;

/// Agents with a key file each, the first of which the others join.
struct Cluster {
    profile: &'static str,
    places: Vec<Place>,
    agents: Vec<Agent>,
}

impl Cluster {
    fn start(profile: &'static str, count: usize, key: &KeyMaterial) -> Self {
        let places = (0..count).map(|_| Place::new()).collect();
        let mut cluster = Self { profile, places, agents: Vec::new() };
        for n in 0..count {
            let file = cluster.places[n].path("keys");
            std::fs::write(&file, key.to_base64()).expect("writes");
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).expect("is ours");
            let agent = cluster.run(n);
            cluster.agents.push(agent);
        }
        cluster.settle();
        cluster
    }

    fn run(&self, n: usize) -> Agent {
        let file = self.places[n].path("keys").display().to_string();
        let via = self.agents.first().map(Agent::gossip);
        let mut more = vec!["--profile", self.profile, "--key-file", &file];
        more.extend(via.iter().flat_map(|via| ["--join", via.as_str()]));
        self.places[n].start(&format!("n{n}"), &more)
    }

    /// Starts an agent again; it is killed if it runs still.
    fn again(&mut self, n: usize) {
        self.agents.remove(n).kill();
        let agent = self.run(n);
        self.agents.insert(n, agent);
    }

    fn gossip(&self, n: usize) -> SocketAddr {
        self.agents[n].gossip().parse().expect("an address")
    }

    fn settle(&self) {
        let all = || self.beliefs().iter().all(|b| b.len() == self.agents.len() && b.values().all(is_alive));
        let done = poll(PATIENCE, || all().then_some(()));
        assert!(done.is_some(), "not all are alive to all: {:?}\n{}", self.beliefs(), self.agents[0].log());
    }

    fn until(&self, by: usize, of: &str, status: &str) {
        self.agents[by].get_until("/v1/shoal/members", |members| {
            let mut all = members.as_array().into_iter().flatten();
            all.any(|m| m["name"] == of && m["status"] == status)
        });
    }

    fn beliefs(&self) -> Vec<Beliefs> {
        self.agents.iter().map(beliefs).collect()
    }

    /// Tries until the agents know enough of each other.
    fn change_keys(&self, by: usize, target: &str, body: &str) {
        let done = poll(PATIENCE, || (self.agents[by].put(target, body).status == 200).then_some(()));
        assert!(
            done.is_some(),
            "{target}: {:?}\n{}",
            self.agents[by].put(target, body),
            self.agents[by].log()
        );
    }

    /// Every agent accepts `new` and seals with it from now on.
    fn begin_to_use(&self, new: &KeyMaterial) {
        self.change_keys(0, "/v1/shoal/keyring/install", &format!("{{\"Key\": \"{}\"}}", new.to_base64()));
        self.change_keys(1, &format!("/v1/shoal/keyring/use/{}", new.id()), "");
    }

    fn remove(&self, old: &KeyMaterial) {
        self.change_keys(2, &format!("/v1/shoal/keyring/remove/{}", old.id()), "");
    }

    /// Until all that live have these keys, the first of which they use.
    fn all_have(&self, keys: &[&KeyMaterial]) {
        let mut want: Vec<String> = keys.iter().map(|key| key.id().to_string()).collect();
        want.sort_unstable();
        for agent in &self.agents {
            agent.get_until("/v1/shoal/keyring", |list| key_ids(list) == want);
        }
    }
}

/// What one agent says of each member: status, generation, incarnation.
type Beliefs = BTreeMap<String, (String, u64, u64)>;

fn beliefs(agent: &Agent) -> Beliefs {
    let members = agent.get("/v1/shoal/members").json();
    let number = |m: &Value, key: &str| m[key].as_u64().unwrap_or_default();
    let text = |m: &Value, key: &str| m[key].as_str().unwrap_or_default().to_owned();
    let each =
        members.as_array().into_iter().flatten().map(|m| {
            (text(m, "name"), (text(m, "status"), number(m, "generation"), number(m, "incarnation")))
        });
    each.filter(|(name, _)| name != ear::NAME).collect()
}

fn is_alive(belief: &(String, u64, u64)) -> bool {
    belief.0 == "alive"
}

fn key_ids(list: &Value) -> Vec<String> {
    let ids = list["keys"].as_array().into_iter().flatten().filter_map(|key| key["id"].as_str());
    let mut ids: Vec<String> = ids.map(str::to_owned).collect();
    ids.sort_unstable();
    ids
}

/// Nobody failed, left, is missing or made up, began a new life, or was taken for an earlier self. A
/// suspect may be one: the machine is busy, and it has refuted before anybody believed it.
fn compare(before: &Beliefs, now: &Beliefs, by: &str) {
    assert_eq!(before.keys().collect::<Vec<_>>(), now.keys().collect::<Vec<_>>(), "members of {by}");
    for (name, (status, generation, incarnation)) in now {
        let then = &before[name];
        let what = format!("{by} of {name}: {status}, {generation}, {incarnation} after {then:?}");
        assert!(status == "alive" || status == "suspect", "{what}");
        assert_eq!(*generation, then.1, "{what}");
        assert!(*incarnation >= then.2, "{what}");
    }
}

fn resident_kib(agent: &Agent) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", agent.pid())).expect("it runs");
    let line = status.lines().find(|l| l.starts_with("VmRSS:")).expect("has a resident size");
    line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).expect("a number")
}

fn counter(agent: &Agent, name: &str) -> u64 {
    let metrics = agent.get("/metrics").body;
    let line = metrics.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(' '));
    line.map_or(0, |n| n.trim().parse().expect("a number"))
}

fn dropped(agent: &Agent, reason: &str) -> u64 {
    counter(agent, &format!("shoal_datagrams_dropped_total{{reason=\"{reason}\"}}"))
}

/// What a member hears while keys are changed, a host fails, another leaves, and a service goes.
fn live_through_it(cluster: &mut Cluster, old: &KeyMaterial, new: &KeyMaterial) -> Vec<Vec<u8>> {
    let (stop, via) = (AtomicBool::new(false), cluster.gossip(0));
    std::thread::scope(|scope| {
        let ear = scope.spawn(|| ear::listen(via, Settings::lan(), Some(old), &stop));
        let end = siege::StopAtEnd(&stop);
        cluster.until(0, ear::NAME, "alive");
        cluster.begin_to_use(new);
        cluster.remove(old);
        cluster.all_have(&[new]);
        let gone = r#"{"Name": "gone", "Port": 1}"#;
        assert_eq!(cluster.agents[1].put("/v1/agent/service/register", gone).status, 200);
        cluster.agents[0]
            .get_until("/v1/catalog/service/gone", |s| s.as_array().is_some_and(|s| s.len() == 1));
        assert_eq!(cluster.agents[1].put("/v1/agent/service/deregister/gone", "").status, 200);
        cluster.agents[3].signal(Signal::SIGKILL);
        cluster.agents[2].signal(Signal::SIGTERM);
        assert_eq!(cluster.agents[2].exit_code(PATIENCE), 0);
        cluster.until(0, "n2", "left");
        cluster.until(0, "n3", "failed");
        // Their windows are empty: to them nothing of what was recorded is a copy.
        cluster.again(2);
        cluster.again(3);
        cluster.settle();
        drop(end);
        ear.join().expect("listens to the end")
    })
}

#[test]
fn strangers_who_do_everything_at_once_change_nothing() {
    let [old, new] = [1, 2].map(|n| KeyMaterial::from_bytes([n; 32]));
    let mut cluster = Cluster::start("lan", 4, &old);
    let web = r#"{"Name": "web", "Port": 80, "Check": {"TTL": "1h", "Status": "passing"}}"#;
    assert_eq!(cluster.agents[0].put("/v1/agent/service/register", web).status, 200);
    let recorded = live_through_it(&mut cluster, &old, &new);
    assert!(recorded.len() > 200, "{}", recorded.len());
    for agent in &cluster.agents {
        agent.get_until("/v1/health/service/web?passing", |s| s.as_array().is_some_and(|s| s.len() == 1));
        agent.get_until("/v1/catalog/service/gone", |s| s.as_array().is_some_and(Vec::is_empty));
        agent.get_until("/v1/shoal/members", |_| beliefs(agent).values().all(is_alive));
    }
    let before = cluster.beliefs();
    let memory: Vec<u64> = cluster.agents.iter().map(resident_kib).collect();

    let targets: Vec<SocketAddr> = (0..4).map(|n| cluster.gossip(n)).collect();
    let sockets: Vec<_> = cluster.agents.iter().map(|agent| agent.socket().to_owned()).collect();
    let stop = &AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (targets, recorded, sockets, new) = (&targets, &recorded, &sockets, &new);
        for hostile in siege::DATAGRAMS {
            scope.spawn(move || hostile(targets, recorded, new, stop));
        }
        for hostile in siege::CALLERS {
            scope.spawn(move || hostile(sockets, stop));
        }
        // Also when something below fails.
        let _end = siege::StopAtEnd(stop);
        let began = Instant::now();
        while began.elapsed() < SIEGE {
            for (agent, before) in cluster.agents.iter().zip(&before) {
                compare(before, &beliefs(agent), &format!("{:?}", agent.socket()));
                let answer = agent.get("/v1/health/service/web?passing");
                assert_eq!((answer.status, answer.json()[0]["Service"]["Port"].as_u64()), (200, Some(80)));
                assert_eq!(agent.get("/v1/catalog/service/gone").json(), serde_json::json!([]));
                assert_eq!(key_ids(&agent.get("/v1/shoal/keyring").json()), [new.id().to_string()]);
            }
        }
    });

    for ((agent, before), memory) in cluster.agents.iter().zip(&before).zip(memory) {
        compare(before, &beliefs(agent), "one, afterwards,");
        let grown = resident_kib(agent).saturating_sub(memory);
        assert!(grown <= GROWTH_KIB_MAX, "{grown} KiB more than {memory}");
        for why in ["replayed", "forged", "unknown_key", "unsealed", "other_cluster", "malformed", "oversize"]
        {
            assert!(
                dropped(agent, why) > 10,
                "{why}: {}\n{}",
                dropped(agent, why),
                agent.get("/metrics").body
            );
        }
        // Who wishes to join has to show that he receives, and may wish so many times a second.
        let asked = counter(agent, "shoal_challenges_total") + dropped(agent, "over_rate");
        assert!(asked > 10, "{asked}\n{}", agent.get("/metrics").body);
        assert_eq!(counter(agent, "shoal_watchdog_total"), 0);
        let log = agent.log();
        assert!(!log.contains("panicked") && !log.contains("ERROR"), "{log}");
    }
    // What was asked for by people goes on as before.
    let after = r#"{"Name": "after", "Port": 2}"#;
    assert_eq!(cluster.agents[1].put("/v1/agent/service/register", after).status, 200);
    cluster.agents[3].get_until("/v1/catalog/service/after", |s| s[0]["ServicePort"] == 2);
    cluster.settle();
}

#[test]
fn a_host_that_was_away_while_keys_changed_twice_comes_back_or_is_told_how() {
    let [first, second, third, fourth, fifth] = [1, 2, 3, 4, 5].map(|n| KeyMaterial::from_bytes([n; 32]));
    let mut cluster = Cluster::start("local", 4, &first);
    let away = |cluster: &mut Cluster| {
        let agent = cluster.agents.pop().expect("is the last");
        agent.kill();
        // A live member that lacks a key would hold the change up.
        cluster.until(0, "n3", "failed");
    };
    away(&mut cluster);
    cluster.begin_to_use(&second);
    cluster.begin_to_use(&third);
    cluster.remove(&second);
    cluster.all_have(&[&third, &first]);
    // It has the first key alone, which is accepted still.
    let back = cluster.run(3);
    cluster.agents.push(back);
    cluster.settle();
    cluster.all_have(&[&third, &first]);

    away(&mut cluster);
    cluster.remove(&first);
    cluster.begin_to_use(&fourth);
    cluster.remove(&third);
    cluster.begin_to_use(&fifth);
    cluster.remove(&fourth);
    cluster.all_have(&[&fifth]);
    let back = cluster.run(3);
    cluster.agents.push(back);
    let advice = |agent: &Agent| {
        let status = agent.get_until("/v1/shoal/status", |s| s["encryption"]["advice"].is_string());
        status["encryption"]["advice"].as_str().expect("a text").to_owned()
    };
    let told = advice(&cluster.agents[0]);
    let (id, host) = (fifth.id().to_string(), cluster.agents[3].gossip());
    assert!(told.contains(&host) && told.contains("on that host, run `shoal keyring install KEY`"), "{told}");
    assert!(told.contains(&format!("with key {id}")), "{told}");
    // What is said there is done there.
    cluster.change_keys(3, "/v1/shoal/keyring/install", &format!("{{\"Key\": \"{}\"}}", fifth.to_base64()));
    cluster.settle();
    cluster.all_have(&[&fifth]);
}
