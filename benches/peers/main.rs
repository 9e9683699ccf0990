//! Shoal and its peers side by side: what their users wait for, and what the agents take from the machine.
//! Real agents of Shoal, of Serf, and of the library Chitchat.
//!
//! Every cluster runs on loopback with the `lan` profile of its program, on ports of its own below
//! those that the system gives away, in a temporary directory. A scenario alternates between the
//! systems in blocks of a few runs, each block in a cluster of its own, and only one cluster lives
//! at a time: they never compete, and weather on the machine meets all. Run number *n* has the
//! same victims in each. Shoal's gossip is sealed, as it is on any routable address; the others' is plain.
//!
//! - *start*: one agent, and when that lets others join all others at once: from the start of the last
//!   until all see all.
//! - *join*: one more starts: from its start until all others show it. It rests for three seconds and
//!   leaves (SIGINT): from there until all others show it left. Chitchat's agents cannot.
//! - *idle*: after 130 s of rest, a minute of it: processor by `schedstat`, memory by `smaps_rollup`,
//!   packets and bytes by the counters of loopback, headers taken off. Loopback carries what else runs on the
//!   machine too: `unshare -n` keeps that away (below).
//! - *kill*: `kill -9` of one agent, until the last survivor shows it failed; then it is started
//!   again, until all see all. The kernel tells those who send to a closed port of loopback, as it
//!   does when an agent crashes on a host that lives.
//! - *stop*: `SIGSTOP` of one agent, until the last survivor shows it failed: nobody is told
//!   anything, as when a host loses its power. Then `SIGCONT`, until all see all.
//! - *flap3*: three agents together stop for 16 s and run for 250 ms, over and over for 80 s.
//! - *flap16*: sixteen agents together stop for 16.4 s and run for 64 ms, over and over for 100 s: the
//!   Interval experiment of the Lifeguard paper.
//! - *spread*: one change on one agent, each time on another, until the last agent shows it: of Shoal a
//!   new service, by a call over its socket; of Serf a new value of a tag, by `serf tags`; of Chitchat a
//!   new value of a key.
//! - *reads*: what a reader on one host waits for; see `benches/reads`.
//!
//! What is counted are lines of the agents' logs, stamped when this program reads them: `a member
//! failed` of Shoal, `EventMemberFailed` of Serf, who is missing among the living of Chitchat, one for each observer that comes to believe it, each
//! time it does. An agent that is stopped writes its lines when it runs again; they are counted
//! then, until ten seconds after the last stop. *At anyone* are all agents, the flapping ones too
//! (never about themselves); *at healthy* are those that are never stopped.
//!
//! For *spread* they are the events of the streams of Shoal's agents (`/v1/shoal/watch`), since its logs
//! do not tell of services, and `EventMemberUpdate` in Serf's logs, which its handlers of events hear of
//! a second or more later. *After the first* begins when any agent shows the change, the one on which
//! it was made too, and so has neither Shoal's disk in it nor the start of `serf`. *The call itself* is
//! not to be taken off the other times, for agents show the change before it returns: Shoal's returns
//! when the change is on the disk and applied, Serf's when its agent has sent it as often as it means
//! to. A change that gossip brings not to all waits for what repairs that, in Serf up to a minute
//! and more: one such run makes the mean.
//!
//! Run with
//!
//! ```text
//! cargo bench --bench peers                        # everything, about an hour and a half
//! cargo bench --bench peers -- start join idle     # these scenarios
//! RUNS=3 AGENTS=20 cargo bench --bench peers -- kill
//! unshare -n sh -c 'ip link set lo up; cargo bench --offline --bench peers -- idle'   # as root: a loopback of its own
//! ```
//!
//! | environment | means | default |
//! |---|---|---|
//! | `AGENTS` | agents in a cluster | 50 |
//! | `RUNS` | runs of each scenario | start 5, join 16, idle 3, kill 20, stop 7, flap3 and flap16 5, spread 100 (others 30) |
//! | `SYSTEMS` | which to measure, of `shoal,serf,chitchat` | all; Serf is skipped when it is not installed |
//! | `SECONDS` | for each figure of *reads* | 5 |
//! | `SEED` | chooses victims and moments | 1 |
//!
//! Serf comes with `apt-get install serf`; the binary of Debian's 0.9.4 calls itself 0.8.2-dev.
//!
//! `cargo test --all-targets` builds it and runs nothing: without cargo's `--bench` it ends at once.
//!
//! Progress goes to standard error, two tables in Markdown to standard output, also after ctrl-c: a short one
//! with medians, spread and ratios, and one with everything.
//! Children die with this program: each is killed when its guard goes, and by the kernel where
//! `setpriv` is there to ask for that.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a bench prints")]
#![allow(clippy::disallowed_methods, reason = "a bench reads clocks and waits for a set time")]

