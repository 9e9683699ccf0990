//! Does to the shop what is asked, and keeps the board up to date.

use super::agents::{Machine, Site};
use super::board::{Board, Tone};
use super::network::Network;
use super::observer::Dated;
use super::sales::Request;
use super::script::{Act, Target};
use super::shop::{HOSTS, Host};
use super::shoppers::Shoppers;
use super::truth::{Doing, Truth};
use crate::agent::ApiParts;
use crate::api::Api;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

/// News that wait to be taken; then who has more waits.
const NEWS_MAX: usize = 1_024;
/// A call to an agent that runs takes milliseconds.
const CALL_MAX: Duration = Duration::from_secs(5);
/// Tries to remove the directory, while threads of agents that ended let go of it.
const REMOVALS: usize = 20;
const BETWEEN_REMOVALS: Duration = Duration::from_millis(20);

/// The shop with everything around it.
pub(super) struct Stage<F> {
    pub(super) board: Board,
    began: Instant,
    site: Site<F>,
    machines: Vec<Machine>,
    news: mpsc::Receiver<Dated>,
    requests: mpsc::Receiver<(Instant, Request)>,
    to_requests: mpsc::Sender<(Instant, Request)>,
    shoppers: JoinSet<()>,
    dir: Option<TempDir>,
}

impl<F> Stage<F>
where
    F: Fn(ApiParts) -> Api + Clone + Send + 'static,
{
    /// A place for the shop; nothing runs yet.
    pub(super) fn new(profile: &'static str, api: F) -> Result<Self, String> {
        let dir = tempfile::Builder::new()
            .prefix("shoal-demo-")
            .tempdir()
            .map_err(|e| format!("no directory for the sockets: {e}"))?;
        let network = Arc::new(Network::default());
        let (to_news, news) = mpsc::channel(NEWS_MAX);
        let (to_requests, requests) = mpsc::channel(NEWS_MAX);
        let machines = Host::all().map(|host| Machine::new(host, dir.path())).collect::<Result<_, _>>()?;
        let site = Site { dir: dir.path().to_owned(), profile, network, news: to_news, api };
        Ok(Self {
            board: Board::new(Duration::ZERO),
            began: Instant::now(),
            site,
            machines,
            news,
            requests,
            to_requests,
            shoppers: JoinSet::new(),
            dir: Some(dir),
        })
    }

    /// Opens the shop: agents, services and shoppers.
    pub(super) async fn open(&mut self) -> Result<(), String> {
        for n in 0..self.machines.len() {
            let join = self.others(n);
            self.machines[n].start(&self.site, &join).await?;
        }
        let shoppers = Shoppers {
            agents: self.machines.iter().map(|machine| machine.client().clone()).collect(),
            network: Arc::clone(&self.site.network),
            news: self.site.news.clone(),
            requests: self.to_requests.clone(),
        };
        self.shoppers.spawn(shoppers.shop());
        Ok(())
    }

    /// Where the other agents are, as far as they were ever started.
    fn others(&self, but: usize) -> Vec<SocketAddr> {
        let others = self.machines.iter().enumerate().filter(|(n, _)| *n != but);
        others.filter_map(|(_, machine)| machine.gossip()).collect()
    }

    pub(super) const fn profile(&self) -> &'static str {
        self.site.profile
    }

    /// Sockets of all agents, by host.
    pub(super) fn sockets(&self) -> [PathBuf; HOSTS] {
        std::array::from_fn(|n| self.machines[n].socket().to_owned())
    }

    /// Where the first agent's API answers over TCP.
    pub(super) fn http(&self) -> Option<SocketAddr> {
        self.machines.first().and_then(Machine::http)
    }

    /// Since the shop was opened.
    pub(super) fn now(&self) -> Duration {
        self.began.elapsed()
    }

    /// Takes in what happens until `deadline`, and returns after each thing that did.
    pub(super) async fn next(&mut self, deadline: Instant) {
        let since = |at: Instant| at.saturating_duration_since(self.began);
        tokio::select! {
            biased;
            Some((at, news)) = self.news.recv() => self.board.take(news, since(at)),
            Some((at, request)) = self.requests.recv() => {
                self.board.sales.take(Request { at: since(at), ..request });
            }
            () = tokio::time::sleep_until(deadline) => {}
        }
        self.board.tick(self.now());
    }

    /// Does `act`. What makes no sense, or cannot be done, is said on the board and answered `false`.
    pub(super) async fn act(&mut self, act: &Act) -> bool {
        let now = self.now();
        let before = self.board.truth().clone();
        let done = match self.board.act(act, now) {
            Ok(()) => self.perform(act, &before).await,
            Err(why) => Err(format!("{act}: {why}")),
        };
        if let Err(why) = &done {
            self.board.say(now, Tone::Bad, why.clone());
        }
        done.is_ok()
    }

    async fn perform(&mut self, act: &Act, before: &Truth) -> Result<(), String> {
        let network = Arc::clone(&self.site.network);
        match act {
            Act::Kill(host) => self.machines[host.index()].kill(&network).await,
            Act::Pause(host) => self.machines[host.index()].pause(&network),
            Act::Unplug(_) | Act::Partition(_) => network.cut(self.board.truth().sides()),
            Act::Drain(target) => self.maintenance(*target, true).await?,
            Act::Undrain(target) => self.maintenance(*target, false).await?,
            Act::Crash(instance) => self.machines[instance.host().index()].crash(*instance),
            Act::Heal(host) => {
                network.cut(self.board.truth().sides());
                for healed in Host::all().filter(|h| host.is_none_or(|host| host == *h)) {
                    if before.agent(healed) == Doing::Paused {
                        self.machines[healed.index()].resume(&network);
                    }
                    let join = self.others(healed.index());
                    self.machines[healed.index()].start(&self.site, &join).await?;
                }
            }
        }
        Ok(())
    }

    async fn maintenance(&self, target: Target, on: bool) -> Result<(), String> {
        let agent = self.machines[target.host().index()].client();
        let told = async {
            match target {
                Target::Host(_) => agent.node_maintenance(on, "shoal demo").await,
                Target::Instance(instance) => {
                    agent.service_maintenance(instance.id(), on, "shoal demo").await
                }
            }
        };
        match timeout(CALL_MAX, told).await {
            Ok(told) => told.map_err(|e| format!("{target}: {e}")),
            Err(_) => Err(format!("{target}: its agent did not answer within {CALL_MAX:?}")),
        }
    }

    /// Ends everything at once, and removes what was written.
    pub(super) async fn close(&mut self) {
        self.shoppers.shutdown().await;
        // Nobody is told any more, and nobody waits to tell.
        self.news.close();
        self.requests.close();
        let network = Arc::clone(&self.site.network);
        let all = self.machines.iter_mut().map(|machine| machine.kill(&network));
        futures_util::future::join_all(all).await;
        let Some(dir) = self.dir.take() else { return };
        let path = dir.keep();
        for _ in 0..REMOVALS {
            match std::fs::remove_dir_all(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {}
                _ => return,
            }
            tokio::time::sleep(BETWEEN_REMOVALS).await;
        }
    }
}
