//! Serving the API on the agent's listeners.
//!
//! Owns the listeners' tasks, the connections, who is at their other end, and how they end: at the end, requests that wait for a
//! change are cut with an answer, streams are closed, and whatever has not finished shortly after
//! is left behind. HTTP/1.1 by hyper, without layers in between: what is answered from memory in a
//! few microseconds should not spend more on its way. Knows no path and no parameter.

mod parking;

use super::connections::{Places, allowed};
use super::error::StartError;
use crate::api::access::Caller;
use axum::body::{Body, HttpBody as _};
use futures_util::StreamExt;
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::TokioIo;
use parking::{Flight, Socket, may_be_parked};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::os::unix::net::UnixListener;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long requests that are being answered may take when the agent ends.
const GRACE: Duration = Duration::from_millis(300);
/// After a connection could not be taken (no more descriptors), others get a chance to end.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Binds the API's TCP address.
pub(super) fn bind(addr: SocketAddr) -> Result<std::net::TcpListener, StartError> {
    let bound = std::net::TcpListener::bind(addr);
    let listener = bound.and_then(|l| l.set_nonblocking(true).map(|()| l));
    listener.map_err(|error| StartError::Http { addr, error })
}

/// The API while it is served.
#[derive(Debug)]
pub(super) struct Server {
    stop: CancellationToken,
    tasks: TaskTracker,
}

/// What answers requests.
pub(super) trait Answers:
    Service<Request<Incoming>, Response = Response<Body>, Error = Infallible, Future: Send>
    + Clone
    + Send
    + Sync
    + 'static
{
}

impl<S> Answers for S where
    S: Service<Request<Incoming>, Response = Response<Body>, Error = Infallible, Future: Send>
        + Clone
        + Send
        + Sync
        + 'static
{
}

impl Server {
    /// Serves `api` on both listeners, in tasks of `runtime`.
    pub(super) fn start(
        runtime: &Handle,
        api: impl Answers,
        unix: UnixListener,
        tcp: Option<std::net::TcpListener>,
    ) -> std::io::Result<Self> {
        Self::with_places(runtime, api, unix, tcp, Places::new(allowed()))
    }

    /// With so many connections at one time, on both listeners together.
    fn with_places(
        runtime: &Handle,
        api: impl Answers,
        unix: UnixListener,
        tcp: Option<std::net::TcpListener>,
        places: Places,
    ) -> std::io::Result<Self> {
        let _inside = runtime.enter();
        let stop = CancellationToken::new();
        let tasks = TaskTracker::new();
        let unix = tokio::net::UnixListener::from_std(unix)?;
        let serving = Serving { api, places, stop: stop.clone(), tasks: tasks.clone() };
        tasks.spawn_on(serving.clone().unix(unix), runtime);
        if let Some(tcp) = tcp {
            tasks.spawn_on(serving.tcp(tokio::net::TcpListener::from_std(tcp)?), runtime);
        }
        tasks.close();
        Ok(Self { stop, tasks })
    }

