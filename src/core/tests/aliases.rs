//! Checks that stand for others: on the same host, on another one, and for each other.

use super::*;
use crate::core::aliases::{Aliases, Changed};
use std::sync::Arc;

fn check(id: &str, service: Option<&str>, kind: CheckKind) -> LocalCommand {
    LocalCommand::RegisterCheck(Box::new(CheckDefinition {
        id: CheckId::new(id).expect("valid"),
        name: id.to_owned(),
        notes: String::new(),
        service_id: service.map(|s| InstanceId::new(s).expect("valid")),
        kind,
        initial_status: None,
        interval: String::new(),
        timeout: String::new(),
        deregister_critical_after: None,
    }))
}

fn alias(id: &str, of: Option<&str>, node: Option<u16>, target: Option<&str>) -> LocalCommand {
    let alias = Alias {
        node: node.map(|n| identity(n, 1).name),
        service: target.map(|s| InstanceId::new(s).expect("valid")),
    };
    check(id, of, CheckKind::Alias(Arc::new(alias)))
}

fn ttl(id: &str, service: Option<&str>) -> LocalCommand {
    check(id, service, CheckKind::Ttl { ttl: Duration::from_secs(3_600) })
}

fn beat(id: &str, status: CheckStatus) -> LocalCommand {
    let id = CheckId::new(id).expect("valid");
    LocalCommand::UpdateCheck { id, status, output: format!("said {status}") }
}

fn apply(net: &mut Net, n: u16, commands: &[LocalCommand]) {
    for command in commands {
        net.with(n, |a, now| a.apply(command, now)).expect("accepted");
    }
}

fn status(net: &Net, n: u16, id: &str) -> (CheckStatus, String) {
    let check = &net.agent(n).local().checks[id];
    (check.status, check.output.to_string())
}

use CheckStatus::{Critical, Passing, Warning};

#[test]
fn a_check_stands_for_the_worst_of_an_instance_and_its_node() {
    let mut net = Net::of(1);
    apply(&mut net, 1, &[alias("of-db", None, None, Some("db"))]);
    assert_eq!(status(&net, 1, "of-db"), (Critical, "no instance \"db\" on this node".to_owned()));
    apply(&mut net, 1, &[service("db")]);
    // A check of the node itself stands for others as well, and sees itself nowhere.
    assert_eq!(status(&net, 1, "of-db"), (Passing, "No checks found.".to_owned()));
    apply(&mut net, 1, &[ttl("a", Some("db")), ttl("b", Some("db"))]);
    assert_eq!(status(&net, 1, "of-db").0, Critical);
    apply(&mut net, 1, &[beat("a", Passing), beat("b", Warning)]);
    let (worst, why) = status(&net, 1, "of-db");
    assert_eq!((worst, why.as_str()), (Warning, "Aliased check \"b\" failing: said warning"));
    apply(&mut net, 1, &[beat("b", Passing)]);
    assert_eq!(status(&net, 1, "of-db"), (Passing, "All checks passing.".to_owned()));
    let maintain = |enable| LocalCommand::NodeMaintenance { enable, reason: "tea".to_owned() };
    apply(&mut net, 1, &[maintain(true)]);
    assert_eq!(status(&net, 1, "of-db").0, Critical, "the node's own checks count");
    apply(&mut net, 1, &[maintain(false)]);
    assert_eq!(status(&net, 1, "of-db").0, Passing);
    apply(&mut net, 1, &[LocalCommand::DeregisterService(InstanceId::new("db").expect("valid"))]);
    assert_eq!(status(&net, 1, "of-db").0, Critical);
}

#[test]
fn two_that_stand_for_each_other_do_not_hold_each_other_critical() {
    let mut net = Net::of(1);
    apply(&mut net, 1, &[service("a"), service("b"), ttl("real", Some("b"))]);
    apply(&mut net, 1, &[alias("a-as-b", Some("a"), None, Some("b"))]);
    apply(&mut net, 1, &[alias("b-as-a", Some("b"), None, Some("a"))]);
    assert_eq!((status(&net, 1, "a-as-b").0, status(&net, 1, "b-as-a").0), (Critical, Critical));
    apply(&mut net, 1, &[beat("real", Passing)]);
    assert_eq!((status(&net, 1, "a-as-b").0, status(&net, 1, "b-as-a").0), (Passing, Passing));
    apply(&mut net, 1, &[beat("real", Warning)]);
    assert_eq!((status(&net, 1, "a-as-b").0, status(&net, 1, "b-as-a").0), (Warning, Warning));
}

