use super::answers::{Check, Instance, Key, Keyring, Member, Rtt, ServiceInstance, Status};
use super::transport::{Call, Transport};
use super::{Address, Error, Registration, Service, Watch};
use crate::model::{CheckStatus, Examination, KeyId, KeyMaterial};
use bytes::Bytes;
use http::Method;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::DeserializeOwned;
use serde_json::json;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::sync::Arc;
use std::time::Duration;

/// How long an answer may take; the agent answers from memory, so this only ends a hang.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);
/// Joining waits for other hosts, leaving waits until they know.
const SLOW_CALL_TIMEOUT: Duration = Duration::from_secs(90);

/// What RFC 3986 leaves alone in any place of a URL; the rest is encoded, `/` included.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

pub(super) fn encode(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
}

/// Which instances of a service to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query {
    /// Only those whose every check passes (a warning is too much).
    pub passing: bool,
    /// Only those that have all of these tags.
    pub tags: Vec<String>,
    /// Only those on this node.
    pub node: Option<String>,
    /// Nearest to this node first; `_agent` is the node that answers.
    pub near: Option<String>,
}

impl Query {
    fn encoded(&self) -> String {
        let mut pairs: Vec<String> = Vec::new();
        if self.passing {
            pairs.push("passing=true".to_owned());
        }
        pairs.extend(self.tags.iter().map(|tag| format!("tag={}", encode(tag))));
        pairs.extend(self.near.iter().map(|near| format!("near={}", encode(near))));
        if pairs.is_empty() { String::new() } else { format!("?{}", pairs.join("&")) }
    }
}

/// A client of one agent. Cheap to clone; clones share a connection.
///
/// Making one does no I/O: the first call connects, and a connection that broke is made again.
/// Calls need a Tokio runtime with I/O and time enabled.
///
/// ```no_run
/// # async fn example() -> Result<(), shoal::client::Error> {
/// use shoal::client::{Client, Query};
///
/// let shoal = Client::connect_default()?;
/// for instance in shoal.health("cart", &Query { passing: true, ..Query::default() }).await? {
///     println!("{} on {}", instance.service.id, instance.node.name);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Client {
    pub(super) transport: Arc<Transport>,
}

impl Client {
    /// A client of this host's agent, at [`default_socket_path`](super::default_socket_path).
    pub fn connect_default() -> Result<Self, Error> {
        Self::connect(super::default_socket_path())
    }

    /// A client of the agent at a socket path or a `tcp://HOST:PORT`; see [`Address::parse`].
    pub fn connect(address: impl AsRef<OsStr>) -> Result<Self, Error> {
        Ok(Self { transport: Arc::new(Transport::new(Address::parse(address)?)) })
    }

    /// The same with the token that an agent with `http_token_file` wants over TCP.
    pub fn with_token(self, token: &str) -> Result<Self, Error> {
        let address = self.transport.address().clone();
        Ok(Self { transport: Arc::new(Transport::new(address).with_token(token)?) })
    }

    /// Where the agent is expected.
    pub fn address(&self) -> &Address {
        self.transport.address()
    }

    // ---- registrations of this host

    /// Registers an instance, or replaces the one with the same id. With a TTL the call itself
    /// counts as the first heartbeat: the instance starts with [`Service::status`], passing
    /// unless told otherwise, also when it was registered before.
    pub async fn register(&self, service: Service) -> Result<Registration, Error> {
        let body = service.to_json()?;
        self.put("/v1/agent/service/register?replace-existing-checks=true", Some(&body)).await?;
        let registration = Registration::new(self.clone(), &service);
        if let Some(status) = service.first_heartbeat() {
            // A check that was registered before keeps its status, so say it again.
            registration.heartbeat_with(status, "").await?;
        }
        Ok(registration)
    }

    /// Removes an instance of this host and its checks.
    pub async fn deregister(&self, id: &str) -> Result<(), Error> {
        self.put(&format!("/v1/agent/service/deregister/{}", encode(id)), None).await
    }

    /// The instances registered on this host, by id.
    pub async fn local_services(&self) -> Result<BTreeMap<String, ServiceInstance>, Error> {
        self.get("/v1/agent/services").await
    }

    /// The checks registered on this host, by id.
    pub async fn local_checks(&self) -> Result<BTreeMap<String, Check>, Error> {
        self.get("/v1/agent/checks").await
    }

