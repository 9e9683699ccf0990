//! What is thrown, and the throwing.

use rand::rngs::SmallRng;
use rand::{Rng as _, RngExt as _, SeedableRng as _};
use shoal::model::KeyMaterial;
use shoal::wire::seal::{NONCE_BYTES, SealKey};
use shoal::wire::{ClusterHash, DatagramBuilder};
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Datagrams that are made beforehand and sent in turn.
const READY: usize = 4_096;
/// Datagrams that are sent before the clock is looked at.
const BATCH: u32 = 50;
/// Where the id of the key stands in a datagram.
const KEY_ID: std::ops::Range<usize> = 3..7;

/// Bytes that mean nothing, a quarter of them behind a header of another cluster.
pub(crate) fn noise() -> Vec<Vec<u8>> {
    let mut random = SmallRng::seed_from_u64(1);
    let one = |n: usize| {
        let mut bytes = if n.is_multiple_of(4) {
            DatagramBuilder::new(ClusterHash::of("another"), 1_400).finish()
        } else {
            Vec::new()
        };
        let more = random.random_range(1..1_370);
        let at = bytes.len();
        bytes.resize(at + more, 0);
        random.fill_bytes(&mut bytes[at..]);
        bytes
    };
    (0..READY).map(one).collect()
}

/// Well sealed, of this cluster, with a key that no agent has: half under its own name, half under that
/// of the cluster's key, which has to be tried.
pub(crate) fn wrong_key(named: Option<&KeyMaterial>) -> Vec<Vec<u8>> {
    let mut random = SmallRng::seed_from_u64(2);
    let key = SealKey::new(&KeyMaterial::from_bytes([99; 32]), "shoal");
    let one = |n: usize| {
        let mut bytes = DatagramBuilder::new(ClusterHash::of("shoal"), 1_400).finish();
        let at = bytes.len();
        bytes.resize(at + random.random_range(1..1_350), 0);
        random.fill_bytes(&mut bytes[at..]);
        let mut nonce = [0; NONCE_BYTES];
        random.fill_bytes(&mut nonce);
        key.seal(nonce, &mut bytes);
        if let Some(named) = named.filter(|_| n.is_multiple_of(2)) {
            bytes[KEY_ID].copy_from_slice(&named.id().0.to_le_bytes());
        }
        bytes
    };
    (0..READY).map(one).collect()
}

/// Sends `ready` in turn at `rate` from a socket of its own until told to stop.
pub(crate) fn throw(target: SocketAddr, rate: u64, ready: &[Vec<u8>], stop: &AtomicBool, sent: &AtomicU64) {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("binds");
    let (started, mut count) = (Instant::now(), 0_u64);
    let mut next = ready.iter().cycle();
    while !stop.load(Ordering::Relaxed) {
        for bytes in next.by_ref().take(BATCH as usize) {
            // A full buffer of our own is the same as one of the target's.
            socket.send_to(bytes, target).ok();
        }
        count += u64::from(BATCH);
        sent.store(count, Ordering::Relaxed);
        let due = Duration::from_secs_f64(count as f64 / rate as f64);
        if let Some(early) = due.checked_sub(started.elapsed()) {
            std::thread::sleep(early);
        }
    }
}
