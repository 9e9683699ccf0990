//! How news gets around: spreading it ([`spread`]) and repairing what spreading missed
//! ([`repair`], [`exchange`], [`answer`]).
//!
//! Follows Demers et al. 1987 (rumour mongering with anti-entropy behind it).

pub(crate) mod answer;
pub(crate) mod exchange;
mod queue;
pub(crate) mod repair;
pub(crate) mod spread;
