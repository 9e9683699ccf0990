//! What befalls processes, as the world and the judge see it.

use super::*;
use crate::core::Config;
use crate::sim::scenario::cluster;
use crate::sim::{Action, DepartureKind, HostileKind, Scenario};

fn settled(count: usize) -> World {
    let mut world = World::new("world", 1, Conditions::default());
    let hosts: Vec<HostId> =
        cluster(count, &Config::default()).into_iter().map(|spec| world.add_host(spec)).collect();
    for host in hosts {
        world.start(host);
    }
    world.run_for(Duration::from_secs(25));
    assert_eq!(world.converged(), Ok(()));
    world.reset_metrics();
    world
}

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

#[test]
fn a_pause_is_a_silence_whose_discovery_is_measured_until_it_ends() {
    let mut world = settled(5);
    world.pause(HostId(2));
    world.block(HostId(2));
    assert!(!world.is_live(HostId(2)) && world.is_faulty(HostId(2)));
    world.run_for(secs(30));
    world.resume(HostId(2));
    assert!(!world.is_live(HostId(2)), "still blocked");
    world.unblock(HostId(2));
    assert!(world.is_live(HostId(2)));
    world.run_for(secs(20));
    let metrics = world.metrics();
    let [departure] = &metrics.departures[..] else { panic!("{:?}", metrics.departures) };
    assert_eq!((departure.kind, departure.observers), (DepartureKind::Silenced, 4));
    assert_eq!(metrics.full_silenced().len(), 1);
    let about = metrics.verdicts.iter().filter(|v| v.subject == HostId(2));
    assert!(about.clone().all(|v| v.subject_faulty && !v.observer_faulty && v.excused));
    assert_eq!(about.count(), 4);
    assert!(metrics.false_failures.is_empty());
    let cycles = metrics.oscillations.iter().filter(|((_, subject), _)| *subject == HostId(2));
    assert_eq!(cycles.map(|(_, count)| *count).collect::<Vec<u32>>(), [1; 4]);
    assert_eq!(world.converged(), Ok(()));
}

#[test]
fn who_falls_silent_with_others_is_not_waited_for() {
    let mut world = settled(6);
    world.pause(HostId(1));
    world.pause(HostId(2));
    world.run_for(secs(30));
    let metrics = world.metrics();
    let observers: Vec<usize> = metrics.departures.iter().map(|d| d.observers).collect();
    assert_eq!(observers, [4, 4]);
    assert_eq!(metrics.full_silenced().len(), 2);
}

#[test]
fn who_dies_before_hearing_of_a_death_is_not_waited_for() {
    let mut world = settled(6);
    world.crash(HostId(1));
    world.crash(HostId(2));
    world.run_for(secs(30));
    let observers: Vec<usize> = world.metrics().departures.iter().map(|d| d.observers).collect();
    assert_eq!(observers, [4, 4]);
    assert_eq!(world.metrics().full_detection().len(), 2);
    assert_eq!(world.members_alive_min(), Some(4));
    // Whether both fall into one moment depends on when each was probed first.
    assert!(world.metrics().batches.values().all(|b| (1..=2).contains(b)), "{:?}", world.metrics().batches);
}

#[test]
fn a_new_process_on_a_starved_host_is_starved_too() {
    let mut world = settled(3);
    world.starve(HostId(1), 0.5, Duration::from_millis(5));
    world.restart(HostId(1));
    assert!(world.is_starved(HostId(1)) && !world.is_live(HostId(1)));
    world.run_for(secs(10));
    world.feed(HostId(1));
    world.run_for(secs(10));
    assert!(world.is_live(HostId(1)));
    assert_eq!(world.converged(), Ok(()));
}

#[test]
fn impairments_name_hosts_and_partitions_those_without_a_majority() {
    let faulty = |links: Links| {
        let mut world = settled(5);
        world.impair(&links, Impairment::loss(0.1));
        world.hosts().filter(|h| world.is_faulty(*h)).map(HostId::index).collect::<Vec<usize>>()
    };
    let hosts = |ids: &[usize]| ids.iter().copied().map(HostId).collect::<Vec<HostId>>();
    assert_eq!(faulty(Links::Into(hosts(&[3]))), [3]);
    assert_eq!(faulty(Links::OneWay(hosts(&[0]), hosts(&[4]))), [0, 4]);
    assert_eq!(faulty(Links::Between(vec![hosts(&[0, 1])])), [0, 1]);
    assert_eq!(faulty(Links::Between(vec![hosts(&[0, 1, 2])])), [3, 4]);
    assert_eq!(faulty(Links::Between(vec![hosts(&[0, 1]), hosts(&[2, 3])])), [0, 1, 2, 3, 4]);
}

#[test]
fn an_error_in_the_log_breaks_an_invariant_and_the_text_says_how_to_replay_it() {
    let scenario = || {
        Scenario::new("errors")
            .nodes(2, &Config::default(), Duration::from_millis(10))
            .lasts(secs(5))
            .replayed_by("shoal simulate errors.toml --seed {seed}")
    };
    assert!(scenario().try_run(3).is_ok());
    let errors = Errors::default();
    let mut world = World::new("errors", 3, Conditions::default())
        .watching(errors.clone())
        .replayed_by("shoal simulate errors.toml --seed 3".to_owned());
    for spec in cluster(1, &Config::default()) {
        let host = world.add_host(spec);
        world.start(host);
    }
    tracing::subscriber::with_default(errors, || tracing::error!(timers = 0, "no probe is scheduled"));
    let run = std::panic::AssertUnwindSafe(|| world.run_for(secs(5)));
    let payload = std::panic::catch_unwind(run).expect_err("the error is noticed");
    let text = payload.downcast_ref::<String>().expect("a message");
    assert!(text.contains("n0 (HostId(0)) logged an error: no probe is scheduled timers=0"), "{text}");
    assert!(text.ends_with("\nreplay: shoal simulate errors.toml --seed 3"), "{text}");
}

#[test]
fn hostile_senders_stop_when_their_time_is_over() {
    for kind in [HostileKind::Random, HostileKind::Mutated, HostileKind::Replayed, HostileKind::OtherCluster]
    {
        let mut world = settled(3);
        let (every, lasts) = (Duration::from_millis(10), secs(5));
        world.act(&Action::Hostile { target: HostId(1), kind, every, lasts });
        world.run_for(secs(3));
        let dropped =
            |world: &World| -> u64 { world.stats(HostId(1)).map_or(0, |s| s.dropped.values().sum()) };
        let during = dropped(&world);
        assert!(during > 0 || kind == HostileKind::Replayed, "{kind:?}");
        world.run_for(secs(3));
        let after = dropped(&world);
        world.run_for(secs(10));
        assert_eq!(dropped(&world), after, "{kind:?}");
        assert_eq!(world.converged(), Ok(()));
    }
}
