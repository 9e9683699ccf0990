//! This host's registrations, and how they become this node's entries in the catalog.

use super::{Agent, Phase};
use crate::core::aliases::Changed;
use crate::core::checks::Run;
use crate::core::event::Event;
use crate::core::gossip::spread::Age;
use crate::core::local;
use crate::model::{
    CheckId, CheckRecord, CheckStatus, Entry, EntryKey, Extensions, Instant, LocalCheck, LocalCommand,
    LocalError, LocalState, NodeRecord, Version,
};
use crate::wire::frame::{Head, Record};
use crate::wire::record;
use bytes::Bytes;
use imbl::ordmap::DiffItem;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Bytes of a check's output that travel with a change of its status.
const OUTPUT_BYTES_SPREAD: usize = 512;
/// A table of at most so many bytes is told whole by who is new in a cluster: a datagram or two.
const TABLE_BYTES_TOLD: usize = 800;

impl Agent {
    // ---- commands

    /// Tries `command` on `state`: the state it would lead to, or why it may not be.
    pub fn check(
        &self,
        state: &LocalState,
        command: &LocalCommand,
        now: Instant,
    ) -> Result<LocalState, LocalError> {
        if self.phase != Phase::Running {
            return Err(LocalError::Leaving);
        }
        let mut after = state.clone();
        local::apply(&mut after, command, now)?;
        let have = state.services.len() + state.checks.len();
        let max = self.config.max_entries_per_node;
        if after.services.len() + after.checks.len() > max.max(have) {
            return Err(LocalError::TooManyEntries { have, max });
        }
        self.check_sizes(state, &after)?;
        Ok(after)
    }

    /// Carries out a command of this host.
    pub fn apply(&mut self, command: &LocalCommand, now: Instant) -> Result<(), LocalError> {
        let after = self.check(&self.local, command, now)?;
        self.set_local(after, now);
        Ok(())
    }

    /// Whether the node could have these tags.
    pub fn check_tags(&self, tags: &BTreeMap<String, String>) -> Result<(), LocalError> {
        if self.phase != Phase::Running {
            return Err(LocalError::Leaving);
        }
        let mut node = self.own_node(false);
        node.tags.clone_from(tags);
        self.check_size("node tags", &Entry::Node(node))
    }

    /// Replaces the node's tags.
    pub fn set_tags(&mut self, tags: BTreeMap<String, String>, now: Instant) -> Result<(), LocalError> {
        self.check_tags(&tags)?;
        if self.identity.tags != tags {
            self.identity.tags = tags;
            let record = self.write_own_node(false);
            self.spread.record(record, EntryKey::Node, Age::none(now), None, now);
            self.settle(None, now);
        }
        Ok(())
    }

    // ---- time

    pub(super) fn run_local(&mut self, now: Instant) {
        let mut told = false;
        while let Some(id) = self.check_damping.release(now) {
            told |= self.publish(&EntryKey::Check(id), now);
        }
        if told {
            self.settle(None, now);
        }
        while let Some(Run { id, number, probe }) = self.schedule.begin(now) {
            self.events.push_back(Event::ProbeDue { id, number, probe });
        }
        if self.check_deadline.is_none_or(|at| at > now) {
            return;
        }
        let mut after = self.local.clone();
        if local::expire(&mut after, now) {
            self.set_local(after, now);
        }
    }

    /// A run of a check that [`Event::ProbeDue`] asked for has ended like this.
    pub fn handle_finding(
        &mut self,
        id: &CheckId,
        number: u64,
        status: CheckStatus,
        output: &str,
        now: Instant,
    ) {
        if self.phase != Phase::Running {
            return;
        }
        let decided = self.schedule.end(id, number, status, now);
        // While too few results in a row are there, output and status stay what they were.
        if decided.is_some() {
            let mut after = self.local.clone();
            local::finding(&mut after, id, decided, output, now);
            self.set_local(after, now);
        }
    }

    /// Begins with the checks of an earlier run of this agent.
    pub(super) fn take_up_checks(&mut self, now: Instant) {
        let checks: Vec<Arc<LocalCheck>> = self.local.checks.values().cloned().collect();
        for check in checks {
            self.schedule.put(&check, now);
            self.note_alias(&check.definition.id, Some(&check));
        }
        if let Some(after) = self.followed_here(&Changed::all(), now) {
            self.set_local(after, now);
        }
    }

    // ---- becoming entries

