//! What one agent takes in and gives out at most, whoever asks.

use super::*;
use crate::wire::frame::Ask;
use crate::wire::{ClusterHash, DatagramBuilder, Frame, datagram};

fn agent(settings: Settings) -> Agent {
    let config = Config::new(settings).expect("valid");
    Agent::new(identity(1, 1_000), config, LocalState::default(), Vec::new(), 1, Instant::START)
}

fn sent_bytes(agent: &mut Agent) -> usize {
    std::iter::from_fn(|| agent.poll_datagram()).map(|out| out.bytes.len()).sum()
}

fn of_frames(frames: &[Frame]) -> Vec<u8> {
    let mut builder = DatagramBuilder::new(ClusterHash::of("test"), 1_400);
    assert!(frames.iter().all(|frame| builder.push(frame)), "it fits");
    builder.finish()
}

/// Shows the agent that somebody receives at `from`.
fn prove(agent: &mut Agent, from: SocketAddr) {
    agent.handle_datagram(from, &of_frames(&[Frame::Ask(1, Ask::Buckets)]), Instant::START);
    let out = std::iter::from_fn(|| agent.poll_datagram()).last().expect("it is challenged");
    let mut frames = datagram::open(&out.bytes, ClusterHash::of("test"), 1_400).expect("is one");
    let Some(Ok(Frame::Challenge(cookie))) = frames.next() else { panic!("a stranger is challenged") };
    agent.handle_datagram(from, &of_frames(&[Frame::Echo(cookie, from)]), Instant::START);
}

#[test]
fn a_host_registers_as_much_as_it_may_and_no_larger_than_it_may() {
    let mut a = agent(Settings { max_entries_per_node: 2, ..Settings::lan() });
    for id in ["a", "b"] {
        a.apply(&service(id), Instant::START).expect("there is room");
    }
    let refused = a.apply(&service("c"), Instant::START);
    assert_eq!(refused, Err(LocalError::TooManyEntries { have: 2, max: 2 }));
    a.apply(&service("a"), Instant::START).expect("it is there already");
    let LocalCommand::RegisterService { mut definition, .. } = service("b") else { panic!("it is one") };
    definition.service.meta = (0..60).map(|n| (format!("{n}"), "x".repeat(500))).collect();
    let large = LocalCommand::RegisterService { definition, replace_existing_checks: false };
    let refused = a.apply(&large, Instant::START);
    assert!(matches!(refused, Err(LocalError::RecordTooLarge { max: 16_384, .. })), "{refused:?}");
    assert_eq!(a.local().services.len(), 2);
}

#[test]
fn rumours_are_sent_within_their_bytes_a_second() {
    const RATE: usize = 20_000;
    let mut net = Net::of(5);
    let config = Config::new(Settings { gossip_bytes_per_s_max: RATE, ..Settings::lan() }).expect("valid");
    net.agents.insert(
        addr(6),
        Agent::new(identity(6, 1_000), config, LocalState::default(), vec![addr(1)], 6, Instant::START),
    );
    net.run(Duration::from_secs(5));
    assert_eq!(net.agent(6).live_count(), 6);
    let before = net.agent(6).stats().bytes_sent;
    for n in 0..2_000 {
        net.with(6, |a, now| a.apply(&service(&format!("s{n}")), now).expect("there is room"));
    }
    net.run(Duration::from_secs(4));
    let sent = net.agent(6).stats().bytes_sent - before;
    // Rumours and answers each have as much, with a second's worth saved up; probes have room beside.
    assert!(sent <= 2 * 5 * RATE as u64 + 10_000, "{sent} bytes in four seconds");
    assert!(sent >= 3 * RATE as u64, "{sent} bytes: there was nothing to hold back");
}

#[test]
fn questions_beyond_what_may_be_answered_are_dropped_and_counted() {
    let mut a = agent(Settings { gossip_bytes_per_s_max: 10_000, ..Settings::lan() });
    for n in 0..200 {
        a.apply(&service(&format!("s{n}")), Instant::START).expect("there is room");
    }
    sent_bytes(&mut a);
    prove(&mut a, addr(9));
    let ask = of_frames(&[Frame::Ask(1, Ask::Buckets)]);
    let mut answered = 0;
    for _ in 0..10_000 {
        a.handle_datagram(addr(9), &ask, Instant::START);
        answered += sent_bytes(&mut a);
    }
    assert!((1_000..=10_000 + 1_400).contains(&answered), "{answered} bytes at one instant");
    let dropped = a.stats().dropped;
    assert!(dropped["ask_over_rate"] > 300 && dropped["over_rate"] > 9_000, "{dropped:?}");
}

#[test]
fn of_a_datagram_so_many_frames_are_looked_at() {
    let mut a = agent(Settings::lan());
    let asks: Vec<Frame> = (0..100).map(|n| Frame::Ask(n, Ask::Buckets)).collect();
    prove(&mut a, addr(9));
    a.handle_datagram(addr(9), &of_frames(&asks), Instant::START);
    let answers = std::iter::from_fn(|| a.poll_datagram()).count();
    assert_eq!(answers, 64);
}

#[test]
fn in_a_storm_nothing_is_sent_twice_before_all_of_it_was_sent_once() {
    let mut net = Net::of(5);
    net.run(Duration::from_secs(5));
    net.flying.clear();
    let config = Config::new(Settings { gossip_bytes_per_s_max: 20_000, ..Settings::lan() }).expect("valid");
    net.agents.insert(
        addr(6),
        Agent::new(identity(6, 1_000), config, LocalState::default(), vec![addr(1)], 6, Instant::START),
    );
    net.run(Duration::from_secs(5));
    for n in 0..3_000 {
        net.with(6, |a, now| a.apply(&service(&format!("s{n}")), now).expect("there is room"));
    }
    // What was spread before more than a quarter of a second's worth waited was no storm yet.
    net.flying.clear();
    let mut copies: BTreeMap<String, usize> = BTreeMap::new();
    for _ in 0..1_500 {
        net.now += Duration::from_millis(1);
        net.with(6, |a, now| a.handle_timeout(now));
        for (_, from, out) in std::mem::take(&mut net.flying) {
            let frames = datagram::open(&out.bytes, ClusterHash::of("test"), 1_400).expect("is one");
            let records = frames.filter_map(Result::ok).filter_map(|frame| match frame {
                Frame::Records(records) if from == addr(6) => Some(records),
                _ => None,
            });
            for record in records.flatten() {
                *copies.entry(record.item.id).or_default() += 1;
            }
        }
    }
    assert!((100..2_900).contains(&copies.len()), "{} of 3,000", copies.len());
    let twice = copies.values().filter(|n| **n > 1).count();
    assert!(twice * 20 < copies.len(), "{twice} of {} were sent twice", copies.len());
}
