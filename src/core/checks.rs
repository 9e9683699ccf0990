//! When the checks that this agent carries out itself are due, and what their results make of them.
//!
//! Owns, for each such check, when it runs next and how many runs in a row went well or not. The first
//! run comes after a random part of the interval, so that a thousand checks that were registered
//! together do not run together; each further one an interval after the end of the one before, so
//! that a slow target is not asked twice at once. A status takes as many results in a row as the
//! definition says; the first result of all decides at once. Carries nothing out itself: that is the
//! shell's business, which brings each result back with the number of its run.

use crate::model::{CheckId, CheckKind, CheckStatus, Instant, LocalCheck, Probe};
use rand::RngExt as _;
use rand::rngs::SmallRng;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A run that is to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) id: CheckId,
    pub(crate) number: u64,
    pub(crate) probe: Arc<Probe>,
}

#[derive(Debug)]
struct Scheduled {
    probe: Arc<Probe>,
    /// When the next run begins; `None` while one is under way.
    due: Option<Instant>,
    /// The run that is under way, or was last.
    number: u64,
    successes: u32,
    failures: u32,
}

impl Scheduled {
    /// What the result of one run makes of the check; `None`: nothing yet.
    fn judge(&mut self, status: CheckStatus) -> Option<CheckStatus> {
        if status == CheckStatus::Critical {
            self.successes = 0;
            self.failures = self.failures.saturating_add(1);
            return match self.failures {
                n if n >= self.probe.failures_before_critical => Some(CheckStatus::Critical),
                n if n >= self.probe.failures_before_warning => Some(CheckStatus::Warning),
                _ => None,
            };
        }
        self.failures = 0;
        self.successes = self.successes.saturating_add(1);
        (self.successes >= self.probe.successes_before_passing).then_some(status)
    }
}

/// The probe of a check, if it has one.
fn probe_of(check: &LocalCheck) -> Option<&Arc<Probe>> {
    match &check.definition.kind {
        CheckKind::Probe(probe) => Some(probe),
        CheckKind::Ttl { .. } | CheckKind::Maintenance | CheckKind::Alias(_) => None,
    }
}

/// All of this host's checks that are carried out by its agent.
#[derive(Debug)]
pub(crate) struct Schedule {
    rng: SmallRng,
    table: BTreeMap<CheckId, Scheduled>,
    by_due: BTreeSet<(Instant, CheckId)>,
    /// Runs that were begun, of all checks; numbers them.
    pub(crate) begun: u64,
    /// Results that nobody waited for any more.
    pub(crate) stale: u64,
}

impl Schedule {
    pub(crate) fn new(rng: SmallRng) -> Self {
        Self { rng, table: BTreeMap::new(), by_due: BTreeSet::new(), begun: 0, stale: 0 }
    }

