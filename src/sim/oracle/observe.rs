//! What agents tell, event by event: invariants are checked here, figures taken, and the tables of
//! who shows what kept up.

use super::catalog::Arrival;
use super::members::Seen;
use super::{FalseFailure, Fate, Oracle, OwnerIx, Standing, Verdict, content};
use crate::core::Event;
use crate::model::{Entry, EntryKey, Instant, Member, MemberStatus, NodeKey};
use crate::sim::HostId;
use crate::sim::process::Program;

impl Oracle {
    /// An agent told of a change. `standing` says what befell an observer and a subject.
    pub(crate) fn observe(
        &mut self,
        host: HostId,
        agent: &Program,
        event: &Event,
        now: Instant,
        standing: &dyn Fn(HostId, HostId) -> Standing,
    ) -> Result<(), String> {
        match event {
            Event::MemberChanged(key) | Event::MemberRemoved(key) => {
                self.follow_generation(host, agent, now)?;
                self.member_seen(host, agent, *key, agent.member(*key).as_ref(), now, standing)
            }
            Event::EntryChanged(owner, key) => self.entry_seen(host, agent, *owner, key, now),
            Event::GenerationRaised(_) => self.follow_generation(host, agent, now),
            Event::LocalChanged
            | Event::KeyringChanged
            | Event::KeyMissing(_)
            | Event::UserEventHeard(_)
            | Event::ProbeDue { .. }
            | Event::ProbeEnded(_)
            | Event::Examined(_)
            | Event::Joined { .. }
            | Event::JoinRetried { .. }
            | Event::NameTaken { .. }
            | Event::Left { .. } => Ok(()),
        }
    }

    /// The agent may have raised its own generation; then everything it owns was written anew.
    fn follow_generation(&mut self, host: HostId, agent: &Program, now: Instant) -> Result<(), String> {
        let owner = self.observers[host.index()].0;
        let o = &mut self.owners[owner.0];
        let generation = agent.generation();
        if !o.generations.insert(generation) {
            return Ok(());
        }
        if o.holder == Some(host) {
            o.generation = generation;
        }
        let key = o.key;
        for entry in self.own_keys(agent, key) {
            self.entry_seen(host, agent, key, &entry, now)?;
        }
        self.settle(owner);
        Ok(())
    }

    pub(super) fn member_seen(
        &mut self,
        host: HostId,
        agent: &Program,
        key: NodeKey,
        member: Option<&Member>,
        now: Instant,
        standing: &dyn Fn(HostId, HostId) -> Standing,
    ) -> Result<(), String> {
        let Some(&owner) = self.by_key.get(&key) else {
            return Err(format!("shows a member {key:?} that never was"));
        };
        let column = host.index();
        let (before, seen) = (self.members.seen(owner, column), Seen::from(member));
        let o = &self.owners[owner.0];
        if seen.status.is_some() && !o.generations.contains(&seen.generation) {
            return Err(format!("shows run {} of {}, which never was", seen.generation.0, o.name));
        }
        if before.status.is_some()
            && seen.status.is_some()
            && seen.generation < before.generation
            && !o.contested
        {
            return Err(format!(
                "went back from run {} of {} to {}",
                before.generation.0, o.name, seen.generation.0
            ));
        }
        self.members.set_seen(owner, column, seen);
        if before == seen {
            return Ok(());
        }
        if before.status != seen.status {
            self.metrics.status_changes += 1;
            self.watch.moved(host, before.status, seen.status);
            if let Some(journal) = &mut self.journal {
                let (observer, subject) = (self.observers[column].0, owner);
                let name = |owner: OwnerIx| &self.owners[owner.0].name;
                journal.status(now, name(observer), name(subject), before.status, seen.status);
            }
        }
        let current = seen.generation == o.generation;
        let own = key == agent.key();
        if current && !own {
            self.judge(host, owner, before, seen, now, standing);
        }
        let o = &self.owners[owner.0];
        match (seen.status, o.fate) {
            (Some(MemberStatus::Left), Fate::Live(_)) if current && !own && !o.contested && !o.forced => {
                return Err(format!("shows {} as left, which never said so", o.name));
            }
            (Some(MemberStatus::Failed), Fate::Crashed | Fate::Suspended) if current => {
                self.known(host, owner, now);
            }
            (None | Some(MemberStatus::Left), Fate::Left)
                if before.status.is_some_and(MemberStatus::is_live) =>
            {
                self.known(host, owner, now);
            }
            _ => {}
        }
        let o = &self.owners[owner.0];
        if o.fate == Fate::Crashed && current && before.generation != seen.generation {
            self.members.set_fate(owner, o.fate, o.generation);
        }
        Ok(())
    }

