//! The service table: everywhere, soon, the same, and cheap.

use crate::{
    converge, deregister, each_seed, ms, no_false_failures, register, secs, sent, settled, stays_converged,
};
use shoal::model::{CheckId, CheckStatus, EntryKey, LocalCommand, LocalError};
use shoal::sim::scenario::{service, service_without_check};
use shoal::sim::{Conditions, HostId, Load, LoadKind, World};

fn update(id: &str, status: CheckStatus, output: &str) -> LocalCommand {
    let id = CheckId::new(id).expect("a valid id");
    LocalCommand::UpdateCheck { id, status, output: output.to_owned() }
}

#[test]
fn every_record_reaches_every_node_whatever_is_lost() {
    each_seed(3, |seed| {
        for loss in [0.0, 0.05, 0.2] {
            for count in [2, 3, 5, 10, 50] {
                let name = "catalog::every_record_reaches_every_node";
                let (mut world, hosts) = settled(name, seed, count, 2, Conditions::with_loss(loss));
                world.run_for(secs(5));
                world.reset_metrics();
                for (host, number) in hosts.iter().zip(0..) {
                    world.command(*host, &register(&format!("extra-{number}"))).expect("accepted");
                    world.command(*host, &deregister("web-0")).expect("accepted");
                }
                let took = converge(&mut world, if loss > 0.1 { secs(10) } else { secs(3) });
                println!("n={count} loss={loss}: everything everywhere after {took:?}");
                world.run_for(secs(30));
                if loss < 0.1 {
                    stays_converged(&mut world, secs(10));
                    no_false_failures(&world);
                }
            }
        }
    });
}

#[test]
fn a_registration_is_everywhere_in_milliseconds() {
    each_seed(5, |seed| {
        let name = "catalog::a_registration_is_everywhere";
        let (mut world, hosts) = settled(name, seed, 50, 1, Conditions::default());
        world.run_for(secs(5));
        world.reset_metrics();
        world.command(hosts[7], &register("new")).expect("accepted");
        converge(&mut world, ms(500));
        let p99 = world.metrics().propagation.quantile(0.99);
        println!("p50 {:?} p99 {p99:?}", world.metrics().propagation.quantile(0.5));
        assert!(p99 < ms(200), "{p99:?}\nreplay: {}", world.replay());
    });
}

/// What agents measure themselves, without a common clock, is what the judge sees from outside.
#[test]
fn agents_measure_how_old_changes_are_when_they_arrive() {
    each_seed(2, |seed| {
        for loss in [0.0, 0.2] {
            let name = "catalog::agents_measure_how_old_changes_are";
            let (mut world, hosts) = settled(name, seed, 50, 1, Conditions::with_loss(loss));
            world.run_for(secs(60));
            world.reset_metrics();
            let before: Vec<_> = hosts.iter().map(|h| world.agent(*h).expect("it runs").stats()).collect();
            for (n, host) in hosts.iter().enumerate().take(20) {
                world.command(*host, &register(&format!("new-{n}"))).expect("accepted");
                world.run_for(secs(1));
            }
            converge(&mut world, secs(10));
            let (mut count, mut sum_us) = (0, 0);
            for (host, before) in hosts.iter().zip(before) {
                let after = world.agent(*host).expect("it runs").stats().propagation;
                count += after.count - before.propagation.count;
                sum_us += after.sum_us - before.propagation.sum_us;
            }
            let seen = world.metrics().propagation.sorted();
            let true_us = seen.iter().map(|d| d.as_secs_f64() * 1e6).sum::<f64>() / seen.len() as f64;
            let measured_us = sum_us as f64 / count as f64;
            println!("loss {loss}: {count} arrivals, {measured_us:.0} us measured, {true_us:.0} us in truth");
            // A service and its check are two records.
            let wanted = 2 * 20 * 49;
            assert!(count <= wanted && count > wanted * 9 / 10, "{count}: what is repaired is not counted");
            assert!((measured_us / true_us - 1.0).abs() < 0.25, "replay: {}", world.replay());
        }
    });
}

#[test]
fn a_record_of_16_kib_reaches_everyone() {
    each_seed(3, |seed| {
        for loss in [0.0, 0.05, 0.2] {
            let name = "catalog::a_record_of_16_kib";
            let (mut world, hosts) = settled(name, seed, 5, 1, Conditions::with_loss(loss));
            let mut big = service_without_check("big", "big");
            big.service.meta.insert("filler".to_owned(), "x".repeat(15_900));
            let command = |definition| LocalCommand::RegisterService {
                definition: Box::new(definition),
                replace_existing_checks: false,
            };
            world.command(hosts[2], &command(big.clone())).expect("under the limit");
            converge(&mut world, secs(10));
            big.service.meta.insert("more".to_owned(), "x".repeat(600));
            let refused = world.command(hosts[2], &command(big)).expect_err("over the limit");
            assert!(matches!(refused, LocalError::RecordTooLarge { .. }), "{refused}");
            world.verify();
        }
    });
}

