//! Figures of a run: how fast, how often wrong.

use super::Distribution;
use crate::model::{Instant, NodeName};
use crate::sim::HostId;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How a node came to be gone for the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum DepartureKind {
    /// Its process died without a word.
    Crashed,
    /// It said that it goes.
    Left,
    /// Its process still exists, but was paused or blocked; others come to know by failing it.
    Silenced,
}

/// How the others learned that a node was gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Departure {
    /// The node.
    pub node: NodeName,
    /// In what way.
    pub kind: DepartureKind,
    /// When.
    pub at: Instant,
    /// Agents that then showed it as live, without those that ended before they came to know.
    pub observers: usize,
    /// For each of them that came to know, how long that took.
    pub known_after: Distribution,
}

impl Departure {
    /// How long it took until one agent knew.
    pub fn first(&self) -> Option<Duration> {
        (!self.known_after.is_empty()).then(|| self.known_after.quantile(0.0))
    }

    /// How long it took until all agents knew; `None` if some never did.
    pub fn full(&self) -> Option<Duration> {
        (self.observers > 0 && self.known_after.len() >= self.observers).then(|| self.known_after.max())
    }
}

/// A node that ran and could be reached, shown as failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FalseFailure {
    /// When.
    pub at: Instant,
    /// By whom.
    pub observer: HostId,
    /// The healthy one.
    pub subject: HostId,
}

/// A node whose process exists, shown as failed; each is a false positive in the sense of the SWIM
/// and Lifeguard papers, whatever was done to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// When.
    pub at: Instant,
    /// By whom.
    pub observer: HostId,
    /// The one that runs.
    pub subject: HostId,
    /// A fault named the observer at some time before.
    pub observer_faulty: bool,
    /// A fault named the subject at some time before.
    pub subject_faulty: bool,
    /// The two could not reach each other then or a moment before.
    pub excused: bool,
}

/// Everything measured so far.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metrics {
    /// Crashes, leaves and silences, in order.
    pub departures: Vec<Departure>,
    /// From each write to each agent (running since before the write) that shows it.
    pub propagation: Distribution,
    /// Wrong verdicts on healthy nodes, in order.
    pub false_failures: Vec<FalseFailure>,
    /// Every verdict on a node that runs, in order.
    pub verdicts: Vec<Verdict>,
    /// Changes of a member's status at any agent.
    pub status_changes: u64,
    /// Numbers of live members that agents showed, each once.
    pub sizes_seen: BTreeSet<usize>,
    /// For each agent, how often it showed a change of who is live; all that one input brings is one
    /// batch. Agents that showed none are not listed.
    #[serde(with = "pairs")]
    pub batches: BTreeMap<HostId, u64>,
    /// How often an observer showed a subject as failed and then, in the same run, as live again.
    /// Pairs without are not listed.
    #[serde(with = "pairs")]
    pub oscillations: BTreeMap<(HostId, HostId), u32>,
}

/// Maps whose keys are no texts, as lists of pairs.
mod pairs {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use std::collections::BTreeMap;

    pub(super) fn serialize<K: Serialize, V: Serialize, S: Serializer>(
        map: &BTreeMap<K, V>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(map)
    }

    pub(super) fn deserialize<'de, K, V, D>(deserializer: D) -> Result<BTreeMap<K, V>, D::Error>
    where
        K: Deserialize<'de> + Ord,
        V: Deserialize<'de>,
        D: Deserializer<'de>,
    {
        Ok(Vec::<(K, V)>::deserialize(deserializer)?.into_iter().collect())
    }
}

impl Metrics {
    pub(crate) const EMPTY: Self = Self {
        departures: Vec::new(),
        propagation: Distribution::EMPTY,
        false_failures: Vec::new(),
        verdicts: Vec::new(),
        status_changes: 0,
        sizes_seen: BTreeSet::new(),
        batches: BTreeMap::new(),
        oscillations: BTreeMap::new(),
    };

