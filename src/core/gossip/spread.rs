//! Spreading: eager rounds to random members, and rumours in the spare room of other datagrams.
//!
//! A rumour goes to a few random members at once and again in widening intervals until its budget
//! of sends is used up (Karp et al. 2000; the budget is SWIM's lambda log n). Membership and
//! catalog have queues and shares of their own, so that a storm in one cannot starve the other;
//! accusations have a queue of their own and at most half of membership's share.

use super::queue::Queue;
use crate::core::Outgoing;
use crate::core::config::Config;
use crate::core::swim::Peers;
use crate::model::{EntryKey, Instant, NodeKey, UserEvent, UserEventId};
use crate::wire::frame::{
    AGE_UNKNOWN, Accusation, Body, Charge, FRAME_OVERHEAD_BYTES, Head, MemberUpdate, Record,
};
use crate::wire::{ClusterHash, DatagramBuilder, Frame, codec};
use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};
use std::sync::Arc;
use std::time::Duration;

/// Shortest time between two eager flushes: what arrives together travels together.
const FLUSH_GAP: Duration = Duration::from_millis(2);
/// Rumours looked at in one flush; the others follow in the next.
const DUE_MAX: usize = 512;
/// Datagrams of eager rounds about members alone that may go out at once: what it takes from the first
/// accusation to the verdict when a few members fail together.
const MEMBER_BURST: f64 = 150.0;
/// How many of them come back in a second. A storm of suspicions travels packed, and in the spare room
/// of probes, instead of flooding the network that may have caused it.
const MEMBER_DATAGRAMS_PER_S: f64 = 8.0;
/// An accusation is sent this many times less often than other rumours: several accuse one suspect,
/// and who misses one of them hears the others, and the verdict.
const ACCUSATION_BUDGET_SHARE: u32 = 2;
/// Room for a list's own length and its frame's header.
const LIST_BYTES: usize = 8;
/// Records that are older travel without an age.
const AGE_MAX: Duration = Duration::from_secs(3_600);
/// Room for an age.
const AGE_BYTES: usize = 5;
/// More than can be sent in this time waits: a storm. Then the first copy of everything comes before
/// the second copy of anything, ...
const STORM_AFTER: Duration = Duration::from_millis(250);
/// ... each round goes to one member, and each agent sends a record this often at most: under the cap,
/// what is sent twice to one is not sent to another. Repair, which has bytes of its own and asks only
/// for what is missing, brings the rest.
const STORM_SENDS: u32 = 2;
/// A record above this is announced by its head and pulled by those who lack it.
const RECORD_BYTES_EAGER_MAX: usize = 1_000;
/// Fired events that may wait to be spread. They are best-effort: what is shed is lost here.
const USER_EVENTS_MAX: usize = 256;

/// What a catalog rumour is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum About {
    /// Where an owner's table stands.
    Head(NodeKey),
    /// One of its entries.
    Entry(NodeKey, EntryKey),
}

#[derive(Debug, Clone)]
pub(crate) enum Payload {
    Head(Head),
    Record(Box<Record>, Age),
}

/// How long ago the owner wrote a record, and when that was so: what each agent on the way adds is
/// the time that it kept the record and its part of a round trip, so no two clocks are compared.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Age {
    was: Option<Duration>,
    at: Instant,
}

impl Age {
    /// A record that is `was` old at `now`; `None`: nobody knows.
    pub(crate) const fn new(was: Option<Duration>, now: Instant) -> Self {
        Self { was, at: now }
    }

    /// Written at this moment.
    pub(crate) const fn none(now: Instant) -> Self {
        Self { was: Some(Duration::ZERO), at: now }
    }

    fn to_wire(self, now: Instant) -> u32 {
        let age = self.was.map(|was| was + now.since(self.at)).filter(|age| *age <= AGE_MAX);
        age.map_or(AGE_UNKNOWN, |age| u32::try_from(age.as_micros()).unwrap_or(AGE_UNKNOWN))
    }

    /// As it was told.
    pub(crate) fn from_wire(age: u32) -> Option<Duration> {
        Some(Duration::from_micros(u64::from(age))).filter(|age| *age <= AGE_MAX)
    }
}

/// How widely things must be told.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Need {
    /// Other members that are live.
    pub(crate) live: usize,
    /// How many times as often as in ordinary weather, because of what gets lost.
    pub(crate) factor: f64,
}

