//! Expressions through the endpoints that take them, and what is kept.

use super::super::world::{World, service_record};
use super::kind;
use crate::model::MemberStatus;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

/// Ids that are kept, or a part of why not; then why that is not what Consul says, if it is not.
type Case = (&'static str, &'static str, Result<&'static [&'static str], &'static str>, Option<&'static str>);

const SERVICES: &str = "/v1/agent/services";
const BAD: Option<&str> = Some("400 and not 500: a bad expression is the caller's fault");

const CASES: &[Case] = &[
    (SERVICES, "", Ok(&["a", "f1", "f2", "web1"]), None),
    (SERVICES, "Service == flt", Ok(&["f1", "f2"]), None),
    (SERVICES, "Service==\"flt\" and Port == 80", Ok(&["f1"]), None),
    (SERVICES, "Service == flt\tand\nPort==80", Ok(&["f1"]), None),
    (SERVICES, "Service == flt and EnableTagOverride == true", Ok(&["f1"]), None),
    (SERVICES, "EnableTagOverride == 1", Ok(&["f1"]), None),
    (SERVICES, "Blue in Tags", Ok(&["f1"]), None),
    (SERVICES, "\"blue\" in Tags", Ok(&[]), None),
    (SERVICES, "Tags contains \"v2\"", Ok(&["f1"]), None),
    (SERVICES, "Service == flt and Tags is empty", Ok(&["f2"]), None),
    (SERVICES, "Service==flt and Tags is not empty", Ok(&["f1"]), None),
    (SERVICES, "Meta[\"env\"] == \"prod\"", Ok(&["f1"]), None),
    (SERVICES, "Service==flt and Meta.env != prod", Ok(&["f2"]), None),
    (
        SERVICES,
        "Service==flt and Meta.env matches \"^pr\"",
        Ok(&["f1"]),
        Some("what has no such key matches nothing; Consul keeps it, by mistake"),
    ),
    (
        SERVICES,
        "Service==flt and Meta.nokey matches \"x\"",
        Ok(&[]),
        Some("what has no such key matches nothing; Consul keeps it, by mistake"),
    ),
    (SERVICES, "Service==flt and Meta.nokey not matches \"x\"", Ok(&["f1", "f2"]), None),
    (SERVICES, "Service==flt and Meta.nokey == \"\"", Ok(&[]), None),
    (SERVICES, "env in Meta", Ok(&["f1"]), None),
    (SERVICES, "\"zz\" not in Meta and Service==flt", Ok(&["f1", "f2"]), None),
    (SERVICES, "Service==flt and Meta is empty", Ok(&["f2"]), None),
    (SERVICES, "Service matches \"fl\"", Ok(&["f1", "f2"]), None),
    (SERVICES, "Service not matches \"fl|web\"", Ok(&["a"]), None),
    (SERVICES, "fl in Service", Ok(&["f1", "f2"]), None),
    (SERVICES, "Service contains fl", Ok(&["f1", "f2"]), None),
    (SERVICES, "not Service == flt", Ok(&["a", "web1"]), None),
    (SERVICES, "not (Service == flt or Service == web)", Ok(&["a"]), None),
    (SERVICES, "Service == flt or Service == web and Port == 9090", Ok(&["f1", "f2", "web1"]), None),
    (SERVICES, "Service == `flt`", Ok(&["f1", "f2"]), None),
    (SERVICES, "Service == \"fl\\u0074\"", Ok(&["f1", "f2"]), None),
    (SERVICES, "Weights.Passing == 1", Ok(&["a", "f1", "f2", "web1"]), None),
    (SERVICES, "TaggedAddresses.lan_ipv4.Address == \"10.0.0.7\"", Ok(&["web1"]), None),
    (SERVICES, "Address == \"127.0.0.1\"", Ok(&[]), None),
    (SERVICES, " (Service == flt)", Ok(&["f1", "f2"]), None),
    (SERVICES, "ID == f1", Ok(&["f1"]), None),
    (SERVICES, "Service == flt and Port==0x50", Err("Invalid number literal"), BAD),
    (SERVICES, "Service==flt and Meta.nokey in \"x\"", Err("Failed to create"), BAD),
    (SERVICES, "Service == flt AND Port == 80", Err("1:16 (15)"), BAD),
    (SERVICES, "Port > 80", Err("1:6 (5)"), BAD),
    (SERVICES, "Port == abc", Err("Failed to coerce value \"abc\" for selector \"Port\""), BAD),
    (SERVICES, "Port matches \"8\"", Err("Invalid match operator \"Matches\" for selector \"Port\""), BAD),
    (SERVICES, "Service is empty", Err("Invalid match operator \"Is Empty\""), BAD),
    (SERVICES, "Tags == Blue", Err("Invalid match operator \"Equal\""), BAD),
    (SERVICES, "Service == 'flt'", Err("1:12 (11)"), BAD),
    (SERVICES, "TaggedAddresses.lan_ipv4.Address == 127.0.0.1", Err("Invalid number literal"), BAD),
    (SERVICES, "Service ==", Err("no match found"), BAD),
    (SERVICES, "Datacenter == dc1", Err("Selector \"Datacenter\" is not valid"), BAD),
    (SERVICES, "service == flt", Err("Selector \"service\" is not valid"), BAD),
    ("/v1/catalog/service/flt", "ServiceMeta.env == prod", Ok(&["f1"]), None),
    ("/v1/catalog/service/flt", "NodeMeta.x == y", Ok(&[]), None),
    ("/v1/catalog/service/flt", "ServicePort != 80", Ok(&["f2"]), None),
    ("/v1/health/service/flt", "Service.Meta.env == prod", Ok(&["f1"]), None),
    ("/v1/health/service/flt", "Checks.Status == passing", Ok(&["f1", "f2"]), None),
    ("/v1/health/service/flt", "Checks.Status != passing", Ok(&["f1"]), None),
    ("/v1/health/service/flt", "Checks is empty", Ok(&[]), None),
    ("/v1/health/service/flt", "Checks.CheckID contains serf", Ok(&["f1", "f2"]), None),
    ("/v1/health/service/flt", "Node.Node == n2 and Service.ID == f2", Ok(&[]), None),
    ("/v1/health/checks/flt", "Status == critical", Ok(&["service:f1"]), None),
    ("/v1/health/state/any", "ServiceName == flt", Ok(&["service:f1"]), None),
    ("/v1/health/node/n1", "Status == passing and CheckID != serfHealth", Ok(&[]), None),
    ("/v1/catalog/nodes", "Node == n1", Ok(&["n1"]), None),
    ("/v1/catalog/nodes", "Meta[\"no-such-key\"] == \"\"", Ok(&[]), None),
    ("/v1/catalog/nodes", "TaggedAddresses.lan == \"10.0.0.2\"", Ok(&["n2"]), None),
    ("/v1/catalog/node/n1", "Service == flt", Ok(&["f1", "f2"]), None),
    ("/v1/catalog/node-services/n1", "Service == web", Ok(&["web1"]), None),
    ("/v1/catalog/services", "ServiceName == web", Ok(&["web"]), None),
    ("/v1/agent/checks", "Status == critical", Ok(&["service:f1"]), None),
    ("/v1/agent/members", "Tags.rack == r2", Ok(&["n2"]), None),
];

