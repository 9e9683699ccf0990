//! Runs against real targets on loopback: good ones, slow ones, and all sorts of bad ones.

mod grpc;
mod h2ping;
mod http;
mod runner;
mod script;
mod targets;
mod tcp;
mod udp;

use super::{Context, Finding, run};
use crate::model::{CheckStatus, Probe, ProbeTarget, ProbeTls};
use std::time::{Duration, Instant};

/// Long enough for a busy machine; a test that waits for it has failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// The timeout of runs that are to meet it.
const SHORT: Duration = Duration::from_millis(200);

/// A probe with a timeout and the usual bound on output.
fn probe(target: ProbeTarget, timeout: Duration) -> Probe {
    Probe {
        target,
        interval: Duration::from_secs(10),
        timeout,
        successes_before_passing: 1,
        failures_before_warning: 1,
        failures_before_critical: 1,
        output_bytes_max: 4096,
    }
}

/// Runs once, with time to spare.
async fn found(target: ProbeTarget) -> Finding {
    found_within(target, PATIENCE).await
}

async fn found_within(target: ProbeTarget, timeout: Duration) -> Finding {
    run(&probe(target, timeout), &Context::new()).await
}

/// Runs once and expects the timeout to be met and kept.
async fn timed_out(target: ProbeTarget) -> Finding {
    let begin = Instant::now();
    let finding = found_within(target, SHORT).await;
    let took = begin.elapsed();
    assert!(took >= SHORT && took < PATIENCE / 2, "took {took:?}: {finding:?}");
    finding
}

#[track_caller]
fn assert_finding(finding: &Finding, status: CheckStatus, output: &str) {
    assert_eq!((finding.status, finding.output.as_str()), (status, output));
}

#[track_caller]
fn assert_critical(finding: &Finding, part: &str) {
    assert_eq!(finding.status, CheckStatus::Critical, "{finding:?}");
    assert!(finding.output.contains(part), "{finding:?} has no {part:?}");
}

/// TLS that takes any certificate.
fn any_certificate() -> ProbeTls {
    ProbeTls { skips_verification: true, ..ProbeTls::default() }
}

/// TLS that wants a certificate for `name`.
fn certificate_of(name: &str) -> ProbeTls {
    ProbeTls { server_name: name.to_owned(), skips_verification: false }
}

/// Looks until `done`.
async fn eventually(what: &str, mut done: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !done() {
        assert!(begin.elapsed() < PATIENCE, "never came true: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
