//! One run, from its description to what is kept of it.

use super::plan::{Job, Planned};
use super::record::{Figures, Record};
use crate::sim::Report;
use std::time::Duration;

/// A run that has ended.
pub(super) struct Finished {
    pub(super) record: Record,
    /// Everything measured, of the runs whose curves are shown; the record has the figures of all.
    pub(super) report: Option<Box<Report>>,
}

/// Runs `job`. `whole` keeps everything measured; `logged` also what happened.
pub(super) fn run(
    planned: &Planned,
    job: Job,
    whole: bool,
    logged: bool,
    watch: &mut dyn FnMut(Duration, Duration),
) -> Finished {
    let scenario = planned.scenario(job).unwrap_or_else(|_| panic!("what was planned was checked"));
    let scenario = if logged { scenario.logged() } else { scenario };
    let lasts = scenario.duration();
    let report = scenario.run_watched(job.seed, &mut |at| watch(at, lasts));
    let record = Record {
        failures: report.failures.clone(),
        trace: Some(report.trace_hash),
        figures: Figures::of(&report),
        ..blank(planned, job)
    };
    let keep = whole || logged || !record.failures.is_empty();
    Finished { record, report: keep.then(|| Box::new(report)) }
}

impl Finished {
    /// A run that broke off with this message: an invariant that did not hold, or worse.
    pub(super) fn broken(planned: &Planned, job: Job, message: &str) -> Self {
        // The replay line is told with every failure.
        let what = message.split("\nreplay:").next().unwrap_or(message).trim_end();
        let what = format!("an invariant broke: {what}");
        Self { record: Record { failures: vec![what], ..blank(planned, job) }, report: None }
    }
}

fn blank(planned: &Planned, job: Job) -> Record {
    Record {
        parameters: planned.points[job.point].words().map(|(name, value)| (name.to_owned(), value)).collect(),
        mode: planned.modes[job.mode].clone(),
        seed: job.seed,
        failures: Vec::new(),
        trace: None,
        figures: Figures::default(),
    }
}
