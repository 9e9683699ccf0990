//! Processes that hang, hosts without a processor, narrow lines, liars at the door.

use crate::{converge, each_seed, ms, no_false_failures, secs, settled, stays_converged};
use shoal::core::Config;
use shoal::model::MemberStatus;
use shoal::sim::{Action, Conditions, Expectation, HostId, HostileKind, Scenario, World};
use std::time::Duration;

fn quiet(name: &str, seed: u64, count: usize) -> (World, Vec<HostId>) {
    let (mut world, hosts) = settled(name, seed, count, 1, Conditions::default());
    world.run_for(secs(25));
    world.reset_metrics();
    (world, hosts)
}

#[test]
fn a_clogged_member_is_failed_and_accuses_nobody() {
    each_seed(3, |seed| {
        let (mut world, hosts) = quiet("weather::a_clogged_member", seed, 10);
        world.clog(hosts[4]);
        world.run_for(secs(60));
        assert_eq!(world.status(hosts[0], hosts[4]), Some(MemberStatus::Failed));
        let metrics = world.metrics();
        let (first, full) = (metrics.first_silenced(), metrics.full_silenced());
        assert_eq!((first.len(), full.len()), (1, 1), "all came to know\nreplay: {}", world.replay());
        assert!(first.max() <= full.max());
        let about_healthy = metrics.about_healthy().count();
        world.unclog(hosts[4]);
        converge(&mut world, secs(10));
        stays_converged(&mut world, secs(20));
        println!("failed first after {:?}, everywhere after {:?}", first.max(), full.max());
        assert_eq!(world.metrics().at_healthy().count(), 0, "replay: {}", world.replay());
        println!("the clogged one failed {about_healthy} while clogged");
        no_false_failures(&world);
    });
}

#[test]
fn starved_members_do_not_make_healthy_ones_fail() {
    each_seed(3, |seed| {
        let (mut world, hosts) = quiet("weather::starved_members", seed, 20);
        for host in &hosts[..4] {
            world.starve(*host, 1.0 / 129.0, ms(10));
        }
        world.run_for(secs(120));
        let verdicts = world.metrics().verdicts.len();
        println!("{verdicts} verdicts, {} at healthy", world.metrics().at_healthy().count());
        assert_eq!(world.metrics().at_healthy().count(), 0, "replay: {}", world.replay());
        for host in &hosts[..4] {
            world.feed(*host);
        }
        converge(&mut world, secs(10));
        stays_converged(&mut world, secs(20));
    });
}

#[test]
fn a_slow_member_stays_a_member() {
    each_seed(3, |seed| {
        let (mut world, hosts) = quiet("weather::a_slow_member", seed, 10);
        world.slow_cpu(hosts[2], ms(5));
        world.run_for(secs(60));
        assert!(world.metrics().verdicts.is_empty(), "replay: {}", world.replay());
        world.slow_cpu(hosts[2], Duration::ZERO);
        stays_converged(&mut world, secs(20));
    });
}

#[test]
fn narrow_lines_carry_a_cluster() {
    each_seed(3, |seed| {
        let narrow = Conditions { bandwidth: Some(32_000), ..Conditions::default() };
        let (mut world, _) = settled("weather::narrow_lines", seed, 10, 2, narrow);
        world.run_for(secs(60));
        converge(&mut world, secs(10));
        no_false_failures(&world);
    });
}

#[test]
fn liars_evict_nobody() {
    each_seed(5, |seed| {
        for kind in
            [HostileKind::Random, HostileKind::Mutated, HostileKind::Replayed, HostileKind::OtherCluster]
        {
            let (mut world, hosts) = quiet("weather::liars_evict_nobody", seed, 5);
            world.hostile(hosts[1], kind, ms(4), secs(30));
            world.run_for(secs(31));
            assert!(world.metrics().verdicts.is_empty(), "{kind:?}\nreplay: {}", world.replay());
            let members = world.agent(hosts[1]).map_or(0, |a| a.members().count());
            assert_eq!(members, 5, "{kind:?}");
            converge(&mut world, secs(5));
            stays_converged(&mut world, secs(20));
        }
    });
}

#[test]
fn a_cloned_machine_is_told_once() {
    each_seed(3, |seed| {
        let cloned = HostId(3);
        let twin = shoal::sim::NodeSpec {
            join: vec![shoal::sim::Contact::Host(HostId(0))],
            ..shoal::sim::NodeSpec::named("n1")
        };
        let report = Scenario::new("weather::a_cloned_machine")
            .nodes(3, &Config::default(), ms(100))
            .node(twin)
            .at(secs(10), Action::CloneDisk { from: HostId(1), to: cloned })
            .at(secs(10), Action::Start(cloned))
            .at(secs(11), Action::CloneDisk { from: HostId(2), to: HostId(0) })
            .lasts(secs(40))
            .expect(Expectation::ConvergedWithin(secs(15)))
            .expect(Expectation::FalseFailuresAtMost(0))
            .run(seed);
        report.assert_met();
        assert_eq!(report.figure("members_alive_min"), Some(3.0), "one of the two goes");
    });
}

/// The curves of a report come from outside: a run is the same whether it is looked at or not.
#[test]
fn looking_changes_nothing() {
    let run = |every| {
        Scenario::new("weather::looking_changes_nothing")
            .nodes(5, &Config::default(), ms(200))
            .services_each(1)
            .at(secs(10), Action::Crash(HostId(3)))
            .lasts(secs(40))
            .sample_every(every)
            .run(7)
    };
    let (rarely, often) = (run(secs(10)), run(ms(50)));
    assert_eq!(rarely.trace_hash, often.trace_hash);
    assert_eq!(rarely.metrics, often.metrics);
    assert!(often.samples.len() > 700 && rarely.samples.len() < 10);
    let last = often.samples.last().expect("there are hundreds");
    assert_eq!((last.agents, last.total.alive, last.total.failed, last.wrong), (4, 16, 4, 0));
    let detected = often.figure("detected_full_max").expect("somebody crashed");
    assert!(detected > 1.0 && detected < 30.0, "{detected}");
    assert_eq!(
        often.figure("detected_first_max"),
        Some(rarely.metrics.first_detection().max().as_secs_f64())
    );
    assert_eq!(often.figure("batches_max"), Some(1.0), "one change after the crash");
    assert_eq!(often.figure("left_max"), None, "nobody left");
}
