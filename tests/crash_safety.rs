//! What was answered is there after any crash; what cannot be kept is refused.

#![allow(clippy::disallowed_methods, reason = "real processes live in real time")]

#[path = "support/agent_process.rs"]
mod support;

use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::json;
use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use support::{Agent, Place, finish, poll, request};

/// Times that an agent is killed; `SHOAL_TEST_KILLS` makes it a campaign.
const KILLS: u64 = 12;
const WRITERS: u64 = 3;

/// What one writer was answered, and what it was waiting for when the line went dead.
#[derive(Default)]
struct Told {
    registered: BTreeSet<String>,
    deregistered: BTreeSet<String>,
    unanswered: Option<String>,
}

/// One request on a connection of its own; `None` when the line went dead.
fn put(socket: &Path, target: &str, body: &str) -> Option<u16> {
    let mut stream = UnixStream::connect(socket).ok()?;
    stream.write_all(request("PUT", target, body).as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    answer.split(' ').nth(1)?.parse().ok()
}

/// Registers and deregisters until the agent is gone.
fn write(socket: &Path, seed: u64, round: u64, stop: &AtomicBool) -> Told {
    let mut rng = SmallRng::seed_from_u64(seed);
    let mut told = Told::default();
    for n in 0_u64.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let old = told.registered.iter().next().filter(|_| rng.random_bool(0.3)).cloned();
        let id = old.clone().unwrap_or_else(|| format!("s{seed}-{round}-{n}"));
        let status = match &old {
            Some(id) => put(socket, &format!("/v1/agent/service/deregister/{id}"), ""),
            None => {
                let body = json!({"Name": "web", "ID": id, "Check": {"TTL": "1h", "Status": "passing"}});
                put(socket, "/v1/agent/service/register", &body.to_string())
            }
        };
        match (status, old) {
            (Some(200), Some(id)) => {
                told.registered.remove(&id);
                told.deregistered.insert(id);
            }
            (Some(200), None) => {
                told.registered.insert(id);
            }
            (Some(status), _) => panic!("{id} was answered {status}"),
            (None, _) => {
                told.unanswered = Some(id);
                break;
            }
        }
    }
    told
}

fn services(agent: &Agent) -> BTreeSet<String> {
    let all = agent.get("/v1/agent/services").json();
    all.as_object().into_iter().flatten().map(|(id, _)| id.clone()).collect()
}