pub(crate) struct Spread {
    members: Queue<NodeKey, MemberUpdate>,
    /// By subject and accuser.
    accusations: Queue<(NodeKey, NodeKey), Accusation>,
    catalog: Queue<About, Payload>,
    user_events: Queue<UserEventId, (Arc<UserEvent>, Age)>,
    config: Config,
    cluster: ClusterHash,
    rng: SmallRng,
    /// Bytes that may be sent now; refilled at `gossip_bytes_per_s_max`.
    tokens: f64,
    refilled_at: Instant,
    flush_at: Instant,
    /// Datagrams about members alone that may be sent now, and when that was so.
    member_tokens: f64,
    member_tokens_at: Instant,
    /// A moment at which gossip ticks, if it does.
    phase: Instant,
}

impl Spread {
    pub(crate) fn new(config: Config, cluster: ClusterHash, seed: u64, now: Instant) -> Self {
        let mut rng = SmallRng::seed_from_u64(seed);
        let phase = config.gossip_tick().map_or(Duration::ZERO, |tick| tick.mul_f64(rng.random::<f64>()));
        Self {
            members: Queue::new(config.max_rumours.min(config.max_members)),
            accusations: Queue::new(config.max_rumours.min(config.max_members)),
            catalog: Queue::new(config.max_rumours),
            user_events: Queue::new(USER_EVENTS_MAX.min(config.max_rumours)),
            tokens: config.gossip_bytes_per_s_max as f64,
            config,
            cluster,
            rng,
            refilled_at: now,
            flush_at: now,
            member_tokens: MEMBER_BURST,
            member_tokens_at: now,
            phase: now + phase,
        }
    }

    // ---- getters

    pub(crate) fn waiting(&self) -> usize {
        self.members.len() + self.accusations.len() + self.catalog.len() + self.user_events.len()
    }

    pub(crate) fn queued(&self) -> u64 {
        self.members.queued + self.accusations.queued + self.catalog.queued + self.user_events.queued
    }

    pub(crate) fn sent(&self) -> u64 {
        self.members.sent + self.accusations.sent + self.catalog.sent + self.user_events.sent
    }

