//! Which fired events were heard already, so that each is delivered once.
//!
//! An event is refused once it is older than [`AGE_MAX`], and remembered for longer than that, so
//! what goes round cannot be taken for news again. No more events are told apart at one time than
//! [`KNOWN_MAX`]: what comes beyond that within a minute is dropped, which bounds what a storm of
//! them costs. Never decides who wants an event; whoever drives the agent does.

use crate::model::{Instant, UserEventId};
use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};
use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

/// Events that are told apart at one time.
pub(crate) const KNOWN_MAX: usize = 4_096;
/// Older events are not taken in.
const AGE_MAX: Duration = Duration::from_secs(30);
/// How long one that was heard is remembered. Ages are told too low by what a network takes.
const REMEMBERED: Duration = Duration::from_secs(60);

const _: () = assert!(REMEMBERED.as_secs() >= 2 * AGE_MAX.as_secs());

/// Why an event was not taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unheard {
    /// It was heard before: the ordinary fate of most copies.
    Known,
    /// It is too old to tell whether it was.
    Old,
    /// Too many were heard lately.
    Flood,
}

pub(crate) struct Heard {
    known: BTreeSet<UserEventId>,
    /// The same with when they were heard, in that order.
    order: VecDeque<(Instant, UserEventId)>,
    rng: SmallRng,
}

impl Heard {
    pub(crate) fn new(seed: u64) -> Self {
        Self { known: BTreeSet::new(), order: VecDeque::new(), rng: SmallRng::seed_from_u64(seed) }
    }

    /// A new event's name.
    pub(crate) fn next_id(&mut self) -> UserEventId {
        UserEventId::from_random(self.rng.random())
    }

    /// Whether an event of this age is news; if so it is not any more.
    pub(crate) fn admit(
        &mut self,
        id: UserEventId,
        age: Option<Duration>,
        now: Instant,
    ) -> Result<(), Unheard> {
        while let Some((at, oldest)) = self.order.front()
            && now.since(*at) > REMEMBERED
        {
            self.known.remove(oldest);
            self.order.pop_front();
        }
        if age.is_none_or(|age| age > AGE_MAX) {
            return Err(Unheard::Old);
        }
        if self.known.contains(&id) {
            return Err(Unheard::Known);
        }
        if self.known.len() >= KNOWN_MAX {
            return Err(Unheard::Flood);
        }
        self.known.insert(id);
        self.order.push_back((now, id));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn id(n: u8) -> UserEventId {
        UserEventId([n; 16])
    }

    #[test]
    fn an_event_is_news_once_however_long_it_goes_round() {
        let mut heard = Heard::new(1);
        let mut now = Instant::START;
        assert_eq!(heard.admit(id(1), Some(Duration::ZERO), now), Ok(()));
        for second in 0..200 {
            let age = Some(Duration::from_secs(second));
            assert_ne!(heard.admit(id(1), age, now), Ok(()), "after {second} s");
            now += Duration::from_secs(1);
        }
        assert_eq!(heard.admit(id(2), None, now), Err(Unheard::Old), "of an unknown age");
    }

    #[test]
    fn a_flood_is_cut_until_what_was_heard_is_old() {
        let mut heard = Heard::new(1);
        let mut admitted = 0;
        for _ in 0..3 * KNOWN_MAX {
            let id = heard.next_id();
            admitted += usize::from(heard.admit(id, Some(Duration::ZERO), Instant::START).is_ok());
        }
        assert_eq!(admitted, KNOWN_MAX);
        let later = Instant::START + REMEMBERED + Duration::from_secs(1);
        assert_eq!(heard.admit(id(9), Some(Duration::ZERO), later), Ok(()));
        assert_eq!((heard.known.len(), heard.order.len()), (1, 1));
    }
}