#[test]
fn a_check_follows_an_instance_on_another_node_and_that_node_s_death() {
    let mut net = Net::of(3);
    net.run(Duration::from_secs(3));
    apply(&mut net, 2, &[service("db"), ttl("db-ttl", Some("db"))]);
    apply(&mut net, 1, &[alias("far", None, Some(2), Some("db")), alias("lost", None, Some(9), None)]);
    assert_eq!(status(&net, 1, "lost"), (Critical, "no node is named \"n9\"".to_owned()));
    let is = |status: CheckStatus| move |net: &Net| net.agent(1).local().checks["far"].status == status;
    apply(&mut net, 2, &[beat("db-ttl", Passing)]);
    let ms = net.until(Duration::from_secs(1), is(Passing));
    assert!(ms <= 50, "took {ms} ms");
    apply(&mut net, 2, &[beat("db-ttl", Critical)]);
    net.until(Duration::from_secs(1), is(Critical));
    assert_eq!(status(&net, 1, "far").1, "Aliased check \"db-ttl\" failing: said critical");
    apply(&mut net, 2, &[beat("db-ttl", Passing)]);
    net.until(Duration::from_secs(1), is(Passing));
    net.agents.remove(&addr(2));
    net.until(Duration::from_secs(15), is(Critical));
    assert_eq!(status(&net, 1, "far").1, "node \"n2\" is failed");
    // Others are told of it as of any check.
    let key_of = EntryKey::Check(CheckId::new("far").expect("valid"));
    net.until(Duration::from_secs(1), |net| {
        matches!(net.agent(3).entry(key(1), &key_of), Some((_, _, Entry::Check(c))) if c.status == Critical)
    });
    apply(&mut net, 1, &[LocalCommand::DeregisterCheck(CheckId::new("far").expect("valid"))]);
    net.start(2, 2_000);
    net.with(2, |a, now| a.join(&[addr(1)], now));
    net.run(Duration::from_secs(3));
}

#[test]
fn a_check_that_stands_for_another_is_taken_up_as_it_must_be_after_a_restart() {
    let mut net = Net::of(1);
    apply(&mut net, 1, &[service("db"), ttl("t", Some("db")), alias("of-db", None, None, Some("db"))]);
    let mut local = net.agent(1).local().clone();
    // As if it had last been seen otherwise.
    let other = LocalCheck { status: Passing, ..(*local.checks["of-db"]).clone() };
    local.checks.put(other);
    let agent = Agent::new(identity(1, 2_000), Config::default(), local, Vec::new(), 1, Instant::START);
    assert_eq!(agent.local().checks["of-db"].status, Critical);
}

/// The checks of `n` that a change of this is followed by.
fn reached(net: &Net, n: u16, of: Option<&str>) -> Vec<String> {
    let agent = net.agent(n);
    let mut aliases = Aliases::new(identity(n, 1).name.key());
    for check in agent.local().checks.values() {
        aliases.put(check);
    }
    let of = of.map(|id| InstanceId::new(id).expect("valid"));
    let changed = Changed { of: [of].into(), ..Changed::default() };
    aliases.reached(agent.local(), &changed).iter().map(ToString::to_string).collect()
}

#[test]
fn a_change_is_followed_by_those_that_stand_for_it_and_by_no_others() {
    let mut net = Net::of(1);
    for n in 0..100 {
        let (db, web) = (format!("db{n}"), format!("web{n}"));
        let of = alias(&format!("as-db{n}"), Some(&web), None, Some(&db));
        apply(&mut net, 1, &[service(&db), service(&web), ttl(&format!("t{n}"), Some(&db)), of]);
    }
    // One that stands for an instance with such a check, and one that is the whole node's.
    apply(&mut net, 1, &[service("front"), alias("as-web7", Some("front"), None, Some("web7"))]);
    assert_eq!(reached(&net, 1, Some("db3")), ["as-db3"]);
    assert_eq!(reached(&net, 1, Some("db7")), ["as-db7", "as-web7"]);
    assert_eq!(reached(&net, 1, Some("front")), [""; 0]);
    assert_eq!(reached(&net, 1, None).len(), 101);
    apply(&mut net, 1, &[alias("node-as-db3", None, None, Some("db3"))]);
    assert_eq!(reached(&net, 1, Some("db3")).len(), 102, "the node's own checks are everybody's");
    assert_eq!(reached(&net, 1, Some("db7")), ["as-db7", "as-web7"]);
}

proptest::proptest! {
    /// Looking at all of them finds nothing to change, whatever was done before.
    #[test]
    fn none_that_a_change_reaches_is_left_as_it_was(
        steps in proptest::collection::vec((0_u8..6, 0_u8..5, 0_u8..5, 0_u8..4), 1..60),
    ) {
        let mut net = Net::of(1);
        for (what, a, b, c) in steps {
            let of = (c > 0).then(|| format!("s{a}"));
            let target = (a > 0).then(|| format!("s{b}"));
            let command = match what {
                0 => service(&format!("s{a}")),
                1 => LocalCommand::DeregisterService(InstanceId::new(format!("s{a}")).expect("valid")),
                2 => ttl(&format!("t{a}{c}"), of.as_deref()),
                3 => alias(&format!("as{b}{c}"), of.as_deref(), (c == 2).then_some(1), target.as_deref()),
                4 => LocalCommand::DeregisterCheck(CheckId::new(format!("as{b}{c}")).expect("valid")),
                _ => beat(&format!("t{a}{c}"), [Passing, Warning, Critical][usize::from(b % 3)]),
            };
            // What cannot be done is as good as any other step.
            let _ = net.with(1, |agent, now| agent.apply(&command, now));
            let (agent, now) = (net.agent(1), net.now);
            proptest::prop_assert!(agent.followed_here(&Changed::all(), now).is_none(), "{command:?}");
        }
    }
}
