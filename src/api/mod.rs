//! The HTTP API: Consul's dialect and Shoal's own additions, answered from memory.
//!
//! Owns paths, parameters, shapes, headers and error texts. Reads are answered from the view and
//! never reach the agent's loop; changes are sent to it as a [`request::Request`] and answered when
//! it replied. Opens no socket ([`Api`] is served by the agent) and decides nothing about
//! membership or catalog.
//!
//! One table in `route` says which paths exist and what they accept. Everything that callers can
//! make grow is bounded: bodies ([`Limits::body_bytes_max`]), waiting requests and streams
//! ([`Limits::waiters_max`]).

pub mod access;
mod agent;
mod blocking;
mod catalog;
mod catalog_writes;
mod coordinate;
pub(crate) mod definition;
mod doctor;
mod duration;
mod event;
mod filter;
pub(crate) mod fuzzing;
mod health;
pub(crate) mod json;
mod keyring;
mod local;
mod local_reads;
mod metrics;
mod monitor;
mod openapi;
mod origin;
mod query;
mod rendered;
mod reply;
pub mod request;
mod route;
mod shapes;
mod shoal;
#[cfg(test)]
mod tests;
mod topics;
mod ui;
mod unsupported;
mod watch;

pub use monitor::{LogFeed, LogStyle};

use crate::model::{NodeId, NodeName};
use crate::view::ViewReader;
use access::{Access, Caller};
use axum::body::{Body, HttpBody};
use bytes::Bytes;
use futures_util::future::{Either, Ready, ready};
use request::Request;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc};

/// The version of Consul whose dialect this is; some clients read it.
pub const CONSUL_VERSION: &str = "1.21.4";

/// What callers may make the agent hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Longest request body, in bytes; longer ones are answered with 413.
    pub body_bytes_max: usize,
    /// Most requests that wait for a change, event streams included, at one time; further ones are
    /// answered with 429.
    pub waiters_max: usize,
    /// How long a blocked request waits when its caller names no time.
    pub wait_default: Duration,
    /// How long it waits at most.
    pub wait_max: Duration,
    /// How long a change may take until its caller is told that it is not known what became of it.
    pub request_timeout: Duration,
    /// The first change is told at once; while changes keep coming, requests that wait for the same
    /// thing are answered this often at most.
    pub coalesce: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes_max: 1 << 20,
            waiters_max: 16_384,
            wait_default: Duration::from_secs(300),
            wait_max: Duration::from_secs(600),
            request_timeout: Duration::from_secs(30),
            coalesce: Duration::from_millis(20),
        }
    }
}

/// What does not change while the agent runs.
#[derive(Debug, Clone)]
pub struct StaticInfo {
    /// This node's name.
    pub node: NodeName,
    /// This node's identifier.
    pub node_id: NodeId,
    /// The cluster's name, which the dialect calls datacenter.
    pub datacenter: String,
    /// Version of this program, `0.1.0`.
    pub agent_version: String,
    /// When the agent started, in milliseconds since the Unix epoch.
    pub started_unix_ms: u64,
    /// Bounds on what callers may ask for.
    pub limits: Limits,
    /// The effective configuration, without secrets, shown as `DebugConfig`. An object.
    pub config: serde_json::Value,
    /// Whether callers may register checks that run programs.
    pub script_checks: bool,
    /// The profile and each constant of timing and limits, as a part of it.
    pub settings: serde_json::Value,
}

/// What the API answers from.
#[derive(Debug, Clone)]
pub struct Context {
    /// Answers to reads.
    pub view: ViewReader,
    /// Where changes go.
    pub requests: mpsc::Sender<Request>,
    /// What does not change.
    pub info: StaticInfo,
    /// What others that serve tell of themselves.
    pub more_metrics: MoreMetrics,
    /// The agent's log; `None` when it is not this agent's to give.
    pub logs: Option<LogFeed>,
    /// Who may do what.
    pub access: Arc<Access>,
}

/// Appends further metrics to those of `GET /metrics`, as Prometheus text.
#[derive(Clone, Default)]
pub struct MoreMetrics(Option<Arc<Append>>);

type Append = dyn Fn(&mut String) + Send + Sync;

impl MoreMetrics {
    /// Metrics that `write` appends whenever somebody asks.
    pub fn new(write: impl Fn(&mut String) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(write)))
    }

    fn append(&self, out: &mut String) {
        if let Some(write) = &self.0 {
            write(out);
        }
    }
}

impl std::fmt::Debug for MoreMetrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("MoreMetrics").field(&self.0.is_some()).finish()
    }
}

/// The context with what the API keeps for itself.
struct App {
    view: ViewReader,
    requests: mpsc::Sender<Request>,
    info: StaticInfo,
    more_metrics: MoreMetrics,
    logs: Option<LogFeed>,
    /// When this was made, for what is told about times since.
    started: tokio::time::Instant,
    access: Arc<Access>,
    /// One permit per request that waits for a change.
    waiters: Arc<Semaphore>,
    /// Whom a change wakes.
    topics: topics::Topics,
    /// Answers that were written before.
    rendered: rendered::Rendered,
    /// Spreads the ends of waits.
    jitter: std::sync::atomic::AtomicU64,
}

impl App {
    /// The present, by the clock that was read at the start.
    fn wall_clock(&self) -> jiff::Timestamp {
        let ms = u128::from(self.info.started_unix_ms) + self.started.elapsed().as_millis();
        let ms = i64::try_from(ms).unwrap_or(i64::MAX);
        jiff::Timestamp::from_millisecond(ms).unwrap_or(jiff::Timestamp::MAX)
    }
}

/// The API as a service for every listener. Cheap to clone.
#[derive(Clone)]
pub struct Api(Arc<App>);

impl std::fmt::Debug for Api {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Api").field("node", &self.0.info.node).finish_non_exhaustive()
    }
}

/// What answers one request: at once from what was written before, or after some work.
pub type Answering = Either<Ready<Answer>, Pin<Box<dyn Future<Output = Answer> + Send>>>;

type Answer = Result<http::Response<Body>, Infallible>;

impl Api {
    /// The API over what the agent publishes.
    pub fn new(context: Context) -> Self {
        let Context { view, requests, info, more_metrics, logs, access } = context;
        let waiters = Arc::new(Semaphore::new(info.limits.waiters_max.min(Semaphore::MAX_PERMITS)));
        let jitter = std::sync::atomic::AtomicU64::new(info.started_unix_ms);
        Self(Arc::new(App {
            view,
            requests,
            topics: topics::Topics::new(info.limits.coalesce),
            info,
            more_metrics,
            logs,
            access,
            started: tokio::time::Instant::now(),
            waiters,
            rendered: rendered::Rendered::default(),
            jitter,
        }))
    }

    /// Answers a request.
    pub fn answer<B>(&self, request: http::Request<B>) -> Answering
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        // Whoever may not read is refused, and counted, on the longer way.
        let caller = Caller::of(request.extensions());
        if self.0.access.lets_read(caller, request.uri(), request.headers())
            && let Some(reply) = self.0.rendered(&request)
        {
            return Either::Left(ready(Ok(reply)));
        }
        let app = Arc::clone(&self.0);
        let answer = async move { Ok(route::dispatch(app, request.map(Body::new)).await) };
        Either::Right(Box::pin(answer))
    }
}

impl hyper::service::Service<http::Request<hyper::body::Incoming>> for Api {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Answering;

    fn call(&self, request: http::Request<hyper::body::Incoming>) -> Answering {
        self.answer(request)
    }
}
