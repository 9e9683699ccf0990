//! The engine with a process of ten lines on it.

use super::*;
use crate::core::Outgoing;
use std::net::Ipv4Addr;
use std::time::Duration;

/// Sends a numbered datagram to its peer every 10 ms and notes what comes.
struct Ticker {
    peer: SocketAddr,
    next: Instant,
    sent: u8,
    out: Vec<Outgoing>,
    heard: Vec<(Instant, u8)>,
    woken: Vec<Instant>,
    unreachable: Vec<Instant>,
}

const TICK: Duration = Duration::from_millis(10);

impl Ticker {
    fn new(peer: SocketAddr) -> Self {
        Self {
            peer,
            next: Instant::START + TICK,
            sent: 0,
            out: Vec::new(),
            heard: Vec::new(),
            woken: Vec::new(),
            unreachable: Vec::new(),
        }
    }
}

impl Process for Ticker {
    fn handle_datagram(&mut self, _: SocketAddr, bytes: &[u8], now: Instant) {
        self.heard.push((now, bytes[0]));
    }
    fn handle_timeout(&mut self, now: Instant) {
        self.woken.push(now);
        while self.next <= now {
            self.next += TICK;
            self.sent = self.sent.wrapping_add(1);
            self.out.push(Outgoing { to: self.peer, bytes: vec![self.sent; 1_000] });
        }
    }
    fn handle_unreachable(&mut self, _: SocketAddr, now: Instant) {
        self.unreachable.push(now);
    }
    fn poll_datagram(&mut self) -> Option<Outgoing> {
        self.out.pop()
    }
    fn poll_event(&mut self) -> Option<Event> {
        None
    }
    fn poll_timeout(&self) -> Option<(Instant, &'static str)> {
        Some((self.next, "tick"))
    }
}

fn addr(n: u8) -> SocketAddr {
    (Ipv4Addr::new(10, 0, 0, n), 7946).into()
}

fn pair(seed: u64, conditions: Conditions) -> (Engine<Ticker>, HostId, HostId) {
    let mut engine = Engine::new(seed, conditions);
    let a = engine.add_host(addr(1), 1_400);
    let b = engine.add_host(addr(2), 1_400);
    engine.start(a, Ticker::new(addr(2)));
    engine.start(b, Ticker::new(addr(1)));
    (engine, a, b)
}

fn run(engine: &mut Engine<Ticker>, millis: u64) {
    let until = engine.now() + Duration::from_millis(millis);
    while engine.step(until).is_some() {}
}

fn process(engine: &Engine<Ticker>, id: HostId) -> &Ticker {
    engine.host(id).process.as_ref().expect("it runs")
}

#[test]
fn datagrams_take_their_time_and_one_wake_up_is_kept_per_host() {
    let (mut engine, a, b) = pair(1, Conditions::default());
    run(&mut engine, 105);
    assert_eq!(process(&engine, a).woken.len(), 10);
    assert_eq!(process(&engine, b).heard.len(), 10);
    let (first, _) = process(&engine, b).heard[0];
    assert!(first > Instant::START + TICK && first <= Instant::START + TICK + Duration::from_millis(2));
    assert_eq!(engine.queue.len(), 2, "one wake-up each and nothing in flight");
    assert_eq!(engine.host(a).traffic.bytes_sent, 10_000);
    assert_eq!(engine.host(b).traffic.bytes_received, 10_000);
}

#[test]
fn each_process_has_a_clock_that_starts_with_it() {
    let (mut engine, a, _) = pair(1, Conditions::default());
    run(&mut engine, 500);
    engine.kill(a);
    run(&mut engine, 500);
    engine.start(a, Ticker::new(addr(2)));
    run(&mut engine, 15);
    assert_eq!(process(&engine, a).woken, [Instant::START + TICK]);
}

#[test]
fn a_paused_process_finds_its_socket_then_its_timers_and_a_full_socket_drops() {
    let (mut engine, a, b) = pair(1, Conditions::default());
    engine.pause(b);
    run(&mut engine, 2_005);
    assert!(process(&engine, b).woken.is_empty() && process(&engine, b).heard.is_empty());
    engine.resume(b);
    let now = engine.now();
    run(&mut engine, 0);
    let heard = &process(&engine, b).heard;
    assert_eq!(heard.len(), SOCKET_BUFFER_BYTES / (1_000 + SOCKET_OVERHEAD_BYTES));
    assert!(heard.iter().all(|(at, _)| *at == now) && heard.is_sorted_by_key(|(_, n)| *n));
    assert_eq!(process(&engine, b).woken, [now]);
    assert!(engine.host(b).traffic.datagrams_overflowed > 0);
    assert_eq!(process(&engine, a).heard.len(), 0, "nothing was sent while paused");
}

#[test]
fn a_closed_port_is_reported_after_a_round_trip_only_when_the_host_runs_and_reports_are_on() {
    for (reports, powered, want) in [(true, true, 10), (false, true, 0), (true, false, 0)] {
        let conditions = Conditions { unreachable_reports: reports, ..Conditions::default() };
        let (mut engine, a, b) = pair(1, conditions);
        engine.kill(b);
        engine.set_powered(b, powered);
        run(&mut engine, 105);
        let seen = &process(&engine, a).unreachable;
        assert_eq!(seen.len(), want);
        assert!(seen.iter().all(|at| *at > Instant::START + TICK + Duration::from_millis(1)));
    }
}

#[test]
fn an_old_address_is_silent_after_a_move() {
    let (mut engine, a, b) = pair(1, Conditions { unreachable_reports: true, ..Conditions::default() });
    engine.set_addr(b, addr(3));
    run(&mut engine, 105);
    assert!(process(&engine, b).heard.is_empty());
    assert!(process(&engine, a).unreachable.is_empty());
    assert_eq!(process(&engine, a).heard.len(), 10);
}

#[test]
fn datagrams_over_the_limit_are_complained_about() {
    let mut engine = Engine::new(1, Conditions::default());
    let a = engine.add_host(addr(1), 999);
    engine.start(a, Ticker::new(addr(2)));
    run(&mut engine, 15);
    let (host, what) = engine.complaint.expect("1,000 bytes are over 999");
    assert_eq!(host, a);
    assert!(what.contains("1000 bytes"), "{what}");
}

#[test]
fn the_same_seed_leaves_the_same_trace_and_another_seed_another() {
    let digest = |seed| {
        let conditions = Conditions { loss: 0.1, duplicate: 0.1, reorder: 0.1, ..Conditions::default() };
        let (mut engine, _, _) = pair(seed, conditions);
        run(&mut engine, 1_000);
        engine.trace.digest()
    };
    assert_eq!(digest(1), digest(1));
    assert_ne!(digest(1), digest(2));
}
