//! What the shoppers got.

use super::shop::{Host, Instance, SERVICES};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// How long single requests are remembered.
const REMEMBERED: Duration = Duration::from_secs(60);
/// And how many at most.
const REQUESTS_MAX: usize = 10_000;
/// Rates and shares are of this time.
pub(super) const LATELY: Duration = Duration::from_secs(5);

/// One request and what became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Request {
    /// When it ended, since the start.
    pub(super) at: Duration,
    /// Place in [`SERVICES`].
    pub(super) service: usize,
    /// Who was asked, where anybody was.
    pub(super) instance: Option<Instance>,
    pub(super) outcome: Result<(), Fault>,
}

/// Why a request failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fault {
    /// The agent that was to say where to go said nothing.
    AgentSilent(Host),
    /// It knows nobody to go to.
    NobodyOffers,
    /// Nobody listens there.
    Refused,
    /// Nobody answered there in time.
    Unanswered,
}

impl Fault {
    pub(super) fn words(self) -> String {
        match self {
            Self::AgentSilent(host) => format!("{host}'s agent does not answer"),
            Self::NobodyOffers => "no healthy instance".to_owned(),
            Self::Refused => "connection refused".to_owned(),
            Self::Unanswered => "no answer".to_owned(),
        }
    }
}

/// Requests of one service.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) ok: u64,
    pub(super) failed: u64,
}

/// What the shoppers got so far.
#[derive(Debug, Default)]
pub(super) struct Sales {
    recent: VecDeque<Request>,
    tallies: [Tally; SERVICES.len()],
}

/// Requests since a moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Since {
    pub(super) requests: usize,
    pub(super) failed: usize,
    /// When the last failure was, after that moment, and why most of them failed.
    pub(super) last: Option<(Duration, Fault)>,
}

impl Sales {
    pub(super) fn take(&mut self, request: Request) {
        let tally = &mut self.tallies[request.service];
        match request.outcome {
            Ok(()) => tally.ok += 1,
            Err(_) => tally.failed += 1,
        }
        let old = |r: &Request| r.at + REMEMBERED < request.at || self.recent.len() >= REQUESTS_MAX;
        if self.recent.front().is_some_and(old) {
            self.recent.pop_front();
        }
        self.recent.push_back(request);
    }

    pub(super) const fn of(&self, service: usize) -> Tally {
        self.tallies[service]
    }

    pub(super) fn total(&self) -> Tally {
        self.tallies
            .iter()
            .fold(Tally::default(), |sum, t| Tally { ok: sum.ok + t.ok, failed: sum.failed + t.failed })
    }

    pub(super) fn since(&self, moment: Duration) -> Since {
        let mut since = Since::default();
        let mut faults: BTreeMap<Fault, usize> = BTreeMap::new();
        for request in self.recent.iter().filter(|r| r.at >= moment) {
            since.requests += 1;
            if let Err(fault) = request.outcome {
                since.failed += 1;
                *faults.entry(fault).or_default() += 1;
                let last = since.last.map_or(Duration::ZERO, |(at, _)| at);
                since.last = Some((last.max(request.at - moment), fault));
            }
        }
        let common = faults.into_iter().max_by_key(|(_, count)| *count);
        if let (Some((_, fault)), Some((most, _))) = (&mut since.last, common) {
            *fault = most;
        }
        since
    }

    /// Answers of each instance of a service in the last seconds before `now`, and failed requests.
    pub(super) fn lately(&self, service: usize, now: Duration) -> (BTreeMap<Instance, usize>, usize) {
        let (mut answered, mut failed) = (BTreeMap::new(), 0);
        for request in self.recent.iter().rev().take_while(|r| r.at + LATELY >= now) {
            match (request.service == service, request.outcome, request.instance) {
                (true, Ok(()), Some(instance)) => *answered.entry(instance).or_default() += 1,
                (true, Err(_), _) => failed += 1,
                _ => {}
            }
        }
        (answered, failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(ms: u64, outcome: Result<(), Fault>) -> Request {
        let instance = Instance::named("cart-1");
        Request { at: Duration::from_millis(ms), service: 1, instance, outcome }
    }

    #[test]
    fn failures_are_counted_from_a_moment_on_with_the_last_and_the_usual_reason() {
        let mut sales = Sales::default();
        for (ms, outcome) in [
            (100, Err(Fault::Unanswered)),
            (1_000, Ok(())),
            (1_200, Err(Fault::Refused)),
            (1_300, Err(Fault::Refused)),
            (1_500, Err(Fault::Unanswered)),
            (1_600, Ok(())),
        ] {
            sales.take(request(ms, outcome));
        }
        let since = sales.since(Duration::from_secs(1));
        assert_eq!((since.requests, since.failed), (5, 3));
        assert_eq!(since.last, Some((Duration::from_millis(500), Fault::Refused)));
        assert_eq!(sales.total(), Tally { ok: 2, failed: 4 });
        let (answered, failed) = sales.lately(1, Duration::from_secs(6));
        assert_eq!((answered.values().sum::<usize>(), failed), (2, 3));
    }

    #[test]
    fn so_many_requests_are_remembered() {
        let mut sales = Sales::default();
        for _ in 0..REQUESTS_MAX + 10 {
            sales.take(request(5, Ok(())));
        }
        assert_eq!(sales.recent.len(), REQUESTS_MAX);
        assert_eq!(sales.of(1).ok, REQUESTS_MAX as u64 + 10);
    }
}
