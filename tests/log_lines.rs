//! The log as programs read it: one JSON object a line, whatever happens.

#![allow(clippy::disallowed_methods, reason = "real processes live in real time")]

#[path = "support/agent_process.rs"]
mod support;

use nix::sys::signal::Signal;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;
use support::{PATIENCE, Place, poll};

/// An object that has no key twice, which other parsers would understand in different ways.
struct Line(BTreeMap<String, Value>);

impl<'de> serde::Deserialize<'de> for Line {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Line;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Line, A::Error> {
                let mut fields = BTreeMap::new();
                while let Some((key, value)) = map.next_entry::<String, Value>()? {
                    if fields.insert(key.clone(), value).is_some() {
                        return Err(serde::de::Error::custom(format!("{key} stands there twice")));
                    }
                }
                Ok(Line(fields))
            }
        }
        deserializer.deserialize_map(Fields)
    }
}

#[test]
fn each_line_is_a_json_object_with_the_same_four_fields() {
    let (a, b) = (Place::new(), Place::new());
    let config = a.path("shoal.toml");
    let (good, bad) = (a.path("good.j2"), a.path("bad.j2"));
    std::fs::write(&good, "{{ services()|length }}\n").expect("writes");
    std::fs::write(&bad, "{{ nothing( }}\n").expect("writes");
    let text = format!(
        "[[template]]\ntemplate = {good:?}\nout = {:?}\nexec = \"echo loud; printf 'half a line' >&2; exit 3\"\n\
         [[template]]\ntemplate = {bad:?}\nout = {:?}\n",
        a.path("good"),
        a.path("bad")
    );
    std::fs::write(&config, text).expect("writes");
    let mut first = a.start(
        "one",
        &["--log-format", "json", "--log-level", "trace", "--config", &config.display().to_string()],
    );
    let second = b.start("two", &["--join", &first.gossip()]);
    let web = r#"{"Name": "we\"b\nline", "ID": "w", "Port": 80, "Check": {"TTL": "1h"}}"#;
    first.put("/v1/agent/service/register", web);
    first.get_until("/v1/agent/members", |m| m.as_array().is_some_and(|m| m.len() == 2));
    std::fs::write(&config, "cluster = 7\n").expect("writes");
    first.signal(Signal::SIGHUP);
    let said = |what: &str| {
        assert!(
            poll(PATIENCE, || first.log().contains(what).then_some(())).is_some(),
            "{what}:\n{}",
            first.log()
        );
    };
    said("the configuration was not changed");
    said("exit code 3: loud");
    said("bad.j2:1: syntax error");
    second.kill();
    first.signal(Signal::SIGTERM);
    assert_eq!(first.exit_code(Duration::from_secs(10)), 0);
    let log = first.log();
    let mut levels = BTreeMap::new();
    for text in log.lines() {
        let Line(fields) = serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}"));
        let field = |name: &str| {
            let value = fields.get(name).and_then(Value::as_str);
            value.unwrap_or_else(|| panic!("no {name} in {text}")).to_owned()
        };
        let time = field("timestamp");
        assert!(time.parse::<jiff::Timestamp>().is_ok() && time.ends_with('Z'), "{text}");
        assert!(
            field("target").starts_with("shoal::") || field("level") == "TRACE" || field("level") == "DEBUG",
            "{text}"
        );
        assert!(!field("message").is_empty(), "{text}");
        *levels.entry(field("level")).or_insert(0) += 1;
    }
    let told: Vec<&str> = levels.keys().map(String::as_str).collect();
    assert!(
        log.ends_with('\n') && told.iter().all(|l| ["TRACE", "DEBUG", "INFO", "WARN", "ERROR"].contains(l)),
        "{levels:?}"
    );
    assert!(levels["TRACE"] > 10 && levels["INFO"] > 2 && levels["ERROR"] >= 3, "{levels:?}");
}
