//! A small agent for tests: real HTTP on a real socket, a table in memory, no gossip.

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::mpsc;

/// What the fake agent knows, and what it was asked.
#[derive(Debug, Default)]
pub(crate) struct FakeState {
    /// Bodies of registrations by instance id.
    pub(crate) services: BTreeMap<String, Value>,
    /// Checks by id.
    pub(crate) checks: BTreeMap<String, Value>,
    /// Instances on other nodes, as `/v1/health/service` gives them.
    pub(crate) elsewhere: Vec<Value>,
    /// `METHOD path?query` of every request, percent-decoded.
    pub(crate) requests: Vec<String>,
    /// `Last-Event-ID` of every watch that was opened.
    pub(crate) resumed_from: Vec<Option<String>>,
    /// What each coming watch sends before it is closed (`true`) or kept open.
    pub(crate) watches: Vec<(String, bool)>,
    open: Vec<mpsc::UnboundedSender<Result<String, std::io::Error>>>,
}

/// A running fake agent; stops, socket and connections and all, when dropped.
pub(crate) struct FakeAgent {
    directory: tempfile::TempDir,
    state: Arc<Mutex<FakeState>>,
    runtime: Option<tokio::runtime::Runtime>,
}

impl FakeAgent {
    pub(crate) fn start() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let mut agent = Self { directory, state: Arc::default(), runtime: None };
        agent.restart();
        agent
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.directory.path().join("agent.sock")
    }

    /// Ends every connection and removes the socket.
    pub(crate) fn stop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // On a thread of its own: waiting for a runtime is not allowed inside another one.
            let stopped =
                std::thread::spawn(move || runtime.shutdown_timeout(std::time::Duration::from_secs(5)));
            stopped.join().expect("shutting down does not panic");
        }
        self.with(|state| state.open.clear());
        std::fs::remove_file(self.socket()).ok();
    }

    /// Stops, and starts again with the same table.
    pub(crate) fn restart(&mut self) {
        self.stop();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let listener = {
            let _entered = runtime.enter();
            tokio::net::UnixListener::bind(self.socket()).expect("a free path")
        };
        let state = Arc::clone(&self.state);
        let router = Router::new().fallback(move |request| answer(Arc::clone(&state), request));
        runtime.spawn(async move { axum::serve(listener, router).await });
        self.runtime = Some(runtime);
    }

    pub(crate) fn with<T>(&self, look: impl FnOnce(&mut FakeState) -> T) -> T {
        look(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Requests so far that start with `prefix`.
    pub(crate) fn asked(&self, prefix: &str) -> usize {
        self.with(|state| state.requests.iter().filter(|request| request.starts_with(prefix)).count())
    }
}

impl Drop for FakeAgent {
    fn drop(&mut self) {
        self.stop();
    }
}

fn text(status: u16, body: impl Into<Body>) -> Response {
    Response::builder().status(status).body(body.into()).expect("a valid status")
}

async fn answer(state: Arc<Mutex<FakeState>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap_or_default();
    let body: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let decode = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
    let (path, query) = (decode(parts.uri.path()), decode(parts.uri.query().unwrap_or_default()));
    let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
    let asked = if query.is_empty() { path.clone() } else { format!("{path}?{query}") };
    state.requests.push(format!("{} {asked}", parts.method));
    if path == "/v1/shoal/watch" {
        let last = parts.headers.get("last-event-id").map(|id| id.to_str().expect("ascii").to_owned());
        return state.watch(last);
    }
    match parts.method.as_str() {
        "PUT" => state.put(path.strip_prefix("/v1/agent/").unwrap_or_default(), &body),
        _ => state.get(path.strip_prefix("/v1/").unwrap_or(&path)),
    }
}

impl FakeState {
    fn put(&mut self, path: &str, body: &Value) -> Response {
        let unknown = |what: &str, id: &str| text(404, format!("Unknown {what} ID {id:?}."));
        if path == "service/register" {
            if body["Checks"]
                .as_array()
                .is_some_and(|checks| checks.iter().any(|check| check.get("GRPC").is_some()))
            {
                return text(400, "Invalid check: gRPC checks are not built in");
            }
            let id = body["ID"].as_str().unwrap_or_default().to_owned();
            for check in body["Checks"].as_array().into_iter().flatten() {
                let check_id =
                    check["CheckID"].as_str().map_or_else(|| format!("service:{id}"), str::to_owned);
                let kind = if check.get("TTL").is_some() { "ttl" } else { "http" };
                let status = check["Status"].as_str().unwrap_or("critical");
                let new = json!({"Node": "n1", "CheckID": check_id, "Name": "check", "Status": status, "Output": "",
                    "ServiceID": id, "ServiceName": body["Name"], "Type": kind});
                // As an agent does: a check that was there keeps its status.
                self.checks.entry(check_id).or_insert(new);
            }
            self.services.insert(id, body.clone());
            return text(200, "");
        }
        if let Some(id) = path.strip_prefix("service/deregister/") {
            self.checks.retain(|_, check| check["ServiceID"] != id);
            return self.services.remove(id).map_or_else(|| unknown("service", id), |_| text(200, ""));
        }
        if let Some(id) = path.strip_prefix("check/update/") {
            return match self.checks.get_mut(id) {
                None => unknown("check", id),
                Some(check) if check["Type"] != "ttl" => {
                    text(500, format!("CheckID {id:?} does not have associated TTL"))
                }
                Some(check) => {
                    check["Status"] = body["Status"].clone();
                    check["Output"] = body["Output"].clone();
                    text(200, "")
                }
            };
        }
        if let Some(id) = path.strip_prefix("service/maintenance/") {
            return if self.services.contains_key(id) { text(200, "") } else { unknown("service", id) };
        }
        if let Some(node) = path.strip_prefix("force-leave/") {
            return if node == "n2" {
                text(200, "")
            } else {
                text(500, format!("agent: No node found with name '{node}'"))
            };
        }
        if let Some(address) = path.strip_prefix("join/") {
            return if address.starts_with("10.") { text(200, "") } else { text(500, "nobody answered") };
        }
        match path {
            "maintenance" | "leave" | "reload" => text(200, ""),
            _ => text(404, "not a recognized HTTP API endpoint"),
        }
    }

    fn get(&self, path: &str) -> Response {
        let json = |value: Value| text(200, value.to_string());
        if let Some(name) = path.strip_prefix("health/service/") {
            return json(self.instances(name).into());
        }
        if let Some(name) = path.strip_prefix("health/checks/") {
            return json(
                self.checks.values().filter(|check| check["ServiceName"] == name).cloned().collect(),
            );
        }
        match path {
            "agent/services" => json(
                self.services
                    .iter()
                    .map(|(id, body)| (id.clone(), Self::service(id, body)))
                    .collect::<Value>(),
            ),
            "agent/checks" => json(json!(self.checks)),
            "health/state/any" => json(self.checks.values().cloned().collect()),
            "catalog/services" => {
                let here = self.services.values().map(|body| &body["Name"]);
                let there = self.elsewhere.iter().map(|instance| &instance["Service"]["Service"]);
                json(here.chain(there).map(|n| (n.as_str().expect("a name").to_owned(), json!([]))).collect())
            }
            "shoal/members" => json(json!([
                {"name": "n1", "address": "10.0.0.1:7946", "status": "alive", "tags": {"rack": "r1"}, "rtt_ms": null},
                {"name": "n2", "address": "10.0.0.2:7946", "status": "failed", "tags": {}, "rtt_ms": 0.42},
            ])),
            "shoal/rtt" if self.asked_last("nope") => text(404, "no node is named \"nope\""),
            "shoal/rtt" => json(if self.asked_last("a=n1") {
                json!({"a": "n1", "b": "n2", "rtt_ms": 12.3456, "source": "estimated"})
            } else if self.asked_last("b=n2") {
                json!({"a": "n1", "b": "n2", "rtt_ms": 0.42, "source": "measured"})
            } else {
                json!({"a": "n1", "b": "n4", "rtt_ms": null, "source": null})
            }),
            "agent/self" => json(json!({"Config": {"NodeName": "n1"}})),
            "shoal/status" => {
                json(json!({"node": "n1", "cluster": "shoal", "members": {"alive": 1}, "counters": {"a": 1}}))
            }
            "agent/monitor" => text(200, "a line\nanother\n"),
            "/metrics" => text(200, "shoal_members 1\n"),
            _ => text(404, "not a recognized HTTP API endpoint"),
        }
    }

    fn asked_last(&self, part: &str) -> bool {
        self.requests.last().is_some_and(|request| request.contains(part))
    }

    fn service(id: &str, body: &Value) -> Value {
        json!({"ID": id, "Service": body["Name"], "Tags": body["Tags"], "Address": body["Address"],
            "Port": body["Port"], "Meta": body["Meta"]})
    }

    fn instances(&self, name: &str) -> Vec<Value> {
        let node = json!({"ID": "u1", "Node": "n1", "Address": "10.0.0.1", "Meta": {"rack": "r1"}});
        let here = self.services.iter().filter(|(_, body)| body["Name"] == name).map(|(id, body)| {
            let checks: Vec<&Value> =
                self.checks.values().filter(|check| check["ServiceID"] == *id).collect();
            json!({"Node": node, "Service": Self::service(id, body), "Checks": checks})
        });
        let there = self.elsewhere.iter().filter(|instance| instance["Service"]["Service"] == name).cloned();
        here.chain(there).collect()
    }

    fn watch(&mut self, last_event_id: Option<String>) -> Response {
        self.resumed_from.push(last_event_id);
        let (sender, mut receiver) = mpsc::unbounded_channel();
        let (script, close) =
            if self.watches.is_empty() { (String::new(), false) } else { self.watches.remove(0) };
        // Small pieces, so that events are cut in every place.
        for piece in script.as_bytes().chunks(7) {
            sender.send(Ok(String::from_utf8_lossy(piece).into_owned())).expect("the receiver is below");
        }
        if !close {
            self.open.push(sender);
        }
        let pieces = futures_util::stream::poll_fn(move |cx| receiver.poll_recv(cx));
        Response::builder()
            .header("content-type", "text/event-stream")
            .body(Body::from_stream(pieces))
            .expect("a valid response")
    }
}
