//! What follows from the settings, in a cluster of a certain size and at a certain health.

use super::Config;
use std::time::Duration;

/// Times and counts that an agent goes by at present.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Effective {
    /// Time between two of this agent's probes: `probe_interval`, longer by its local health.
    pub probe_interval: Duration,
    /// Time to answer a probe directly before others are asked at the latest: `probe_timeout`, longer by
    /// the local health.
    pub probe_timeout: Duration,
    /// Time to refute for a suspect with one accuser:
    /// `suspicion_stretch * suspicion_mult * max(1, log10(n)) * probe_interval`; with two members the
    /// same without the stretch.
    pub suspicion_longest: Duration,
    /// Time to refute for a suspect that a full crowd accuses: `suspicion_min`.
    pub suspicion_shortest: Duration,
    /// After this time without a datagram the agent thinks that it cannot hear: two probe intervals.
    pub deaf_after: Duration,
    /// So long it blames itself then, before it fails its suspects.
    pub isolation: Duration,
    /// How often a rumour is sent by each agent: `max(12, 4 * ceil(log10(n + 1)))`.
    pub rumour_sends: u32,
}

impl Config {
    /// What holds with `live` members, this node among them, at a local health of `health`.
    pub(crate) fn effective(&self, live: usize, health: u32) -> Effective {
        let unit = self.suspicion_timeout(live);
        let alone = live <= 2;
        Effective {
            probe_interval: self.probe_interval * (health + 1),
            probe_timeout: self.probe_timeout * (health + 1),
            suspicion_longest: if alone { unit } else { unit * self.suspicion_stretch },
            suspicion_shortest: if alone { unit } else { self.suspicion_min.min(unit) },
            deaf_after: self.deaf_after(),
            isolation: self.isolation_timeout(live),
            rumour_sends: self.transmissions(live),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::config::Settings;

    #[test]
    fn size_and_health_stretch_what_they_should() {
        let config = Config::new(Settings::lan()).expect("valid");
        let seconds = Duration::from_secs;
        let small = config.effective(2, 0);
        assert_eq!((small.suspicion_longest, small.suspicion_shortest), (seconds(4), seconds(4)));
        assert_eq!(
            (small.probe_interval, small.deaf_after, small.isolation),
            (seconds(1), seconds(2), seconds(8))
        );
        let large = config.effective(1_000, 2);
        assert_eq!((large.suspicion_longest, large.suspicion_shortest), (seconds(72), seconds(2)));
        assert_eq!((large.probe_interval, large.probe_timeout), (seconds(3), Duration::from_millis(1_500)));
        assert_eq!((large.isolation, large.rumour_sends), (seconds(72), 16));
    }
}
