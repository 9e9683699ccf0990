//! Rules of visibility and of change indexes, and a comparison with a plain model.

use super::*;
use crate::model::{
    CheckId, CheckRecord, CheckStatus, Extensions, Generation, InstanceId, Member, NodeId, NodeName,
    NodeRecord, ServiceName, ServiceRecord, Version, Weights,
};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::net::SocketAddr;

const SEED: u64 = 1_000;

fn key(node: &str) -> NodeKey {
    NodeName::new(node).expect("valid").key()
}

fn member(node: &str, status: MemberStatus) -> Member {
    let addr: SocketAddr = "10.0.0.1:7946".parse().expect("valid");
    Member {
        key: key(node),
        generation: Generation(1),
        incarnation: 0,
        status,
        addr,
        rtt: None,
        coordinate: None,
        held: false,
    }
}

fn node_record(node: &str, rack: &str) -> NodeRecord {
    NodeRecord {
        name: NodeName::new(node).expect("valid"),
        id: NodeId([key(node).0 as u8; 16]),
        addr: "10.0.0.1:7946".parse().expect("valid"),
        tags: BTreeMap::from([("rack".to_owned(), rack.to_owned())]),
        agent_version: "0.1.0".to_owned(),
        left: false,
        extensions: Extensions::new(),
    }
}

fn service_record(id: &str, name: &str, tags: &[&str], port: u16) -> ServiceRecord {
    ServiceRecord {
        id: InstanceId::new(id).expect("valid"),
        name: ServiceName::new(name).expect("valid"),
        tags: tags.iter().map(|t| (*t).to_owned()).collect(),
        address: String::new(),
        tagged_addresses: BTreeMap::new(),
        port,
        socket_path: String::new(),
        meta: BTreeMap::new(),
        weights: Weights::default(),
        enable_tag_override: false,
        extensions: Extensions::new(),
    }
}

fn check_record(id: &str, service: Option<&str>, status: CheckStatus, output: &str) -> CheckRecord {
    CheckRecord {
        id: CheckId::new(id).expect("valid"),
        name: id.to_owned(),
        service_id: service.map(|s| InstanceId::new(s).expect("valid")),
        status,
        notes: String::new(),
        output: output.to_owned(),
        kind: "ttl".to_owned(),
        interval: String::new(),
        timeout: String::new(),
        extensions: Extensions::new(),
    }
}

fn versioned<T>(record: T) -> Option<(Generation, Version, T)> {
    Some((Generation(1), Version(1), record))
}

struct World {
    builder: ViewBuilder,
    reader: ViewReader,
}

impl World {
    fn new() -> Self {
        let (builder, reader) = ViewBuilder::new("dc1".to_owned(), key("n1"), SEED);
        Self { builder, reader }
    }

    fn with_nodes(nodes: &[&str]) -> Self {
        let mut world = Self::new();
        for node in nodes {
            world.builder.set_member(member(node, MemberStatus::Alive));
            world.builder.set_node(key(node), versioned(node_record(node, "r1")));
        }
        world.publish();
        world
    }

    fn publish(&mut self) -> Arc<View> {
        self.builder.publish();
        self.reader.load()
    }

    fn service(&mut self, node: &str, record: ServiceRecord) {
        let id = record.id.clone();
        self.builder.set_service(key(node), &id, versioned(record));
    }

    fn no_service(&mut self, node: &str, id: &str) {
        self.builder.set_service(key(node), &InstanceId::new(id).expect("valid"), None);
    }

    fn check(&mut self, node: &str, record: CheckRecord) {
        let id = record.id.clone();
        self.builder.set_check(key(node), &id, versioned(record));
    }

    fn no_check(&mut self, node: &str, id: &str) {
        self.builder.set_check(key(node), &CheckId::new(id).expect("valid"), None);
    }
}

fn ids(view: &View, service: &str) -> Vec<String> {
    view.instances_of(service).map(|(n, i)| format!("{}/{}", n.record.name, i.record.id())).collect()
}

fn health(view: &View, service: &str) -> Vec<Health> {
    view.instances_of(service).map(|(n, i)| n.instance_health(i)).collect()
}

