//! How much of what is sent gets lost, as this agent's own probes show.
//!
//! Owns one smoothed share. Each probe that was answered in the end, by whomever, tells whether its
//! first ping and the answer to it arrived both: two datagrams of which each may have been lost. One
//! that was not answered at all says nothing: its target may be dead. Decides nothing.

/// Weight of a new sample, once there are some; the first ones are averaged.
const GAIN: f64 = 1.0 / 8.0;
/// Less than this is no reason to do anything differently.
const IGNORED: f64 = 0.2;
/// Nothing is sent more than this many times as often.
const FACTOR_MAX: f64 = 3.0;

/// See the module.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Loss {
    /// Of first pings that got no answer.
    unanswered: f64,
    samples: u32,
}

impl Loss {
    /// A member that lives has answered, at once or only when it was asked again.
    pub(super) fn note(&mut self, at_once: bool) {
        let sample = if at_once { 0.0 } else { 1.0 };
        self.samples = self.samples.saturating_add(1);
        self.unanswered += (sample - self.unanswered) * (1.0 / f64::from(self.samples + 1)).max(GAIN);
    }

    /// How many pings it takes, where one would do if none and no answer were lost.
    pub(super) fn of_pings(self, pings: u32) -> u32 {
        (f64::from(pings) * self.factor() * self.factor()).ceil() as u32
    }

    /// How many datagrams it takes, where one would do if none were lost; 1 in ordinary weather.
    pub(super) fn factor(self) -> f64 {
        let arriving = (1.0 - self.unanswered).max(0.0).sqrt();
        if 1.0 - arriving < IGNORED { 1.0 } else { (1.0 / arriving.max(f64::EPSILON)).min(FACTOR_MAX) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lost_of_each_datagram_follows_from_what_is_lost_of_two() {
        for (lost, wanted) in [(0.0, 1.0), (0.05, 1.0), (0.5, 2.0), (0.95, 3.0)] {
            let mut loss = Loss::default();
            let arrives = (1.0 - lost) * (1.0 - lost);
            let (mut owed, mut sum) = (0.0, 0.0);
            for n in 0..10_000 {
                owed += arrives;
                let at_once = owed >= 1.0;
                owed -= if at_once { 1.0 } else { 0.0 };
                loss.note(at_once);
                sum += if n >= 5_000 { loss.factor() / 5_000.0 } else { 0.0 };
            }
            assert!((sum - wanted).abs() < 0.2, "{sum} at {lost}");
        }
    }
}
