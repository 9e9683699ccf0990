//! What it costs to seal and to open a datagram: nanoseconds for one of 1,400 bytes and one of 100, by the
//! function itself and by an agent that is sent it.
//!
//! `cargo bench --bench seal`. Prints one line for each; the least of several rounds counts, since
//! whatever else the machine does only adds.

#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
#![allow(clippy::print_stdout, reason = "a benchmark prints")]

use shoal::core::{Agent, Config, Identity, Keyring};
use shoal::model::{Generation, Instant, KeyMaterial, LocalState, NodeId, NodeKey, NodeName};
use shoal::wire::frame::{Accusation, Charge, Epoch};
use shoal::wire::seal::{NONCE_BYTES, SEAL_BYTES, SealKey};
use shoal::wire::{ClusterHash, DatagramBuilder, Frame, datagram};
use std::collections::BTreeMap;
use std::hint::black_box;
use std::net::SocketAddr;

const ROUNDS: u32 = 9;
const EACH: u32 = 20_000;

/// The least time of one call, in nanoseconds, over several rounds.
fn least(mut call: impl FnMut(u32)) -> f64 {
    let mut best = f64::INFINITY;
    for round in 0..ROUNDS {
        let began = std::time::Instant::now();
        for n in 0..EACH {
            call(round * EACH + n);
        }
        best = best.min(began.elapsed().as_nanos() as f64 / f64::from(EACH));
    }
    best
}

fn nonce(n: u32) -> [u8; NONCE_BYTES] {
    let mut nonce = [0; NONCE_BYTES];
    nonce[..4].copy_from_slice(&n.to_le_bytes());
    nonce
}

/// A plain datagram that has `bytes` once it is sealed. What it says is of no use to anybody: an
/// accusation of a stranger by strangers.
fn plain(bytes: usize) -> Vec<u8> {
    let max = bytes - SEAL_BYTES;
    let mut found = Vec::new();
    for count in 1..400_u64 {
        let charge = Accusation {
            subject: NodeKey(1),
            epoch: Epoch::first_of(Generation(1)),
            incarnation: 0,
            accuser: NodeKey(count),
            refused: false,
        };
        let all: Vec<Accusation> = (0..count).map(|n| Accusation { accuser: NodeKey(n), ..charge }).collect();
        let mut datagram = DatagramBuilder::new(ClusterHash::of("bench"), max);
        if !datagram.push(&Frame::Accusations(Charge::group(&all))) {
            break;
        }
        found = datagram.finish();
    }
    // Frames of unknown kind are skipped: the last bytes are one.
    let rest = max - found.len();
    if rest >= 3 {
        found.extend([0xF0, u8::try_from(rest - 3).expect("an accuser is short"), 0]);
        found.resize(max, 0);
    }
    found
}

fn agent(key: &KeyMaterial) -> Agent {
    let identity = Identity {
        cluster: "bench".to_owned(),
        name: NodeName::new("n1").expect("valid"),
        id: NodeId::from_random(1),
        addr: SocketAddr::from(([10, 0, 0, 1], 1)),
        generation: Generation(1),
        tags: BTreeMap::new(),
    };
    let ring = Keyring::new(std::slice::from_ref(key)).expect("has a key");
    let seal = (ring, [1; 32]);
    Agent::sealed(identity, Config::default(), LocalState::default(), Vec::new(), seal, 1, Instant::START)
}

fn main() {
    let material = KeyMaterial::from_bytes([7; 32]);
    let key = SealKey::new(&material, "bench");
    let other = SealKey::new(&KeyMaterial::from_bytes([8; 32]), "bench");
    for bytes in [1_400, 100] {
        let plain = plain(bytes);
        let sealed = |key: &SealKey, n: u32| {
            let mut datagram = plain.clone();
            key.seal(nonce(n), &mut datagram);
            datagram
        };
        let copied = least(|_| {
            black_box(plain.clone());
        });
        let seal = least(|n| {
            black_box(sealed(&key, n));
        });
        let datagram = sealed(&key, 1);
        assert_eq!(datagram.len(), plain.len() + SEAL_BYTES);
        let mut body = Vec::new();
        let open = least(|_| {
            key.open(black_box(&datagram), &mut body).expect("its own seal");
        });
        let wrong = least(|_| {
            assert!(other.open(black_box(&datagram), &mut body).is_err());
        });
        println!(
            "{:5} bytes: sealed in {:.0} ns (and {copied:.0} ns to copy it), opened in {open:.0} ns, a broken seal \
             found in {wrong:.0} ns",
            datagram.len(),
            seal - copied
        );

        let from = SocketAddr::from(([10, 0, 0, 2], 2));
        let all: Vec<Vec<u8>> = (0..ROUNDS * EACH).map(|n| sealed(&key, n)).collect();
        let mut hearing = agent(&material);
        let heard = least(|n| hearing.handle_datagram(from, &all[n as usize], Instant::START));
        let again = least(|n| {
            hearing.handle_datagram(from, &all[(ROUNDS * EACH - 1 - n % 1_000) as usize], Instant::START)
        });
        let dropped = hearing.stats().dropped;
        assert_eq!(dropped.get("forged"), None, "{dropped:?}");
        let frames = datagram::open(&plain, ClusterHash::of("bench"), bytes).expect("is plain").count();
        println!(
            "{:5} bytes: an agent takes one in ({frames} frames) in {heard:.0} ns and drops a copy in {again:.0} ns \
             ({} copies)",
            datagram.len(),
            dropped.get("replayed").copied().unwrap_or(0)
        );
    }
}
