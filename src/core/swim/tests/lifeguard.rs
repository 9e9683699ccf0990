//! Suspicions timed by whoever hears of them, accusers, nacks and local health: what SWIM and
//! Lifeguard do that foca does not.

use super::*;
use crate::core::Membership;
use crate::core::Settings;
use crate::wire::frame::Charge;
use crate::wire::frame::SwimMessage;

pub(super) fn node(n: u16, membership: Membership) -> Swim {
    let config = Config::new(Settings::lan()).expect("valid").with_membership(membership);
    let key = NodeKey(u64::from(n));
    let mut s = Swim::new(key, epoch(100), addr(n), config, u64::from(n), Instant::START);
    for peer in (1..=8).filter(|peer| *peer != n) {
        s.handle_update(&update(peer, Liveness::Alive, 0), true, None, at(0));
    }
    outputs(&mut s);
    s
}

pub(super) fn accusation(subject: u16, incarnation: Incarnation, accuser: u16) -> Accusation {
    let (subject, accuser) = (NodeKey(u64::from(subject)), NodeKey(u64::from(accuser)));
    Accusation { subject, epoch: epoch(100), incarnation, accuser, refused: false }
}

pub(super) fn hear(s: &mut Swim, accusations: &[Accusation], now: Instant) {
    for charge in Charge::group(accusations) {
        s.handle_charge(&charge, now);
    }
}

pub(super) fn frame(from: u16, to: u16, message: SwimMessage) -> SwimFrame {
    SwimFrame {
        from: NodeKey(u64::from(from)),
        from_epoch: epoch(100),
        from_incarnation: 0,
        to: NodeKey(u64::from(to)),
        to_epoch: epoch(100),
        from_addr: None,
        message,
    }
}

fn third(n: u16) -> crate::wire::frame::Third {
    crate::wire::frame::Third { key: NodeKey(u64::from(n)), epoch: epoch(100), addr: addr(n) }
}

pub(super) fn accused(out: &[Output]) -> Vec<Accusation> {
    out.iter().filter_map(|o| if let Output::Accused(a) = o { Some(*a) } else { None }).collect()
}

pub(super) fn news_of(out: &[Output], n: u16) -> Vec<Liveness> {
    let key = NodeKey(u64::from(n));
    out.iter()
        .filter_map(|o| if let Output::News(u) = o { Some(u) } else { None })
        .filter(|u| u.key == key)
        .map(|u| u.state)
        .collect()
}

/// Runs all timers up to `end`; every probe is answered at once, except those of `silent`.
pub(super) fn run_answered(s: &mut Swim, silent: &[u16], end: Instant) -> Vec<Output> {
    let mut all = Vec::new();
    while let Some((now, _)) = s.next_deadline()
        && now <= end
    {
        s.handle_timeout(now);
        let mut fresh = outputs(s);
        while let Some(out) = (!fresh.is_empty()).then(|| fresh.remove(0)) {
            if let Output::Send(_, SwimFrame { to, message: SwimMessage::Ping(number), .. }) = out
                && !silent.iter().any(|n| u64::from(*n) == to.0)
            {
                let ack = SwimFrame { from: to, ..frame(0, 1, SwimMessage::Ack(number)) };
                s.handle_frame(addr(to.0 as u16), &ack, &[], now);
                fresh.extend(outputs(s));
            }
            all.push(out);
        }
    }
    all
}

#[test]
fn who_hears_of_a_suspicion_times_it_himself() {
    let mut s = node(1, Membership::Swim);
    s.handle_update(&update(2, Liveness::Suspect, 0), true, None, at(500));
    let out = run_answered(&mut s, &[2], at(4_400));
    assert_eq!(state(&s, 2), Some(Liveness::Suspect));
    assert!(accused(&out).is_empty(), "plain SWIM names nobody");
    let out = run_answered(&mut s, &[2], at(4_600));
    assert_eq!(state(&s, 2), Some(Liveness::Down), "four seconds after it heard of it");
    assert_eq!(news_of(&out, 2), [Liveness::Down], "and that is passed on");
    assert!(out.contains(&Output::Notice(addr(2), NodeKey(2), epoch(100))), "the member is told");
}

#[test]
fn a_suspicion_refuted_in_time_ends_nothing_and_a_new_one_has_its_own_time() {
    let mut s = node(1, Membership::Swim);
    s.handle_update(&update(2, Liveness::Suspect, 0), true, None, at(500));
    s.handle_update(&update(2, Liveness::Alive, 1), true, None, at(2_000));
    run_answered(&mut s, &[], at(2_400));
    s.handle_update(&update(2, Liveness::Suspect, 1), true, None, at(2_500));
    s.handle_update(&update(2, Liveness::Suspect, 1), true, None, at(3_500));
    run_answered(&mut s, &[], at(6_400));
    assert_eq!(state(&s, 2), Some(Liveness::Suspect), "hearing it again changes nothing");
    run_answered(&mut s, &[], at(6_600));
    assert_eq!(state(&s, 2), Some(Liveness::Down));
}

