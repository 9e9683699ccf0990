//! One change, from the agent on which it is made to all.

use crate::cluster::Cluster;
use crate::scenario::{Measure, Outcome};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use std::time::{Duration, Instant};

/// By then all show it, or the run is one in which it was missed. In fifty agents of Serf each compares all
/// it knows with another about once a minute, which repairs what gossip did not bring.
const SPREAD_PATIENCE: Duration = Duration::from_secs(120);

pub(crate) fn spread(cluster: &mut Cluster, seed: u64, run: usize) -> Outcome {
    let made_on = agent_of(cluster.size(), seed, run);
    let (start, done) = cluster.change(made_on, run);
    // Some show it before the call is done: what they told waits, with the time at which it was read.
    let last = cluster.until(SPREAD_PATIENCE, |beliefs| beliefs.all_show_change(made_on));
    let shown = || cluster.beliefs.changes_of(made_on);
    let first_other = shown().filter(|e| e.observer != made_on).map(|e| e.at).min();
    // On a busy machine that may be another than the agent on which it was made.
    let first = shown().map(|e| e.at).min();

    let mut outcome = Outcome::default();
    let between = |from: Option<Instant>, to: Option<Instant>| Some(ms(to?.duration_since(from?)));
    outcome.add(Measure::LastShows, between(Some(start), last));
    outcome.add(Measure::FirstOtherShows, between(Some(start), first_other));
    outcome.add(Measure::LastShowsAfterFirst, between(first, last));
    outcome.add(Measure::CallItself, between(Some(start), Some(done)));
    outcome
}

/// Where a run makes its change: on all agents in turn, in an order that the seed chooses.
fn agent_of(agents: usize, seed: u64, run: usize) -> usize {
    let mut order: Vec<usize> = (0..agents).collect();
    order.shuffle(&mut StdRng::seed_from_u64(seed));
    order[run % agents]
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
