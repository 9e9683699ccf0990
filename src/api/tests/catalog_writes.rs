//! `catalog/register` and `catalog/deregister`, for this node and for others.

use super::world::World;
use crate::model::MemberStatus;
use serde_json::json;

const REGISTER: &str = "/v1/catalog/register";
const DEREGISTER: &str = "/v1/catalog/deregister";

#[tokio::test]
async fn what_is_said_of_this_node_becomes_registrations_of_this_host() {
    let world = World::new();
    let body = r#"{"Datacenter":"dc1","Node":"N1","Address":"10.0.0.1","NodeMeta":{"a":"b"},
        "Service":{"ID":"ext1","service":"ext","Tags":["t"],"Address":"10.9.9.9","Port":5,"Meta":{"k":"v"},
            "Weights":{"Passing":3,"Warning":1},"CreateIndex":7,"ModifyIndex":9,"Namespace":"default"},
        "Checks":[{"Node":"n1","CheckID":"c1","Name":"mine","Status":"passing","ServiceID":"ext1","Output":"fine",
            "Definition":{"Interval":"0s"}}]}"#;
    let answer = world.put(REGISTER, body).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "true"));
    assert_eq!(answer.header("content-type"), "application/json");
    let entry = &world.get("/v1/health/service/ext?passing").await.json()[0];
    assert_eq!(entry["Service"]["ID"], "ext1");
    assert_eq!(entry["Service"]["Address"], "10.9.9.9");
    assert_eq!(entry["Service"]["Weights"], json!({"Passing": 3, "Warning": 1}));
    assert_eq!(world.get("/v1/agent/checks").await.json()["c1"]["Output"], "fine");

    // Said again with another status, the check has that one: the catalog has no heartbeats.
    let body = r#"{"Node":"n1","SkipNodeUpdate":true,"Check":{"CheckID":"c1","Name":"mine","Status":"critical",
        "ServiceID":"ext1","Output":"broken"}}"#;
    assert_eq!(world.put(REGISTER, body).await.body, "true");
    let check = &world.get("/v1/agent/checks").await.json()["c1"];
    assert_eq!((&check["Status"], &check["Output"]), (&json!("critical"), &json!("broken")));

    for body in [
        r#"{"Node":"n1","CheckID":"c1"}"#,
        r#"{"Node":"n1","CheckID":"c1"}"#,
        r#"{"Node":"n1","ServiceID":"ext1"}"#,
        r#"{"Node":"n1","ServiceID":"ext1"}"#,
    ] {
        assert_eq!(world.put(DEREGISTER, body).await.body, "true", "{body}");
    }
    assert_eq!(world.get("/v1/agent/services").await.body, "{}");
    assert_eq!(world.get("/v1/agent/checks").await.body, "{}");
}

#[tokio::test]
async fn what_cannot_be_is_refused_and_changes_nothing() {
    let world = World::new();
    world.node("n2", 2, MemberStatus::Alive);
    let elsewhere =
        "catalog/register for other nodes is not supported: register through the agent on that node";
    let cases = [
        (REGISTER, r#"{"Node":"x"}"#, 500, "Must provide address if SkipNodeUpdate is not set"),
        (REGISTER, r#"{"Address":"1.1.1.1"}"#, 500, "Must provide node"),
        (REGISTER, r#"{"Node":"n2","Address":"1.1.1.1"}"#, 501, elsewhere),
        (REGISTER, r#"{"Node":"ext","Address":"1.1.1.1","Service":{"Service":"a"}}"#, 501, elsewhere),
        (REGISTER, r#"{"Node":"n1","Address":"a","Datacenter":"mars"}"#, 500, "No path to datacenter"),
        (REGISTER, "", 400, "Request decode failed: EOF"),
        (REGISTER, r#"{"Node":"n1","bogus":1}"#, 400, "Request decode failed: json: unknown field \"bogus\""),
        (
            REGISTER,
            r#"{"Node":"n1","Address":"a","Service":{"Port":1}}"#,
            500,
            "Must provide service name (Service.Service)",
        ),
        (
            REGISTER,
            r#"{"Node":"n1","Address":"a","Service":{"Service":"a"},"Check":{"Name":"c","ServiceID":"zz"}}"#,
            500,
            "ServiceID \"zz\" does not exist",
        ),
        (
            REGISTER,
            r#"{"Node":"n1","Address":"a","Check":{"Name":"c","Definition":{"HTTP":"http://x","Interval":"10s"}}}"#,
            400,
            "Invalid check: a Definition is not supported here: register a check that the agent carries out with \
             PUT /v1/agent/check/register",
        ),
        (
            REGISTER,
            r#"{"Node":"n1","Address":"a","Check":{"Node":"n2","Name":"c"}}"#,
            500,
            "check node \"n2\" does not match node \"n1\"",
        ),
        (
            DEREGISTER,
            r#"{"Node":"n2","ServiceID":"a"}"#,
            501,
            "catalog/deregister for other nodes is not supported: register through the agent on that node",
        ),
        (
            DEREGISTER,
            r#"{"Node":"n1"}"#,
            501,
            "catalog/deregister of a whole node is not supported: a node goes when its agent leaves (PUT \
             /v1/agent/leave)",
        ),
        (DEREGISTER, "{}", 500, "Must provide node"),
    ];
    for (target, body, status, text) in cases {
        let answer = world.put(target, body).await;
        assert_eq!((answer.status, answer.body.as_str()), (status, text), "{target} {body}");
    }
    assert_eq!(world.get("/v1/agent/services").await.body, "{}");
}

#[tokio::test]
async fn so_many_checks_are_registered_in_one_call() {
    let world = World::new();
    let checks = vec![r#"{"CheckID":"c","Name":"c"}"#; 1_001].join(",");
    let body = format!(r#"{{"Node":"n1","Address":"10.0.0.1","Checks":[{checks}]}}"#);
    let refused = world.put("/v1/catalog/register", &body).await;
    assert_eq!(refused.status, 400, "{refused:?}");
    assert!(refused.body.contains("1001 checks: want at most 1000"), "{refused:?}");
}
