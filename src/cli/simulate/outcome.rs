//! The runs of one file as [`report`](crate::sim::report) wants them.

use super::plan::Planned;
use super::reports::{Kept, Results};
use crate::sim::Violation;
use crate::sim::report::{Measured, Outcome, Run};

/// All of them, in the order of the plan.
pub(super) fn of(planned: &Planned, results: &Results) -> Outcome {
    Outcome {
        name: planned.file.name.clone(),
        about: planned.file.about.clone(),
        reproduces: planned.file.reproduces.clone(),
        known: planned.file.known.iter().cloned().collect(),
        baseline: planned.modes[0].clone(),
        runs: results.runs().map(|kept| run(planned, kept)).collect(),
        wall: results.wall(),
    }
}

fn run(planned: &Planned, kept: &Kept) -> Run {
    let record = &kept.record;
    let report = match record.trace {
        Some(trace) => Ok(Measured {
            figures: record.figures.list(),
            failures: record.failures.clone(),
            trace_hash: trace,
            whole: kept.report.clone(),
        }),
        None => Err(Violation { seed: record.seed, text: record.failures.join("; ") }),
    };
    Run {
        seed: record.seed,
        mode: record.mode.clone(),
        parameters: record.parameters.clone(),
        replay: planned.replay_of(record),
        report,
    }
}
