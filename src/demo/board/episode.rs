//! One act and what comes of it.

use crate::demo::sales::Sales;
use crate::demo::script::Act;
use crate::demo::shop::{Host, listed};
use crate::demo::truth::{Opinions, Thing};
use crate::model::MemberStatus;
use std::collections::BTreeSet;
use std::time::Duration;

use super::Tone;

type Pair = (Host, Thing);

/// What is watched after an act.
#[derive(Debug)]
pub(super) struct Episode {
    /// `None` is the start.
    act: Option<Act>,
    at: Duration,
    /// What has to change in somebody's opinion.
    pairs: BTreeSet<Pair>,
    /// Who suspected first, whom, and when.
    suspected: Option<(Host, Host, Duration)>,
    failed: Option<(Host, Host, Duration)>,
    known: Option<(Duration, usize)>,
    told_long: bool,
}

impl Episode {
    /// The start: everybody has everything to learn.
    pub(super) fn start(now: Duration, expected: &Opinions) -> Self {
        let pairs = expected.keys().copied().collect();
        Self { act: None, at: now, pairs, suspected: None, failed: None, known: None, told_long: false }
    }

    /// An act that changes what is to be thought from `before` to `after`.
    pub(super) fn of(act: Act, now: Duration, before: &Opinions, after: &Opinions) -> Self {
        let changed = after.iter().filter(|(pair, want)| before.get(*pair) != Some(*want));
        let pairs = changed.map(|(pair, _)| *pair).collect();
        Self { act: Some(act), at: now, pairs, suspected: None, failed: None, known: None, told_long: false }
    }

    pub(super) fn is_about(&self, pair: Pair) -> bool {
        self.known.is_none() && self.pairs.contains(&pair)
    }

    /// Somebody changed its mind: a line, where it is the first to.
    pub(super) fn noticed(
        &mut self,
        observer: Host,
        host: Host,
        status: MemberStatus,
        now: Duration,
    ) -> Option<String> {
        let after = now.saturating_sub(self.at);
        let (first, verb) = match status {
            MemberStatus::Suspect => (&mut self.suspected, "suspects"),
            MemberStatus::Failed => (&mut self.failed, "holds"),
            MemberStatus::Alive | MemberStatus::Left => return None,
        };
        if first.is_some() || self.act.is_none() || matches!(self.act, Some(Act::Heal(_))) {
            return None;
        }
        *first = Some((observer, host, after));
        let end = if status == MemberStatus::Failed { " for failed" } else { "" };
        Some(format!("{observer} {verb} {host}{end} after {}", seconds(after)))
    }

    /// Looks whether it is known now to everybody who can know; a line, when it has just become so.
    pub(super) fn known_to(
        &mut self,
        expected: &Opinions,
        views: &Opinions,
        now: Duration,
    ) -> Option<String> {
        if self.known.is_some() {
            return None;
        }
        let mut observers = BTreeSet::new();
        for pair in &self.pairs {
            // Who was killed since has no say.
            let Some(want) = expected.get(pair) else { continue };
            if !views.get(pair).is_some_and(|seen| want.is_met_by(*seen)) {
                return None;
            }
            observers.insert(pair.0);
        }
        let after = now.saturating_sub(self.at);
        self.known = Some((after, observers.len()));
        (!observers.is_empty())
            .then(|| format!("all {} agents agree after {}", observers.len(), seconds(after)))
    }

    /// Whether it has just taken `long` without being known everywhere.
    pub(super) fn takes_long(&mut self, now: Duration, long: Duration) -> bool {
        let takes = self.known.is_none() && now.saturating_sub(self.at) >= long;
        takes && !std::mem::replace(&mut self.told_long, true)
    }

    pub(super) const fn is_return(&self) -> bool {
        matches!(self.act, Some(Act::Heal(_)))
    }

    /// Whether it was known for long enough to tell of it as a whole.
    pub(super) fn is_over(&self, now: Duration, quiet: Duration) -> bool {
        self.known.is_some_and(|(after, _)| self.at + after + quiet <= now)
    }

    /// The story in one line.
    pub(super) fn summary(&self, sales: &Sales) -> (Tone, String) {
        let (after, observers) = self.known.unwrap_or_default();
        let agree = format!("all {observers} agents agree after {}", seconds(after));
        let since = sales.since(self.at);
        let (requests, lost) = (since.requests, since.failed);
        let customers = match since.last {
            _ if requests == 0 => "nobody was shopping".to_owned(),
            None => format!("0 of {requests} requests failed"),
            Some((last, fault)) => {
                let why = fault.words();
                format!("{lost} of {requests} requests failed ({why}), the last after {}", seconds(last))
            }
        };
        let tone = if lost == 0 { Tone::Good } else { Tone::Bad };
        let Some(act) = &self.act else {
            return (Tone::Good, format!("the shop is open: {agree} on 5 hosts and 14 instances"));
        };
        let mut parts = Vec::new();
        if let Some((by, host, when)) = self.suspected {
            parts.push(format!("{host} suspected by {by} after {}", seconds(when)));
        }
        if let Some((_, host, when)) = self.failed {
            parts.push(format!("{host} failed after {}", seconds(when)));
        }
        let what = match act {
            Act::Kill(host) => format!("{host}, host of {}, was killed", listed(host.instances())),
            Act::Pause(host) => format!("{host}'s agent was stopped"),
            Act::Unplug(host) => format!("{host} was unplugged"),
            Act::Partition(hosts) => format!("{} cut off", listed(hosts)),
            Act::Drain(target) => format!("{target} drained: nobody is sent there any more"),
            Act::Undrain(target) => format!("{target} back in service"),
            Act::Crash(instance) => format!("{instance} crashed"),
            Act::Heal(Some(host)) => format!("{host} healed"),
            Act::Heal(None) => "healed".to_owned(),
        };
        parts.extend([agree, customers]);
        (tone, format!("{what}: {}", parts.join(", ")))
    }
}

/// Seconds with two digits after the point.
pub(super) fn seconds(time: Duration) -> String {
    format!("{:.2} s", time.as_secs_f64())
}
