//! One node's own coordinate: pulled and pushed by each measurement until distances are times.
//!
//! Dabek et al., "Vivaldi: A Decentralized Network Coordinate System" (SIGCOMM 2004), figure 3, with
//! the refinements of Serf and Consul: an adjustment that averages what the space cannot hold, and
//! gravity, so that a cluster does not drift away as a whole.

use crate::model::{COORDINATE_DIMENSIONS, Coordinate};
use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};
use std::time::Duration;

/// How much one measurement can move the error (the paper's c_e).
const ERROR_GAIN: f64 = 0.25;
/// How much one measurement can move the coordinate (the paper's c_c).
const COORDINATE_GAIN: f64 = 0.25;
/// Measurements that the adjustment averages over.
const ADJUSTMENT_WINDOW: usize = 20;
/// Seconds from the origin at which gravity pulls by a second; weak, and only far off noticeable.
const GRAVITY_RHO_S: f64 = 150.0;
/// Below this, in seconds, two points are one and a time is as good as none.
const ZERO_S: f64 = 1e-6;
/// Times above this are no round trips; a coordinate could not hold them.
const RTT_MAX: Duration = Duration::from_secs(10);

type Vector = [f64; COORDINATE_DIMENSIONS];

/// A measurement that cannot be one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Refused;

pub(super) struct Vivaldi {
    at: Coordinate,
    /// What the space was off by, newest over oldest.
    residues: [f64; ADJUSTMENT_WINDOW],
    next_residue: usize,
    rng: SmallRng,
    pub(super) updates: u64,
    /// Times that the figures ran away and the coordinate began anew.
    pub(super) resets: u64,
}

impl Vivaldi {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            at: Coordinate::ORIGIN,
            residues: [0.0; ADJUSTMENT_WINDOW],
            next_residue: 0,
            rng: SmallRng::seed_from_u64(seed),
            updates: 0,
            resets: 0,
        }
    }

    pub(super) const fn coordinate(&self) -> &Coordinate {
        &self.at
    }

    /// A round trip to a node at `other` took `rtt`.
    pub(super) fn observe(&mut self, other: &Coordinate, rtt: Duration) -> Result<(), Refused> {
        if rtt > RTT_MAX {
            return Err(Refused);
        }
        let rtt_s = rtt.as_secs_f64().max(ZERO_S);
        let moved = self.moved(other, rtt_s).and_then(|at| self.adjusted(&at, other, rtt_s));
        match moved.and_then(|at| self.pulled_back(&at)) {
            Some(at) => {
                self.at = at;
                self.updates += 1;
            }
            None => self.reset(),
        }
        Ok(())
    }

    fn reset(&mut self) {
        self.at = Coordinate::ORIGIN;
        self.residues = [0.0; ADJUSTMENT_WINDOW];
        self.resets += 1;
    }

    /// The step of the paper: the less sure of the two moves more.
    fn moved(&mut self, other: &Coordinate, rtt_s: f64) -> Option<Coordinate> {
        let distance = self.at.distance_s(other);
        let off_by = (distance - rtt_s).abs() / rtt_s;
        let weight = self.at.error() / (self.at.error() + other.error()).max(ZERO_S);
        let gain = ERROR_GAIN * weight;
        let error = off_by * gain + self.at.error() * (1.0 - gain);
        let force = COORDINATE_GAIN * weight * (rtt_s - distance);
        let at = self.at;
        let pushed = self.pushed(&at, other, force)?;
        Coordinate::new(*pushed.vec(), error, pushed.adjustment(), pushed.height())
    }

    /// `at` moved by `force` seconds away from `from`. Heights share in it as in the distance.
    fn pushed(&mut self, at: &Coordinate, from: &Coordinate, force: f64) -> Option<Coordinate> {
        let mut direction: Vector = *at.vec();
        for (d, f) in direction.iter_mut().zip(from.vec()) {
            *d -= f;
        }
        let apart = length(&direction);
        let mut height = at.height();
        if apart > ZERO_S {
            height += (at.height() + from.height()) * force / apart;
            direction = direction.map(|d| d / apart);
        } else {
            direction = self.any_direction();
        }
        let mut vec = *at.vec();
        for (v, d) in vec.iter_mut().zip(direction) {
            *v += d * force;
        }
        Coordinate::new(vec, at.error(), at.adjustment(), height.max(Coordinate::HEIGHT_MIN_S))
    }

    /// Nodes that begin at the same point must part somehow.
    fn any_direction(&mut self) -> Vector {
        loop {
            let vector: Vector = std::array::from_fn(|_| self.rng.random::<f64>() - 0.5);
            let length = length(&vector);
            if length > 0.1 {
                return vector.map(|v| v / length);
            }
        }
    }

    /// Half of the mean residue: the other end adds its own half.
    fn adjusted(&mut self, at: &Coordinate, other: &Coordinate, rtt_s: f64) -> Option<Coordinate> {
        self.residues[self.next_residue] = rtt_s - at.raw_distance_s(other);
        self.next_residue = (self.next_residue + 1) % ADJUSTMENT_WINDOW;
        let adjustment = self.residues.iter().sum::<f64>() / (2 * ADJUSTMENT_WINDOW) as f64;
        Coordinate::new(*at.vec(), at.error(), adjustment, at.height())
    }

    fn pulled_back(&mut self, at: &Coordinate) -> Option<Coordinate> {
        let away = at.distance_s(&Coordinate::ORIGIN) / GRAVITY_RHO_S;
        self.pushed(at, &Coordinate::ORIGIN, -away * away)
    }
}

fn length(vector: &Vector) -> f64 {
    vector.iter().map(|v| v * v).sum::<f64>().sqrt()
}
