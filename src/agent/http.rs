//! Serving the API's router on the agent's listeners.
//!
//! Owns the listeners' tasks and their end: at the end, requests that wait for a change are cut
//! with an answer, streams are closed, and whatever has not finished shortly after is left behind.
//! Knows no path and no parameter: the router is handed in.

use super::connections::{Bounded, Places, allowed};
use super::error::StartError;
use crate::api::access::Caller;
use axum::Router;
use axum::body::Body;
use axum::extract::connect_info::Connected;
use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::serve::IncomingStream;
use futures_util::StreamExt;
use http::{HeaderValue, StatusCode, header};
use std::net::SocketAddr;
use std::os::unix::net::UnixListener;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long requests that are being answered may take when the agent ends.
const GRACE: Duration = Duration::from_millis(300);

/// Binds the API's TCP address.
pub(super) fn bind(addr: SocketAddr) -> Result<std::net::TcpListener, StartError> {
    let bound = std::net::TcpListener::bind(addr);
    let listener = bound.and_then(|l| l.set_nonblocking(true).map(|()| l));
    listener.map_err(|error| StartError::Http { addr, error })
}

/// What the kernel knew of the peer when it connected.
impl Connected<IncomingStream<'_, Bounded<tokio::net::UnixListener>>> for Caller {
    fn connect_info(stream: IncomingStream<'_, Bounded<tokio::net::UnixListener>>) -> Self {
        match stream.io().io.peer_cred() {
            Ok(peer) => Self::Unix { uid: peer.uid(), gid: peer.gid(), pid: peer.pid() },
            Err(error) => {
                tracing::debug!(%error, "the kernel does not say who a caller is");
                Self::Unknown
            }
        }
    }
}

impl Connected<IncomingStream<'_, Bounded<tokio::net::TcpListener>>> for Caller {
    fn connect_info(stream: IncomingStream<'_, Bounded<tokio::net::TcpListener>>) -> Self {
        Self::Tcp(*stream.remote_addr())
    }
}

/// The API while it is served.
#[derive(Debug)]
pub(super) struct Server {
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Server {
    /// Serves `router` on both listeners, in tasks of `runtime`.
    pub(super) fn start(
        runtime: &Handle,
        router: Router,
        unix: UnixListener,
        tcp: Option<std::net::TcpListener>,
    ) -> std::io::Result<Self> {
        let _inside = runtime.enter();
        let stop = CancellationToken::new();
        let tasks = TaskTracker::new();
        let router = router.layer(middleware::from_fn_with_state(stop.clone(), cut_when_stopped));
        let places = Places::new(allowed());
        let unix = Bounded::new(tokio::net::UnixListener::from_std(unix)?, places.clone());
        let service = router.into_make_service_with_connect_info::<Caller>();
        let serve = axum::serve(unix, service.clone()).with_graceful_shutdown(stop.clone().cancelled_owned());
        tasks.spawn_on(run(async { serve.await }), runtime);
        if let Some(tcp) = tcp {
            let tcp = Bounded::new(tokio::net::TcpListener::from_std(tcp)?, places);
            let serve = axum::serve(tcp, service).with_graceful_shutdown(stop.clone().cancelled_owned());
            tasks.spawn_on(run(async { serve.await }), runtime);
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

async fn run(serve: impl Future<Output = std::io::Result<()>>) {
    if let Err(error) = serve.await {
        tracing::error!(%error, "the API is not served any more");
    }
}

/// A query may wait for minutes and a stream never ends by itself; neither may hold up the end.
async fn cut_when_stopped(State(stop): State<CancellationToken>, request: Request, next: Next) -> Response {
    let response = tokio::select! {
        biased;
        response = next.run(request) => response,
        () = stop.cancelled() => {
            let mut response = Response::new(Body::from("the agent is shutting down\n"));
            *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
            return response;
        }
    };
    let kind = response.headers().get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    if !kind.is_some_and(|k| k.starts_with(b"text/event-stream")) {
        return response;
    }
    response.map(|body| Body::from_stream(body.into_data_stream().take_until(stop.cancelled_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::routing::get;
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
        let server = Server::start(runtime.handle(), router, listener, None).expect("starts");
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
}