    /// Checks that are carried out here.
    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        self.by_due.first().map(|(at, _)| *at)
    }

    /// The check is as it is now; one whose probe did not change keeps its turn. Says whether a run that
    /// may be under way is of no use any more.
    pub(crate) fn put(&mut self, check: &LocalCheck, now: Instant) -> bool {
        let id = &check.definition.id;
        let Some(probe) = probe_of(check) else { return self.remove(id) };
        if self.table.get(id).is_some_and(|s| Arc::ptr_eq(&s.probe, probe) || s.probe == *probe) {
            return false;
        }
        let replaced = self.remove(id);
        let due = now + probe.interval.mul_f64(self.rng.random());
        self.by_due.insert((due, id.clone()));
        let scheduled = Scheduled {
            probe: Arc::clone(probe),
            due: Some(due),
            number: 0,
            // Full, so that the first result decides.
            successes: probe.successes_before_passing,
            failures: probe.failures_before_critical,
        };
        self.table.insert(id.clone(), scheduled);
        replaced
    }

    /// The check is registered no more. Says whether a run of it may be under way.
    pub(crate) fn remove(&mut self, id: &CheckId) -> bool {
        let Some(old) = self.table.remove(id) else { return false };
        if let Some(due) = old.due {
            self.by_due.remove(&(due, id.clone()));
        }
        old.due.is_none()
    }

    /// A run that is due.
    pub(crate) fn begin(&mut self, now: Instant) -> Option<Run> {
        if self.next()? > now {
            return None;
        }
        let (_, id) = self.by_due.pop_first()?;
        self.begun += 1;
        let scheduled = self.table.get_mut(&id)?;
        scheduled.due = None;
        scheduled.number = self.begun;
        Some(Run { id, number: self.begun, probe: Arc::clone(&scheduled.probe) })
    }

    /// A run has ended like this: what the check is now, if that is decided by it.
    pub(crate) fn end(
        &mut self,
        id: &CheckId,
        number: u64,
        status: CheckStatus,
        now: Instant,
    ) -> Option<CheckStatus> {
        let scheduled = self.table.get_mut(id).filter(|s| s.number == number && s.due.is_none());
        let Some(scheduled) = scheduled else {
            self.stale += 1;
            return None;
        };
        let due = now + scheduled.probe.interval;
        scheduled.due = Some(due);
        let decided = scheduled.judge(status);
        self.by_due.insert((due, id.clone()));
        decided
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{CheckDefinition, ProbeTarget};
    use CheckStatus::{Critical, Passing, Warning};
    use rand::SeedableRng as _;
    use std::time::Duration;

    const INTERVAL: Duration = Duration::from_secs(10);

    fn check(id: &str, successes: u32, warning: u32, critical: u32) -> LocalCheck {
        let probe = Probe {
            target: ProbeTarget::Udp { address: "127.0.0.1:1".to_owned() },
            interval: INTERVAL,
            timeout: Duration::from_secs(1),
            successes_before_passing: successes,
            failures_before_warning: warning,
            failures_before_critical: critical,
            output_bytes_max: 4_096,
        };
        let definition = CheckDefinition {
            id: CheckId::new(id).expect("valid"),
            name: id.to_owned(),
            notes: String::new(),
            service_id: None,
            kind: CheckKind::Probe(Arc::new(probe)),
            initial_status: None,
            interval: String::new(),
            timeout: String::new(),
            deregister_critical_after: None,
        };
        LocalCheck {
            definition: Arc::new(definition),
            status: Critical,
            output: Arc::from(""),
            deadline: None,
            critical_since: None,
        }
    }

    fn schedule() -> Schedule {
        Schedule::new(SmallRng::seed_from_u64(1))
    }

    fn at(s: u64) -> Instant {
        Instant::START + Duration::from_secs(s)
    }

    /// Runs the only check as long as there are results; what each makes of it.
    fn decided(check: &LocalCheck, results: &[CheckStatus]) -> Vec<Option<CheckStatus>> {
        let mut schedule = schedule();
        schedule.put(check, Instant::START);
        let mut now = Instant::START;
        let mut all = Vec::new();
        for status in results {
            now = schedule.next().expect("it is due").max(now);
            let run = schedule.begin(now).expect("it is due");
            assert_eq!(schedule.begin(now), None, "once at a time");
            all.push(schedule.end(&run.id, run.number, *status, now));
            assert_eq!(schedule.next(), Some(now + INTERVAL));
        }
        all
    }

    #[test]
    fn a_status_takes_as_many_results_in_a_row_as_it_should() {
        assert_eq!(
            decided(&check("a", 1, 1, 1), &[Passing, Critical, Warning]),
            [Some(Passing), Some(Critical), Some(Warning)]
        );
        let results = [Critical, Passing, Warning, Passing, Critical, Critical, Critical, Critical, Passing];
        assert_eq!(
            decided(&check("b", 3, 2, 4), &results),
            [
                Some(Critical),
                None,
                None,
                Some(Passing),
                None,
                Some(Warning),
                Some(Warning),
                Some(Critical),
                None
            ]
        );
    }

    #[test]
    fn first_runs_are_spread_over_the_interval() {
        let mut schedule = schedule();
        for n in 0..1_000 {
            schedule.put(&check(&format!("c{n}"), 1, 1, 1), at(100));
        }
        for second in 0..10 {
            let mut runs = 0;
            while schedule.begin(at(100 + second + 1)).is_some() {
                runs += 1;
            }
            assert!((60..=150).contains(&runs), "{runs} in second {second}");
        }
    }

    #[test]
    fn what_was_replaced_or_removed_while_it_ran_is_not_judged() {
        let mut schedule = schedule();
        let first = check("a", 1, 1, 1);
        assert!(!schedule.put(&first, at(0)));
        let run = schedule.begin(at(10)).expect("it is due");
        assert!(!schedule.put(&first, at(11)), "the same again keeps its turn");
        assert!(schedule.put(&check("a", 2, 1, 1), at(12)), "another one ends the run");
        assert_eq!(schedule.end(&run.id, run.number, Passing, at(13)), None);
        let run = schedule.begin(at(30)).expect("it is due");
        assert!(schedule.remove(&run.id));
        assert_eq!(schedule.end(&run.id, run.number, Passing, at(31)), None);
        assert_eq!((schedule.stale, schedule.next()), (2, None));
    }
}
