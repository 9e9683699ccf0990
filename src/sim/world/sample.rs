//! Looking at a run from outside at regular times. Looking changes nothing: the trace of a run is
//! the same whether it is sampled or not.

use super::World;
use crate::model::Instant;
use crate::sim::oracle::{Tally, quantile_of};
use crate::sim::{HostId, Traffic};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Observers whose views are kept one by one.
const OBSERVERS_MAX: usize = 256;

/// The spread of one quantity over all hosts.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Spread {
    /// Mean.
    pub mean: f64,
    /// 99 of 100 hosts have no more.
    pub p99: f64,
    /// The most that any host has.
    pub max: f64,
}

impl Spread {
    /// Of these values; zero without any.
    pub(crate) fn of(mut values: Vec<f64>) -> Self {
        if values.is_empty() {
            return Self::default();
        }
        values.sort_unstable_by(f64::total_cmp);
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        Self { mean, p99: quantile_of(&values, 0.99), max: *values.last().unwrap_or(&0.0) }
    }
}

/// A look at the world.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// When.
    pub at: Instant,
    /// What each chosen observer ([`Report::observers`](crate::sim::Report)) shows; `None` where no
    /// agent runs.
    pub views: Vec<Option<Tally>>,
    /// The same, added up over all agents that run.
    pub total: Tally,
    /// Agents that run.
    pub agents: usize,
    /// Views of members and entries that are not as they should be.
    pub wrong: usize,
    /// Rumours that wait in an agent.
    pub rumours: Spread,
    /// Bytes that a host sent per second, since the last sample.
    pub bytes_per_s: Spread,
    /// Datagrams that a host sent per second, since the last sample.
    pub datagrams_per_s: Spread,
}

/// Takes samples of one world.
pub(crate) struct Sampler {
    every: Duration,
    pub(super) next: Instant,
    last: Instant,
    observers: Vec<HostId>,
    traffic: Vec<Traffic>,
    samples: Vec<Sample>,
}

impl World {
    /// Takes a sample now and then, beginning now; observers are chosen among the present hosts.
    pub(crate) fn sample_every(&mut self, every: Duration) {
        let (count, now) = (self.hosts().len(), self.now());
        let chosen = count.min(OBSERVERS_MAX);
        self.sampler = Some(Sampler {
            every: every.max(Duration::from_millis(1)),
            next: now,
            last: now,
            observers: (0..chosen).map(|i| HostId(i * count / chosen.max(1))).collect(),
            traffic: self.hosts().map(|h| self.traffic(h)).collect(),
            samples: Vec::new(),
        });
    }

    /// The samples taken, and the observers whose views are in them.
    pub(crate) fn take_samples(&mut self) -> (Vec<HostId>, Vec<Sample>) {
        self.sampler.take().map_or_else(Default::default, |s| (s.observers, s.samples))
    }

    /// When the next sample is due.
    pub(super) fn sample_due(&self) -> Option<Instant> {
        self.sampler.as_ref().map(|s| s.next)
    }

    pub(super) fn sample(&mut self) {
        let Some(mut sampler) = self.sampler.take() else { return };
        let now = self.now();
        let seconds = now.since(sampler.last).as_secs_f64();
        let (mut total, mut agents, mut rumours) = (Tally::default(), 0, Vec::new());
        let (mut bytes, mut datagrams) = (Vec::new(), Vec::new());
        for host in self.hosts() {
            if let Some(agent) = self.agent(host) {
                let tally = self.oracle.tally(host);
                total.alive += tally.alive;
                total.suspect += tally.suspect;
                total.failed += tally.failed;
                total.left += tally.left;
                agents += 1;
                rumours.push(agent.stats().rumours_waiting as f64);
            }
            let traffic = self.traffic(host);
            let former = sampler.traffic.get(host.index()).copied().unwrap_or_default();
            if seconds > 0.0 {
                bytes.push((traffic.bytes_sent - former.bytes_sent) as f64 / seconds);
                datagrams.push((traffic.datagrams_sent - former.datagrams_sent) as f64 / seconds);
            }
        }
        sampler.samples.push(Sample {
            at: now,
            views: sampler.observers.iter().map(|h| self.agent(*h).map(|_| self.oracle.tally(*h))).collect(),
            total,
            agents,
            wrong: self.oracle.wrong(),
            rumours: Spread::of(rumours),
            bytes_per_s: Spread::of(bytes),
            datagrams_per_s: Spread::of(datagrams),
        });
        sampler.traffic = self.hosts().map(|h| self.traffic(h)).collect();
        sampler.last = now;
        sampler.next = now + sampler.every;
        self.sampler = Some(sampler);
    }
}