    /// Takes no more connections, cuts what waits, and gives the rest a moment.
    pub(super) async fn stop(&self) {
        self.stop.cancel();
        if tokio::time::timeout(GRACE, self.tasks.wait()).await.is_err() {
            tracing::debug!("some requests had not finished when the agent ended");
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// What every listener serves.
#[derive(Clone)]
struct Serving<A> {
    api: A,
    places: Places,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl<A: Answers> Serving<A> {
    /// Serves one connection, if there is a place for it.
    fn take<S>(&self, stream: S, caller: Caller)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Some(place) = self.places.take() else { return };
        let served = connection(stream, caller, self.api.clone(), self.stop.clone());
        drop(self.tasks.spawn(async move {
            served.await;
            drop(place);
        }));
    }

    async fn unix(self, listener: tokio::net::UnixListener) {
        while let Some(accepted) = self.stop.run_until_cancelled(listener.accept()).await {
            match accepted {
                Ok((stream, _)) => {
                    let caller = who_calls(&stream);
                    self.take(stream, caller);
                }
                Err(error) => not_accepted(&error).await,
            }
        }
    }

    async fn tcp(self, listener: tokio::net::TcpListener) {
        while let Some(accepted) = self.stop.run_until_cancelled(listener.accept()).await {
            match accepted {
                Ok((stream, from)) => {
                    // Answers are single writes: waiting for more only delays them.
                    if let Err(error) = stream.set_nodelay(true) {
                        tracing::debug!(%error, "a connection is slower than it could be");
                    }
                    self.take(stream, Caller::Tcp(from));
                }
                Err(error) => not_accepted(&error).await,
            }
        }
    }
}

async fn not_accepted(error: &std::io::Error) {
    tracing::warn!(%error, "a connection to the API could not be taken");
    tokio::time::sleep(ACCEPT_PAUSE).await;
}

/// What became of a connection.
enum After<F> {
    Ended,
    /// Its request waits.
    Waits(Pin<Box<F>>),
}

/// What the kernel knew of the peer when it connected.
fn who_calls(stream: &tokio::net::UnixStream) -> Caller {
    match stream.peer_cred() {
        Ok(peer) => Caller::Unix { uid: peer.uid(), gid: peer.gid(), pid: peer.pid() },
        Err(error) => {
            tracing::debug!(%error, "the kernel does not say who a caller is");
            Caller::Unknown
        }
    }
}

async fn connection<S>(stream: S, caller: Caller, api: impl Answers, stop: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let mut socket = Socket::new(stream);
    let full = socket.full();
    let stop = Arc::new(stop);
    let mut answered = None;
    loop {
        let flight = Flight::new();
        let waited = Mutex::new(answered.take());
        let service = service_fn(|mut request: Request<Incoming>| {
            request.extensions_mut().insert(caller);
            let waited = waited.lock().unwrap_or_else(PoisonError::into_inner).take();
            let parkable = may_be_parked(&request);
            // What waited is answered already: the request only stands for it.
            let answer = waited.is_none().then(|| cut_when_stopped(api.call(request), Arc::clone(&stop)));
            let flight = flight.clone();
            async move {
                match (waited, answer) {
                    (Some(response), _) => Ok(response),
                    (None, Some(answer)) if parkable => flight.answer(answer).await,
                    (None, Some(answer)) => answer.await,
                    (None, None) => Ok(Response::new(Body::empty())),
                }
            }
        });
        let mut connection = http1::Builder::new().serve_connection(TokioIo::new(socket), service);
        let mut timer = None;
        let mut stopping = std::pin::pin!(stop.cancelled());
        let mut stopped = false;
        let after = std::future::poll_fn(|cx| {
            if let Poll::Ready(ended) = Pin::new(&mut connection).poll(cx) {
                if let Err(error) = ended {
                    tracing::debug!(%error, "a connection to the API broke");
                }
                return Poll::Ready(After::Ended);
            }
            if !stopped && stopping.as_mut().poll(cx).is_ready() {
                stopped = true;
                Pin::new(&mut connection).graceful_shutdown();
                cx.waker().wake_by_ref();
            }
            if stopped { Poll::Pending } else { flight.poll_overdue(&mut timer, &full, cx).map(After::Waits) }
        })
        .await;
        let After::Waits(mut answer) = after else { return };
        let parts = connection.into_parts();
        socket = parts.io.into_inner();
        socket.unread(&parts.read_buf);
        // An empty rest may still hold the whole buffer.
        drop((parts.service, parts.read_buf, timer));
        tokio::select! {
            response = answer.as_mut() => {
                let Ok(response) = response;
                socket.stand_in();
                answered = Some(response);
            }
            () = socket.closed() => return,
        }
    }
}

/// A query may wait for minutes and a stream never ends by itself; neither may hold up the end.
async fn cut_when_stopped(
    answer: impl Future<Output = Result<Response<Body>, Infallible>>,
    stop: Arc<CancellationToken>,
) -> Result<Response<Body>, Infallible> {
    let response = tokio::select! {
        biased;
        response = answer => response?,
        () = stop.cancelled() => {
            let mut response = Response::new(Body::from("the agent is shutting down\n"));
            *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
            return Ok(response);
        }
    };
    // A stream is what has no length.
    if response.body().size_hint().exact().is_some() {
        return Ok(response);
    }
    let streamed = |body: Body| {
        Body::from_stream(
            body.into_data_stream().take_until(CancellationToken::clone(&stop).cancelled_owned()),
        )
    };
    Ok(response.map(streamed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::Router;
    use axum::routing::get;
    use http::header;
    use hyper_util::service::TowerToHyperService;
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    fn ask(path: &std::path::Path, target: &str) -> UnixStream {
        let mut stream = UnixStream::connect(path).expect("listens");
        stream.set_read_timeout(Some(Duration::from_secs(10))).expect("is set");
        write!(stream, "GET {target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").expect("writes");
        stream
    }

    fn answer(mut stream: UnixStream) -> String {
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("reads to the end");
        text
    }

    #[test]
    fn at_the_end_waiting_requests_are_answered_and_streams_closed() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("s");
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("builds");
        let (reached, reaches) = std::sync::mpsc::channel();
        let waits = move || {
            reached.send(()).expect("the test waits");
            std::future::pending::<()>()
        };
        let streams = async || {
            let first = futures_util::stream::iter([Ok::<_, std::io::Error>("data: x\n\n")]);
            let body = Body::from_stream(first.chain(futures_util::stream::pending()));
            ([(header::CONTENT_TYPE, "text/event-stream")], body)
        };
        let router = Router::new()
            .route("/quick", get(async || "quick"))
            .route("/wait", get(waits))
            .route("/stream", get(streams));
        let listener = UnixListener::bind(&path).expect("binds");
        listener.set_nonblocking(true).expect("is set");
        let server = Server::start(runtime.handle(), TowerToHyperService::new(router), listener, None)
            .expect("starts");
        assert!(answer(ask(&path, "/quick")).ends_with("quick"));
        let mut stream = ask(&path, "/stream");
        let mut seen = String::new();
        while !seen.contains("data: x") {
            let mut byte = [0];
            stream.read_exact(&mut byte).expect("streams");
            seen.push(char::from(byte[0]));
        }
        let waiting = ask(&path, "/wait");
        reaches.recv_timeout(Duration::from_secs(10)).expect("is being handled");
        runtime.block_on(server.stop());
        assert!(answer(waiting).starts_with("HTTP/1.1 503"));
        answer(stream);
        assert!(UnixStream::connect(&path).is_err());
    }

    #[test]
    fn a_connection_too_many_is_closed_and_a_place_that_is_left_is_given_again() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("s");
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("builds");
        let router = Router::new().route("/quick", get(async || "quick"));
        let listener = UnixListener::bind(&path).expect("binds");
        listener.set_nonblocking(true).expect("is set");
        let (router, places) = (TowerToHyperService::new(router), Places::new(1));
        let _server =
            Server::with_places(runtime.handle(), router, listener, None, places.clone()).expect("starts");
        let mut held = UnixStream::connect(&path).expect("listens");
        write!(held, "GET /quick HTTP/1.1\r\nhost: x\r\n\r\n").expect("writes");
        held.read_exact(&mut [0]).expect("is served");
        let mut second = UnixStream::connect(&path).expect("listens");
        second.set_read_timeout(Some(Duration::from_secs(10))).expect("is set");
        assert_eq!(second.read(&mut [0]).expect("is closed"), 0);
        assert_eq!(places.refused(), 1);
        drop(held);
        while places.take().is_none() {
            std::thread::park_timeout(Duration::from_millis(1));
        }
        assert!(answer(ask(&path, "/quick")).ends_with("quick"));
    }

    /// Tells when it is dropped.
    struct Gone(std::sync::mpsc::Sender<()>);

    impl Drop for Gone {
        fn drop(&mut self) {
            let _ = self.0.send(());
        }
    }

    #[test]
    fn a_request_that_waits_long_is_answered_on_its_connection_and_others_after_it() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("s");
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("builds");
        let (tell, gone) = std::sync::mpsc::channel();
        let forever = move || {
            let gone = Gone(tell.clone());
            async move {
                std::future::pending::<()>().await;
                drop(gone);
            }
        };
        let slow = async || {
            tokio::time::sleep(Duration::from_millis(300)).await;
            "slow"
        };
        let router = Router::new()
            .route("/quick", get(async || "quick"))
            .route("/slow", get(slow))
            .route("/forever", get(forever));
        let listener = UnixListener::bind(&path).expect("binds");
        listener.set_nonblocking(true).expect("is set");
        let router = TowerToHyperService::new(router);
        let _server = Server::start(runtime.handle(), router, listener, None).expect("starts");
        let mut stream = UnixStream::connect(&path).expect("listens");
        stream.set_read_timeout(Some(Duration::from_secs(10))).expect("is set");
        let until = |stream: &mut UnixStream, end: &str| {
            let mut seen = String::new();
            while !seen.ends_with(end) {
                let mut byte = [0];
                stream.read_exact(&mut byte).expect("answers");
                seen.push(char::from(byte[0]));
            }
            seen
        };
        for _ in 0..2 {
            write!(stream, "GET /slow HTTP/1.1\r\nhost: x\r\n\r\n").expect("writes");
            let seen = until(&mut stream, "slow");
            assert!(seen.starts_with("HTTP/1.1 200") && seen.contains("content-length: 4"), "{seen}");
        }
        // Asked ahead, at once and while the other one waits.
        write!(stream, "GET /slow HTTP/1.1\r\nhost: x\r\n\r\nGET /quick HTTP/1.1\r\nhost: x\r\n\r\n")
            .expect("writes");
        std::thread::park_timeout(Duration::from_millis(150));
        write!(stream, "GET /slow HTTP/1.1\r\nhost: x\r\n\r\n").expect("writes");
        until(&mut stream, "slow");
        until(&mut stream, "quick");
        until(&mut stream, "slow");
        // A client that goes takes what it waited for along.
        write!(stream, "GET /forever HTTP/1.1\r\nhost: x\r\n\r\n").expect("writes");
        std::thread::park_timeout(Duration::from_millis(150));
        assert!(gone.try_recv().is_err(), "it waits");
        drop(stream);
        gone.recv_timeout(Duration::from_secs(10)).expect("it was dropped");
    }
}
