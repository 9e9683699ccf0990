//! The state machine itself: which part hears of what, and what its answer sets off.
//!
//! Owns the parts and the two queues towards the world. Never decides protocol questions itself;
//! those belong to [`super::swim`], [`super::catalog`] and [`super::gossip`].

mod aliases;
mod buffers;
mod examining;
mod inbound;
mod location;
mod naming;
mod own;
mod proving;
mod pulls;
mod sealing;
mod sending;
mod settled;
mod stats;
mod user_events;

use super::aliases::Aliases;
use super::catalog::Catalog;
use super::checks::Schedule;
use super::config::{Config, Effective};
use super::coordinates::Coordinates;
use super::damping::{CheckDamping, Damping};
use super::digest::{Tree, row_digest};
use super::event::{Event, Events};
use super::exam::Exams;
use super::gossip::answer::Known;
use super::gossip::repair::Repair;
use super::gossip::spread::{Need, Spread};
use super::join::{ADDRESSES_MAX, Join, Step};
use super::keyring::Keyring;
use super::leave::Leave;
use super::local;
use super::proof::Proofs;
use super::sealing::{Sealing, StrangeKey};
use super::stats::Stats;
use super::strangers::Strangers;
use super::swim::{Output, Swim};
use super::user_events::Heard;
use crate::model::{
    Entry, EntryKey, Generation, Incarnation, Instant, LocalState, Member, MemberStatus, NodeId, NodeKey,
    NodeName, PackedEntry, Version,
};
use crate::wire::datagram::frames_of_plain;
use crate::wire::frame::{Epoch, Liveness};
use crate::wire::{ClusterHash, Frame};
use buffers::Buffers;
use inbound::Sorted;
use rand::rngs::{SmallRng, StdRng};
use rand::{RngExt, SeedableRng};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

/// Who this agent is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The cluster's name; datagrams of other clusters are dropped.
    pub cluster: String,
    /// This node's name.
    pub name: NodeName,
    /// This node's identifier.
    pub id: NodeId,
    /// Where others reach it.
    pub addr: SocketAddr,
    /// This run's generation.
    pub generation: Generation,
    /// Node tags.
    pub tags: BTreeMap<String, String>,
}

/// A datagram to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// Where to.
    pub to: SocketAddr,
    /// The bytes, at most `max_datagram_bytes`.
    pub bytes: Vec<u8>,
}

/// Why [`Agent::force_leave`] did nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ForceLeaveError {
    /// No member has this name.
    #[error("no node is named {0:?}")]
    Unknown(NodeName),
    /// The member is alive; only failed members can be made to leave.
    #[error("node {0:?} is {1}: want a failed one (stop its agent, or let it leave by itself)")]
    NotFailed(NodeName, MemberStatus),
}

/// How far the agent has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Running,
    /// Told others that it goes.
    Leaving,
    /// Another node holds its name: it takes part in nothing.
    Stopped,
}

/// A deadline this late means that the process did not run in between.
const STALL_MIN: Duration = Duration::from_millis(400);

/// The state machine of one agent.
///
/// Drain [`Self::poll_datagram`] and [`Self::poll_event`] after every input, and call
/// [`Self::handle_timeout`] when [`Self::poll_timeout`] says so.
pub struct Agent {
    identity: Identity,
    own: NodeKey,
    /// The generation that this process started with: the older run keeps a contested name.
    started: Generation,
    config: Config,
    cluster: ClusterHash,
    phase: Phase,
    local: LocalState,
    /// When the first check of `local` expires.
    check_deadline: Option<Instant>,
    swim: Swim,
    catalog: Catalog,
    spread: Spread,
    repair: Repair,
    tree: Tree,
    join: Join,
    damping: Damping,
    check_damping: CheckDamping,
    schedule: Schedule,
    aliases: Aliases,
    coordinates: Coordinates,
    heard: Heard,
    leave: Option<Leave>,
    proofs: Proofs,
    exams: Exams,
    strangers: Strangers,
    sealing: Option<Sealing>,
    telling: sealing::Telling,
    rng: SmallRng,
    /// No other member is live, as far as known.
    alone: bool,
    claimed_at: Option<Instant>,
    /// Answers to repairs are capped like rumours.
    answer_tokens: f64,
    answered_at: Instant,
    outgoing: VecDeque<Outgoing>,
    buffers: Buffers,
    /// Used again for each datagram.
    opened: Vec<u8>,
    sorted: Sorted,
    events: Events,
    stats: Stats,
}

