//! Membership: foca's SWIM behind our own words, with its timers in our hands.
//!
//! The only room that names foca. It decides who is alive; it never sends: what is to be sent,
//! spread or told comes out of [`Swim::poll`], and [`crate::core::gossip`] packs it. Foca keeps
//! the probe cycle, the order of claims and the renewal of a life; timers, dissemination, joining,
//! addresses and the judgement of second-hand `Down`s are ours.
//!
//! Follows Das, Gupta, Motivala: "SWIM" (DSN 2002).

mod accuse;
mod adopt;
mod health;
mod heard_at;
mod hearing;
mod hearsay;
mod identity;
mod loss;
mod nack;
mod peers;
mod probe;
mod ring;
mod stock;
mod suspicion;
#[cfg(test)]
mod tests;
mod timers;
mod translate;
mod witness;
mod world;

use peers::News;
pub(crate) use peers::Peers;
pub use stock::{StockFoca, StockLife};

use crate::core::config::Config;
use crate::model::{Generation, Incarnation, Instant, NodeKey};
use crate::wire::frame::{Accusation, Epoch, Liveness, MemberUpdate, Nack, SwimFrame};
use foca::{Foca, Member, NoCustomBroadcast, State, Timer};
use health::Health;
use heard_at::HeardAt;
use hearing::Hearing;
use identity::{Adapter, Life};
use loss::Loss;
use nack::{Asked, Nacks};
use probe::ProbeWatch;
use rand::SeedableRng as _;
use rand::rngs::SmallRng;
use ring::Turn;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::num::{NonZeroU8, NonZeroUsize};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;
use suspicion::Suspicions;
use witness::Checks;
use world::World;

/// Room for the largest internal message, which holds no members.
const INTERNAL_BYTES_MAX: usize = 256;
/// A member is told at most this often that somebody holds it for failed.
const NOTICE_INTERVAL: Duration = Duration::from_secs(1);
/// Probe intervals without a scheduled probe after which the watchdog steps in.
const WATCHDOG_INTERVALS: u32 = 3;

/// What membership wants done, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Output {
    /// Send this frame, with whatever else fits into the datagram.
    Send(SocketAddr, SwimFrame),
    /// Tell one address about one member.
    Tell(SocketAddr, MemberUpdate),
    /// Tell an address that this life is held for failed.
    Notice(SocketAddr, NodeKey, Epoch),
    /// Spread this.
    News(MemberUpdate),
    /// Spread this.
    Accused(Accusation),
    /// The suspicion of this member, raised by these, is over: nobody needs to hear of it.
    Absolved(NodeKey, Vec<NodeKey>),
    /// Tell an address that the member it asked about is silent.
    Nack(SocketAddr, Nack),
    /// This member answered our probe after this time.
    Measured(NodeKey, Duration),
    /// A member is not what it was.
    Changed(NodeKey),
    /// A member was forgotten; one that had failed may be back some day, at this address.
    Removed(NodeKey, Option<SocketAddr>),
    /// This node took a new life, since others held the old one for ended.
    Renewed(Epoch),
    /// Others remember a later life of this node than its present one.
    Remembered(Epoch),
    /// Another address uses this node's name.
    Rival(SocketAddr, Epoch),
}

/// Membership counters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counters {
    pub(crate) probes_sent: u64,
    pub(crate) probes_failed: u64,
    pub(crate) suspicions_raised: u64,
    pub(crate) suspicions_refuted: u64,
    pub(crate) renewals: u64,
    pub(crate) members_refused: u64,
    pub(crate) watchdog: u64,
    pub(crate) accusations_refused: u64,
    pub(crate) nacks_refused: u64,
    pub(crate) nacks_shed: u64,
    pub(crate) nacks_missed: u64,
    pub(crate) health_score: u32,
    pub(crate) checks: u64,
    pub(crate) checks_shed: u64,
}

