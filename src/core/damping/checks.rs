//! Checks of this host that keep changing: told as they were at their worst until they are better for
//! a while.
//!
//! Every change of a check is news for the whole cluster, and a balancer that follows each of them
//! sends requests to an instance that is about to fail again. So a check's first returns are told at
//! once, as whoever flips it by hand expects; from then on each fall doubles the time that it has to
//! be better before others hear of it. A fall is always told at once. This host's own agent shows
//! what the check really is (`/v1/agent/checks`).

use super::{FORGIVEN_AFTER_HOLDS, hold};
use crate::core::config::Config;
use crate::model::{CheckId, CheckStatus, Instant};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Returns that are told at once.
const RETURNS_FREE: u32 = 3;

/// A check that became worse at some time.
#[derive(Debug, Clone, Copy)]
struct Past {
    falls: u32,
    fell_at: Instant,
    held: Option<Held>,
}

/// A return that is not told yet.
#[derive(Debug, Clone, Copy)]
struct Held {
    /// As what the check is told.
    as_status: CheckStatus,
    hold: Duration,
    due: Instant,
}

/// All of this host's checks that have fallen; as many as there are checks at most.
#[derive(Debug, Default)]
pub(crate) struct CheckDamping {
    past: BTreeMap<CheckId, Past>,
    by_due: BTreeSet<(Instant, CheckId)>,
}

impl CheckDamping {
    /// What others are told of a check that is `status`.
    pub(crate) fn told(&self, id: &CheckId, status: CheckStatus) -> CheckStatus {
        let held = self.past.get(id).and_then(|p| p.held);
        held.map_or(status, |held| held.as_status.max(status))
    }

    /// Checks that are told as worse than they are.
    pub(crate) fn held(&self) -> usize {
        self.by_due.len()
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        self.by_due.first().map(|(at, _)| *at)
    }

    /// A check was `before` and is `after`.
    pub(crate) fn note(
        &mut self,
        id: &CheckId,
        before: CheckStatus,
        after: CheckStatus,
        config: &Config,
        now: Instant,
    ) {
        if after > before {
            self.fell(id, after, config, now);
        } else if after < before {
            self.rose(id, before, config, now);
        }
    }

    fn fell(&mut self, id: &CheckId, to: CheckStatus, config: &Config, now: Instant) {
        let past = self.past.entry(id.clone()).or_insert(Past { falls: 0, fell_at: now, held: None });
        if now.since(past.fell_at) > config.check_hold_max * FORGIVEN_AFTER_HOLDS {
            past.falls = 0;
        }
        past.falls = past.falls.saturating_add(1);
        past.fell_at = now;
        let falls = past.falls;
        let held = past.held.filter(|held| held.as_status > to);
        self.set_held(id, held.and_then(|held| Self::hold(held.as_status, falls, config, now)));
    }

    fn rose(&mut self, id: &CheckId, from: CheckStatus, config: &Config, now: Instant) {
        let Some(past) = self.past.get(id) else { return };
        if past.held.is_none() {
            let held = Self::hold(from, past.falls, config, now);
            if let Some(Held { hold, .. }) = held {
                tracing::warn!(
                    check = id.as_str(),
                    told_as = from.as_str(),
                    better_for_s = hold.as_secs_f64(),
                    "a check keeps changing: others are told that it is better when it has been for a while"
                );
            }
            self.set_held(id, held);
        }
    }

    fn hold(as_status: CheckStatus, falls: u32, config: &Config, now: Instant) -> Option<Held> {
        let hold = hold(falls, RETURNS_FREE, config.check_hold_min, config.check_hold_max)?;
        Some(Held { as_status, hold, due: now + hold })
    }

    fn set_held(&mut self, id: &CheckId, held: Option<Held>) {
        let Some(past) = self.past.get_mut(id) else { return };
        if let Some(before) = std::mem::replace(&mut past.held, held) {
            self.by_due.remove(&(before.due, id.clone()));
        }
        if let Some(Held { due, .. }) = held {
            self.by_due.insert((due, id.clone()));
        }
    }