    pub(super) fn set_local(&mut self, after: LocalState, now: Instant) {
        let before = std::mem::replace(&mut self.local, after);
        self.check_deadline = local::next_deadline(&self.local);
        let mut keys: Vec<EntryKey> = Vec::new();
        let mut redefined: Vec<(CheckId, Option<Arc<LocalCheck>>)> = Vec::new();
        let mut changed = Changed::default();
        for item in before.services.diff(&self.local.services) {
            keys.push(EntryKey::Service(changed_key(&item).clone()));
            changed.of.insert(Some(changed_key(&item).clone()));
        }
        for item in before.checks.diff(&self.local.checks) {
            match &item {
                DiffItem::Update { old: (_, old), new: (id, new) } => {
                    if !Arc::ptr_eq(&old.definition, &new.definition) {
                        redefined.push(((*id).clone(), Some(Arc::clone(new))));
                        changed.of.insert(old.definition.service_id.clone());
                        changed.of.insert(new.definition.service_id.clone());
                    }
                    // Why a check is bad is told with what stands for it.
                    let retold = new.status != CheckStatus::Passing && old.output != new.output;
                    if old.status != new.status || retold {
                        changed.of.insert(new.definition.service_id.clone());
                    }
                    self.check_damping.note(id, old.status, new.status, &self.config, now);
                    if self.schedule.put(new, now) {
                        self.events.push_back(Event::ProbeEnded((*id).clone()));
                    }
                }
                DiffItem::Remove(id, old) => {
                    redefined.push(((*id).clone(), None));
                    changed.of.insert(old.definition.service_id.clone());
                    self.check_damping.forget(id);
                    if self.schedule.remove(id) {
                        self.events.push_back(Event::ProbeEnded((*id).clone()));
                    }
                }
                DiffItem::Add(id, new) => {
                    redefined.push(((*id).clone(), Some(Arc::clone(new))));
                    changed.of.insert(new.definition.service_id.clone());
                    self.schedule.put(new, now);
                }
            }
            keys.push(EntryKey::Check(changed_key(&item).clone()));
        }
        if keys.is_empty() {
            return;
        }
        for (id, check) in redefined {
            self.note_alias(&id, check.as_deref());
            changed.defined.insert(id);
        }
        // A heartbeat that changes nothing but its deadline is nobody else's business, and not
        // worth a write to disk either.
        let mut told = false;
        for key in keys {
            told |= self.publish(&key, now);
        }
        if told {
            self.events.push_back(Event::LocalChanged);
        }
        if !changed.is_empty()
            && let Some(after) = self.followed_here(&changed, now)
        {
            self.set_local(after, now);
            return;
        }
        self.settle(None, now);
    }

    /// Writes all of this node's entries in key order, which is how [`super::super::catalog`]
    /// numbers an unchanged table after a restart.
    pub(super) fn publish_all(&mut self) {
        self.write_own_node(false);
        let services: Vec<EntryKey> = self.local.services.keys().cloned().map(EntryKey::Service).collect();
        let checks: Vec<EntryKey> = self.local.checks.keys().cloned().map(EntryKey::Check).collect();
        for key in services.into_iter().chain(checks) {
            if let Some(body) = self.own_body(&key) {
                self.write_own(key, Some(body));
            }
        }
    }

    /// Writes one entry if it is not what was last written; says whether it did.
    fn publish(&mut self, key: &EntryKey, now: Instant) -> bool {
        let body = self.own_body(key);
        let known = self.catalog.packed(self.own, key).and_then(|(_, _, entry)| record::body(entry));
        if body == known {
            return false;
        }
        let record = self.write_own(key.clone(), body);
        self.spread.record(record, key.clone(), Age::none(now), None, now);
        true
    }

    fn write_own(&mut self, key: EntryKey, body: Option<Bytes>) -> Record {
        let record = self.catalog.write_own(self.own, self.identity.generation, key.clone(), body);
        self.touch(self.own);
        self.events.push_back(Event::EntryChanged(self.own, key));
        record
    }

    pub(super) fn write_own_node(&mut self, left: bool) -> Record {
        let body = Bytes::from(record::encode(&Entry::Node(self.own_node(left))));
        self.write_own(EntryKey::Node, Some(body))
    }

    fn own_node(&self, left: bool) -> NodeRecord {
        let mut node = NodeRecord {
            name: self.identity.name.clone(),
            id: self.identity.id,
            addr: self.identity.addr,
            tags: self.identity.tags.clone(),
            agent_version: env!("CARGO_PKG_VERSION").to_owned(),
            left,
            extensions: Extensions::new(),
        };
        node.set_keys(&self.key_ids());
        node
    }

