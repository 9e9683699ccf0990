//! What happens while nothing fails: agents start, join, leave, and rest.

use crate::beliefs::Beliefs;
use crate::cluster::Cluster;
use crate::scenario::{Measure, Outcome};
use crate::usage::{Traffic, cpu_seconds, memory_mb};
use std::time::{Duration, Instant};

/// Longer than the longest that was seen: Serf waits for its next full exchange where gossip missed somebody.
const PATIENCE: Duration = Duration::from_secs(120);
/// What a start leaves behind is over by then: agents of Shoal look around more often in their first two minutes.
const REST: Duration = Duration::from_secs(130);
const WATCHED: Duration = Duration::from_secs(60);

/// From the moment when the last of all was started until all see all.
pub(crate) fn start(cluster: &mut Cluster) -> Outcome {
    let mut outcome = Outcome::default();
    let started = cluster.started();
    let whole = cluster.until(PATIENCE, Beliefs::all_see_all);
    // The last to be started may not be the last to be seen.
    let took = whole.map(|at| at.saturating_duration_since(started).as_secs_f64());
    outcome.add(Measure::AllSeeAll, took);
    outcome
}

/// One more starts, from which all show it; it rests, and leaves.
pub(crate) fn join_and_leave(cluster: &mut Cluster) -> Outcome {
    let mut outcome = Outcome::default();
    let ms = |from: Instant, to: Option<Instant>| to.map(|at| at.duration_since(from).as_secs_f64() * 1e3);
    let (number, start) = cluster.join_one();
    let seen = cluster.until(PATIENCE, |beliefs| beliefs.all_see_alive(number));
    outcome.add(Measure::JoinedAtAll, ms(start, seen));
    if let Some(signal) = cluster.system().leave_signal() {
        cluster.watch_for(Duration::from_secs(3));
        let told = cluster.leave(number, signal);
        let left = cluster.until(PATIENCE, |beliefs| beliefs.all_see_left(number));
        outcome.add(Measure::LeftAtAll, ms(told, left));
    }
    outcome
}

/// What all agents take from the machine in a minute in which nothing happens, on average.
pub(crate) fn idle(cluster: &mut Cluster) -> Outcome {
    cluster.watch_for(REST);
    let pids = cluster.processes();
    let cpu = || pids.iter().map(|pid| cpu_seconds(*pid)).sum::<f64>();
    let (began, cpu_before, traffic_before) = (Instant::now(), cpu(), Traffic::now());
    cluster.watch_for(WATCHED);
    let traffic = Traffic::now().since(traffic_before);
    let cpu = cpu() - cpu_before;
    let agent_seconds = began.elapsed().as_secs_f64() * pids.len() as f64;
    let memory = |line| pids.iter().map(|pid| memory_mb(*pid, line)).sum::<f64>() / pids.len() as f64;
    let mut outcome = Outcome::default();
    outcome.add(Measure::Processor, Some(cpu / agent_seconds * 100.0));
    outcome.add(Measure::Resident, Some(memory("Rss")));
    outcome.add(Measure::Proportional, Some(memory("Pss")));
    outcome.add(Measure::Packets, Some(traffic.packets as f64 / agent_seconds));
    outcome.add(Measure::Bytes, Some(traffic.bytes as f64 / agent_seconds));
    outcome
}