pub(crate) struct Swim {
    foca: Foca<Life, Adapter, SmallRng, NoCustomBroadcast>,
    updates: Receiver<Member<Life>>,
    world: World,
    peers: Peers,
    config: Config,
    life: Life,
    incarnation: Incarnation,
    addr: SocketAddr,
    probe: Option<ProbeWatch>,
    turn: Option<Turn>,
    /// Turns that were used to look around as well.
    turns: u32,
    asked: Option<Asked>,
    nacks: Nacks,
    suspicions: Suspicions,
    checks: Checks,
    hearing: Hearing,
    loss: Loss,
    heard_at: HeardAt,
    watchdog_at: Instant,
    output: VecDeque<Output>,
    counters: Counters,
}

fn to_foca(u: &MemberUpdate) -> Member<Life> {
    let state = match u.state {
        Liveness::Alive => State::Alive,
        Liveness::Suspect => State::Suspect,
        Liveness::Down | Liveness::Left => State::Down,
    };
    Member::new(Life { key: u.key, epoch: u.epoch }, u.incarnation, state)
}

const fn liveness(state: State) -> Liveness {
    match state {
        State::Alive => Liveness::Alive,
        State::Suspect => Liveness::Suspect,
        State::Down => Liveness::Down,
    }
}

impl Swim {
    pub(crate) fn new(
        key: NodeKey,
        epoch: Epoch,
        addr: SocketAddr,
        config: Config,
        seed: u64,
        now: Instant,
    ) -> Self {
        let (sender, updates) = channel();
        let life = Life { key, epoch };
        let some = |n: usize| NonZeroUsize::new(n).expect("a checked configuration has no zero counts");
        let foca_config = foca::Config {
            probe_period: config.probe_interval,
            probe_rtt: config.probe_timeout,
            num_indirect_probes: some(config.indirect_probes),
            // Foca's own queue carries no weight (see `identity::Adapter`): empty it at once.
            max_transmissions: NonZeroU8::MIN,
            suspect_to_down_after: config.suspicion_timeout(1),
            remove_down_after: Some(config.reap_after),
            max_packet_size: some(INTERNAL_BYTES_MAX),
            notify_down_members: true,
            periodic_announce: None,
            periodic_announce_to_down_members: None,
            periodic_gossip: None,
        };
        let rng = SmallRng::seed_from_u64(seed);
        let foca = Foca::new(life, foca_config, rng, Adapter { updates: sender });
        let watchdog_at = now + config.probe_interval * WATCHDOG_INTERVALS;
        Self {
            foca,
            updates,
            world: World::new(Health::new(config.health_max()), now),
            peers: Peers::default(),
            config,
            life,
            incarnation: 0,
            addr,
            probe: None,
            turn: None,
            turns: 0,
            asked: None,
            nacks: Nacks::default(),
            suspicions: Suspicions::default(),
            checks: Checks::default(),
            hearing: Hearing::new(now),
            loss: Loss::default(),
            heard_at: HeardAt::default(),
            watchdog_at,
            output: VecDeque::new(),
            counters: Counters::default(),
        }
    }

    // ---- getters

    pub(crate) fn epoch(&self) -> Epoch {
        self.life.epoch
    }

    pub(crate) fn peers(&self) -> &Peers {
        &self.peers
    }

    pub(crate) fn counters(&self) -> Counters {
        Counters {
            probes_failed: self.world.failed_probes,
            nacks_missed: self.world.nacks_missed,
            nacks_shed: self.nacks.shed,
            health_score: self.world.health.score(),
            checks: self.checks.made,
            checks_shed: self.checks.shed,
            ..self.counters
        }
    }

    /// This node as others should know it.
    pub(crate) fn own_update(&self) -> MemberUpdate {
        MemberUpdate {
            key: self.life.key,
            epoch: self.life.epoch,
            incarnation: self.incarnation,
            state: Liveness::Alive,
            addr: self.addr,
        }
    }

    /// How many times as often something is to be said, so that as much of it arrives as in ordinary
    /// weather.
    pub(crate) fn loss_factor(&self) -> f64 {
        if self.config.is_complete() { self.loss.factor() } else { 1.0 }
    }

    pub(crate) fn poll(&mut self) -> Option<Output> {
        self.output.pop_front()
    }

