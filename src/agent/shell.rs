//! Starting and ending one agent.
//!
//! Owns the order of a start (lock, sockets, saved state, generation, loop, API) and the handle on
//! what runs. The process around it (flags, signals, what is printed) is in [`super::run`], so that
//! several agents can live in one process.

use super::clock::{self, Clock};
use super::config::AgentConfig;
use super::dns;
use super::driver::{Driver, Ended, Parts, Shutdown};
use super::error::StartError;
use super::http::{self, Server};
use super::interference::Interference;
use super::keys;
use super::logging::LogControl;
use super::persist::{Author, DataDir, Saved, StateWriter};
use super::publish::Publisher;
use super::registrations::Registrations;
use super::reload;
use super::servers::Servers;
use super::udp::{self, GossipSocket};
use super::unix_socket;
use crate::api::access::Access;
use crate::api::request::Request;
use crate::api::{Api, LogFeed};
use crate::core::{Agent, Identity};
use crate::dns::Metrics as DnsMetrics;
use crate::model::{Generation, LocalState, NodeId, NodeName};
use crate::view::{ViewBuilder, ViewReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

/// Requests that may wait for the loop; then callers wait to hand theirs over.
const REQUESTS_MAX: usize = 1_024;

/// What the API is made from.
pub struct ApiParts {
    /// The readers' end of the view.
    pub view: ViewReader,
    /// The way to the loop.
    pub requests: mpsc::Sender<Request>,
    /// This node's name.
    pub node: NodeName,
    /// This node's identifier.
    pub node_id: NodeId,
    /// The cluster's name.
    pub cluster: String,
    /// What others are told to send gossip to.
    pub gossip_addr: SocketAddr,
    /// This run's generation, as it starts.
    pub generation: Generation,
    /// When the agent started, in milliseconds since 1970.
    pub started_unix_ms: u64,
    /// The configuration in effect, for display: an object.
    pub config: serde_json::Value,
    /// Counters of the DNS server, if there is one.
    pub dns: Option<Arc<DnsMetrics>>,
    /// The agent's log, if it is its own.
    pub logs: Option<LogFeed>,
    /// Who may do what over the API.
    pub access: Arc<Access>,
}

/// What an agent is given by the program around it.
pub struct Wiring<'a, F> {
    /// The runtime that serves the API. The protocol has a thread with a runtime of its own: a
    /// reader that is slow, or a thousand of them, must not delay a probe's answer, and with one
    /// thread to itself the protocol needs no locks.
    pub runtime: &'a Handle,
    /// Makes the API.
    pub api: F,
    /// Changes the log level, if this agent may.
    pub log: Option<LogControl>,
    /// Stands between this agent and the world, in a demonstration or a test.
    pub interference: Option<Arc<dyn Interference>>,
}

/// Starts agents.
#[derive(Debug)]
pub struct Shell;

/// An agent that runs. Dropping it ends the agent at once, without leaving the cluster.
#[derive(Debug)]
pub struct Running {
    gossip_addr: SocketAddr,
    join_addr: SocketAddr,
    node: NodeName,
    socket: PathBuf,
    http: Option<SocketAddr>,
    dns: Option<SocketAddr>,
    requests: mpsc::Sender<Request>,
    shutdown: Shutdown,
    ending: oneshot::Receiver<Ended>,
    ended: Option<Ended>,
}