    /// Takes down verdicts on a process that exists, and what becomes of them.
    fn judge(
        &mut self,
        observer: HostId,
        owner: OwnerIx,
        before: Seen,
        seen: Seen,
        now: Instant,
        standing: &dyn Fn(HostId, HostId) -> Standing,
    ) {
        let o = &self.owners[owner.0];
        let (Fate::Live(_) | Fate::Suspended, Some(subject)) = (o.fate, o.holder) else { return };
        let failed = |seen: Seen| seen.status == Some(MemberStatus::Failed);
        if failed(seen) {
            let Standing { healthy, observer_faulty, subject_faulty } = standing(observer, subject);
            if healthy && o.fate != Fate::Suspended {
                self.metrics.false_failures.push(FalseFailure { at: now, observer, subject });
            }
            if !failed(before) {
                let excused = !healthy;
                self.metrics.verdicts.push(Verdict {
                    at: now,
                    observer,
                    subject,
                    observer_faulty,
                    subject_faulty,
                    excused,
                });
            }
        }
        if failed(before)
            && before.generation == seen.generation
            && seen.status.is_some_and(MemberStatus::is_live)
        {
            *self.metrics.oscillations.entry((observer, subject)).or_default() += 1;
        }
    }

    fn known(&mut self, host: HostId, owner: OwnerIx, now: Instant) {
        let o = &mut self.owners[owner.0];
        if let Some(number) = o.departure
            && o.unaware.remove(host)
        {
            let departure = &mut self.metrics.departures[number];
            departure.known_after.add(now.since(departure.at));
        }
    }

    /// All that one input of an agent brought was told: this is what its readers see now.
    pub(crate) fn input_over(&mut self) {
        let Some(shown) = self.watch.input_over() else { return };
        if shown.changed {
            *self.metrics.batches.entry(shown.host).or_default() += 1;
        }
        self.metrics.sizes_seen.extend(shown.live);
    }

    pub(super) fn entry_seen(
        &mut self,
        host: HostId,
        agent: &Program,
        owner_key: NodeKey,
        key: &EntryKey,
        now: Instant,
    ) -> Result<(), String> {
        let Some(&owner) = self.by_key.get(&owner_key) else {
            return Err(format!("shows {key:?} of {owner_key:?}, which never was"));
        };
        let column = host.index();
        let own = owner == self.observers[column].0;
        let arrival = match agent.entry(owner_key, key) {
            Some((generation, version, entry)) => {
                let mut left = false;
                if let Entry::Node(record) = &entry {
                    left = record.left;
                    if record.name.key() != owner_key {
                        return Err(format!("shows the record of {} under the key of another", record.name));
                    }
                }
                let content = content::hash(&entry);
                if own {
                    self.catalog.written(owner, key, column, (generation, version), content, now)?;
                    if left {
                        self.catalog.deleted_all(owner, column, now);
                    }
                }
                let o = &self.owners[owner.0];
                let arrival =
                    self.catalog.shown(owner, key, column, (generation, version), content, !o.contested);
                match arrival {
                    Err(what) if !o.forced => return Err(format!("{key:?} of {}: {what}", o.name)),
                    Err(_) => None,
                    Ok(arrival) => arrival,
                }
            }
            None => {
                if own {
                    self.catalog.deleted(owner, key, column, now);
                }
                self.catalog.absent(owner, key, column)
            }
        };
        let fate = self.owners[owner.0].fate;
        if own || (fate == Fate::Crashed && self.catalog.is_wrong(owner, key, column)) {
            self.catalog.set_fate_of(owner, key, fate);
        }
        if let Some(Arrival { written }) = arrival
            && !own
            && matches!(fate, Fate::Live(_))
            && self.observers[column].1 <= written
            && self.members.is_counted(column)
        {
            self.metrics.propagation.add(now.since(written));
        }
        Ok(())
    }
}
