//! Foca as it comes: its own codec-fed queues, its own timers, the configuration it recommends.
//!
//! A baseline for simulations, so that what Shoal adds to the library can be measured as a ratio in
//! one run, and so that an upgrade of the library is noticed. Nothing that ships uses it. It knows
//! members only: no catalog, no join of ours, no guard on timers.

use super::timers::Timers;
use crate::core::{Event, Outgoing};
use crate::model::{Generation, Incarnation, Instant, Member, MemberStatus, NodeKey};
use crate::wire::frame::Epoch;
use bytes::{Buf, BufMut};
use foca::{Foca, Header, Message, NoCustomBroadcast, Notification, Runtime, State, Timer};
use rand::SeedableRng as _;
use rand::rngs::SmallRng;
use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::time::Duration;

/// How long a leaver stays to spread the word.
const LINGER: Duration = Duration::from_secs(1);

/// A life of a node, with everything that travels about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StockLife {
    addr: SocketAddr,
    key: NodeKey,
    epoch: Epoch,
}

impl foca::Identity for StockLife {
    type Addr = SocketAddr;

    fn renew(&self) -> Option<Self> {
        Some(Self { epoch: self.epoch.next(), ..*self })
    }

    fn addr(&self) -> SocketAddr {
        self.addr
    }

    fn win_addr_conflict(&self, adversary: &Self) -> bool {
        self.epoch > adversary.epoch
    }
}

use StockLife as Life;

/// The bytes on the wire; compact, as an application of the library would make them.
struct Wire;

#[derive(Debug, thiserror::Error)]
#[error("a datagram that no such node sent")]
struct Malformed;

/// Bytes of a life: address, port, key, epoch.
const LIFE_BYTES: usize = 4 + 2 + 8 + 8;

fn put_life(life: &Life, buf: &mut impl BufMut) -> Result<(), Malformed> {
    if buf.remaining_mut() < LIFE_BYTES {
        return Err(Malformed);
    }
    let IpAddr::V4(ip) = life.addr.ip() else { return Err(Malformed) };
    buf.put_slice(&ip.octets());
    buf.put_u16(life.addr.port());
    buf.put_u64(life.key.0);
    buf.put_u64(life.epoch.0);
    Ok(())
}

fn get_life(buf: &mut impl Buf) -> Result<Life, Malformed> {
    if buf.remaining() < LIFE_BYTES {
        return Err(Malformed);
    }
    let addr = (Ipv4Addr::from(buf.get_u32()), buf.get_u16()).into();
    Ok(Life { addr, key: NodeKey(buf.get_u64()), epoch: Epoch(buf.get_u64()) })
}

fn get<T>(buf: &mut impl Buf, bytes: usize, read: impl FnOnce(&mut dyn Buf) -> T) -> Result<T, Malformed> {
    if buf.remaining() < bytes { Err(Malformed) } else { Ok(read(buf)) }
}

impl foca::Codec<Life> for Wire {
    type Error = Malformed;

    fn encode_header(&mut self, header: &Header<Life>, mut buf: impl BufMut) -> Result<(), Malformed> {
        put_life(&header.src, &mut buf)?;
        put_life(&header.dst, &mut buf)?;
        let (tag, number, third) = match &header.message {
            Message::Ping(n) => (0, *n, None),
            Message::Ack(n) => (1, *n, None),
            Message::PingReq { target, probe_number } => (2, *probe_number, Some(target)),
            Message::IndirectPing { origin, probe_number } => (3, *probe_number, Some(origin)),
            Message::IndirectAck { target, probe_number } => (4, *probe_number, Some(target)),
            Message::ForwardedAck { origin, probe_number } => (5, *probe_number, Some(origin)),
            Message::Announce => (6, 0, None),
            Message::Feed => (7, 0, None),
            Message::Gossip => (8, 0, None),
            Message::Broadcast => (9, 0, None),
            Message::TurnUndead => (10, 0, None),
        };
        if buf.remaining_mut() < 4 {
            return Err(Malformed);
        }
        buf.put_u16(header.src_incarnation);
        buf.put_u8(tag);
        buf.put_u8(number);
        third.map_or(Ok(()), |life| put_life(life, &mut buf))
    }

