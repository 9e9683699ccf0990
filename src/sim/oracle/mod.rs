//! Says whether the system behaves: invariants at every step, and the distance to what should be.
//!
//! Learns only by what agents tell ([`Event`](crate::core::Event)) and what the world did to them; looks at nothing
//! that did not change. Never acts on the world. Wrong behaviour comes back as a sentence, which
//! the world turns into a failure with seed and time.

mod catalog;
mod content;
mod distribution;
mod grid;
mod hosts;
mod members;
mod metrics;
mod observe;
mod watch;

pub use distribution::Distribution;
pub(crate) use distribution::quantile_of;
pub use metrics::{Departure, DepartureKind, FalseFailure, Metrics, Verdict};
pub use watch::Tally;

use crate::model::{EntryKey, Generation, Instant, MemberStatus, NodeKey, NodeName, Version};
use crate::sim::process::Program;
use crate::sim::{HostId, Journal};
use catalog::Catalog;
use hosts::HostSet;
use members::{Members, Seen};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use watch::Watch;

/// Number of a node name in the order of first use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct OwnerIx(usize);

/// What has become of a node, and so what others should think of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It runs on this host: everybody should show it as it is.
    Live(HostId),
    /// It is paused: nothing can be demanded.
    Suspended,
    /// Its process died without a word.
    Crashed,
    /// It said that it goes.
    Left,
    /// It is gone, but who knows how: killed while leaving, or dead for longer than the dead are
    /// remembered.
    Uncertain,
}

/// What the world knows of an observer and a subject at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Standing {
    /// They could reach each other for so long that a verdict of failure is wrong.
    pub(crate) healthy: bool,
    /// A fault named the observer before.
    pub(crate) observer_faulty: bool,
    /// A fault named the subject before.
    pub(crate) subject_faulty: bool,
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Crash,
    Left,
    NameTaken,
}

/// One place where an agent shows what it should not show in the long run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("{wrong} wrong views, the first at {observer} about {subject}: {what}")]
pub struct Difference {
    /// Whose view it is.
    pub observer: NodeName,
    /// The node that the view is about.
    pub subject: NodeName,
    /// What is shown and what should be.
    pub what: String,
    /// Views that are wrong in all.
    pub wrong: usize,
}

struct Owner {
    key: NodeKey,
    name: NodeName,
    fate: Fate,
    /// Of the run that counts.
    generation: Generation,
    generations: BTreeSet<Generation>,
    /// The host whose process holds the name.
    holder: Option<HostId>,
    claimants: BTreeSet<HostId>,
    /// Two live processes claimed the name at some time.
    contested: bool,
    /// An operator made it leave, so others may have marked it as left.
    forced: bool,
    departure: Option<usize>,
    /// Hosts whose agents do not know of that departure yet.
    unaware: HostSet,
}

/// The judge of one world.
pub(crate) struct Oracle {
    owners: Vec<Owner>,
    by_key: BTreeMap<NodeKey, OwnerIx>,
    /// By host: the name its processes bear, and when the present one started.
    observers: Vec<(OwnerIx, Instant)>,
    members: Members,
    catalog: Catalog,
    watch: Watch,
    pub(crate) metrics: Metrics,
    /// Kept if somebody wants to read it.
    pub(crate) journal: Option<Journal>,
}

impl Oracle {
    pub(crate) const fn new() -> Self {
        Self {
            owners: Vec::new(),
            by_key: BTreeMap::new(),
            observers: Vec::new(),
            members: Members::new(),
            catalog: Catalog::new(),
            watch: Watch::new(),
            metrics: Metrics::EMPTY,
            journal: None,
        }
    }

