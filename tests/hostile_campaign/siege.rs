//! What strangers do, each until told to stop. None has more than a recording of the cluster, but for
//! those who flood it with wishes to join: they have its key.

use rand::rngs::SmallRng;
use rand::{Rng, RngExt, SeedableRng};
use shoal::model::{Generation, KeyMaterial, NodeId, NodeName};
use shoal::wire::frame::{Epoch, JoinRequest, Liveness, MemberUpdate, SwimFrame, SwimMessage};
use shoal::wire::seal::{NONCE_BYTES, SEAL_BYTES, SealKey};
use shoal::wire::{ClusterHash, DatagramBuilder, Frame};
use std::io::{Read, Write};
use std::net::{SocketAddr, UdpSocket};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Between two datagrams of one stranger: the point is what they say, not how many a machine that runs
/// other tests can take.
const PACE: Duration = Duration::from_millis(2);
/// Where the id of the key stands in a datagram.
const KEY_ID: std::ops::Range<usize> = 3..7;

/// Sends datagrams to all targets: with what was recorded and the cluster's present key.
pub(crate) type Thrower = fn(&[SocketAddr], &[Vec<u8>], &KeyMaterial, &AtomicBool);
/// Calls the API of all agents.
pub(crate) type Caller = fn(&[PathBuf], &AtomicBool);

pub(crate) const DATAGRAMS: [Thrower; 5] = [replay, mutate, lie_without_the_key, send_nonsense, wish_to_join];
pub(crate) const CALLERS: [Caller; 3] = [call_slowly, call_badly, wait_and_never_read];

/// Ends the siege when the one who looks on is done, or has seen enough.
pub(crate) struct StopAtEnd<'a>(pub(crate) &'a AtomicBool);

impl Drop for StopAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A socket of one of this host's many addresses.
fn stranger(n: u8) -> UdpSocket {
    UdpSocket::bind(SocketAddr::from(([127, 0, 0, n.max(2)], 0))).expect("all of 127.0.0.0/8 is this host")
}

fn throw(
    targets: &[SocketAddr],
    stop: &AtomicBool,
    seed: u64,
    mut next: impl FnMut(&mut SmallRng) -> Vec<u8>,
) {
    let mut random = SmallRng::seed_from_u64(seed);
    let sockets: Vec<UdpSocket> = (2..10).map(stranger).collect();
    while !stop.load(Ordering::Relaxed) {
        let (bytes, target) = (next(&mut random), targets[random.random_range(0..targets.len())]);
        let socket = &sockets[random.random_range(0..sockets.len())];
        // A full buffer is no news.
        socket.send_to(&bytes, target).ok();
        std::thread::sleep(PACE);
    }
}

/// All that was said before the keys were changed, and of a failure, a departure and a deletion.
fn replay(targets: &[SocketAddr], recorded: &[Vec<u8>], _: &KeyMaterial, stop: &AtomicBool) {
    throw(targets, stop, 1, |random| recorded[random.random_range(0..recorded.len())].clone());
}

/// The same, cut, lengthened and changed.
fn mutate(targets: &[SocketAddr], recorded: &[Vec<u8>], _: &KeyMaterial, stop: &AtomicBool) {
    throw(targets, stop, 2, |random| {
        let mut bytes = recorded[random.random_range(0..recorded.len())].clone();
        match random.random_range(0..8) {
            0 => bytes.truncate(random.random_range(0..bytes.len())),
            1 => bytes.extend((0..random.random_range(1..200)).map(|_| random.random::<u8>())),
            2 => bytes.resize(random.random_range(1_401..9_000), 0),
            _ => {
                for _ in 0..random.random_range(1..5) {
                    let at = random.random_range(0..bytes.len());
                    bytes[at] ^= random.random_range(1..=255);
                }
            }
        }
        bytes
    });
}

/// Lies about real members, in the name of one of them: they failed, they left, in incarnations and lives
/// that nothing can follow.
fn lies(random: &mut SmallRng) -> Vec<Frame> {
    let key = |n: usize| NodeName::new(format!("n{n}")).expect("is a name").key();
    let (from, about) = (random.random_range(0..4), random.random_range(0..4));
    let generation =
        if random.random() { Generation::MAX } else { Generation(random.random_range(0..1 << 47)) };
    let epoch = Epoch::first_of(generation);
    let state =
        [Liveness::Alive, Liveness::Suspect, Liveness::Down, Liveness::Left][random.random_range(0..4)];
    let addr = SocketAddr::from(([127, 0, 0, 1], 9));
    let swim = SwimFrame {
        from: key(from),
        from_epoch: epoch,
        from_incarnation: u16::MAX,
        to: key(about),
        to_epoch: epoch,
        from_addr: Some(addr),
        message: if random.random() { SwimMessage::Ping(1) } else { SwimMessage::TurnUndead },
    };
    let update = MemberUpdate { key: key(about), epoch, incarnation: u16::MAX, state, addr };
    vec![Frame::Swim(swim), Frame::Members(vec![update]), Frame::DownNotice(key(about), epoch)]
}

fn datagram(cluster: &str, frames: &[Frame]) -> Vec<u8> {
    let mut datagram = DatagramBuilder::new(ClusterHash::of(cluster), 1_400 - SEAL_BYTES);
    for frame in frames {
        datagram.push(frame);
    }
    datagram.finish()
}

fn seal(key: &KeyMaterial, cluster: &str, random: &mut SmallRng, mut bytes: Vec<u8>) -> Vec<u8> {
    let mut nonce = [0; NONCE_BYTES];
    random.fill_bytes(&mut nonce);
    SealKey::new(key, cluster).seal(nonce, &mut bytes);
    bytes
}