#[test]
fn nothing_is_visible_before_publish() {
    let mut world = World::with_nodes(&["n1"]);
    world.service("n1", service_record("w1", "web", &[], 80));
    assert!(ids(&world.reader.load(), "web").is_empty());
    assert_eq!(ids(&world.publish(), "web"), ["n1/w1"]);
}

#[test]
fn records_wait_for_their_node_and_checks_for_their_instance() {
    let mut world = World::new();
    world.check("n2", check_record("c", Some("w1"), CheckStatus::Warning, ""));
    world.service("n2", service_record("w1", "web", &[], 80));
    assert!(ids(&world.publish(), "web").is_empty(), "no member yet");
    world.builder.set_member(member("n2", MemberStatus::Alive));
    let view = world.publish();
    assert!(ids(&view, "web").is_empty(), "no name yet");
    assert_eq!(view.members().count(), 0);
    world.builder.set_node(key("n2"), versioned(node_record("N2", "r1")));
    let view = world.publish();
    assert_eq!(ids(&view, "WEB"), ["N2/w1"]);
    assert_eq!(health(&view, "web"), [Health::Warning]);
    assert_eq!(view.members().count(), 1);
    assert_eq!((view.instance_count(), view.check_count()), (1, 2));

    world.check("n2", check_record("late", Some("w2"), CheckStatus::Critical, ""));
    assert_eq!(world.publish().check_count(), 2, "its instance is not there");
    world.service("n2", service_record("w2", "web", &[], 81));
    let view = world.publish();
    assert_eq!(health(&view, "web"), [Health::Warning, Health::Critical]);
    assert_eq!(view.check_count(), 3);
}

#[test]
fn a_failed_node_stays_critical_and_one_that_left_is_gone() {
    let mut world = World::with_nodes(&["n1", "n2"]);
    world.service("n2", service_record("w1", "web", &["a"], 80));
    let before = world.publish();
    world.builder.set_member(member("n2", MemberStatus::Suspect));
    let view = world.publish();
    assert_eq!(health(&view, "web"), [Health::Passing]);
    assert_eq!(view.service_index("web"), before.service_index("web"), "suspicion is not visible here");

    world.builder.set_member(member("n2", MemberStatus::Failed));
    let failed = world.publish();
    assert_eq!(health(&failed, "web"), [Health::Critical]);
    assert!(failed.service_index("web") > before.service_index("web"));
    assert!(failed.checks_index() > before.checks_index());
    assert_eq!(failed.nodes_index(), before.nodes_index());

    world.builder.set_member(member("n2", MemberStatus::Left));
    let left = world.publish();
    assert!(ids(&left, "web").is_empty());
    assert!(left.node("n2").is_none());
    assert!(left.service_index("web") > failed.service_index("web"));
    assert!(left.node_index("n2") > failed.node_index("n2"));
    assert!(left.services_index() > failed.services_index());
    assert_eq!(left.member("N2").expect("still listed").member.status, MemberStatus::Left);
    assert_eq!(left.member_counts(), MemberCounts { alive: 1, left: 1, ..MemberCounts::default() });

    world.builder.remove_member(key("n2"));
    assert!(world.publish().member("n2").is_none());
}

#[test]
fn a_farewell_in_the_record_counts_before_membership_knows_unless_it_is_old() {
    let mut world = World::with_nodes(&["n2"]);
    world.service("n2", service_record("w1", "web", &[], 80));
    let farewell = NodeRecord { left: true, ..node_record("n2", "r1") };
    world.builder.set_node(key("n2"), versioned(farewell));
    let view = world.publish();
    assert!(view.node("n2").is_none());
    assert_eq!(view.member("n2").expect("listed").member.status, MemberStatus::Left);

    let again = Member { generation: Generation(2), ..member("n2", MemberStatus::Alive) };
    world.builder.set_member(again);
    let view = world.publish();
    assert_eq!(view.member("n2").expect("listed").member.status, MemberStatus::Alive);
    assert!(view.node("n2").is_none(), "its new record has not arrived");
    world.builder.set_node(key("n2"), Some((Generation(2), Version(1), node_record("n2", "r1"))));
    assert_eq!(ids(&world.publish(), "web"), ["n2/w1"]);
}

#[test]
fn a_record_under_a_foreign_key_is_ignored() {
    let mut world = World::new();
    world.builder.set_member(member("n1", MemberStatus::Alive));
    world.builder.set_node(key("n1"), versioned(node_record("n2", "r1")));
    assert_eq!(world.publish().members().count(), 0);
}

