//! A router, a view, and a task that answers requests as the agent's loop does.

use crate::api::access::Access;
use crate::api::request::{Request, RequestError};
use crate::api::{Api, Context, Limits, LogFeed, MoreMetrics, StaticInfo};
use crate::core::local::apply;
use crate::model::{
    CheckRecord, Coordinate, Examination, Extensions, Generation, InstanceId, Instant, KeyringError,
    LinkFacts, LocalCheck, LocalError, LocalState, Member, MemberStatus, NodeId, NodeKey, NodeName,
    NodeRecord, ServiceName, ServiceRecord, UserEvent, UserEventId, Version, Weights,
};
use crate::view::{AgentStatus, ViewBuilder, ViewReader};
use axum::body::Body;
use http::{HeaderMap, Method, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use tokio::sync::mpsc;
use tower::ServiceExt as _;

pub(in crate::api) const SEED: u64 = 1_000;

/// What came back.
#[derive(Debug, Clone)]
pub(in crate::api) struct Answer {
    pub(in crate::api) status: u16,
    pub(in crate::api) headers: HeaderMap,
    pub(in crate::api) body: String,
}

impl Answer {
    #[track_caller]
    pub(in crate::api) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }

    pub(in crate::api) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |v| v.to_str().expect("ascii"))
    }

    #[track_caller]
    pub(in crate::api) fn index(&self) -> u64 {
        self.header("x-consul-index").parse().expect("reads have an index")
    }
}

/// The API as a service that tests can call without a connection.
pub(in crate::api) fn router(context: Context) -> axum::Router {
    let api = Api::new(context);
    axum::Router::new().fallback(move |request: http::Request<Body>| api.answer(request))
}

#[derive(Clone)]
pub(in crate::api) struct World {
    pub(in crate::api) router: axum::Router,
    pub(in crate::api) builder: Arc<Mutex<ViewBuilder>>,
    pub(in crate::api) logs: LogFeed,
    pub(in crate::api) views: ViewReader,
}

pub(in crate::api) fn key(node: &str) -> NodeKey {
    NodeName::new(node).expect("valid").key()
}

pub(in crate::api) fn service_record(id: &str, name: &str, tags: &[&str], port: u16) -> ServiceRecord {
    ServiceRecord {
        id: InstanceId::new(id).expect("valid"),
        name: ServiceName::new(name).expect("valid"),
        tags: tags.iter().map(|t| (*t).to_owned()).collect(),
        address: String::new(),
        tagged_addresses: BTreeMap::new(),
        port,
        socket_path: String::new(),
        meta: BTreeMap::new(),
        weights: Weights::default(),
        enable_tag_override: false,
        extensions: Extensions::new(),
    }
}

fn shared(check: &LocalCheck) -> CheckRecord {
    let d = &check.definition;
    CheckRecord {
        id: d.id.clone(),
        name: d.name.clone(),
        service_id: d.service_id.clone(),
        status: check.status,
        notes: d.notes.clone(),
        output: check.output.to_string(),
        kind: d.kind.as_str().to_owned(),
        interval: d.interval.clone(),
        timeout: d.timeout.clone(),
        extensions: Extensions::new(),
    }
}

/// Tells the builder of every difference, in the spirit of the agent's loop.
fn tell(builder: &mut ViewBuilder, own: NodeKey, before: &LocalState, after: &LocalState) {
    let versioned = |r: ServiceRecord| (Generation(1), Version(1), r);
    for id in before.services.keys().filter(|id| !after.services.contains_key(*id)) {
        builder.set_service(own, id, None);
    }
    for (id, record) in &after.services {
        builder.set_service(own, id, Some(versioned((**record).clone())));
    }
    for id in before.checks.keys().filter(|id| !after.checks.contains_key(*id)) {
        builder.set_check(own, id, None);
    }
    for (id, check) in after.checks.iter() {
        let same_status = before
            .checks
            .get(id)
            .is_some_and(|b| b.status == check.status && b.definition == check.definition);
        if !same_status {
            builder.set_check(own, id, Some((Generation(1), Version(1), shared(check))));
        }
    }
    builder.set_local(after.clone());
    builder.publish();
}