#[test]
fn a_down_of_an_incarnation_that_was_refuted_says_nothing() {
    for membership in [Membership::Swim, Membership::Lifeguard] {
        let mut s = node(1, membership);
        s.handle_update(&update(2, Liveness::Alive, 1), true, None, at(0));
        s.handle_update(&update(2, Liveness::Down, 0), true, None, at(10));
        assert_eq!(state(&s, 2), Some(Liveness::Alive));
        s.handle_update(&update(2, Liveness::Down, 1), true, None, at(20));
        assert_eq!(state(&s, 2), Some(Liveness::Down), "and one of the present one is believed");
    }
}

#[test]
fn swim_neither_doubts_itself_nor_asks_for_nacks() {
    let mut s = node(1, Membership::Swim);
    let out = run(&mut s, at(30_000));
    let pings =
        out.iter().filter(|o| matches!(o, Output::Send(_, f) if matches!(f.message, SwimMessage::Ping(_))));
    assert_eq!(s.counters().health_score, 0);
    assert!(pings.count() >= 10, "once a second while anybody is left");
    let mut s = node(1, Membership::Swim);
    s.handle_frame(addr(3), &frame(3, 1, SwimMessage::PingRequest(third(2), 7)), &[], at(10));
    assert!(!run_answered(&mut s, &[], at(900)).iter().any(|o| matches!(o, Output::Nack(..))));
}

#[test]
fn time_that_passed_without_running_counts_where_nothing_is_forgiven() {
    let mut s = node(1, Membership::Swim);
    s.handle_update(&update(2, Liveness::Suspect, 0), true, None, at(500));
    s.postpone(Duration::from_secs(30), at(30_000));
    s.handle_timeout(at(30_000));
    assert_eq!(state(&s, 2), Some(Liveness::Down));
}

#[test]
fn a_failed_probe_accuses_in_ones_own_name() {
    let mut s = node(1, Membership::Lifeguard);
    let out = run_answered(&mut s, &[2], at(15_000));
    assert_eq!(state(&s, 2), Some(Liveness::Suspect), "nobody else accuses: up to 24 s");
    assert_eq!(accused(&out), [accusation(2, 0, 1)], "once");
    assert!(news_of(&out, 2).is_empty(), "the accusation is the news");
    run_answered(&mut s, &[2], at(40_000));
    assert_eq!(state(&s, 2), Some(Liveness::Down));
}

#[test]
fn accusers_shorten_a_suspicion_each_once() {
    let mut s = node(1, Membership::Lifeguard);
    let accuse = |s: &mut Swim, by: u16, ms| {
        hear(s, &[accusation(2, 0, by)], at(ms));
        accused(&outputs(s)).len()
    };
    assert_eq!(accuse(&mut s, 3, 10), 1);
    assert_eq!(state(&s, 2), Some(Liveness::Suspect), "hearsay is a suspicion too");
    assert_eq!(accuse(&mut s, 3, 20), 0, "a repetition is not passed on");
    assert_eq!((accuse(&mut s, 4, 30), accuse(&mut s, 5, 40)), (1, 1));
    run_answered(&mut s, &[], at(4_500));
    assert_eq!(state(&s, 2), Some(Liveness::Suspect));
    assert_eq!(accuse(&mut s, 6, 4_600), 1);
    assert_eq!(accuse(&mut s, 7, 4_600), 0, "enough are known");
    run_answered(&mut s, &[], at(4_700));
    assert_eq!(state(&s, 2), Some(Liveness::Down), "three have confirmed: four seconds in all");
}

#[test]
fn a_suspect_that_fails_ones_own_probe_is_accused_by_oneself_too() {
    let mut s = node(1, Membership::Lifeguard);
    hear(&mut s, &[accusation(2, 0, 3)], at(10));
    let out = run_answered(&mut s, &[2], at(15_000));
    assert_eq!(accused(&out), [accusation(2, 0, 3), accusation(2, 0, 1)]);
}

#[test]
fn accusations_of_the_past_and_by_strangers_do_nothing() {
    let mut s = node(1, Membership::Lifeguard);
    s.handle_update(&update(2, Liveness::Alive, 3), true, None, at(0));
    outputs(&mut s);
    hear(&mut s, &[accusation(2, 2, 3)], at(10));
    assert_eq!((state(&s, 2), s.counters().accusations_refused), (Some(Liveness::Alive), 0));
    for wrong in [accusation(2, 3, 99), accusation(99, 0, 3), accusation(2, 3, 2)] {
        hear(&mut s, &[wrong], at(10));
    }
    let mut far = accusation(2, 3, 3);
    far.epoch = epoch(101);
    hear(&mut s, &[far], at(10));
    far.epoch = Epoch(u64::MAX);
    hear(&mut s, &[far], at(10));
    assert_eq!((state(&s, 2), s.counters().accusations_refused), (Some(Liveness::Alive), 4));
    assert!(outputs(&mut s).is_empty());
}