impl Shell {
    /// Starts an agent. When this returns its sockets are bound and its registrations restored,
    /// and the API answers.
    pub fn start<F>(config: AgentConfig, wiring: Wiring<'_, F>) -> Result<Running, StartError>
    where
        F: FnOnce(ApiParts) -> Api,
    {
        let clock = Clock::start();
        let data_dir = config.data_dir().map(DataDir::open).transpose()?;
        let saved = data_dir.as_ref().map(DataDir::load).transpose()?.flatten();
        let kept = data_dir.as_ref().map(DataDir::load_keyring).transpose()?.flatten();
        let keyring = keys::at_start(kept, config.keys());
        if keyring.is_none() && !config.bind().ip().is_loopback() && !config.allow_plaintext() {
            return Err(StartError::Plaintext(config.bind()));
        }
        let gossip = udp::bind(config.bind())?;
        let bound = gossip.local_addr()?;
        let (unix, socket_file) =
            unix_socket::claim(config.socket(), config.socket_mode(), config.socket_group())?;
        let tcp = config.http().map(http::bind).transpose()?;
        let http_addr = tcp.as_ref().map(std::net::TcpListener::local_addr).transpose()?;

        let names = config.dns().addr().map(dns::bind).transpose()?;
        let dns_addr = names.as_ref().map(dns::Bound::addr).transpose()?;

        let run = Run::new(config.node().clone(), saved, clock);
        if let Some(dir) = &data_dir {
            // On disk before the first datagram leaves: a run that others have heard of must be
            // remembered, or the next one could have the same generation.
            let ring = || keyring.as_ref().map_or(Ok(()), |ring| dir.save_keyring(ring));
            match dir.save(&run.saved(clock)).and_then(|()| ring()) {
                Ok(()) => {}
                // Who has come back before comes back: the generation follows the clock as well, and
                // what was registered is wanted now.
                Err(error) if run.is_return => tracing::error!(
                    %error,
                    "the state file cannot be written; going on with what was saved, and changes are refused"
                ),
                Err(error) => return Err(error.into()),
            }
        }
        let identity = Identity {
            cluster: config.cluster().to_owned(),
            name: config.node().clone(),
            id: run.node_id,
            addr: advertised(config.advertise(), bound),
            generation: run.generation,
            tags: config.tags().clone(),
        };
        tracing::info!(
            node = %identity.name,
            cluster = identity.cluster,
            gossip = %bound,
            advertise = %identity.addr,
            socket = %config.socket().display(),
            generation = identity.generation.0,
            services = run.local.services.len(),
            checks = run.local.checks.len(),
            primary_key = keyring.as_ref().map(|ring| ring.primary().id().to_string()),
            "agent starts"
        );
        // Microseconds, so that the view's indexes rise from one run to the next.
        let index_seed = clock::unix_micros();
        let (builder, view) = ViewBuilder::new(identity.cluster.clone(), identity.name.key(), index_seed);
        let (core, local, book) = (config.core().clone(), run.local, run.address_book);
        let (id, seed, now) = (identity.clone(), rand::random(), clock.now());
        let mut agent = match keyring {
            Some(ring) => Agent::sealed(id, core, local, book, (ring, rand::random()), seed, now),
            None => Agent::new(id, core, local, book, seed, now),
        };
        reload::take_definitions(&mut agent, config.definitions(), clock.now())
            .map_err(StartError::Definitions)?;
        let mut publisher = Publisher::new(builder);
        publisher.set_clock(index_seed / 1_000);
        publisher.everything(&agent);
        publisher.publish();

        let (requests, inbox) = mpsc::channel(REQUESTS_MAX);
        let dns_metrics = names.is_some().then(|| Arc::new(DnsMetrics::default()));
        let access = Arc::new(config.access().build());
        let api = (wiring.api)(ApiParts {
            view: view.clone(),
            requests: requests.clone(),
            node: identity.name.clone(),
            node_id: identity.id,
            cluster: identity.cluster,
            gossip_addr: identity.addr,
            generation: identity.generation,
            started_unix_ms: index_seed / 1_000,
            config: shown(&config),
            dns: dns_metrics.clone(),
            logs: wiring.log.as_ref().map(LogControl::feed),
            access: Arc::clone(&access),
        });
        let api = Server::start(wiring.runtime, api, unix, tcp)?;
        let dns = match (names, dns_metrics) {
            (Some(names), Some(metrics)) => {
                let options = config.dns().options().clone();
                Some(dns::Server::start(wiring.runtime, names, options, view, metrics)?)
            }
            _ => None,
        };
        let servers = Servers { api, dns };
        let writer = data_dir.map(StateWriter::start).transpose()?;
        let shutdown = Shutdown::default();
        let (end, ending) = oneshot::channel();
        let running = Running {
            gossip_addr: bound,
            join_addr: identity.addr,
            node: identity.name,
            socket: config.socket().to_owned(),
            http: http_addr,
            dns: dns_addr,
            requests,
            shutdown: shutdown.clone(),
            ending,
            ended: None,
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let socket = {
            let _inside = runtime.enter();
            GossipSocket::new(gossip)?
        };
        let driver = Driver::new(Parts {
            agent,
            clock,
            socket,
            publisher,
            registrations: Registrations::new(writer),
            requests: inbox,
            config,
            log: wiring.log,
            access,
            interference: wiring.interference,
            shutdown,
            runtime: wiring.runtime.clone(),
        });
        std::thread::Builder::new().name("shoal-protocol".to_owned()).spawn(move || {
            // Dropped last, also when the loop panics: the socket file is ours until then.
            let socket_file = socket_file;
            let ended = runtime.block_on(driver.run(servers));
            // A name server that does not answer must not hold up the end.
            runtime.shutdown_background();
            drop(socket_file);
            let _ = end.send(ended);
        })?;
        Ok(running)
    }
}

/// What a run starts with.
struct Run {
    node: NodeName,
    /// Something was saved by an earlier run.
    is_return: bool,
    generation: Generation,
    node_id: NodeId,
    local: LocalState,
    address_book: Vec<SocketAddr>,
}

impl Run {
    fn new(node: NodeName, saved: Option<Saved>, clock: Clock) -> Self {
        let moment = clock.moment();
        // Of a host that was cloned, or renamed. Two nodes must not have one identifier.
        let stranger =
            saved.as_ref().filter(|s| !s.node.is_empty() && !s.node.eq_ignore_ascii_case(node.as_str()));
        if let Some(saved) = stranger {
            tracing::warn!(
                written_by = saved.node,
                node = node.as_str(),
                services = saved.services(),
                "the data directory is another node's, as after a clone or a change of name: this node \
                 takes a new identifier, and keeps the registrations; deregister what does not run here"
            );
        }
        let renamed = stranger.is_some();
        let last = saved.as_ref().map(|s| s.generation);
        let generation = Generation::for_new_run(last, moment.unix_ms);
        match saved {
            Some(saved) => Self {
                node,
                is_return: true,
                generation,
                node_id: if renamed { NodeId::from_random(rand::random()) } else { saved.node_id },
                local: saved.restore(moment),
                address_book: saved.address_book,
            },
            None => Self {
                node,
                is_return: false,
                generation,
                node_id: NodeId::from_random(rand::random()),
                local: LocalState::default(),
                address_book: Vec::new(),
            },
        }
    }

    fn saved(&self, clock: Clock) -> Saved {
        let author = Author { node: self.node.clone(), node_id: self.node_id, generation: self.generation };
        Saved::new(author, &self.local, self.address_book.clone(), clock.moment())
    }
}

/// The configuration as the API shows it.
fn shown(config: &AgentConfig) -> serde_json::Value {
    let table = config.to_toml();
    serde_json::to_value(table).expect("a table of texts, numbers and booleans is an object in JSON too")
}

/// What others are told, now that the port is known.
fn advertised(advertise: Option<SocketAddr>, bound: SocketAddr) -> SocketAddr {
    let mut addr = advertise.unwrap_or(bound);
    if addr.port() == 0 {
        addr.set_port(bound.port());
    }
    addr
}

impl Running {
    /// Where gossip is received, with the real port.
    pub const fn gossip_addr(&self) -> SocketAddr {
        self.gossip_addr
    }

    /// What others join through: the advertised address.
    pub const fn join_addr(&self) -> SocketAddr {
        self.join_addr
    }

    /// This node's name.
    pub const fn node(&self) -> &NodeName {
        &self.node
    }

    /// The API's Unix socket.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// The API's TCP address, with the real port, if there is one.
    pub const fn http(&self) -> Option<SocketAddr> {
        self.http
    }

    /// Where DNS is served, with the real port, if it is.
    pub const fn dns(&self) -> Option<SocketAddr> {
        self.dns
    }

    /// The way to the loop; closed once the agent has ended.
    pub const fn requests(&self) -> &mpsc::Sender<Request> {
        &self.requests
    }

    /// Starts a graceful leave. [`wait`](Self::wait) tells when it is done.
    pub fn stop(&self) {
        self.shutdown.graceful.cancel();
    }

    /// Ends the agent at once, as if its process had been killed. What was answered as durable is.
    pub fn abort(&self) {
        self.shutdown.at_once.cancel();
    }

    /// Waits until the agent has ended and everything it held is free again.
    pub async fn wait(&mut self) -> Ended {
        if self.ended.is_none() {
            self.ended = Some((&mut self.ending).await.unwrap_or(Ended::Crashed));
        }
        self.ended.clone().unwrap_or(Ended::Crashed)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_are_told_the_bound_port_unless_another_is_given() {
        let addr = |t: &str| -> SocketAddr { t.parse().expect("valid") };
        let bound = addr("127.0.0.1:4321");
        assert_eq!(advertised(None, bound), bound);
        assert_eq!(advertised(Some(addr("10.0.0.5:0")), bound), addr("10.0.0.5:4321"));
        assert_eq!(advertised(Some(addr("10.0.0.5:9")), bound), addr("10.0.0.5:9"));
    }
}
