//! A state's bytes, of which only what has changed is made anew.
//!
//! The file is written as a whole each time, so that it is always one state. Encoding 20,000
//! registrations takes far longer than writing their bytes: of those that come one after the other
//! each is encoded once, and not again with each one after it.

use super::format;
use super::saved::{self, SavedCheck, SavedService};
use super::writer::WriteRequest;
use crate::agent::clock::Moment;
use crate::model::{CheckId, InstanceId, LocalCheck, ServiceRecord};
use imbl::OrdMap;
use imbl::ordmap::DiffItem;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// The wall clock may go so far from this process's own before what it was told is told anew.
const DRIFT_MAX: Duration = Duration::from_millis(100);

/// Entries of one kind, encoded.
struct Encoded<K, V> {
    of: OrdMap<K, Arc<V>>,
    bytes: BTreeMap<K, Box<[u8]>>,
    total: usize,
}

impl<K: Ord + Clone, V: PartialEq> Encoded<K, V> {
    fn new() -> Self {
        Self { of: OrdMap::new(), bytes: BTreeMap::new(), total: 0 }
    }

    /// Encodes what is another than it was.
    fn update<S: Serialize>(
        &mut self,
        now: &OrdMap<K, Arc<V>>,
        saved: impl Fn(&V) -> S,
    ) -> Result<(), String> {
        let before = std::mem::take(&mut self.of);
        for item in before.diff(now) {
            let (key, value) = match item {
                DiffItem::Add(key, value) | DiffItem::Update { new: (key, value), .. } => (key, Some(value)),
                DiffItem::Remove(key, _) => (key, None),
            };
            let gone = match value {
                Some(value) => {
                    let bytes = format::to_bytes(&saved(value))?.into_boxed_slice();
                    self.total += bytes.len();
                    self.bytes.insert(key.clone(), bytes)
                }
                None => self.bytes.remove(key),
            };
            self.total -= gone.map_or(0, |bytes| bytes.len());
        }
        self.of.clone_from(now);
        Ok(())
    }

    /// As a list is encoded: how many there are, and one after the other.
    fn append_to(&self, payload: &mut Vec<u8>) -> Result<(), String> {
        payload.extend(format::to_bytes(&(self.bytes.len() as u64))?);
        self.bytes.values().for_each(|bytes| payload.extend_from_slice(bytes));
        Ok(())
    }
}

pub(super) struct Encoder {
    services: Encoded<InstanceId, ServiceRecord>,
    checks: Encoded<CheckId, LocalCheck>,
    /// What the checks' times are counted from.
    moment: Option<Moment>,
}

impl Encoder {
    pub(super) fn new() -> Self {
        Self { services: Encoded::new(), checks: Encoded::new(), moment: None }
    }

    /// The payload of the state file: what encoding a [`Saved`](super::Saved) of it gives. After an
    /// error everything is encoded anew.
    pub(super) fn payload(&mut self, request: &WriteRequest) -> Result<Vec<u8>, String> {
        let payload = self.try_payload(request);
        if payload.is_err() {
            *self = Self::new();
        }
        payload
    }

    fn try_payload(&mut self, request: &WriteRequest) -> Result<Vec<u8>, String> {
        let moment = match self.moment {
            Some(kept) if kept.drift(request.moment) <= DRIFT_MAX => kept,
            Some(_) | None => {
                self.checks = Encoded::new();
                request.moment
            }
        };
        self.moment = Some(moment);
        let local = &request.local;
        self.services.update::<SavedService>(&local.services, saved::save_service)?;
        self.checks.update::<SavedCheck>(&local.checks, |check| saved::save_check(check, moment))?;
        let (first, last) = saved::around_entries(&request.author, local, &request.address_book);
        let (first, last) = (format::to_bytes(&first)?, format::to_bytes(&last)?);
        let lengths = 2 * 9;
        let bytes = first.len() + self.services.total + self.checks.total + last.len() + lengths;
        let mut payload = Vec::with_capacity(bytes);
        payload.extend(first);
        self.services.append_to(&mut payload)?;
        self.checks.append_to(&mut payload)?;
        payload.extend(last);
        Ok(payload)
    }
}
