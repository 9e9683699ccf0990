//! Nodes on a drawn map that measure each other in turn, and what strangers may say.

use super::vivaldi::Refused;
use super::*;
use crate::model::COORDINATE_DIMENSIONS;
use proptest::prelude::*;
use rand::SeedableRng as _;
use rand::rngs::SmallRng;

fn ms(millis: f64) -> Duration {
    Duration::from_secs_f64(millis / 1_000.0)
}

/// Lets `count` nodes measure `rounds` random others each; `rtt` gives the time in milliseconds.
/// Answers the median relative error over all pairs.
fn settle(count: usize, rounds: usize, rtt: impl Fn(usize, usize) -> f64) -> f64 {
    let mut nodes: Vec<Vivaldi> = (0..count as u64).map(Vivaldi::new).collect();
    let mut rng = SmallRng::seed_from_u64(7);
    for _ in 0..rounds {
        for i in 0..count {
            let j = (i + rng.random_range(1..count)) % count;
            let other = *nodes[j].coordinate();
            nodes[i].observe(&other, ms(rtt(i, j))).expect("a round-trip time");
        }
    }
    let pairs = (0..count).flat_map(|i| (0..i).map(move |j| (i, j)));
    let mut errors: Vec<f64> = pairs
        .map(|(i, j)| {
            let (a, b) = (nodes[i].coordinate(), nodes[j].coordinate());
            assert_eq!(a.rtt_to(b), b.rtt_to(a));
            (a.distance_s(b) * 1_000.0 - rtt(i, j)).abs() / rtt(i, j)
        })
        .collect();
    errors.sort_by(f64::total_cmp);
    assert!(nodes.iter().all(|n| n.resets == 0 && n.coordinate().error() < 0.3));
    errors[errors.len() / 2]
}

#[test]
fn a_line_is_learned() {
    let error = settle(12, 200, |i, j| 10.0 * i.abs_diff(j) as f64);
    assert!(error < 0.05, "{error}");
}

#[test]
fn a_grid_is_learned() {
    let error = settle(25, 300, |i, j| {
        let (x, y) = ((i / 5).abs_diff(j / 5) as f64, (i % 5).abs_diff(j % 5) as f64);
        20.0 * x.hypot(y)
    });
    assert!(error < 0.08, "{error}");
}

#[test]
fn a_star_is_learned_by_heights() {
    // Each host is behind a link of its own length; the core between them takes no time.
    let link = |i: usize| 1.0 + 3.0 * i as f64;
    let error = settle(12, 300, |i, j| link(i) + link(j));
    assert!(error < 0.1, "{error}");
}

#[test]
fn two_sites_are_told_apart() {
    let error = settle(20, 200, |i, j| if i % 2 == j % 2 { 1.0 } else { 80.0 });
    assert!(error < 0.15, "{error}");
}

#[test]
fn the_same_seed_goes_the_same_way() {
    let end = |seed| {
        let mut node = Vivaldi::new(seed);
        for i in 1..50 {
            node.observe(&Coordinate::ORIGIN, ms(f64::from(i))).expect("a round-trip time");
        }
        *node.coordinate()
    };
    assert_eq!(end(3), end(3));
    assert_ne!(end(3), end(4));
}

#[test]
fn a_time_that_is_none_is_refused_and_moves_nothing() {
    let mut node = Vivaldi::new(1);
    assert_eq!(node.observe(&Coordinate::ORIGIN, Duration::from_secs(11)), Err(Refused));
    assert_eq!(node.observe(&Coordinate::ORIGIN, Duration::MAX), Err(Refused));
    assert_eq!((*node.coordinate(), node.updates), (Coordinate::ORIGIN, 0));
    assert_eq!(node.observe(&Coordinate::ORIGIN, Duration::ZERO), Ok(()));
}

fn any_coordinate() -> impl Strategy<Value = Coordinate> {
    // Liars included: huge, sure of themselves, at the edge of what is allowed.
    let edge = prop_oneof![-10.0..10.0f64, Just(10.0), Just(-10.0), Just(0.0), -0.01..0.01f64];
    let vec = prop::array::uniform8(edge.clone());
    (vec, 0.0..1.6f64, edge, 0.0..10.0f64)
        .prop_map(|(vec, e, a, h)| Coordinate::new(vec, e, a, h).expect("within bounds"))
}