mod beliefs;
mod calm;
mod chitchat_agent;
#[path = "../reads/client.rs"]
mod client;
mod cluster;
#[path = "../reads/dns.rs"]
mod dns;
#[path = "../reads/etcd.rs"]
mod etcd;
mod figures;
#[path = "../reads/floor.rs"]
mod floor;
mod machine;
mod ports;
mod process;
mod reads;
mod report;
mod scenario;
mod spread;
mod streams;
mod system;
mod usage;

use cluster::Cluster;
use report::Results;
use scenario::Scenario;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use system::System;

/// What is to be measured.
struct Plan {
    agents: usize,
    runs: Option<usize>,
    seed: u64,
    systems: Vec<System>,
    scenarios: Vec<Scenario>,
    /// Whether reads are to be measured too, and for how many seconds each.
    reads: Option<usize>,
}

/// The scenario that needs no cluster.
const READS: &str = "reads";

impl Plan {
    /// From the environment and the arguments.
    fn read() -> Self {
        Self {
            agents: number("AGENTS").unwrap_or(50),
            runs: number("RUNS"),
            seed: number("SEED").unwrap_or(1),
            systems: systems(),
            scenarios: scenarios(),
            reads: (names().is_empty() || names().iter().any(|n| n == READS))
                .then(|| number("SECONDS").unwrap_or(5)),
        }
    }
}

/// A number in the environment.
fn number<T: std::str::FromStr>(name: &str) -> Option<T> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text}: want a whole number")))
}

/// The systems asked for that are there.
fn systems() -> Vec<System> {
    let wanted = std::env::var("SYSTEMS").unwrap_or_else(|_| "shoal,serf,chitchat".to_owned());
    let named = wanted.split(',').map(|name| {
        let found = System::ALL.into_iter().find(|s| s.name().eq_ignore_ascii_case(name.trim()));
        found.unwrap_or_else(|| panic!("SYSTEMS={wanted}: want some of shoal,serf,chitchat"))
    });
    named.filter(|system| is_there(*system)).collect()
}

fn is_there(system: System) -> bool {
    let there = system.version().is_some();
    if !there {
        eprintln!("{} is not installed: skipped", system.name());
    }
    there
}

/// What the arguments name. Flags are cargo's.
fn names() -> Vec<String> {
    std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect()
}

/// The scenarios that the arguments name; all without one.
fn scenarios() -> Vec<Scenario> {
    let names = names();
    if names.is_empty() {
        return Scenario::ALL.to_vec();
    }
    let find = |name: &String| {
        let found = Scenario::ALL.into_iter().find(|s| s.name() == name);
        let known = Scenario::ALL.map(Scenario::name).join(", ");
        found.unwrap_or_else(|| panic!("no scenario {name}: want one of {known}, {READS}"))
    };
    names.iter().filter(|name| *name != READS).map(find).collect()
}

/// Measures one scenario: blocks of runs, the systems in turn. One that has fewer runs has fewer in
/// each block.
fn measure(plan: &Plan, scenario: Scenario, results: &mut Results) {
    let runs_of = |system: System| plan.runs.unwrap_or_else(|| scenario.default_runs(system));
    let most = plan.systems.iter().map(|s| runs_of(*s)).max().unwrap_or_default();
    let blocks = most.div_ceil(scenario.runs_in_cluster());
    for block in 0..blocks {
        for &system in &plan.systems {
            let runs = runs_of(system);
            let size = runs.div_ceil(blocks);
            let mut cluster = None;
            for run in block * size..runs.min((block + 1) * size) {
                let fresh = || match scenario.begins_with_start() {
                    true => Cluster::spawn(system, plan.agents),
                    false => Cluster::start(system, plan.agents),
                };
                let mut at = cluster.take().unwrap_or_else(fresh);
                let outcome = scenario.run(&mut at, plan.seed, run);
                eprintln!("{scenario} {run} {}: {outcome} [{}]", system.name(), results.weather());
                // One that did not come back whole would spoil the next run.
                cluster = (outcome.is_whole() && !scenario.begins_with_start()).then_some(at);
                results.add(scenario, system, &outcome);
            }
        }
    }
}

fn main() {
    chitchat_agent::run_if_asked();
    floor::run_if_asked();
    if !std::env::args().any(|a| a == "--bench") {
        eprintln!("not run: it takes long; `cargo bench --bench peers` does");
        return;
    }
    let plan = Plan::read();
    process::heed_interrupts();
    let mut results = Results::new(plan.agents, plan.seed, &plan.systems);
    let ended = catch_unwind(AssertUnwindSafe(|| {
        for &scenario in &plan.scenarios {
            measure(&plan, scenario, &mut results);
        }
        plan.reads.map(reads::measure)
    }));
    println!("{results}");
    if let Ok(Some(reads)) = &ended {
        println!("{}", reads::table(reads));
    }
    if let Err(panic) = ended {
        resume_unwind(panic);
    }
}
