//! The sockets of the DNS server.
//!
//! Owns the listeners for UDP and TCP, the questions to recursors, and the end of all of them. What
//! is answered is decided by [`crate::dns`], from the view; nothing here waits for the protocol's
//! loop, and the loop never waits for anything here.
//!
//! Everything that clients can make grow is bounded: [`tcp::CONNECTIONS_MAX`] connections, each with
//! [`tcp::IN_FLIGHT_MAX`] questions under way, and [`SLOW_MAX`] questions that wait for a recursor or
//! for names by address.

mod forward;
mod reverse;
mod slow;
mod tcp;
mod udp;

use super::error::StartError;
use crate::dns::{Metrics, Options, Responder};
use crate::view::ViewReader;
use reverse::Names;
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Questions that wait for something else than memory, of all clients together.
const SLOW_MAX: usize = 512;
/// Tasks that receive datagrams: as many as the API's runtime has threads.
const UDP_TASKS: usize = 2;
/// Asked of the kernel for datagrams that wait, in each direction.
const BUFFER_BYTES: usize = 4 << 20;
/// How often a port is tried that is free for UDP and not for TCP, when the system may choose.
const PORT_TRIES: usize = 16;
/// How long questions that are being answered may take when the agent ends.
const GRACE: Duration = Duration::from_millis(100);

/// Both sockets at one address.
#[derive(Debug)]
pub(super) struct Bound {
    udp: std::net::UdpSocket,
    tcp: std::net::TcpListener,
}

impl Bound {
    /// Where they are, with the real port.
    pub(super) fn addr(&self) -> io::Result<SocketAddr> {
        self.udp.local_addr()
    }
}

/// Binds the DNS address, for UDP and TCP.
pub(super) fn bind(addr: SocketAddr) -> Result<Bound, StartError> {
    let mut tries = if addr.port() == 0 { PORT_TRIES } else { 1 };
    loop {
        tries -= 1;
        match open(addr) {
            Ok(bound) => return Ok(bound),
            Err(error) if tries > 0 && error.kind() == io::ErrorKind::AddrInUse => {}
            Err(error) => return Err(StartError::Dns { addr, error }),
        }
    }
}

fn open(addr: SocketAddr) -> io::Result<Bound> {
    let udp = Socket::new(Domain::for_address(addr), Type::DGRAM, Some(Protocol::UDP))?;
    udp.set_nonblocking(true)?;
    if addr.is_ipv6() {
        udp.set_only_v6(true)?;
    }
    // Smaller buffers only mean more loss under bursts.
    for granted in [udp.set_recv_buffer_size(BUFFER_BYTES), udp.set_send_buffer_size(BUFFER_BYTES)] {
        if let Err(error) = granted {
            tracing::debug!(%error, "the system keeps its own size of socket buffers");
        }
    }
    udp.bind(&addr.into())?;
    let udp: std::net::UdpSocket = udp.into();
    let tcp = std::net::TcpListener::bind(udp.local_addr()?)?;
    tcp.set_nonblocking(true)?;
    Ok(Bound { udp, tcp })
}

/// What all that answer share.
struct Shared {
    view: ViewReader,
    options: Arc<Options>,
    datacenter: String,
    metrics: Arc<Metrics>,
    names: Names,
    /// For answers other than to datagrams; held for microseconds.
    responder: Mutex<Responder>,
    slow: Arc<Semaphore>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Shared {
    fn responder(&self) -> MutexGuard<'_, Responder> {
        // What it keeps is made anew if it is not right.
        self.responder.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// DNS while it is served.
#[derive(Debug)]
pub(super) struct Server {
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Server {
    /// Serves at `bound`, in tasks of `runtime`.
    pub(super) fn start(
        runtime: &Handle,
        bound: Bound,
        options: Options,
        view: ViewReader,
        metrics: Arc<Metrics>,
    ) -> io::Result<Self> {
        let _inside = runtime.enter();
        let options = Arc::new(options);
        let datacenter = view.load().datacenter().to_owned();
        let shared = Arc::new(Shared {
            view,
            responder: Mutex::new(Responder::new(Arc::clone(&options), &datacenter)),
            options,
            datacenter,
            metrics,
            names: Names::default(),
            slow: Arc::new(Semaphore::new(SLOW_MAX)),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
        });
        let server = Self { stop: shared.stop.clone(), tasks: shared.tasks.clone() };
        let udp = Arc::new(tokio::net::UdpSocket::from_std(bound.udp)?);
        for _ in 0..UDP_TASKS {
            server.tasks.spawn_on(udp::serve(Arc::clone(&shared), Arc::clone(&udp)), runtime);
        }
        let tcp = tokio::net::TcpListener::from_std(bound.tcp)?;
        server.tasks.spawn_on(tcp::serve(shared, tcp), runtime);
        Ok(server)
    }

    /// Takes no more questions and gives those that are being answered a moment.
    pub(super) async fn stop(&self) {
        self.stop.cancel();
        self.tasks.close();
        if tokio::time::timeout(GRACE, self.tasks.wait()).await.is_err() {
            tracing::debug!("some questions had not been answered when the agent ended");
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
