//! Network coordinates: points whose distance is the round-trip time between two nodes.
//!
//! The shape is that of Dabek et al., "Vivaldi" (SIGCOMM 2004), section 5.4: a point in a Euclidean
//! space for the core of the network, and a height above it for the link of the host itself. As in
//! Serf the space has eight dimensions, and an adjustment absorbs what no such space can hold. How a
//! coordinate comes to be is the protocol's business; here is what it means.

use super::{Member, NodeKey};
use std::time::Duration;

/// Dimensions of the space.
pub const COORDINATE_DIMENSIONS: usize = 8;

/// Where a node is in the network. Every figure is finite and within bounds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Coordinate {
    vec: [f64; COORDINATE_DIMENSIONS],
    error: f64,
    adjustment: f64,
    height: f64,
}

/// No figure is ever not a number, so equality is what it should be.
impl Eq for Coordinate {}

impl Coordinate {
    /// The error of a coordinate of which nothing is known, and the largest one.
    pub const ERROR_MAX: f64 = 1.5;
    /// The smallest height, in seconds: every host is behind some link.
    pub const HEIGHT_MIN_S: f64 = 1e-5;
    /// The largest value of a component, a height and an adjustment, in seconds.
    pub const SECONDS_MAX: f64 = 10.0;

    /// Where everybody begins.
    pub const ORIGIN: Self = Self {
        vec: [0.0; COORDINATE_DIMENSIONS],
        error: Self::ERROR_MAX,
        adjustment: 0.0,
        height: Self::HEIGHT_MIN_S,
    };

    /// A coordinate of these figures, in seconds but for `error`, which is a share. `None` when one
    /// is no number, not finite, or out of bounds; a height and an error too small or an error too
    /// large are moved to the bound.
    pub fn new(vec: [f64; COORDINATE_DIMENSIONS], error: f64, adjustment: f64, height: f64) -> Option<Self> {
        let fits = |v: f64| v.abs() <= Self::SECONDS_MAX;
        let sound = vec.iter().all(|v| fits(*v)) && fits(adjustment) && fits(height) && error.is_finite();
        sound.then(|| Self {
            vec,
            error: error.clamp(0.0, Self::ERROR_MAX),
            adjustment,
            height: height.max(Self::HEIGHT_MIN_S),
        })
    }

    /// The point in the space, in seconds.
    pub const fn vec(&self) -> &[f64; COORDINATE_DIMENSIONS] {
        &self.vec
    }

    /// How far estimates are off, as a share of the estimate; 1.5 when nothing is known.
    pub const fn error(&self) -> f64 {
        self.error
    }

    /// What is added to every estimate, in seconds; may be negative.
    pub const fn adjustment(&self) -> f64 {
        self.adjustment
    }

    /// Height above the space, in seconds.
    pub const fn height(&self) -> f64 {
        self.height
    }

    /// Whether it says anything: whoever has measured a round trip has left the origin.
    pub fn is_known(&self) -> bool {
        self.vec != Self::ORIGIN.vec
    }

    /// Distance in the space and both heights, in seconds, without the adjustments.
    pub fn raw_distance_s(&self, other: &Self) -> f64 {
        let squares = self.vec.iter().zip(&other.vec).map(|(a, b)| (a - b) * (a - b));
        squares.sum::<f64>().sqrt() + self.height + other.height
    }

    /// The estimated round-trip time in seconds; the same from both ends.
    pub fn distance_s(&self, other: &Self) -> f64 {
        let raw = self.raw_distance_s(other);
        let adjusted = raw + (self.adjustment + other.adjustment);
        // Adjustments are averages over many peers; for a near one they may be too much.
        if adjusted > 0.0 { adjusted } else { raw }
    }

    /// The estimated round-trip time; the same from both ends.
    pub fn rtt_to(&self, other: &Self) -> Duration {
        Duration::from_secs_f64(self.distance_s(other))
    }
}

/// A round-trip time and how it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rtt {
    /// By this agent's own probes, smoothed.
    Measured(Duration),
    /// From the coordinates of both nodes.
    Estimated(Duration),
}

impl Rtt {
    /// What is known of the time between `a` and `b`, at the agent of node `own`: measured when it
    /// is one of the two and has probed the other, else estimated; `None` when neither is possible.
    pub fn between(own: NodeKey, a: &Member, b: &Member) -> Option<Self> {
        if a.key == b.key {
            return Some(Self::Measured(Duration::ZERO));
        }
        let measured = match own {
            own if own == a.key => b.rtt,
            own if own == b.key => a.rtt,
            _ => None,
        };
        let estimate = || Some(a.coordinate?.rtt_to(&b.coordinate?));
        measured.map(Self::Measured).or_else(|| estimate().map(Self::Estimated))
    }

    /// The time.
    pub const fn time(self) -> Duration {
        match self {
            Self::Measured(time) | Self::Estimated(time) => time,
        }
    }

    /// `measured` or `estimated`.
    pub const fn source(self) -> &'static str {
        match self {
            Self::Measured(_) => "measured",
            Self::Estimated(_) => "estimated",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn coordinates() -> impl Strategy<Value = Coordinate> {
        let seconds = -10.0..10.0;
        (prop::array::uniform8(seconds.clone()), 0.0..1.5, seconds, 0.0..10.0)
            .prop_map(|(vec, e, a, h)| Coordinate::new(vec, e, a, h).expect("within bounds"))
    }

    proptest! {
        #[test]
        fn an_estimate_is_the_same_from_both_ends_and_above_zero(a in coordinates(), b in coordinates()) {
            prop_assert_eq!(a.rtt_to(&b), b.rtt_to(&a));
            prop_assert!(a.rtt_to(&b) >= Duration::from_secs_f64(f64::MIN_POSITIVE));
        }
    }

    #[test]
    fn what_is_no_place_is_refused() {
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e300, -10.1] {
            let mut vec = [0.0; COORDINATE_DIMENSIONS];
            assert!(Coordinate::new(vec, 0.1, bad, 0.1).is_none(), "adjustment {bad}");
            assert!(Coordinate::new(vec, 0.1, 0.0, bad).is_none(), "height {bad}");
            vec[7] = bad;
            assert!(Coordinate::new(vec, 0.1, 0.0, 0.1).is_none(), "component {bad}");
        }
        assert!(Coordinate::new([0.0; 8], f64::NAN, 0.0, 0.1).is_none());
        assert!(!Coordinate::ORIGIN.is_known());
    }

    #[test]
    fn adjustments_never_make_a_distance_negative() {
        let at = |adjustment| Coordinate::new([0.0; 8], 0.1, adjustment, 0.001).expect("within bounds");
        assert_eq!(at(-1.0).distance_s(&at(0.0)), 0.002);
        assert_eq!(at(0.5).distance_s(&at(0.0)), 0.502);
    }
}