async fn serve(mut requests: mpsc::Receiver<Request>, builder: Arc<Mutex<ViewBuilder>>) {
    let mut state = LocalState::default();
    let mut fired = 0;
    while let Some(request) = requests.recv().await {
        match request {
            Request::Local(command, reply) => {
                let mut next = state.clone();
                let result = apply(&mut next, &command, Instant::START);
                let result = match result {
                    Ok(()) if next.services.len() > 20 => {
                        Err(LocalError::TooManyEntries { have: 20, max: 20 })
                    }
                    other => other,
                };
                if result.is_ok() {
                    tell(&mut builder.lock().expect("not poisoned"), key("n1"), &state, &next);
                    state = next;
                }
                let _ = reply.send(result.map_err(RequestError::from));
            }
            Request::Fire(content, reply) => {
                fired += 1;
                let from = NodeName::new("n1").expect("valid");
                let event =
                    Arc::new(UserEvent { id: UserEventId::from_random(fired), from, content: *content });
                let mut builder = builder.lock().expect("not poisoned");
                builder.push_user_event(Arc::clone(&event));
                builder.publish();
                let _ = reply.send(Ok(event));
            }
            Request::Join(addresses, reply) => {
                let result = match addresses.iter().any(|a| a == "dead:1") {
                    true => Err(RequestError::Join("no answer from dead:1".to_owned())),
                    false => Ok(2),
                };
                let _ = reply.send(result);
            }
            Request::Leave(reply) => drop(reply.send(Ok(()))),
            Request::ForceLeave { reply, .. } => {
                let _ = reply.send(Err(RequestError::ForceLeave("it is alive".to_owned())));
            }
            Request::Keyring(_, reply) => {
                drop(reply.send(Err(RequestError::Keyring(KeyringError::Plaintext))));
            }
            Request::Examine(nodes, reply) => {
                let link = |node: NodeName| LinkFacts { node: node.to_string(), ..LinkFacts::default() };
                let links = nodes.into_iter().map(link).collect();
                drop(reply.send(Ok(Box::new(Examination { links, ..Examination::default() }))));
            }
            Request::Reload(reply) => {
                drop(reply.send(Err(RequestError::Reload("a.toml: bad key".to_owned()))))
            }
        }
    }
}

impl World {
    /// The node n1 (10.0.0.1, rack r1) alone.
    pub(in crate::api) fn new() -> Self {
        Self::with_limits(Limits { waiters_max: 8, ..Limits::default() })
    }

    pub(in crate::api) fn with_limits(limits: Limits) -> Self {
        Self::with(limits, Arc::default())
    }

    /// Where not everybody may do everything.
    pub(in crate::api) fn with(limits: Limits, access: Arc<Access>) -> Self {
        let (mut builder, view) = ViewBuilder::new("dc1".to_owned(), key("n1"), SEED);
        builder.set_status(AgentStatus { gossip_addr: "10.0.0.1:7946".to_owned(), ..AgentStatus::default() });
        let builder = Arc::new(Mutex::new(builder));
        let (requests, received) = mpsc::channel(16);
        tokio::spawn(serve(received, Arc::clone(&builder)));
        let logs = LogFeed::default();
        let views = view.clone();
        let info = StaticInfo {
            node: NodeName::new("n1").expect("valid"),
            node_id: NodeId([1; 16]),
            datacenter: "dc1".to_owned(),
            agent_version: "0.1.0".to_owned(),
            started_unix_ms: 7,
            limits,
            config: serde_json::json!({ "bind": "10.0.0.1" }),
            script_checks: false,
            settings: serde_json::json!({ "profile": "lan" }),
        };
        let world = Self {
            router: router(Context {
                view,
                requests,
                info,
                more_metrics: MoreMetrics::default(),
                logs: Some(logs.clone()),
                access,
            }),
            builder,
            logs,
            views,
        };
        world.node("n1", 1, MemberStatus::Alive);
        world
    }

