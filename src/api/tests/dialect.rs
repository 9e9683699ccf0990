//! The dialect, row by row: what Consul answers, and where and why this agent does not.
//!
//! Each row is one call in a world that all rows of its table share, in order. A row with `ours`
//! is a deliberate difference, and says why. Exact objects are in `shapes`, exact refusals in
//! `errors`; here stands that every part of the dialect is there at all.

mod filters;
mod recorded;
mod rows;

use super::world::{Answer, World, service_record};
use crate::model::MemberStatus;
use serde_json::Value;

/// What is expected of a body.
#[derive(Debug, Clone, Copy)]
enum Want {
    /// Nothing at all.
    Empty,
    /// Exactly this text.
    Text(&'static str),
    /// A text that begins like this.
    Begins(&'static str),
    /// A JSON value of this kind whose fields (of the first item, of a list) are these and of these
    /// kinds, written `Name:s Port:n Tags:l Meta:o EnableTagOverride:b Coord:?`.
    Shape(&'static str, &'static str),
    /// Exactly this JSON.
    Json(&'static str),
}

/// Which headers come with an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Headers {
    /// Those of a read of catalog and health.
    Indexed,
    /// No index.
    Plain,
}

struct Row {
    method: &'static str,
    target: &'static str,
    body: &'static str,
    status: u16,
    want: Want,
    headers: Headers,
    /// Why this is not what Consul does; `None`: it is.
    ours: Option<&'static str>,
}

const fn row(method: &'static str, target: &'static str, body: &'static str, status: u16, want: Want) -> Row {
    Row { method, target, body, status, want, headers: Headers::Plain, ours: None }
}

/// A read with an index.
const fn read(target: &'static str, want: Want) -> Row {
    Row { method: "GET", target, body: "", status: 200, want, headers: Headers::Indexed, ours: None }
}

const fn get(target: &'static str, status: u16, want: Want) -> Row {
    row("GET", target, "", status, want)
}

const fn put(target: &'static str, body: &'static str, status: u16, want: Want) -> Row {
    row("PUT", target, body, status, want)
}

impl Row {
    const fn ours(mut self, why: &'static str) -> Self {
        self.ours = Some(why);
        self
    }

    const fn indexed(mut self) -> Self {
        self.headers = Headers::Indexed;
        self
    }

    fn name(&self) -> String {
        format!("{} {} {}", self.method, self.target, self.body)
    }
}

fn kind(value: &Value) -> char {
    match value {
        Value::Null => '0',
        Value::Bool(_) => 'b',
        Value::Number(_) => 'n',
        Value::String(_) => 's',
        Value::Array(_) => 'l',
        Value::Object(_) => 'o',
    }
}

/// Fields with their kinds, in the order of their names.
fn fields(value: &Value) -> String {
    let first = match value {
        Value::Array(items) => items.first().unwrap_or(&Value::Null),
        other => other,
    };
    let Some(object) = first.as_object() else { return kind(first).to_string() };
    let fields: Vec<String> = object.iter().map(|(name, v)| format!("{name}:{}", kind(v))).collect();
    fields.join(" ")
}

#[track_caller]
fn judge(row: &Row, answer: &Answer) {
    let name = row.name();
    assert_eq!(answer.status, row.status, "{name}: {answer:?}");
    let content_type = answer.header("content-type");
    match row.want {
        Want::Empty => assert_eq!(answer.body, "", "{name}"),
        Want::Text(text) => assert_eq!(answer.body, text, "{name}"),
        Want::Begins(text) => assert!(answer.body.starts_with(text), "{name}: {}", answer.body),
        Want::Shape(wanted, in_it) => {
            let value = answer.json();
            assert_eq!(kind(&value).to_string(), wanted, "{name}: {value}");
            let mut sorted: Vec<&str> = in_it.split_whitespace().collect();
            sorted.sort_unstable();
            assert_eq!(fields(&value), sorted.join(" "), "{name}: {value}");
        }
        Want::Json(text) => {
            let wanted: Value = serde_json::from_str(text).expect("rows are JSON");
            assert_eq!(answer.json(), wanted, "{name}");
        }
    }
    match row.want {
        Want::Shape(..) | Want::Json(_) => assert_eq!(content_type, "application/json", "{name}"),
        Want::Text(_) | Want::Begins(_) => assert_eq!(content_type, "text/plain; charset=utf-8", "{name}"),
        Want::Empty => assert_eq!(content_type, "", "{name}"),
    }
    let index = answer.header("x-consul-index");
    match row.headers {
        Headers::Indexed => {
            // Signed 64 bits for some clients, 53 for others; never the 0 that does not block.
            assert!(index.parse::<i64>().is_ok_and(|n| (1..1 << 53).contains(&n)), "{name}: {index}");
            assert_eq!(answer.header("x-consul-knownleader"), "true", "{name}");
            assert!(answer.header("x-consul-lastcontact").parse::<u64>().is_ok(), "{name}");
            assert_eq!(answer.header("x-consul-effective-consistency"), "stale", "{name}");
        }
        Headers::Plain => assert_eq!(index, "", "{name}"),
    }
    if row.target.starts_with("/v1/") {
        assert_eq!(answer.header("x-consul-default-acl-policy"), "allow", "{name}");
    }
}

/// This node with a service of two instances, and another node with one.
async fn world() -> World {
    let world = World::new();
    world.node("n2", 2, MemberStatus::Alive);
    world.service("n2", service_record("db", "db", &[], 5_432));
    world
        .register(
            r#"{"Name":"web","ID":"web1","Address":"10.0.0.1","Port":9090,"Tags":["prom","a"],
            "Meta":{"v":"1"},"Check":{"TTL":"600s","Status":"passing"}}"#,
        )
        .await;
    world
        .register(
            r#"{"Name":"web","ID":"web2","Port":9091,"Checks":[{"TTL":"600s","Status":"warning"},
            {"CheckID":"mine","Name":"my check","TTL":"600s","Status":"passing","Notes":"note"}]}"#,
        )
        .await;
    world
}

async fn hold(rows: &[Row]) {
    let world = world().await;
    for row in rows {
        let answer = world.send(World::request(row.method, row.target, row.body)).await;
        judge(row, &answer);
        assert!(row.ours.is_none_or(|why| why.len() > 20), "{} says why", row.name());
    }
}

#[tokio::test]
async fn every_read_of_catalog_and_health_is_there() {
    hold(rows::READS).await;
}

#[tokio::test]
async fn every_endpoint_of_the_agent_is_there() {
    hold(rows::AGENT).await;
}

#[tokio::test]
async fn every_parameter_means_what_it_means() {
    hold(rows::PARAMETERS).await;
}

#[tokio::test]
async fn what_a_directory_without_servers_has_not_says_so() {
    hold(rows::ABSENT).await;
}

#[tokio::test]
async fn methods_are_the_dialects() {
    let world = world().await;
    for (target, methods, ours) in rows::METHODS {
        let answer = world.send(World::request("OPTIONS", target, "")).await;
        assert_eq!((answer.status, answer.header("allow")), (200, *methods), "{target}");
        assert!(ours.is_none_or(|why| why.len() > 20), "{target} says why");
        let refused = world.send(World::request("PATCH", target, "")).await;
        assert_eq!((refused.status, refused.header("allow")), (405, *methods), "{target}");
        assert_eq!(refused.body, "method PATCH not allowed");
    }
}
