//! The shop's services: small HTTP servers, and workers that report by heartbeats.

use super::shop::{CHECK_EVERY, HEARTBEAT_EVERY, HEARTBEAT_TTL, Instance};
use crate::client::{CheckSpec, Client, Service};
use crate::model::CheckStatus;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

/// Connections that one instance serves at one time; more are closed at once.
const CONNECTIONS_MAX: usize = 64;
/// A check waits for so long; longer than a busy machine takes.
const CHECK_TIMEOUT: Duration = Duration::from_secs(2);

/// An instance that serves; it ends, as a killed process, when this is dropped.
#[derive(Debug)]
pub(super) struct Serving {
    port: u16,
    _tasks: JoinSet<()>,
}

impl Serving {
    /// Serves on `port`, where it was before, or on any.
    pub(super) async fn start(instance: Instance, port: Option<u16>, agent: &Client) -> io::Result<Self> {
        let at = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let listener = match TcpListener::bind(at(port.unwrap_or(0))).await {
            // Somebody else took it meanwhile.
            Err(_) if port.is_some() => TcpListener::bind(at(0)).await?,
            bound => bound?,
        };
        let port = listener.local_addr()?.port();
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(listener, instance));
        if instance.beats() {
            tasks.spawn(beat(agent.clone(), format!("service:{instance}")));
        }
        Ok(Self { port, _tasks: tasks })
    }

    pub(super) const fn port(&self) -> u16 {
        self.port
    }
}

/// What an instance's agent is told of it.
pub(super) fn registration(instance: Instance, port: u16) -> Service {
    let service = Service::new(instance.service()).id(instance.id()).port(port).tag("shop");
    if instance.beats() {
        return service.ttl(HEARTBEAT_TTL);
    }
    let url = format!("http://127.0.0.1:{port}/health");
    // Passing from the start: it is there, or it would not be registered.
    service
        .check(CheckSpec::http(url).interval(CHECK_EVERY).timeout(CHECK_TIMEOUT))
        .status(CheckStatus::Passing)
}

async fn serve(listener: TcpListener, instance: Instance) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) if connections.len() < CONNECTIONS_MAX => {
                    connections.spawn(answer(stream, instance));
                }
                Ok(_) => {}
                // No descriptors are left; others may end.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn answer(stream: TcpStream, instance: Instance) {
    let reply = |_: Request<Incoming>| async move {
        Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(format!("{instance} at your service\n")))))
    };
    // Whoever asked went away.
    http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(reply)).await.ok();
}

async fn beat(agent: Client, check: String) {
    let mut ticks = interval(HEARTBEAT_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let told = agent.heartbeat_check(&check, CheckStatus::Passing, "");
        // An agent that is away, or stands still, is told the next time.
        tokio::time::timeout(HEARTBEAT_EVERY, told).await.ok();
    }
}
