//! Who of the cluster's nodes delivers a fired event: the filters that came with it.
//!
//! Filters are regular expressions of whoever fired the event, matched anywhere in a name unless
//! they say otherwise. Matching takes time in proportion to its input whatever the expression is,
//! and the size of a compiled expression is bounded; still compiling one takes milliseconds, so it is
//! done beside the loop. Events keep the order in which they were heard. Never spreads events and keeps
//! none.

use crate::model::{LocalState, NodeName, USER_EVENT_REGEX_BYTES_MAX, UserEvent, UserEventContent};
use regex::{Regex, RegexBuilder};
use std::collections::VecDeque;
use std::sync::Arc;

/// Events whose filters wait to be looked at: as many as are told apart in a minute, so that more come
/// only where nothing was looked at for as long.
const WAITING_MAX: usize = 4_096;

/// An event, and whether it is meant for this node. The error is what is wrong with a filter.
pub(super) type Judged = (Arc<UserEvent>, Result<bool, regex::Error>);

/// What is to be done with an event at once.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// It is for everybody.
    Show,
    /// It waits until its filters were looked at.
    Later,
    /// Too many wait.
    Shed,
}

/// Events that were heard and are not judged yet.
#[derive(Debug, Default)]
pub(super) struct Bench {
    waiting: VecDeque<Arc<UserEvent>>,
    judging: bool,
}

impl Bench {
    /// An event was heard.
    pub(super) fn take(&mut self, event: &Arc<UserEvent>) -> Taken {
        let content = &event.content;
        let for_all = content.node_filter.is_empty() && content.service_filter.is_empty();
        if for_all && !self.judging && self.waiting.is_empty() {
            return Taken::Show;
        }
        if self.waiting.len() >= WAITING_MAX {
            return Taken::Shed;
        }
        self.waiting.push_back(Arc::clone(event));
        Taken::Later
    }

    /// What is to be judged next, by [`judge`], unless that is being done; [`Self::done`] comes after it.
    pub(super) fn next(&mut self) -> Option<Vec<Arc<UserEvent>>> {
        if self.judging || self.waiting.is_empty() {
            return None;
        }
        self.judging = true;
        Some(self.waiting.drain(..).collect())
    }

    /// What was given out is judged.
    pub(super) const fn done(&mut self) {
        self.judging = false;
    }
}

/// Looks at the filters of all these, for the node of that name with these registrations.
pub(super) fn judge(events: Vec<Arc<UserEvent>>, node: &NodeName, local: &LocalState) -> Vec<Judged> {
    let each = |event: Arc<UserEvent>| {
        let verdict = is_meant_for(&event.content, node, local);
        (event, verdict)
    };
    events.into_iter().map(each).collect()
}

/// Whether `content` is meant for this node. The error is what is wrong with a filter.
fn is_meant_for(
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
    use crate::model::{Extensions, InstanceId, ServiceName, ServiceRecord, UserEventId, Weights};
    use std::collections::BTreeMap;

    fn content(node: &str, service: &str, tag: &str) -> UserEventContent {
        UserEventContent {
            name: "deploy".to_owned(),
            payload: Vec::new(),
            node_filter: node.to_owned(),
            service_filter: service.to_owned(),
            tag_filter: tag.to_owned(),
        }
    }

    fn event(n: u8, node: &str) -> Arc<UserEvent> {
        let (id, from) = (UserEventId::from_random(n.into()), NodeName::new("n2").expect("valid"));
        Arc::new(UserEvent { id, from, content: content(node, "", "") })
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

    #[test]
    fn events_that_are_judged_beside_the_loop_keep_their_order() {
        let (mut bench, node) = (Bench::default(), NodeName::new("n1").expect("valid"));
        assert_eq!(bench.take(&event(1, "")), Taken::Show);
        assert_eq!(bench.next(), None);
        assert_eq!(bench.take(&event(2, "n1")), Taken::Later);
        assert_eq!(bench.take(&event(3, "")), Taken::Later, "what is for all does not overtake");
        let first = bench.next().expect("two wait");
        assert_eq!(bench.take(&event(4, "n2")), Taken::Later);
        assert_eq!(bench.next(), None, "one batch at a time");
        assert_eq!(bench.take(&event(5, "")), Taken::Later);
        let judged = judge(first, &node, &LocalState::default());
        bench.done();
        let second = judge(bench.next().expect("two wait"), &node, &LocalState::default());
        bench.done();
        let verdicts: Vec<_> = judged.into_iter().chain(second).map(|(e, v)| (e.id, v.ok())).collect();
        let want = [(2, true), (3, true), (4, false), (5, true)];
        assert_eq!(verdicts, want.map(|(n, meant)| (UserEventId::from_random(n), Some(meant))));
        assert_eq!(bench.take(&event(6, "")), Taken::Show);
    }

    #[test]
    fn so_many_fired_events_wait_to_be_judged() {
        let mut bench = Bench::default();
        for _ in 0..WAITING_MAX {
            assert_eq!(bench.take(&event(1, "n1")), Taken::Later);
        }
        assert_eq!(bench.take(&event(2, "n1")), Taken::Shed);
        assert_eq!(bench.next().map(|batch| batch.len()), Some(WAITING_MAX));
        assert_eq!(bench.take(&event(2, "n1")), Taken::Later);
    }
}