    /// A host whose processes will bear `name`.
    pub(crate) fn add_host(&mut self, name: &NodeName) {
        let key = name.key();
        let owner = match self.by_key.get(&key) {
            Some(&owner) => owner,
            None => {
                let owner = OwnerIx(self.owners.len());
                self.by_key.insert(key, owner);
                self.members.add_owner();
                self.catalog.add_owner();
                self.owners.push(Owner {
                    key,
                    name: name.clone(),
                    fate: Fate::Uncertain,
                    generation: Generation(0),
                    generations: BTreeSet::new(),
                    holder: None,
                    claimants: BTreeSet::new(),
                    contested: false,
                    forced: false,
                    departure: None,
                    unaware: HostSet::default(),
                });
                owner
            }
        };
        self.observers.push((owner, Instant::START));
        self.members.add_observer();
        self.catalog.add_observer();
        self.watch.add_observer();
    }

    /// Forgets what was measured so far.
    pub(crate) fn reset_metrics(&mut self) {
        self.metrics = Metrics::default();
        for owner in &mut self.owners {
            owner.departure = None;
        }
    }

    /// What `host`'s agent shows in sum.
    pub(crate) fn tally(&self, host: HostId) -> Tally {
        self.watch.tally(host)
    }

    /// How many views are wrong.
    pub(crate) const fn wrong(&self) -> usize {
        self.members.wrong() + self.catalog.wrong()
    }

    // ---- what the world did

    /// A process began to run.
    pub(crate) fn started(&mut self, host: HostId, agent: &Program, now: Instant) -> Result<(), String> {
        let column = host.index();
        let owner = self.observers[column].0;
        self.observers[column].1 = now;
        self.members.forget(column);
        self.catalog.forget(column);
        self.watch.forget(host);
        let o = &mut self.owners[owner.0];
        o.claimants.insert(host);
        o.contested |= o.claimants.len() > 1;
        o.generations.insert(agent.generation());
        let holds = o.holder.is_none();
        if holds {
            o.holder = Some(host);
            o.generation = agent.generation();
            o.fate = Fate::Live(host);
            o.departure = None;
        }
        for member in agent.members() {
            let unknown = |_, _| Standing::default();
            self.member_seen(host, agent, member.key, Some(&member), now, &unknown)?;
        }
        self.input_over();
        let key = self.owners[owner.0].key;
        for entry in self.own_keys(agent, key) {
            self.entry_seen(host, agent, key, &entry, now)?;
        }
        if holds {
            for entry in self.catalog.standing(owner) {
                if agent.entry(key, &entry).is_none() {
                    self.catalog.deleted(owner, &entry, column, now);
                }
            }
            self.settle(owner);
            self.count(host, true);
        }
        Ok(())
    }

    /// All of these, just started, show all of each other as it is.
    pub(crate) fn settled(&mut self, hosts: &[HostId]) {
        for host in hosts {
            let owner = self.observers[host.index()].0;
            let generation = self.owners[owner.0].generation;
            self.members.all_see(owner, Seen { status: Some(MemberStatus::Alive), generation, held: false });
            self.catalog.all_see(owner);
            self.watch.settled(*host, hosts.len());
        }
        self.metrics = Metrics::default();
    }

    /// A process ended.
    pub(crate) fn stopped(&mut self, host: HostId, end: End, now: Instant) {
        self.count(host, false);
        self.lost_witness(host);
        let owner = self.observers[host.index()].0;
        let o = &mut self.owners[owner.0];
        o.claimants.remove(&host);
        if o.holder != Some(host) {
            return;
        }
        o.holder = o.claimants.first().copied();
        match (o.holder, end, o.fate) {
            (Some(next), ..) => {
                o.fate = Fate::Live(next);
                self.count(next, true);
            }
            (None, End::Left, _) => o.fate = Fate::Left,
            (None, End::NameTaken, _) | (None, End::Crash, Fate::Left) => o.fate = Fate::Uncertain,
            (None, End::Crash, Fate::Live(_) | Fate::Suspended | Fate::Crashed | Fate::Uncertain) => {
                o.fate = Fate::Crashed;
                self.depart(owner, DepartureKind::Crashed, now);
            }
        }
        self.settle(owner);
        self.settle_the_dead();
    }