#[test]
fn the_end_of_a_suspicion_ends_its_rumours() {
    let mut s = node(1, Membership::Lifeguard);
    hear(&mut s, &[accusation(2, 0, 3), accusation(2, 0, 4)], at(10));
    outputs(&mut s);
    s.handle_update(&update(2, Liveness::Alive, 1), true, None, at(20));
    let accusers = vec![NodeKey(3), NodeKey(4)];
    assert!(outputs(&mut s).contains(&Output::Absolved(NodeKey(2), accusers)));
}

#[test]
fn who_is_accused_refutes_once_and_doubts_himself() {
    let mut s = node(1, Membership::Lifeguard);
    hear(&mut s, &[accusation(1, 0, 3), accusation(1, 0, 4)], at(10));
    assert_eq!(s.own_update().incarnation, 1);
    assert_eq!(s.counters().health_score, 1);
}

#[test]
fn doubt_stretches_the_interval_and_the_wait_before_the_indirect_stage() {
    let mut s = node(1, Membership::Lifeguard);
    let pings = |out: &[Output]| {
        let ping = |o: &&Output| matches!(o, Output::Send(_, f) if matches!(f.message, SwimMessage::Ping(_)));
        out.iter().filter(ping).count()
    };
    // Two suspicions of itself before the first probe at one second: the second comes after 3 s.
    hear(&mut s, &[accusation(1, 0, 3)], at(10));
    hear(&mut s, &[accusation(1, 1, 3)], at(20));
    assert_eq!(s.counters().health_score, 2);
    outputs(&mut s);
    let out = run(&mut s, at(2_400));
    let requests = |out: &[Output]| {
        let ask = |o: &&Output| matches!(o, Output::Send(_, f) if matches!(f.message, SwimMessage::PingRequest(..)));
        out.iter().filter(ask).count()
    };
    assert_eq!((pings(&out), requests(&out)), (1, 0), "the wait is 1.5 s, from one second on");
    let out = run(&mut s, at(3_900));
    assert_eq!((pings(&out), requests(&out)), (0, 3));
    let out = run(&mut s, at(4_000));
    assert_eq!(pings(&out), 1);
    // That probe failed, and none of three helpers was heard.
    assert_eq!((s.counters().health_score, s.counters().nacks_missed), (6, 3));
    let out = run(&mut s, at(10_900));
    assert_eq!(pings(&out), 0);
    assert_eq!(pings(&run(&mut s, at(11_000))), 1);
    assert_eq!(s.counters().health_score, 8, "as bad as it gets");
}

#[test]
fn an_answered_probe_restores_confidence() {
    let mut s = node(1, Membership::Lifeguard);
    hear(&mut s, &[accusation(1, 0, 3)], at(10));
    hear(&mut s, &[accusation(1, 1, 3)], at(20));
    run_answered(&mut s, &[], at(1_000));
    assert_eq!(s.counters().health_score, 1);
    run_answered(&mut s, &[], at(4_000));
    assert_eq!(s.counters().health_score, 0);
}

#[test]
fn a_helper_that_hears_nothing_says_so_and_one_that_does_says_nothing() {
    let mut s = node(1, Membership::Lifeguard);
    s.handle_frame(addr(3), &frame(3, 1, SwimMessage::PingRequest(third(2), 7)), &[], at(10));
    s.handle_frame(addr(4), &frame(4, 1, SwimMessage::PingRequest(third(2), 9)), &[], at(10));
    outputs(&mut s);
    let answer = frame(2, 1, SwimMessage::IndirectAck(third(4), 9));
    s.handle_frame(addr(2), &answer, &[], at(20));
    let early = run_answered(&mut s, &[], at(409));
    let out = run_answered(&mut s, &[], at(900));
    let nacks = |out: &[Output]| -> Vec<Output> {
        out.iter().filter(|o| matches!(o, Output::Nack(..))).cloned().collect()
    };
    assert!(nacks(&early).is_empty());
    let nack = Nack { from: NodeKey(1), to_epoch: epoch(100), target: NodeKey(2), number: 7 };
    assert_eq!(nacks(&out), [Output::Nack(addr(3), nack)], "at 80 % of the probe timeout");
}

#[test]
fn a_nack_speaks_for_the_askers_health() {
    let mut s = node(1, Membership::Lifeguard);
    let out = run(&mut s, at(1_600));
    let asked: Vec<SwimFrame> = out
        .iter()
        .filter_map(|o| if let Output::Send(_, f) = o { Some(*f) } else { None })
        .filter(|f| matches!(f.message, SwimMessage::PingRequest(..)))
        .collect();
    assert_eq!(asked.len(), 3);
    for f in &asked {
        let SwimMessage::PingRequest(target, number) = f.message else { unreachable!("filtered") };
        let nack = Nack { from: f.to, to_epoch: epoch(100), target: target.key, number };
        s.handle_nack(&Nack { number: number.wrapping_add(1), ..nack });
        s.handle_nack(&Nack { to_epoch: epoch(99), ..nack });
        s.handle_nack(&nack);
        s.handle_nack(&nack);
    }
    assert_eq!(s.counters().nacks_refused, 9, "each helper counts once, for that probe");
    run(&mut s, at(2_000));
    assert_eq!((s.counters().health_score, s.counters().nacks_missed), (1, 0), "only the failed probe");
}
