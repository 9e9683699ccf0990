//! The stream of changes.

use super::world::{SEED, World, service_record};
use crate::model::MemberStatus;
use crate::view::CHANGES_MAX;
use axum::body::BodyDataStream;
use futures_util::StreamExt as _;
use serde_json::Value;
use std::time::Duration;
use tower::ServiceExt as _;

struct Reader {
    body: BodyDataStream,
    text: String,
}

#[derive(Debug)]
struct Event {
    id: Option<u64>,
    event: String,
    data: Value,
}

impl Reader {
    async fn open(world: &World, target: &str, last: Option<u64>) -> Self {
        let mut request = World::request("GET", target, "");
        if let Some(last) = last {
            request.headers_mut().insert("last-event-id", last.into());
        }
        let reply = world.router.clone().oneshot(request).await.expect("routers do not fail");
        assert_eq!(reply.status(), 200);
        assert_eq!(reply.headers()["content-type"], "text/event-stream");
        Self { body: reply.into_body().into_data_stream(), text: String::new() }
    }

    async fn frame(&mut self) -> Option<String> {
        loop {
            if let Some((frame, rest)) = self.text.split_once("\n\n") {
                let (frame, rest) = (frame.to_owned(), rest.to_owned());
                self.text = rest;
                return Some(frame);
            }
            let chunk = self.body.next().await?.expect("no error");
            self.text.push_str(std::str::from_utf8(&chunk).expect("text"));
        }
    }

    /// The next event; `None` at the end of the stream.
    async fn next(&mut self) -> Option<Event> {
        let frame = self.frame().await?;
        let field = |name: &str| frame.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(": "));
        Some(Event {
            id: field("id").map(|id| id.parse().expect("a number")),
            event: field("event").expect("every event has a kind").to_owned(),
            data: serde_json::from_str(field("data").expect("data")).expect("JSON"),
        })
    }

    async fn change(&mut self) -> (u64, String) {
        let event = self.next().await.expect("the stream goes on");
        assert_eq!(event.event, "change", "{event:?}");
        assert_eq!(event.data["index"].as_u64(), event.id);
        (event.id.expect("an id"), event.data["kind"].as_str().expect("a text").to_owned())
    }
}

#[tokio::test]
async fn a_snapshot_comes_first_and_changes_follow_without_a_gap() {
    let world = World::new();
    world.service("n1", service_record("w1", "web", &[], 80));
    let mut reader = Reader::open(&world, "/v1/shoal/watch", None).await;
    let first = reader.next().await.expect("a snapshot");
    assert_eq!(first.event, "snapshot");
    assert_eq!(first.data["instances"][0]["service"]["ID"], "w1");
    assert_eq!(first.data["instances"][0]["address"], "10.0.0.1");
    assert_eq!(first.data["members"][0]["name"], "n1");
    let start = first.id.expect("an id");
    world.node("n2", 2, MemberStatus::Alive);
    world.service("n2", service_record("w2", "web", &[], 80));
    world.node("n2", 2, MemberStatus::Failed);
    world.node("n2", 2, MemberStatus::Left);
    let mut seen = Vec::new();
    for i in 1..=7 {
        let (id, kind) = reader.change().await;
        assert_eq!(id, start + i);
        seen.push(kind);
    }
    let want = [
        "member-changed",
        "instance-added",
        "member-changed",
        "check-changed",
        "instance-changed",
        "instance-removed",
        "member-changed",
    ];
    assert_eq!(seen, want);
}

#[tokio::test]
async fn a_snapshot_without_instances_is_followed_by_their_changes_all_the_same() {
    let world = World::new();
    world.service("n1", service_record("w1", "web", &[], 80));
    let mut reader = Reader::open(&world, "/v1/shoal/watch?snapshot=members", None).await;
    let first = reader.next().await.expect("a snapshot");
    assert_eq!(first.data["instances"], serde_json::json!([]));
    assert_eq!(first.data["members"][0]["name"], "n1");
    assert_eq!(first.data["checks"][0]["CheckID"], "serfHealth");
    world.no_service("n1", "w1");
    assert_eq!(reader.change().await.1, "instance-removed");
    let refused = world.get("/v1/shoal/watch?snapshot=all").await;
    assert_eq!(
        (refused.status, refused.body.as_str()),
        (400, "snapshot=all: want members, or no such parameter")
    );
}

