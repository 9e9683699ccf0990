//! The API's own description, held against the routes and against answers.

use super::world::{World, service_record};
use crate::api::openapi::DOCUMENT;
use crate::api::route::routes;
use crate::model::MemberStatus;
use serde_json::Value;
use std::collections::BTreeMap;

fn document() -> Value {
    serde_json::from_str(DOCUMENT).expect("it is JSON")
}

#[test]
fn every_route_is_described_and_nothing_else() {
    let table: BTreeMap<String, Vec<String>> = routes()
        .map(|(path, has_id, methods)| {
            let path = if has_id { format!("{path}{{id}}") } else { path.to_owned() };
            let mut methods: Vec<String> = methods.iter().map(|m| m.as_str().to_lowercase()).collect();
            methods.sort_unstable();
            (path, methods)
        })
        .collect();
    let document = document();
    let described: BTreeMap<String, Vec<String>> = document["paths"]
        .as_object()
        .expect("an object")
        .iter()
        .map(|(path, item)| (path.clone(), item.as_object().expect("an object").keys().cloned().collect()))
        .collect();
    for (path, methods) in &table {
        assert_eq!(described.get(path), Some(methods), "{path}");
    }
    assert_eq!(table.len(), described.len());
    assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
}

/// Holds a value against a schema, as far as the document uses schemas.
fn validate(document: &Value, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
    if let Some(reference) = schema["$ref"].as_str() {
        let pointer = reference.strip_prefix('#').expect("inside the document");
        let schema = document.pointer(pointer).ok_or_else(|| format!("{reference} is not there"))?;
        return validate(document, schema, value, at);
    }
    if let Some(choices) = schema["oneOf"].as_array() {
        let fits = choices.iter().filter(|choice| validate(document, choice, value, at).is_ok()).count();
        return if fits == 1 { Ok(()) } else { Err(format!("{at}: {fits} choices fit {value}")) };
    }
    let is = |kind: &str| match kind {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("{at}: {other} is no type"),
    };
    let fits = match &schema["type"] {
        Value::String(kind) => is(kind),
        Value::Array(kinds) => kinds.iter().any(|kind| kind.as_str().is_some_and(is)),
        _ => false,
    };
    if !fits {
        return Err(format!("{at}: want {}, got {value}", schema["type"]));
    }
    if let Some(words) = schema["enum"].as_array()
        && !words.contains(value)
    {
        return Err(format!("{at}: {value} is none of {words:?}"));
    }
    for (n, item) in value.as_array().into_iter().flatten().enumerate() {
        validate(document, &schema["items"], item, &format!("{at}[{n}]"))?;
    }
    let Some(fields) = value.as_object() else { return Ok(()) };
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if !fields.contains_key(name) {
            return Err(format!("{at}: no {name}"));
        }
    }
    let known = schema["properties"].as_object();
    for (name, field) in fields {
        let at = format!("{at}.{name}");
        match known.and_then(|known| known.get(name)) {
            Some(schema) => validate(document, schema, field, &at)?,
            None if schema["additionalProperties"].is_object() => {
                validate(document, &schema["additionalProperties"], field, &at)?;
            }
            None if known.is_some() => return Err(format!("{at}: not described")),
            None => {}
        }
    }
    Ok(())
}

#[tokio::test]
async fn answers_are_what_the_document_says() {
    let world = World::new();
    world.node("n2", 2, MemberStatus::Failed);
    world.place("n1", 1, Some(0), Some(0.0));
    world.service("n2", service_record("db", "db", &["a"], 1));
    world
        .register(
            r#"{"Name":"web","ID":"x","Address":"10.0.0.1","Port":80,"Meta":{"k":"v"},"SocketPath":"/s",
            "Check":{"TTL":"9s","Status":"passing"}}"#,
        )
        .await;
    world.put("/v1/event/fire/deploy", "hi").await;
    let document = document();
    let ids = ["x", "web", "n1", "any", "absent"];
    let mut held = 0;
    for (path, item) in document["paths"].as_object().expect("an object") {
        let schema = &item["get"]["responses"]["200"]["content"]["application/json"]["schema"];
        if schema.is_null() {
            continue;
        }
        let targets: Vec<String> = if path.contains("{id}") {
            ids.map(|id| path.replace("{id}", id)).to_vec()
        } else {
            vec![path.clone()]
        };
        for target in targets {
            let answer = world.get(&target).await;
            if answer.status == 200 {
                validate(&document, schema, &answer.json(), &target).unwrap_or_else(|e| panic!("{e}"));
                held += 1;
            }
        }
    }
    assert!(held > 45, "only {held} answers were looked at");
    let schema = &document["paths"]["/v1/event/fire/{id}"]["put"]["responses"]["200"]["content"];
    let fired = world.put("/v1/event/fire/a", "").await.json();
    validate(&document, &schema["application/json"]["schema"], &fired, "event")
        .unwrap_or_else(|e| panic!("{e}"));
    let served = world.get("/v1/shoal/openapi.json").await;
    assert_eq!((served.header("content-type"), served.body.as_str()), ("application/json", DOCUMENT));
}