    /// A process was told to leave.
    pub(crate) fn leaving(&mut self, host: HostId, now: Instant) {
        let owner = self.observers[host.index()].0;
        self.count(host, false);
        self.lost_witness(host);
        if self.owners[owner.0].holder == Some(host) && self.owners[owner.0].fate != Fate::Left {
            self.owners[owner.0].fate = Fate::Left;
            self.catalog.deleted_all(owner, host.index(), now);
            self.depart(owner, DepartureKind::Left, now);
            self.settle(owner);
        }
        self.settle_the_dead();
    }

    /// A process was cut off from everything at this moment: how others learn of it is measured,
    /// until it can speak again.
    /// While it is, nobody waits for it to learn of others.
    pub(crate) fn silenced(&mut self, host: HostId, now: Instant) {
        let owner = self.observers[host.index()].0;
        self.lost_witness(host);
        if self.owners[owner.0].holder == Some(host) && self.owners[owner.0].fate == Fate::Suspended {
            self.depart(owner, DepartureKind::Silenced, now);
        }
    }

    /// A process was stopped where it is (or blocked, or left without a processor), or goes on.
    pub(crate) fn paused(&mut self, host: HostId, paused: bool) {
        let owner = self.observers[host.index()].0;
        let o = &mut self.owners[owner.0];
        if o.holder != Some(host) {
            return;
        }
        match (paused, o.fate) {
            (true, Fate::Live(_)) => o.fate = Fate::Suspended,
            (false, Fate::Suspended) => {
                o.fate = Fate::Live(host);
                o.departure = None;
            }
            (_, Fate::Live(_) | Fate::Suspended | Fate::Crashed | Fate::Left | Fate::Uncertain) => return,
        }
        self.count(host, !paused);
        self.settle(owner);
        self.settle_the_dead();
    }

    /// The run `generation` of this host's node has been dead for as long as the dead are kept.
    pub(crate) fn reaped(&mut self, host: HostId, generation: Generation) {
        let owner = self.observers[host.index()].0;
        let o = &mut self.owners[owner.0];
        if o.fate == Fate::Crashed && o.generation == generation {
            o.fate = Fate::Uncertain;
            self.settle(owner);
        }
    }

    /// An operator made a failed node leave.
    pub(crate) fn forced(&mut self, name: &NodeName, now: Instant) {
        let Some(&owner) = self.by_key.get(&name.key()) else { return };
        let o = &mut self.owners[owner.0];
        o.forced = true;
        if o.fate == Fate::Crashed {
            o.fate = Fate::Left;
            self.catalog.deleted_all(owner, usize::MAX, now);
            self.settle(owner);
        }
    }

    /// Is nothing wrong anywhere?
    pub(crate) const fn is_settled(&self) -> bool {
        self.members.wrong() == 0 && self.catalog.wrong() == 0
    }

    /// The first thing that is wrong.
    pub(crate) fn difference(&self) -> Option<Difference> {
        let wrong = self.members.wrong() + self.catalog.wrong();
        let (owner, observer, what) = match self.members.first_wrong() {
            Some(found) => found,
            None => {
                let (owner, key, observer, what) = self.catalog.first_wrong()?;
                (owner, observer, format!("{key:?} {what}"))
            }
        };
        Some(Difference {
            observer: self.owners[self.observers[observer].0.0].name.clone(),
            subject: self.owners[owner.0].name.clone(),
            what,
            wrong,
        })
    }

    /// What `host`'s agent was last told to show of the node called `name`.
    pub(crate) fn status_of(&self, host: HostId, name: &NodeName) -> Option<MemberStatus> {
        let owner = self.by_key.get(&name.key())?;
        self.members.seen(*owner, host.index()).status
    }

