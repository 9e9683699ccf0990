//! Who of the cluster's nodes delivers a fired event: the filters that came with it.
//!
//! Filters are regular expressions of whoever fired the event, matched anywhere in a name unless
//! they say otherwise. Matching takes time in proportion to its input whatever the expression is,
//! and the size of a compiled expression is bounded. Never spreads events and keeps none.

use crate::model::{LocalState, NodeName, USER_EVENT_REGEX_BYTES_MAX, UserEventContent};
use regex::{Regex, RegexBuilder};

/// Whether `content` is meant for this node. The error is what is wrong with a filter.
pub(super) fn is_meant_for(
    content: &UserEventContent,
    node: &NodeName,
    local: &LocalState,
) -> Result<bool, regex::Error> {
    if !matches(&content.node_filter, [node.as_str()])? {
        return Ok(false);
    }
    if content.service_filter.is_empty() {
        return Ok(true);
    }
    let name = compile(&content.service_filter)?;
    let tag = compile(&content.tag_filter)?;
    let tagged = |tags: &[String]| content.tag_filter.is_empty() || tags.iter().any(|t| tag.is_match(t));
    Ok(local.services.values().any(|s| name.is_match(s.name.as_str()) && tagged(&s.tags)))
}

fn matches<'a>(filter: &str, names: impl IntoIterator<Item = &'a str>) -> Result<bool, regex::Error> {
    if filter.is_empty() {
        return Ok(true);
    }
    let regex = compile(filter)?;
    Ok(names.into_iter().any(|name| regex.is_match(name)))
}

fn compile(filter: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(filter).size_limit(USER_EVENT_REGEX_BYTES_MAX).build()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Extensions, InstanceId, ServiceName, ServiceRecord, Weights};
    use std::collections::BTreeMap;
    use std::sync::Arc;

    fn content(node: &str, service: &str, tag: &str) -> UserEventContent {
        UserEventContent {
            name: "deploy".to_owned(),
            payload: Vec::new(),
            node_filter: node.to_owned(),
            service_filter: service.to_owned(),
            tag_filter: tag.to_owned(),
        }
    }

    fn local() -> LocalState {
        let record = ServiceRecord {
            id: InstanceId::new("web1").expect("valid"),
            name: ServiceName::new("web").expect("valid"),
            tags: vec!["blue".to_owned(), "v2".to_owned()],
            address: String::new(),
            tagged_addresses: BTreeMap::new(),
            port: 80,
            socket_path: String::new(),
            meta: BTreeMap::new(),
            weights: Weights::default(),
            enable_tag_override: false,
            extensions: Extensions::new(),
        };
        let mut local = LocalState::default();
        local.services.insert(record.id.clone(), Arc::new(record));
        local
    }

    #[test]
    fn filters_pick_nodes_by_name_service_and_tag() {
        let node = NodeName::new("n1").expect("valid");
        let cases = [
            (("", "", ""), Some(true)),
            (("n1", "", ""), Some(true)),
            (("^n[0-9]$", "", ""), Some(true)),
            (("n2", "", ""), Some(false)),
            (("", "web", ""), Some(true)),
            (("", "we", ""), Some(true)),
            (("", "^we$", ""), Some(false)),
            (("n1", "web", "blue"), Some(true)),
            (("", "web", "green|v2"), Some(true)),
            (("", "web", "green"), Some(false)),
            (("n2", "web", ""), Some(false)),
            (("(", "", ""), None),
            (("", "[", ""), None),
            (("", "web", "*"), None),
            (("(.{1000}){1000}", "", ""), None),
        ];
        for ((n, s, t), want) in cases {
            assert_eq!(is_meant_for(&content(n, s, t), &node, &local()).ok(), want, "{n} {s} {t}");
        }
    }
}
