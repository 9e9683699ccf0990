//! Keys: whether gossip is sealed, and whether all have the same.

use super::super::finding::{Finding, Report, Severity};
use super::{Facts, count};
use std::net::SocketAddr;

pub(super) fn judge(facts: &Facts, report: &mut Report) {
    let before = report.findings.len();
    let e = &facts.examination;
    let routable = e.bound.parse::<SocketAddr>().is_ok_and(|addr| !addr.ip().is_loopback());
    if !e.sealed && routable {
        report.add(
            Finding::new("gossip_in_plain", Severity::Warning, &e.node)
                .seen(format!("gossip at {} without a key", e.bound))
                .means("whoever sees or sends datagrams there can read the table and forge members and services")
                .remedy(
                    "`shoal keygen > keys`, mode 0600, the same file on all hosts, key_file = \"...\" in each \
                     configuration, and a restart of all agents (SECURITY.md)",
                ),
        );
    }
    for key in facts.keys.iter().filter(|key| key.have < key.alive) {
        let missing = if key.missing.is_empty() { "some".to_owned() } else { key.missing.join(", ") };
        let (severity, then) = match key.primary {
            true => (Severity::Critical, "what this agent sends cannot be opened there"),
            false => (Severity::Warning, "it must not become the primary key yet"),
        };
        report.add(
            Finding::new("key_missing", severity, missing.clone())
                .seen(format!("key {} is on {} of {} live members", key.id, key.have, key.alive))
                .means(format!("a rotation did not reach {missing}, or has just begun: {then}"))
                .remedy(format!(
                    "again in a minute; if it stays: on {missing} `shoal keyring install KEY` with key {}, or the key in \
                     its key file and `shoal reload`",
                    key.id
                )),
        );
    }
    let mixed: Vec<&str> =
        facts.keys.iter().filter(|k| !k.primary && k.used > 0).map(|k| k.id.as_str()).collect();
    if !mixed.is_empty() {
        report.add(
            Finding::new("keys_mixed", Severity::Note, mixed.join(", "))
                .seen(format!("some members still seal with {}", mixed.join(", ")))
                .means("a rotation is under way: all keys of the keyring are accepted everywhere")
                .remedy("`shoal keyring list` shows who; remove an old key when nobody uses it"),
        );
    }
    let seen = match (e.sealed, facts.keys.len()) {
        (false, _) => "gossip stays on this host and is not sealed".to_owned(),
        (true, 0) => "gossip is sealed".to_owned(),
        (true, n) => format!("gossip is sealed, {} on all live members", count(n, "key")),
    };
    report.pass_since(before, "keys", seen);
}

#[cfg(test)]
mod tests {
    use super::super::testing::{found, names};
    use super::*;
    use crate::client::Key;

    fn key(have: usize, used: usize, primary: bool) -> Key {
        let missing = if have < 3 { vec!["n3".to_owned()] } else { Vec::new() };
        Key { id: "0a0b0c0d".to_owned(), primary, have, used, alive: 3, missing }
    }

    #[test]
    fn a_routable_address_wants_a_key() {
        assert_eq!(names(judge, |facts| facts.examination.sealed = false), ["gossip_in_plain"]);
        let loopback = |facts: &mut Facts| {
            facts.examination.sealed = false;
            facts.examination.bound = "127.0.0.1:7946".to_owned();
        };
        assert!(names(judge, loopback).is_empty());
    }

    #[test]
    fn members_without_a_key_are_named() {
        let primary = found(judge, |facts| facts.keys = vec![key(2, 2, true)]);
        assert_eq!((primary[0].name, primary[0].severity), ("key_missing", Severity::Critical));
        assert!(primary[0].remedy.contains("on n3 `shoal keyring install KEY` with key 0a0b0c0d"));
        let next = found(judge, |facts| facts.keys = vec![key(3, 3, true), key(2, 0, false)]);
        assert_eq!(next[0].severity, Severity::Warning);
        let rotating = found(judge, |facts| facts.keys = vec![key(3, 2, true), key(3, 1, false)]);
        assert_eq!((rotating[0].name, rotating[0].severity), ("keys_mixed", Severity::Note));
    }
}
