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
    Records(Vec<Want>),
    Chunk(Fetch),
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
    /// It helps another exchange, whose list was too long for one peer.
    pub(crate) helps: bool,
    /// Its own list was shared out.
    shared: bool,
    tasks: VecDeque<Task>,
    wants: VecDeque<Want>,
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
    pub(crate) fn want(&mut self, want: Want) {
        if self.wants.len() < WANTS_MAX
            && let Entry::Vacant(slot) = self.pulling.entry(want.owner)
        {
            slot.insert(Pull::default());
            self.wants.push_back(want);
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
    pub(crate) fn share_out(&mut self, among: usize) -> Vec<Vec<Want>> {
        self.shared = true;
        let mut lists = vec![Vec::new(); among.saturating_sub(1)];
        for (n, want) in std::mem::take(&mut self.wants).into_iter().enumerate() {
            match lists.get_mut((n % among.max(1)).wrapping_sub(1)) {
                Some(list) if want.cursor.is_none() => {
                    self.pulling.remove(&want.owner);
                    list.push(want);
                }
                Some(_) | None => self.wants.push_back(want),
            }
        }
        lists
    }

    pub(crate) fn is_pulling(&self, owner: NodeKey) -> bool {
        self.pulling.contains_key(&owner)
    }

    /// Owners that were not pulled when it ended, to be pulled from the start: what pages of theirs
    /// listed before is gone with this exchange.
    pub(crate) fn leftovers(&self) -> Vec<Want> {
        let asked = self.flights.values().filter_map(|f| match &f.task {
            Task::Records(wants) => Some(wants),
            Task::Buckets | Task::Parts { .. } | Task::Rows { .. } | Task::Chunk(_) => None,
        });
        let all = self.wants.iter().chain(asked.flatten());
        all.map(|want| Want { cursor: None, ..*want }).collect()
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

    /// Questions to send now: those that went unanswered, then new ones while the window is open.
    pub(crate) fn questions(&mut self, now: Instant) -> Vec<(u32, Ask)> {
        let mut out = Vec::new();
        let heard_at = *self.heard_at.get_or_insert(now);
        let silence_max = if self.helps { HELPER_SILENCE_MAX } else { SILENCE_MAX };
        let wait = self.wait();
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
                None if self.wants.is_empty() => break,
                None => Task::Records(self.wants.drain(..self.wants.len().min(WANTS_PER_ASK)).collect()),
            };
            let id = self.next_id;
            self.next_id = self.next_id.wrapping_add(1);
            out.push((id, ask(&task)));
            self.flights.insert(id, Flight { task, sent_at: now, due: now + wait, tries: 1 });
        }
        out
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

    /// Whether question `id` is under way here.
    pub(crate) fn asked(&self, id: u32) -> bool {
        self.flights.contains_key(&id)
    }

    /// The digests of the peer's buckets, or of the parts of one.
    pub(crate) fn on_digests(&mut self, id: u32, theirs: &[Digest], tree: &Tree) {
        let bucket = match self.flights.get(&id).map(|f| &f.task) {
            Some(Task::Buckets) => None,
            Some(Task::Parts { bucket }) => Some(*bucket),
            Some(Task::Rows { .. } | Task::Records(_) | Task::Chunk(_)) | None => return,
        };
        self.flights.remove(&id);
        let ours = bucket.map_or_else(|| tree.buckets(), |bucket| tree.parts(bucket).to_vec());
        let pairs = (0u8..).zip(ours.iter().zip(theirs));
        let differing: Vec<u8> = pairs.filter(|(_, (a, b))| a != b).map(|(at, _)| at).collect();
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

    /// Rows of one bucket; the caller judges them and comes back with [`Self::want`].
    pub(crate) fn on_rows(&mut self, id: u32, last: Option<NodeKey>, more: bool) -> bool {
        let Some(Task::Rows { bucket, part, after }) = self.flights.get(&id).map(|f| &f.task) else {
            return false;
        };
        let (bucket, part, after) = (*bucket, *part, *after);
        self.flights.remove(&id);
        // More rows without a later key would ask the same question for ever.
        if more && last > after {
            self.tasks.push_front(Task::Rows { bucket, part, after: last });
        }
        true
    }

    /// Pages for the first of the wants that were asked for.
    pub(crate) fn on_records(&mut self, id: u32, pages: Vec<Page>) -> Vec<Progress> {
        let Some(Task::Records(wants)) = self.flights.get(&id).map(|f| &f.task) else { return Vec::new() };
        let wants = wants.clone();
        self.flights.remove(&id);
        let served = pages.len().min(wants.len());
        for want in wants[served..].iter().rev() {
            // A peer that serves nothing at all has nothing for us.
            if served > 0 {
                self.wants.push_front(*want);
            } else {
                self.pulling.remove(&want.owner);
            }
        }
        let mut progress = Vec::new();
        for (want, page) in wants.into_iter().zip(pages) {
            if page.owner == want.owner {
                self.on_page(want, page, &mut progress);
            } else {
                self.pulling.remove(&want.owner);
            }
        }
        progress
    }

    fn on_page(&mut self, want: Want, page: Page, progress: &mut Vec<Progress>) {
        let owner = want.owner;
        if page.generation == Generation(0) {
            self.pulling.remove(&owner);
            return;
        }
        let Some(pull) = self.pulling.get_mut(&owner) else { return };
        if page.generation != want.generation && want.cursor.is_some() {
            // Another run began between two pages: start over with it.
            *pull = Pull::default();
            self.wants.push_front(Want {
                generation: page.generation,
                have: Version(0),
                cursor: None,
                ..want
            });
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
                self.wants.push_front(Want { owner, generation, have, cursor: Some(next) });
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
        Task::Records(wants) => Ask::Records(wants.clone()),
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

    fn want(owner: u64, cursor: Option<u64>) -> Want {
        let cursor = cursor.map(Version);
        Want { owner: NodeKey(owner), generation: Generation(1), have: Version(3), cursor }
    }

    /// What the pages before the cursor listed is known to the exchange that asked for them, and whoever
    /// goes on without it takes those entries for deleted.
    #[test]
    fn a_table_whose_pages_have_begun_to_come_is_taken_over_from_the_start_and_not_shared_out() {
        let mut x = Exchange::repair(SocketAddr::from(([10, 0, 0, 1], 1)), 1, true);
        for owner in 0..100 {
            x.want(want(owner, (owner % 10 == 0).then_some(7)));
        }
        assert!(x.leftovers().iter().all(|w| w.cursor.is_none() && w.have == Version(3)));
        let lists = x.share_out(4);
        assert_eq!(lists.len(), 3);
        assert!(lists.iter().flatten().all(|w| w.cursor.is_none()));
        let given: usize = lists.iter().map(Vec::len).sum();
        assert_eq!((given + x.wants.len(), x.pulling.len()), (100, x.wants.len()));
        assert!((0..100).step_by(10).all(|owner| x.is_pulling(NodeKey(owner))));
    }
}
