//! Questions on connections (RFC 7766): several on one, answered as soon as each can be.

use super::super::clock;
use super::{Shared, slow};
use crate::dns::{Asked, Dropped, Reply, Transport};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::tcp::OwnedWriteHalf;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};

/// Connections at one time; further ones are closed at once.
pub(super) const CONNECTIONS_MAX: usize = 256;
/// Questions of one connection that wait for something, and answers that wait to be sent; then no
/// more is read from it.
pub(super) const IN_FLIGHT_MAX: usize = 32;
/// A connection on which nothing is asked for this long is closed.
const IDLE_MAX: Duration = Duration::from_secs(30);
/// A question that has begun must end, and an answer be taken, within this.
const STALL_MAX: Duration = Duration::from_secs(5);
/// After a failure to accept, as when there are no file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Accepts connections until the agent ends.
pub(super) async fn serve(shared: Arc<Shared>, listener: TcpListener) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let accepted = tokio::select! {
            () = shared.stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::debug!(%error, "a DNS connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            shared.metrics.dropped(Dropped::Connection);
            continue;
        };
        let shared = Arc::clone(&shared);
        let tasks = shared.tasks.clone();
        tasks.spawn(async move {
            let _place = place;
            shared.metrics.connected();
            tokio::select! {
                () = shared.stop.cancelled() => {}
                () = connection(&shared, stream) => {}
            }
            shared.metrics.disconnected();
        });
    }
}

async fn connection(shared: &Arc<Shared>, stream: TcpStream) {
    // Answers are small and waited for.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::trace!(%error, "a DNS connection keeps its delay");
    }
    let (reader, writer) = stream.into_split();
    let (answers, to_send) = mpsc::channel(IN_FLIGHT_MAX);
    // When either ends, so does the other; answers that are ready are sent before.
    let write = write(writer, to_send);
    let read = read(shared, BufReader::new(reader), answers);
    tokio::pin!(write);
    let result = tokio::select! {
        result = &mut write => result,
        result = read => match result {
            Ok(()) => write.await,
            Err(error) => Err(error),
        },
    };
    if let Err(error) = result {
        if error.kind() == io::ErrorKind::TimedOut {
            shared.metrics.dropped(Dropped::Stalled);
        }
        tracing::trace!(%error, "a DNS connection ended");
    }
}

/// Reads questions until the client has no more.
async fn read(
    shared: &Arc<Shared>,
    mut reader: impl AsyncReadExt + Unpin,
    answers: mpsc::Sender<Vec<u8>>,
) -> io::Result<()> {
    let waiting = Arc::new(Semaphore::new(IN_FLIGHT_MAX));
    let mut message = Vec::new();
    loop {
        let length = match tokio::time::timeout(IDLE_MAX, reader.read_u16()).await {
            Ok(Ok(length)) => usize::from(length),
            Ok(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            Ok(Err(error)) => return Err(error),
            Err(_) => return Ok(()),
        };
        message.resize(length, 0);
        within(reader.read_exact(&mut message)).await?;
        let mut out = Vec::new();
        let reply = {
            let view = shared.view.load();
            let asked = Asked {
                message: &message,
                transport: Transport::Tcp,
                view: &view,
                reverse: None,
                resolved: None,
                unix_seconds: (clock::unix_millis() / 1_000) as u32,
                seed: rand::random(),
            };
            shared.responder().answer(&asked, &mut out)
        };
        match reply {
            Reply::Answer { rtype, outcome, cut } => shared.metrics.answered(rtype, outcome, cut),
            Reply::Drop(why) => {
                // Whoever sends this does not speak DNS.
                shared.metrics.dropped(why);
                return Ok(());
            }
            Reply::Forward { .. } | Reply::Resolve(_) | Reply::Reverse => {
                let Ok(place) = Arc::clone(&waiting).acquire_owned().await else { return Ok(()) };
                if let Some(job) = slow::Job::new(shared, &message, Transport::Tcp) {
                    let answers = answers.clone();
                    shared.tasks.spawn(async move {
                        let _place = place;
                        if let Some(out) = job.answer().await {
                            // A connection that has gone needs no answer.
                            let _ = answers.send(out).await;
                        }
                    });
                    continue;
                }
                slow::refuse(shared, &message, Transport::Tcp, &mut out);
            }
        }
        if answers.send(out).await.is_err() {
            return Ok(());
        }
    }
}

/// Sends answers until there are no more to come.
async fn write(mut writer: OwnedWriteHalf, mut answers: mpsc::Receiver<Vec<u8>>) -> io::Result<()> {
    let mut framed = Vec::new();
    while let Some(answer) = answers.recv().await {
        framed.clear();
        frame(&mut framed, &answer);
        while let Ok(more) = answers.try_recv() {
            frame(&mut framed, &more);
        }
        within(writer.write_all(&framed)).await?;
    }
    within(writer.shutdown()).await
}

fn frame(out: &mut Vec<u8>, answer: &[u8]) {
    // Answers are shorter than this by construction.
    let Ok(length) = u16::try_from(answer.len()) else { return };
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(answer);
}

async fn within<T>(io: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    tokio::time::timeout(STALL_MAX, io).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}