    fn own_body(&self, key: &EntryKey) -> Option<Bytes> {
        let entry = match key {
            EntryKey::Service(id) => Entry::Service((**self.local.services.get(id)?).clone()),
            EntryKey::Check(id) => Entry::Check(self.check_record(id, self.local.checks.get(id)?)),
            EntryKey::Node => Entry::Node(self.own_node(false)),
            EntryKey::Unknown(..) => return None,
        };
        Some(Bytes::from(record::encode(&entry)))
    }

    /// Output travels only with a change of status; until then the last one that did stays. One that is
    /// not well and has said nothing yet, as when it is registered critical, says the first reason that
    /// there is.
    fn check_record(&self, id: &CheckId, check: &LocalCheck) -> CheckRecord {
        let mut record = check_record(id, check);
        record.status = self.check_damping.told(id, check.status);
        if let Some((_, _, Entry::Check(known))) = self.catalog.entry(self.own, &EntryKey::Check(id.clone()))
            && known.status == record.status
            && (known.status == CheckStatus::Passing || !known.output.is_empty())
        {
            record.output = known.output;
        }
        record
    }

    // ---- limits

    fn check_sizes(&self, before: &LocalState, after: &LocalState) -> Result<(), LocalError> {
        for item in before.services.diff(&after.services) {
            if let DiffItem::Add(id, s) | DiffItem::Update { new: (id, s), .. } = item {
                self.check_size(&format!("service {id:?}"), &Entry::Service((**s).clone()))?;
            }
        }
        for item in before.checks.diff(&after.checks) {
            if let DiffItem::Add(id, c) | DiffItem::Update { new: (id, c), .. } = item {
                self.check_size(&format!("check {id:?}"), &Entry::Check(check_record(id, c)))?;
            }
        }
        Ok(())
    }

    fn check_size(&self, what: &str, entry: &Entry) -> Result<(), LocalError> {
        let bytes = record::encode(entry).len();
        let max = self.config.max_record_bytes;
        if bytes <= max {
            return Ok(());
        }
        Err(LocalError::RecordTooLarge { what: what.to_owned(), bytes, max })
    }

    // ---- what others say of this node's table

    /// Others hold a table of ours that this run did not write: outlive it.
    pub(super) fn handle_own_head(&mut self, head: &Head, now: Instant) {
        let ahead = head.generation > self.identity.generation
            || (head.generation == self.identity.generation && head.version > self.own_version());
        if ahead && head.generation <= crate::model::Generation::MAX {
            self.outlive(crate::wire::frame::Epoch((head.generation.0 << 16) | 0xffff), now);
        }
    }

    fn own_version(&self) -> Version {
        self.catalog.owner(self.own).map_or(Version(0), |o| o.complete_to())
    }

    /// Tells a cluster that this node is new to what this node has: all of it where that is little,
    /// or else who it is. A node is seen by its own record, and others that pulled it would each pass
    /// it on a round trip later.
    pub(super) fn announce_own_table(&mut self, now: Instant) {
        self.touch(self.own);
        let Some(owner) = self.catalog.owner(self.own) else { return };
        let whole = owner.bytes() <= TABLE_BYTES_TOLD;
        let keys: Vec<EntryKey> = if whole { owner.keys().collect() } else { vec![EntryKey::Node] };
        if !whole {
            self.announce_own_head(now);
        }
        for key in keys {
            if let Some(record) = self.catalog.record(self.own, &key) {
                // It may have been written long before anybody was there to hear of it.
                self.spread.record(record, key, Age::new(None, now), None, now);
            }
        }
    }

    /// Tells where this node's table stands; who lacks any of it pulls it.
    pub(super) fn announce_own_head(&mut self, now: Instant) {
        self.touch(self.own);
        if let Some(head) = self.catalog.head(self.own) {
            self.spread.head(head, None, now);
        }
    }
}

fn check_record(id: &CheckId, check: &LocalCheck) -> CheckRecord {
    let d = &check.definition;
    let mut end = check.output.len().min(OUTPUT_BYTES_SPREAD);
    while !check.output.is_char_boundary(end) {
        end -= 1;
    }
    CheckRecord {
        id: id.clone(),
        name: d.name.clone(),
        service_id: d.service_id.clone(),
        status: check.status,
        notes: d.notes.clone(),
        output: check.output[..end].to_owned(),
        kind: d.kind.as_str().to_owned(),
        interval: d.interval.clone(),
        timeout: d.timeout.clone(),
        extensions: Extensions::new(),
    }
}

fn changed_key<'a, K, V>(item: &DiffItem<'a, 'a, K, V>) -> &'a K {
    match item {
        DiffItem::Add(key, _) | DiffItem::Remove(key, _) => key,
        DiffItem::Update { old: (key, _), .. } => key,
    }
}
