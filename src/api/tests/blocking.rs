//! Waiting for changes, in paused time.

use super::world::{Answer, SEED, World, service_record};
use crate::api::Limits;
use crate::model::MemberStatus;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// The answer and how long it took, in milliseconds.
async fn timed(world: &World, target: &str) -> (Answer, u128) {
    let start = Instant::now();
    let answer = world.get(target).await;
    (answer, start.elapsed().as_millis())
}

/// Starts a blocked request, does something after a second, and sees what came of it.
async fn woken(world: &World, target: &str, act: impl FnOnce(&World)) -> (Answer, u128) {
    let blocked = tokio::spawn({
        let (world, target) = (world.clone(), target.to_owned());
        async move { timed(&world, &target).await }
    });
    sleep(Duration::from_secs(1)).await;
    act(world);
    blocked.await.expect("no panic")
}

#[tokio::test(start_paused = true)]
async fn a_query_blocks_at_its_index_and_at_no_other() {
    let world = World::new();
    world.service("n1", service_record("w1", "web", &[], 80));
    let now = world.get("/v1/health/service/web").await.index();
    assert!(now > SEED);
    for target in [
        "/v1/health/service/web".to_owned(),
        "/v1/health/service/web?index=0&wait=10s".to_owned(),
        format!("/v1/health/service/web?index={}&wait=10s", now - 1),
        format!("/v1/health/service/web?index={}&wait=10s", now + 1),
    ] {
        let (answer, took) = timed(&world, &target).await;
        assert_eq!((answer.index(), took), (now, 0), "{target}");
    }
    let (answer, took) = timed(&world, &format!("/v1/health/service/web?index={now}&wait=16s")).await;
    assert_eq!(answer.index(), now);
    assert!((15_000..=16_001).contains(&took), "{took}");
    let (_, took) = timed(&world, &format!("/v1/health/service/web?index={now}")).await;
    assert!((280_000..=300_001).contains(&took), "{took}");
}

#[tokio::test(start_paused = true)]
async fn a_change_wakes_those_who_asked_about_it() {
    let world = World::new();
    world.node("n2", 2, MemberStatus::Alive);
    world.service("n1", service_record("w1", "web", &["a"], 80));
    let questions = [
        "health/service/web",
        "catalog/service/web",
        "catalog/services",
        "catalog/node/n1",
        "health/node/n1",
    ];
    for question in questions {
        let now = world.get(&format!("/v1/{question}")).await.index();
        let target = format!("/v1/{question}?index={now}&wait=60s");
        let (answer, took) = woken(&world, &target, |world| {
            world.service("n1", service_record("w1", "web", &[question], 80));
        })
        .await;
        assert!(answer.index() > now, "{question}");
        assert!((1_000..1_100).contains(&took), "{question} took {took}");
    }
    for question in ["health/service/web", "health/state/any", "health/node/n1", "catalog/nodes"] {
        let now = world.get(&format!("/v1/{question}")).await.index();
        let target = format!("/v1/{question}?index={now}&wait=60s");
        let (answer, took) = woken(&world, &target, |world| {
            world.node("n1", 1, MemberStatus::Left);
        })
        .await;
        assert!(answer.index() > now && took < 1_100, "{question} took {took}");
        world.node("n1", 1, MemberStatus::Alive);
    }
}

#[tokio::test(start_paused = true)]
async fn becoming_empty_and_appearing_are_changes_too() {
    let world = World::new();
    world.node("n2", 2, MemberStatus::Alive);
    let never = world.get("/v1/health/service/web").await;
    assert_eq!(never.body, "[]");
    let target = format!("/v1/health/service/web?index={}&wait=60s", never.index());
    let (there, _) =
        woken(&world, &target, |world| world.service("n2", service_record("w", "web", &[], 1))).await;
    assert_ne!(there.body, "[]");
    let target = format!("/v1/health/service/web?index={}&wait=60s", there.index());
    let (gone, took) = woken(&world, &target, |world| world.no_service("n2", "w")).await;
    assert_eq!((gone.body.as_str(), took < 1_100), ("[]", true));
    assert!(gone.index() > there.index());
    let target = format!("/v1/health/service/web?index={}&wait=16s", gone.index());
    let (_, took) = woken(&world, &target, |world| {
        world.service("n2", service_record("d", "db", &[], 1));
        world.no_service("n2", "d");
    })
    .await;
    assert!(took >= 15_000, "another name came and went, and woke it after {took}");
}

