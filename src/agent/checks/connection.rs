//! One HTTP connection for one request.
//!
//! Owns the tasks that drive the connection and their end: when the [`Connection`] is dropped,
//! nothing of it is left. Never keeps a connection for another request, and never reads an answer.

use super::net::Endpoint;
use super::{Context, Fault, tls};
use crate::model::ProbeTls;
use ::http::{Request, Response, Version};
use bytes::Bytes;
use hyper::body::{Body, Incoming};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::AbortHandle;

/// The versions of HTTP that may be spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Versions {
    /// HTTP/1.1, or HTTP/2 where TLS is spoken and the server prefers it.
    Any,
    /// HTTP/2 from the first byte.
    Two,
}

/// A connection that can send requests with bodies `B`.
pub(super) struct Connection<B> {
    sender: Sender<B>,
    /// Ends the tasks when the connection is dropped.
    _tasks: EndsTasks,
}

enum Sender<B> {
    One(http1::SendRequest<B>),
    Two(http2::SendRequest<B>),
}

impl<B> Connection<B>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    /// Connects to `endpoint`, with TLS if there is any.
    pub(super) async fn open(
        endpoint: &Endpoint,
        with_tls: Option<&ProbeTls>,
        versions: Versions,
        context: &Context,
    ) -> Result<Self, Fault> {
        let Some(with_tls) = with_tls else {
            let stream = endpoint.connect(context).await?;
            return Self::over(stream, versions == Versions::Two).await;
        };
        let offered: &[&[u8]] = match versions {
            Versions::Any => &[tls::H2, tls::HTTP_1_1],
            Versions::Two => &[tls::H2],
        };
        let stream = tls::connect(endpoint, with_tls, offered, context).await?;
        let is_two = versions == Versions::Two || tls::speaks_h2(&stream);
        Self::over(stream, is_two).await
    }

    async fn over<S>(stream: S, is_two: bool) -> Result<Self, Fault>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let failed = |error: hyper::Error| Fault::at("http", &error);
        let tasks = Tasks::default();
        let ends = EndsTasks(tasks.clone());
        let stream = TokioIo::new(stream);
        let sender = if is_two {
            let mut builder = http2::Builder::new(tasks.clone());
            let (sender, driver) =
                builder.timer(TokioTimer::new()).handshake(stream).await.map_err(failed)?;
            tasks.spawn(driver);
            Sender::Two(sender)
        } else {
            let mut builder = http1::Builder::new();
            // As Go writes them: there are servers that want `Host` and not `host`.
            let (sender, driver) =
                builder.title_case_headers(true).handshake(stream).await.map_err(failed)?;
            tasks.spawn(driver);
            Sender::One(sender)
        };
        Ok(Self { sender, _tasks: ends })
    }

    /// The version that is spoken.
    pub(super) const fn version(&self) -> Version {
        match self.sender {
            Sender::One(_) => Version::HTTP_11,
            Sender::Two(_) => Version::HTTP_2,
        }
    }

    /// Sends `request` and waits for the head of the answer.
    pub(super) async fn send(&mut self, request: Request<B>) -> hyper::Result<Response<Incoming>> {
        match &mut self.sender {
            Sender::One(sender) => sender.send_request(request).await,
            Sender::Two(sender) => sender.send_request(request).await,
        }
    }
}

/// Where the tasks of one connection are started; hyper starts some of its own for HTTP/2.
#[derive(Debug, Clone, Default)]
struct Tasks(Arc<Mutex<Vec<AbortHandle>>>);

impl Tasks {
    fn spawn<F>(&self, task: F)
    where
        F: Future + Send + 'static,
        F::Output: Send,
    {
        let handle = tokio::spawn(task).abort_handle();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(handle);
    }
}

impl<F> hyper::rt::Executor<F> for Tasks
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn execute(&self, task: F) {
        self.spawn(task);
    }
}

/// Ends all tasks of a connection.
#[derive(Debug)]
struct EndsTasks(Tasks);

impl Drop for EndsTasks {
    fn drop(&mut self) {
        for task in self.0.0.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            task.abort();
        }
    }
}
