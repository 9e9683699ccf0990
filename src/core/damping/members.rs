//! Members that keep coming and going: shown as failed until they stay.
//!
//! Owns what befell members that failed here: how often, and when they will have been reachable for
//! long enough. A member that comes back for the first time is shown at once. From then on, each time
//! that it fails with its process alive doubles the time that it has to be reachable without a
//! suspicion before it is shown alive again; a new process is given three more returns. Whoever
//! watches sees one failure and one return, not each of them. Decides nothing about membership:
//! probing, gossip and repair treat such a member as what it is.

use super::{FORGIVEN_AFTER_HOLDS, hold};
use crate::core::config::Config;
use crate::model::{Generation, Instant, NodeKey};
use crate::wire::frame::Liveness;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Returns of new processes that are shown at once, beyond the first return of any.
const RESTARTS_FREE: u32 = 3;

/// A member that has failed.
#[derive(Debug, Clone, Copy)]
struct Past {
    falls: u32,
    fell_at: Instant,
    /// It is failed now, in this run.
    down_in: Option<Generation>,
    /// How long it has to stay, if it is held down.
    hold: Option<Duration>,
    /// When it will have stayed so long.
    due: Option<Instant>,
}

#[derive(Debug, Default)]
pub(crate) struct Damping {
    past: BTreeMap<NodeKey, Past>,
    by_due: BTreeSet<(Instant, NodeKey)>,
}

impl Damping {
    /// Is it shown as failed though it is reachable?
    pub(crate) fn is_held(&self, key: NodeKey) -> bool {
        self.past.get(&key).is_some_and(|p| p.hold.is_some())
    }

    /// Members that are.
    pub(crate) fn held(&self) -> usize {
        self.past.values().filter(|p| p.hold.is_some()).count()
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        self.by_due.first().map(|(at, _)| *at)
    }

    /// What is believed of a member now.
    pub(crate) fn note(
        &mut self,
        key: NodeKey,
        state: Liveness,
        run: Generation,
        config: &Config,
        now: Instant,
    ) {
        match state {
            Liveness::Down => self.fell(key, run, config, now),
            Liveness::Left => self.forget(key),
            Liveness::Alive | Liveness::Suspect => {
                let Some(past) = self.past.get_mut(&key) else { return };
                if let Some(before) = past.down_in.take() {
                    let free = if run > before { 1 + RESTARTS_FREE } else { 1 };
                    past.hold = hold(past.falls, free, config.hold_min, config.hold_max);
                }
                let due =
                    past.hold.filter(|_| state == Liveness::Alive).map(|hold| past.due.unwrap_or(now + hold));
                self.set_due(key, due);
            }
        }
    }

    fn fell(&mut self, key: NodeKey, run: Generation, config: &Config, now: Instant) {
        let none = Past { falls: 0, fell_at: now, down_in: None, hold: None, due: None };
        let past = self.past.entry(key).or_insert(none);
        if past.down_in.replace(run).is_some() {
            return;
        }
        if now.since(past.fell_at) > config.hold_max * FORGIVEN_AFTER_HOLDS {
            past.falls = 0;
        }
        past.falls = past.falls.saturating_add(1);
        past.fell_at = now;
        past.hold = None;
        self.set_due(key, None);
    }

    fn set_due(&mut self, key: NodeKey, due: Option<Instant>) {
        let Some(past) = self.past.get_mut(&key) else { return };
        if let Some(before) = std::mem::replace(&mut past.due, due) {
            self.by_due.remove(&(before, key));
        }
        if let Some(due) = due {
            self.by_due.insert((due, key));
        }
    }

    /// A member that has stayed for long enough by now.
    pub(crate) fn release(&mut self, now: Instant) -> Option<NodeKey> {
        let (_, key) = *self.by_due.first().filter(|(at, _)| *at <= now)?;
        self.set_due(key, None);
        if let Some(past) = self.past.get_mut(&key) {
            past.hold = None;
        }
        Some(key)
    }

    pub(crate) fn forget(&mut self, key: NodeKey) {
        self.set_due(key, None);
        self.past.remove(&key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Liveness::{Alive, Down, Left, Suspect};

    const KEY: NodeKey = NodeKey(7);

    fn at(s: u64) -> Instant {
        Instant::START + Duration::from_secs(s)
    }

    struct Told(Damping);

    impl Told {
        fn note(&mut self, state: Liveness, run: u64, s: u64) -> bool {
            self.0.note(KEY, state, Generation(run), &Config::default(), at(s));
            self.0.is_held(KEY)
        }
    }

    #[test]
    fn the_first_return_is_shown_at_once_and_the_second_after_a_hold_that_grows_to_its_bound() {
        let mut d = Told(Damping::default());
        assert!(!d.note(Alive, 1, 0) && !d.note(Down, 1, 10) && !d.note(Alive, 1, 20));
        let mut s = 100;
        for wanted in [30, 60, 120, 120, 120] {
            assert!(!d.note(Down, 1, s), "a failed member is not held, it has failed");
            assert!(d.note(Alive, 1, s + 10));
            assert_eq!(d.0.next(), Some(at(s + 10 + wanted)));
            assert_eq!(d.0.release(at(s + 9 + wanted)), None);
            s += 10 + wanted;
            assert_eq!(d.0.release(at(s)), Some(KEY));
            assert!(!d.0.is_held(KEY) && d.0.next().is_none());
        }
    }

    #[test]
    fn a_suspicion_lets_the_hold_begin_anew_and_a_failure_ends_it() {
        let mut d = Told(Damping::default());
        for s in [0, 10] {
            d.note(Down, 1, s);
            d.note(Alive, 1, s + 1);
        }
        assert_eq!(d.0.next(), Some(at(41)));
        assert!(d.note(Alive, 1, 20), "hearing of it again changes nothing");
        assert_eq!(d.0.next(), Some(at(41)));
        assert!(d.note(Suspect, 1, 30));
        assert_eq!(d.0.next(), None);
        assert!(d.note(Alive, 1, 35));
        assert_eq!(d.0.next(), Some(at(65)));
        assert!(!d.note(Down, 1, 60));
        assert_eq!((d.0.next(), d.0.held()), (None, 0));
    }

    #[test]
    fn restarts_are_shown_at_once_until_they_do_not_end() {
        let mut d = Told(Damping::default());
        for run in 1..=4 {
            d.note(Down, run, run * 10);
            assert!(!d.note(Alive, run + 1, run * 10 + 1), "run {run}");
        }
        d.note(Down, 5, 50);
        assert!(d.note(Alive, 6, 51));
    }

    #[test]
    fn who_leaves_or_is_good_for_long_has_no_past() {
        let mut d = Told(Damping::default());
        d.note(Down, 1, 0);
        d.note(Alive, 1, 1);
        d.note(Down, 1, 1_300);
        assert!(!d.note(Alive, 1, 1_301), "twenty minutes without a failure");
        d.note(Down, 1, 1_310);
        assert!(d.note(Alive, 1, 1_311));
        d.note(Left, 1, 1_312);
        assert!(d.0.past.is_empty() && d.0.next().is_none());
    }
}
