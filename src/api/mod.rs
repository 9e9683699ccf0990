//! The HTTP API: Consul's dialect and Shoal's own additions, answered from memory.
//!
//! Owns paths, parameters, shapes, headers and error texts. Reads are answered from the view and
//! never reach the agent's loop; changes are sent to it as a [`request::Request`] and answered when
//! it replied. Opens no socket ([`router`] is served by the agent) and decides nothing about
//! membership or catalog.
//!
//! One table in `route` says which paths exist and what they accept. Everything that callers can
//! make grow is bounded: bodies ([`Limits::body_bytes_max`]), waiting requests and streams
//! ([`Limits::waiters_max`]).

pub mod access;
mod agent;
mod blocking;
mod catalog;
mod coordinate;
pub(crate) mod definition;
mod duration;
mod filter;
pub(crate) mod fuzzing;
mod health;
pub(crate) mod json;
mod local;
mod local_reads;
mod query;
mod reply;
pub mod request;
mod route;
mod shapes;
mod shoal;
#[cfg(test)]
mod tests;
mod unsupported;
mod watch;

use crate::model::{NodeId, NodeName};
use crate::view::ViewReader;
use access::Access;
use request::Request;
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
    /// How long to gather further changes before a blocked request is answered.
    pub coalesce: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes_max: 1 << 20,
            waiters_max: 4096,
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
    access: Arc<Access>,
    /// One permit per request that waits for a change.
    waiters: Arc<Semaphore>,
    /// Spreads the ends of waits.
    jitter: std::sync::atomic::AtomicU64,
}

/// The API as a service for every listener. Cheap to clone.
pub fn router(context: Context) -> axum::Router {
    let Context { view, requests, info, more_metrics, access } = context;
    let waiters = Arc::new(Semaphore::new(info.limits.waiters_max.min(Semaphore::MAX_PERMITS)));
    let jitter = std::sync::atomic::AtomicU64::new(info.started_unix_ms);
    let app = Arc::new(App { view, requests, info, more_metrics, access, waiters, jitter });
    axum::Router::new().fallback(route::dispatch).with_state(app)
}
