//! Taking over the members of a settled cluster, for simulations that begin with one.

use super::identity::Life;
use super::{Peers, Swim};
use crate::model::Instant;
use foca::Member;
use rand::RngExt as _;
use rand::rngs::SmallRng;

/// Members of a settled cluster that foca is given at the start, a random share of a larger one:
/// each costs foca a pass over those before it. It hears of the others when they speak, and is told
/// of them when they change. Every member is still probed once in an interval on average.
const ADOPTED_MAX: usize = 2_048;

impl Swim {
    /// Takes over the members of a settled cluster, this node not counted, and begins to probe at a
    /// random moment of the first interval: nothing keeps the agents of a cluster in step.
    pub(crate) fn adopt(&mut self, all: &Peers, rng: &mut SmallRng, now: Instant) {
        self.settle_in();
        self.peers = all.clone();
        self.peers.remove(self.life.key);
        let live = self.peers.live();
        let known = rand::seq::index::sample(rng, live.len(), live.len().min(ADOPTED_MAX));
        let members = known.into_iter().filter_map(|at| {
            let key = *live.get(at)?;
            self.peers.get(key).map(|p| Member::alive(Life { key, epoch: p.epoch }))
        });
        self.world.now = now;
        let _ = self.foca.apply_many(members, false, &mut self.world);
        self.world.sends.clear();
        while self.updates.try_recv().is_ok() {}
        self.world.timers.hasten_probe(now, rng.random::<f64>());
    }
}
