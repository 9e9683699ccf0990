//! Requests that wait, without what a busy connection needs.
//!
//! Tools keep a blocked query open for every service they know, so most connections of an agent do
//! nothing for minutes. A connection of hyper's holds two buffers of 8 KiB meanwhile. So a request
//! that was not answered soon is taken off its connection, which is ended; what is kept is the
//! socket and the answer that is being waited for. When it is there, a new connection on that socket
//! is made to read a request that stands for the one that waits, and writes the answer.

use bytes::{Bytes, BytesMut};
use http::{Method, Request, Version, header};
use hyper::body::{Body as _, Incoming};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

/// Requests that take longer are parked.
const PATIENCE: Duration = Duration::from_millis(50);
/// What a client may send ahead while its request waits; more ends the connection.
const AHEAD_BYTES_MAX: usize = 16 << 10;
/// Stands for the request that waited; it is answered before anybody looks at it.
const STAND_IN: &[u8] = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n";

/// Whether a request is of the kind that waits and leaves nothing to be read.
pub(super) fn may_be_parked(request: &Request<Incoming>) -> bool {
    request.method() == Method::GET
        && request.version() == Version::HTTP_11
        && request.body().is_end_stream()
        && !request.headers().contains_key(header::CONNECTION)
        && !request.headers().contains_key(header::EXPECT)
}

enum Place<F> {
    Empty,
    /// Polled through its connection; not ready when it was first asked.
    Waiting(Pin<Box<F>>, Instant),
    /// Somebody else has it.
    Taken,
}

/// Where the answer to the present request is while it is waited for.
pub(super) struct Flight<F>(Arc<Mutex<Place<F>>>);

impl<F> Clone for Flight<F> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<F: Future> Flight<F> {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(Place::Empty)))
    }

    fn lock(&self) -> MutexGuard<'_, Place<F>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The answer, which may be taken away while it is not ready.
    pub(super) async fn answer(&self, answer: F) -> F::Output {
        let mut answer = Box::pin(answer);
        // Most are ready at once, and need no place.
        if let Poll::Ready(ready) = std::future::poll_fn(|cx| Poll::Ready(answer.as_mut().poll(cx))).await {
            return ready;
        }
        *self.lock() = Place::Waiting(answer, Instant::now());
        std::future::poll_fn(|cx| {
            let mut place = self.lock();
            let Place::Waiting(answer, _) = &mut *place else { return Poll::Pending };
            let ready = std::task::ready!(answer.as_mut().poll(cx));
            *place = Place::Empty;
            Poll::Ready(ready)
        })
        .await
    }

    /// Ready with an answer that has been waited for long enough. To be polled by the task that polls
    /// the connection, after it. Not while the socket is `full`: what an answer before it has still to
    /// write would be lost with the connection.
    pub(super) fn poll_overdue(
        &self,
        timer: &mut Option<Pin<Box<Sleep>>>,
        full: &AtomicBool,
        cx: &mut Context<'_>,
    ) -> Poll<Pin<Box<F>>> {
        let mut place = self.lock();
        let Place::Waiting(_, since) = &*place else {
            *timer = None;
            return Poll::Pending;
        };
        let due = *since + PATIENCE;
        let sleep = timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(due)));
        if sleep.deadline() != due {
            sleep.as_mut().reset(due);
        }
        std::task::ready!(sleep.as_mut().poll(cx));
        if full.load(Ordering::Relaxed) {
            *place = match std::mem::replace(&mut *place, Place::Empty) {
                Place::Waiting(answer, _) => Place::Waiting(answer, Instant::now()),
                other => other,
            };
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        *timer = None;
        match std::mem::replace(&mut *place, Place::Taken) {
            Place::Waiting(answer, _) => Poll::Ready(answer),
            Place::Empty | Place::Taken => Poll::Pending,
        }
    }
}

/// A socket with what was read of it already.
pub(super) struct Socket<S> {
    read: Bytes,
    stream: S,
    /// It took no more when it was last written to.
    full: Arc<AtomicBool>,
}

impl<S: AsyncRead + Unpin> Socket<S> {
    pub(super) fn new(stream: S) -> Self {
        Self { read: Bytes::new(), stream, full: Arc::default() }
    }

    /// Whether it takes no more at present.
    pub(super) fn full(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.full)
    }

    /// Gives back what a connection read ahead.
    pub(super) fn unread(&mut self, ahead: &Bytes) {
        if !ahead.is_empty() {
            self.read = Bytes::from([&ahead[..], &self.read[..]].concat());
        }
    }

    /// The next thing to be read is a request that stands for the one that waited.
    pub(super) fn stand_in(&mut self) {
        self.unread(&Bytes::from_static(STAND_IN));
    }

    /// Returns when the client is gone; what it sends meanwhile is kept for later.
    pub(super) async fn closed(&mut self) {
        let mut ahead = BytesMut::new();
        loop {
            let mut byte = [0; 32];
            match self.stream.read(&mut byte).await {
                Ok(0) | Err(_) => return,
                Ok(n) => ahead.extend_from_slice(&byte[..n]),
            }
            self.read = Bytes::from([&self.read[..], &ahead[..]].concat());
            ahead.clear();
            if self.read.len() > AHEAD_BYTES_MAX {
                return;
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Socket<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.read.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, into);
        }
        let n = self.read.len().min(into.remaining());
        into.put_slice(&self.read.split_to(n));
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Socket<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.full.store(written.is_pending(), Ordering::Relaxed);
        written
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, parts);
        self.full.store(written.is_pending(), Ordering::Relaxed);
        written
    }
    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt as _;

    #[tokio::test]
    async fn who_sends_too_much_ahead_is_as_good_as_gone() {
        let (mut client, served) = tokio::io::duplex(1 << 10);
        let mut socket = Socket::new(served);
        let sends = async {
            client.write_all(&[b'x'; AHEAD_BYTES_MAX]).await.expect("is read");
            std::future::pending::<()>().await;
        };
        let soon = Duration::from_millis(200);
        let closed = async { tokio::time::timeout(soon, socket.closed()).await };
        tokio::select! {
            () = sends => {}
            closed = closed => assert!(closed.is_err(), "as much as it may"),
        }
        client.write_all(b"x").await.expect("is read");
        tokio::time::timeout(Duration::from_secs(10), socket.closed()).await.expect("it is given up");
        assert_eq!(socket.read.len(), AHEAD_BYTES_MAX + 1);
    }
}
