//! Datagrams: built, read, sealed, opened.

use crate::owners::Owner;
use criterion::{Criterion, Throughput};
use shoal::model::{Generation, KeyMaterial, NodeKey};
use shoal::wire::frame::{Digest, Epoch, SwimFrame, SwimMessage};
use shoal::wire::seal::{NONCE_BYTES, SealKey};
use shoal::wire::{ClusterHash, DatagramBuilder, Frame, datagram};
use std::hint::black_box;

const BYTES: usize = 1_400;

fn cluster() -> ClusterHash {
    ClusterHash::of("bench")
}

fn ping() -> Vec<Frame> {
    let epoch = Epoch::first_of(Generation(1_700_000_000));
    let swim = SwimFrame {
        from: NodeKey(7),
        from_epoch: epoch,
        from_incarnation: 3,
        to: NodeKey(8),
        to_epoch: epoch,
        from_addr: None,
        message: SwimMessage::Ping(9),
    };
    vec![Frame::Swim(swim), Frame::Root(Digest(5))]
}

/// As many records as fit, of an owner with checks.
fn records() -> Vec<Frame> {
    let mut owner = Owner::new(0, 20, 100);
    let keys: Vec<_> = owner.agent.entry_keys(owner.key).collect();
    let mut frames = Vec::new();
    let mut datagram = DatagramBuilder::new(cluster(), BYTES);
    for key in keys {
        let bytes = owner.rumour(&key);
        for frame in datagram::open(&bytes, cluster(), BYTES).expect("its own") {
            let frame = frame.expect("its own");
            if datagram.push(&frame) {
                frames.push(frame);
            }
        }
    }
    frames
}

fn build(frames: &[Frame], buffer: Vec<u8>) -> Vec<u8> {
    let mut datagram = DatagramBuilder::reusing(buffer, cluster(), BYTES);
    for frame in frames {
        datagram.push(frame);
    }
    datagram.finish()
}

/// Building and reading a ping is what an idle agent does twice a second each; a datagram full of records is what
/// it does when a deployment touches everything, up to the cap of a megabyte a second: 750 of them.
pub(crate) fn datagrams(c: &mut Criterion) {
    let mut group = c.benchmark_group("datagram");
    for (name, frames) in [("ping", ping()), ("records", records())] {
        let mut buffer = build(&frames, Vec::new());
        group.throughput(Throughput::Bytes(buffer.len() as u64));
        let bytes = buffer.clone();
        group.bench_function(format!("encode {name}"), |b| {
            b.iter(|| buffer = build(black_box(&frames), std::mem::take(&mut buffer)));
        });
        group.bench_function(format!("decode {name}"), |b| {
            b.iter(|| datagram::open(black_box(&bytes), cluster(), BYTES).expect("its own").count());
        });
    }
    group.finish();
}

/// What keys cost: each datagram is sealed once and opened once; one with a broken seal is only opened.
pub(crate) fn seals(c: &mut Criterion) {
    let key = SealKey::new(&KeyMaterial::from_bytes([7; 32]), "bench");
    let mut group = c.benchmark_group("seal");
    for bytes in [100, BYTES] {
        let plain = vec![0; bytes - shoal::wire::seal::SEAL_BYTES];
        let mut datagram = plain.clone();
        let mut nonce = [0_u8; NONCE_BYTES];
        group.throughput(Throughput::Bytes(bytes as u64));
        group.bench_function(format!("seal {bytes}"), |b| {
            b.iter(|| {
                nonce[0] = nonce[0].wrapping_add(1);
                datagram.clear();
                datagram.extend_from_slice(&plain);
                key.seal(nonce, &mut datagram);
            });
        });
        let mut body = Vec::new();
        group.bench_function(format!("open {bytes}"), |b| {
            b.iter(|| key.open(black_box(&datagram), &mut body).expect("its own seal"));
        });
        datagram[50] ^= 1;
        group.bench_function(format!("refuse {bytes}"), |b| {
            b.iter(|| key.open(black_box(&datagram), &mut body).expect_err("it was changed"));
        });
    }
    group.finish();
}
