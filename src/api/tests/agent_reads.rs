//! What the agent tells of itself: its log, its counters, its host.

use super::world::World;
use crate::api::LogStyle;
use crate::view::{AgentStatus, Counted};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tower::ServiceExt as _;
use tracing::Level;

#[tokio::test]
async fn the_log_is_streamed_at_the_level_that_was_asked_for() {
    let world = World::new();
    let request = World::request("GET", "/v1/agent/monitor?loglevel=debug&logjson", "");
    let reply = world.router.clone().oneshot(request).await.expect("routers do not fail");
    assert_eq!(reply.status(), 200);
    assert_eq!(reply.headers()["content-type"], "application/x-ndjson");
    assert_eq!(world.logs.wanted(LogStyle::Json), Some(Level::DEBUG));
    assert_eq!(world.logs.wanted(LogStyle::Text), None);
    world.logs.publish(Level::TRACE, LogStyle::Json, b"{\"n\":0}\n");
    world.logs.publish(Level::DEBUG, LogStyle::Json, b"{\"n\":1}\n");
    let mut body = reply.into_body();
    let frame = body.frame().await.expect("goes on").expect("no error");
    assert_eq!(frame.data_ref().map(|data| &data[..]), Some(&b"{\"n\":1}\n"[..]));
    drop(body);
    assert_eq!(world.logs.wanted(LogStyle::Json), None, "nobody reads any more");
}

#[tokio::test]
async fn an_unknown_level_is_refused_and_known_ones_are_not() {
    let world = World::new();
    let answer = world.get("/v1/agent/monitor?loglevel=x").await;
    assert_eq!((answer.status, answer.body.as_str()), (400, "Unknown log level: x"));
    for level in ["", "trace", "DEBUG", "info", "warn", "err", "error"] {
        let request = World::request("GET", &format!("/v1/agent/monitor?loglevel={level}"), "");
        let reply = world.router.clone().oneshot(request).await.expect("routers do not fail");
        assert_eq!(reply.status(), 200, "{level}");
        assert_eq!(reply.headers()["content-type"], "text/plain; charset=utf-8");
    }
}

#[tokio::test]
async fn counters_are_told_in_consuls_shape_and_for_prometheus() {
    let world = World::new();
    world.edit(|builder| {
        let counted = vec![
            Counted::of("shoal_datagrams_dropped_total", ("reason", "malformed"), 3),
            Counted::of("shoal_datagrams_dropped_total", ("reason", "oversize"), 1),
            Counted::new("shoal_local_health", 2),
        ];
        builder.set_status(AgentStatus { counted, ..AgentStatus::default() });
    });
    let told = world.get("/v1/agent/metrics").await.json();
    let list = |kind: &str| told[kind].as_array().expect("a list").clone();
    let gauge = |name: &str| list("Gauges").into_iter().find(|g| g["Name"] == name).expect("it is there");
    assert_eq!(gauge("shoal_local_health"), json!({"Name": "shoal_local_health", "Value": 2, "Labels": {}}));
    assert_eq!(gauge("shoal_members")["Labels"], json!({"state": "alive"}));
    let dropped: Vec<Value> = list("Counters")
        .into_iter()
        .filter(|c| c["Name"] == "shoal_datagrams_dropped_total")
        .map(|c| json!([c["Labels"]["reason"], c["Count"], c["Sum"]]))
        .collect();
    assert_eq!(dropped, [json!(["malformed", 3, 3]), json!(["oversize", 1, 1])]);
    assert_eq!((&told["Points"], &told["Samples"]), (&json!([]), &json!([])));
    assert_eq!(told["Timestamp"].as_str().map(str::len), Some("2017-08-08 02:55:10 +0000 UTC".len()));
    let text = world.get("/v1/agent/metrics?format=prometheus").await;
    assert_eq!(text.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    let block = "# TYPE shoal_datagrams_dropped_total counter\n\
        shoal_datagrams_dropped_total{reason=\"malformed\"} 3\n\
        shoal_datagrams_dropped_total{reason=\"oversize\"} 1\n";
    assert!(text.body.contains(block), "{}", text.body);
    let mut accepting = World::request("GET", "/v1/agent/metrics", "");
    let accept = "application/openmetrics-text;version=1.0.0";
    accepting.headers_mut().insert("accept", accept.parse().expect("valid"));
    assert!(world.send(accepting).await.body.contains(block), "Prometheus is told the same");
}

#[tokio::test]
async fn the_host_is_told_as_far_as_it_is_known() {
    let told = World::new().get("/v1/agent/host").await.json();
    assert_eq!(told["Host"]["hostname"], "n1");
    assert!(told["CollectionTime"].as_u64().is_some_and(|ns| ns >= 7_000_000), "{told}");
}