    pub(in crate::api) fn edit(&self, edit: impl FnOnce(&mut ViewBuilder)) {
        let mut builder = self.builder.lock().expect("not poisoned");
        edit(&mut builder);
        builder.publish();
    }

    /// A node at 10.0.0.`number` in rack r`number`.
    pub(in crate::api) fn node(&self, name: &str, number: u8, status: MemberStatus) {
        let addr = std::net::SocketAddr::from(([10, 0, 0, number], 7946));
        let member = Member {
            key: key(name),
            generation: Generation(1),
            incarnation: 0,
            status,
            addr,
            rtt: None,
            coordinate: None,
            held: false,
        };
        let record = NodeRecord {
            name: NodeName::new(name).expect("valid"),
            id: NodeId([number; 16]),
            addr,
            tags: BTreeMap::from([("rack".to_owned(), format!("r{number}"))]),
            agent_version: "0.1.0".to_owned(),
            left: false,
            extensions: Extensions::new(),
        };
        self.edit(|builder| {
            builder.set_member(member);
            builder.set_node(key(name), Some((Generation(1), Version(1), record)));
        });
    }

    /// Where a node is: its time from n1 and the place it told, in milliseconds along one line.
    pub(in crate::api) fn place(&self, name: &str, number: u8, rtt_ms: Option<u64>, at_ms: Option<f64>) {
        let addr = std::net::SocketAddr::from(([10, 0, 0, number], 7946));
        let coordinate = at_ms.map(|at| {
            let mut vec = [0.0; 8];
            vec[0] = at / 1_000.0;
            Coordinate::new(vec, 0.1, 0.0, 0.0005).expect("within bounds")
        });
        let member = Member {
            key: key(name),
            generation: Generation(1),
            incarnation: 0,
            status: MemberStatus::Alive,
            addr,
            rtt: rtt_ms.map(std::time::Duration::from_millis),
            coordinate,
            held: false,
        };
        self.edit(|builder| builder.set_member(member));
    }

    pub(in crate::api) fn service(&self, node: &str, record: ServiceRecord) {
        let id = record.id.clone();
        self.edit(|builder| builder.set_service(key(node), &id, Some((Generation(1), Version(1), record))));
    }

    pub(in crate::api) fn no_service(&self, node: &str, id: &str) {
        self.edit(|builder| builder.set_service(key(node), &InstanceId::new(id).expect("valid"), None));
    }

    pub(in crate::api) fn request(method: &str, target: &str, body: &str) -> http::Request<Body> {
        http::Request::builder()
            .method(Method::from_bytes(method.as_bytes()).expect("valid"))
            .uri(target)
            .body(Body::from(body.to_owned()))
            .expect("valid")
    }

    pub(in crate::api) async fn send(&self, request: http::Request<Body>) -> Answer {
        let reply = self.router.clone().oneshot(request).await.expect("routers do not fail");
        let (parts, body) = reply.into_parts();
        let bytes = body.collect().await.expect("bodies end well").to_bytes();
        let body = String::from_utf8(bytes.to_vec()).expect("text");
        Answer { status: parts.status.as_u16(), headers: parts.headers, body }
    }

    pub(in crate::api) async fn get(&self, target: &str) -> Answer {
        self.send(Self::request("GET", target, "")).await
    }

    pub(in crate::api) async fn put(&self, target: &str, body: &str) -> Answer {
        self.send(Self::request("PUT", target, body)).await
    }

    #[track_caller]
    pub(in crate::api) fn ok(answer: &Answer) {
        assert_eq!((answer.status, answer.body.as_str()), (StatusCode::OK.as_u16(), ""), "{answer:?}");
    }

    /// Registers and expects success.
    pub(in crate::api) async fn register(&self, body: &str) {
        Self::ok(&self.put("/v1/agent/service/register", body).await);
    }
}
