//! What those who ask by DNS wait for: the addresses of ten instances, over UDP.

use crate::client::{CONNECTIONS, Waits};
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Longer than anything takes: a lost datagram ends the bench.
const PATIENCE: Duration = Duration::from_secs(5);

/// `name` A IN, with room for an answer of 1,232 bytes.
fn query(name: &str) -> Vec<u8> {
    // Number 7; recursion wanted; one question, one record beside it.
    let mut bytes = vec![0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1];
    for label in name.split('.') {
        bytes.push(u8::try_from(label.len()).expect("labels are short"));
        bytes.extend(label.as_bytes());
    }
    bytes.extend([0, 0, 1, 0, 1]);
    // OPT: the root, type 41, class 1,232, nothing else.
    bytes.extend([0, 0, 41, 0x04, 0xd0, 0, 0, 0, 0, 0, 0]);
    bytes
}

fn socket_to(server: SocketAddr) -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    socket.connect(server).and_then(|()| socket.set_read_timeout(Some(PATIENCE))).expect("is set");
    socket
}

fn ask(socket: &UdpSocket, query: &[u8], wanted: usize) {
    let mut answer = [0; 1_500];
    socket.send(query).expect("is sent");
    let length = socket.recv(&mut answer).expect("an answer within 5 s");
    let answers = usize::from(u16::from_be_bytes([answer[6], answer[7]]));
    assert!(length > 12 && answers == wanted, "{answers} addresses, want {wanted}");
}

/// What one reader waits for, and answers in a second to sixteen that ask one after the other each.
pub(crate) fn dns(server: SocketAddr, name: &str, wanted: usize, seconds: usize) -> (Waits, f64) {
    let query = query(name);
    let socket = socket_to(server);
    let until = || Instant::now() + Duration::from_secs(seconds as u64);
    let end = until();
    let mut times = Vec::new();
    while Instant::now() < end {
        let start = Instant::now();
        ask(&socket, &query, wanted);
        times.push(start.elapsed());
    }
    let (answered, began, end) = (AtomicU64::new(0), Instant::now(), until());
    std::thread::scope(|scope| {
        for _ in 0..CONNECTIONS {
            scope.spawn(|| {
                let socket = socket_to(server);
                while Instant::now() < end {
                    ask(&socket, &query, wanted);
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    (Waits::of(times), answered.load(Ordering::Relaxed) as f64 / began.elapsed().as_secs_f64())
}
