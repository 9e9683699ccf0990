//! The hosts: an agent each, with its services and somebody who looks through it.

use super::network::{Card, Network};
use super::observer::{self, Dated};
use super::service::{Serving, registration};
use super::shop::{Host, Instance};
use crate::agent::{AgentArgs, AgentConfig, ApiParts, Running, Shell, Wiring};
use crate::api::Api;
use crate::client::Client;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// An agent that was killed is gone within this time, or is left behind.
const END_MAX: Duration = Duration::from_millis(500);

/// What all hosts have in common.
#[derive(Debug, Clone)]
pub(super) struct Site<F> {
    pub(super) dir: PathBuf,
    pub(super) profile: &'static str,
    pub(super) network: Arc<Network>,
    pub(super) news: mpsc::Sender<Dated>,
    /// Makes the API of an agent.
    pub(super) api: F,
}

/// One host.
#[derive(Debug)]
pub(super) struct Machine {
    pub(super) host: Host,
    socket: PathBuf,
    client: Client,
    /// Where it receives gossip, from its first start on.
    gossip: Option<SocketAddr>,
    /// Where its API answers over TCP as well, which is so on the first host.
    http: Option<SocketAddr>,
    ports: BTreeMap<Instance, u16>,
    agent: Option<Process>,
    services: BTreeMap<Instance, Serving>,
}

/// What ends with the agent's process.
#[derive(Debug)]
struct Process {
    running: Running,
    runtime: Option<Runtime>,
    _observer: JoinSet<()>,
}

impl Drop for Process {
    fn drop(&mut self) {
        // Its threads are not waited for, as nobody waits for those of a process that was killed.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Machine {
    pub(super) fn new(host: Host, dir: &Path) -> Result<Self, String> {
        let socket = dir.join(format!("{host}.sock"));
        let client = Client::connect(&socket).map_err(|e| e.to_string())?;
        let (ports, services) = (BTreeMap::new(), BTreeMap::new());
        Ok(Self { host, socket, client, gossip: None, http: None, ports, agent: None, services })
    }

    pub(super) fn socket(&self) -> &Path {
        &self.socket
    }

    pub(super) const fn client(&self) -> &Client {
        &self.client
    }

    pub(super) const fn http(&self) -> Option<SocketAddr> {
        self.http
    }

    pub(super) const fn gossip(&self) -> Option<SocketAddr> {
        self.gossip
    }

    /// Starts what does not run: the agent, which joins through `join`, and the services.
    pub(super) async fn start<F>(&mut self, site: &Site<F>, join: &[SocketAddr]) -> Result<(), String>
    where
        F: Fn(ApiParts) -> Api + Clone + Send + 'static,
    {
        let fault = |what: &str, error: &dyn std::fmt::Display| format!("{}: {what}: {error}", self.host);
        if self.agent.is_none() {
            let process = match self.launch(site, join, self.http).await {
                // Somebody else may have its TCP port by now.
                Err(_) if self.http.is_some() => self.launch(site, join, None).await,
                launched => launched,
            };
            let process = process.map_err(|e| fault("the agent does not start", &e))?;
            self.gossip = Some(process.running.gossip_addr());
            self.http = process.running.http();
            site.network.place(self.host, process.running.gossip_addr());
            self.agent = Some(process);
        }
        for instance in self.host.instances() {
            if self.services.contains_key(&instance) {
                continue;
            }
            let before = self.ports.get(&instance).copied();
            let serving = Serving::start(instance, before, &self.client)
                .await
                .map_err(|e| fault(&format!("{instance} finds no port"), &e))?;
            // The agent remembers what was registered, over a kill too.
            if before != Some(serving.port()) {
                let service = registration(instance, serving.port());
                self.client.register(service).await.map_err(|e| fault("registering", &e))?;
                self.ports.insert(instance, serving.port());
            }
            self.services.insert(instance, serving);
        }
        Ok(())
    }

    async fn launch<F>(
        &self,
        site: &Site<F>,
        join: &[SocketAddr],
        http: Option<SocketAddr>,
    ) -> Result<Process, String>
    where
        F: Fn(ApiParts) -> Api + Clone + Send + 'static,
    {
        let any = || "127.0.0.1:0".to_owned();
        let is_first = Host::all().next() == Some(self.host);
        let args = AgentArgs {
            node: Some(self.host.name().to_owned()),
            cluster: Some("shop".to_owned()),
            bind: Some(self.gossip.map_or_else(any, |addr| addr.to_string())),
            http: is_first.then(|| http.map_or_else(any, |addr| addr.to_string())),
            join: join.iter().map(ToString::to_string).collect(),
            socket: Some(self.socket.clone()),
            data_dir: Some(site.dir.join(self.host.name())),
            profile: Some(site.profile.to_owned()),
            ..AgentArgs::default()
        };
        let config = AgentConfig::load(&args).map_err(|e| e.to_string())?;
        // One thread: while it stands still, so does all that this agent serves.
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name(format!("shop-{}", self.host))
            .enable_all()
            .build()
            .map_err(|e| e.to_string())?;
        let card = Card { network: Arc::clone(&site.network), host: self.host };
        let (api, handle) = (site.api.clone(), runtime.handle().clone());
        // Files are written, and on an error a runtime ends, which must not be in a task.
        let started = tokio::task::spawn_blocking(move || {
            let interference = Some(Arc::new(card) as _);
            Shell::start(config, Wiring { runtime: &handle, api, log: None, interference })
        });
        let mut process = match started.await {
            Ok(Ok(running)) => Process { running, runtime: Some(runtime), _observer: JoinSet::new() },
            failed => {
                runtime.shutdown_background();
                return Err(match failed {
                    Ok(Err(error)) => error.to_string(),
                    Ok(Ok(_)) => String::new(),
                    Err(died) => died.to_string(),
                });
            }
        };
        process._observer.spawn(observer::observe(self.host, self.client.clone(), site.news.clone()));
        Ok(process)
    }

    /// Ends everything here as `kill -9` of all processes does.
    pub(super) async fn kill(&mut self, network: &Network) {
        self.services.clear();
        network.stand(self.host, false);
        if let Some(mut process) = self.agent.take() {
            process.running.abort();
            tokio::time::timeout(END_MAX, process.running.wait()).await.ok();
        }
    }

    /// The agent stands still until it is resumed.
    pub(super) fn pause(&self, network: &Arc<Network>) {
        network.stand(self.host, true);
        if let Some(runtime) = self.agent.as_ref().and_then(|process| process.runtime.as_ref()) {
            let (network, host) = (Arc::clone(network), self.host);
            // Takes the only thread of this agent's API, which is what is wanted.
            runtime.spawn(async move { network.wait_for(host) });
        }
    }

    pub(super) fn resume(&self, network: &Network) {
        network.stand(self.host, false);
    }

    pub(super) fn crash(&mut self, instance: Instance) {
        self.services.remove(&instance);
    }
}
