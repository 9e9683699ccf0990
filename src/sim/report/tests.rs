//! A small run and made-up ones, as text.

use super::*;
use crate::core::Config;
use crate::sim::{Action, Expectation, HostId, Mode, Scenario};
use std::sync::OnceLock;

fn small(seed: u64, mode: &str) -> Run {
    let scenario = Scenario::new("small")
        .nodes(4, &Config::default(), Duration::from_millis(50))
        .services_each(1)
        .at(Duration::from_secs(10), Action::Crash(HostId(2)))
        .lasts(Duration::from_secs(30))
        .mode(Mode::named(mode).expect("a mode"))
        .replayed_by("shoal simulate small.toml --seed {seed}")
        .expect(Expectation::ConvergedWithin(Duration::from_secs(20)));
    let report = scenario.run(seed);
    Run {
        seed,
        mode: mode.to_owned(),
        parameters: BTreeMap::new(),
        replay: report.replay.clone(),
        report: Ok(report.into()),
    }
}

/// The same run with something else measured.
fn changed(run: &Run, change: impl FnOnce(&mut crate::sim::Report)) -> Run {
    let mut report = run.whole().expect("it ran").clone();
    change(&mut report);
    Run { report: Ok(report.into()), ..run.clone() }
}

fn two_runs() -> &'static [Run] {
    static RUNS: OnceLock<Vec<Run>> = OnceLock::new();
    RUNS.get_or_init(|| vec![small(1, "shoal"), small(2, "shoal")])
}

fn outcome(runs: Vec<Run>) -> Outcome {
    Outcome {
        name: "small <b>&\"names\"".to_owned(),
        about: "Four nodes, one of which dies.".to_owned(),
        reproduces: "nothing".to_owned(),
        known: [("detected_first_p50", "1.582 periods"), ("words", "<script>alert(1)</script>")]
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .into(),
        baseline: "shoal".to_owned(),
        runs,
        wall: Duration::from_millis(1_234),
    }
}

fn broken(seed: u64) -> Run {
    let text = format!("small at 3s: n1 (HostId(1)) shows <what> never was\nreplay: line {seed}");
    Run {
        seed,
        mode: "shoal".to_owned(),
        parameters: BTreeMap::from([("loss".to_owned(), "0.5".to_owned())]),
        replay: format!("line {seed}"),
        report: Err(Violation { seed, text }),
    }
}

#[test]
fn json_holds_every_figure_of_every_run() {
    let outcome = outcome(two_runs().to_vec());
    let parsed: serde_json::Value = serde_json::from_str(&json(&outcome)).expect("valid JSON");
    assert_eq!(parsed["ok"], true);
    assert_eq!(parsed["runs"].as_array().map(Vec::len), Some(2));
    let report = outcome.runs[1].report.as_ref().expect("it ran");
    for figure in &report.figures {
        assert_eq!(parsed["runs"][1]["figures"][figure.name], figure.value, "{}", figure.name);
    }
    let figure = &parsed["groups"][0]["figures"]["detected_full_p99"];
    assert!(figure["min"].as_f64() <= figure["median"].as_f64());
    assert_eq!((figure["count"].as_u64(), figure["unit"].as_str()), (Some(2), Some("s")));
    assert_eq!(parsed["runs"][0]["distributions"]["detected"]["count"], 3);
    assert!(parsed["runs"][0]["samples"].as_array().is_some_and(|s| s.len() > 100));
    assert!(parsed["runs"][1]["samples"].is_null(), "only of the first");
    assert_eq!(parsed["runs"][0]["replay"], "shoal simulate small.toml --seed 1");
}