#[tokio::test]
async fn the_newest_changes_are_listed_as_the_stream_told_them_with_their_time() {
    let world = World::new();
    let mut reader = Reader::open(&world, "/v1/shoal/watch", None).await;
    reader.next().await.expect("a snapshot");
    world.edit(|builder| builder.set_clock(1_700_000_000_123));
    world.service("n1", service_record("w1", "web", &[], 80));
    world.edit(|builder| builder.set_clock(1_700_000_000_456));
    world.node("n2", 2, MemberStatus::Alive);
    let mut told = Vec::new();
    for _ in 0..2 {
        told.push(reader.next().await.expect("a change").data);
    }
    assert_eq!(told[0]["at_unix_ms"], 1_700_000_000_123_u64);
    assert_eq!(told[1]["at_unix_ms"], 1_700_000_000_456_u64);
    let list = world.get("/v1/shoal/changes?limit=2").await.json();
    assert_eq!(list, serde_json::json!({ "index": told[1]["index"], "changes": told }));
    let all = world.get("/v1/shoal/changes").await.json();
    assert_eq!(all["changes"].as_array().map(Vec::len), Some(3), "{all}");
    for limit in ["0", "1001", "x", "-1"] {
        let answer = world.get(&format!("/v1/shoal/changes?limit={limit}")).await;
        assert_eq!(answer.status, 400, "{limit}");
        assert_eq!(answer.body, format!("limit={limit}: want a number from 1 to 1000"));
    }
}

#[tokio::test]
async fn a_stream_of_one_service_is_contiguous_too() {
    let world = World::new();
    let mut reader = Reader::open(&world, "/v1/shoal/watch?service=WEB", None).await;
    let first = reader.next().await.expect("a snapshot");
    assert_eq!((first.id, first.data["instances"].as_array().map(Vec::len)), (Some(SEED), Some(0)));
    world.service("n1", service_record("w1", "web", &[], 80));
    world.service("n1", service_record("d1", "db", &[], 80));
    world.service("n1", service_record("w1", "web", &["a"], 80));
    world.no_service("n1", "w1");
    world.service("n1", service_record("w2", "web", &[], 80));
    let mut seen = Vec::new();
    for i in 1..=4 {
        let (id, kind) = reader.change().await;
        assert_eq!(id, SEED + i);
        seen.push(kind);
    }
    assert_eq!(seen, ["instance-added", "instance-changed", "instance-removed", "instance-added"]);
    let mut again = Reader::open(&world, "/v1/shoal/watch?service=web", Some(SEED + 2)).await;
    assert_eq!(again.change().await, (SEED + 3, "instance-removed".to_owned()));
    assert_eq!(again.change().await, (SEED + 4, "instance-added".to_owned()));
}

#[tokio::test]
async fn a_reader_that_comes_back_gets_what_it_missed_or_a_snapshot() {
    let world = World::new();
    let mut reader = Reader::open(&world, "/v1/shoal/watch", None).await;
    let start = reader.next().await.expect("a snapshot").id.expect("an id");
    drop(reader);
    world.service("n1", service_record("w1", "web", &[], 80));
    world.service("n1", service_record("w1", "web", &[], 81));
    let mut reader = Reader::open(&world, "/v1/shoal/watch", Some(start)).await;
    assert_eq!(reader.change().await.0, start + 1);
    assert_eq!(reader.change().await.0, start + 2);
    world.no_service("n1", "w1");
    assert_eq!(reader.change().await, (start + 3, "instance-removed".to_owned()));
    for stale in [3, SEED - 1, start + 100] {
        let mut reader = Reader::open(&world, "/v1/shoal/watch", Some(stale)).await;
        assert_eq!(reader.next().await.expect("an event").event, "snapshot", "{stale}");
    }
}

#[tokio::test]
async fn a_reader_too_slow_is_told_and_cut() {
    let world = World::new();
    let mut reader = Reader::open(&world, "/v1/shoal/watch", None).await;
    assert_eq!(reader.next().await.expect("a snapshot").event, "snapshot");
    for i in 0..=CHANGES_MAX {
        world.service("n1", service_record("w1", "web", &[], u16::try_from(i).expect("small")));
    }
    let last = reader.next().await.expect("an event");
    assert_eq!((last.event.as_str(), last.id), ("gone", None));
    assert!(reader.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_silent_stream_shows_that_it_lives_and_ends_with_the_agent() {
    let world = World::new();
    let mut reader = Reader::open(&world, "/v1/shoal/watch", None).await;
    reader.next().await.expect("a snapshot");
    let start = tokio::time::Instant::now();
    let frame = reader.frame().await.expect("a comment");
    assert!(frame.starts_with(':'), "{frame}");
    assert_eq!(start.elapsed(), Duration::from_secs(15));
}
