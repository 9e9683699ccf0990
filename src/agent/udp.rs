//! The gossip socket.
//!
//! Owns one UDP socket and its error queue (Linux `IP_RECVERR`), through which the kernel tells
//! that nobody listens at an address. Never blocks and never fails for good: a datagram that
//! cannot be sent is lost like any other, and the protocol lives with loss.

use super::error::StartError;
use nix::cmsg_space;
use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, SockaddrIn, SockaddrIn6, SockaddrStorage, recvmsg, setsockopt, sockopt,
};
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use std::collections::{BTreeSet, VecDeque};
use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd};
use tokio::io::Interest;
use tokio::net::UdpSocket;

/// Asked of the kernel for each direction, which may grant less. Bursts of a large cluster and the
/// error queue share it.
pub(super) const BUFFER_BYTES: usize = 4 << 20;
/// Reports taken from the error queue at once, and kept until the loop asks for them.
const REPORTS_MAX: usize = 256;

/// Counters of what the socket could not do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct SocketStats {
    pub(super) sends_failed: u64,
    pub(super) sends_retried: u64,
    pub(super) receives_failed: u64,
    pub(super) unreachable_reports: u64,
}

/// Binds the gossip address. An IPv6 address takes IPv6 datagrams only, so that a peer has one
/// address and not two.
pub(super) fn bind(addr: SocketAddr) -> Result<std::net::UdpSocket, StartError> {
    open(addr).map_err(|error| {
        let taken = error.kind() == io::ErrorKind::AddrInUse;
        if taken { StartError::GossipInUse(addr) } else { StartError::Gossip { addr, error } }
    })
}

