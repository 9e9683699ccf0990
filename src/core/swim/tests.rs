//! What foca was measured to do wrong, or not at all, and what this room makes of it. A new version
//! of foca may change any of it.

mod lifeguard;
mod vectors;
mod witness;

use super::*;
use crate::core::Settings;
use crate::wire::frame::SwimMessage;

const PROBE: Duration = Duration::from_secs(1);

fn addr(n: u16) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 1], n))
}

fn epoch(n: u64) -> Epoch {
    Epoch::first_of(Generation(n))
}

fn swim(n: u16) -> Swim {
    let config = Config::new(Settings::lan()).expect("valid");
    Swim::new(NodeKey(u64::from(n)), epoch(100), addr(n), config, u64::from(n), Instant::START)
}

fn update(n: u16, state: Liveness, incarnation: Incarnation) -> MemberUpdate {
    MemberUpdate { key: NodeKey(u64::from(n)), epoch: epoch(100), incarnation, state, addr: addr(n) }
}

fn outputs(s: &mut Swim) -> Vec<Output> {
    std::iter::from_fn(|| s.poll()).collect()
}

fn state(s: &Swim, n: u16) -> Option<Liveness> {
    s.peers().get(NodeKey(u64::from(n))).map(|p| p.state)
}

/// Runs all timers up to `end`; everything sent is lost.
fn run(s: &mut Swim, end: Instant) -> Vec<Output> {
    let mut all = Vec::new();
    while let Some((at, _)) = s.next_deadline()
        && at <= end
    {
        s.handle_timeout(at);
        all.extend(outputs(s));
    }
    all
}

fn at(ms: u64) -> Instant {
    Instant::START + Duration::from_millis(ms)
}

#[test]
fn of_two_the_one_that_hears_nothing_blames_itself_for_two_units_of_patience() {
    let mut s = swim(1);
    s.handle_update(&update(2, Liveness::Alive, 0), true, None, at(0));
    let out = run(&mut s, at(2_500));
    assert_eq!(state(&s, 2), Some(Liveness::Suspect));
    let pings =
        out.iter().filter(|o| matches!(o, Output::Send(_, f) if matches!(f.message, SwimMessage::Ping(_))));
    assert!(pings.count() >= 3, "an unanswered probe is repeated within its period");
    run(&mut s, at(5_500));
    assert_eq!(state(&s, 2), Some(Liveness::Suspect));
    run(&mut s, at(8_100));
    assert_eq!(state(&s, 2), Some(Liveness::Down));
}

#[test]
fn a_refuted_suspicion_never_ends_a_life() {
    let mut s = swim(1);
    s.handle_update(&update(2, Liveness::Alive, 0), true, None, at(0));
    run(&mut s, at(2_500));
    assert_eq!(state(&s, 2), Some(Liveness::Suspect));
    s.handle_update(&update(2, Liveness::Alive, 1), true, None, at(2_600));
    outputs(&mut s);
    // The suspicion timer of the old incarnation comes due; probes go on unanswered meanwhile, so
    // look before a second suspicion can have run out.
    let out = run(&mut s, at(6_200));
    assert_ne!(state(&s, 2), Some(Liveness::Down));
    assert!(!out.iter().any(|o| matches!(o, Output::Send(_, f) if f.message == SwimMessage::TurnUndead)));
}

#[test]
fn a_node_that_had_to_renew_itself_goes_on_probing_at_once() {
    let mut s = swim(1);
    s.handle_update(&update(2, Liveness::Alive, 0), true, None, at(0));
    outputs(&mut s);
    s.handle_notice(epoch(100), at(10));
    let out = outputs(&mut s);
    assert!(out.contains(&Output::Renewed(epoch(100).next())), "{out:?}");
    assert!(
        out.iter()
            .any(|o| matches!(o, Output::News(u) if u.key == NodeKey(1) && u.epoch == epoch(100).next()))
    );
    // Who was held for failed doubts itself, so its interval is twice as long now.
    let out = run(&mut s, at(10) + 2 * PROBE);
    let probes = out.iter().any(|o| matches!(o, Output::Send(_, f) if f.from_epoch == epoch(100).next()));
    assert!(probes, "without hearing from anybody: {out:?}");
    assert_eq!(s.counters().watchdog, 0);
}

#[test]
fn an_old_life_ends_without_touching_the_new_one() {
    let mut s = swim(1);
    let mut second = update(2, Liveness::Alive, 0);
    second.epoch = epoch(200);
    s.handle_update(&second, true, None, at(0));
    for state in [Liveness::Alive, Liveness::Suspect, Liveness::Down, Liveness::Left] {
        s.handle_update(&update(2, state, 9), true, None, at(10));
    }
    assert_eq!(state(&s, 2), Some(Liveness::Alive));
    assert_eq!(s.peers().get(NodeKey(2)).map(|p| p.epoch), Some(epoch(200)));
}