/// Plain, sealed with another key under its own or the cluster's key's name, and for another cluster.
fn lie_without_the_key(targets: &[SocketAddr], _: &[Vec<u8>], key: &KeyMaterial, stop: &AtomicBool) {
    let another = KeyMaterial::from_bytes([99; 32]);
    throw(targets, stop, 3, |random| {
        let frames = lies(random);
        let plain = datagram("shoal", &frames);
        match random.random_range(0..5) {
            0 => plain,
            1 => datagram("another", &frames),
            2 => seal(key, "another", random, datagram("another", &frames)),
            3 => seal(&another, "shoal", random, plain),
            _ => {
                let mut bytes = seal(&another, "shoal", random, plain);
                bytes[KEY_ID].copy_from_slice(&key.id().0.to_le_bytes());
                bytes
            }
        }
    });
}

/// Bytes without a meaning, and lengths and counts that nothing could hold.
fn send_nonsense(targets: &[SocketAddr], _: &[Vec<u8>], _: &KeyMaterial, stop: &AtomicBool) {
    throw(targets, stop, 4, |random| {
        let mut bytes = if random.random() { datagram("shoal", &[]) } else { Vec::new() };
        if random.random() {
            // A frame of any kind that says it has two thousand million elements (bincode's varint).
            let claim = [252, 0, 0, 0, 0x80];
            bytes.extend([random.random_range(0..30), 5, 0]);
            bytes.extend(claim);
        } else {
            let at = bytes.len();
            bytes.resize(at + random.random_range(0..1_500), 0);
            random.fill_bytes(&mut bytes[at..]);
        }
        bytes
    });
}

/// From many addresses, none of which answers what it is asked.
fn wish_to_join(targets: &[SocketAddr], _: &[Vec<u8>], key: &KeyMaterial, stop: &AtomicBool) {
    let mut random = SmallRng::seed_from_u64(5);
    for n in 0_u32.. {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let socket = stranger(u8::try_from(2 + n % 250).expect("small"));
        for target in targets {
            let wish = JoinRequest {
                name: NodeName::new(format!("ghost{}", n % 5_000)).expect("is a name"),
                id: NodeId::from_random(u128::from(n)),
                epoch: Epoch::first_of(Generation(1 << 40)),
                incarnation: 0,
                addr: socket.local_addr().expect("is bound"),
                name_checked: true,
            };
            let bytes = seal(key, "shoal", &mut random, datagram("shoal", &[Frame::Join(wish)]));
            socket.send_to(&bytes, target).ok();
        }
        std::thread::sleep(PACE);
    }
}

/// A connection on which nothing blocks for long.
fn connect(path: &PathBuf) -> Option<UnixStream> {
    let stream = UnixStream::connect(path).ok()?;
    stream.set_read_timeout(Some(Duration::from_millis(200))).ok()?;
    stream.set_write_timeout(Some(Duration::from_millis(200))).ok()?;
    Some(stream)
}

/// Requests that never become whole, a byte at a time.
fn call_slowly(sockets: &[PathBuf], stop: &AtomicBool) {
    let paths = sockets.iter().cycle().take(40);
    let mut lines: Vec<UnixStream> = paths.filter_map(connect).collect();
    for line in &mut lines {
        line.write_all(b"PUT /v1/agent/service/register HTTP/1.1\r\nhost: localhost\r\nx-slow: ").ok();
    }
    while !stop.load(Ordering::Relaxed) {
        for line in &mut lines {
            line.write_all(b"a").ok();
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// What cannot be right, again and again: every line of it is answered or closed.
fn call_badly(sockets: &[PathBuf], stop: &AtomicBool) {
    let nested = "[".repeat(100_000);
    let filter = "(".repeat(4_000);
    let put = |length: u64, body: &str| {
        format!(
            "PUT /v1/agent/service/register HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
             content-length: {length}\r\n\r\n{body}"
        )
    };
    let bad = [
        put(1 << 31, "{"),
        put(u64::MAX, ""),
        put(nested.len() as u64, &nested),
        format!(
            "GET /v1/catalog/services?filter={filter} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
        ),
        format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(200_000)),
        "\u{16}\u{3}\u{1}\0\u{5}no HTTP at all\r\n\r\n".to_owned(),
        "GET /v1/agent/self HTTP/1.1\r\nhost: localhost\r\n\r\n".repeat(200),
    ];
    for (path, text) in sockets.iter().cycle().zip(bad.iter().cycle()) {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        if let Some(mut line) = connect(path) {
            line.write_all(text.as_bytes()).ok();
            // The beginning of an answer, the end of the line, or nothing for a while.
            line.read_exact(&mut [0; 16]).ok();
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Blocked queries and streams that nobody reads, and that are dropped after a while.
fn wait_and_never_read(sockets: &[PathBuf], stop: &AtomicBool) {
    let targets =
        ["/v1/health/service/web?index=99999999999999999&wait=60s", "/v1/shoal/events", "/v1/agent/monitor"];
    while !stop.load(Ordering::Relaxed) {
        let mut waiting = Vec::new();
        for (path, target) in sockets.iter().cycle().zip(targets.iter().cycle()).take(60) {
            if let Some(mut line) = connect(path) {
                write!(line, "GET {target} HTTP/1.1\r\nhost: localhost\r\n\r\n").ok();
                waiting.push(line);
            }
        }
        std::thread::sleep(Duration::from_millis(300));
    }
}