    pub(crate) fn shed(&self) -> u64 {
        self.members.shed + self.accusations.shed + self.catalog.shed + self.user_events.shed
    }

    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        let members = [self.members.next_due(), self.accusations.next_due()].into_iter().flatten().min();
        let members = members.map(|due| due.max(self.members_may_at()));
        let due =
            [members, self.catalog.next_due(), self.user_events.next_due()].into_iter().flatten().min()?;
        let at = due.max(self.flush_at);
        Some(self.config.gossip_tick().map_or(at, |tick| self.tick_after(at, tick)))
    }

    /// When an eager round about members alone may be made.
    fn members_may_at(&self) -> Instant {
        let lacking = self.config.gossip_fanout as f64 - self.member_tokens;
        if self.config.gossip_tick().is_some() || lacking <= 0.0 {
            return self.member_tokens_at;
        }
        self.member_tokens_at + Duration::from_secs_f64(lacking / MEMBER_DATAGRAMS_PER_S)
    }

    fn spend_on_members(&mut self, datagrams: usize, now: Instant) {
        let gained = now.since(self.member_tokens_at).as_secs_f64() * MEMBER_DATAGRAMS_PER_S;
        let spent = u32::try_from(datagrams).unwrap_or(u32::MAX);
        self.member_tokens = (self.member_tokens + gained).min(MEMBER_BURST) - f64::from(spent);
        self.member_tokens_at = now;
    }

    /// The first tick at `at` or later.
    fn tick_after(&self, at: Instant, tick: Duration) -> Instant {
        let ticks = at.since(self.phase).as_nanos().div_ceil(tick.as_nanos());
        self.phase + tick * u32::try_from(ticks).unwrap_or(u32::MAX)
    }

    // ---- news

    pub(crate) fn member(&mut self, u: MemberUpdate, from: Option<NodeKey>, now: Instant) {
        let bytes = codec::encode(&u).len();
        self.members.push(u.key, u, bytes, from, now);
    }

    pub(crate) fn accusation(&mut self, a: Accusation, from: Option<NodeKey>, now: Instant) {
        let bytes = codec::encode(&Charge::group(&[a])).len();
        self.accusations.push((a.subject, a.accuser), a, bytes, from, now);
    }

    /// The suspicion of `subject` is over.
    pub(crate) fn absolve(&mut self, subject: NodeKey, accusers: &[NodeKey]) {
        for accuser in accusers {
            self.accusations.remove(&(subject, *accuser));
        }
    }

    pub(crate) fn head(&mut self, head: Head, from: Option<NodeKey>, now: Instant) {
        let bytes = codec::encode(&head).len();
        self.catalog.push(About::Head(head.owner), Payload::Head(head), bytes, from, now);
    }

    pub(crate) fn record(
        &mut self,
        record: Record,
        key: EntryKey,
        age: Age,
        from: Option<NodeKey>,
        now: Instant,
    ) {
        let large = match &record.item.body {
            Body::Bytes(b) => b.len() > RECORD_BYTES_EAGER_MAX,
            Body::Large(_) => true,
            Body::Deleted => false,
        };
        let bytes = if large { 0 } else { codec::encode(&record).len() + AGE_BYTES };
        if large || bytes > RECORD_BYTES_EAGER_MAX + 100 {
            self.head(record.head, from, now);
            return;
        }
        let about = About::Entry(record.head.owner, key);
        self.catalog.push(about, Payload::Record(Box::new(record), age), bytes, from, now);
    }

    pub(crate) fn user_event(
        &mut self,
        event: Arc<UserEvent>,
        age: Age,
        from: Option<NodeKey>,
        now: Instant,
    ) {
        let bytes = codec::encode(&*event).len() + AGE_BYTES + FRAME_OVERHEAD_BYTES;
        self.user_events.push(event.id, (event, age), bytes, from, now);
    }

    pub(crate) fn forget_all(&mut self) {
        self.members.clear();
        self.accusations.clear();
        self.catalog.clear();
        self.user_events.clear();
    }

    // ---- sending

    /// Fills the spare room of a datagram to `to`.
    pub(crate) fn fill(&mut self, datagram: &mut DatagramBuilder, to: NodeKey, need: Need, now: Instant) {
        let budget = self.budget(need);
        let share = datagram.room() / 2;
        let accusations = self.accusations.fitting((share / 2).saturating_sub(LIST_BYTES), to);
        let taken = self.push_accusations(datagram, &accusations);
        for key in &accusations {
            self.accusations.sent(key, 1, self.accusation_budget(budget));
        }
        let members = self.members.fitting((share - taken).saturating_sub(LIST_BYTES), to);
        self.push_members(datagram, &members);
        for key in &members {
            self.members.sent(key, 1, budget);
        }
        let entries = self.catalog.fitting(datagram.room().saturating_sub(4 * LIST_BYTES), to);
        self.push_catalog(datagram, &entries, now);
        let budget = if self.is_storm() { budget.min(STORM_SENDS) } else { budget };
        for key in &entries {
            self.catalog.sent(key, 1, budget);
        }
        let user_events = self.user_events.fitting(datagram.room(), to);
        self.push_user_events(datagram, &user_events, now);
        for key in &user_events {
            self.user_events.sent(key, 1, budget);
        }
    }

    fn push_members(&self, datagram: &mut DatagramBuilder, keys: &[NodeKey]) {
        let list: Vec<MemberUpdate> = keys.iter().filter_map(|k| self.members.value(k)).copied().collect();
        if !list.is_empty() {
            let fits = datagram.push(&Frame::Members(list));
            debug_assert!(fits, "rumours are chosen by their encoded size");
        }
    }

    /// How often an accusation is sent, where other rumours are sent `budget` times.
    fn accusation_budget(&self, budget: u32) -> u32 {
        if self.config.is_complete() { budget / ACCUSATION_BUDGET_SHARE } else { budget }
    }

    /// Adds these; says how many bytes they took.
    fn push_accusations(&self, datagram: &mut DatagramBuilder, keys: &[(NodeKey, NodeKey)]) -> usize {
        let list: Vec<Accusation> = keys.iter().filter_map(|k| self.accusations.value(k)).copied().collect();
        let room = datagram.room();
        if !list.is_empty() {
            let fits = datagram.push(&Frame::Accusations(Charge::group(&list)));
            debug_assert!(fits, "rumours are chosen by their encoded size");
        }
        room - datagram.room()
    }

    fn push_catalog(&self, datagram: &mut DatagramBuilder, keys: &[About], now: Instant) {
        let mut heads = Vec::new();
        let (mut records, mut ages) = (Vec::new(), Vec::new());
        for payload in keys.iter().filter_map(|k| self.catalog.value(k)) {
            match payload {
                Payload::Head(head) => heads.push(*head),
                Payload::Record(record, age) => {
                    records.push(Record::clone(record));
                    ages.push(age.to_wire(now));
                }
            }
        }
        if !heads.is_empty() {
            let fits = datagram.push(&Frame::Heads(heads));
            debug_assert!(fits, "rumours are chosen by their encoded size");
        }
        if !records.is_empty() {
            let fits = datagram.push(&Frame::Records(records)) && datagram.push(&Frame::Ages(ages));
            debug_assert!(fits, "rumours are chosen by their encoded size");
        }
    }

    /// A frame for each: a later version may say more of one.
    fn push_user_events(&self, datagram: &mut DatagramBuilder, keys: &[UserEventId], now: Instant) {
        for (event, age) in keys.iter().filter_map(|k| self.user_events.value(k)) {
            let fits = datagram.push(&Frame::UserEvent(UserEvent::clone(event), age.to_wire(now)));
            debug_assert!(fits, "rumours are chosen by their encoded size");
        }
    }

    /// The eager rounds that are due.
    pub(crate) fn flush(&mut self, peers: &Peers, need: Need, now: Instant, out: &mut impl FnMut(Outgoing)) {
        if self.next_deadline().is_none_or(|at| at > now) {
            return;
        }
        if peers.live().is_empty() {
            // Whoever comes pulls everything.
            self.forget_all();
            return;
        }
        self.refill(now);
        if self.tokens <= 0.0 {
            let wait = -self.tokens / self.config.gossip_bytes_per_s_max as f64;
            self.flush_at = now + Duration::from_secs_f64(wait) + FLUSH_GAP;
            return;
        }
        self.flush_at = now + FLUSH_GAP;
        let budget = self.budget(need);
        let tick = self.config.gossip_tick();
        let targets = self.targets(peers, need);
        let storm = self.is_storm();
        let members = self.members.due(now, DUE_MAX);
        let accusations = self.accusations.due(now, DUE_MAX);
        let entries =
            if storm { self.catalog.due_least_sent(now, DUE_MAX) } else { self.catalog.due(now, DUE_MAX) };
        let user_events = self.user_events.due(now, DUE_MAX);
        let (mut members, mut accusations, mut entries) =
            (members.as_slice(), accusations.as_slice(), entries.as_slice());
        let mut user_events = user_events.as_slice();
        while self.tokens > 0.0
            && !(members.is_empty() && accusations.is_empty() && entries.is_empty() && user_events.is_empty())
        {
            let mut sample = DatagramBuilder::new(self.cluster, self.config.plain_bytes_max());
            // Membership first, but when both wait each gets half.
            let share = if entries.is_empty() { sample.room() } else { sample.room() / 2 };
            let some_accusations =
                take(&self.accusations, &mut accusations, (share / 2).saturating_sub(LIST_BYTES));
            let taken = self.push_accusations(&mut sample, &some_accusations);
            let some_members = take(&self.members, &mut members, (share - taken).saturating_sub(LIST_BYTES));
            self.push_members(&mut sample, &some_members);
            let room = sample.room().saturating_sub(4 * LIST_BYTES);
            let some_entries = take(&self.catalog, &mut entries, room);
            self.push_catalog(&mut sample, &some_entries, now);
            // What nobody repairs comes last: it must not hold up what everybody relies on.
            let some_user_events = take(&self.user_events, &mut user_events, sample.room());
            self.push_user_events(&mut sample, &some_user_events, now);
            if sample.is_empty() {
                break;
            }
            let bytes = sample.finish();
            if some_entries.is_empty() && some_user_events.is_empty() {
                self.spend_on_members(targets.len(), now);
            }
            // What tells of members goes to as many as ever.
            let alone = some_accusations.is_empty() && some_members.is_empty();
            let targets = if storm && alone { &targets[..1] } else { targets.as_slice() };
            for (_, addr) in targets {
                self.tokens -= bytes.len() as f64;
                out(Outgoing { to: *addr, bytes: bytes.clone() });
            }
            let times = u32::try_from(targets.len()).unwrap_or(u32::MAX);
            for key in &some_members {
                self.members.next_round(key, now, tick);
                self.members.sent(key, times, budget);
            }
            for key in &some_accusations {
                self.accusations.next_round(key, now, tick);
                self.accusations.sent(key, times, self.accusation_budget(budget));
            }
            for key in &some_entries {
                self.catalog.next_round(key, now, tick);
                self.catalog.sent(key, times, if storm { budget.min(STORM_SENDS) } else { budget });
            }
            for key in &some_user_events {
                self.user_events.next_round(key, now, tick);
                self.user_events.sent(key, times, budget);
            }
        }
    }

    /// Whether more waits than can be sent soon.
    fn is_storm(&self) -> bool {
        let soon = self.config.gossip_bytes_per_s_max as f64 * STORM_AFTER.as_secs_f64();
        self.config.is_complete() && self.catalog.bytes() as f64 > soon
    }

    /// How often each agent sends a rumour.
    fn budget(&self, need: Need) -> u32 {
        (f64::from(self.config.transmissions(need.live + 1)) * need.factor).ceil() as u32
    }

    fn targets(&mut self, peers: &Peers, need: Need) -> Vec<(NodeKey, std::net::SocketAddr)> {
        let live = peers.live();
        let wanted = (self.config.gossip_fanout as f64 * need.factor).ceil() as usize;
        let wanted = wanted.min(live.len());
        rand::seq::index::sample(&mut self.rng, live.len(), wanted)
            .into_iter()
            .filter_map(|at| {
                let key = *live.get(at)?;
                peers.get(key).map(|p| (key, p.addr))
            })
            .collect()
    }

    fn refill(&mut self, now: Instant) {
        let rate = self.config.gossip_bytes_per_s_max as f64;
        let gained = now.since(self.refilled_at).as_secs_f64() * rate;
        self.tokens = (self.tokens + gained).min(rate);
        self.refilled_at = now;
    }
}