/// The ids in an answer of any of these endpoints.
fn ids(value: &Value) -> Vec<String> {
    let value = value.get("Services").unwrap_or(value);
    if let Some(object) = value.as_object() {
        return object.keys().cloned().collect();
    }
    let id = |item: &Value| {
        let service = &item["Service"]["ID"];
        let fields = ["ServiceID", "CheckID", "ID", "Name", "Node"].map(|field| &item[field]);
        // A check has both an instance's id and its own, a node both an identifier and a name.
        let chosen = if kind(service) == 's' {
            service
        } else if kind(fields[1]) == 's' {
            fields[1]
        } else if kind(fields[0]) == 's' {
            fields[0]
        } else if kind(fields[4]) == 's' {
            fields[4]
        } else if kind(fields[2]) == 's' {
            fields[2]
        } else {
            fields[3]
        };
        chosen.as_str().unwrap_or("?").to_owned()
    };
    value.as_array().map(|items| items.iter().map(id).collect()).unwrap_or_default()
}

#[tokio::test]
async fn expressions_keep_what_they_keep_in_consul() {
    let world = World::new();
    world.node("n2", 2, MemberStatus::Alive);
    world.service("n2", service_record("db", "db", &[], 1));
    for body in [
        r#"{"Name":"flt","ID":"f1","Port":80,"Tags":["Blue","v2"],"Meta":{"env":"prod"},"EnableTagOverride":true,
            "Check":{"TTL":"60s"}}"#,
        r#"{"Name":"flt","ID":"f2","Port":81}"#,
        r#"{"Name":"a"}"#,
        r#"{"Name":"web","ID":"web1","Port":9090,"Address":"10.0.0.7"}"#,
    ] {
        world.register(body).await;
    }
    for (path, expression, want, ours) in CASES {
        let encoded = utf8_percent_encode(expression, NON_ALPHANUMERIC);
        let answer = world.get(&format!("{path}?filter={encoded}")).await;
        match want {
            Ok(want) => {
                assert_eq!(answer.status, 200, "{path} {expression}: {}", answer.body);
                assert_eq!(ids(&answer.json()), *want, "{path} {expression}");
            }
            Err(part) => {
                assert_eq!(answer.status, 400, "{path} {expression}");
                let begins = answer.body.starts_with("Failed to create boolean expression evaluator: ");
                assert!(begins && answer.body.contains(part), "{path} {expression}: {}", answer.body);
                assert!(ours.is_some(), "{expression} says why");
            }
        }
    }
}
