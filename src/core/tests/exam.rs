//! Examinations between agents whose network loses some datagrams and not others.

use super::*;
use crate::core::exam::{Link, Trip};
use crate::wire::exam::Exam;
use crate::wire::{ClusterHash, DatagramBuilder, Frame};

/// A settled cluster of `n` in which `lost` gets lost.
fn net(n: u16, lost: impl Fn(SocketAddr, SocketAddr, usize) -> bool + 'static) -> Net {
    let mut net = Net::of(n);
    net.until(Duration::from_secs(10), Net::see_each_other);
    net.lost = Box::new(lost);
    net
}

fn examined(net: &mut Net, by: u16, of: &[u16]) -> Vec<Link> {
    let keys: Vec<NodeKey> = of.iter().map(|n| key(*n)).collect();
    net.events.clear();
    assert!(net.with(by, |agent, now| agent.examine(&keys, now)));
    net.run(Duration::from_secs(3));
    let found = net.events.iter().find_map(|(at, event)| match event {
        Event::Examined(links) if *at == addr(by) => Some(links.clone()),
        _ => None,
    });
    found.expect("it ends")
}

const fn unanswered(arrived: Option<bool>) -> Trip {
    Trip { rtt: None, arrived }
}

#[test]
fn all_is_well_where_nothing_gets_lost() {
    let mut net = net(4, |_, _, _| false);
    for n in 1..=4 {
        let unix_ms = 1_000_000 + if n == 3 { 2_500 } else { 0 };
        net.with(n, |agent, now| agent.set_wall_clock(unix_ms, now));
    }
    let links = examined(&mut net, 1, &[2, 3, 4]);
    assert_eq!(links.len(), 3);
    for link in links {
        for trip in [link.small, link.large] {
            assert!(trip.rtt.is_some_and(|rtt| rtt <= LATENCY * 3) && trip.arrived == Some(true), "{link:?}");
        }
        assert_eq!(link.saw, Some(addr(1)));
        let ahead = if link.key == key(3) { 2_500 } else { 0 };
        assert!(link.skew_ms.is_some_and(|ms: i64| ms.abs_diff(ahead) <= 2), "{link:?}");
    }
}

#[test]
fn others_say_in_which_direction_datagrams_get_lost() {
    for (there, arrived) in [(true, false), (false, true)] {
        let broken = move |from: SocketAddr, to: SocketAddr, _: usize| {
            (from, to) == if there { (addr(1), addr(2)) } else { (addr(2), addr(1)) }
        };
        let mut net = net(4, broken);
        let links = examined(&mut net, 1, &[2, 3]);
        assert_eq!(links[0].small, unanswered(Some(arrived)), "there: {there}");
        assert_eq!(links[0].large, unanswered(Some(arrived)), "there: {there}");
        assert!(links[1].small.rtt.is_some() && links[1].large.rtt.is_some());
    }
}

#[test]
fn what_is_too_large_for_one_direction_is_known_from_the_member_itself() {
    for (there, arrived) in [(true, false), (false, true)] {
        let narrow = move |from: SocketAddr, to: SocketAddr, bytes: usize| {
            bytes > 1_000 && (from, to) == if there { (addr(1), addr(2)) } else { (addr(2), addr(1)) }
        };
        let mut net = net(2, narrow);
        let links = examined(&mut net, 1, &[2]);
        assert!(links[0].small.rtt.is_some());
        assert_eq!(links[0].large, unanswered(Some(arrived)), "there: {there}");
    }
}

#[test]
fn of_a_host_that_is_gone_nobody_can_say_anything() {
    let mut net = net(3, |_, to, _| to == addr(3));
    let links = examined(&mut net, 1, &[3, 9]);
    assert_eq!(links.len(), 1, "a stranger is left out");
    assert_eq!((links[0].small, links[0].large), (unanswered(None), unanswered(None)));
}

#[test]
fn an_answer_is_never_larger_than_its_question_and_strangers_get_none() {
    let mut net = net(2, |_, _, _| false);
    // Then an answer takes more bytes than the bare question.
    net.with(2, |agent, now| agent.set_wall_clock(1_795_000_000_000, now));
    let ask = |frames: &[Frame]| {
        let mut builder = DatagramBuilder::new(ClusterHash::of("test"), 1_400);
        assert!(frames.iter().all(|frame| builder.push(frame)));
        builder.finish()
    };
    let question = |from, to| Frame::Exam(Exam::Question { number: 8, from: key(from), to: key(to) });
    let mut sent = |bytes: &[u8]| {
        let (now, agent) = (net.now, net.agents.get_mut(&addr(2)).expect("started"));
        agent.handle_datagram(addr(1), bytes, now);
        let sizes: Vec<usize> = std::iter::from_fn(|| agent.poll_datagram()).map(|o| o.bytes.len()).collect();
        sizes
    };
    for padding in [30, 100, 1_000] {
        let bytes = ask(&[question(1, 2), Frame::Padding(padding)]);
        assert_eq!(sent(&bytes), [bytes.len()]);
    }
    assert!(sent(&ask(&[question(1, 2)])).is_empty(), "the answer would be larger");
    assert!(sent(&ask(&[question(7, 2), Frame::Padding(100)])).is_empty(), "no member");
    assert!(sent(&ask(&[question(1, 3), Frame::Padding(100)])).is_empty(), "somebody else is asked");
    let inquiry = Exam::Inquiry { number: 8, asker: key(1), to: key(2), about: key(2) };
    let inquiry = ask(&[Frame::Exam(inquiry)]);
    assert!(sent(&inquiry)[0] <= inquiry.len());
}

#[test]
fn whose_datagrams_are_dropped_is_remembered_with_the_reason() {
    let mut net = net(2, |_, _, _| false);
    let other = DatagramBuilder::new(ClusterHash::of("other"), 1_400).finish();
    for _ in 0..3 {
        net.with(1, |agent, now| agent.handle_datagram(addr(77), &other, now));
    }
    // A third that has the name of the second.
    let mut rival = identity(2, 5_000);
    (rival.addr, rival.id) = (addr(3), NodeId::from_random(99));
    let rival = Agent::new(rival, Config::default(), LocalState::default(), vec![addr(1)], 3, net.now);
    net.agents.insert(addr(3), rival);
    net.run(Duration::from_secs(3));
    let known: Vec<(SocketAddr, &str, u64)> =
        net.agent(1).strangers().map(|s| (s.addr, s.why, s.count.min(3))).collect();
    assert!(known.contains(&(addr(77), "other_cluster", 3)), "{known:?}");
    assert!(known.iter().any(|(at, why, _)| (*at, *why) == (addr(3), "name_taken")), "{known:?}");
    let by_second = net.agent(2).strangers().any(|s| s.why == "name_taken" && s.name.is_some());
    assert!(by_second, "who has the name hears of it too");
}
