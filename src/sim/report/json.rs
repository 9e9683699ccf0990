//! The report for machines: every figure of every run, distributions, samples of some.
//!
//! Times are in seconds, rates per second. A figure that never came to be is `null`; one that does
//! not apply is missing. Samples over time are given for the first run of each group and for runs
//! that failed, up to a bound.

use super::curves::Curve;
use super::summary::{Range, Summary};
use super::{Outcome, Run};
use crate::sim::{Distribution, Report, Sample, Spread, Tally};
use serde_json::{Map, Value, json};

/// Points of a distribution.
const POINTS_MAX: usize = 200;
/// Verdicts that are listed one by one.
const VERDICTS_MAX: usize = 100;
/// Runs whose samples are given.
const SAMPLED_MAX: usize = 32;

/// `outcome` as one JSON document.
pub fn json(outcome: &Outcome) -> String {
    let summary = Summary::of(outcome);
    let mut sampled = 0;
    let runs: Vec<Value> = outcome
        .runs
        .iter()
        .map(|run| {
            let first = summary.groups.iter().any(|g| g.runs.first().is_some_and(|r| std::ptr::eq(*r, run)));
            let with_samples = (first || !run.is_ok()) && sampled < SAMPLED_MAX;
            sampled += usize::from(with_samples);
            run_of(run, with_samples)
        })
        .collect();
    let document = json!({
        "scenario": outcome.name,
        "about": outcome.about,
        "reproduces": outcome.reproduces,
        "known": outcome.known,
        "baseline": summary.baseline,
        "ok": outcome.runs.iter().all(Run::is_ok),
        "failed": outcome.runs.iter().filter(|run| !run.is_ok()).count(),
        "wall_s": outcome.wall.as_secs_f64(),
        "modes": groups(&Summary::by_mode(outcome)),
        "groups": groups(&summary),
        "runs": runs,
    });
    serde_json::to_string(&document).expect("a tree of strings and numbers is valid JSON") + "\n"
}

/// The figures of each group of runs.
fn groups(summary: &Summary<'_>) -> Value {
    let groups = summary.groups.iter().map(|group| {
        let figures = group.figures.iter().map(|(kind, range)| {
            let mut value = range_of(*range);
            value.insert("unit".to_owned(), json!(kind.unit.as_str()));
            value.insert("about".to_owned(), json!(kind.about));
            if let Some(ratio) = summary.ratio(group, kind.name) {
                value.insert("ratio_to_baseline".to_owned(), json!(ratio));
            }
            (kind.name.to_owned(), Value::Object(value))
        });
        json!({
            "mode": group.mode,
            "parameters": group.parameters,
            "runs": group.runs.len(),
            "failed": group.failed(),
            "figures": figures.collect::<Map<String, Value>>(),
        })
    });
    groups.collect()
}

fn range_of(range: Range) -> Map<String, Value> {
    let Range { count, min, median, p99, max, sum } = range;
    let fields =
        [("count", json!(count)), ("min", json!(min)), ("median", json!(median)), ("p99", json!(p99))];
    let mut map: Map<String, Value> = fields.into_iter().map(|(k, v)| (k.to_owned(), v)).collect();
    map.insert("max".to_owned(), json!(max));
    map.insert("sum".to_owned(), json!(sum));
    map
}

fn run_of(run: &Run, with_samples: bool) -> Value {
    let mut value = json!({
        "seed": run.seed,
        "mode": run.mode,
        "parameters": run.parameters,
        "ok": run.is_ok(),
        "replay": run.replay,
        "failures": run.failures(),
    });
    match &run.report {
        Err(violation) => value["violation"] = json!(violation.text),
        Ok(measured) => {
            let figures = measured.figures.iter().map(|f| (f.name.to_owned(), json!(f.value)));
            value["figures"] = Value::Object(figures.collect());
            value["trace_hash"] = json!(format!("{:016x}", measured.trace_hash));
            let Some(report) = &measured.whole else { return value };
            value["distributions"] = distributions(report);
            value["verdicts"] = verdicts(report);
            if let Err(difference) = &report.converged {
                value["not_converged"] = json!(difference.to_string());
            }
            if with_samples {
                value["observers"] = report.observers.iter().map(|name| json!(name.as_str())).collect();
                value["samples"] = report.samples.iter().map(sample).collect();
            }
        }
    }
    value
}

fn distributions(report: &Report) -> Value {
    let all = Curve::ALL.iter().map(|curve| (curve.name().to_owned(), distribution(&curve.of(report))));
    Value::Object(all.collect())
}

fn distribution(d: &Distribution) -> Value {
    let quantile = |share| json!(d.quantile(share).as_secs_f64());
    if d.is_empty() {
        return json!({ "count": 0, "points": [] });
    }
    let points: Vec<(f64, f64)> =
        d.points(POINTS_MAX).into_iter().map(|(time, share)| (time.as_secs_f64(), share)).collect();
    json!({
        "count": d.len(),
        "mean_s": d.mean().as_secs_f64(),
        "min_s": quantile(0.0),
        "p50_s": quantile(0.5),
        "p90_s": quantile(0.9),
        "p99_s": quantile(0.99),
        "max_s": quantile(1.0),
        "points": points,
    })
}

fn verdicts(report: &Report) -> Value {
    let all = report.metrics.verdicts.iter().take(VERDICTS_MAX).map(|v| {
        json!({
            "at_s": v.at.since_start().as_secs_f64(),
            "observer": v.observer.index(),
            "subject": v.subject.index(),
            "observer_faulty": v.observer_faulty,
            "subject_faulty": v.subject_faulty,
            "excused": v.excused,
        })
    });
    all.collect()
}

fn sample(sample: &Sample) -> Value {
    let spread = |s: Spread| json!({ "mean": s.mean, "p99": s.p99, "max": s.max });
    let tally = |t: &Tally| json!([t.alive, t.suspect, t.failed, t.left]);
    let views: Vec<Value> = sample.views.iter().map(|v| v.as_ref().map_or(Value::Null, tally)).collect();
    json!({
        "at_s": sample.at.since_start().as_secs_f64(),
        "agents": sample.agents,
        "alive_suspect_failed_left": tally(&sample.total),
        "views": views,
        "wrong_views": sample.wrong,
        "rumours_waiting": spread(sample.rumours),
        "bytes_per_s": spread(sample.bytes_per_s),
        "datagrams_per_s": spread(sample.datagrams_per_s),
    })
}
