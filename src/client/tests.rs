use super::testing::FakeAgent;
use super::*;
use crate::model::CheckStatus;
use std::time::Duration;

async fn soon<T>(wait: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), wait).await.expect("should not take that long")
}

fn client(agent: &FakeAgent) -> Client {
    Client::connect(agent.socket()).expect("a path")
}

#[tokio::test]
async fn a_registration_lives_by_its_heartbeats() {
    let agent = FakeAgent::start();
    let shoal = client(&agent);
    let web = shoal.register(Service::new("web").port(8080).ttl("10s")).await.expect("registers");
    assert_eq!(web.id(), "web");
    assert_eq!(shoal.local_checks().await.expect("checks")["service:web"].status, CheckStatus::Passing);
    web.heartbeat_with(CheckStatus::Warning, "slow").await.expect("beats");
    let check = shoal.local_checks().await.expect("checks").remove("service:web").expect("there");
    assert_eq!((check.status, check.output.as_str()), (CheckStatus::Warning, "slow"));
    // Registering again counts as a heartbeat, though the agent keeps the status of a known check.
    let web = shoal.register(Service::new("web").port(8080).ttl("10s")).await.expect("registers");
    assert_eq!(shoal.local_checks().await.expect("checks")["service:web"].status, CheckStatus::Passing);
    let again = web.clone();
    web.deregister().await.expect("deregisters");
    let e = again.heartbeat().await.expect_err("it is gone");
    assert!(e.is_unknown(), "{e}");
}

#[tokio::test]
async fn a_heartbeat_finds_its_checks_by_instance_check_and_service() {
    let agent = FakeAgent::start();
    let shoal = client(&agent);
    for id in ["web-1", "web-2"] {
        shoal.register(Service::new("web").id(id).ttl("10s")).await.expect("registers");
    }
    let beat = async |target: &str| shoal.heartbeat(target, CheckStatus::Passing, "").await;
    assert_eq!(beat("web-1").await.expect("an instance"), ["service:web-1"]);
    assert_eq!(beat("service:web-2").await.expect("a check"), ["service:web-2"]);
    assert_eq!(beat("web").await.expect("a service"), ["service:web-1", "service:web-2"]);
    assert!(beat("nope").await.expect_err("unknown").is_unknown());
}

#[tokio::test]
async fn one_connection_is_kept_and_made_again_after_a_restart() {
    let mut agent = FakeAgent::start();
    let shoal = client(&agent);
    shoal.register(Service::new("web").port(8080)).await.expect("registers");
    for _ in 0..3 {
        agent.restart();
        assert_eq!(shoal.resolve("web").await.expect("asks again").len(), 1);
    }
    agent.stop();
    let e = shoal.members().await.expect_err("nobody is there");
    assert!(
        matches!(&e, Error::NoAgent { path, .. } if *path == agent.socket().display().to_string()),
        "{e}"
    );
    agent.restart();
    assert_eq!(shoal.members().await.expect("back").len(), 2);
}

#[tokio::test]
async fn calls_at_the_same_time_do_not_wait_for_each_other() {
    let agent = FakeAgent::start();
    let shoal = client(&agent);
    let calls = (0..16).map(|_| {
        let shoal = shoal.clone();
        tokio::spawn(async move { shoal.members().await })
    });
    for call in calls.collect::<Vec<_>>() {
        assert_eq!(call.await.expect("no panic").expect("answers").len(), 2);
    }
}

#[tokio::test]
async fn names_reach_the_agent_as_they_are() {
    let agent = FakeAgent::start();
    let shoal = client(&agent);
    let odd = "a/b c?d=1&é%#";
    shoal
        .register(Service::new("odd").id(odd).ttl("5s"))
        .await
        .expect("registers")
        .heartbeat()
        .await
        .expect("beats");
    shoal.deregister(odd).await.expect("deregisters");
    assert_eq!(agent.with(|state| state.services.len()), 0);
}

#[tokio::test]
async fn the_agents_refusal_is_the_error() {
    let agent = FakeAgent::start();
    let e = client(&agent).deregister("nope").await.expect_err("unknown");
    assert!(matches!(&e, Error::Api { status: 404, message } if message.contains("nope")), "{e}");
}

fn snapshot(index: u64) -> String {
    format!("id: {index}\nevent: snapshot\ndata: {{\"index\":{index},\"members\":[],\"instances\":[]}}\n\n")
}

fn change(index: u64) -> String {
    format!("id: {index}\nevent: change\ndata: {{\"index\":{index},\"kind\":\"check\"}}\n\n")
}

/// The indexes of the next `count` snapshots (negative) and changes.
async fn told(watch: &mut Watch, count: usize) -> Vec<i64> {
    let mut told = Vec::new();
    while told.len() < count {
        match soon(watch.next()).await.expect("goes on").expect("no error") {
            WatchEvent::Snapshot(snapshot) => told.push(-i64::try_from(snapshot.index).expect("small")),
            WatchEvent::Change(change) => told.push(i64::try_from(change.index).expect("small")),
            WatchEvent::Interrupted(_) | WatchEvent::Resumed | WatchEvent::Other { .. } => {}
        }
    }
    told
}

#[tokio::test]
async fn a_broken_watch_goes_on_where_it_was_and_repeats_nothing() {
    let agent = FakeAgent::start();
    agent.with(|state| {
        state.watches = vec![
            (snapshot(10) + &change(11) + &change(12), true),
            (change(12) + ": still here\n\n" + &change(13), true),
            (snapshot(5) + &change(6), false),
        ];
    });
    let mut watch = client(&agent).watch("web").await.expect("opens");
    assert_eq!(told(&mut watch, 6).await, [-10, 11, 12, 13, -5, 6]);
    let resumed_from = agent.with(|state| state.resumed_from.clone());
    assert_eq!(resumed_from, [None, Some("12".to_owned()), Some("13".to_owned())]);
}

#[tokio::test]
async fn a_watch_that_was_too_slow_begins_with_a_new_snapshot() {
    let agent = FakeAgent::start();
    agent.with(|state| {
        state.watches = vec![
            (snapshot(10) + &change(11) + "event: gone\n\n", false),
            (snapshot(20), true),
            ("id: 21\nevent: change\ndata: not json\n\n".to_owned(), false),
            (snapshot(30), false),
        ];
    });
    let mut watch = client(&agent).watch_all().await.expect("opens");
    assert_eq!(told(&mut watch, 4).await, [-10, 11, -20, -30]);
    let resumed_from = agent.with(|state| state.resumed_from.clone());
    assert_eq!(resumed_from, [None, None, Some("20".to_owned()), None]);
}

#[tokio::test]
async fn a_watch_outlives_its_agent() {
    let mut agent = FakeAgent::start();
    agent.with(|state| state.watches = vec![(snapshot(1), false), (snapshot(2), false)]);
    let mut watch = client(&agent).watch_all().await.expect("opens");
    assert_eq!(told(&mut watch, 1).await, [-1]);
    agent.stop();
    assert!(matches!(soon(watch.next()).await, Some(Ok(WatchEvent::Interrupted(_)))));
    agent.restart();
    assert!(matches!(soon(watch.next()).await, Some(Ok(WatchEvent::Resumed))));
    assert_eq!(told(&mut watch, 1).await, [-2]);
}

#[tokio::test]
async fn a_watch_of_nobody_says_so_at_once() {
    let mut agent = FakeAgent::start();
    agent.stop();
    assert!(matches!(client(&agent).watch("web").await, Err(Error::NoAgent { .. })));
}