    /// Reports the state of one TTL check of this host, by its check id.
    pub async fn heartbeat_check(
        &self,
        check_id: &str,
        status: CheckStatus,
        note: &str,
    ) -> Result<(), Error> {
        let body = json!({"Status": status.as_str(), "Output": note});
        self.put(&format!("/v1/agent/check/update/{}", encode(check_id)), Some(&body)).await
    }

    /// Reports the state of TTL checks of this host and answers their ids. `target` is tried as
    /// an instance id (check `service:<id>`), then as a check id, then as the name or id of
    /// services, all of whose TTL checks are meant.
    pub async fn heartbeat(
        &self,
        target: &str,
        status: CheckStatus,
        note: &str,
    ) -> Result<Vec<String>, Error> {
        for id in [format!("service:{target}"), target.to_owned()] {
            match self.heartbeat_check(&id, status, note).await {
                Ok(()) => return Ok(vec![id]),
                Err(e) if e.is_unknown() => {}
                Err(e) => return Err(e),
            }
        }
        let mut beaten = Vec::new();
        for (id, check) in self.local_checks().await? {
            let meant = check.service_id == target || check.service_name.eq_ignore_ascii_case(target);
            if meant && check.kind == "ttl" {
                self.heartbeat_check(&id, status, note).await?;
                beaten.push(id);
            }
        }
        if beaten.is_empty() {
            let message = format!("no TTL check of this host belongs to {target:?}");
            return Err(Error::Api { status: 404, message });
        }
        Ok(beaten)
    }

    /// Takes an instance of this host out of service, or back in.
    pub async fn service_maintenance(&self, id: &str, enable: bool, reason: &str) -> Result<(), Error> {
        let path =
            format!("/v1/agent/service/maintenance/{}?enable={enable}&reason={}", encode(id), encode(reason));
        self.put(&path, None).await
    }

    /// Takes everything on this node out of service, or back in.
    pub async fn node_maintenance(&self, enable: bool, reason: &str) -> Result<(), Error> {
        self.put(&format!("/v1/agent/maintenance?enable={enable}&reason={}", encode(reason)), None).await
    }

    // ---- the table

    /// Every service of the cluster, with the tags of all its instances.
    pub async fn services(&self) -> Result<BTreeMap<String, Vec<String>>, Error> {
        self.get("/v1/catalog/services").await
    }

    /// The instances of a service with their checks; none for an unknown service.
    pub async fn health(&self, name: &str, query: &Query) -> Result<Vec<Instance>, Error> {
        let path = format!("/v1/health/service/{}{}", encode(name), query.encoded());
        let mut instances: Vec<Instance> = self.get(&path).await?;
        if let Some(node) = &query.node {
            instances.retain(|instance| instance.node.name.eq_ignore_ascii_case(node));
        }
        Ok(instances)
    }

    /// Every check of the cluster.
    pub async fn checks(&self) -> Result<Vec<Check>, Error> {
        self.get("/v1/health/state/any").await
    }

    /// The checks of a service's instances; none for an unknown service.
    pub async fn service_checks(&self, name: &str) -> Result<Vec<Check>, Error> {
        self.get(&format!("/v1/health/checks/{}", encode(name))).await
    }

    /// Follows one service. See [`Watch`].
    pub async fn watch(&self, service: &str) -> Result<Watch, Error> {
        Watch::open(self.clone(), Some(service)).await
    }

    /// Follows everything: members, instances and checks. See [`Watch`].
    pub async fn watch_all(&self) -> Result<Watch, Error> {
        Watch::open(self.clone(), None).await
    }

    // ---- membership

    /// The nodes this agent knows, itself included.
    pub async fn members(&self) -> Result<Vec<Member>, Error> {
        self.get("/v1/shoal/members").await
    }

    /// The round-trip time between two nodes, as far as this agent knows it; `_agent` is the node
    /// that answers.
    pub async fn rtt(&self, a: &str, b: &str) -> Result<Rtt, Error> {
        self.get(&format!("/v1/shoal/rtt?a={}&b={}", encode(a), encode(b))).await
    }

    /// Joins the cluster of the agent at `HOST[:PORT]`.
    pub async fn join(&self, address: &str) -> Result<(), Error> {
        self.put_slow(&format!("/v1/agent/join/{}", encode(address)), true).await
    }