    fn decode_header(&mut self, mut buf: impl Buf) -> Result<Header<Life>, Malformed> {
        let (src, dst) = (get_life(&mut buf)?, get_life(&mut buf)?);
        let src_incarnation = get(&mut buf, 2, |b| b.get_u16())?;
        let tag = get(&mut buf, 1, |b| b.get_u8())?;
        let probe_number = get(&mut buf, 1, |b| b.get_u8())?;
        let message = match tag {
            0 => Message::Ping(probe_number),
            1 => Message::Ack(probe_number),
            2 => Message::PingReq { target: get_life(&mut buf)?, probe_number },
            3 => Message::IndirectPing { origin: get_life(&mut buf)?, probe_number },
            4 => Message::IndirectAck { target: get_life(&mut buf)?, probe_number },
            5 => Message::ForwardedAck { origin: get_life(&mut buf)?, probe_number },
            6 => Message::Announce,
            7 => Message::Feed,
            8 => Message::Gossip,
            9 => Message::Broadcast,
            10 => Message::TurnUndead,
            _ => return Err(Malformed),
        };
        Ok(Header { src, src_incarnation, dst, message })
    }

    fn encode_member(&mut self, member: &foca::Member<Life>, mut buf: impl BufMut) -> Result<(), Malformed> {
        put_life(member.id(), &mut buf)?;
        if buf.remaining_mut() < 3 {
            return Err(Malformed);
        }
        buf.put_u16(member.incarnation());
        buf.put_u8(match member.state() {
            State::Alive => 0,
            State::Suspect => 1,
            State::Down => 2,
        });
        Ok(())
    }

    fn decode_member(&mut self, mut buf: impl Buf) -> Result<foca::Member<Life>, Malformed> {
        let life = get_life(&mut buf)?;
        let incarnation: Incarnation = get(&mut buf, 2, |b| b.get_u16())?;
        let state = match get(&mut buf, 1, |b| b.get_u8())? {
            0 => State::Alive,
            1 => State::Suspect,
            2 => State::Down,
            _ => return Err(Malformed),
        };
        Ok(foca::Member::new(life, incarnation, state))
    }
}

/// What foca sees of the outside.
struct Outside {
    now: Instant,
    timers: Timers<Life>,
    outgoing: VecDeque<Outgoing>,
    /// Who changed; without a status, it is another life in the same state.
    told: Vec<(Life, Option<MemberStatus>)>,
    renewed: Option<Life>,
}

impl Runtime<Life> for Outside {
    fn notify(&mut self, notification: Notification<'_, Life>) {
        match notification {
            Notification::MemberUp(life) => self.told.push((*life, Some(MemberStatus::Alive))),
            Notification::MemberDown(life) => self.told.push((*life, Some(MemberStatus::Failed))),
            Notification::Rename(_, life) => self.told.push((*life, None)),
            Notification::Rejoin(life) => self.renewed = Some(*life),
            Notification::Active
            | Notification::Idle
            | Notification::Defunct
            | Notification::ProbeFailed(..)
            | Notification::DataReceived(_)
            | Notification::DataSent(_) => {}
        }
    }

    fn send_to(&mut self, to: Life, data: &[u8]) {
        self.outgoing.push_back(Outgoing { to: to.addr, bytes: data.to_vec() });
    }

    fn submit_after(&mut self, timer: Timer<Life>, after: Duration) {
        self.timers.submit(timer, self.now, after);
    }
}

/// A node that is foca and nothing else. Driven like an [`Agent`](crate::core::Agent).
pub struct StockFoca {
    foca: Foca<Life, Wire, SmallRng, NoCustomBroadcast>,
    outside: Outside,
    life: Life,
    members: BTreeMap<NodeKey, Member>,
    events: VecDeque<Event>,
    renewals: u64,
    gone_at: Option<Instant>,
}

impl StockFoca {
    /// A node of a cluster of about `size` that knows nobody. `interval` is the probe interval.
    pub fn new(
        key: NodeKey,
        addr: SocketAddr,
        generation: Generation,
        interval: Duration,
        size: u32,
        seed: u64,
        now: Instant,
    ) -> Self {
        let life = Life { addr, key, epoch: Epoch::first_of(generation) };
        let mut config = foca::Config::new_lan(NonZeroU32::new(size.max(1)).unwrap_or(NonZeroU32::MIN));
        // The library recommends its times for an interval of one second.
        let scale = interval.as_secs_f64() / config.probe_period.as_secs_f64();
        config.probe_period = interval;
        config.probe_rtt = config.probe_rtt.mul_f64(scale);
        config.suspect_to_down_after = config.suspect_to_down_after.mul_f64(scale);
        let outside = Outside {
            now,
            timers: Timers::default(),
            outgoing: VecDeque::new(),
            told: Vec::new(),
            renewed: None,
        };
        let foca = Foca::new(life, config, SmallRng::seed_from_u64(seed), Wire);
        let mut stock = Self {
            foca,
            outside,
            life,
            members: BTreeMap::new(),
            events: VecDeque::new(),
            renewals: 0,
            gone_at: None,
        };
        stock.put(life, MemberStatus::Alive);
        stock
    }

