//! One agent that knows a million instances: what it takes, and what its users wait for.
//!
//! - *resident bytes per instance*: what the agent adds to a host's memory, split into the catalog
//!   (what it relays) and the view (what it answers from). Without checks, and with one TTL check
//!   for every instance; a second figure holds the share that `CHECKS` says (percent, default 100).
//! - *first lookup*: from the name of a service to its first ten instances with the health of each,
//!   in memory: what resolving one address waits for inside the agent.
//! - *whole lookup*: the same for all instances of the service, as `/v1/health/service` does before
//!   it writes JSON.
//! - *applied changes per second*: datagrams of other owners in, published views out, on one thread.
//!   It bounds how far behind a deployment that touches everything leaves an agent.
//! - *publish*: from a set of changes to the moment readers see them. It must not grow with the
//!   number of instances, or a big cluster would see every change late.
//!
//! Run with `cargo bench --bench million`; `INSTANCES=20000` makes a quick run of it. Everything goes
//! the way it goes in an agent: owners are agents of their own, the agent that is measured hears
//! their heads, asks for their tables and gets pages, hears of changes by records, and copies what
//! changed into the view as the agent's loop does.

#![allow(clippy::print_stdout, clippy::disallowed_methods, reason = "a bench reads clocks and prints")]
#![allow(missing_docs)]

#[path = "../support/owners.rs"]
mod owners;

use owners::{Observer, Owner, PER_OWNER, busy_seconds, definition, mix};
use shoal::model::*;
use shoal::view::ViewReader;
use std::hint::black_box;
use std::time::{Duration, Instant as Clock};

fn resident_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("there is a /proc");
    let line = status.lines().find(|l| l.starts_with("VmRSS:")).expect("it has the line");
    let kib: usize = line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).expect("a number");
    kib * 1024
}

fn percentile(times: &mut [Duration], p: usize) -> f64 {
    times.sort();
    times[(times.len() * p / 100).min(times.len() - 1)].as_secs_f64() * 1e6
}

/// Times of looking up `name` and reading the health of its first `first` instances.
fn lookup(reader: &ViewReader, names: &[String], first: usize) -> (f64, f64, usize) {
    let mut times = Vec::with_capacity(20_000);
    let mut seen = 0;
    for n in 0..20_000 {
        let name = &names[mix(n) % names.len()];
        let start = Clock::now();
        let view = reader.load();
        let mut found = 0;
        for (node, instance) in view.instances_of(name).take(first) {
            black_box(node.instance_health(instance));
            found += 1;
        }
        times.push(start.elapsed());
        seen = seen.max(found);
    }
    (percentile(&mut times, 50), percentile(&mut times, 99), seen)
}

/// One instance whose check changes its status again and again, in a view of any size: the time to
/// set it, and the time to publish.
fn publish_cost(observer: &mut Observer, owner: NodeKey, instances: usize) {
    let id = observer.agent.entry_keys(owner).find_map(|k| match &k {
        EntryKey::Check(id) => Some(id.clone()),
        EntryKey::Node | EntryKey::Service(_) | EntryKey::Unknown(..) => None,
    });
    let Some(id) = id else { return };
    let key = EntryKey::Check(id.clone());
    let Some((g, v, Entry::Check(check))) = observer.agent.entry(owner, &key) else { return };
    let (mut set, mut publish) = (Vec::new(), Vec::new());
    for n in 0..2_000 {
        let status = if n % 2 == 0 { CheckStatus::Critical } else { CheckStatus::Passing };
        let held = observer.reader.load();
        let start = Clock::now();
        observer.builder.set_check(owner, &id, Some((g, v, CheckRecord { status, ..check.clone() })));
        set.push(start.elapsed());
        let start = Clock::now();
        observer.builder.publish();
        publish.push(start.elapsed());
        black_box(held);
    }
    println!(
        "publish at {instances:>9} instances: {:.1} us (p99 {:.1}), setting one check before it {:.1} us (p99 {:.1})",
        percentile(&mut publish, 50),
        percentile(&mut publish, 99),
        percentile(&mut set, 50),
        percentile(&mut set, 99),
    );
}

fn number(name: &str, default: usize) -> usize {
    std::env::var(name).map_or(default, |v| v.parse().expect("a number"))
}

struct Filled {
    observer: Observer,
    keys: Vec<NodeKey>,
    instances: usize,
}