    pub(crate) fn next_deadline(&self) -> Option<(Instant, &'static str)> {
        let verify = self.checks.next().map(|at| (at, "check"));
        let turn = self.turn.map(|turn| (turn.due, "successor"));
        let resend = self.probe.as_ref().and_then(ProbeWatch::due).map(|at| (at, "probe again"));
        let watchdog = (!self.peers.live().is_empty()).then_some((self.watchdog_at, "watchdog"));
        let nack = self.nacks.next().map(|at| (at, "nack"));
        [self.world.timers.next(), self.next_suspicion(), nack, verify, turn, resend, watchdog]
            .into_iter()
            .flatten()
            .min()
    }

    /// When the time to refute runs out for somebody whom this agent times itself.
    pub(crate) fn next_suspicion(&self) -> Option<(Instant, &'static str)> {
        let at = self.suspicions.next()?;
        // Who hears nobody judges nobody before the time for that is over.
        let deaf = self.is_deaf(at);
        let live = self.peers.live().len() + 1;
        let at = if deaf { at.max(self.hearing.last + self.config.isolation_timeout(live)) } else { at };
        Some((at, "suspicion"))
    }

    // ---- the world tells us

    /// A SWIM frame with the member updates that came in the same datagram.
    pub(crate) fn handle_frame(
        &mut self,
        from: SocketAddr,
        frame: &SwimFrame,
        updates: &[MemberUpdate],
        now: Instant,
    ) {
        let sender_addr = frame.from_addr.unwrap_or(from);
        let by = Some(frame.from);
        if !frame.from_epoch.is_plausible() {
            self.counters.members_refused += 1;
            return;
        }
        if frame.from == self.life.key {
            if frame.from_epoch != self.life.epoch && sender_addr != self.addr {
                self.output.push_back(Output::Rival(sender_addr, frame.from_epoch));
            }
            return;
        }
        if !self.has_room_for(frame.from, now) {
            return;
        }
        let own = self.life.key;
        self.handle_updates_where(updates, by, now, |u| u.key == own);
        if frame.to != self.life.key || frame.to_epoch != self.life.epoch {
            // Meant for an earlier life, or for whoever had this address before: say who is here.
            self.output.push_back(Output::Tell(sender_addr, self.own_update()));
            return;
        }
        self.watch_answer(frame, now);
        self.note_answered_check(frame, now);
        self.heard_at.insert(frame.from, sender_addr);
        self.move_if_known_elsewhere(frame, sender_addr, now);
        let mut room = [0; INTERNAL_BYTES_MAX];
        let mut rest = room.as_mut_slice();
        identity::put_header(&self.header_of(frame), &mut rest);
        let length = INTERNAL_BYTES_MAX - rest.len();
        // An error here is a message that foca has no use for (a late answer, an indirect probe
        // for ourselves); it changed nothing.
        let _ = self.with_foca(now, |foca, world| foca.handle_data(&room[..length], world));
        if self.peers.get(frame.from).is_some_and(|p| p.state.is_live() && p.epoch == frame.from_epoch) {
            self.handle_updates_where(updates, by, now, |u| u.key != own);
            self.note_help(frame, sender_addr, now);
        }
    }

    /// Member updates without a SWIM frame, from whoever is at `from`.
    pub(crate) fn handle_updates(&mut self, updates: &[MemberUpdate], from: SocketAddr, now: Instant) {
        let by = self.peers.live_at(from);
        self.handle_updates_where(updates, by, now, |_| true);
    }

    fn handle_updates_where(
        &mut self,
        updates: &[MemberUpdate],
        by: Option<NodeKey>,
        now: Instant,
        wanted: impl Fn(&MemberUpdate) -> bool,
    ) {
        for u in updates.iter().filter(|u| wanted(u)) {
            self.handle_update(u, true, by, now);
        }
    }