    /// Compares an agent's tables, all of them, with what it told: a change it kept to itself
    /// would leave its readers with an old answer.
    pub(crate) fn verify(&self, host: HostId, agent: &Program) -> Result<(), String> {
        let column = host.index();
        let mut actual: BTreeMap<NodeKey, Seen> =
            agent.members().map(|m| (m.key, Seen::from(Some(&m)))).collect();
        for (number, owner) in self.owners.iter().enumerate() {
            let told = self.members.seen(OwnerIx(number), column);
            let shown = actual.remove(&owner.key).unwrap_or_default();
            if told != shown {
                return Err(format!("shows {} as {shown:?} but last told {told:?}", owner.name));
            }
            let mut entries: BTreeMap<EntryKey, (Generation, Version, u64)> = BTreeMap::new();
            for key in self.own_keys(agent, owner.key) {
                if let Some((generation, version, entry)) = agent.entry(owner.key, &key) {
                    entries.insert(key, (generation, version, content::hash(&entry)));
                }
            }
            for (key, generation, version, content) in self.catalog.shown_of(OwnerIx(number), column) {
                // A new run that wrote the same again changes nothing for readers and need not be
                // told.
                let shown = entries.remove(key);
                let as_told = shown.is_some_and(|(g, v, c)| {
                    (g, v) >= (generation, version)
                        && c == content
                        && (owner.forced || self.catalog.was_written(OwnerIx(number), key, (g, v), c))
                });
                if !as_told {
                    let told = (generation, version);
                    return Err(format!(
                        "shows {key:?} of {} as {shown:?} but last told {told:?}",
                        owner.name
                    ));
                }
            }
            if let Some((key, _)) = entries.first_key_value() {
                return Err(format!("shows {key:?} of {} without ever having told", owner.name));
            }
        }
        match actual.first_key_value() {
            Some((key, seen)) => Err(format!("shows {key:?}, which nobody is, as {seen:?}")),
            None => Ok(()),
        }
    }

    fn own_keys(&self, agent: &Program, key: NodeKey) -> Vec<EntryKey> {
        agent.entry_keys(key).collect()
    }

    fn count(&mut self, host: HostId, counted: bool) {
        self.members.count(host.index(), counted);
        self.catalog.count(host.index(), counted);
    }

    fn settle(&mut self, owner: OwnerIx) {
        let o = &self.owners[owner.0];
        self.members.set_fate(owner, o.fate, o.generation);
        self.catalog.set_fate(owner, o.fate);
    }

    /// A survivor is gone, and with it perhaps the only one who knew a dead node's last word.
    fn settle_the_dead(&mut self) {
        for number in 0..self.owners.len() {
            if self.owners[number].fate == Fate::Crashed {
                self.settle(OwnerIx(number));
            }
        }
    }

    /// This agent will come to know nothing of those who are gone now, or not soon.
    fn lost_witness(&mut self, host: HostId) {
        for owner in &mut self.owners {
            if let Some(number) = owner.departure
                && owner.unaware.remove(host)
            {
                self.metrics.departures[number].observers -= 1;
            }
        }
    }

    fn depart(&mut self, owner: OwnerIx, kind: DepartureKind, now: Instant) {
        let o = &self.owners[owner.0];
        let generation = o.generation;
        let live =
            |seen: &Seen| seen.generation == generation && seen.status.is_some_and(MemberStatus::is_live);
        let hears = |column: usize| self.owners[self.observers[column].0.0].fate != Fate::Suspended;
        let watching = self.members.observers(owner).filter(|(column, seen)| live(seen) && hears(*column));
        let unaware: HostSet = watching.map(|(column, _)| HostId(column)).collect();
        let o = &mut self.owners[owner.0];
        o.departure = Some(self.metrics.departures.len());
        self.metrics.departures.push(Departure {
            node: o.name.clone(),
            kind,
            at: now,
            observers: unaware.len(),
            known_after: Distribution::default(),
        });
        o.unaware = unaware;
    }
}