impl Agent {
    /// An agent with the given registrations, which knows nobody yet.
    ///
    /// `address_book` are addresses of peers of an earlier run; they are tried like join addresses.
    /// `seed` decides all of its random choices.
    pub fn new(
        identity: Identity,
        config: Config,
        local: LocalState,
        address_book: Vec<SocketAddr>,
        seed: u64,
        now: Instant,
    ) -> Self {
        Self::build(identity, config, local, address_book, None, seed, now)
    }

    /// The same, with everything it sends sealed by the keyring's primary key, and deaf to what is not
    /// sealed by one of its keys. `seal.1` is the seed of nonces and cookies: 32 bytes that nobody can
    /// guess.
    pub fn sealed(
        identity: Identity,
        config: Config,
        local: LocalState,
        address_book: Vec<SocketAddr>,
        seal: (Keyring, [u8; 32]),
        seed: u64,
        now: Instant,
    ) -> Self {
        Self::build(identity, config.sealed(), local, address_book, Some(seal), seed, now)
    }

    fn build(
        identity: Identity,
        config: Config,
        local: LocalState,
        address_book: Vec<SocketAddr>,
        seal: Option<(Keyring, [u8; 32])>,
        seed: u64,
        now: Instant,
    ) -> Self {
        let mut rng = SmallRng::seed_from_u64(seed);
        // From a copy as well; without keys nothing depends on a secret that is hard to guess.
        let mut secret: [u8; 32] = rng.clone().random();
        let sealing = seal.map(|(ring, nonces)| {
            let mut strong = StdRng::from_seed(nonces);
            secret = strong.random();
            Sealing::new(ring, &identity.cluster, strong.random())
        });
        let own = identity.name.key();
        let cluster = ClusterHash::of(&identity.cluster);
        let epoch = Epoch::first_of(identity.generation);
        let mut agent = Self {
            own,
            started: identity.generation,
            cluster,
            phase: Phase::Running,
            swim: Swim::new(own, epoch, identity.addr, config.clone(), rng.random(), now),
            catalog: Catalog::new(config.clone()),
            spread: Spread::new(config.clone(), cluster, rng.random(), now),
            repair: Repair::new(rng.random()),
            tree: Tree::default(),
            join: Join::new(rng.random(), now),
            // Drawn from a copy: what the agent itself draws below does not depend on this part.
            coordinates: Coordinates::new(rng.clone().random()),
            damping: Damping::default(),
            check_damping: CheckDamping::default(),
            schedule: Schedule::new(rng.clone()),
            aliases: Aliases::new(own),
            heard: Heard::new(rng.clone().random::<u64>() ^ own.0),
            leave: None,
            proofs: Proofs::new(&secret),
            exams: Exams::new(now),
            strangers: Strangers::default(),
            sealing,
            telling: sealing::Telling::default(),
            alone: true,
            claimed_at: None,
            answer_tokens: config.gossip_bytes_per_s_max as f64,
            answered_at: now,
            outgoing: VecDeque::new(),
            buffers: Buffers::default(),
            opened: Vec::new(),
            sorted: Sorted::default(),
            events: Events::default(),
            stats: Stats::default(),
            rng,
            identity,
            config,
            check_deadline: local::next_deadline(&local),
            local,
        };
        agent.publish_all();
        agent.take_up_checks(now);
        agent.join(&address_book, now);
        agent
    }

    // ---- getters

    /// Who this agent is; its generation may have been raised since the start.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The configuration it runs with.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// What is registered on this host.
    pub fn local(&self) -> &LocalState {
        &self.local
    }

