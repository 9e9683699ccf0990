//! A repair with one peer, from the asking side: which buckets differ, which rows of them, and
//! then just what is missing. Pull-driven, windowed, and every question may be lost and repeated.

use crate::core::digest::{BUCKETS, Tree};
use crate::model::{Generation, Instant, NodeKey, Version};
use crate::wire::frame::{Ask, Body, Digest, Item, Page, Want};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

/// Questions under way at once.
const WINDOW: usize = 8;
/// Owners asked for in one question.
const WANTS_PER_ASK: usize = 6;
/// Times that one question is asked before the exchange is given up.
const TRIES_MAX: u32 = 6;
/// Wait for the first answer; doubles at each try.
const FIRST_TIMEOUT: Duration = Duration::from_millis(250);
/// Owners that one exchange may have on its list.
const WANTS_MAX: usize = 1 << 20;

#[derive(Debug, Clone)]
enum Task {
    Buckets,
    Rows { bucket: u8, after: Option<NodeKey> },
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
    /// Everything up to that version has been taken in.
    Complete(NodeKey, Generation, Version),
}

#[derive(Debug)]
pub(crate) struct Exchange {
    pub(crate) peer: SocketAddr,
    /// This exchange is this node's way into the cluster.
    pub(crate) joining: bool,
    /// Something was learnt.
    pub(crate) useful: bool,
    tasks: VecDeque<Task>,
    wants: VecDeque<Want>,
    flights: BTreeMap<u32, Flight>,
    /// Owners whose last page came while large bodies of theirs are still being fetched.
    open: BTreeMap<NodeKey, (Generation, Version, usize)>,
    /// Owners on the list or under way: each is pulled once at a time.
    pulling: BTreeSet<NodeKey>,
    next_id: u32,
    failed: bool,
}

impl Exchange {
    fn new(peer: SocketAddr, first_id: u32) -> Self {
        Self {
            peer,
            joining: false,
            useful: false,
            tasks: VecDeque::new(),
            wants: VecDeque::new(),
            flights: BTreeMap::new(),
            open: BTreeMap::new(),
            pulling: BTreeSet::new(),
            next_id: first_id,
            failed: false,
        }
    }

    /// For a difference between two full tables.
    pub(crate) fn repair(peer: SocketAddr, first_id: u32) -> Self {
        let mut x = Self::new(peer, first_id);
        x.tasks.push_back(Task::Buckets);
        x
    }

    /// For an empty table: every bucket differs, so none is compared.
    pub(crate) fn join(peer: SocketAddr, first_id: u32) -> Self {
        let mut x = Self::new(peer, first_id);
        x.joining = true;
        x.tasks.extend((0u8..).take(BUCKETS).map(|bucket| Task::Rows { bucket, after: None }));
        x
    }

    /// For single owners of whom news is missing.
    pub(crate) fn targeted(peer: SocketAddr, first_id: u32) -> Self {
        Self::new(peer, first_id)
    }

