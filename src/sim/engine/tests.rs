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
    assert_eq!(heard.len(), hindrance::SOCKET_BUFFER_BYTES / (1_000 + hindrance::SOCKET_OVERHEAD_BYTES));
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

#[test]
fn a_blocked_process_stands_at_the_first_thing_that_it_wants_to_send() {
    let (mut engine, a, b) = pair(1, Conditions::default());
    engine.block(b);
    run(&mut engine, 505);
    assert_eq!(process(&engine, b).woken.len(), 1, "there it stands");
    assert!(process(&engine, b).heard.is_empty() && process(&engine, a).heard.is_empty());
    engine.unblock(b);
    run(&mut engine, 3);
    assert_eq!(process(&engine, b).heard.len(), 50, "what arrived meanwhile");
    assert_eq!(process(&engine, b).woken.len(), 2);
    assert!(!engine.host(b).is_hindered());
}

#[test]
fn a_clogged_process_ticks_on_but_what_it_sends_and_receives_waits_in_order() {
    let (mut engine, a, b) = pair(1, Conditions::default());
    engine.clog(b);
    run(&mut engine, 505);
    assert_eq!(process(&engine, b).woken.len(), 50, "its timers fire");
    assert!(process(&engine, b).heard.is_empty() && process(&engine, a).heard.is_empty());
    assert_eq!(engine.host(b).traffic.datagrams_sent, 0, "nothing has passed the socket");
    engine.unclog(b);
    run(&mut engine, 3);
    let (heard, told) = (&process(&engine, b).heard, &process(&engine, a).heard);
    assert_eq!(heard.iter().map(|(_, n)| *n).collect::<Vec<u8>>(), (1..=50).collect::<Vec<u8>>());
    assert_eq!(told.len(), 50);
    assert!(!engine.host(b).is_hindered());
}

#[test]
fn both_sockets_of_a_clogged_process_are_bounded() {
    let (mut engine, _, b) = pair(1, Conditions::default());
    engine.clog(b);
    run(&mut engine, 2_005);
    let room = hindrance::SOCKET_BUFFER_BYTES / (1_000 + hindrance::SOCKET_OVERHEAD_BYTES);
    let overflowed = engine.host(b).traffic.datagrams_overflowed;
    assert!((2 * (200 - room) as u64 - 2..=2 * (200 - room) as u64).contains(&overflowed), "{overflowed}");
    engine.unclog(b);
    assert_eq!(engine.host(b).traffic.datagrams_sent, room as u64);
    run(&mut engine, 0);
    assert_eq!(process(&engine, b).heard.len(), room);
}

#[test]
fn a_process_that_is_paused_while_clogged_waits_for_both_to_end() {
    let (mut engine, _, b) = pair(1, Conditions::default());
    engine.clog(b);
    engine.pause(b);
    run(&mut engine, 105);
    engine.resume(b);
    run(&mut engine, 100);
    assert!(process(&engine, b).heard.is_empty() && process(&engine, b).woken.len() > 8);
    engine.pause(b);
    engine.unclog(b);
    run(&mut engine, 100);
    assert!(process(&engine, b).heard.is_empty());
    engine.resume(b);
    run(&mut engine, 0);
    assert!(process(&engine, b).heard.len() >= 29);
}

#[test]
fn a_starved_process_runs_in_slices_and_loses_nothing_that_its_socket_holds() {
    let (mut engine, a, b) = pair(1, Conditions::default());
    let rng = crate::sim::seed::stream(1, "starve", 0);
    engine.starve(b, 0.2, Duration::from_millis(2), rng);
    run(&mut engine, 10_000);
    let late = process(&engine, b).heard.len();
    assert!((900..=1_000).contains(&late), "{late}");
    let (woken, a_woken) = (process(&engine, b).woken.len(), process(&engine, a).woken.len());
    assert!(woken < a_woken, "{woken}: several ticks pass in one wait");
    assert!(process(&engine, b).heard.is_sorted_by_key(|(at, _)| *at));
    engine.feed(b);
    run(&mut engine, 5);
    assert!(!engine.host(b).is_hindered());
    let heard = process(&engine, b).heard.len();
    run(&mut engine, 100);
    assert_eq!(process(&engine, b).heard.len(), heard + 10);
}

#[test]
fn a_slow_process_takes_one_datagram_after_the_other_and_its_timers_are_late() {
    let (mut engine, a, b) = pair(1, Conditions::default());
    engine.slow(b, Duration::from_millis(4));
    run(&mut engine, 1_005);
    assert_eq!(process(&engine, b).heard.len(), 100, "it keeps up");
    engine.slow(b, Duration::from_millis(40));
    run(&mut engine, 4_000);
    let heard = &process(&engine, b).heard;
    assert!((197..=202).contains(&heard.len()), "{}", heard.len());
    let gap = heard[199].0.since(heard[198].0);
    assert_eq!(gap, Duration::from_millis(40));
    let ticks = process(&engine, b).woken.len();
    assert!((101..=103).contains(&ticks), "a look at the timers every 64 datagrams: {ticks}");
    assert!(engine.host(b).traffic.datagrams_overflowed > 0);
    engine.slow(b, Duration::ZERO);
    run(&mut engine, 50);
    assert!(!engine.host(b).is_hindered());
    assert!(process(&engine, a).heard.len() > 490, "everything was sent in the end");
}

#[test]
fn what_a_machine_lacks_outlives_the_process_and_what_waited_does_not() {
    let (mut engine, _, b) = pair(1, Conditions::default());
    engine.slow(b, Duration::from_millis(30));
    engine.clog(b);
    run(&mut engine, 100);
    engine.kill(b);
    run(&mut engine, 100);
    engine.start(b, Ticker::new(addr(1)));
    run(&mut engine, 300);
    assert!(!engine.host(b).is_clogged());
    let heard = &process(&engine, b).heard;
    assert!((9..=11).contains(&heard.len()), "{}", heard.len());
}

#[test]
fn a_narrow_line_delays_what_is_sent_and_drops_what_does_not_fit() {
    let conditions = Conditions { bandwidth: Some(50_000), ..Conditions::default() };
    let (mut engine, a, b) = pair(1, conditions);
    run(&mut engine, 10_000);
    // 100,000 bytes per second are offered, 50,000 pass.
    let heard = process(&engine, b).heard.len();
    assert!((490..=500).contains(&heard), "{heard}");
    assert!(engine.host(a).traffic.datagrams_shed > 200);
    assert_eq!(process(&engine, b).heard[0].1, 1);
    let (first, _) = process(&engine, b).heard[0];
    assert!(first > Instant::START + TICK + Duration::from_millis(20), "{first:?}");
}

#[test]
fn the_last_datagrams_are_kept_only_once_somebody_wants_them() {
    let (mut engine, _, _) = pair(1, Conditions::default());
    run(&mut engine, 100);
    assert!(engine.recent.is_none());
    engine.recent = Some(Recent::new());
    assert!(engine.recent.as_ref().is_some_and(|r| r.pick(7).is_none()));
    run(&mut engine, 2_000);
    let recent = engine.recent.as_ref().expect("just set");
    let (from, out) = recent.pick(255).expect("more than 256 were sent");
    assert!([addr(1), addr(2)].contains(&from) && out.to != from && out.bytes[0] > 70);
}