proptest! {
    #[test]
    fn no_story_poisons_a_coordinate(
        story in prop::collection::vec((any_coordinate(), 0..12_000_000u64), 1..200),
    ) {
        let mut node = Vivaldi::new(1);
        for (other, micros) in story {
            let _ = node.observe(&other, Duration::from_micros(micros));
            let at = node.coordinate();
            prop_assert!(at.vec().iter().all(|v| v.abs() <= Coordinate::SECONDS_MAX));
            prop_assert!(at.error().is_finite() && at.height().is_finite() && at.adjustment().is_finite());
        }
        // And it recovers: honest neighbours bring it back.
        let home = Coordinate::new([0.01; COORDINATE_DIMENSIONS], 0.1, 0.0, 0.001).expect("within bounds");
        for _ in 0..400 {
            node.observe(&home, ms(20.0)).expect("a round-trip time");
        }
        let now = node.coordinate().rtt_to(&home).as_secs_f64();
        prop_assert!((0.018..0.022).contains(&now), "{now}");
    }
}

const A: NodeKey = NodeKey(1);

fn at(port: u16) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 1], port))
}

fn told(error: f64) -> PackedCoordinate {
    PackedCoordinate::pack(&Coordinate::new([0.01; 8], error, 0.0, 0.001).expect("within bounds"))
}

#[test]
fn asking_is_rationed_and_stops_when_there_is_nothing_to_learn() {
    let mut own = Coordinates::new(1);
    let asked = |own: &mut Coordinates, probes: usize, now| (0..probes).filter(|_| own.asks(A, now)).count();
    let start = Instant::START;
    // What was saved up goes at once, then every sixth probe asks.
    assert_eq!(asked(&mut own, 6, start), 6);
    assert_eq!(asked(&mut own, 600, start), 100);
    // Who is unsure is asked again, who is sure only after a while.
    assert!(own.handle_told(A, at(1), &told(0.9), start));
    assert_eq!(asked(&mut own, 6, start), 0, "so soon nobody is asked again");
    let later = start + Duration::from_secs(15);
    assert!(own.handle_told(A, at(1), &told(0.9), start));
    assert_eq!(asked(&mut own, 18, later), 3, "who is unsure is when there is more than one left");
    assert!(own.handle_told(A, at(1), &told(0.1), start));
    assert_eq!(asked(&mut own, 600, start + Duration::from_secs(59)), 0);
    assert_eq!(asked(&mut own, 1, start + Duration::from_secs(60)), 1);
}

#[test]
fn only_who_asked_is_told_and_only_once() {
    let mut own = Coordinates::new(1);
    assert_eq!(own.answers(A), None);
    own.handle_wanted(A);
    assert_eq!((own.answers(A).is_some(), own.answers(NodeKey(2)).is_some()), (true, false));
    own.end_input();
    assert_eq!(own.answers(A), None);
}

#[test]
fn a_coordinate_goes_with_its_member_or_its_address() {
    let mut own = Coordinates::new(1);
    let start = Instant::START;
    assert!(own.handle_told(A, at(1), &told(0.1), start));
    own.handle_measured(A, at(1), ms(30.0));
    assert_eq!((own.known(), own.updates()), (1, 1));
    assert!(own.own().is_some() && own.of(A).is_some());
    own.handle_member(A, at(1));
    assert!(own.of(A).is_some());
    own.handle_member(A, at(2));
    assert_eq!((own.of(A), own.known()), (None, 0));
    assert!(own.handle_told(A, at(2), &told(0.1), start));
    own.forget(A);
    assert_eq!(own.known(), 0);
}

#[test]
fn what_cannot_be_is_counted() {
    let mut own = Coordinates::new(1);
    assert!(own.handle_told(A, at(1), &told(0.1), Instant::START));
    own.handle_measured(A, at(1), Duration::from_secs(3_600));
    own.handle_measured(A, at(1), Duration::from_secs(3_600));
    assert_eq!((own.refused(), own.updates(), own.resets()), (2, 0, 0));
    assert_eq!(own.own(), None, "it has measured nothing");
}