/// The first of `due` that fit into `room` bytes together; they are not due any more.
fn take<K: Ord + Clone, V: Clone>(queue: &Queue<K, V>, due: &mut &[K], mut room: usize) -> Vec<K> {
    let mut taken = Vec::new();
    while let Some((key, rest)) = due.split_first() {
        let bytes = queue.bytes_of(key).unwrap_or(0);
        if bytes > room {
            break;
        }
        room -= bytes;
        taken.push(key.clone());
        *due = rest;
    }
    taken
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::config::Settings;
    use crate::model::Generation;
    use crate::wire::datagram::open;
    use crate::wire::frame::{Epoch, Liveness};

    const TO: NodeKey = NodeKey(7);

    fn spread(settings: Settings) -> Spread {
        let config = Config::new(settings).expect("valid");
        Spread::new(config, ClusterHash::of("test"), 1, Instant::START)
    }

    fn accusation(subject: u64, accuser: u64) -> Accusation {
        let (subject, accuser) = (NodeKey(subject), NodeKey(accuser));
        Accusation { subject, epoch: Epoch::first_of(Generation(1)), incarnation: 0, accuser, refused: false }
    }

    fn filled(s: &mut Spread) -> Vec<Frame> {
        let mut datagram = DatagramBuilder::new(ClusterHash::of("test"), 1_400);
        s.fill(&mut datagram, TO, Need { live: 10, factor: 1.0 }, Instant::START);
        let bytes = datagram.finish();
        let frames = open(&bytes, ClusterHash::of("test"), 1_400).expect("opens");
        frames.map(|f| f.expect("decodes")).collect()
    }

    #[test]
    fn each_accuser_travels_until_the_suspicion_is_over() {
        let mut s = spread(Settings::lan());
        s.accusation(accusation(1, 2), None, Instant::START);
        s.accusation(accusation(1, 3), None, Instant::START);
        s.accusation(accusation(4, 3), None, Instant::START);
        s.accusation(accusation(4, 5), Some(TO), Instant::START);
        let list = [accusation(4, 3), accusation(1, 3), accusation(1, 2)];
        assert_eq!(filled(&mut s), [Frame::Accusations(Charge::group(&list))], "who told it is not told it");
        s.absolve(NodeKey(1), &[NodeKey(2), NodeKey(3), NodeKey(9)]);
        assert_eq!(filled(&mut s), [Frame::Accusations(Charge::group(&[accusation(4, 3)]))]);
        assert_eq!(s.waiting(), 2);
    }

    #[test]
    fn a_storm_of_accusations_leaves_room_for_members_and_is_bounded() {
        let mut s = spread(Settings { max_rumours: 100, ..Settings::lan() });
        for accuser in 0..1_000 {
            s.accusation(accusation(1, accuser), None, Instant::START);
        }
        assert_eq!((s.waiting(), s.shed()), (100, 900));
        let addr = std::net::SocketAddr::from(([10, 0, 0, 1], 1));
        let (epoch, state) = (Epoch::first_of(Generation(1)), Liveness::Alive);
        let update = MemberUpdate { key: NodeKey(1), epoch, incarnation: 1, state, addr };
        s.member(update, None, Instant::START);
        let frames = filled(&mut s);
        assert!(
            matches!(&frames[..], [Frame::Accusations(_), Frame::Members(m)] if *m == [update]),
            "{frames:?}"
        );
    }
}
