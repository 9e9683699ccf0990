//! Taking part in a settled cluster from the first moment; see [`Knowledge`].

use super::Agent;
use crate::core::settled::Knowledge;
use crate::model::Instant;

impl Agent {
    /// Adds this node, which has met nobody, to what all know.
    pub(in crate::core) fn tell(&self, knowledge: &mut Knowledge) {
        let update = self.swim.own_update();
        // Nobody's clock has begun to run: every state began when the agent did.
        knowledge.peers.put(&update, Instant::START);
        self.catalog.tell(self.own, &mut knowledge.owners, &mut knowledge.bytes);
        knowledge.tree.set(self.own, self.tree.digest_of(self.own));
    }

    /// Knows from now on what all know, as if it had learned it long ago: nothing is told, nothing
    /// spread, nobody asked to join. Its probes begin at a moment of its own within the first
    /// interval. To be used before the agent has met anybody; events that it has not told yet
    /// about itself are dropped, as after [`Self::new`] the caller reads its tables.
    pub fn adopt(&mut self, knowledge: &Knowledge, now: Instant) {
        debug_assert!(self.swim.peers().is_empty(), "an agent adopts what all know before it meets anybody");
        self.swim.adopt(&knowledge.peers, &mut self.rng, now);
        self.catalog.adopt_all(self.own, knowledge.owners.clone(), knowledge.bytes);
        self.tree = knowledge.tree.clone();
        self.spread.forget_all();
        self.join.set_settled();
        self.alone = false;
        self.outgoing.clear();
        self.events.clear();
    }
}
