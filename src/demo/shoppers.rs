//! The load: requests to the shop's services, each to an instance that an agent names at that moment.

use super::board::News;
use super::network::Network;
use super::observer::Dated;
use super::sales::{Fault, Request};
use super::shop::{HOSTS, Host, Instance, SERVICES};
use crate::client::{Client, Endpoint};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};

/// Time between two requests.
pub(super) const EVERY: Duration = Duration::from_millis(100);
/// A shopper waits for so long, for the agent and for the service each.
const PATIENCE: Duration = Duration::from_millis(500);
/// Requests under way at one time.
const UNDER_WAY_MAX: usize = 64;

/// All shoppers.
#[derive(Debug)]
pub(super) struct Shoppers {
    /// Clients of all agents, by host.
    pub(super) agents: Vec<Client>,
    pub(super) network: Arc<Network>,
    pub(super) news: mpsc::Sender<Dated>,
    pub(super) requests: mpsc::Sender<(Instant, Request)>,
}

impl Shoppers {
    /// Shops for ever. What is under way ends with this.
    pub(super) async fn shop(self) {
        let shared = Arc::new((self, AtomicUsize::new(0)));
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut under_way = JoinSet::new();
        let mut number = 0_usize;
        loop {
            tokio::select! {
                _ = ticks.tick() => {
                    if under_way.len() < UNDER_WAY_MAX {
                        let shared = Arc::clone(&shared);
                        under_way.spawn(async move { shared.0.buy(number, &shared.1).await });
                        number = number.wrapping_add(1);
                    }
                }
                Some(_) = under_way.join_next() => {}
            }
        }
    }

    async fn buy(&self, number: usize, home: &AtomicUsize) {
        let (service, turn) = (number % SERVICES.len(), number / SERVICES.len());
        let at = home.load(Ordering::Relaxed) % HOSTS;
        let from = Host::all().nth(at).expect("there are so many");
        let (instance, outcome) = match timeout(PATIENCE, self.agents[at].resolve(SERVICES[service])).await {
            Ok(Ok(found)) => self.visit(from, &found, turn).await,
            Ok(Err(_)) | Err(_) => {
                self.move_on(from, home).await;
                (None, Err(Fault::AgentSilent(from)))
            }
        };
        let request = Request { at: Duration::ZERO, service, instance, outcome };
        // Nobody counts any more when this fails.
        self.requests.send((Instant::now(), request)).await.ok();
    }

    /// Asks the next host's agent from now on, once for each that is silent.
    async fn move_on(&self, from: Host, home: &AtomicUsize) {
        let next = from.next();
        let moved =
            home.compare_exchange(from.index(), next.index(), Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if moved {
            self.news.send((Instant::now(), News::Moved { from, to: next })).await.ok();
        }
    }

    async fn visit(
        &self,
        from: Host,
        found: &[Endpoint],
        turn: usize,
    ) -> (Option<Instance>, Result<(), Fault>) {
        let Some(endpoint) = found.get(turn % found.len().max(1)) else {
            return (None, Err(Fault::NobodyOffers));
        };
        let instance = Instance::named(&endpoint.id);
        if instance.is_some_and(|i| self.network.is_cut(from, i.host())) {
            sleep(PATIENCE).await;
            return (instance, Err(Fault::Unanswered));
        }
        let outcome = match timeout(PATIENCE, get(endpoint)).await {
            Ok(Some(())) => Ok(()),
            Ok(None) => Err(Fault::Refused),
            Err(_) => Err(Fault::Unanswered),
        };
        (instance, outcome)
    }
}

/// One GET on a connection of its own; `None` where that goes wrong.
async fn get(endpoint: &Endpoint) -> Option<()> {
    let stream = TcpStream::connect((endpoint.address.as_str(), endpoint.port)).await.ok()?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.ok()?;
    let ask = async {
        let request = http::Request::get("/buy")
            .header("host", endpoint.to_string())
            .body(Empty::<Bytes>::new())
            .ok()?;
        let answer = sender.send_request(request).await.ok()?;
        let good = answer.status().is_success();
        answer.into_body().collect().await.ok()?;
        good.then_some(())
    };
    tokio::select! {
        done = ask => done,
        _ = connection => None,
    }
}
