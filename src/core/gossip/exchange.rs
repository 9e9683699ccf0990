//! A repair with one peer, from the asking side: which buckets differ, which parts and rows of them,
//! and then just what is missing. Pull-driven, windowed, and every question may be lost and repeated.

use crate::core::digest::Tree;
use crate::model::{Generation, Instant, NodeKey, Version};
use crate::wire::frame::{Ask, Body, Digest, Item, Page, Want};
use bytes::Bytes;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

/// Questions under way at once.
const WINDOW: usize = 8;
/// Owners asked for in one question.
const WANTS_PER_ASK: usize = 6;
/// An exchange in which nothing was answered for this long is given up.
const SILENCE_MAX: Duration = Duration::from_secs(4);
/// The same for one that helps another: somebody else takes over.
const HELPER_SILENCE_MAX: Duration = Duration::from_secs(1);
/// A list of so many owners is shared out among several peers, each of which sends at its own pace.
const SHARED_MIN: usize = 64;
/// Wait for an answer before the first one has come; later waits follow the round-trip time.
const FIRST_TIMEOUT: Duration = Duration::from_millis(200);
/// Bounds of the wait for an answer.
const TIMEOUT_MIN: Duration = Duration::from_millis(10);
const TIMEOUT_MAX: Duration = Duration::from_secs(1);
/// A bucket that has so few rows here is asked for as a whole.
const ROWS_AT_ONCE: usize = 24;
/// And so is one of which more parts differ.
const PARTS_MAX: usize = 16;
/// Owners that one exchange may have on its list.
const WANTS_MAX: usize = 1 << 20;

#[derive(Debug, Clone)]
enum Task {
    Buckets,
    Parts { bucket: u8 },
    Rows { bucket: u8, part: Option<u8>, after: Option<NodeKey> },
    Range { after: Option<NodeKey>, until: NodeKey },
    Records(Vec<Wanted>),
    Chunk(Fetch),
}

/// What is missing of an owner's table, and how far that goes: a table that has come so far by another way
/// need not be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) want: Want,
    pub(crate) upto: (Generation, Version),
}

impl Wanted {
    /// From the start: what pages of it listed before is gone with the exchange that asked for them.
    const fn anew(self) -> Self {
        Self { want: Want { cursor: None, ..self.want }, ..self }
    }
}

/// A large body that is being fetched.
#[derive(Debug, Clone)]
struct Fetch {
    owner: NodeKey,
    generation: Generation,
    item: Item,
    total: u32,
    got: Vec<u8>,
}

#[derive(Debug)]
struct Flight {
    task: Task,
    sent_at: Instant,
    due: Instant,
    tries: u32,
}

/// What became of an owner's table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Progress {
    /// Take in this page.
    Page(Page),
    /// Take in this entry, fetched in chunks.
    Item(NodeKey, Generation, Item),
    /// All pages of an owner's table have been taken in, or all up to a version.
    Complete(Pulled),
}

/// A pull of one owner's table, or what its first pages settle already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pulled {
    pub(crate) owner: NodeKey,
    pub(crate) generation: Generation,
    /// The peer accounts for every write up to here.
    pub(crate) complete_to: Version,
    /// Of the writes after this one ...
    pub(crate) from: Version,
    /// ... only these still stand, oldest first.
    pub(crate) standing: Vec<Version>,
    /// All of the table has come.
    pub(crate) whole: bool,
}

/// A pull under way.
#[derive(Debug, Default)]
struct Pull {
    from: Version,
    standing: Vec<Version>,
    /// The prefix that was reported as settled.
    settled: Version,
    /// Large bodies that are still being fetched.
    fetching: usize,
    /// What the peer accounted for, at the least, while it was paging: its table may have moved on
    /// between two pages, past something that the first one could not list yet.
    complete_to: Option<Version>,
    /// The last page has come.
    ended: bool,
}

