//! The protocol itself: what arrives, among many members.

use crate::owners::{Observer, Owner, agent, observer_addr, packet};
use criterion::{BatchSize, Criterion};
use shoal::core::{Agent, Knowledge};
use shoal::model::{CheckStatus, EntryKey, Generation, Instant, LocalCommand, LocalState, NodeKey};
use shoal::wire::Frame;
use shoal::wire::frame::{Ask, Digest, Epoch, SwimFrame, SwimMessage};
use std::hint::black_box;
use std::net::SocketAddr;
use std::time::Duration;

const MEMBERS: [usize; 3] = [100, 1_000, 10_000];

fn addr(n: usize) -> SocketAddr {
    SocketAddr::from(([10, 100, (n / 250) as u8, (n % 250) as u8], 7946))
}

/// An agent that knows so many others, and the key and life of one of them.
fn among(members: usize) -> (Agent, NodeKey) {
    let mut known = Knowledge::default();
    let mut other = NodeKey(0);
    for n in 0..members {
        let member = agent(&format!("m{n}"), addr(n), LocalState::default());
        known.add(&member);
        other = member.identity().name.key();
    }
    let mut observer = agent("observer", observer_addr(), LocalState::default());
    known.add(&observer);
    observer.adopt(&known, Instant::START);
    drain(&mut observer);
    (observer, other)
}

fn drain(agent: &mut Agent) {
    while agent.poll_event().is_some() {}
    while let Some(out) = agent.poll_datagram() {
        agent.recycle(out.bytes);
    }
}

/// A ping that is answered, foca and its adapter included. It must not grow with the cluster: an agent is pinged once
/// a second by somebody, and under indirect probes more often.
pub(crate) fn pings(c: &mut Criterion) {
    let mut group = c.benchmark_group("ping answered");
    for members in MEMBERS {
        let (mut observer, from) = among(members);
        let epoch = Epoch::first_of(Generation(1_000));
        let ping = |number| {
            let to = observer.identity().name.key();
            let message = SwimMessage::Ping(number);
            let frame = SwimFrame {
                from,
                from_epoch: epoch,
                from_incarnation: 0,
                to,
                to_epoch: epoch,
                from_addr: None,
                message,
            };
            packet(&[Frame::Swim(frame), Frame::Root(Digest(observer.root_digest()))])
        };
        let pings: Vec<Vec<u8>> = (0..=u8::MAX).map(ping).collect();
        let mut n = 0;
        group.bench_function(format!("{members} members"), |b| {
            b.iter(|| {
                n = (n + 1) % pings.len();
                observer.handle_datagram(addr(members - 1), &pings[n], Instant::START);
                let answer = observer.poll_datagram().expect("a ping is answered");
                observer.recycle(answer.bytes);
                drain(&mut observer);
            });
        });
    }
    group.finish();
}

/// A changed check of another node: read, merged, its digest renewed, and queued for others. A user feels it as the
/// processor that a busy cluster takes from each host.
pub(crate) fn records(c: &mut Criterion) {
    let mut group = c.benchmark_group("record merged");
    for owners in [10, 100] {
        let mut observer = Observer::new();
        for number in 0..owners {
            observer.meet(&mut Owner::new(number, 100, 100));
        }
        let mut owner = Owner::new(0, 100, 100);
        let id = owner.agent.local().checks.keys().next().expect("it has checks").clone();
        let mut hours = 0;
        let mut change = || {
            hours += 1;
            let status = if hours % 2 == 0 { CheckStatus::Passing } else { CheckStatus::Critical };
            // Hours apart, so that nothing is held back for coming and going too often.
            let at = Instant::START + Duration::from_secs(3_600 * hours);
            owner.command(
                &LocalCommand::UpdateCheck { id: id.clone(), status, output: format!("{hours}") },
                at,
            );
            owner.rumour(&EntryKey::Check(id.clone()))
        };
        let from = addr(0);
        group.bench_function(format!("{} instances known", owners * 100), |b| {
            b.iter_batched(
                &mut change,
                |bytes| {
                    observer.agent.handle_datagram(from, &bytes, Instant::START);
                    drain(&mut observer.agent);
                },
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

/// The digests of all parts of the state, for a peer that found another root: each repair begins with it.
pub(crate) fn digests(c: &mut Criterion) {
    let mut group = c.benchmark_group("digests told");
    for members in [100, 1_000] {
        let (mut observer, _) = among(members);
        let ask = packet(&[Frame::Ask(1, Ask::Buckets)]);
        let mut now = Instant::START;
        group.bench_function(format!("{members} members"), |b| {
            b.iter(|| {
                // Answers have a rate that they keep to.
                now += Duration::from_micros(10);
                observer.handle_datagram(addr(members - 1), black_box(&ask), now);
                let answer = observer.poll_datagram().expect("a question is answered");
                observer.recycle(answer.bytes);
                drain(&mut observer);
            });
        });
    }
    group.finish();
}
