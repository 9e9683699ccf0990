//! The typical one of a member's last round-trip times.
//!
//! One datagram that was held up must not throw a coordinate off its place, so it is the median of
//! the last three that counts (Ledlie, Gardner, Seltzer: "Network Coordinates in the Wild", NSDI
//! 2007, section 4.1).

use std::time::Duration;

const SAMPLES: usize = 3;

#[derive(Debug, Clone, Default)]
pub(super) struct Latency {
    /// Newest first; as long as there were samples.
    last: [Option<Duration>; SAMPLES],
}

impl Latency {
    /// Takes in a sample and tells the median of the last three; of two, the greater.
    pub(super) fn add(&mut self, rtt: Duration) -> Duration {
        self.last.rotate_right(1);
        self.last[0] = Some(rtt);
        let mut sorted = self.last;
        // Those that are not there yet come first.
        sorted.sort_unstable();
        let missing = sorted.iter().filter(|sample| sample.is_none()).count();
        sorted[missing + (SAMPLES - missing) / 2].expect("there is one by now")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_late_answer_of_three_does_not_count() {
        let ms = Duration::from_millis;
        let mut latency = Latency::default();
        let medians = [5, 7, 900, 6, 5, 5].map(|sample| latency.add(ms(sample)).as_millis());
        assert_eq!(medians, [5, 7, 7, 7, 6, 5]);
    }
}