#[derive(Debug)]
pub(crate) struct Exchange {
    pub(crate) peer: SocketAddr,
    /// This exchange is this node's way into the cluster.
    pub(crate) joining: bool,
    /// It compares everything, and is not only after single owners.
    pub(crate) full: bool,
    /// Something was learnt.
    pub(crate) useful: bool,
    /// The peer knows something else than is known here, or did.
    pub(crate) differs: bool,
    /// It helps another exchange, whose list was too long for one peer.
    pub(crate) helps: bool,
    /// Its own list was shared out.
    shared: bool,
    tasks: VecDeque<Task>,
    wants: VecDeque<Wanted>,
    flights: BTreeMap<u32, Flight>,
    /// Owners on the list or under way: each is pulled once at a time.
    pulling: BTreeMap<NodeKey, Pull>,
    next_id: u32,
    /// Smoothed time from question to answer.
    round_trip: Option<Duration>,
    heard_at: Option<Instant>,
    /// When the peer last wanted to be shown that this node receives.
    refused_at: Option<Instant>,
    failed: bool,
}

impl Exchange {
    fn new(peer: SocketAddr, first_id: u32) -> Self {
        Self {
            peer,
            joining: false,
            full: false,
            useful: false,
            differs: false,
            helps: false,
            shared: false,
            tasks: VecDeque::new(),
            wants: VecDeque::new(),
            flights: BTreeMap::new(),
            pulling: BTreeMap::new(),
            next_id: first_id,
            round_trip: None,
            heard_at: None,
            refused_at: None,
            failed: false,
        }
    }

    /// For whatever differs between two tables.
    pub(crate) fn repair(peer: SocketAddr, first_id: u32, joining: bool) -> Self {
        let mut x = Self::new(peer, first_id);
        x.make_full(joining);
        x
    }

    /// For all of the peer's table: there is nothing here to compare it with.
    pub(crate) fn everything(peer: SocketAddr, first_id: u32, joining: bool) -> Self {
        let mut x = Self::new(peer, first_id);
        (x.joining, x.full) = (joining, true);
        x.tasks.push_back(Task::Range { after: None, until: NodeKey(u64::MAX) });
        x
    }

    /// Also compares everything, if it does not yet.
    pub(crate) fn make_full(&mut self, joining: bool) {
        self.joining |= joining;
        if !self.full {
            self.full = true;
            self.tasks.push_back(Task::Buckets);
        }
    }

    /// For single owners of whom news is missing.
    pub(crate) fn targeted(peer: SocketAddr, first_id: u32) -> Self {
        Self::new(peer, first_id)
    }

    /// Also pull this owner's table.
    pub(crate) fn want(&mut self, wanted: Wanted) {
        if self.wants.len() < WANTS_MAX
            && let Entry::Vacant(slot) = self.pulling.entry(wanted.want.owner)
        {
            slot.insert(Pull::default());
            self.wants.push_back(wanted);
        }
    }

    /// Is its list known in full, long, and not shared out yet?
    pub(crate) fn may_share(&self, waiting: usize) -> bool {
        let compares = |task: &Task| !matches!(task, Task::Records(_) | Task::Chunk(_));
        let comparing = self.tasks.iter().chain(self.flights.values().map(|f| &f.task)).any(compares);
        let long = waiting >= SHARED_MIN && self.wants.len() >= SHARED_MIN / 2;
        self.full && !self.shared && !comparing && long
    }

    /// Owners that are still to be asked for, here.
    pub(crate) fn waiting(&self) -> usize {
        self.wants.len()
    }

    /// Gives away all but one in `among` of the owners on its list, in as many lists. Whoever's pages have
    /// begun to come stays: what they listed is known here only.
    pub(crate) fn share_out(&mut self, among: usize) -> Vec<Vec<Wanted>> {
        self.shared = true;
        let mut lists = vec![Vec::new(); among.saturating_sub(1)];
        for (n, wanted) in std::mem::take(&mut self.wants).into_iter().enumerate() {
            match lists.get_mut((n % among.max(1)).wrapping_sub(1)) {
                Some(list) if wanted.want.cursor.is_none() => {
                    self.pulling.remove(&wanted.want.owner);
                    list.push(wanted);
                }
                Some(_) | None => self.wants.push_back(wanted),
            }
        }
        lists
    }