    // ---- getters

    /// Stands for this node's name.
    pub fn key(&self) -> NodeKey {
        self.life.key
    }

    /// This run.
    pub fn generation(&self) -> Generation {
        self.life.epoch.generation()
    }

    /// This life, for others to know.
    pub const fn life(&self) -> StockLife {
        self.life
    }

    /// All members, this node among them. Foca does not tell of suspicions, so nobody is shown as
    /// suspect.
    pub fn members(&self) -> impl Iterator<Item = &Member> {
        self.members.values()
    }

    /// What is believed of one node.
    pub fn member(&self, key: NodeKey) -> Option<&Member> {
        self.members.get(&key)
    }

    /// Times that it took a new identity because others had declared it down.
    pub const fn renewals(&self) -> u64 {
        self.renewals
    }

    /// Updates that wait to be spread.
    pub fn updates_waiting(&self) -> usize {
        self.foca.updates_backlog()
    }

    // ---- commands

    /// Announces itself there: once, as the library does.
    pub fn join(&mut self, addrs: &[SocketAddr], now: Instant) {
        for addr in addrs {
            let anybody = Life { addr: *addr, key: NodeKey(0), epoch: Epoch(0) };
            self.with(now, |foca, outside| foca.announce(anybody, outside).ok());
        }
    }

    /// Knows all of these from the beginning, itself not counted, as if it had met them long ago;
    /// probes after the share `phase` of the first interval.
    pub fn adopt(&mut self, all: &[StockLife], phase: f64, now: Instant) {
        let own = self.life.key;
        let members = all.iter().filter(|l| l.key != own).map(|l| foca::Member::alive(*l));
        self.with(now, |foca, outside| foca.apply_many(members, false, outside).ok());
        self.outside.timers.hasten_probe(now, phase);
        self.outside.outgoing.clear();
        self.events.clear();
    }

    /// Says goodbye, once, and goes a moment later.
    pub fn leave(&mut self, now: Instant) {
        self.with(now, |foca, outside| foca.leave_cluster(outside).ok());
        self.gone_at.get_or_insert(now + LINGER);
    }

    // ---- the world tells the node

    /// A datagram that arrived. The library's errors are its own business.
    pub fn handle_datagram(&mut self, bytes: &[u8], now: Instant) {
        self.with(now, |foca, outside| foca.handle_data(bytes, outside).ok());
    }

    /// Time has come to what [`Self::poll_timeout`] named.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(timer) = self.outside.timers.pop(now) {
            self.with(now, |foca, outside| foca.handle_timer(timer, outside).ok());
        }
        if self.gone_at.is_some_and(|at| at <= now) {
            self.gone_at = None;
            self.events.push_back(Event::Left { acknowledged_by: 0 });
        }
    }

    // ---- the node tells the world

    /// The next datagram to send.
    pub fn poll_datagram(&mut self) -> Option<Outgoing> {
        self.outside.outgoing.pop_front()
    }

    /// The next thing that changed.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When to call [`Self::handle_timeout`], and why.
    pub fn poll_timeout(&self) -> Option<(Instant, &'static str)> {
        let gone = self.gone_at.map(|at| (at, "leave"));
        [self.outside.timers.next(), gone].into_iter().flatten().min()
    }

    // ---- inside

    fn with<R>(
        &mut self,
        now: Instant,
        f: impl FnOnce(&mut Foca<Life, Wire, SmallRng, NoCustomBroadcast>, &mut Outside) -> R,
    ) -> R {
        self.outside.now = now;
        let result = f(&mut self.foca, &mut self.outside);
        for (life, status) in std::mem::take(&mut self.outside.told) {
            let known = self.members.get(&life.key).map(|m| m.status);
            self.put(life, status.or(known).unwrap_or(MemberStatus::Alive));
        }
        if let Some(life) = self.outside.renewed.take() {
            self.life = life;
            self.renewals += 1;
        }
        result
    }

    fn put(&mut self, life: Life, status: MemberStatus) {
        let member = Member {
            key: life.key,
            generation: life.epoch.generation(),
            incarnation: 0,
            status,
            addr: life.addr,
            rtt: None,
            coordinate: None,
            held: false,
        };
        self.members.insert(life.key, member);
        self.events.push_back(Event::MemberChanged(life.key));
    }
}