#[test]
fn killed_at_random_instants_an_agent_has_what_it_answered() {
    let kills = std::env::var("SHOAL_TEST_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(KILLS);
    let place = Place::new();
    let mut rng = SmallRng::seed_from_u64(7);
    let (mut answered, mut open) = (0, 0);
    let mut known = BTreeSet::new();
    let mut agent = place.start("one", &[]);
    for round in 0..kills {
        let socket: PathBuf = agent.socket().to_owned();
        let stop = Arc::new(AtomicBool::new(false));
        let writers: Vec<_> = (0..WRITERS)
            .map(|w| {
                let (socket, stop) = (socket.clone(), Arc::clone(&stop));
                std::thread::spawn(move || write(&socket, w, round, &stop))
            })
            .collect();
        std::thread::sleep(Duration::from_micros(rng.random_range(0..80_000)));
        agent.kill();
        stop.store(true, Ordering::Relaxed);
        let told: Vec<Told> = writers.into_iter().map(|w| w.join().expect("writes")).collect();
        agent = place.start("one", &[]);
        let found = services(&agent);
        for told in told {
            answered += told.registered.len() + told.deregistered.len();
            known.extend(told.registered);
            for id in told.deregistered {
                assert!(!found.contains(&id), "{id} is back after kill {round}");
            }
            // It may be there or not; which of the two is settled from now on.
            if let Some(id) = told.unanswered {
                open += 1;
                known.remove(&id);
                known.extend(found.get(&id).cloned());
            }
        }
        let lost: Vec<&String> = known.difference(&found).collect();
        assert!(lost.is_empty(), "kill {round} lost {lost:?}");
        assert!(!agent.log().contains("damaged"), "{}", agent.log());
        assert_eq!(found.len(), known.len(), "kill {round} left what nobody asked for");
        // Not for ever more and more.
        for id in std::mem::take(&mut known) {
            assert_eq!(put(agent.socket(), &format!("/v1/agent/service/deregister/{id}"), ""), Some(200));
        }
    }
    println!("{kills} kills: {answered} changes were answered, none lost; {open} were under way");
    assert!(answered > 0);
}

#[test]
fn on_a_full_disk_a_registration_is_refused_and_the_old_state_stands() {
    const WEB: &str = r#"{"Name": "web", "Check": {"TTL": "1h", "Status": "passing"}}"#;
    let place = Place::new();
    let agent = place.start("one", &[]);
    assert_eq!(agent.put("/v1/agent/service/register", WEB).status, 200);
    let before = std::fs::read(place.path("data/state")).expect("is there");
    // The one device that is full on every machine.
    let new = place.path("data/state.new");
    std::os::unix::fs::symlink("/dev/full", &new).expect("links");
    let refused = agent.put("/v1/agent/service/register", &WEB.replace("web", "late"));
    assert_eq!(refused.status, 500, "{refused:?}");
    assert!(refused.body.contains("No space left on device"), "{refused:?}");
    assert!(refused.body.contains("nothing was changed"), "{refused:?}");
    assert_eq!(services(&agent), BTreeSet::from(["web".to_owned()]));
    // Heartbeats need no disk, and neither does whoever asks.
    assert_eq!(agent.put("/v1/agent/check/fail/service:web", "").status, 200);
    agent.get_until("/v1/health/service/web", |s| s[0]["Checks"][1]["Status"] == "critical");
    assert_eq!(agent.put("/v1/agent/service/deregister/web", "").status, 500);
    assert_eq!(std::fs::read(place.path("data/state")).expect("is there"), before);
    // A killed agent comes back with the old state, and says what is wrong; once there is room, all is
    // as ever.
    agent.kill();
    let agent = place.start("one", &[]);
    assert_eq!(services(&agent), BTreeSet::from(["web".to_owned()]));
    assert!(agent.log().contains("the state file cannot be written; going on with what was saved"));
    agent.kill();
    std::fs::remove_file(&new).expect("removes");
    let agent = place.start("one", &[]);
    assert_eq!(services(&agent), BTreeSet::from(["web".to_owned()]));
    assert_eq!(agent.put("/v1/agent/service/register", &WEB.replace("web", "late")).status, 200);
}

#[test]
fn where_nothing_can_be_kept_an_agent_says_so_and_does_not_start() {
    let place = Place::new();
    // Read-only for everybody, root as well.
    let data = "/proc/shoal-data".to_owned();
    let mut words = vec!["agent".to_owned()];
    words.extend(place.flags("one"));
    let at = words.iter().position(|w| w == "--data-dir").expect("is given");
    words[at + 1] = data;
    let refused = finish(&words);
    assert_eq!(refused.code, Some(2), "{}", refused.err);
    assert!(refused.err.contains("cannot create /proc/shoal-data"), "{}", refused.err);
    assert!(refused.err.contains("--data-dir and --no-persist"), "{}", refused.err);
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("creates");
    for entry in std::fs::read_dir(from).expect("lists") {
        let entry = entry.expect("is there");
        std::fs::copy(entry.path(), to.join(entry.file_name())).expect("copies");
    }
}

#[test]
fn a_clone_of_a_data_directory_is_noticed() {
    let (a, b, c) = (Place::new(), Place::new(), Place::new());
    let first = a.start("one", &[]);
    assert_eq!(first.put("/v1/agent/service/register", r#"{"Name": "web"}"#).status, 200);
    let id = |agent: &Agent| agent.get("/v1/agent/self").json()["Config"]["NodeID"].clone();
    // Under another name: another node, whatever the disk says.
    copy(&a.path("data"), &b.path("data"));
    let second = b.start("two", &["--join", &first.gossip()]);
    assert_ne!(id(&second), id(&first));
    assert!(second.log().contains("the data directory is another node's"), "{}", second.log());
    assert_eq!(services(&second), BTreeSet::from(["web".to_owned()]));
    let own = id(&second);
    second.kill();
    let second = b.start("two", &["--join", &first.gossip()]);
    assert_eq!(id(&second), own, "from then on it is itself");
    // Under the same name, while the first one lives: refused.
    copy(&a.path("data"), &c.path("data"));
    let mut third = c.start("one", &["--join", &first.gossip()]);
    assert_eq!(third.exit_code(support::PATIENCE), 2, "{}", third.log());
    assert!(third.log().contains("another live node has this node's name"), "{}", third.log());
    let still = poll(Duration::from_secs(5), || (first.get("/v1/agent/self").status == 200).then_some(()));
    assert!(still.is_some());
}
