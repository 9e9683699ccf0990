//! Scenarios drawn from a seed: nodes, weather, faults, load, all at once.
//!
//! While faults last anything may fail except the invariants; then every fault ends, everybody
//! who did not leave is started, and the cluster must come together in bounded time.

use super::network::{Conditions, Impairment, Latency, Links};
use super::scenario::{Expectation, Load, LoadKind, Scenario};
use super::seed;
use super::{Action, HostId};
use crate::core::{Config, Settings};
use rand::RngExt as _;
use rand::rngs::SmallRng;
use std::time::Duration;

/// Nodes of a swarm at most.
const NODES_MAX: usize = 12;
/// How long faults go on.
const FAULTS_LAST: Duration = Duration::from_secs(90);
/// From the end of faults to one cluster with one catalog.
const LIVENESS: Duration = Duration::from_secs(30);

const LOADS: [LoadKind; 6] = [
    LoadKind::Register,
    LoadKind::Deregister,
    LoadKind::Flap,
    LoadKind::Heartbeat,
    LoadKind::Change,
    LoadKind::Tags,
];

/// The scenario of `seed`; `name` is the test that replays it. Run it with the same seed.
pub fn swarm(name: &str, seed: u64) -> Scenario {
    let mut nodes = seed::stream(seed, "swarm nodes", 0);
    let mut weather = seed::stream(seed, "swarm weather", 0);
    let mut faults = seed::stream(seed, "swarm faults", 0);
    let mut load = seed::stream(seed, "swarm load", 0);

    let count = nodes.random_range(2..=NODES_MAX);
    let settings = if nodes.random_bool(0.5) { Settings::lan() } else { Settings::local() };
    let config = Config::new(settings).expect("presets are valid");
    let apart = millis(&mut nodes, 0..2_000);
    let mut scenario = Scenario::new(name)
        .conditions(draw_conditions(&mut weather))
        .nodes(count, &config, apart)
        .services_each(nodes.random_range(0..4));

    for _ in 0..load.random_range(0..5) {
        let hosts = (0..count).map(HostId).filter(|_| load.random_bool(0.5)).collect();
        let kind = LOADS[load.random_range(0..LOADS.len())];
        let every = millis(&mut load, 20..5_000);
        let from = millis(&mut load, 0..60_000);
        let lasts = millis(&mut load, 1_000..30_000);
        scenario = scenario.at(from, Action::Load(Load { hosts, kind, every, lasts, at_once: 1 }));
    }
    for number in 0..faults.random_range(0..8) {
        scenario = draw_fault(scenario, &mut faults, count, number);
    }
    if weather.random_bool(0.3) {
        let change = millis(&mut weather, 0..80_000);
        let conditions = draw_conditions(&mut weather);
        scenario = scenario.at(change, Action::SetConditions(conditions));
    }

    scenario =
        scenario.at(FAULTS_LAST, Action::Heal).at(FAULTS_LAST, Action::SetConditions(Conditions::default()));
    for host in (0..count).map(HostId) {
        let ends = [Action::Resume(host), Action::Unblock(host), Action::Unclog(host), Action::Feed(host)];
        for ended in ends {
            scenario = scenario.at(FAULTS_LAST, ended);
        }
        scenario = scenario.at(FAULTS_LAST, Action::SlowCpu(host, Duration::ZERO));
        // Somebody may stay dead, as in life; the first stays to be found by the others.
        if host == HostId(0) || faults.random_bool(0.8) {
            scenario = scenario.at(FAULTS_LAST, Action::Start(host));
        }
    }
    scenario
        .calm_from(FAULTS_LAST)
        .lasts(FAULTS_LAST + LIVENESS + Duration::from_secs(10))
        .expect(Expectation::ConvergedWithin(LIVENESS))
}

fn millis(rng: &mut SmallRng, range: std::ops::Range<u64>) -> Duration {
    Duration::from_millis(rng.random_range(range))
}

fn draw_conditions(rng: &mut SmallRng) -> Conditions {
    let share = |rng: &mut SmallRng, odds: f64, max: f64| {
        let (hit, value) = (rng.random_bool(odds), rng.random::<f64>() * max);
        if hit { value } else { 0.0 }
    };
    Conditions {
        latency: if rng.random_bool(0.8) { Latency::LAN } else { Latency::WAN },
        loss: share(rng, 0.6, 0.2),
        duplicate: share(rng, 0.3, 0.3),
        reorder: share(rng, 0.3, 0.5),
        reorder_delay: millis(rng, 1..200),
        unreachable_reports: rng.random_bool(0.5),
        ..Conditions::default()
    }
}

fn draw_fault(scenario: Scenario, rng: &mut SmallRng, count: usize, number: usize) -> Scenario {
    let host = HostId(rng.random_range(0..count));
    let from = millis(rng, 0..70_000);
    // Some faults last until everything ends at once.
    let (lasts, to_the_end) = (millis(rng, 10..20_000), rng.random_bool(0.3));
    let until = if to_the_end { FAULTS_LAST } else { from + lasts };
    let some: Vec<HostId> = (0..count).map(HostId).filter(|_| rng.random_bool(0.4)).collect();
    let others: Vec<HostId> = (0..count).map(HostId).filter(|h| !some.contains(h)).collect();
    let label = format!("fault {number}");
    let impair = |scenario: Scenario, links, impairment| {
        let label = label.clone();
        scenario
            .at(from, Action::Impair { label: label.clone(), links, impairment })
            .at(until, Action::Lift(label))
    };
    match rng.random_range(0..16) {
        0 | 1 => scenario.at(from, Action::Crash(host)).at(until, Action::Start(host)),
        2 => scenario.at(from, Action::Crash(host)),
        3 => scenario
            .at(from, Action::Crash(host))
            .at(from, Action::LoseDisk(host))
            .at(until, Action::Start(host)),
        4 => scenario.at(from, Action::Leave(host)).at(until + Duration::from_secs(5), Action::Start(host)),
        5 => scenario.at(from, Action::Pause(host)).at(until, Action::Resume(host)),
        6 => scenario
            .at(from, Action::Crash(host))
            .at(from, Action::Readdress(host))
            .at(until, Action::Start(host)),
        7 => {
            let by_ms = rng.random_range(-3_600_000..=86_400_000);
            scenario
                .at(from, Action::StepClock(host, by_ms))
                .at(from, Action::Crash(host))
                .at(from + Duration::from_millis(1), Action::Start(host))
        }
        8 => impair(scenario, Links::Between(vec![some]), Impairment::CUT),
        9 => impair(scenario, Links::OneWay(some, others), Impairment::CUT),
        10 => impair(scenario, Links::Into(vec![host]), Impairment::loss(rng.random())),
        11 => impair(scenario, Links::OutOf(vec![host]), Impairment::loss(rng.random())),
        12 => scenario.at(from, Action::Block(host)).at(until, Action::Unblock(host)),
        13 => scenario.at(from, Action::Clog(host)).at(until, Action::Unclog(host)),
        14 => {
            let (share, slice) = (rng.random_range(0.01..0.5), millis(rng, 1..100));
            scenario.at(from, Action::Starve { host, share, slice }).at(until, Action::Feed(host))
        }
        _ => {
            let cost = Duration::from_micros(rng.random_range(10..50_000));
            scenario.at(from, Action::SlowCpu(host, cost)).at(until, Action::SlowCpu(host, Duration::ZERO))
        }
    }
}
