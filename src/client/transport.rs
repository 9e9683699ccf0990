//! One HTTP/1.1 connection to the agent, kept between requests and made again when it broke.
//!
//! Requests that run at the same time each get a connection; one is kept afterwards.

use super::{Address, Error};
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

/// The most bytes of one answer that are read.
const ANSWER_BYTES_MAX: usize = 256 << 20;

/// The most bytes of an error's text that are kept.
const MESSAGE_BYTES_MAX: usize = 4096;

type Sender = SendRequest<Full<Bytes>>;

/// One request, as a value, so that it can be sent twice.
#[derive(Debug, Clone)]
pub(super) struct Call {
    /// Method.
    pub(super) method: Method,
    /// Path and query, already percent-encoded.
    pub(super) path: String,
    /// JSON body; empty for none.
    pub(super) body: Bytes,
    /// Doing it twice is the same as doing it once, so a broken connection may be retried.
    pub(super) repeatable: bool,
}

impl Call {
    /// Method and path, for messages.
    pub(super) fn name(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

/// The way to one agent.
#[derive(Debug)]
pub(super) struct Transport {
    address: Address,
    /// What a request says to be admitted.
    authorization: Option<header::HeaderValue>,
    kept: Mutex<Option<Sender>>,
}

impl Transport {
    pub(super) fn new(address: Address) -> Self {
        Self { address, authorization: None, kept: Mutex::new(None) }
    }

    /// Says `token` with every request.
    pub(super) fn with_token(mut self, token: &str) -> Result<Self, Error> {
        let wrong = |_| Error::Invalid {
            what: "token",
            value: "(hidden)".to_owned(),
            want: "visible ASCII characters",
        };
        let mut value = header::HeaderValue::from_str(&format!("Bearer {token}")).map_err(wrong)?;
        value.set_sensitive(true);
        self.authorization = Some(value);
        Ok(self)
    }

    pub(super) fn address(&self) -> &Address {
        &self.address
    }

    /// Sends `call` and reads the whole answer; anything but a 2xx is an [`Error::Api`].
    pub(super) async fn call(&self, call: &Call, within: Duration) -> Result<Bytes, Error> {
        let answer = tokio::time::timeout(within, async {
            let (response, sender) = self.send(call).await?;
            let status = response.status();
            let body = read(call, response).await?;
            self.keep(sender);
            Ok((status, body))
        });
        let (status, body) = answer.await.map_err(|_| Error::Timeout {
            request: call.name(),
            path: self.address.to_string(),
            after: within,
        })??;
        if status.is_success() { Ok(body) } else { Err(refused(call, status, &body)) }
    }

    /// Opens a connection of its own for an answer that does not end. `within` bounds the wait
    /// for its head.
    pub(super) async fn open_stream(
        &self,
        path: String,
        last_event_id: Option<&str>,
        within: Duration,
    ) -> Result<Incoming, Error> {
        let call = Call { method: Method::GET, path, body: Bytes::new(), repeatable: true };
        let opened = tokio::time::timeout(within, async {
            let mut sender = self.connect(&call).await?;
            let mut request = self.request(&call)?;
            let headers = request.headers_mut();
            headers.insert(header::ACCEPT, header::HeaderValue::from_static("text/event-stream"));
            if let Some(id) = last_event_id.and_then(|id| header::HeaderValue::from_str(id).ok()) {
                headers.insert("last-event-id", id);
            }
            let response = sender.send_request(request).await.map_err(|e| broken(&call, e))?;
            let status = response.status();
            if status.is_success() {
                return Ok(response.into_body());
            }
            let body = read(&call, response).await?;
            Err(refused(&call, status, &body))
        });
        opened.await.map_err(|_| Error::Timeout {
            request: call.name(),
            path: self.address.to_string(),
            after: within,
        })?
    }

    async fn send(&self, call: &Call) -> Result<(Response<Incoming>, Sender), Error> {
        if let Some(mut sender) = self.take_kept()
            && sender.ready().await.is_ok()
        {
            match sender.send_request(self.request(call)?).await {
                Ok(response) => return Ok((response, sender)),
                // The agent may close a kept connection at any time, as when it restarts. What
                // hyper calls cancelled was never written; the rest may have been carried out.
                Err(e) if e.is_canceled() || call.repeatable => {}
                Err(e) => return Err(broken(call, e)),
            }
        }
        let mut sender = self.connect(call).await?;
        let response = sender.send_request(self.request(call)?).await.map_err(|e| broken(call, e))?;
        Ok((response, sender))
    }

    fn request(&self, call: &Call) -> Result<Request<Full<Bytes>>, Error> {
        let mut request = Request::builder()
            .method(&call.method)
            .uri(&call.path)
            .header(header::HOST, self.address.host_header())
            .header(header::USER_AGENT, concat!("shoal/", env!("CARGO_PKG_VERSION")));
        if let Some(authorization) = &self.authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        if !call.body.is_empty() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        request.body(Full::new(call.body.clone())).map_err(|e| Error::Io {
            request: call.name(),
            source: io::Error::new(io::ErrorKind::InvalidInput, e),
        })
    }

    async fn connect(&self, call: &Call) -> Result<Sender, Error> {
        let no_agent = |source| Error::NoAgent { path: self.address.to_string(), source };
        match &self.address {
            Address::Unix(path) => open(call, UnixStream::connect(path).await.map_err(no_agent)?).await,
            Address::Tcp { host, port } => {
                let stream = TcpStream::connect((host.as_str(), *port)).await.map_err(no_agent)?;
                // Requests are single small writes: waiting for more only delays them.
                stream.set_nodelay(true).map_err(no_agent)?;
                open(call, stream).await
            }
        }
    }

    fn take_kept(&self) -> Option<Sender> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).take().filter(|sender| !sender.is_closed())
    }

    fn keep(&self, sender: Sender) {
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(sender);
    }
}

async fn open<S>(call: &Call, stream: S) -> Result<Sender, Error>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(|e| broken(call, e))?;
    // It ends with its sender and its last answer; errors reach whoever waits for the answer.
    tokio::spawn(async move { connection.await.ok() });
    Ok(sender)
}

async fn read(call: &Call, response: Response<Incoming>) -> Result<Bytes, Error> {
    let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
    body.map(http_body_util::Collected::to_bytes)
        .map_err(|e| Error::Io { request: call.name(), source: io::Error::other(e) })
}

fn broken(call: &Call, error: hyper::Error) -> Error {
    if error.is_parse() {
        return Error::Protocol { request: call.name(), problem: error.to_string() };
    }
    Error::Io { request: call.name(), source: io::Error::other(error) }
}

fn refused(call: &Call, status: StatusCode, body: &[u8]) -> Error {
    let text = String::from_utf8_lossy(&body[..body.len().min(MESSAGE_BYTES_MAX)]);
    let message = match text.trim() {
        "" => format!("{}: {status}", call.name()),
        text => text.to_owned(),
    };
    Error::Api { status: status.as_u16(), message }
}