#[test]
fn the_page_loads_nothing_runs_nothing_and_escapes_names() {
    let page = html(&outcome(two_runs().to_vec()));
    assert!(
        !page.contains("http:") && !page.contains("https:") && !page.contains("url("),
        "nothing is loaded"
    );
    assert!(!page.contains("<script") && !page.contains("<link") && !page.contains("<img"));
    assert!(page.contains("small &lt;b&gt;&amp;&quot;names&quot;"));
    assert!(page.contains("&lt;script&gt;"));
    assert!(page.matches("<svg").count() >= 8, "{}", page.matches("<svg").count());
    assert_eq!(page.matches("<svg").count(), page.matches("</svg>").count());
    assert!(page.contains("All 2 runs met every expectation"));
    assert!(page.contains("detected_full_p99") && page.contains("prefers-color-scheme:dark"));
    assert_eq!(page, html(&outcome(two_runs().to_vec())), "the same outcome gives the same bytes");
}

#[test]
fn broken_runs_are_listed_with_the_line_that_replays_them() {
    let mut runs = two_runs().to_vec();
    runs.extend((3..100).map(broken));
    let outcome = outcome(runs);
    let page = html(&outcome);
    assert!(page.contains("97 of 99 runs failed") && page.contains("<pre>line 3</pre>"));
    assert!(page.contains("shows &lt;what&gt; never was") && page.contains("seed 3 · shoal loss=0.5"));
    assert!(page.contains("47 more failed runs"));
    let parsed: serde_json::Value = serde_json::from_str(&json(&outcome)).expect("valid JSON");
    assert_eq!((&parsed["ok"], &parsed["failed"]), (&false.into(), &97.into()));
    assert_eq!(parsed["runs"][2]["replay"], "line 3");
}

#[test]
fn nothing_run_and_nothing_measured_are_pages_too() {
    assert!(html(&outcome(Vec::new())).contains("Nothing was run"));
    assert!(json(&outcome(Vec::new())).contains("\"runs\":[]"));
    assert!(table(&outcome(Vec::new())).rows.is_empty());
    let run = changed(&two_runs()[0], |report| {
        report.metrics = crate::sim::Metrics::default();
        report.samples.clear();
        report.observers.clear();
        report.traffic.clear();
    });
    let outcome = outcome(vec![run]);
    assert!(html(&outcome).contains("The run met every expectation"));
    assert!(json(&outcome).contains("\"count\":0"));
}

#[test]
fn modes_are_compared_with_the_baseline() {
    let mut runs = two_runs().to_vec();
    for run in two_runs() {
        let run = changed(run, |report| {
            report.queue_max = (report.queue_max.max(1)) * 4;
            report.sent.bytes_per_s.mean *= 2.0;
        });
        runs.push(Run { mode: "swim".to_owned(), ..run });
    }
    let outcome = outcome(runs);
    let summary = Summary::of(&outcome);
    let swim = &summary.groups[1];
    assert_eq!((swim.label().as_str(), swim.runs.len()), ("swim", 2));
    assert_eq!(summary.ratio(swim, "bytes_per_node_s_mean"), Some(2.0));
    assert!(summary.baseline_of(&summary.groups[0]).is_none());
    let rows = table(&outcome);
    assert_eq!(rows.headers, ["run", "figure", "min", "median", "p99", "max", "ratio to shoal", "known"]);
    assert!(rows.rows.iter().all(|row| row.len() == rows.headers.len()));
    let row = rows.rows.iter().find(|r| r[0] == "swim" && r[1] == "bytes_per_node_s_mean").expect("listed");
    assert_eq!(row[6], "× 2");
    assert!(html(&outcome).contains("Side by side"));
}

#[test]
fn what_never_came_is_said_so() {
    let run = changed(&two_runs()[0], |report| {
        report.metrics.departures[0].known_after = crate::sim::Distribution::default();
    });
    let report = run.whole().expect("it ran");
    assert_eq!(report.figure("detected_first_p50"), Some(f64::INFINITY));
    assert_eq!(report.figure("detected_full_max"), Some(f64::INFINITY));
    let outcome = outcome(vec![run]);
    let parsed: serde_json::Value = serde_json::from_str(&json(&outcome)).expect("valid JSON");
    assert!(parsed["runs"][0]["figures"]["detected_full_max"].is_null());
    let rows = table(&outcome).rows;
    assert!(rows.iter().any(|row| row[0] == "detected_full_max" && row[1] == "never"), "{rows:?}");
    assert!(html(&outcome).contains("never"));
}
