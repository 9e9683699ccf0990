//! Where nodes are, how far from each other, and lists sorted by that.

use super::world::{Answer, World, service_record};
use crate::model::MemberStatus;
use serde_json::{Value, json};

/// n1 at 0 ms, n2 at 30 ms, a3 at 40 ms on one line; n1 has measured n2 only, at 90 ms. What b4 and c5
/// are like is not known.
fn line() -> World {
    let world = World::new();
    for (name, number) in [("n2", 2), ("a3", 3), ("b4", 4), ("c5", 5)] {
        world.node(name, number, MemberStatus::Alive);
        world.service(name, service_record("web", "web", &[], 80));
    }
    world.place("n1", 1, Some(0), Some(0.0));
    world.place("n2", 2, Some(90), Some(30.0));
    world.place("a3", 3, None, Some(40.0));
    world
}

fn nodes(answer: &Answer) -> Vec<String> {
    let list = answer.json();
    let name = |entry: &Value| {
        let node = if entry["Node"].is_object() { &entry["Node"]["Node"] } else { &entry["Node"] };
        node.as_str().expect("a name").to_owned()
    };
    list.as_array().expect("a list").iter().map(name).collect()
}

#[tokio::test]
async fn lists_are_sorted_by_measured_then_by_estimated_time() {
    let world = line();
    let cases: &[(&str, &[&str])] = &[
        // 41 ms by coordinates, 90 ms measured though coordinates say 31.
        ("/v1/health/service/web?near=_agent", &["a3", "n2", "b4", "c5"]),
        ("/v1/health/service/web?near=N1", &["a3", "n2", "b4", "c5"]),
        ("/v1/health/service/web?near=n2", &["n2", "a3", "b4", "c5"]),
        ("/v1/catalog/service/web?near=n2", &["n2", "a3", "b4", "c5"]),
        ("/v1/catalog/nodes?near=a3", &["a3", "n2", "n1", "b4", "c5"]),
        ("/v1/catalog/nodes?near=n2", &["n2", "a3", "n1", "b4", "c5"]),
        // Nothing is known of these: the order of names stays, but for the node itself.
        ("/v1/health/service/web?near=nope", &["a3", "b4", "c5", "n2"]),
        ("/v1/catalog/nodes?near=c5", &["c5", "a3", "b4", "n1", "n2"]),
        ("/v1/catalog/nodes", &["a3", "b4", "c5", "n1", "n2"]),
    ];
    for (target, want) in cases {
        let answer = world.get(target).await;
        assert_eq!(
            (answer.status, nodes(&answer)),
            (200, want.iter().map(|n| (*n).to_owned()).collect()),
            "{target}"
        );
    }
    let states = world.get("/v1/health/state/passing?near=n2").await;
    assert_eq!(nodes(&states)[..2], ["n2", "a3"]);
}

#[tokio::test]
async fn coordinates_have_consuls_shape() {
    let world = line();
    let coord = json!({"Vec": [0.03, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0], "Error": 0.1, "Adjustment": 0.0, "Height": 0.0005});
    let n2 = json!({"Node": "n2", "Segment": "", "Coord": coord});
    let all = world.get("/v1/coordinate/nodes").await;
    assert_eq!(nodes(&all), ["a3", "n1", "n2"]);
    assert_eq!(all.json()[2], n2);
    assert!(all.index() > 0);
    let one = world.get("/v1/coordinate/node/N2").await;
    assert_eq!((one.json(), one.index() > 0), (json!([n2]), true));
    let none = world.get("/v1/coordinate/node/c5").await;
    assert_eq!((none.status, none.body.as_str(), none.index() > 0), (404, "", true));
    let centers = world.get("/v1/coordinate/datacenters").await.json();
    assert_eq!((&centers[0]["Datacenter"], &centers[0]["AreaID"]), (&json!("dc1"), &json!("wan")));
    assert_eq!(centers[0]["Coordinates"].as_array().map(Vec::len), Some(3));
    assert_eq!(world.get("/v1/agent/self").await.json()["Coord"]["Height"], 0.0005);
}

#[tokio::test]
async fn a_coordinate_that_moves_is_shown_and_wakes_nobody() {
    let world = line();
    let before = world.get("/v1/coordinate/nodes").await.index();
    world.place("a3", 3, Some(7), Some(41.0));
    let after = world.get("/v1/coordinate/nodes").await;
    assert_eq!((after.index(), &after.json()[0]["Coord"]["Vec"][0]), (before, &json!(0.041)));
    world.node("d6", 6, MemberStatus::Alive);
    assert!(world.get("/v1/coordinate/nodes").await.index() > before);
}

#[tokio::test]
async fn a_time_between_two_nodes_says_how_it_is_known() {
    let world = line();
    let cases = [
        ("b=n2", json!({"a": "n1", "b": "n2", "rtt_ms": 90.0, "source": "measured"})),
        ("a=n2&b=_agent", json!({"a": "n2", "b": "n1", "rtt_ms": 90.0, "source": "measured"})),
        ("a=N2&b=a3", json!({"a": "n2", "b": "a3", "rtt_ms": 11.0, "source": "estimated"})),
        ("b=a3", json!({"a": "n1", "b": "a3", "rtt_ms": 41.0, "source": "estimated"})),
        ("a=n2&b=c5", json!({"a": "n2", "b": "c5", "rtt_ms": null, "source": null})),
        ("", json!({"a": "n1", "b": "n1", "rtt_ms": 0.0, "source": "measured"})),
    ];
    for (query, want) in cases {
        assert_eq!(world.get(&format!("/v1/shoal/rtt?{query}")).await.json(), want, "{query}");
    }
}
