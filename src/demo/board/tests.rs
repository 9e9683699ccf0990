use super::*;
use crate::demo::sales::{Fault, Request};
use crate::demo::script::Target;

fn host(name: &str) -> Host {
    Host::named(name).expect("is there")
}

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// Lets all agents that run see things as they are.
fn everybody_knows(board: &mut Board, now: Duration) {
    for ((observer, thing), state) in board.truth.expected() {
        match (thing, state) {
            (Thing::Host(host), State::Member(status)) => {
                board.take(News::Member { observer, host, status }, now);
            }
            (Thing::Instance(instance), State::Instance(health)) => {
                let health = BTreeMap::from([(instance, health)]);
                board.take(News::Instances { observer, health }, now);
            }
            (Thing::Instance(instance), _) => {
                let health = BTreeMap::from([(instance, Health::Critical)]);
                board.take(News::Instances { observer, health }, now);
            }
            (Thing::Host(_), _) => unreachable!("a host is a member"),
        }
    }
}

fn open() -> Board {
    let mut board = Board::new(ms(0));
    everybody_knows(&mut board, ms(900));
    board.tick(ms(900) + QUIET);
    assert!(board.is_settled(), "{:?}", board.lines);
    board
}

fn texts(board: &Board) -> Vec<&str> {
    board.lines().map(|line| line.text.as_str()).collect()
}

#[test]
fn the_shop_is_open_when_all_agents_know_all_of_it() {
    let mut board = Board::new(ms(0));
    board.tick(ms(5_000));
    assert!(!board.is_settled());
    let board = open();
    let last = *texts(&board).last().expect("is told");
    assert_eq!(last, "the shop is open: all 5 agents agree after 0.90 s on 5 hosts and 14 instances");
}

#[test]
fn a_kill_is_told_with_its_times_and_what_it_cost() {
    let mut board = open();
    board.act(&Act::Kill(host("n3")), ms(10_000)).expect("makes sense");
    let see = |board: &mut Board, by: &str, status, at| {
        board.take(News::Member { observer: host(by), host: host("n3"), status }, at);
    };
    see(&mut board, "n4", MemberStatus::Suspect, ms(10_610));
    see(&mut board, "n1", MemberStatus::Suspect, ms(10_620));
    for (at, outcome) in [(10_100, Ok(())), (10_500, Err(Fault::Refused)), (11_900, Err(Fault::Refused))] {
        let instance = Instance::named("payment-2");
        board.sales.take(Request { at: ms(at), service: 3, instance, outcome });
    }
    see(&mut board, "n2", MemberStatus::Failed, ms(12_100));
    everybody_knows(&mut board, ms(12_300));
    assert!(!board.is_settled());
    board.tick(ms(12_300) + QUIET);
    assert!(board.is_settled());
    let told = texts(&board);
    let wanted = [
        "n4 suspects n3 after 0.61 s",
        "n2 holds n3 for failed after 2.10 s",
        "all 4 agents agree after 2.30 s",
        "n3, host of payment-2 and inventory-2, was killed: n3 suspected by n4 after 0.61 s, n3 failed after \
         2.10 s, all 4 agents agree after 2.30 s, 2 of 3 requests failed (connection refused), the last after 1.90 s",
    ];
    assert!(told.ends_with(&wanted), "{told:#?}");
    assert!(!told.iter().any(|line| line.contains("n1 suspects")), "the first alone is told");
}

#[test]
fn a_drain_is_over_when_nobody_is_sent_there() {
    let mut board = open();
    board.act(&Act::Drain(Target::Host(host("n2"))), ms(5_000)).expect("makes sense");
    board.sales.take(Request { at: ms(5_010), service: 0, instance: None, outcome: Ok(()) });
    everybody_knows(&mut board, ms(5_020));
    board.tick(ms(6_000));
    let last = board.lines().next_back().expect("is told");
    assert_eq!(
        last.text,
        "n2 drained: nobody is sent there any more: all 5 agents agree after 0.02 s, 0 of 1 requests failed"
    );
    assert_eq!(last.tone, Tone::Good);
}

#[test]
fn what_makes_no_sense_changes_nothing_and_a_suspicion_without_a_cause_is_told_as_such() {
    let mut board = open();
    let before = board.written;
    assert!(board.act(&Act::Heal(None), ms(5_000)).is_err());
    assert_eq!((board.written, board.is_settled()), (before, true));
    let (observer, n5) = (host("n1"), host("n5"));
    board.take(News::Member { observer, host: n5, status: MemberStatus::Suspect }, ms(6_000));
    assert!(texts(&board).last().expect("is told").contains("though nothing was done to it"));
}

#[test]
fn what_nobody_learns_is_named_when_it_is_given_up() {
    let mut board = open();
    board.act(&Act::Kill(host("n3")), ms(5_000)).expect("makes sense");
    board.tick(ms(60_000));
    assert!(!board.is_settled());
    board.give_up(ms(60_000));
    assert!(board.is_settled() && board.unsettled);
    let last = *texts(&board).last().expect("is told");
    assert!(last.starts_with("not everybody agrees: n1 thinks n3 alive, not failed, "), "{last}");
}

#[test]
fn lines_and_episodes_are_bounded_and_new_lines_are_handed_out_once() {
    let mut board = open();
    let (_, seen) = board.lines_after(0);
    for n in 0..LINES_MAX + 50 {
        board.say(ms(n as u64), Tone::Remark, "x");
    }
    let (new, all) = board.lines_after(seen);
    assert_eq!((new.count(), all), (LINES_MAX, seen + LINES_MAX + 50));
    assert_eq!(board.lines_after(all).0.count(), 0);
    for n in 0..40 {
        let act = if n % 2 == 0 { Act::Partition(vec![host("n1")]) } else { Act::Heal(None) };
        board.act(&act, ms(n)).expect("makes sense");
    }
    assert_eq!(board.episodes.len(), EPISODES_MAX);
}
