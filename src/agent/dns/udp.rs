//! Questions in datagrams.
//!
//! Each task has what it needs to itself: a buffer, and a responder with what that worked out. What
//! can be answered from memory is answered in place, a batch with one view at a time; the rest
//! becomes a task.

use super::super::clock;
use super::{Shared, slow};
use crate::dns::{Asked, Dropped, Reply, Responder, Transport};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use socket2::SockRef;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::UdpSocket;

/// Datagrams that are answered before other tasks get their turn.
const BATCH_MAX: usize = 64;
/// Longer questions do not exist.
const QUERY_BYTES_MAX: usize = 4_096;

/// Answers until the agent ends.
pub(super) async fn serve(shared: Arc<Shared>, socket: Arc<UdpSocket>) {
    let mut responder = Responder::new(Arc::clone(&shared.options), &shared.datacenter);
    let mut rng = SmallRng::seed_from_u64(rand::random());
    let (mut buffer, mut out) = (vec![0; QUERY_BYTES_MAX], Vec::with_capacity(QUERY_BYTES_MAX));
    loop {
        let ready = tokio::select! {
            () = shared.stop.cancelled() => return,
            ready = socket.readable() => ready,
        };
        if let Err(error) = ready {
            // Only a runtime that is ending says this.
            tracing::debug!(%error, "the DNS socket has no driver any more");
            return;
        }
        let view = shared.view.load();
        let unix_seconds = (clock::unix_millis() / 1_000) as u32;
        for _ in 0..BATCH_MAX {
            let (length, from) = match socket.try_recv_from(&mut buffer) {
                Ok(received) => received,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => {
                    tracing::trace!(%error, "receiving a question failed");
                    continue;
                }
            };
            let asked = Asked {
                message: &buffer[..length],
                transport: Transport::Udp,
                view: &view,
                reverse: None,
                resolved: None,
                unix_seconds,
                seed: rng.random(),
            };
            match responder.answer(&asked, &mut out) {
                Reply::Answer { rtype, outcome, cut } => {
                    send(&shared, &socket, from, &out);
                    shared.metrics.answered(rtype, outcome, cut);
                }
                Reply::Drop(why) => shared.metrics.dropped(why),
                Reply::Forward { .. } | Reply::Resolve(_) | Reply::Reverse => {
                    later(&shared, &socket, asked.message, from);
                }
            }
        }
        tokio::task::yield_now().await;
    }
}

/// Answers in a task of its own.
fn later(shared: &Arc<Shared>, socket: &Arc<UdpSocket>, message: &[u8], from: SocketAddr) {
    let Some(job) = slow::Job::new(shared, message, Transport::Udp) else {
        let mut out = Vec::new();
        slow::refuse(shared, message, Transport::Udp, &mut out);
        send(shared, socket, from, &out);
        return;
    };
    let (shared, socket) = (Arc::clone(shared), Arc::clone(socket));
    let tasks = shared.tasks.clone();
    tasks.spawn(async move {
        if let Some(out) = job.answer().await {
            send(&shared, &socket, from, &out);
        }
    });
}

/// Sends, or loses, one answer.
fn send(shared: &Shared, socket: &UdpSocket, to: SocketAddr, bytes: &[u8]) {
    // Straight to the system: a full buffer is loss, as on any network.
    if let Err(error) = SockRef::from(socket).send_to(bytes, &to.into()) {
        shared.metrics.dropped(Dropped::Unsent);
        tracing::debug!(%to, %error, "an answer could not be sent");
    }
}
