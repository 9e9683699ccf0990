//! Many runs.

use super::script::{is_alive, is_ours, shell};
use super::targets::{hanging, serve};
use super::*;
use crate::agent::checks::{Outcome, Runner};
use crate::model::CheckId;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::runtime::Handle;
use tokio::sync::mpsc;

fn runner(runs_max: usize) -> (Runner, mpsc::Receiver<Outcome>) {
    Runner::new(Handle::current(), Context::new(), runs_max)
}

fn id(text: &str) -> CheckId {
    CheckId::new(text).expect("is an id")
}

fn start(runner: &mut Runner, check: &str, number: u64, target: ProbeTarget, timeout: Duration) {
    runner.start(id(check), number, Arc::new(probe(target, timeout)));
}

fn tcp(address: impl ToString) -> ProbeTarget {
    ProbeTarget::Tcp { address: address.to_string(), tls: None }
}

fn hangs(address: impl ToString) -> ProbeTarget {
    ProbeTarget::Tcp { address: address.to_string(), tls: Some(any_certificate()) }
}

async fn next(outcomes: &mut mpsc::Receiver<Outcome>) -> Outcome {
    let outcome = tokio::time::timeout(PATIENCE, outcomes.recv()).await;
    outcome.expect("comes out in time").expect("the runner is there")
}

/// A script that tells its process id and that of a child of it, and goes on for ever.
fn tells_ids(dir: &Path) -> ProbeTarget {
    let path = dir.display();
    shell(&format!("sleep 1000 & echo $$ $! > {path}/new && mv {path}/new {path}/ids; wait"))
}

async fn told_ids(dir: &Path) -> Vec<i32> {
    let path = dir.join("ids");
    eventually("the program has started", || path.exists()).await;
    let text = std::fs::read_to_string(&path).expect("is there");
    text.split_whitespace().map(|id| id.parse().expect("is a number")).collect()
}

#[tokio::test]
async fn outcomes_come_out_with_the_number_of_their_run() {
    let (mut runner, mut outcomes) = runner(4);
    let addr = hanging().await;
    start(&mut runner, "a", 7, tcp(addr), PATIENCE);
    let (check, number, finding) = next(&mut outcomes).await;
    assert_eq!((check, number), (id("a"), 7));
    assert_finding(&finding, CheckStatus::Passing, &format!("TCP connect {addr}: Success"));
}

#[tokio::test]
async fn no_more_than_so_many_run_at_once_and_in_order() {
    let now = Arc::new(AtomicUsize::new(0));
    let most = Arc::new(AtomicUsize::new(0));
    let (counting, highest) = (Arc::clone(&now), Arc::clone(&most));
    let addr = serve(move |mut stream| {
        let (now, most) = (Arc::clone(&counting), Arc::clone(&highest));
        async move {
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            super::targets::head(&mut stream).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
            // Before the answer: the next run begins when this one has it.
            now.fetch_sub(1, Ordering::SeqCst);
            let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, b"HTTP/1.1 200 OK\r\n\r\n").await;
        }
    })
    .await;
    let http = crate::model::HttpProbe {
        url: format!("http://{addr}/"),
        method: String::new(),
        headers: std::collections::BTreeMap::new(),
        body: String::new(),
        follows_redirects: false,
        tls: ProbeTls::default(),
    };
    let (mut runner, mut outcomes) = runner(3);
    for number in 0..12 {
        start(&mut runner, &format!("check{number}"), number, ProbeTarget::Http(http.clone()), PATIENCE);
    }
    let mut numbers = Vec::new();
    for _ in 0..12 {
        let (_, number, finding) = next(&mut outcomes).await;
        assert_eq!(finding.status, CheckStatus::Passing);
        numbers.push(number);
    }
    assert_eq!(most.load(Ordering::SeqCst), 3);
    // Three at a time, so none comes out more than two places from its own.
    let moved = numbers.iter().zip(0..).map(|(&number, place)| number.abs_diff(place)).max();
    assert!(moved <= Some(2), "{numbers:?}");
}