    /// Makes the agent leave its cluster and end.
    pub async fn leave(&self) -> Result<(), Error> {
        match self.put_slow("/v1/agent/leave", false).await {
            // The process may be gone before its answer is through; gone is what was wanted.
            Err(Error::Io { .. }) if self.is_gone().await => Ok(()),
            answer => answer,
        }
    }

    /// Takes a failed node for one that left; `prune` forgets it as well.
    pub async fn force_leave(&self, node: &str, prune: bool) -> Result<(), Error> {
        let prune = if prune { "?prune=true" } else { "" };
        self.put_slow(&format!("/v1/agent/force-leave/{}{prune}", encode(node)), true).await
    }

    // ---- keys

    /// The keys that this agent has, the primary one first.
    pub async fn keyring(&self) -> Result<Vec<Key>, Error> {
        let answer: Keyring = self.get("/v1/shoal/keyring").await?;
        let alive = answer.alive;
        Ok(answer.keys.into_iter().map(|key| Key { alive, ..key }).collect())
    }

    /// Lets every agent of the cluster accept `key`; answers its id.
    pub async fn install_key(&self, key: &KeyMaterial) -> Result<KeyId, Error> {
        self.put("/v1/shoal/keyring/install", Some(&json!({"Key": key.to_base64()}))).await?;
        Ok(key.id())
    }

    /// Lets every agent seal with that key.
    pub async fn use_key(&self, id: KeyId, force: bool) -> Result<(), Error> {
        let force = if force { "?force" } else { "" };
        self.put(&format!("/v1/shoal/keyring/use/{id}{force}"), None).await
    }

    /// Lets no agent accept that key any more.
    pub async fn remove_key(&self, id: KeyId, force: bool) -> Result<(), Error> {
        let force = if force { "?force" } else { "" };
        self.put(&format!("/v1/shoal/keyring/remove/{id}{force}"), None).await
    }

    // ---- the agent itself

    /// The agent's own state.
    pub async fn status(&self) -> Result<Status, Error> {
        self.get::<serde_json::Value>("/v1/shoal/status").await.map(Status::from)
    }

    /// The agent's description of itself in Consul's words.
    pub async fn agent_self(&self) -> Result<serde_json::Value, Error> {
        self.get("/v1/agent/self").await
    }

    /// Makes it look at itself, at its host and at the way to `node`, or to some members: that takes two
    /// seconds. What was seen is judged by `shoal doctor`.
    pub async fn examine(&self, node: Option<&str>) -> Result<Examination, Error> {
        let of = node.map(|node| format!("?node={}", encode(node))).unwrap_or_default();
        self.get(&format!("/v1/shoal/doctor{of}")).await
    }

    /// Its counters, in Prometheus' text format.
    pub async fn metrics(&self) -> Result<String, Error> {
        let body = self.send(Method::GET, "/metrics", Bytes::new(), true, CALL_TIMEOUT).await?;
        Ok(String::from_utf8_lossy(&body).into_owned())
    }

    /// Makes it read its service files, tags, log level and keyring again.
    pub async fn reload(&self) -> Result<(), Error> {
        self.put_slow("/v1/agent/reload", true).await
    }

    // ---- inside

    async fn is_gone(&self) -> bool {
        matches!(self.agent_self().await, Err(Error::NoAgent { .. }))
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        let body = self.send(Method::GET, path, Bytes::new(), true, CALL_TIMEOUT).await?;
        serde_json::from_slice(&body)
            .map_err(|e| Error::Protocol { request: format!("GET {path}"), problem: e.to_string() })
    }

    async fn put(&self, path: &str, body: Option<&serde_json::Value>) -> Result<(), Error> {
        let body = body.map_or_else(Bytes::new, |body| Bytes::from(body.to_string()));
        self.send(Method::PUT, path, body, true, CALL_TIMEOUT).await.map(drop)
    }

    async fn put_slow(&self, path: &str, repeatable: bool) -> Result<(), Error> {
        self.send(Method::PUT, path, Bytes::new(), repeatable, SLOW_CALL_TIMEOUT).await.map(drop)
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
        repeatable: bool,
        within: Duration,
    ) -> Result<Bytes, Error> {
        self.transport.call(&Call { method, path: path.to_owned(), body, repeatable }, within).await
    }
}
