//! How many connections the API has at one time.
//!
//! Owns the bound, and what happens at it: a further connection is closed at once and counted, so that
//! callers can take neither the memory nor the file descriptors with which registrations are saved.

use axum::serve::Listener;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Connections where the system has enough file descriptors: as many as may wait for a change, and
/// some more.
const CONNECTIONS_MAX: usize = 4_096 + 1_024;
/// Where it has next to none.
const CONNECTIONS_MIN: usize = 16;

/// Takes as many file descriptors as it could use, if this process may, and says how many connections of the API
/// leave half of them to everything else.
pub(super) fn allowed() -> usize {
    let limit = getrlimit(Resource::RLIMIT_NOFILE).map(|(soft, hard)| {
        let wanted = hard.min(2 * CONNECTIONS_MAX as u64);
        let raised = soft < wanted && setrlimit(Resource::RLIMIT_NOFILE, wanted, hard).is_ok();
        if raised { wanted } else { soft }
    });
    let limit = limit.unwrap_or_else(|error| {
        tracing::debug!(%error, "the system does not say how many files may be open");
        0
    });
    usize::try_from(limit / 2).unwrap_or(usize::MAX).clamp(CONNECTIONS_MIN, CONNECTIONS_MAX)
}

/// Places for connections, shared by all listeners.
#[derive(Debug, Clone)]
pub(super) struct Places {
    free: Arc<Semaphore>,
    refused: Arc<AtomicU64>,
}

impl Places {
    pub(super) fn new(most: usize) -> Self {
        Self { free: Arc::new(Semaphore::new(most)), refused: Arc::default() }
    }

    /// Connections that found no place.
    #[cfg(test)]
    pub(super) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }
}

/// A listener whose connections have a place each.
#[derive(Debug)]
pub(super) struct Bounded<L> {
    listener: L,
    places: Places,
}

impl<L> Bounded<L> {
    pub(super) const fn new(listener: L, places: Places) -> Self {
        Self { listener, places }
    }
}

impl<L: Listener> Listener for Bounded<L> {
    type Io = Placed<L::Io>;
    type Addr = L::Addr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (io, addr) = self.listener.accept().await;
            if let Ok(place) = Arc::clone(&self.places.free).try_acquire_owned() {
                return (Placed { io, _place: place }, addr);
            }
            let refused = self.places.refused.fetch_add(1, Ordering::Relaxed) + 1;
            if refused.is_power_of_two() {
                tracing::warn!(refused, "the API has as many connections as it may; further ones are closed");
            }
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

/// A connection with its place, which is free again when it is closed.
#[derive(Debug)]
pub(super) struct Placed<T> {
    pub(super) io: T,
    _place: OwnedSemaphorePermit,
}

impl<T: AsyncRead + Unpin> AsyncRead for Placed<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Placed<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{UnixListener, UnixStream};

    #[tokio::test]
    async fn a_connection_too_many_is_closed_and_a_place_that_is_left_is_given_again() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("s");
        let places = Places::new(1);
        let listener = UnixListener::bind(&path).expect("binds");
        let mut listener = Bounded::new(listener, places.clone());
        let _first = UnixStream::connect(&path).await.expect("connects");
        let (held, _) = listener.accept().await;
        let mut second = UnixStream::connect(&path).await.expect("connects");
        let waiting = tokio::spawn(async move { listener.accept().await });
        assert_eq!(second.read(&mut [0]).await.expect("is closed"), 0);
        assert_eq!(places.refused(), 1);
        drop(held);
        let mut third = UnixStream::connect(&path).await.expect("connects");
        let (mut served, _) = waiting.await.expect("accepts");
        served.write_all(b"x").await.expect("writes");
        assert_eq!(third.read(&mut [0]).await.expect("reads"), 1);
    }

    #[test]
    fn half_of_the_files_are_left_to_others() {
        let allowed = allowed();
        let (soft, _) = getrlimit(Resource::RLIMIT_NOFILE).expect("is told");
        assert!((CONNECTIONS_MIN..=CONNECTIONS_MAX).contains(&allowed));
        assert!(allowed == CONNECTIONS_MIN || allowed as u64 <= soft / 2, "{allowed} of {soft}");
    }
}