#[tokio::test]
async fn a_run_that_waits_has_its_whole_timeout_before_it() {
    let (mut runner, mut outcomes) = runner(1);
    start(&mut runner, "stuck", 1, hangs(hanging().await), SHORT * 3);
    // Its timeout is shorter than what it has to wait.
    start(&mut runner, "waits", 2, tcp(hanging().await), SHORT * 2);
    let (check, _, finding) = next(&mut outcomes).await;
    assert_eq!((check, finding.status), (id("stuck"), CheckStatus::Critical));
    let (check, _, finding) = next(&mut outcomes).await;
    assert_eq!((check, finding.status), (id("waits"), CheckStatus::Passing));
}

#[tokio::test]
async fn a_new_run_of_a_check_replaces_the_one_under_way() {
    let (mut runner, mut outcomes) = runner(1);
    let addr = hanging().await;
    start(&mut runner, "a", 1, hangs(addr), PATIENCE);
    start(&mut runner, "a", 2, tcp(addr), PATIENCE);
    assert_eq!(next(&mut outcomes).await.1, 2);
}

#[tokio::test]
async fn what_is_forgotten_is_killed_and_leaves_its_place() {
    let dir = tempfile::tempdir().expect("a directory");
    let (mut runner, mut outcomes) = runner(1);
    start(&mut runner, "hangs", 1, tells_ids(dir.path()), PATIENCE);
    let ids = told_ids(dir.path()).await;
    assert!(ids.iter().all(|&id| is_alive(id)) && is_ours(ids[0]));
    start(&mut runner, "waits", 2, shell("echo waited"), PATIENCE);
    start(&mut runner, "unwanted", 3, shell("echo never"), PATIENCE);
    start(&mut runner, "last", 4, shell("echo last"), PATIENCE);
    runner.forget(&id("unwanted"));
    runner.forget(&id("hangs"));
    runner.forget(&id("never was there"));
    eventually("all are dead", || !ids.iter().any(|&id| is_alive(id))).await;
    eventually("it was reaped", || !is_ours(ids[0])).await;
    let (check, _, finding) = next(&mut outcomes).await;
    assert_eq!((check, finding.output.as_str()), (id("waits"), "waited\n"));
    assert_eq!(next(&mut outcomes).await.0, id("last"));
    assert!(outcomes.try_recv().is_err());
}

#[tokio::test]
async fn dropping_it_ends_everything() {
    let dir = tempfile::tempdir().expect("a directory");
    let (mut runner, mut outcomes) = runner(2);
    start(&mut runner, "script", 1, tells_ids(dir.path()), PATIENCE);
    start(&mut runner, "tcp", 2, hangs(hanging().await), PATIENCE);
    start(&mut runner, "waits", 3, shell("exec sleep 1000"), PATIENCE);
    let ids = told_ids(dir.path()).await;
    drop(runner);
    eventually("all are dead", || !ids.iter().any(|&id| is_alive(id))).await;
    eventually("it was reaped", || !is_ours(ids[0])).await;
    let end = tokio::time::timeout(PATIENCE, outcomes.recv()).await.expect("all tasks end");
    assert_eq!(end, None);
}

#[test]
fn programs_are_killed_even_when_the_runtime_goes_first() {
    let dir = tempfile::tempdir().expect("a directory");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.expect("builds");
    let (mut runner, _outcomes) = Runner::new(runtime.handle().clone(), Context::new(), 1);
    start(&mut runner, "script", 1, tells_ids(dir.path()), PATIENCE);
    let ids = runtime.block_on(told_ids(dir.path()));
    runtime.shutdown_background();
    drop(runner);
    let other = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("builds");
    other.block_on(eventually("all are dead", || !ids.iter().any(|&id| is_alive(id))));
}