#[test]
fn the_service_list_changes_with_names_and_tags_only() {
    let mut world = World::with_nodes(&["n1", "n2"]);
    world.service("n1", service_record("w1", "web", &["a", "b"], 80));
    let first = world.publish().services_index();
    world.service("n2", service_record("w2", "WEB", &["a"], 80));
    world.check("n2", check_record("c", Some("w2"), CheckStatus::Critical, ""));
    assert_eq!(world.publish().services_index(), first, "no new name, no new tag");
    world.service("n1", service_record("w1", "web", &["a"], 80));
    let view = world.publish();
    assert!(view.services_index() > first, "tag b is gone");
    let second = view.services_index();
    world.service("n2", service_record("w2", "WEB", &["c"], 80));
    assert!(world.publish().services_index() > second);
    let third = world.reader.load().services_index();
    world.no_service("n1", "w1");
    let view = world.publish();
    assert!(view.services_index() > third, "tag a is gone, and the name is spelled otherwise");
    assert_eq!(view.service("web").expect("still there").name.as_str(), "WEB");
}

#[test]
fn only_the_last_output_changing_raises_nothing() {
    let mut world = World::with_nodes(&["n1"]);
    world.service("n1", service_record("w1", "web", &[], 80));
    world.check("n1", check_record("c", Some("w1"), CheckStatus::Passing, "one"));
    let before = world.publish();
    world.check("n1", check_record("c", Some("w1"), CheckStatus::Passing, "two"));
    world.builder.set_status(AgentStatus { root_digest: 7, ..AgentStatus::default() });
    let view = world.publish();
    assert_eq!(view.index(), before.index());
    assert_eq!(view.service_index("web"), before.service_index("web"));
    assert_eq!(view.status().root_digest, 7);
    let (_, instance) = view.instances_of("web").next().expect("shown");
    let check = instance.checks.values().next().expect("shown");
    assert_eq!(check.record.read().output, "two");
    assert_eq!(view.log().last(), before.log().last());
}

#[test]
fn a_check_that_moves_to_another_instance_is_shown_once() {
    let mut world = World::with_nodes(&["n1"]);
    world.service("n1", service_record("w1", "web", &[], 80));
    world.service("n1", service_record("w2", "web", &[], 81));
    world.check("n1", check_record("c", Some("w1"), CheckStatus::Critical, ""));
    assert_eq!(health(&world.publish(), "web"), [Health::Critical, Health::Passing]);
    world.check("n1", check_record("c", Some("w2"), CheckStatus::Critical, ""));
    let view = world.publish();
    assert_eq!(health(&view, "web"), [Health::Passing, Health::Critical]);
    assert_eq!(view.check_count(), 2);
    world.check("n1", check_record("c", None, CheckStatus::Warning, ""));
    assert_eq!(health(&world.publish(), "web"), [Health::Warning, Health::Warning]);
    world.no_check("n1", "c");
    assert_eq!(world.publish().check_count(), 1);
}

#[tokio::test]
async fn a_waiter_misses_nothing_published_between_load_and_wait() {
    let mut world = World::with_nodes(&["n1"]);
    let mut waiter = world.reader.waiter();
    let seen = waiter.load().index();
    world.service("n1", service_record("w1", "web", &[], 80));
    world.publish();
    waiter.changed().await.expect("the builder lives");
    assert!(waiter.load().index() > seen);
    drop(world.builder);
    assert_eq!(waiter.changed().await, Err(Closed));
}

// ---- a plain model beside the view

#[derive(Debug, Clone)]
enum Step {
    Member(usize, MemberStatus),
    Forget(usize),
    Node(usize, usize),
    NoNode(usize),
    Service(usize, usize, usize, usize),
    NoService(usize, usize),
    Check(usize, usize, Option<usize>, CheckStatus),
    NoCheck(usize, usize),
    Publish,
}

const NODES: [&str; 3] = ["n1", "N2", "n3"];
const NAMES: [&str; 4] = ["web", "Web", "db", "cart"];
const TAGS: [&[&str]; 3] = [&[], &["a"], &["a", "b"]];
const IDS: [&str; 3] = ["i1", "i2", "i3"];
const CHECKS: [&str; 3] = ["c1", "c2", "_node_maintenance"];