#[test]
fn who_holds_us_for_an_earlier_life_is_told_who_is_here() {
    let mut s = swim(1);
    let ping = SwimFrame {
        from: NodeKey(2),
        from_epoch: epoch(100),
        from_incarnation: 0,
        to: NodeKey(1),
        to_epoch: epoch(50),
        from_addr: None,
        message: SwimMessage::Ping(1),
    };
    s.handle_frame(addr(2), &ping, &[], at(0));
    assert_eq!(outputs(&mut s), [Output::Tell(addr(2), s.own_update())]);
}

#[test]
fn lives_beyond_the_number_space_are_refused() {
    let mut s = swim(1);
    let mut far = update(2, Liveness::Alive, 0);
    far.epoch = Epoch(u64::MAX);
    s.handle_update(&far, true, None, at(0));
    let mut own = update(1, Liveness::Down, u16::MAX);
    own.epoch = Epoch(u64::MAX);
    s.handle_update(&own, true, None, at(0));
    s.handle_notice(Epoch(u64::MAX), at(0));
    assert_eq!(state(&s, 2), None);
    assert_eq!(s.epoch(), epoch(100));
    assert!(outputs(&mut s).is_empty());
}

#[test]
fn a_suspicion_at_the_highest_incarnation_costs_a_life_and_nothing_else() {
    let mut s = swim(1);
    s.handle_update(&update(2, Liveness::Alive, 0), true, None, at(0));
    s.handle_update(&update(1, Liveness::Suspect, u16::MAX), true, None, at(10));
    assert_eq!(s.epoch(), epoch(100).next());
    assert_eq!(s.own_update().incarnation, 0);
}

#[test]
fn a_suspicion_is_refuted_by_a_higher_incarnation() {
    let mut s = swim(1);
    s.handle_update(&update(2, Liveness::Alive, 0), true, None, at(0));
    outputs(&mut s);
    s.handle_update(&update(1, Liveness::Suspect, 4), true, None, at(10));
    let out = outputs(&mut s);
    assert!(out.contains(&Output::News(MemberUpdate { incarnation: 5, ..s.own_update() })), "{out:?}");
}

#[test]
fn members_beyond_the_limit_are_refused_and_counted() {
    let config = Config::new(Settings { max_members: 10, ..Settings::lan() }).expect("valid");
    let mut s = Swim::new(NodeKey(1), epoch(100), addr(1), config, 1, Instant::START);
    for n in 2..1_000 {
        s.handle_update(&update(n, Liveness::Alive, 0), true, None, at(0));
    }
    assert_eq!(s.peers().len(), 10);
    assert_eq!(s.counters().members_refused, 988);
}

#[test]
fn a_full_table_forgets_who_has_been_gone_for_the_longest() {
    let config = Config::new(Settings { max_members: 3, ..Settings::lan() }).expect("a valid configuration");
    let mut s = Swim::new(NodeKey(1), epoch(100), addr(1), config, 7, at(0));
    for n in [2, 3, 4] {
        s.handle_update(&update(n, Liveness::Alive, 0), true, None, at(0));
    }
    s.end_life(NodeKey(3), Generation(100), at(10));
    s.end_life(NodeKey(2), Generation(100), at(20));
    s.handle_update(&update(5, Liveness::Alive, 0), true, None, at(30));
    assert_eq!((state(&s, 3), state(&s, 2)), (None, Some(Liveness::Left)));
    assert_eq!(state(&s, 5), Some(Liveness::Alive));
    s.handle_update(&update(6, Liveness::Alive, 0), true, None, at(40));
    s.handle_update(&update(7, Liveness::Alive, 0), true, None, at(50));
    assert_eq!((state(&s, 6), state(&s, 7)), (Some(Liveness::Alive), None), "the living keep others out");
    assert_eq!(s.counters().members_refused, 1);
}

#[test]
fn a_failed_member_is_forgotten_after_its_retention() {
    let config =
        Config::new(Settings { reap_after: Duration::from_secs(20), ..Settings::lan() }).expect("valid");
    let mut s = Swim::new(NodeKey(1), epoch(100), addr(1), config, 1, Instant::START);
    s.handle_update(&update(2, Liveness::Alive, 0), true, None, at(0));
    s.end_life(NodeKey(2), Generation(100), at(10));
    assert_eq!(state(&s, 2), Some(Liveness::Left));
    let out = run(&mut s, at(21_000));
    assert_eq!(state(&s, 2), None);
    assert!(out.contains(&Output::Removed(NodeKey(2), None)));
}

#[test]
fn time_in_which_the_agent_did_not_run_is_held_against_nobody() {
    let mut s = swim(1);
    s.handle_update(&update(2, Liveness::Alive, 0), true, None, at(0));
    run(&mut s, at(2_500));
    assert_eq!(state(&s, 2), Some(Liveness::Suspect));
    s.postpone(Duration::from_secs(30), at(30_000));
    run(&mut s, at(30_000));
    assert_eq!(state(&s, 2), Some(Liveness::Suspect), "the member still has its four seconds");
}