    /// All members, this node among them, in the order of their keys.
    pub fn members(&self) -> impl Iterator<Item = Member> + '_ {
        let mut own = Some(self.own_member());
        let mut peers = self.swim.peers().iter().peekable();
        std::iter::from_fn(move || {
            let own_next = peers.peek().is_none_or(|(key, _)| *key > self.own);
            if own_next && let Some(member) = own.take() {
                return Some(member);
            }
            peers.next().map(|(key, _)| key).and_then(|key| self.member(key))
        })
    }

    /// What is believed of one node.
    pub fn member(&self, key: NodeKey) -> Option<Member> {
        if key == self.own {
            return Some(self.own_member());
        }
        let held = self.damping.is_held(key);
        self.swim.peers().get(key).map(|p| Member {
            key,
            generation: p.epoch.generation(),
            incarnation: p.incarnation,
            status: match p.state {
                Liveness::Alive | Liveness::Suspect if held => MemberStatus::Failed,
                Liveness::Alive => MemberStatus::Alive,
                Liveness::Suspect => MemberStatus::Suspect,
                Liveness::Down => MemberStatus::Failed,
                Liveness::Left => MemberStatus::Left,
            },
            addr: p.addr,
            rtt: self.swim.peers().rtt(key),
            coordinate: self.coordinates.of(key),
            held,
        })
    }

    fn own_member(&self) -> Member {
        let own = self.swim.own_update();
        Member {
            key: self.own,
            generation: self.identity.generation,
            incarnation: own.incarnation,
            status: if self.phase == Phase::Leaving { MemberStatus::Left } else { MemberStatus::Alive },
            addr: self.identity.addr,
            rtt: Some(Duration::ZERO),
            coordinate: self.coordinates.own(),
            held: false,
        }
    }

    /// The life of a member that is meant, with its incarnation: an earlier pair never comes after a
    /// later one.
    pub(crate) fn life_of(&self, key: NodeKey) -> Option<(Epoch, Incarnation)> {
        if key == self.own {
            let own = self.swim.own_update();
            return Some((own.epoch, own.incarnation));
        }
        self.swim.peers().get(key).map(|p| (p.epoch, p.incarnation))
    }

    /// Live members, this node included.
    pub fn live_count(&self) -> usize {
        self.swim.peers().live().len() + 1
    }

    /// An entry in readable form, with the run and the version it was written in.
    pub fn entry(&self, owner: NodeKey, key: &EntryKey) -> Option<(Generation, Version, Entry)> {
        self.catalog.entry(owner, key)
    }

    /// An entry as it is kept, to be shared and not copied, with the run and the version.
    pub fn packed_entry(
        &self,
        owner: NodeKey,
        key: &EntryKey,
    ) -> Option<(Generation, Version, &PackedEntry)> {
        self.catalog.packed(owner, key)
    }

    /// The keys of an owner's entries.
    pub fn entry_keys(&self, owner: NodeKey) -> impl Iterator<Item = EntryKey> + '_ {
        self.catalog.owner(owner).into_iter().flat_map(|o| o.keys())
    }

    /// Everybody whose entries are known, in the order of their keys.
    pub fn owners(&self) -> impl Iterator<Item = NodeKey> + '_ {
        self.catalog.owners().map(|(key, _)| key)
    }

    /// Services and checks of all owners together, and owners' own records.
    pub fn entry_count(&self) -> usize {
        self.catalog.owners().map(|(_, o)| o.live_count()).sum()
    }

    /// Addresses worth trying after a restart: live peers first, then join addresses and peers
    /// that failed. At most 256.
    pub fn address_book(&self) -> Vec<SocketAddr> {
        let peers = self.swim.peers();
        let live = peers.live().iter().filter_map(|k| peers.get(*k)).map(|p| p.addr);
        let failed = peers.failed().map(|(_, p)| p.addr);
        let mut seen = BTreeSet::new();
        live.take(ADDRESSES_MAX / 2)
            .chain(self.join.addresses())
            .chain(failed)
            .filter(|a| *a != self.identity.addr && seen.insert(*a))
            .take(ADDRESSES_MAX)
            .collect()
    }

    /// Whether [`Self::leave`] was called.
    pub fn is_leaving(&self) -> bool {
        self.phase == Phase::Leaving
    }

    /// Digest of all that agents must agree on; equal in a converged cluster.
    pub fn root_digest(&self) -> u64 {
        self.tree.root().0
    }

    /// Rumours that wait to be spread.
    pub fn rumours_waiting(&self) -> usize {
        self.spread.waiting()
    }

    /// Times and counts that this agent goes by at present.
    pub fn effective(&self) -> Effective {
        self.config.effective(self.swim.peers().live().len() + 1, self.swim.counters().health_score)
    }

    /// The last key that was met and is missing here.
    pub fn missing_key(&self) -> Option<StrangeKey> {
        self.sealing.as_ref().and_then(|s| s.last_strange)
    }

    // ---- commands

    /// Tries these addresses until each has answered, and remembers them for healing.
    pub fn join(&mut self, addrs: &[SocketAddr], now: Instant) {
        for addr in addrs.iter().filter(|a| **a != self.identity.addr) {
            self.join.add(*addr, now);
        }
    }

    /// Says goodbye; [`Event::Left`] tells when enough others know. There is no way back.
    pub fn leave(&mut self, now: Instant) {
        if self.phase != Phase::Running {
            return;
        }
        for key in self.catalog.keep_only_node(self.own) {
            self.events.push_back(Event::EntryChanged(self.own, key));
        }
        let record = self.write_own_node(true);
        self.phase = Phase::Leaving;
        let mut targets = self.swim.peers().live().to_vec();
        rand::seq::SliceRandom::shuffle(targets.as_mut_slice(), &mut self.rng);
        self.leave = Some(Leave::new(record, targets, &self.config, now));
        self.events.push_back(Event::MemberChanged(self.own));
        self.run_leave(now);
        self.settle(None, now);
    }

    /// Makes a failed member `left` for everybody; with `prune` this agent forgets it as well.
    pub fn force_leave(&mut self, name: &NodeName, prune: bool, now: Instant) -> Result<(), ForceLeaveError> {
        let key = name.key();
        let Some(member) = self.member(key) else { return Err(ForceLeaveError::Unknown(name.clone())) };
        if key == self.own || member.status.is_live() {
            return Err(ForceLeaveError::NotFailed(name.clone(), member.status));
        }
        self.swim.end_life(key, member.generation, now);
        self.settle(None, now);
        if prune {
            self.swim.forget(key, now);
            self.settle(None, now);
        }
        Ok(())
    }

    // ---- the world tells the agent

    /// Time has come to what [`Self::poll_timeout`] named.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.phase == Phase::Stopped {
            return;
        }
        if let Some((deadline, why)) = self.poll_timeout() {
            let late = now.since(deadline);
            if late >= STALL_MIN.max(self.config.probe_timeout) {
                tracing::warn!(late_ms = late.as_millis() as u64, why, "this agent did not run for a while");
                self.swim.postpone(late, now);
                self.repair.postpone(late, now);
            }
        }
        if self.phase == Phase::Running {
            self.swim.handle_timeout(now);
            self.run_join(now);
            self.run_local(now);
            self.release_held(now);
            self.run_telling(now);
            self.run_exam(now);
        }
        self.run_leave(now);
        self.settle(None, now);
        self.run_pulls(now);
        self.flush(now);
    }

    /// Suspicions that ran out. Where several threads share the work, as in what Shoal is compared
    /// with, they do so while the others stand; in an agent that ships there is one thread.
    pub(crate) fn handle_timeout_aside(&mut self, now: Instant) {
        self.swim.run_suspicions(now);
        self.settle(None, now);
    }

    /// When [`Self::handle_timeout_aside`] has something to do.
    pub(crate) fn poll_timeout_aside(&self) -> Option<(Instant, &'static str)> {
        (!self.config.is_complete()).then(|| self.swim.next_suspicion()).flatten()
    }

    /// The kernel reports that nobody listens at `addr`. It decides nothing: the member there is
    /// pinged at once, and accused if it is silent.
    pub fn handle_unreachable(&mut self, addr: SocketAddr, now: Instant) {
        tracing::debug!(%addr, "a datagram could not be delivered");
        *self.stats.dropped.entry("unreachable").or_default() += 1;
        if self.phase == Phase::Running {
            self.swim.handle_unreachable(addr, now);
            self.settle(None, now);
        }
    }

    // ---- the agent tells the world

    /// The next datagram to send.
    pub fn poll_datagram(&mut self) -> Option<Outgoing> {
        let mut out = self.outgoing.pop_front()?;
        self.proofs.note_contact(out.to);
        self.stats.frames_sent.add(frames_of_plain(&out.bytes).sizes());
        self.seal(out.to, &mut out.bytes);
        self.stats.datagrams_sent += 1;
        self.stats.bytes_sent += out.bytes.len() as u64;
        Some(out)
    }

    /// The next thing that changed.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When to call [`Self::handle_timeout`], and what will happen then.
    pub fn poll_timeout(&self) -> Option<(Instant, &'static str)> {
        if self.phase == Phase::Stopped {
            return None;
        }
        let gossip = self.spread.next_deadline().map(|at| (at, "gossip"));
        let leave = self.leave.as_ref().and_then(Leave::next_deadline).map(|at| (at, "leave"));
        let mut next = [gossip, leave].into_iter().flatten().min();
        if self.phase == Phase::Running {
            let expiry = self.check_deadline.map(|at| (at, "check expiry"));
            let due = self.schedule.next().map(|at| (at, "probe due"));
            let held_check = self.check_damping.next().map(|at| (at, "held check"));
            let check = [expiry, due, held_check].into_iter().flatten().min();
            let repair = self.repair.next_deadline();
            let held = self.damping.next().map(|at| (at, "held member"));
            let telling = self.telling.due().map(|at| (at, "keyring"));
            let (swim, join) = (self.swim.next_deadline(), self.join.next_deadline());
            let exam = self.exams.next().map(|at| (at, "examination"));
            let parts = [next, held, swim, join, repair, check, telling, exam];
            next = parts.into_iter().flatten().min();
        }
        next
    }

    // ---- what an input sets off

    /// Carries out what membership wants until that is nothing, and tells others. `from` is who told us.
    fn settle(&mut self, from: Option<NodeKey>, now: Instant) {
        self.carry_out(from, now);
        self.follow_others(now);
        self.greet(now);
        self.flush(now);
    }

    fn carry_out(&mut self, from: Option<NodeKey>, now: Instant) {
        while let Some(output) = self.swim.poll() {
            match output {
                Output::Send(addr, frame) => self.send_swim(addr, frame, now),
                Output::Tell(addr, update) => self.send_frames(addr, &[Frame::Members(vec![update])]),
                Output::Notice(addr, key, epoch) => self.send_frames(addr, &[Frame::DownNotice(key, epoch)]),
                Output::News(update) => self.spread.member(update, from, now),
                Output::Accused(accusation) => self.spread.accusation(accusation, from, now),
                Output::Absolved(subject, accusers) => self.spread.absolve(subject, &accusers),
                Output::Nack(addr, nack) => self.send_frames(addr, &[Frame::Nack(nack)]),
                Output::Measured(key, rtt) => self.measured(key, rtt),
                Output::Changed(key) => self.member_changed(key, now),
                Output::Removed(key, addr) => {
                    self.member_removed(key);
                    if let Some(addr) = addr {
                        self.join.remember(addr);
                    }
                }
                Output::Renewed(epoch) => {
                    tracing::info!(epoch = epoch.0, "others held this node for failed; it took a new life");
                    self.touch(self.own);
                    self.events.push_back(Event::MemberChanged(self.own));
                }
                Output::Remembered(epoch) => self.outlive(epoch, now),
                Output::Rival(addr, _) => self.claim_name_at(addr, now),
            }
        }
    }

    /// The first peer after a time alone has everything to learn of this node.
    fn greet(&mut self, now: Instant) {
        let alone = self.swim.peers().live().is_empty();
        if self.alone && !alone && self.phase == Phase::Running {
            let own = self.swim.own_update();
            self.spread.member(own, None, now);
            self.announce_own_table(now);
        }
        self.alone = alone;
    }

    fn flush(&mut self, now: Instant) {
        let need = self.need();
        let outgoing = &mut self.outgoing;
        self.spread.flush(self.swim.peers(), need, now, &mut |out| outgoing.push_back(out));
    }

    fn need(&self) -> Need {
        Need { live: self.swim.peers().live().len(), factor: self.swim.loss_factor() }
    }

    fn member_changed(&mut self, key: NodeKey, now: Instant) {
        let peer = self.swim.peers().get(key).map(|p| (p.state, p.addr));
        if let Some(p) = self.swim.peers().get(key).filter(|_| self.config.is_complete()) {
            self.damping.note(key, p.state, p.epoch.generation(), &self.config, now);
        }
        if let Some((_, addr)) = peer {
            self.coordinates.handle_member(key, addr);
        }
        match peer.map(|(state, _)| state) {
            Some(s) if s.is_live() => self.catalog.readmit(key),
            Some(Liveness::Left) => self.drop_services_of(key),
            _ => {}
        }
        self.touch(key);
        self.events.push_back(Event::MemberChanged(key));
    }

    fn member_removed(&mut self, key: NodeKey) {
        for entry in self.catalog.forget(key) {
            self.events.push_back(Event::EntryChanged(key, entry));
        }
        self.repair.caught_up(key);
        self.coordinates.forget(key);
        self.damping.forget(key);
        self.touch(key);
        self.events.push_back(Event::MemberRemoved(key));
    }

    fn drop_services_of(&mut self, key: NodeKey) {
        for entry in self.catalog.keep_only_node(key) {
            self.events.push_back(Event::EntryChanged(key, entry));
        }
    }

    /// Brings the digest of a node's row up to date.
    fn touch(&mut self, key: NodeKey) {
        let row = self.known().row(key);
        let digest = (row.member.is_some() || row.table.is_some()).then(|| row_digest(&row));
        self.tree.set(key, digest);
    }

    fn known(&self) -> Known<'_> {
        Known {
            tree: &self.tree,
            peers: self.swim.peers(),
            own: self.swim.own_update(),
            catalog: &self.catalog,
        }
    }

    // ---- periodic parts

    fn run_join(&mut self, now: Instant) {
        if self.join.next_deadline().is_none_or(|(at, _)| at > now) {
            return;
        }
        let peers = self.swim.peers();
        let alone = peers.live().is_empty();
        let lost = peers.failed().map(|(_, p)| p.addr);
        let reached = |addr: &SocketAddr| peers.is_live_at(*addr);
        for step in self.join.steps(&self.config, lost, &reached, alone, now) {
            match step {
                Step::Request { to, attempts } => {
                    self.vary_key(to, attempts);
                    self.send_join_request(to);
                    if attempts > 1 && !self.join.is_joined() {
                        self.events.push_back(Event::JoinRetried { addr: to, attempts });
                    }
                }
                Step::AskHolder(holder) => self.send_name_claim(holder),
                Step::NameIsFree(epoch) => self.outlive(epoch, now),
            }
        }
    }

    /// Members that have stayed for long enough are shown as what they are.
    fn release_held(&mut self, now: Instant) {
        while let Some(key) = self.damping.release(now) {
            self.events.push_back(Event::MemberChanged(key));
        }
    }

    fn run_leave(&mut self, now: Instant) {
        let Some(leave) = &mut self.leave else { return };
        let told = leave.round(now);
        let record = leave.record.clone();
        if leave.finished(now) {
            let acknowledged_by = leave.acknowledged();
            self.events.push_back(Event::Left { acknowledged_by });
            return;
        }
        for key in told {
            if let Some(addr) = self.swim.peers().get(key).map(|p| p.addr) {
                self.send_frames(addr, &[Frame::Leave(record.clone())]);
            }
        }
    }
}