fn status() -> impl Strategy<Value = CheckStatus> {
    prop_oneof![Just(CheckStatus::Passing), Just(CheckStatus::Warning), Just(CheckStatus::Critical)]
}

fn step() -> impl Strategy<Value = Step> {
    let member_status = prop_oneof![
        4 => Just(MemberStatus::Alive),
        1 => Just(MemberStatus::Suspect),
        1 => Just(MemberStatus::Failed),
        1 => Just(MemberStatus::Left),
    ];
    prop_oneof![
        3 => (0..3usize, member_status).prop_map(|(n, s)| Step::Member(n, s)),
        1 => (0..3usize).prop_map(Step::Forget),
        3 => (0..3usize, 0..2usize).prop_map(|(n, r)| Step::Node(n, r)),
        1 => (0..3usize).prop_map(Step::NoNode),
        6 => (0..3usize, 0..3usize, 0..4usize, 0..3usize).prop_map(|(n, i, s, t)| Step::Service(n, i, s, t)),
        2 => (0..3usize, 0..3usize).prop_map(|(n, i)| Step::NoService(n, i)),
        5 => (0..3usize, 0..3usize, proptest::option::of(0..3usize), status())
            .prop_map(|(n, c, s, st)| Step::Check(n, c, s, st)),
        2 => (0..3usize, 0..3usize).prop_map(|(n, c)| Step::NoCheck(n, c)),
        6 => Just(Step::Publish),
    ]
}

#[derive(Debug, Clone, Default)]
struct PlainNode {
    status: Option<MemberStatus>,
    record: Option<NodeRecord>,
    services: BTreeMap<String, ServiceRecord>,
    checks: BTreeMap<String, CheckRecord>,
}

/// Questions with their answers as text: if an answer changes, its index must rise.
type Answers = BTreeMap<String, String>;

fn plain_answers(nodes: &BTreeMap<usize, PlainNode>) -> Answers {
    let mut answers = Answers::new();
    let mut add = |question: String, line: String| {
        let answer = answers.entry(question).or_default();
        answer.push_str(&line);
        answer.push('\n');
    };
    for node in nodes.values() {
        let (Some(status), Some(record)) = (node.status, &node.record) else { continue };
        if status == MemberStatus::Left {
            continue;
        }
        let name = record.name.to_string();
        let folded = name.to_lowercase();
        let serf = if status == MemberStatus::Failed { CheckStatus::Critical } else { CheckStatus::Passing };
        let head = format!("{name} {:?}", record.tags);
        add("nodes".to_owned(), head.clone());
        add(format!("node {folded}"), head.clone());
        let mut lines = vec![format!("{name} serfHealth {serf}")];
        for check in node.checks.values() {
            let shown = check.service_id.as_ref().is_none_or(|id| node.services.contains_key(id.as_str()));
            if shown {
                lines.push(format!("{name} {} {:?} {}", check.id, check.service_id, check.status));
            }
        }
        for line in &lines {
            add("checks".to_owned(), line.clone());
            add(format!("node {folded}"), line.clone());
        }
        let node_health: Vec<Health> = std::iter::once(Health::of_check(SERF_HEALTH, serf))
            .chain(
                node.checks
                    .values()
                    .filter(|c| c.service_id.is_none())
                    .map(|c| Health::of_check(c.id.as_str(), c.status)),
            )
            .collect();
        for service in node.services.values() {
            let own: Vec<&CheckRecord> =
                node.checks.values().filter(|c| c.service_id.as_ref() == Some(&service.id)).collect();
            let health = Health::worst(
                node_health
                    .iter()
                    .copied()
                    .chain(own.iter().map(|c| Health::of_check(c.id.as_str(), c.status))),
            );
            let on_node: Vec<String> = node
                .checks
                .values()
                .filter(|c| c.service_id.is_none())
                .chain(own)
                .map(|c| format!("{} {}", c.id, c.status))
                .collect();
            let line = format!(
                "{head} {} {} {:?} {health} {serf} {on_node:?}",
                service.id, service.name, service.tags
            );
            add(format!("service {}", service.name.as_str().to_lowercase()), line.clone());
            add(format!("node {folded}"), format!("{} {} {:?}", service.id, service.name, service.tags));
            for tag in std::iter::once("").chain(service.tags.iter().map(String::as_str)) {
                answers_union(&mut add, service.name.as_str(), tag);
            }
        }
    }
    // The list of services is a set of names and tags.
    if let Some(list) = answers.get_mut("services") {
        let set: std::collections::BTreeSet<&str> = list.lines().collect();
        *list = set.into_iter().collect::<Vec<_>>().join("\n");
    }
    answers
}

