//! How a host's process is hindered, and what happens when that ends.

use super::hindrance::{Hindrance, PER_TURN_MAX, Starvation};
use super::{Engine, Host, Item, Step};
use crate::sim::HostId;
use crate::sim::process::Process;
use crate::sim::queue::Rank;
use rand::rngs::SmallRng;
use std::time::Duration;

impl<P> Host<P> {
    /// The host's process is stopped but not dead.
    pub(crate) fn is_paused(&self) -> bool {
        self.hindered.as_ref().is_some_and(|h| h.paused)
    }

    /// It is held at its socket.
    pub(crate) fn is_blocked(&self) -> bool {
        self.hindered.as_ref().is_some_and(|h| h.blocked)
    }

    /// It runs, but its socket lets nothing through.
    pub(crate) fn is_clogged(&self) -> bool {
        self.hindered.as_ref().is_some_and(|h| h.clogged)
    }

    /// Nothing gets into it or out of it.
    pub(super) fn is_held(&self) -> bool {
        self.hindered.as_ref().is_some_and(|h| h.is_held())
    }

    /// It gets only slices of processor time.
    pub(crate) fn is_starved(&self) -> bool {
        self.hindered.as_ref().is_some_and(|h| h.starved.is_some())
    }

    /// Nothing of it runs at this moment.
    pub(crate) fn is_frozen(&self) -> bool {
        self.hindered.as_ref().is_some_and(|h| h.is_frozen())
    }

    /// Something keeps it from its work, be it for the moment or not.
    pub(crate) const fn is_hindered(&self) -> bool {
        self.hindered.is_some()
    }

    fn hindrance(&mut self) -> &mut Hindrance {
        self.hindered.get_or_insert_with(|| Box::new(Hindrance::new()))
    }
}

impl<P: Process> Engine<P> {
    /// Stops the process where it is: its socket fills, its timers pass.
    pub(crate) fn pause(&mut self, id: HostId) {
        let host = &mut self.hosts[id.index()];
        if host.process.is_some() {
            host.hindrance().paused = true;
        }
    }

    /// Lets it go on: it finds what its socket kept, then its overdue timers.
    pub(crate) fn resume(&mut self, id: HostId) {
        if let Some(hindrance) = &mut self.hosts[id.index()].hindered {
            hindrance.paused = false;
            self.release(id);
        }
    }

    /// Holds the process immediately before it sends and immediately after it receives.
    pub(crate) fn block(&mut self, id: HostId) {
        let host = &mut self.hosts[id.index()];
        if host.process.is_some() {
            host.hindrance().blocked = true;
        }
    }

    /// Ends that: what it wanted to send goes out, then it takes what came.
    pub(crate) fn unblock(&mut self, id: HostId) {
        let Some(hindrance) = &mut self.hosts[id.index()].hindered else { return };
        hindrance.blocked = false;
        self.let_through(id);
    }

    /// What the process sends and what reaches it waits; it runs on.
    pub(crate) fn clog(&mut self, id: HostId) {
        let host = &mut self.hosts[id.index()];
        if host.process.is_some() {
            host.hindrance().clogged = true;
        }
    }

    /// Ends that: what it sent goes out, then it takes what came.
    pub(crate) fn unclog(&mut self, id: HostId) {
        let Some(hindrance) = &mut self.hosts[id.index()].hindered else { return };
        hindrance.clogged = false;
        self.let_through(id);
    }

    fn let_through(&mut self, id: HostId) {
        let Some(hindrance) = &mut self.hosts[id.index()].hindered else { return };
        if !hindrance.is_held() {
            for out in hindrance.outbox.take_all() {
                self.transmit(id, out);
            }
            self.let_loops_go_on(id);
        }
        self.release(id);
    }

    /// Loops that stood before sending go on at once, each with what is overdue for it; a program
    /// with one loop for everything reads its socket first.
    fn let_loops_go_on(&mut self, id: HostId) {
        let host = &mut self.hosts[id.index()];
        let frozen = host.is_frozen();
        let Some(process) = host.process.as_ref().filter(|p| p.has_many_loops() && !frozen) else { return };
        let due = process.poll_timeout().map(|(at, _)| host.started + at.since_start());
        if due.is_some_and(|at| at <= self.now) {
            if let Some(key) = host.wake.take() {
                self.queue.cancel(key);
            }
            host.wake = Some(self.queue.push(self.now, Rank::Plan, Item::Wake(id)));
        }
    }