    /// Also pull this owner's table.
    pub(crate) fn want(&mut self, want: Want) {
        if self.wants.len() < WANTS_MAX && self.pulling.insert(want.owner) {
            self.wants.push_back(want);
        }
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
    pub(crate) fn postpone(&mut self, by: Duration) {
        for f in self.flights.values_mut() {
            f.due += by;
        }
    }

    /// Questions to send now: those that went unanswered, then new ones while the window is open.
    pub(crate) fn questions(&mut self, now: Instant) -> Vec<(u32, Ask)> {
        let mut out = Vec::new();
        for (id, f) in &mut self.flights {
            if f.due > now {
                continue;
            }
            if f.tries >= TRIES_MAX {
                self.failed = true;
                return Vec::new();
            }
            f.due = now + FIRST_TIMEOUT * (1 << f.tries);
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
            self.flights.insert(id, Flight { task, due: now + FIRST_TIMEOUT, tries: 1 });
        }
        out
    }

    /// Whether question `id` is under way here.
    pub(crate) fn asked(&self, id: u32) -> bool {
        self.flights.contains_key(&id)
    }

    /// The digests of the peer's buckets.
    pub(crate) fn on_buckets(&mut self, id: u32, theirs: &[Digest], tree: &Tree) {
        if !matches!(self.flights.get(&id).map(|f| &f.task), Some(Task::Buckets)) {
            return;
        }
        self.flights.remove(&id);
        let ours = tree.buckets();
        for (bucket, (a, b)) in (0u8..).zip(ours.iter().zip(theirs)) {
            if a != b {
                self.tasks.push_back(Task::Rows { bucket, after: None });
            }
        }
    }

    /// Rows of one bucket; the caller judges them and comes back with [`Self::want`].
    pub(crate) fn on_rows(&mut self, id: u32, last: Option<NodeKey>, more: bool) -> bool {
        let Some(Task::Rows { bucket, after }) = self.flights.get(&id).map(|f| &f.task) else { return false };
        let (bucket, after) = (*bucket, *after);
        self.flights.remove(&id);
        // More rows without a later key would ask the same question for ever.
        if more && last > after {
            self.tasks.push_front(Task::Rows { bucket, after: last });
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
        if page.generation != want.generation && want.cursor.is_some() {
            // Another run began between two pages: start over with it.
            self.open.remove(&owner);
            self.wants.push_front(Want { generation: page.generation, have: Version(0), cursor: None, ..want });
            return;
        }
        let have = if page.generation == want.generation { want.have } else { Version(0) };
        for item in &page.items {
            if let Body::Large(total) = item.body {
                let fetch = Fetch {
                    owner,
                    generation: page.generation,
                    item: item.clone(),
                    total,
                    got: Vec::new(),
                };
                self.tasks.push_back(Task::Chunk(fetch));
                self.open.entry(owner).or_insert((page.generation, Version(0), 0)).2 += 1;
            }
        }
        let (generation, next, complete_to) = (page.generation, page.next, page.complete_to);
        progress.push(Progress::Page(page));
        match next {
            // Pages must move on, or the peer is making fun of us.
            Some(next) if want.cursor.is_none_or(|c| next > c) => {
                self.wants.push_front(Want { owner, generation, have, cursor: Some(next) });
            }
            Some(_) => {
                self.pulling.remove(&owner);
            }
            None => match self.open.get_mut(&owner) {
                Some(open) => open.1 = complete_to,
                None => {
                    self.pulling.remove(&owner);
                    progress.push(Progress::Complete(owner, generation, complete_to));
                }
            },
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
            self.open.remove(&fetch.owner);
            self.pulling.remove(&fetch.owner);
            return Vec::new();
        }
        fetch.got.extend_from_slice(bytes);
        if fetch.got.len() < total as usize {
            self.tasks.push_front(Task::Chunk(fetch));
            return Vec::new();
        }
        let item = Item { body: Body::Bytes(Bytes::from(fetch.got)), ..fetch.item };
        let mut progress = vec![Progress::Item(fetch.owner, fetch.generation, item)];
        if let Some(open) = self.open.get_mut(&fetch.owner) {
            open.2 = open.2.saturating_sub(1);
            let (generation, complete_to, left) = *open;
            if left == 0 && complete_to > Version(0) {
                self.open.remove(&fetch.owner);
                self.pulling.remove(&fetch.owner);
                progress.push(Progress::Complete(fetch.owner, generation, complete_to));
            }
        }
        progress
    }
}

fn ask(task: &Task) -> Ask {
    match task {
        Task::Buckets => Ask::Buckets,
        Task::Rows { bucket, after } => Ask::Rows { bucket: *bucket, after: *after },
        Task::Records(wants) => Ask::Records(wants.clone()),
        Task::Chunk(f) => Ask::Chunk {
            owner: f.owner,
            generation: f.generation,
            version: f.item.version,
            offset: u32::try_from(f.got.len()).expect("a body is at most max_record_bytes"),
        },
    }
}
