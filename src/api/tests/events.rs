//! Firing events, and waiting for them.

use super::world::World;
use crate::api::Limits;
use crate::model::{NodeName, UserEvent, UserEventContent, UserEventId};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};

fn event(number: u8, name: &str) -> Arc<UserEvent> {
    Arc::new(UserEvent {
        id: UserEventId::from_random(u128::from(number) << 120),
        from: NodeName::new("n2").expect("valid"),
        content: UserEventContent {
            name: name.to_owned(),
            payload: vec![number],
            node_filter: String::new(),
            service_filter: String::new(),
            tag_filter: String::new(),
        },
    })
}

/// As the Go client computes it, to drop events that it has seen.
fn index_of(id: &str) -> u64 {
    let half = |parts: &[&str]| u64::from_str_radix(&parts.concat(), 16).expect("hexadecimal");
    half(&[&id[0..8], &id[9..13], &id[14..18]]) ^ half(&[&id[19..23], &id[24..36]])
}

fn newest(list: &Value) -> &str {
    list.as_array().and_then(|l| l.last()).and_then(|e| e["ID"].as_str()).expect("there is one")
}

#[tokio::test]
async fn what_is_fired_has_the_shape_that_clients_decode() {
    let world = World::new();
    for method in ["PUT", "POST"] {
        let answer = world.send(World::request(method, "/v1/event/fire/deploy", "hi")).await;
        let mut fired = answer.json();
        assert_eq!(answer.status, 200);
        assert_eq!(fired["ID"].as_str().map(str::len), Some(36));
        fired["ID"] = json!("id");
        let want = json!({"ID": "id", "Name": "deploy", "Payload": "aGk=", "NodeFilter": "", "ServiceFilter": "",
            "TagFilter": "", "Version": 1, "LTime": 0});
        assert_eq!(fired, want);
    }
    let answer = world.put("/v1/event/fire/a%2Fb?node=n1&service=web&tag=a", "").await.json();
    assert_eq!((&answer["Payload"], &answer["Name"]), (&Value::Null, &json!("a/b")));
    assert_eq!((&answer["NodeFilter"], &answer["TagFilter"]), (&json!("n1"), &json!("a")));
    let listed = world.get("/v1/event/list").await;
    assert_eq!(listed.json().as_array().map(Vec::len), Some(3));
    assert_eq!(listed.index(), index_of(newest(&listed.json())));
}

#[tokio::test]
async fn bad_events_are_refused_with_the_words_clients_know() {
    let world = World::new();
    let long = "x".repeat(600);
    let cases = [
        ("/v1/event/fire/", "", 400, "Missing name"),
        ("/v1/event/fire/x?tag=a", "", 500, "Cannot provide tag filter without service filter"),
        ("/v1/event/fire/x?node=(", "", 500, "Invalid node filter: "),
        ("/v1/event/fire/x?service=(", "", 500, "Invalid service filter: "),
        ("/v1/event/fire/x?service=a&tag=(", "", 500, "Invalid tag filter: "),
        ("/v1/event/fire/x?dc=mars", "", 500, "No path to datacenter"),
        ("/v1/event/fire/x", long.as_str(), 500, "user event of 601 bytes: want at most 512"),
    ];
    for (target, body, status, text) in cases {
        let answer = world.put(target, body).await;
        assert_eq!(answer.status, status, "{target}");
        assert!(answer.body.starts_with(text), "{target}: {}", answer.body);
    }
    assert_eq!(world.get("/v1/event/list").await.body, "[]");
}

#[tokio::test(start_paused = true)]
async fn the_list_waits_while_its_index_is_the_same() {
    let world = World::with_limits(Limits::default());
    let empty = world.get("/v1/event/list").await;
    assert_eq!((empty.body.as_str(), empty.index()), ("[]", 1));
    let start = Instant::now();
    let same = world.get("/v1/event/list?index=1&wait=10s").await;
    assert!((9_000..=10_001).contains(&start.elapsed().as_millis()), "it waited");
    assert_eq!(same.index(), 1);
    let blocked = tokio::spawn({
        let world = world.clone();
        async move { world.get("/v1/event/list?index=1&wait=60s").await }
    });
    let other = tokio::spawn({
        let world = world.clone();
        async move { world.get("/v1/event/list?name=zz&index=1&wait=60s").await }
    });
    sleep(Duration::from_secs(1)).await;
    let start = Instant::now();
    world.edit(|builder| builder.push_user_event(event(1, "deploy")));
    let woken = blocked.await.expect("no panic");
    assert!(start.elapsed() < Duration::from_millis(100));
    assert_eq!(woken.index(), index_of(newest(&woken.json())));
    // Every other number answers at once, whether it is above or below.
    for known in [2, u64::MAX] {
        let answer = world.get(&format!("/v1/event/list?index={known}&wait=60s")).await;
        assert_eq!(answer.index(), woken.index());
    }
    assert!(start.elapsed() < Duration::from_millis(100));
    assert_eq!(other.await.expect("no panic").body, "[]", "another name's list waits on");
    assert!(start.elapsed() > Duration::from_secs(50));
}

#[tokio::test]
async fn the_list_keeps_the_newest_256() {
    let world = World::new();
    world.edit(|builder| {
        for number in 0..=255 {
            builder.push_user_event(event(number, "a"));
        }
        builder.push_user_event(event(7, "b"));
    });
    let list = world.get("/v1/event/list").await.json();
    let list = list.as_array().expect("a list");
    assert_eq!(list.len(), 256);
    assert_eq!((&list[0]["Payload"], &list[255]["Name"]), (&json!("AQ=="), &json!("b")));
    assert_eq!(world.get("/v1/event/list?name=b").await.json().as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn so_many_fired_events_are_kept() {
    let world = World::new();
    let mut last = String::new();
    for n in 0..260 {
        let fired = world.put(&format!("/v1/event/fire/e{n}"), "").await;
        assert_eq!(fired.status, 200, "{fired:?}");
        last = format!("e{n}");
    }
    let listed = world.get("/v1/event/list").await.json();
    let names: Vec<&str> =
        listed.as_array().expect("a list").iter().filter_map(|e| e["Name"].as_str()).collect();
    assert_eq!((names.len(), names.first(), names.last()), (256, Some(&"e4"), Some(&last.as_str())));
}