#[tokio::test(start_paused = true)]
async fn foreign_changes_and_output_wake_nobody() {
    let world = World::new();
    world.node("n2", 2, MemberStatus::Alive);
    world.register(r#"{"Name":"web","ID":"w1","Check":{"TTL":"9s","Status":"passing"}}"#).await;
    let now = world.get("/v1/health/service/web").await.index();
    let blocked = tokio::spawn({
        let world = world.clone();
        async move { timed(&world, &format!("/v1/health/service/web?index={now}&wait=16s")).await }
    });
    for i in 0..10 {
        sleep(Duration::from_millis(500)).await;
        world.service("n2", service_record(&format!("x{i}"), "db", &[], i));
        World::ok(&world.put(&format!("/v1/agent/check/pass/service:w1?note={i}"), "").await);
        world.register(r#"{"Name":"web","ID":"w1","Check":{"TTL":"9s","Status":"passing"}}"#).await;
    }
    let (answer, took) = blocked.await.expect("no panic");
    assert_eq!(answer.index(), now);
    assert!(took >= 15_000, "{took}");
    assert_eq!(world.get("/v1/agent/checks").await.json()["service:w1"]["Output"], "9");
}

#[tokio::test(start_paused = true)]
async fn the_first_change_is_told_at_once_and_those_close_after_it_together() {
    let world = World::new();
    let ask = |index: u64| {
        let (world, target) = (world.clone(), format!("/v1/health/service/web?index={index}&wait=60s"));
        tokio::spawn(async move { timed(&world, &target).await })
    };
    let count = |answer: &Answer| answer.json().as_array().map(Vec::len);
    let blocked = ask(world.get("/v1/health/service/web").await.index());
    sleep(Duration::from_secs(1)).await;
    world.service("n1", service_record("w0", "web", &[], 0));
    let (first, took) = blocked.await.expect("no panic");
    assert_eq!((count(&first), took), (Some(1), 1_000));
    let blocked = ask(first.index());
    for i in 1..10 {
        sleep(Duration::from_millis(1)).await;
        world.service("n1", service_record(&format!("w{i}"), "web", &[], i));
    }
    let (rest, took) = blocked.await.expect("no panic");
    assert_eq!(count(&rest), Some(10));
    assert!((15..=21).contains(&took), "{took}");
}

#[tokio::test(start_paused = true)]
async fn one_service_blocks_by_hash() {
    let world = World::new();
    world.register(r#"{"Name":"web","ID":"w1"}"#).await;
    let hash = world.get("/v1/agent/service/w1").await.header("x-consul-contenthash").to_owned();
    let (_, took) = timed(&world, "/v1/agent/service/w1?hash=other&wait=10s").await;
    assert_eq!(took, 0);
    let (_, took) = timed(&world, &format!("/v1/agent/service/w1?hash={hash}&wait=16s")).await;
    assert!(took >= 15_000, "{took}");
    let blocked = tokio::spawn({
        let (world, hash) = (world.clone(), hash.clone());
        async move { timed(&world, &format!("/v1/agent/service/w1?hash={hash}&wait=60s")).await }
    });
    sleep(Duration::from_secs(1)).await;
    world.register(r#"{"Name":"web","ID":"w1","Port":1}"#).await;
    let (answer, took) = blocked.await.expect("no panic");
    assert_ne!(answer.header("x-consul-contenthash"), hash);
    assert!(took < 1_100, "{took}");
}

#[tokio::test(start_paused = true)]
async fn an_empty_store_is_polite() {
    let world = World::new();
    let answer = world.get("/v1/kv/fabio/config?consistent=&recurse=").await;
    assert_eq!((answer.status, answer.body.as_str(), answer.index()), (404, "", 1));
    let (answer, took) = timed(&world, "/v1/kv/fabio/config?index=1&wait=16s").await;
    assert_eq!(answer.status, 404);
    assert!(took >= 15_000, "{took}");
    assert_eq!(world.get("/v1/kv/?keys").await.body, "[]");
}

#[tokio::test(start_paused = true)]
async fn waiting_requests_are_bounded_and_leave_no_trace() {
    let world = World::with_limits(Limits { waiters_max: 2, ..Limits::default() });
    let now = world.get("/v1/catalog/nodes").await.index();
    let target = format!("/v1/catalog/nodes?index={now}&wait=60s");
    let block = || {
        let (world, target) = (world.clone(), target.clone());
        tokio::spawn(async move { world.get(&target).await })
    };
    let waiting = [block(), block()];
    sleep(Duration::from_secs(1)).await;
    let (refused, took) = timed(&world, &target).await;
    assert_eq!((refused.status, took), (429, 0));
    assert_eq!(world.get("/v1/shoal/watch").await.status, 429);
    assert_eq!(world.get("/v1/catalog/nodes").await.status, 200, "reads that do not wait go on");
    // A closed connection drops its request.
    for task in waiting {
        task.abort();
        let _ = task.await;
    }
    let (answer, took) = timed(&world, &format!("{target}&wait=16s")).await;
    assert_eq!(answer.status, 200);
    assert!(took >= 15_000, "{took}");
}

/// Over a real Unix socket, in real time: the one thing that only a connection can show.
#[tokio::test]
async fn a_closed_connection_gives_its_place_to_the_next() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let world = World::with_limits(Limits { waiters_max: 1, ..Limits::default() });
    let directory = tempfile::tempdir().expect("a place for the socket");
    let path = directory.path().join("agent.sock");
    let listener = tokio::net::UnixListener::bind(&path).expect("a socket");
    let server = tokio::spawn({
        let router = world.router.clone();
        async move { axum::serve(listener, router).await }
    });
    let now = world.get("/v1/catalog/nodes").await.index();
    let target = format!("/v1/catalog/nodes?index={now}&wait=60s");
    let mut connection = tokio::net::UnixStream::connect(&path).await.expect("connected");
    let request = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    connection.write_all(request.as_bytes()).await.expect("sent");
    let deadline = Instant::now() + Duration::from_secs(10);
    while !world.get("/metrics").await.body.contains("shoal_api_waiting_requests 1\n") {
        assert!(Instant::now() < deadline, "the request never waited");
        sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(world.get(&target).await.status, 429);
    drop(connection);
    while !world.get("/metrics").await.body.contains("shoal_api_waiting_requests 0\n") {
        assert!(Instant::now() < deadline, "the wait outlived its connection");
        sleep(Duration::from_millis(5)).await;
    }
    let mut connection = tokio::net::UnixStream::connect(&path).await.expect("connected");
    let request = "GET /v1/status/leader HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    connection.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.expect("text");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\"10.0.0.1:8300\""), "{answer}");
    server.abort();
}
