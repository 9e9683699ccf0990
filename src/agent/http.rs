//! Serving the API on the agent's listeners.
//!
//! Owns the listeners' tasks, the connections, and their end: at the end, requests that wait for a
//! change are cut with an answer, streams are closed, and whatever has not finished shortly after
//! is left behind. HTTP/1.1 by hyper, without layers in between: what is answered from memory in a
//! few microseconds should not spend more on its way. Knows no path and no parameter.

use super::error::StartError;
use axum::body::{Body, HttpBody as _};
use futures_util::StreamExt;
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::os::unix::net::UnixListener;
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
        let _inside = runtime.enter();
        let stop = CancellationToken::new();
        let tasks = TaskTracker::new();
        let unix = tokio::net::UnixListener::from_std(unix)?;
        tasks.spawn_on(serve_unix(unix, api.clone(), stop.clone(), tasks.clone()), runtime);
        if let Some(tcp) = tcp {
            let tcp = tokio::net::TcpListener::from_std(tcp)?;
            tasks.spawn_on(serve_tcp(tcp, api, stop.clone(), tasks.clone()), runtime);
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

async fn serve_unix(
    listener: tokio::net::UnixListener,
    api: impl Answers,
    stop: CancellationToken,
    tasks: TaskTracker,
) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => return,
        };
        match accepted {
            Ok((stream, _)) => drop(tasks.spawn(connection(stream, api.clone(), stop.clone()))),
            Err(error) => not_accepted(&error).await,
        }
    }
}

async fn serve_tcp(
    listener: tokio::net::TcpListener,
    api: impl Answers,
    stop: CancellationToken,
    tasks: TaskTracker,
) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => return,
        };
        match accepted {
            Ok((stream, _)) => {
                // Answers are single writes: waiting for more only delays them.
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%error, "a connection is slower than it could be");
                }
                tasks.spawn(connection(stream, api.clone(), stop.clone()));
            }
            Err(error) => not_accepted(&error).await,
        }
    }
}

async fn not_accepted(error: &std::io::Error) {
    tracing::warn!(%error, "a connection to the API could not be taken");
    tokio::time::sleep(ACCEPT_PAUSE).await;
}

async fn connection<S>(stream: S, api: impl Answers, stop: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let service = service_fn(|request| cut_when_stopped(api.call(request), &stop));
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection to the API broke");
    }
}

/// A query may wait for minutes and a stream never ends by itself; neither may hold up the end.
async fn cut_when_stopped(
    answer: impl Future<Output = Result<Response<Body>, Infallible>>,
    stop: &CancellationToken,
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
    let streamed = |body: Body| Body::from_stream(body.into_data_stream().take_until(stop.clone().cancelled_owned()));
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
}