fn open(addr: SocketAddr) -> io::Result<std::net::UdpSocket> {
    let socket = Socket::new(Domain::for_address(addr), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    if addr.is_ipv6() {
        socket.set_only_v6(true)?;
        setsockopt(&socket, sockopt::Ipv6RecvErr, &true)?;
    } else {
        setsockopt(&socket, sockopt::Ipv4RecvErr, &true)?;
    }
    // Smaller buffers only mean more loss under bursts.
    for granted in [socket.set_recv_buffer_size(BUFFER_BYTES), socket.set_send_buffer_size(BUFFER_BYTES)] {
        if let Err(error) = granted {
            tracing::debug!(%error, "the system keeps its own size of socket buffers");
        }
    }
    socket.bind(&addr.into())?;
    Ok(socket.into())
}

/// The bound socket, driven by the loop.
#[derive(Debug)]
pub(super) struct GossipSocket {
    socket: UdpSocket,
    unreachable: VecDeque<SocketAddr>,
    stats: SocketStats,
}

impl GossipSocket {
    /// Takes over a bound socket. Only inside a runtime.
    pub(super) fn new(socket: std::net::UdpSocket) -> io::Result<Self> {
        let socket = UdpSocket::from_std(socket)?;
        Ok(Self { socket, unreachable: VecDeque::new(), stats: SocketStats::default() })
    }

    pub(super) const fn stats(&self) -> SocketStats {
        self.stats
    }

    /// Where it receives.
    pub(super) fn addr(&self) -> Option<SocketAddr> {
        self.socket.local_addr().ok()
    }

    /// Its number in the kernel's table of sockets.
    pub(super) fn inode(&self) -> Option<u64> {
        nix::sys::stat::fstat(self.socket.as_fd()).ok().map(|about| about.st_ino)
    }

    /// Bytes of the buffers for receiving and sending, as the kernel counts them.
    pub(super) fn buffers(&self) -> (Option<u64>, Option<u64>) {
        let socket = SockRef::from(&self.socket);
        let bytes = |size: io::Result<usize>| size.ok().map(|size| size as u64);
        (bytes(socket.recv_buffer_size()), bytes(socket.send_buffer_size()))
    }

    /// Waits until there is something to receive or a report of an error.
    pub(super) async fn ready(&self) {
        if let Err(error) = self.socket.ready(Interest::READABLE | Interest::ERROR).await {
            // Only a runtime that is ending says this; the loop is told by other means.
            tracing::debug!(%error, "the gossip socket has no driver any more");
            std::future::pending::<()>().await;
        }
    }

    /// The next datagram, if one waits.
    pub(super) fn receive(&mut self, buffer: &mut [u8]) -> Option<(usize, SocketAddr)> {
        // An error that belongs to something sent earlier is told here as well, once.
        for _ in 0..REPORTS_MAX {
            match self.socket.try_recv_from(buffer) {
                Ok(received) => return Some(received),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return None,
                Err(error) => {
                    self.stats.receives_failed += 1;
                    tracing::trace!(%error, "receiving failed");
                }
            }
        }
        None
    }

    /// Sends, or loses, one datagram.
    pub(super) fn send(&mut self, to: SocketAddr, bytes: &[u8]) {
        // Straight to the system: whether the runtime thinks the socket writable does not matter,
        // a full buffer is loss either way.
        let try_send = |socket: &UdpSocket| SockRef::from(socket).send_to(bytes, &to.into());
        let Err(error) = try_send(&self.socket) else { return };
        if error.kind() == io::ErrorKind::WouldBlock {
            self.stats.sends_failed += 1;
            return;
        }
        // The error may be that of an earlier datagram to somebody else; then this one was not
        // sent, and nothing is wrong with it.
        self.stats.sends_retried += 1;
        self.take_reports();
        if let Err(error) = try_send(&self.socket) {
            self.stats.sends_failed += 1;
            tracing::debug!(%to, bytes = bytes.len(), %error, "a datagram could not be sent");
        }
    }

    /// An address at which nobody listens, as the network reported since the last call.
    pub(super) fn next_unreachable(&mut self) -> Option<SocketAddr> {
        self.unreachable.pop_front()
    }

    /// Empties the error queue.
    pub(super) fn take_reports(&mut self) {
        let mut reported = BTreeSet::new();
        for _ in 0..REPORTS_MAX {
            // The runtime must see the queue empty, or it would report it ready for ever.
            match self.socket.try_io(Interest::ERROR, || read_report(&self.socket)) {
                Ok(report) => reported.extend(report),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => match read_report(&self.socket) {
                    // Not ready in the runtime's eyes, as between a send and the next turn.
                    Ok(report) => reported.extend(report),
                    Err(_) => break,
                },
                Err(error) => {
                    tracing::debug!(%error, "the error queue cannot be read");
                    break;
                }
            }
        }
        self.stats.unreachable_reports += reported.len() as u64;
        let room = REPORTS_MAX.saturating_sub(self.unreachable.len());
        self.unreachable.extend(reported.into_iter().take(room));
    }
}

/// Takes one entry from the error queue: the address it is about, if it says that nobody is there.
fn read_report(socket: &UdpSocket) -> io::Result<Option<SocketAddr>> {
    // The datagram that failed comes along; its bytes are of no interest.
    let mut bytes = [0_u8; 64];
    let mut slices = [IoSliceMut::new(&mut bytes)];
    let mut control =
        cmsg_space!(libc::sock_extended_err, libc::sockaddr_in6, libc::in6_pktinfo, libc::timespec);
    let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
    let message = recvmsg::<SockaddrStorage>(socket.as_raw_fd(), &mut slices, Some(&mut control), flags)
        .map_err(io::Error::from)?;
    // Errors of this host's own making (a datagram too large) come the same way.
    let from_network = |origin: u8| matches!(origin, libc::SO_EE_ORIGIN_ICMP | libc::SO_EE_ORIGIN_ICMP6);
    let gone = message.cmsgs()?.any(|c| {
        let (ControlMessageOwned::Ipv4RecvErr(error, _) | ControlMessageOwned::Ipv6RecvErr(error, _)) = c
        else {
            return false;
        };
        from_network(error.ee_origin) && nobody_there(error.ee_errno)
    });
    let to = message.address.and_then(|a| {
        let v4 = || a.as_sockaddr_in().map(|a: &SockaddrIn| SocketAddr::V4((*a).into()));
        let v6 = || a.as_sockaddr_in6().map(|a: &SockaddrIn6| SocketAddr::V6((*a).into()));
        v4().or_else(v6)
    });
    Ok(to.filter(|_| gone))
}

/// A closed port, or a host that does not answer at all. A network without a route says nothing
/// about the peer.
fn nobody_there(errno: u32) -> bool {
    matches!(Errno::from_raw(errno.cast_signed()), Errno::ECONNREFUSED | Errno::EHOSTUNREACH)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn socket(addr: &str) -> (GossipSocket, SocketAddr) {
        let socket = bind(addr.parse().expect("valid")).expect("binds");
        let addr = socket.local_addr().expect("is bound");
        (GossipSocket::new(socket).expect("is driven"), addr)
    }

    async fn within<T>(future: impl Future<Output = T>) -> T {
        tokio::time::timeout(Duration::from_secs(10), future).await.expect("in time")
    }

    async fn reports_a_closed_port_and_goes_on(host: &str) {
        let (mut a, _) = socket(host);
        let (mut b, b_addr) = socket(host);
        let (c, closed) = socket(host);
        drop(c);
        a.send(closed, b"to nobody");
        within(async {
            loop {
                a.ready().await;
                a.take_reports();
                assert_eq!(a.receive(&mut [0; 64]), None);
                if let Some(addr) = a.next_unreachable() {
                    assert_eq!(addr, closed);
                    return;
                }
            }
        })
        .await;
        // With reports waiting, healthy peers are still reached.
        for _ in 0..3 {
            a.send(closed, b"to nobody");
            a.send(b_addr, b"hello");
        }
        let mut buffer = [0; 64];
        for _ in 0..3 {
            within(async {
                loop {
                    b.ready().await;
                    if let Some((n, _)) = b.receive(&mut buffer) {
                        assert_eq!(&buffer[..n], b"hello");
                        return;
                    }
                }
            })
            .await;
        }
        assert_eq!(a.stats().sends_failed, 0);
    }

    #[tokio::test]
    async fn a_closed_port_is_reported_with_its_address() {
        reports_a_closed_port_and_goes_on("127.0.0.1:0").await;
    }

    #[tokio::test]
    async fn a_closed_port_is_reported_with_its_ipv6_address() {
        if bind("[::1]:0".parse().expect("valid")).is_ok() {
            reports_a_closed_port_and_goes_on("[::1]:0").await;
        }
    }

    #[tokio::test]
    async fn a_datagram_that_is_too_large_is_lost_and_the_next_one_is_sent() {
        let (mut a, _) = socket("127.0.0.1:0");
        let (mut b, b_addr) = socket("127.0.0.1:0");
        a.send(b_addr, &vec![0; 70_000]);
        assert_eq!(a.stats().sends_failed, 1);
        a.send(b_addr, b"hello");
        within(async {
            while b.receive(&mut [0; 64]).is_none() {
                b.ready().await;
            }
        })
        .await;
        assert_eq!(a.next_unreachable(), None);
    }

    #[test]
    fn a_port_in_use_is_named() {
        let first = bind("127.0.0.1:0".parse().expect("valid")).expect("binds");
        let addr = first.local_addr().expect("is bound");
        let error = bind(addr).expect_err("is taken").to_string();
        assert!(error.contains(&format!("gossip address {addr} is in use")), "{error}");
    }

    #[tokio::test]
    async fn so_many_closed_ports_wait_to_be_told() {
        let (mut a, _) = socket("127.0.0.1:0");
        let (_, closed) = socket("127.0.0.1:0");
        for n in 0..2_000_u16 {
            let [high, low] = n.to_be_bytes();
            a.send(SocketAddr::from(([127, 1, high, low], closed.port())), b"x");
            a.take_reports();
        }
        assert!((1..=REPORTS_MAX).contains(&a.unreachable.len()), "{}", a.unreachable.len());
    }
}