    pub(crate) fn is_pulling(&self, owner: NodeKey) -> bool {
        self.pulling.contains_key(&owner)
    }

    /// Owners that were not pulled when it ended.
    pub(crate) fn leftovers(&self) -> Vec<Wanted> {
        let asked = self.flights.values().filter_map(|f| match &f.task {
            Task::Records(wants) => Some(wants),
            Task::Buckets | Task::Parts { .. } | Task::Rows { .. } | Task::Range { .. } | Task::Chunk(_) => {
                None
            }
        });
        let all = self.wants.iter().chain(asked.flatten());
        all.map(|wanted| wanted.anew()).collect()
    }

    pub(crate) fn is_done(&self) -> bool {
        self.failed || (self.tasks.is_empty() && self.wants.is_empty() && self.flights.is_empty())
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.failed
    }

    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.flights.values().map(|f| f.due).min()
    }

    /// Lost time counts for nobody.
    pub(crate) fn postpone(&mut self, by: Duration, now: Instant) {
        let wait = self.wait();
        for f in self.flights.values_mut() {
            // None waits longer than one that is asked now.
            f.due = (f.due + by).min(f.due.max(now + wait));
        }
    }

    /// Questions to send now: those that went unanswered, then new ones while the window is open. What
    /// `has_come` by another way meanwhile is not asked for, nor again.
    pub(crate) fn questions(&mut self, now: Instant, has_come: impl Fn(&Wanted) -> bool) -> Vec<(u32, Ask)> {
        let mut out = Vec::new();
        let heard_at = *self.heard_at.get_or_insert(now);
        let silence_max = if self.helps { HELPER_SILENCE_MAX } else { SILENCE_MAX };
        let wait = self.wait();
        self.give_up_what_has_come(now, &has_come);
        for (id, f) in &mut self.flights {
            if f.due > now {
                continue;
            }
            if now.since(heard_at) >= silence_max {
                self.failed = true;
                return Vec::new();
            }
            f.due = now + (wait * (1 << f.tries.min(5))).min(TIMEOUT_MAX);
            f.tries += 1;
            out.push((*id, ask(&f.task)));
        }
        while self.flights.len() < WINDOW {
            let task = match self.tasks.pop_front() {
                Some(task) => task,
                None => match self.next_wants(&has_come) {
                    wants if wants.is_empty() => break,
                    wants => Task::Records(wants),
                },
            };
            let id = self.next_id;
            self.next_id = self.next_id.wrapping_add(1);
            out.push((id, ask(&task)));
            self.flights.insert(id, Flight { task, sent_at: now, due: now + wait, tries: 1 });
        }
        out
    }

    /// The next wants for one question.
    fn next_wants(&mut self, has_come: &impl Fn(&Wanted) -> bool) -> Vec<Wanted> {
        let mut next = Vec::new();
        while next.len() < WANTS_PER_ASK
            && let Some(wanted) = self.wants.pop_front()
        {
            if has_come(&wanted) {
                self.pulling.remove(&wanted.want.owner);
            } else {
                next.push(wanted);
            }
        }
        next
    }

    /// Questions that would be repeated now, and are answered in full by what came meanwhile, are over.
    fn give_up_what_has_come(&mut self, now: Instant, has_come: &impl Fn(&Wanted) -> bool) {
        let pulling = &mut self.pulling;
        self.flights.retain(|_, f| match &f.task {
            Task::Records(wants) if f.due <= now && wants.iter().all(has_come) => {
                wants.iter().for_each(|wanted| {
                    pulling.remove(&wanted.want.owner);
                });
                false
            }
            _ => true,
        });
    }

    /// How long an answer may take: a few round trips, since the peer answers at once.
    fn wait(&self) -> Duration {
        self.round_trip.map_or(FIRST_TIMEOUT, |rtt| (rtt * 4).clamp(TIMEOUT_MIN, TIMEOUT_MAX))
    }

    /// What is under way was refused until this node had shown that it receives: it is asked again.
    /// Of several questions each is refused, and one proof is good for all.
    pub(crate) fn ask_again(&mut self, now: Instant) {
        if self.refused_at.is_some_and(|at| now.since(at) < FIRST_TIMEOUT) {
            return;
        }
        self.refused_at = Some(now);
        for f in self.flights.values_mut() {
            f.due = now;
        }
    }

    /// Notes that question `id` was answered.
    pub(crate) fn on_answer(&mut self, id: u32, now: Instant) {
        self.heard_at = Some(now);
        let Some(f) = self.flights.get(&id).filter(|f| f.tries == 1) else { return };
        let sample = now.since(f.sent_at);
        self.round_trip = Some(self.round_trip.map_or(sample, |rtt| (rtt * 7 + sample) / 8));
    }

    /// Whether an answer came, or the first question was asked, after `then`.
    pub(crate) fn was_answered_after(&self, then: Instant) -> bool {
        self.heard_at.is_some_and(|at| at > then)
    }

    /// Whether question `id` is under way here.
    pub(crate) fn asked(&self, id: u32) -> bool {
        self.flights.contains_key(&id)
    }

    /// The digests of the peer's buckets, or of the parts of one.
    pub(crate) fn on_digests(&mut self, id: u32, theirs: &[Digest], tree: &Tree) {
        let bucket = match self.flights.get(&id).map(|f| &f.task) {
            Some(Task::Buckets) => None,
            Some(Task::Parts { bucket }) => Some(*bucket),
            Some(Task::Rows { .. } | Task::Range { .. } | Task::Records(_) | Task::Chunk(_)) | None => return,
        };
        self.flights.remove(&id);
        let ours = bucket.map_or_else(|| tree.buckets(), |bucket| tree.parts(bucket).to_vec());
        let pairs = (0u8..).zip(ours.iter().zip(theirs));
        let differing: Vec<u8> = pairs.filter(|(_, (a, b))| a != b).map(|(at, _)| at).collect();
        self.differs |= !differing.is_empty();
        match bucket {
            None => {
                for bucket in differing {
                    let many = tree.keys(bucket, None, None).take(ROWS_AT_ONCE + 1).count() > ROWS_AT_ONCE;
                    let rows = Task::Rows { bucket, part: None, after: None };
                    self.tasks.push_back(if many { Task::Parts { bucket } } else { rows });
                }
            }
            Some(bucket) if differing.len() > PARTS_MAX => {
                self.tasks.push_back(Task::Rows { bucket, part: None, after: None });
            }
            Some(bucket) => {
                let rows = |part: u8| Task::Rows { bucket, part: Some(part), after: None };
                self.tasks.extend(differing.into_iter().map(rows));
            }
        }
    }

    /// Rows of one bucket, or of a range; the caller judges them and comes back with [`Self::want`].
    pub(crate) fn on_rows(&mut self, id: u32, last: Option<NodeKey>, more: bool) -> bool {
        let Some(flight) = self.flights.get(&id) else { return false };
        // More rows without a later key would ask the same question for ever.
        match flight.task {
            Task::Rows { bucket, part, after } => {
                if more && last > after {
                    self.tasks.push_front(Task::Rows { bucket, part, after: last });
                }
            }
            Task::Range { after, until } => {
                if more
                    && last > after
                    && let Some(last) = last.filter(|last| *last < until)
                {
                    self.go_on(after, last, until);
                }
            }
            Task::Buckets | Task::Parts { .. } | Task::Records(_) | Task::Chunk(_) => return false,
        }
        self.flights.remove(&id);
        true
    }

    /// Asks for the rows between `last` and `until`, after those up to `last` came in one page. Keys are
    /// hashes and so spread evenly: as many pages as seem to be missing are asked for together.
    fn go_on(&mut self, after: Option<NodeKey>, last: NodeKey, until: NodeKey) {
        let come = last.0 - after.map_or(0, |key| key.0);
        let left = until.0.saturating_sub(last.0);
        let room = WINDOW.saturating_sub(self.tasks.len()) as u64;
        let parts = (left / come.max(1)).saturating_add(1).min(room.max(1));
        let mut after = last;
        for part in 1..=parts {
            let end = if part == parts { until } else { NodeKey(last.0 + left / parts * part) };
            self.tasks.push_back(Task::Range { after: Some(after), until: end });
            after = end;
        }
    }

    /// Pages for the first of the wants that were asked for.
    pub(crate) fn on_records(&mut self, id: u32, pages: Vec<Page>) -> Vec<Progress> {
        let Some(Task::Records(wants)) = self.flights.get(&id).map(|f| &f.task) else { return Vec::new() };
        let wants = wants.clone();
        self.flights.remove(&id);
        let served = pages.len().min(wants.len());
        for wanted in wants[served..].iter().rev() {
            // A peer that serves nothing at all has nothing for us.
            if served > 0 {
                self.wants.push_front(*wanted);
            } else {
                self.pulling.remove(&wanted.want.owner);
            }
        }
        let mut progress = Vec::new();
        for (wanted, page) in wants.into_iter().zip(pages) {
            if page.owner == wanted.want.owner {
                self.on_page(wanted, page, &mut progress);
            } else {
                self.pulling.remove(&wanted.want.owner);
            }
        }
        progress
    }

    fn on_page(&mut self, wanted: Wanted, page: Page, progress: &mut Vec<Progress>) {
        let Wanted { want, upto } = wanted;
        let owner = want.owner;
        if page.generation == Generation(0) {
            self.pulling.remove(&owner);
            return;
        }
        let Some(pull) = self.pulling.get_mut(&owner) else { return };
        if page.generation != want.generation && want.cursor.is_some() {
            // Another run began between two pages: start over with it.
            *pull = Pull::default();
            let want = Want { generation: page.generation, have: Version(0), cursor: None, ..want };
            self.wants.push_front(Wanted { want, upto });
            return;
        }
        let have = if page.generation == want.generation { want.have } else { Version(0) };
        if want.cursor.is_none() {
            pull.from = page.from;
            pull.settled = page.from;
        }
        let mut at = page.from.0;
        for gap in &page.survivors {
            at = at.saturating_add(*gap);
            pull.standing.push(Version(at));
        }
        pull.standing.extend(page.items.iter().map(|i| i.version));
        let sure = pull.complete_to.map_or(page.complete_to, |v| v.min(page.complete_to));
        pull.complete_to = Some(sure);
        for item in &page.items {
            if let Body::Large(total) = item.body {
                pull.fetching += 1;
                self.tasks.push_back(Task::Chunk(Fetch {
                    owner,
                    generation: page.generation,
                    item: item.clone(),
                    total,
                    got: Vec::new(),
                }));
            }
        }
        let (generation, next) = (page.generation, page.next);
        progress.push(Progress::Page(page));
        match next {
            // Pages must move on, or the peer is making fun of us.
            Some(next) if want.cursor.is_none_or(|c| next > c) => {
                // So that a pull that breaks off need not begin anew.
                let settled = sure.min(next);
                if pull.fetching == 0 && settled > pull.settled {
                    // All of it again at the end, when what was replaced has come as well.
                    let from = std::mem::replace(&mut pull.settled, settled);
                    let fresh = pull.standing.iter().rev().take_while(|v| **v > from);
                    let mut standing: Vec<Version> = fresh.filter(|v| **v <= settled).copied().collect();
                    standing.sort_unstable();
                    let upto =
                        Pulled { owner, generation, complete_to: settled, from, standing, whole: false };
                    progress.push(Progress::Complete(upto));
                }
                let want = Want { owner, generation, have, cursor: Some(next) };
                self.wants.push_front(Wanted { want, upto });
            }
            Some(_) => {
                self.pulling.remove(&owner);
            }
            None => {
                pull.ended = true;
                self.finish(owner, generation, progress);
            }
        }
    }

    fn finish(&mut self, owner: NodeKey, generation: Generation, progress: &mut Vec<Progress>) {
        let Entry::Occupied(pull) = self.pulling.entry(owner) else { return };
        if pull.get().fetching == 0 && pull.get().ended {
            let Pull { from, mut standing, complete_to, .. } = pull.remove();
            let complete_to = complete_to.unwrap_or_default();
            standing.sort_unstable();
            let all = Pulled { owner, generation, complete_to, from, standing, whole: true };
            progress.push(Progress::Complete(all));
        }
    }

    /// A piece of a large body. `max` is the largest body that is accepted.
    pub(crate) fn on_chunk(&mut self, id: u32, total: u32, bytes: &Bytes, max: usize) -> Vec<Progress> {
        let Some(Task::Chunk(fetch)) = self.flights.get(&id).map(|f| &f.task) else { return Vec::new() };
        let mut fetch = fetch.clone();
        self.flights.remove(&id);
        let sane = total == fetch.total && total as usize <= max && !bytes.is_empty();
        if !sane || fetch.got.len() + bytes.len() > total as usize {
            // It is gone or was replaced at the peer; whatever replaced it is pulled next time.
            self.pulling.remove(&fetch.owner);
            return Vec::new();
        }
        fetch.got.extend_from_slice(bytes);
        if fetch.got.len() < total as usize {
            self.tasks.push_front(Task::Chunk(fetch));
            return Vec::new();
        }
        let (owner, generation) = (fetch.owner, fetch.generation);
        let item = Item { body: Body::Bytes(Bytes::from(fetch.got)), ..fetch.item };
        let mut progress = vec![Progress::Item(owner, generation, item)];
        if let Some(pull) = self.pulling.get_mut(&owner) {
            pull.fetching = pull.fetching.saturating_sub(1);
            self.finish(owner, generation, &mut progress);
        }
        progress
    }
}