    /// One claim about one member, told by `by`. `spread` says whether it is to be passed on when it
    /// is news.
    pub(crate) fn handle_update(
        &mut self,
        u: &MemberUpdate,
        spread: bool,
        by: Option<NodeKey>,
        now: Instant,
    ) {
        if !u.epoch.is_plausible() {
            self.counters.members_refused += 1;
            return;
        }
        if u.key == self.life.key {
            self.handle_own(u, now);
            return;
        }
        match self.peers.compare(u) {
            News::Known => {}
            News::Contradicts => self.notice(u.key, u.addr, u.epoch, now),
            News::Newer if self.is_refuted_down(u) => self.contradict(u.key, by),
            News::Newer if self.is_second_hand_down(u) => self.hear_of_down(u, by, now),
            News::Newer => {
                if self.has_room_for(u.key, now) {
                    self.apply(u, spread, now);
                }
            }
        }
    }

    /// Somebody holds `epoch` of this node for failed.
    pub(crate) fn handle_notice(&mut self, epoch: Epoch, now: Instant) {
        let u = MemberUpdate { epoch, state: Liveness::Down, ..self.own_update() };
        if epoch.is_plausible() {
            self.handle_own(&u, now);
        }
    }

    /// Timers that are due.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        self.run_turn(now);
        while let Some(timer) = self.world.timers.pop(now) {
            self.handle_timer(timer, now);
        }
        self.run_suspicions(now);
        self.run_nacks(now);
        self.run_checks(now);
        self.probe_again(now);
        self.check_watchdog(now);
    }

    /// Moves every deadline by a time in which this agent did not run: others could not answer it.
    pub(crate) fn postpone(&mut self, stall: Duration, now: Instant) {
        if !self.config.forgives_stalls() {
            return;
        }
        self.world.timers.postpone(stall, now);
        self.forgive(stall, now);
        self.hearing.last = (self.hearing.last + stall).min(now);
        self.nacks.postpone(stall, self.config.nack_after(), now);
        self.checks.postpone(stall, now);
        if let Some(probe) = &mut self.probe {
            probe.postpone(stall, now);
        }
        if let Some(turn) = &mut self.turn {
            turn.postpone(stall, now);
        }
        self.watchdog_at = now + self.watch_after();
    }

    // ---- commands

    /// Takes a member for alive on its own word (it asked to join).
    pub(crate) fn welcome(&mut self, u: &MemberUpdate, now: Instant) -> bool {
        if !u.epoch.is_plausible() || !self.has_room_for(u.key, now) {
            return false;
        }
        if self.peers.compare(u) == News::Newer {
            self.apply(u, true, now);
        }
        self.peers.get(u.key).is_some_and(|p| p.state.is_live() && p.epoch == u.epoch)
    }

    /// The node left in that generation, or was made to.
    pub(crate) fn end_life(&mut self, key: NodeKey, generation: Generation, now: Instant) {
        let Some(u) = self.peers.as_update(key) else { return };
        if u.epoch.generation() == generation && u.state != Liveness::Left {
            self.apply(&MemberUpdate { state: Liveness::Left, ..u }, true, now);
        }
    }

    /// Forgets a member that is not live.
    pub(crate) fn forget(&mut self, key: NodeKey, now: Instant) {
        let Some(peer) = self.peers.get(key) else { return };
        if !peer.state.is_live() {
            let life = Life { key, epoch: peer.epoch };
            self.handle_timer(Timer::RemoveDown(life), now);
        }
    }

    /// Goes on under a later life.
    pub(crate) fn take_life(&mut self, epoch: Epoch, now: Instant) {
        let life = Life { epoch, ..self.life };
        if life == self.life {
            return;
        }
        let _ = self.with_foca(now, |foca, world| foca.change_identity(life, world));
        self.reborn(life, now);
    }

    // ---- inside

    /// Whether the table has room for the member. One that is full forgets whoever has been gone
    /// for the longest; only the living keep others out.
    fn has_room_for(&mut self, key: NodeKey, now: Instant) -> bool {
        if self.peers.get(key).is_some() || self.peers.len() < self.config.max_members {
            return true;
        }
        if let Some(gone) = self.peers.longest_gone() {
            self.forget(gone, now);
            return true;
        }
        self.counters.members_refused += 1;
        false
    }

    fn handle_own(&mut self, u: &MemberUpdate, now: Instant) {
        if u.epoch == self.life.epoch {
            let relevant = match u.state {
                Liveness::Alive => false,
                Liveness::Suspect => u.incarnation >= self.incarnation,
                Liveness::Down | Liveness::Left => true,
            };
            if relevant {
                self.world.health.worse(1);
                let member = to_foca(u);
                let _ =
                    self.with_foca(now, |foca, world| foca.apply_many(std::iter::once(member), true, world));
            }
            return;
        }
        let elsewhere = u.addr != self.addr && u.state.is_live();
        if elsewhere {
            self.output.push_back(Output::Rival(u.addr, u.epoch));
        } else if u.epoch > self.life.epoch {
            self.output.push_back(Output::Remembered(u.epoch));
        }
    }

    fn notice(&mut self, key: NodeKey, addr: SocketAddr, epoch: Epoch, now: Instant) {
        let lately = self.peers.noticed(key).is_some_and(|at| now.since(at) < NOTICE_INTERVAL);
        if lately || self.peers.get(key).is_none() {
            return;
        }
        self.peers.set_noticed(key, now);
        self.output.push_back(Output::Notice(addr, key, epoch));
    }

    /// A known member that speaks from another address in the same life has moved.
    fn move_if_known_elsewhere(&mut self, frame: &SwimFrame, addr: SocketAddr, now: Instant) {
        let Some(mut u) = self.peers.as_update(frame.from) else { return };
        if u.epoch == frame.from_epoch && u.addr != addr && frame.from_addr.is_some() {
            u.addr = addr;
            self.peers.put(&u, now);
            self.output.push_back(Output::Changed(u.key));
        }
    }

    /// Hands a claim that is news to foca and takes over the outcome.
    fn apply(&mut self, u: &MemberUpdate, spread: bool, now: Instant) {
        self.heard_at.insert(u.key, u.addr);
        let member = to_foca(u);
        // What foca passes on comes back through its codec, which knows no `Left`; so foca is told
        // to keep quiet, and the spreading is done here.
        let _ = self.with_foca(now, |foca, world| foca.apply_many(std::iter::once(member), false, world));
        self.accepted(*u, now);
        if spread {
            self.output.push_back(Output::News(*u));
        }
    }

    fn handle_timer(&mut self, timer: Timer<Life>, now: Instant) {
        match &timer {
            // Foca takes "exists, but refuted since" for a success and ends a healthy life.
            Timer::ChangeSuspectToDown { member_id, incarnation, .. } => {
                let stands = self.peers.get(member_id.key).is_some_and(|p| {
                    p.epoch == member_id.epoch
                        && p.incarnation == *incarnation
                        && p.state == Liveness::Suspect
                });
                if !stands {
                    return;
                }
            }
            Timer::RemoveDown(life) => {
                let life = *life;
                let stands =
                    self.peers.get(life.key).is_some_and(|p| p.epoch == life.epoch && !p.state.is_live());
                if !stands {
                    return;
                }
                let failed = self.peers.remove(life.key).filter(|p| p.state == Liveness::Down);
                self.output.push_back(Output::Removed(life.key, failed.map(|p| p.addr)));
            }
            Timer::ProbeRandomMember(_) => {
                self.probe = None;
                self.world.nacks_missing = self.asked.as_ref().map_or(0, |asked| asked.missing(&self.peers));
            }
            Timer::SendIndirectProbe { .. }
            | Timer::PeriodicAnnounce(_)
            | Timer::PeriodicGossip(_)
            | Timer::PeriodicAnnounceDown(_) => {}
        }
        let probes = matches!(timer, Timer::ProbeRandomMember(_));
        self.world.skips_intervals = probes && self.walks_ring();
        // The errors are "not connected" and "the last cycle was incomplete"; foca has recovered
        // from both when it returns them.
        let _ = self.with_foca(now, |foca, world| foca.handle_timer(timer, world));
        if probes {
            self.plan_turn(now);
        }
        self.world.skips_intervals = false;
    }

    fn watch_after(&self) -> Duration {
        self.world.health.longest(self.config.probe_interval * WATCHDOG_INTERVALS)
    }

    /// Probing must go on while there is somebody to probe. Should a probe timer ever be missing,
    /// a new connection of foca's makes one.
    fn check_watchdog(&mut self, now: Instant) {
        if now < self.watchdog_at {
            return;
        }
        self.watchdog_at = now + self.watch_after();
        if self.peers.live().is_empty() || self.world.timers.has_probe(self.watchdog_at) {
            return;
        }
        self.counters.watchdog += 1;
        tracing::error!(timers = self.world.timers.len(), "no probe is scheduled; starting over");
        self.take_life(self.life.epoch.next(), now);
    }

    fn with_foca<R>(
        &mut self,
        now: Instant,
        f: impl FnOnce(&mut Foca<Life, Adapter, SmallRng, NoCustomBroadcast>, &mut World) -> R,
    ) -> R {
        self.world.now = now;
        self.world.deaf = self.is_deaf(now);
        let result = f(&mut self.foca, &mut self.world);
        self.absorb(now);
        result
    }

    /// Takes over what foca decided during a call.
    fn absorb(&mut self, now: Instant) {
        while let Ok(member) = self.updates.try_recv() {
            let life = *member.id();
            if life.key == self.life.key {
                continue;
            }
            let known = self.peers.get(life.key);
            // Foca met somebody whom this table knew already.
            if known.is_some_and(|p| {
                (p.epoch, p.incarnation, p.state)
                    == (life.epoch, member.incarnation(), liveness(member.state()))
            }) {
                continue;
            }
            let known = known.map(|p| p.addr);
            let Some(addr) = self.heard_at.get(life.key).or(known) else { continue };
            let u = MemberUpdate {
                key: life.key,
                epoch: life.epoch,
                incarnation: member.incarnation(),
                state: liveness(member.state()),
                addr,
            };
            self.accepted(u, now);
            if u.state == Liveness::Suspect {
                self.spread_suspicion(u, now);
            } else {
                self.output.push_back(Output::News(u));
            }
        }
        if let (Some(life), Some(asked)) = (self.world.unanswered.take(), &self.asked)
            && asked.is_about(life.key, life.epoch)
        {
            // A second opinion on who was suspect already.
            let incarnation = asked.incarnation;
            self.accuse_after_probe(life.key, life.epoch, incarnation, now);
        }
        let mut sends = std::mem::take(&mut self.world.sends);
        for header in sends.drain(..) {
            self.send(&header, now);
        }
        // Its memory is used again.
        self.world.sends = sends;
        self.heard_at.clear();
        if let Some(life) = self.world.renewed.take() {
            self.reborn(life, now);
        }
    }

    fn accepted(&mut self, u: MemberUpdate, now: Instant) {
        let before = self.peers.get(u.key).map(|p| (p.epoch, p.state));
        match (before, u.state) {
            (Some((_, Liveness::Alive)) | None, Liveness::Suspect) => self.counters.suspicions_raised += 1,
            (Some((epoch, Liveness::Suspect)), Liveness::Alive) if epoch == u.epoch => {
                self.counters.suspicions_refuted += 1;
            }
            _ => {}
        }
        self.peers.put(&u, now);
        self.time_suspicion(&u, now);
        self.output.push_back(Output::Changed(u.key));
    }

    /// After a renewal foca waits, without timers, for somebody to speak to the new life; it has
    /// members to probe, so it can as well go on at once.
    fn reborn(&mut self, life: Life, now: Instant) {
        self.life = life;
        self.incarnation = 0;
        self.probe = None;
        self.turn = None;
        self.asked = None;
        self.counters.renewals += 1;
        self.output.push_back(Output::Renewed(life.epoch));
        self.output.push_back(Output::News(self.own_update()));
        let _ = self.with_foca(now, |foca, world| foca.apply_many(std::iter::empty(), false, world));
    }
}