fn fill(instances: usize, checks_percent: usize, measure_publish: bool) -> Filled {
    let owners = instances.div_ceil(PER_OWNER).max(1);
    let instances = owners * PER_OWNER;
    let mut observer = Observer::new();
    // What making owners takes is there before the first figure is read.
    drop(Owner::new(0, PER_OWNER, checks_percent));
    black_box(busy_seconds());
    let empty = resident_bytes();
    let mut keys = Vec::new();
    let start = Clock::now();
    for number in 0..owners {
        let mut owner = Owner::new(number, PER_OWNER, checks_percent);
        observer.meet(&mut owner);
        keys.push(owner.key);
    }
    let catalog = resident_bytes().saturating_sub(empty);
    let met = start.elapsed();
    let start = Clock::now();
    let mut next = 1;
    for (n, key) in keys.iter().enumerate() {
        observer.show(*key);
        if measure_publish && n + 1 == next {
            publish_cost(&mut observer, *key, next * PER_OWNER);
            next *= if next == 1 { 100 } else { 10 };
        }
    }
    let all = resident_bytes().saturating_sub(empty);
    assert_eq!(observer.reader.load().instance_count(), instances);
    let per = |bytes: usize| bytes as f64 / instances as f64;
    println!(
        "{instances} instances, {checks_percent} % with a check: {:.0} bytes each (catalog {:.0}, view {:.0}); \
         pulled in {:.1} s, shown in {:.1} s",
        per(all),
        per(catalog),
        per(all.saturating_sub(catalog)),
        met.as_secs_f64(),
        start.elapsed().as_secs_f64(),
    );
    Filled { observer, keys, instances }
}

fn changes(filled: &mut Filled, checks_percent: usize) {
    let count = filled.keys.len().min(10);
    let mut owners: Vec<Owner> = (0..count).map(|n| Owner::new(n, PER_OWNER, checks_percent)).collect();
    let mut hour = 0;
    for (revision, batch) in [(1, 1), (2, 100)] {
        let mut datagrams = Vec::new();
        // Checks are damped when they come and go; hours apart they are not.
        hour += 1;
        let at = Instant::START + Duration::from_secs(3_600 * hour);
        for owner in &mut owners {
            let ids: Vec<CheckId> = owner.agent.local().checks.keys().cloned().collect();
            for id in ids {
                let status = if revision == 1 { CheckStatus::Critical } else { CheckStatus::Passing };
                let output = format!("heartbeat {revision}");
                owner.command(&LocalCommand::UpdateCheck { id: id.clone(), status, output }, at);
                datagrams.push((owner.addr, owner.rumour(&EntryKey::Check(id))));
            }
        }
        if !datagrams.is_empty() {
            let rates = filled.observer.apply(&datagrams, batch);
            print_rates("status changes", batch, rates);
        }
        let mut datagrams = Vec::new();
        for owner in &mut owners {
            for n in 0..PER_OWNER {
                let definition = definition(owner.number, n, revision, false);
                let id = definition.service.id.clone();
                let definition = Box::new(definition);
                let command = LocalCommand::RegisterService { definition, replace_existing_checks: false };
                owner.command(&command, at);
                datagrams.push((owner.addr, owner.rumour(&EntryKey::Service(id))));
            }
        }
        let rates = filled.observer.apply(&datagrams, batch);
        print_rates("re-registrations", batch, rates);
    }
}

fn print_rates(what: &str, batch: usize, (clock, busy): (f64, f64)) {
    println!(
        "{what}, published after every {batch:>3}: {clock:.0} per second, {busy:.0} per second of processor time"
    );
}

fn lookups(filled: &Filled) {
    let view = filled.observer.reader.load();
    let names: Vec<String> = view.services().map(|s| s.name.to_string()).collect();
    for (what, first) in [("first ten instances", 10), ("whole service", usize::MAX)] {
        let (p50, p99, seen) = lookup(&filled.observer.reader, &names, first);
        println!("lookup, {what} (up to {seen} of {}): p50 {p50:.1} us, p99 {p99:.1} us", filled.instances);
    }
}

/// Memory given back by one filling would be used by the next: each has a process of its own.
fn main() {
    let instances = number("INSTANCES", 1_000_000);
    let checks_percent = number("CHECKS", 100);
    if std::env::var_os("ONLY_MEMORY").is_some() {
        drop(fill(instances, checks_percent, false));
        return;
    }
    let this = std::env::current_exe().expect("it runs");
    let status = std::process::Command::new(this)
        .env("ONLY_MEMORY", "1")
        .env("CHECKS", "0")
        .env("INSTANCES", instances.to_string())
        .status()
        .expect("it runs again");
    assert!(status.success(), "the run without checks ended well");
    let mut filled = fill(instances, checks_percent, true);
    lookups(&filled);
    changes(&mut filled, checks_percent);
}