    /// Detection times of all crashes together, a sample per observer.
    pub fn detection(&self) -> Distribution {
        self.known_after(DepartureKind::Crashed)
    }

    /// The same for nodes that left.
    pub fn leaving(&self) -> Distribution {
        self.known_after(DepartureKind::Left)
    }

    /// From each crash to the first agent that shows it: a sample per crash.
    pub fn first_detection(&self) -> Distribution {
        self.each(DepartureKind::Crashed, Departure::first)
    }

    /// From each crash to the last agent that shows it: a sample per crash that all came to know.
    pub fn full_detection(&self) -> Distribution {
        self.each(DepartureKind::Crashed, Departure::full)
    }

    /// From the moment a node was silenced to the first verdict about it, while it was silent.
    pub fn first_silenced(&self) -> Distribution {
        self.each(DepartureKind::Silenced, Departure::first)
    }

    /// From the moment a node was silenced to the last verdict, if all reached one while it was
    /// silent.
    pub fn full_silenced(&self) -> Distribution {
        self.each(DepartureKind::Silenced, Departure::full)
    }

    /// Verdicts on nodes that no fault had named (the Lifeguard paper's false positives).
    pub fn about_healthy(&self) -> impl Iterator<Item = &Verdict> {
        self.verdicts.iter().filter(|v| !v.subject_faulty)
    }

    /// Those by observers that no fault had named either (the paper's FP-).
    pub fn at_healthy(&self) -> impl Iterator<Item = &Verdict> {
        self.about_healthy().filter(|v| !v.observer_faulty)
    }

    fn known_after(&self, kind: DepartureKind) -> Distribution {
        let mut all = Distribution::default();
        for d in self.departures.iter().filter(|d| d.kind == kind) {
            all.merge(&d.known_after);
        }
        all
    }

    fn each(&self, kind: DepartureKind, time: impl Fn(&Departure) -> Option<Duration>) -> Distribution {
        let mut all = Distribution::default();
        for took in self.departures.iter().filter(|d| d.kind == kind).filter_map(time) {
            all.add(took);
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn departure(kind: DepartureKind, observers: usize, known_after_ms: &[u64]) -> Departure {
        let mut known_after = Distribution::default();
        for ms in known_after_ms {
            known_after.add(Duration::from_millis(*ms));
        }
        let node = NodeName::new("n").expect("a valid name");
        Departure { node, kind, at: Instant::START, observers, known_after }
    }

    #[test]
    fn full_detection_counts_only_what_everybody_came_to_know() {
        let metrics = Metrics {
            departures: vec![
                departure(DepartureKind::Crashed, 3, &[7, 5, 6]),
                departure(DepartureKind::Crashed, 3, &[2, 9]),
                departure(DepartureKind::Crashed, 3, &[]),
                departure(DepartureKind::Silenced, 1, &[1]),
                departure(DepartureKind::Left, 1, &[1]),
            ],
            ..Metrics::default()
        };
        let ms = Duration::from_millis;
        assert_eq!(metrics.first_detection().sorted(), [ms(2), ms(5)]);
        assert_eq!(metrics.full_detection().sorted(), [ms(7)]);
        assert_eq!(metrics.detection().len(), 5);
        assert_eq!(metrics.first_silenced().sorted(), [ms(1)]);
        assert_eq!(metrics.leaving().len(), 1);
    }

    #[test]
    fn verdicts_are_told_apart_by_what_befell_the_two() {
        let verdict = |observer_faulty, subject_faulty| Verdict {
            at: Instant::START,
            observer: HostId(0),
            subject: HostId(1),
            observer_faulty,
            subject_faulty,
            excused: false,
        };
        let metrics = Metrics {
            verdicts: vec![verdict(false, false), verdict(true, false), verdict(false, true)],
            ..Metrics::default()
        };
        assert_eq!((metrics.about_healthy().count(), metrics.at_healthy().count()), (2, 1));
    }
}