#[test]
fn heartbeats_and_repeated_registrations_send_nothing() {
    each_seed(3, |seed| {
        let quiet = |load: bool| {
            let name = "catalog::heartbeats";
            let (mut world, hosts) = settled(name, seed, 5, 2, Conditions::default());
            world.run_for(secs(10));
            let before = sent(&world);
            for _ in 0..30 {
                world.run_for(secs(1));
                if load {
                    for host in &hosts {
                        let beat =
                            update("service:web-0", CheckStatus::Passing, &format!("at {:?}", world.now()));
                        world.command(*host, &beat).expect("accepted");
                        let again = service("web-1", "web");
                        let command = LocalCommand::RegisterService {
                            definition: Box::new(again),
                            replace_existing_checks: false,
                        };
                        world.command(*host, &command).expect("accepted");
                    }
                }
            }
            stays_converged(&mut world, ms(100));
            sent(&world) - before
        };
        assert_eq!(quiet(false), quiet(true));
    });
}

#[test]
fn a_check_that_keeps_changing_is_told_a_few_times_and_as_it_is_once_it_rests() {
    each_seed(3, |seed| {
        let name = "catalog::a_check_that_keeps_changing";
        let (mut world, hosts) = settled(name, seed, 5, 1, Conditions::default());
        let shown = |world: &World| status(world, hosts[1], hosts[0], "service:web-0");
        let version = |world: &World| {
            let agent = world.agent(hosts[0]).expect("it runs");
            let key = EntryKey::Check(CheckId::new("service:web-0").expect("a valid id"));
            agent.entry(agent.identity().name.key(), &key).expect("it is registered").1.0
        };
        let before = version(&world);
        let mut passing = 0;
        for _ in 0..50 {
            for word in [CheckStatus::Critical, CheckStatus::Passing] {
                world.command(hosts[0], &update("service:web-0", word, "again")).expect("accepted");
                world.run_for(ms(500));
            }
            passing += u32::from(shown(&world) == Some(CheckStatus::Passing));
        }
        assert_eq!(passing, 3, "returns that are told");
        assert_eq!(shown(&world), Some(CheckStatus::Critical));
        assert!(version(&world) - before <= 8, "four falls and three returns are written");
        stays_converged(&mut world, ms(100));
        world.run_for(secs(58));
        assert_eq!(shown(&world), Some(CheckStatus::Critical), "a minute it has to rest");
        world.run_for(secs(3));
        assert_eq!(shown(&world), Some(CheckStatus::Passing));
        stays_converged(&mut world, ms(100));
    });
}

#[test]
fn a_missing_heartbeat_turns_a_check_critical_everywhere() {
    each_seed(3, |seed| {
        let name = "catalog::a_missing_heartbeat";
        let (mut world, hosts) = settled(name, seed, 5, 1, Conditions::default());
        let mut short = service("short", "short");
        short.checks[0].kind = shoal::model::CheckKind::Ttl { ttl: secs(2) };
        short.checks[0].deregister_critical_after = Some(secs(60));
        let command =
            LocalCommand::RegisterService { definition: Box::new(short), replace_existing_checks: false };
        world.command(hosts[3], &command).expect("accepted");
        converge(&mut world, secs(1));
        world.run_for(secs(2));
        converge(&mut world, secs(1));
        assert_eq!(status(&world, hosts[0], hosts[3], "service:short"), Some(CheckStatus::Critical));
        world.command(hosts[3], &update("service:short", CheckStatus::Passing, "back")).expect("accepted");
        converge(&mut world, secs(1));
        assert_eq!(status(&world, hosts[0], hosts[3], "service:short"), Some(CheckStatus::Passing));
        world.run_for(secs(70));
        converge(&mut world, secs(1));
        assert_eq!(status(&world, hosts[0], hosts[3], "service:short"), None);
    });
}

fn status(world: &World, observer: HostId, owner: HostId, check: &str) -> Option<CheckStatus> {
    let key = shoal::model::EntryKey::Check(CheckId::new(check).expect("a valid id"));
    match world.agent(observer)?.entry(world.name_of(owner).key(), &key)? {
        (_, _, shoal::model::Entry::Check(record)) => Some(record.status),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_flood_of_changes_does_not_disturb_membership() {
    each_seed(3, |seed| {
        let name = "catalog::a_flood_of_changes";
        let (mut world, hosts) = settled(name, seed, 10, 4, Conditions::default());
        world.run_for(secs(5));
        for kind in [LoadKind::Register, LoadKind::Flap, LoadKind::Change, LoadKind::Tags] {
            world.load(Load { hosts: hosts.clone(), kind, every: ms(2), lasts: secs(10), at_once: 1 });
        }
        world.run_for(secs(10));
        converge(&mut world, secs(5));
        no_false_failures(&world);
        assert_eq!(world.refused_commands(), 0);
        // Until what was held back of flapping checks is told as well.
        world.run_for(secs(61));
        stays_converged(&mut world, secs(5));
    });
}

#[test]
fn digests_agree_once_all_is_said() {
    each_seed(3, |seed| {
        let name = "catalog::digests_agree";
        let (mut world, hosts) = settled(name, seed, 10, 2, Conditions::with_loss(0.05));
        world.load(Load { hosts, kind: LoadKind::Register, every: ms(50), lasts: secs(5), at_once: 1 });
        world.run_for(secs(5));
        converge(&mut world, secs(5));
        world.run_for(secs(10));
        assert!(world.digests_agree(), "replay: {}", world.replay());
    });
}