    /// Gives the host's processes `share` of a core, in random slices with this mean.
    pub(crate) fn starve(&mut self, id: HostId, share: f64, slice: Duration, rng: SmallRng) {
        self.starvations += 1;
        let starvation = Starvation::new(share, slice, rng, self.starvations);
        self.hosts[id.index()].hindrance().starved = Some(starvation);
        self.slice(id, self.starvations);
    }

    /// Gives them a whole core again.
    pub(crate) fn feed(&mut self, id: HostId) {
        if let Some(hindrance) = &mut self.hosts[id.index()].hindered {
            hindrance.starved = None;
            self.release(id);
        }
    }

    /// Each datagram costs the host's processes this much time.
    pub(crate) fn slow(&mut self, id: HostId, cost: Duration) {
        let host = &mut self.hosts[id.index()];
        if host.hindered.is_some() || !cost.is_zero() {
            host.hindrance().cost = cost;
            self.release(id);
        }
    }

    /// The next slice of processor time begins or ends.
    pub(super) fn slice(&mut self, id: HostId, number: u64) -> Step {
        let hindrance = self.hosts[id.index()].hindered.as_mut();
        let Some(starved) = hindrance.and_then(|h| h.starved.as_mut()).filter(|s| s.number == number) else {
            return Step::Nothing;
        };
        let lasts = starved.turn();
        // Ranked like a plan, so that a slice that begins finds what arrives at that moment.
        self.queue.push(self.now + lasts, Rank::Plan, Item::Slice(id, number));
        self.release(id);
        Step::Nothing
    }

    /// Something that hindered the process has ended; what waits goes on if nothing else does.
    fn release(&mut self, id: HostId) {
        let now = self.now;
        let host = &mut self.hosts[id.index()];
        let Some(hindrance) = &mut host.hindered else { return };
        if !hindrance.is_frozen() && !hindrance.is_held() && hindrance.ready.is_none() {
            if hindrance.cost.is_zero() {
                for datagram in hindrance.inbox.take_all() {
                    self.queue.push(now, Rank::Datagram, Item::Deliver(datagram));
                }
            } else if !hindrance.inbox.is_empty() {
                hindrance.ready = Some(self.queue.push(now, Rank::Datagram, Item::Ready(id)));
            }
        }
        if hindrance.is_over() {
            host.hindered = None;
        }
        self.arm(id);
    }

    /// The process has just handled a datagram; if that costs time, it is busy until then.
    pub(super) fn spend(&mut self, id: HostId) {
        let now = self.now;
        let Some(hindrance) = &mut self.hosts[id.index()].hindered else { return };
        if !hindrance.cost.is_zero() {
            hindrance.handled += 1;
            let at = now + hindrance.cost;
            hindrance.ready = Some(self.queue.push(at, Rank::Datagram, Item::Ready(id)));
        }
    }

    /// A slow process is done with a datagram: it takes the next, or looks at its timers.
    pub(super) fn ready(&mut self, id: HostId) -> Step {
        let now = self.now;
        let host = &mut self.hosts[id.index()];
        let Some(hindrance) = &mut host.hindered else { return Step::Nothing };
        hindrance.ready = None;
        if hindrance.is_frozen() || hindrance.is_held() {
            return Step::Nothing;
        }
        if hindrance.cost.is_zero() {
            self.release(id);
            return Step::Nothing;
        }
        let due = host.process.as_ref().and_then(Process::poll_timeout);
        let overdue = due.is_some_and(|(at, _)| host.started + at.since_start() <= now);
        let hindrance = host.hindered.as_mut().expect("it was there three lines above");
        if !(overdue && hindrance.handled >= PER_TURN_MAX)
            && let Some(datagram) = hindrance.inbox.pop()
        {
            return self.deliver(datagram);
        }
        hindrance.handled = 0;
        let step = if overdue { self.wake(id) } else { Step::Nothing };
        self.release(id);
        step
    }

    /// The process is gone: what belonged to it goes too, what the machine lacks stays.
    pub(super) fn forget_hindrance(&mut self, id: HostId) {
        let host = &mut self.hosts[id.index()];
        let Some(former) = host.hindered.take() else { return };
        if let Some(key) = former.ready {
            self.queue.cancel(key);
        }
        let kept = Hindrance { starved: former.starved, cost: former.cost, ..Hindrance::new() };
        if !kept.is_over() {
            host.hindered = Some(Box::new(kept));
        }
    }
}