fn ask(task: &Task) -> Ask {
    match task {
        Task::Buckets => Ask::Buckets,
        Task::Parts { bucket } => Ask::Parts { bucket: *bucket },
        Task::Rows { bucket, part, after } => Ask::Rows { bucket: *bucket, part: *part, after: *after },
        Task::Range { after, until } => Ask::Range { after: *after, until: *until },
        Task::Records(wants) => Ask::Records(wants.iter().map(|wanted| wanted.want).collect()),
        Task::Chunk(f) => Ask::Chunk {
            owner: f.owner,
            generation: f.generation,
            version: f.item.version,
            offset: u32::try_from(f.got.len()).expect("a body is at most max_record_bytes"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn want(owner: u64, cursor: Option<u64>) -> Wanted {
        let cursor = cursor.map(Version);
        let want = Want { owner: NodeKey(owner), generation: Generation(1), have: Version(3), cursor };
        Wanted { want, upto: (Generation(1), Version(9)) }
    }

    #[test]
    fn what_has_come_by_another_way_is_neither_asked_for_nor_again() {
        let mut x = Exchange::targeted(SocketAddr::from(([10, 0, 0, 1], 1)), 1);
        (0..100).for_each(|owner| x.want(want(owner, None)));
        let owners = |asked: Vec<(u32, Ask)>| -> Vec<u64> {
            let wants = asked.into_iter().filter_map(|(_, ask)| match ask {
                Ask::Records(wants) => Some(wants),
                _ => None,
            });
            wants.flatten().map(|w| w.owner.0).collect()
        };
        let even = |w: &Wanted| w.want.owner.0.is_multiple_of(2);
        let asked = owners(x.questions(Instant::START, even));
        assert_eq!(asked, (0..96).map(|n| n + 1).step_by(2).collect::<Vec<_>>());
        assert!(!x.is_pulling(NodeKey(0)) && x.is_pulling(NodeKey(1)));
        // Nothing is answered; all but the table of 1 and those beside it in its question come by rumours.
        let later = Instant::START + FIRST_TIMEOUT;
        assert_eq!(owners(x.questions(later, |w| w.want.owner.0 != 1)), [1, 3, 5, 7, 9, 11]);
        assert_eq!(owners(x.questions(later + FIRST_TIMEOUT * 8, |_| true)), [0; 0]);
        assert!(x.is_done() && !x.has_failed());
    }

    /// Answers the questions of `x` from `keys`, so many a page: how many rounds it took, and what came.
    fn list(x: &mut Exchange, keys: &[u64], page: usize) -> (usize, Vec<u64>) {
        let (mut rounds, mut got) = (0, Vec::new());
        loop {
            let asked = x.questions(Instant::START, |_| false);
            if asked.is_empty() {
                got.sort_unstable();
                return (rounds, got);
            }
            rounds += 1;
            assert!(asked.len() <= WINDOW && x.tasks.len() <= 2 * WINDOW);
            for (id, ask) in asked {
                let Ask::Range { after, until } = ask else { panic!("{ask:?}") };
                let meant = |key: &&u64| after.is_none_or(|a| **key > a.0) && **key <= until.0;
                let rows: Vec<u64> = keys.iter().filter(meant).take(page).copied().collect();
                let more = keys.iter().filter(meant).count() > rows.len();
                assert!(x.on_rows(id, rows.last().map(|key| NodeKey(*key)), more));
                got.extend(rows);
            }
        }
    }

    #[test]
    fn who_knows_nothing_lists_all_rows_once_and_many_pages_at_a_time() {
        let peer = SocketAddr::from(([10, 0, 0, 1], 1));
        let key = |n: u64| n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        for (count, rounds_max) in [(0, 1), (1, 1), (28, 1), (50, 3), (1_000, 9), (10_000, 70)] {
            let mut keys: Vec<u64> = (0..count).map(key).collect();
            keys.sort_unstable();
            let (rounds, got) = list(&mut Exchange::everything(peer, 1, true), &keys, 28);
            assert!(got == keys && rounds <= rounds_max, "{count} rows took {rounds} rounds");
        }
        // Not spread evenly at all.
        let lumps: Vec<u64> = (0..500).chain((0..500).map(|n| u64::MAX - 499 + n)).collect();
        assert_eq!(list(&mut Exchange::everything(peer, 1, true), &lumps, 28).1, lumps);
    }

    #[test]
    fn a_peer_that_lists_forever_is_asked_for_no_more_at_once() {
        let mut x = Exchange::everything(SocketAddr::from(([10, 0, 0, 1], 1)), 1, true);
        for n in 0..10_000u64 {
            let Some((id, _)) = x.questions(Instant::START, |_| false).pop() else { break };
            x.on_rows(id, Some(NodeKey(n)), true);
            assert!(x.tasks.len() <= 2 * WINDOW && x.flights.len() <= WINDOW);
        }
        let (id, _) = Exchange::everything(x.peer, 1, true).questions(Instant::START, |_| false)[0];
        let mut fresh = Exchange::everything(x.peer, 1, true);
        fresh.questions(Instant::START, |_| false);
        assert!(fresh.on_rows(id, None, true) && fresh.is_done(), "more without a row is an end");
    }

    /// What the pages before the cursor listed is known to the exchange that asked for them, and whoever
    /// goes on without it takes those entries for deleted.
    #[test]
    fn a_table_whose_pages_have_begun_to_come_is_taken_over_from_the_start_and_not_shared_out() {
        let mut x = Exchange::repair(SocketAddr::from(([10, 0, 0, 1], 1)), 1, true);
        for owner in 0..100 {
            x.want(want(owner, (owner % 10 == 0).then_some(7)));
        }
        assert!(x.leftovers().iter().all(|w| w.want.cursor.is_none() && w.want.have == Version(3)));
        let lists = x.share_out(4);
        assert_eq!(lists.len(), 3);
        assert!(lists.iter().flatten().all(|w| w.want.cursor.is_none()));
        let given: usize = lists.iter().map(Vec::len).sum();
        assert_eq!((given + x.wants.len(), x.pulling.len()), (100, x.wants.len()));
        assert!((0..100).step_by(10).all(|owner| x.is_pulling(NodeKey(owner))));
    }
}