    /// A check that has been better for long enough by now.
    pub(crate) fn release(&mut self, now: Instant) -> Option<CheckId> {
        let (_, id) = self.by_due.first().filter(|(at, _)| *at <= now).cloned()?;
        self.set_held(&id, None);
        Some(id)
    }

    /// The check is registered no more.
    pub(crate) fn forget(&mut self, id: &CheckId) {
        self.set_held(id, None);
        self.past.remove(id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use CheckStatus::{Critical, Passing, Warning};

    struct Told {
        damping: CheckDamping,
        id: CheckId,
        status: CheckStatus,
    }

    fn at(s: u64) -> Instant {
        Instant::START + Duration::from_secs(s)
    }

    impl Told {
        fn new() -> Self {
            let id = CheckId::new("c").expect("valid");
            Self { damping: CheckDamping::default(), id, status: Passing }
        }

        fn becomes(&mut self, status: CheckStatus, s: u64) -> CheckStatus {
            self.damping.note(&self.id, self.status, status, &Config::default(), at(s));
            self.status = status;
            self.damping.told(&self.id, status)
        }
    }

    #[test]
    fn three_returns_are_told_at_once_and_then_a_check_has_to_stay_better_ever_longer() {
        let mut t = Told::new();
        for s in [0, 10, 20] {
            assert_eq!((t.becomes(Critical, s), t.becomes(Passing, s + 1)), (Critical, Passing));
        }
        let mut s = 30;
        for wanted in [5, 10, 20, 40, 60, 60] {
            assert_eq!((t.becomes(Critical, s), t.becomes(Passing, s + 1)), (Critical, Critical));
            assert_eq!((t.damping.next(), t.damping.held()), (Some(at(s + 1 + wanted)), 1));
            assert_eq!(t.damping.release(at(s + wanted)), None);
            s += 1 + wanted;
            assert_eq!(t.damping.release(at(s)).as_ref(), Some(&t.id));
            assert_eq!((t.damping.told(&t.id, Passing), t.damping.held()), (Passing, 0));
        }
    }

    #[test]
    fn a_fall_is_told_at_once_and_begins_the_wait_anew() {
        let mut t = Told::new();
        for s in 0..4 {
            t.becomes(Warning, s);
            t.becomes(Passing, s);
        }
        assert_eq!((t.damping.told(&t.id, Passing), t.damping.next()), (Warning, Some(at(8))));
        assert_eq!(t.becomes(Critical, 5), Critical, "worse than what is held");
        assert_eq!(t.damping.next(), None);
        assert_eq!(t.becomes(Warning, 6), Critical);
        assert_eq!(t.damping.next(), Some(at(16)));
        assert_eq!(t.becomes(Passing, 7), Critical);
        assert_eq!(t.damping.next(), Some(at(16)), "better still changes nothing");
        assert_eq!(t.becomes(Warning, 8), Critical, "worse, but not as bad as it is told");
        assert_eq!(t.damping.next(), Some(at(28)));
    }

    #[test]
    fn who_is_good_for_long_or_is_registered_anew_has_no_past() {
        let mut t = Told::new();
        for s in 0..4 {
            t.becomes(Critical, s);
            t.becomes(Passing, s);
        }
        assert!(t.damping.release(at(60)).is_some());
        assert_eq!((t.becomes(Critical, 700), t.becomes(Passing, 701)), (Critical, Passing));
        for s in 702..705 {
            t.becomes(Critical, s);
            t.becomes(Passing, s);
        }
        assert_eq!(t.damping.held(), 1);
        t.damping.forget(&t.id);
        assert_eq!((t.damping.held(), t.damping.told(&t.id, Passing)), (0, Passing));
        assert!(t.damping.past.is_empty() && t.damping.by_due.is_empty());
    }
}
