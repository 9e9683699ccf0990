//! Foca's timers in our hands: one ordered queue, in process, that cannot lose any.

use super::identity::Life;
use crate::model::Instant;
use foca::Timer;
use std::collections::BTreeMap;
use std::time::Duration;

/// When, which kind first, which was submitted first: one total order.
type Key = (Instant, u8, u64);

#[derive(Debug)]
pub(super) struct Timers<T = Life> {
    /// With the moment at which each was submitted.
    queue: BTreeMap<Key, (Instant, Timer<T>)>,
    sequence: u64,
}

impl<T> Default for Timers<T> {
    fn default() -> Self {
        Self { queue: BTreeMap::new(), sequence: 0 }
    }
}

/// Order among timers that are due together; an indirect stage must be seen before the next probe.
const fn rank<T>(timer: &Timer<T>) -> u8 {
    match timer {
        Timer::SendIndirectProbe { .. } => 0,
        Timer::ProbeRandomMember(_) => 1,
        Timer::ChangeSuspectToDown { .. } => 2,
        Timer::PeriodicAnnounce(_) => 3,
        Timer::PeriodicGossip(_) => 4,
        Timer::PeriodicAnnounceDown(_) => 5,
        Timer::RemoveDown(_) => 6,
    }
}

impl<T> Timers<T> {
    pub(super) fn submit(&mut self, timer: Timer<T>, now: Instant, after: Duration) {
        self.sequence += 1;
        self.queue.insert((now + after, rank(&timer), self.sequence), (now, timer));
    }

    pub(super) fn next(&self) -> Option<(Instant, &'static str)> {
        self.queue.first_key_value().map(|((at, ..), (_, timer))| {
            let why = match timer {
                Timer::ProbeRandomMember(_) => "probe",
                Timer::SendIndirectProbe { .. } => "indirect probe",
                Timer::ChangeSuspectToDown { .. } => "suspicion",
                Timer::RemoveDown(_) => "reap",
                Timer::PeriodicAnnounce(_) | Timer::PeriodicGossip(_) | Timer::PeriodicAnnounceDown(_) => {
                    "periodic"
                }
            };
            (*at, why)
        })
    }

    /// The first timer that is due.
    pub(super) fn pop(&mut self, now: Instant) -> Option<Timer<T>> {
        let first = self.queue.first_entry()?;
        (first.key().0 <= now).then(|| first.remove().1)
    }

    /// Moves everything by `by`: time in which this agent did not run counts for nobody. What was
    /// submitted since then is moved by its age.
    pub(super) fn postpone(&mut self, by: Duration, now: Instant) {
        self.queue = std::mem::take(&mut self.queue)
            .into_iter()
            .map(|((at, rank, sequence), (since, timer))| {
                let by = by.min(now.since(since));
                ((at + by, rank, sequence), (since + by, timer))
            })
            .collect();
    }

    /// Lets the next probe come after `share` of the time that it would have taken from `now`.
    pub(super) fn hasten_probe(&mut self, now: Instant, share: f64) {
        let probe = self.queue.iter().find(|(_, (_, t))| matches!(t, Timer::ProbeRandomMember(_)));
        let Some((&(at, rank, sequence), _)) = probe else { return };
        if let Some(timer) = self.queue.remove(&(at, rank, sequence)) {
            self.queue.insert((now + at.since(now).mul_f64(share), rank, sequence), timer);
        }
    }

    /// Lets the indirect stage of the probe under way begin at `at`, if it would be later.
    pub(super) fn hasten_indirect(&mut self, at: Instant) {
        let later = |key: &Key, (_, t): &(Instant, Timer<T>)| {
            key.0 > at && matches!(t, Timer::SendIndirectProbe { .. })
        };
        let Some(key) = self.queue.iter().find(|(key, t)| later(key, t)).map(|(key, _)| *key) else { return };
        if let Some(timer) = self.queue.remove(&key) {
            self.queue.insert((at, key.1, key.2), timer);
        }
    }

    /// Whether a probe is scheduled until `end`. Without one probing has ended for good.
    pub(super) fn has_probe(&self, end: Instant) -> bool {
        let until = self.queue.range(..=(end, u8::MAX, u64::MAX));
        until.into_iter().any(|(_, (_, t))| matches!(t, Timer::ProbeRandomMember(_)))
    }

    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(s: u64) -> Instant {
        Instant::START + Duration::from_secs(s)
    }

    /// A process that goes on after a minute hears first that it has to begin a new life, and learns
    /// only then that it did not run.
    #[test]
    fn a_stall_does_not_move_what_was_submitted_after_it() {
        let mut timers: Timers<u64> = Timers::default();
        timers.submit(Timer::ProbeRandomMember(0), at(14), Duration::from_secs(1));
        timers.submit(Timer::ProbeRandomMember(1), at(75), Duration::from_secs(1));
        timers.postpone(Duration::from_secs(60), at(75));
        assert_eq!(timers.next(), Some((at(75), "probe")));
        assert!(matches!(timers.pop(at(75)), Some(Timer::ProbeRandomMember(0))));
        assert_eq!(timers.next(), Some((at(76), "probe")));
        assert!(timers.has_probe(at(76)) && !timers.has_probe(at(75)));
    }
}
