//! Ports of loopback that stay free until they are wanted, again and again.

use std::net::{TcpListener, UdpSocket};
use std::sync::atomic::{AtomicU16, Ordering};

/// Below what Linux, by default, gives to sockets that ask for any port (32768 and up): nothing takes
/// a port while its agent is dead and comes back.
const PORTS: std::ops::Range<u16> = 12_000..32_000;

/// A port that nobody has, for UDP and TCP. None is given twice until all were.
pub(crate) fn free() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let size = PORTS.end - PORTS.start;
    // Two that measure at one time begin at different places.
    let start = (std::process::id() % u32::from(size)) as u16;
    let mut candidates = (0..size).map(|_| {
        let turn = NEXT.fetch_add(1, Ordering::Relaxed) % size;
        PORTS.start + ((u32::from(start) + u32::from(turn)) % u32::from(size)) as u16
    });
    candidates.find(|&port| is_free(port)).expect("some port of loopback is free")
}

fn is_free(port: u16) -> bool {
    UdpSocket::bind(("127.0.0.1", port)).is_ok() && TcpListener::bind(("127.0.0.1", port)).is_ok()
}