fn answers_union(add: &mut impl FnMut(String, String), name: &str, tag: &str) {
    add("services".to_owned(), format!("{} {tag}", name.to_lowercase()));
}

fn index_of(view: &View, question: &str) -> u64 {
    match question.split_once(' ') {
        Some(("node", name)) => view.node_index(name),
        Some(("service", name)) => view.service_index(name),
        Some(_) => unreachable!("questions are of two kinds"),
        None => match question {
            "nodes" => view.nodes_index(),
            "checks" => view.checks_index(),
            "services" => view.services_index(),
            other => unreachable!("no question {other}"),
        },
    }
}

fn shown_instances(view: &View) -> BTreeMap<String, String> {
    view.nodes()
        .flat_map(|n| {
            n.instances.values().map(|i| {
                let at = format!("{}/{}", n.record.name, i.record.id());
                (at, format!("{} {:?} {}", i.record.name(), i.record.read().tags, n.instance_health(i)))
            })
        })
        .collect()
}

/// Follows the log as a watcher does.
fn replay(shown: &mut BTreeMap<String, String>, change: &Change) {
    let put = |shown: &mut BTreeMap<String, String>, i: &Instance, health: Health| {
        let at = format!("{}/{}", change.node, i.record.id());
        shown.insert(at, format!("{} {:?} {health}", i.record.name(), i.record.read().tags));
    };
    match &change.kind {
        ChangeKind::InstanceAdded(i, health) | ChangeKind::InstanceChanged(i, health) => {
            put(shown, i, *health)
        }
        ChangeKind::InstanceRemoved(i) => {
            shown.remove(&format!("{}/{}", change.node, i.record.id()));
        }
        ChangeKind::CheckChanged { check, health, .. } | ChangeKind::CheckRemoved { check, health } => {
            if let Some(id) = check.record.service_id()
                && let Some(line) = shown.get_mut(&format!("{}/{id}", change.node))
            {
                let (rest, _) = line.rsplit_once(' ').expect("the line ends with the health");
                *line = format!("{rest} {health}");
            }
        }
        ChangeKind::MemberChanged(_) | ChangeKind::MemberRemoved(_) => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever happens: the view says what a plain model says; the index of every question whose
    /// answer changed rises; no index ever falls; a service that nothing was done to, on nodes
    /// that nothing was done to, keeps its index; and the log replayed gives the same instances.
    #[test]
    fn a_blocked_reader_never_misses_a_change(steps in prop::collection::vec(step(), 1..120)) {
        let mut world = World::new();
        let mut plain: BTreeMap<usize, PlainNode> = BTreeMap::new();
        let mut before: Answers = Answers::new();
        let mut indexes: BTreeMap<String, u64> = BTreeMap::new();
        let mut followed: BTreeMap<String, String> = BTreeMap::new();
        let mut follower = world.reader.load().log().last();
        let mut concerned: std::collections::BTreeSet<String> = std::collections::BTreeSet::new();
        for step in steps.into_iter().chain([Step::Publish]) {
            let touched = match &step {
                Step::Member(n, _) | Step::Forget(n) | Step::Node(n, _) | Step::NoNode(n)
                | Step::Service(n, ..) | Step::NoService(n, _) | Step::Check(n, ..) | Step::NoCheck(n, _) => Some(*n),
                Step::Publish => None,
            };
            let services_on = |plain: &BTreeMap<usize, PlainNode>| -> Vec<String> {
                touched.and_then(|n| plain.get(&n)).map(|n| {
                    n.services.values().map(|s| s.name.as_str().to_lowercase()).collect()
                }).unwrap_or_default()
            };
            concerned.extend(services_on(&plain));
            match step {
                Step::Member(n, status) => {
                    plain.entry(n).or_default().status = Some(status);
                    world.builder.set_member(member(NODES[n], status));
                }
                Step::Forget(n) => {
                    plain.entry(n).or_default().status = None;
                    world.builder.remove_member(key(NODES[n]));
                }
                Step::Node(n, rack) => {
                    let record = node_record(NODES[n], ["r1", "r2"][rack]);
                    plain.entry(n).or_default().record = Some(record.clone());
                    world.builder.set_node(key(NODES[n]), versioned(record));
                }
                Step::NoNode(n) => {
                    plain.entry(n).or_default().record = None;
                    world.builder.set_node(key(NODES[n]), None);
                }
                Step::Service(n, id, name, tags) => {
                    let record = service_record(IDS[id], NAMES[name], TAGS[tags], 80);
                    plain.entry(n).or_default().services.insert(IDS[id].to_owned(), record.clone());
                    world.service(NODES[n], record);
                }
                Step::NoService(n, id) => {
                    plain.entry(n).or_default().services.remove(IDS[id]);
                    world.no_service(NODES[n], IDS[id]);
                }
                Step::Check(n, id, service, status) => {
                    let record = check_record(CHECKS[id], service.map(|s| IDS[s]), status, "");
                    plain.entry(n).or_default().checks.insert(CHECKS[id].to_owned(), record.clone());
                    world.check(NODES[n], record);
                }
                Step::NoCheck(n, id) => {
                    plain.entry(n).or_default().checks.remove(CHECKS[id]);
                    world.no_check(NODES[n], CHECKS[id]);
                }
                Step::Publish => {
                    let view = world.publish();
                    let after = plain_answers(&plain);
                    let mut questions: std::collections::BTreeSet<String> =
                        before.keys().chain(after.keys()).cloned().collect();
                    questions.extend(NAMES.iter().map(|n| format!("service {}", n.to_lowercase())));
                    for question in questions {
                        let index = index_of(&view, &question);
                        let known = indexes.get(&question).copied().unwrap_or(SEED);
                        prop_assert!(index >= known, "the index of {question} fell");
                        prop_assert!(index <= view.index());
                        if before.get(&question) != after.get(&question) {
                            prop_assert!(index > known, "{question} changed without a new index");
                        }
                        if let Some(name) = question.strip_prefix("service ") && !concerned.contains(name) {
                            prop_assert_eq!(index, known, "{} woke for nothing", question);
                        }
                        indexes.insert(question, index);
                    }
                    let names: Vec<String> = view.services().map(|s| s.name.as_str().to_lowercase()).collect();
                    let want: Vec<&str> = after.keys().filter_map(|q| q.strip_prefix("service ")).collect();
                    prop_assert_eq!(&names, &want);
                    for name in &names {
                        let lines = after[&format!("service {name}")].lines().count();
                        prop_assert_eq!(view.instances_of(name).count(), lines);
                        for ((node, instance), line) in view.instances_of(name).zip(after[&format!("service {name}")].lines()) {
                            let text = format!("{} {:?} {} {} {:?} {} ", node.record.name, node.record.tags,
                                instance.record.id(), instance.record.name(), instance.record.read().tags, node.instance_health(instance));
                            prop_assert!(line.starts_with(&text), "{} is not {}", line, text);
                        }
                    }
                    let checks = after.get("checks").map_or(0, |c| c.lines().count());
                    prop_assert_eq!(view.check_count(), checks);
                    prop_assert_eq!(view.instance_count(), shown_instances(&view).len());
                    let tags: usize = view.services().map(|s| s.tags.len() + 1).sum();
                    prop_assert_eq!(tags, after.get("services").map_or(0, |s| s.lines().count()));
                    let changes: Vec<Arc<Change>> = view.log().after(follower).expect("the log reaches back").cloned().collect();
                    for change in &changes {
                        prop_assert_eq!(change.sequence, follower + 1);
                        follower = change.sequence;
                        replay(&mut followed, change);
                        if let Some(service) = &change.service {
                            let newest = view.service_sequence(service);
                            prop_assert!(change.service_sequence <= newest);
                        }
                    }
                    prop_assert_eq!(&followed, &shown_instances(&view));
                    before = after;
                    concerned.clear();
                }
            }
            concerned.extend(services_on(&plain));
        }
    }
}
