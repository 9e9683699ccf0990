//! Which paths exist, which methods they accept, and who answers.
//!
//! Everything after an endpoint's prefix is one id, percent-decoded, whatever slashes and colons
//! are in it. Methods are looked at before anything else.

use super::access::{self, Caller};
use super::query::{Query, decode};
use super::reply::{Failure, Outcome, Reply, set_header, text};
use super::{
    App, agent, catalog, catalog_writes, coordinate, doctor, event, health, keyring, local, local_reads,
    metrics, monitor, openapi, origin, shoal, ui, unsupported, watch,
};
use axum::body::Body;
use http::header::{ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_LENGTH, HeaderName, HeaderValue, IF_NONE_MATCH};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Who answers a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Endpoint {
    Greeting,
    RegisterService,
    DeregisterService,
    ServiceMaintenance,
    NodeMaintenance,
    RegisterCheck,
    DeregisterCheck,
    PassCheck,
    WarnCheck,
    FailCheck,
    UpdateCheck,
    LocalServices,
    LocalService,
    LocalChecks,
    LocalHealthById,
    LocalHealthByName,
    Own,
    Members,
    Version,
    Join,
    Leave,
    ForceLeave,
    Reload,
    AgentMetrics,
    Monitor,
    Host,
    Datacenters,
    CatalogNodes,
    CatalogServices,
    CatalogService,
    CatalogNode,
    CatalogNodeServices,
    HealthService,
    HealthNode,
    HealthChecks,
    HealthState,
    Leader,
    Peers,
    ShoalStatus,
    ShoalMembers,
    ShoalWatch,
    ShoalChanges,
    ShoalRtt,
    ShoalDoctor,
    Keyring,
    InstallKey,
    UseKey,
    RemoveKey,
    OpenApi,
    Metrics,
    Dashboard,
    ToDashboard,
    KeyValue,
    Acl,
    Queries,
    Coordinates,
    CoordinatesOfNode,
    CoordinatesOfDatacenters,
    UpdateCoordinate,
    FireEvent,
    EventList,
    CatalogRegister,
    CatalogDeregister,
    Unsupported(&'static str),
}

const GET: &[Method] = &[Method::GET];
const PUT: &[Method] = &[Method::PUT];
/// Some clients fire events with POST, which their server refuses.
const PUT_POST: &[Method] = &[Method::PUT, Method::POST];
const GET_PUT: &[Method] = &[Method::GET, Method::PUT];
const GET_POST: &[Method] = &[Method::GET, Method::POST];
const KEY_VALUE: &[Method] = &[Method::GET, Method::PUT, Method::DELETE];
const ANY: &[Method] = &[Method::GET, Method::PUT, Method::POST, Method::DELETE, Method::PATCH];

/// Paths without an id.
const EXACT: &[(&str, &[Method], Endpoint)] = &[
    ("/", GET, Endpoint::Greeting),
    ("/metrics", GET, Endpoint::Metrics),
    ("/ui", GET, Endpoint::ToDashboard),
    ("/v1/agent/service/register", PUT, Endpoint::RegisterService),
    ("/v1/agent/maintenance", PUT, Endpoint::NodeMaintenance),
    ("/v1/agent/check/register", PUT, Endpoint::RegisterCheck),
    ("/v1/agent/services", GET, Endpoint::LocalServices),
    ("/v1/agent/checks", GET, Endpoint::LocalChecks),
    ("/v1/agent/self", GET, Endpoint::Own),
    ("/v1/agent/members", GET, Endpoint::Members),
    ("/v1/agent/version", GET, Endpoint::Version),
    ("/v1/agent/leave", PUT, Endpoint::Leave),
    ("/v1/agent/reload", PUT, Endpoint::Reload),
    ("/v1/agent/metrics", GET, Endpoint::AgentMetrics),
    ("/v1/agent/monitor", GET, Endpoint::Monitor),
    ("/v1/agent/host", GET, Endpoint::Host),
    ("/v1/catalog/datacenters", GET, Endpoint::Datacenters),
    ("/v1/catalog/nodes", GET, Endpoint::CatalogNodes),
    ("/v1/catalog/services", GET, Endpoint::CatalogServices),
    ("/v1/catalog/register", PUT, Endpoint::CatalogRegister),
    ("/v1/catalog/deregister", PUT, Endpoint::CatalogDeregister),
    ("/v1/coordinate/nodes", GET, Endpoint::Coordinates),
    ("/v1/coordinate/datacenters", GET, Endpoint::CoordinatesOfDatacenters),
    ("/v1/coordinate/update", PUT, Endpoint::UpdateCoordinate),
    ("/v1/status/leader", GET, Endpoint::Leader),
    ("/v1/status/peers", GET, Endpoint::Peers),
    ("/v1/shoal/status", GET, Endpoint::ShoalStatus),
    ("/v1/shoal/members", GET, Endpoint::ShoalMembers),
    ("/v1/shoal/watch", GET, Endpoint::ShoalWatch),
    ("/v1/shoal/changes", GET, Endpoint::ShoalChanges),
    ("/v1/shoal/rtt", GET, Endpoint::ShoalRtt),
    ("/v1/shoal/doctor", GET, Endpoint::ShoalDoctor),
    ("/v1/shoal/keyring", GET, Endpoint::Keyring),
    ("/v1/shoal/keyring/install", PUT, Endpoint::InstallKey),
    ("/v1/shoal/openapi.json", GET, Endpoint::OpenApi),
    ("/v1/txn", PUT, Endpoint::Unsupported("transactions are")),
    ("/v1/query", GET_POST, Endpoint::Queries),
    ("/v1/exported-services", GET, Endpoint::Unsupported("exported services are")),
    ("/v1/imported-services", GET, Endpoint::Unsupported("imported services are")),
    ("/v1/peerings", GET, Endpoint::Unsupported("peering is")),
    ("/v1/config", PUT, Endpoint::Unsupported("configuration entries are")),
    ("/v1/snapshot", GET_PUT, Endpoint::Unsupported("snapshots are")),
    ("/v1/event/list", GET, Endpoint::EventList),
];

/// Paths with an id after them. None is a prefix of another.
const WITH_ID: &[(&str, &[Method], Endpoint)] = &[
    (ui::PLACE, GET, Endpoint::Dashboard),
    ("/v1/agent/service/deregister/", PUT, Endpoint::DeregisterService),
    ("/v1/agent/service/maintenance/", PUT, Endpoint::ServiceMaintenance),
    ("/v1/agent/check/deregister/", PUT, Endpoint::DeregisterCheck),
    ("/v1/agent/check/pass/", PUT, Endpoint::PassCheck),
    ("/v1/agent/check/warn/", PUT, Endpoint::WarnCheck),
    ("/v1/agent/check/fail/", PUT, Endpoint::FailCheck),
    ("/v1/agent/check/update/", PUT, Endpoint::UpdateCheck),
    ("/v1/agent/service/", GET, Endpoint::LocalService),
    ("/v1/agent/health/service/id/", GET, Endpoint::LocalHealthById),
    ("/v1/agent/health/service/name/", GET, Endpoint::LocalHealthByName),
    ("/v1/agent/join/", PUT, Endpoint::Join),
    ("/v1/agent/force-leave/", PUT, Endpoint::ForceLeave),
    ("/v1/agent/token/", ANY, Endpoint::Acl),
    ("/v1/agent/connect/", ANY, Endpoint::Unsupported("Connect is")),
    ("/v1/catalog/service/", GET, Endpoint::CatalogService),
    ("/v1/catalog/connect/", GET, Endpoint::Unsupported("Connect is")),
    ("/v1/catalog/gateway-services/", GET, Endpoint::Unsupported("Connect is")),
    ("/v1/catalog/node/", GET, Endpoint::CatalogNode),
    ("/v1/catalog/node-services/", GET, Endpoint::CatalogNodeServices),
    ("/v1/health/service/", GET, Endpoint::HealthService),
    ("/v1/health/connect/", GET, Endpoint::Unsupported("Connect is")),
    ("/v1/health/ingress/", GET, Endpoint::Unsupported("Connect is")),
    ("/v1/health/node/", GET, Endpoint::HealthNode),
    ("/v1/health/checks/", GET, Endpoint::HealthChecks),
    ("/v1/health/state/", GET, Endpoint::HealthState),
    ("/v1/shoal/keyring/use/", PUT, Endpoint::UseKey),
    ("/v1/shoal/keyring/remove/", PUT, Endpoint::RemoveKey),
    ("/v1/kv/", KEY_VALUE, Endpoint::KeyValue),
    ("/v1/acl/", ANY, Endpoint::Acl),
    ("/v1/query/", ANY, Endpoint::Queries),
    ("/v1/coordinate/node/", GET, Endpoint::CoordinatesOfNode),
    ("/v1/session/", ANY, Endpoint::Unsupported("sessions are")),
    ("/v1/event/fire/", PUT_POST, Endpoint::FireEvent),
    ("/v1/operator/", ANY, Endpoint::Unsupported("operator endpoints are")),
    ("/v1/connect/", ANY, Endpoint::Unsupported("Connect is")),
    ("/v1/config/", ANY, Endpoint::Unsupported("configuration entries are")),
    ("/v1/discovery-chain/", ANY, Endpoint::Unsupported("discovery chains are")),
    ("/v1/peering", ANY, Endpoint::Unsupported("peering is")),
    ("/v1/internal/", ANY, Endpoint::Unsupported("internal endpoints are")),
];

/// A request with what every handler may look at.
pub(super) struct Call {
    pub(super) app: Arc<App>,
    pub(super) method: Method,
    /// What follows the endpoint's prefix, decoded.
    pub(super) id: String,
    pub(super) query: Query,
    pub(super) headers: HeaderMap,
    /// Who asks.
    pub(super) caller: Caller,
    /// Path and query as they came.
    pub(super) question: String,
    /// Behind a lock, never contended, because a body may not be shared and the rest is.
    body: Mutex<Body>,
}

/// A body that does not arrive in this time is given up.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

impl Call {
    /// Whether the caller wants to read the answer itself.
    pub(super) fn pretty(&self) -> bool {
        self.query.has("pretty")
    }

    /// The request's body, bounded in size and time.
    pub(super) async fn body(&mut self) -> Result<Vec<u8>, Failure> {
        let most = self.app.info.limits.body_bytes_max;
        let locked = self.body.get_mut().unwrap_or_else(PoisonError::into_inner);
        let body = std::mem::replace(locked, Body::empty());
        let read = http_body_util::Limited::new(body, most).collect();
        match tokio::time::timeout(BODY_TIMEOUT, read).await {
            Ok(Ok(body)) => Ok(body.to_bytes().to_vec()),
            Ok(Err(e)) if e.is::<http_body_util::LengthLimitError>() => {
                let text = format!("Request body too large: want at most {most} bytes");
                Err(Failure::new(StatusCode::PAYLOAD_TOO_LARGE, text))
            }
            Ok(Err(_)) => Err(Failure::bad("Request decode failed: unexpected EOF")),
            Err(_) => Err(Failure::new(StatusCode::REQUEST_TIMEOUT, "The request body did not arrive")),
        }
    }
}

/// Answers one request.
pub(super) async fn dispatch(app: Arc<App>, request: Request<Body>) -> Reply {
    let head = request.method() == Method::HEAD;
    let in_v1 = request.uri().path().starts_with("/v1/");
    let mut reply = answer(app, request).await.unwrap_or_else(Failure::into_reply);
    if in_v1 {
        set_header(&mut reply, "x-consul-default-acl-policy", "allow");
    }
    if head {
        reply = without_body(reply);
    }
    reply
}

/// As for GET, but without the body, whose length is told.
fn without_body(reply: Reply) -> Reply {
    let (mut parts, body) = reply.into_parts();
    if let Some(length) = axum::body::HttpBody::size_hint(&body).exact() {
        parts.headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    Reply::from_parts(parts, Body::empty())
}

fn find(path: &str) -> Option<(&'static [Method], Endpoint, &str)> {
    if let Some((_, methods, endpoint)) = EXACT.iter().find(|(exact, ..)| *exact == path) {
        return Some((methods, *endpoint, ""));
    }
    WITH_ID
        .iter()
        .find_map(|(prefix, methods, endpoint)| Some((*methods, *endpoint, path.strip_prefix(prefix)?)))
}

/// Every path or prefix, whether an id follows it, and its methods.
#[cfg(test)]
pub(super) fn routes() -> impl Iterator<Item = (&'static str, bool, &'static [Method])> {
    let exact = EXACT.iter().map(|(path, methods, _)| (*path, false, *methods));
    exact.chain(WITH_ID.iter().map(|(path, methods, _)| (*path, true, *methods)))
}

fn not_found(path: &str) -> Failure {
    Failure::not_found(if path.contains("/v1/") {
        "Invalid URL path: not a recognized HTTP API endpoint\n"
    } else {
        "Invalid URL path: if attempting to use the HTTP API, ensure the path starts with '/v1/'\n"
    })
}

async fn answer(app: Arc<App>, request: Request<Body>) -> Outcome {
    let (parts, body) = request.into_parts();
    let caller = Caller::of(&parts.extensions);
    let found = match find(parts.uri.path()) {
        Some((methods, Endpoint::Greeting, id)) if ui::wants_page(&parts.headers) => {
            Some((methods, Endpoint::ToDashboard, id))
        }
        found => found,
    };
    app.access.admits(caller, &parts, found.map(|(_, endpoint, _)| endpoint))?;
    origin::admits(&parts)?;
    let Some((methods, endpoint, id)) = found else {
        return Err(not_found(parts.uri.path()));
    };
    // HEAD is answered like GET.
    let method = if parts.method == Method::HEAD { Method::GET } else { parts.method };
    if !methods.contains(&method) {
        return Ok(wrong_method(&method, methods));
    }
    app.permits(caller, access::wanted(endpoint, &method))?;
    let undecodable = || Failure::bad("Invalid URL path: want UTF-8 in percent-encoding");
    let id = decode(id, false).ok_or_else(undecodable)?;
    let query = Query::parse(parts.uri.query().unwrap_or(""))?;
    let question = parts.uri.path_and_query().map_or_else(String::new, |text| text.as_str().to_owned());
    let headers = copied(&parts.headers);
    let changes = method != Method::GET && access::wanted(endpoint, &method) == access::Want::Administer;
    let changed = changes.then(|| parts.uri.path().to_owned());
    let body = Mutex::new(body);
    drop((parts.uri, parts.headers));
    let outcome = handle(endpoint, Call { app, method, id, query, headers, caller, question, body }).await;
    if let Some(what) = changed.filter(|_| outcome.is_ok()) {
        access::changed(caller, &what, "");
    }
    outcome
}

/// Headers that some answer depends on.
const HEADERS_READ: [HeaderName; 6] = [
    ACCEPT,
    CACHE_CONTROL,
    IF_NONE_MATCH,
    HeaderName::from_static("x-consul-namespace"),
    HeaderName::from_static("x-consul-partition"),
    HeaderName::from_static("last-event-id"),
];

/// Those of a request, copied: as they came they are parts of the connection's buffer, which a request
/// that waits for minutes would keep.
fn copied(headers: &HeaderMap) -> HeaderMap {
    let mut copies = HeaderMap::new();
    for name in &HEADERS_READ {
        for value in headers.get_all(name) {
            if let Ok(copy) = HeaderValue::from_bytes(value.as_bytes()) {
                copies.append(name, copy);
            }
        }
    }
    copies
}

/// 405, or the list of methods when that was the question.
fn wrong_method(method: &Method, methods: &[Method]) -> Reply {
    let names: Vec<&str> = std::iter::once("OPTIONS").chain(methods.iter().map(Method::as_str)).collect();
    let mut reply = if *method == Method::OPTIONS {
        super::reply::done()
    } else {
        text(StatusCode::METHOD_NOT_ALLOWED, format!("method {method} not allowed"))
    };
    if let Ok(allow) = HeaderValue::from_str(&names.join(",")) {
        reply.headers_mut().insert(ALLOW, allow);
    }
    reply
}

async fn handle(endpoint: Endpoint, call: Call) -> Outcome {
    use crate::model::CheckStatus::{Critical, Passing, Warning};
    match endpoint {
        Endpoint::Greeting => Ok(text(StatusCode::OK, "Shoal Agent")),
        Endpoint::RegisterService => local::register_service(call).await,
        Endpoint::DeregisterService => local::deregister_service(call).await,
        Endpoint::ServiceMaintenance => local::service_maintenance(call).await,
        Endpoint::NodeMaintenance => local::node_maintenance(call).await,
        Endpoint::RegisterCheck => local::register_check(call).await,
        Endpoint::DeregisterCheck => local::deregister_check(call).await,
        Endpoint::PassCheck => local::heartbeat(call, Passing).await,
        Endpoint::WarnCheck => local::heartbeat(call, Warning).await,
        Endpoint::FailCheck => local::heartbeat(call, Critical).await,
        Endpoint::UpdateCheck => local::update_check(call).await,
        Endpoint::LocalServices => local_reads::services(&call),
        Endpoint::LocalService => local_reads::service(&call).await,
        Endpoint::LocalChecks => local_reads::checks(&call),
        Endpoint::LocalHealthById => local_reads::health_by_id(&call),
        Endpoint::LocalHealthByName => local_reads::health_by_name(&call),
        Endpoint::Own => agent::own(&call),
        Endpoint::Members => agent::members(&call),
        Endpoint::Version => agent::version(&call),
        Endpoint::Join => agent::join(call).await,
        Endpoint::Leave => agent::leave(call).await,
        Endpoint::ForceLeave => agent::force_leave(call).await,
        Endpoint::Reload => agent::reload(call).await,
        Endpoint::Datacenters => catalog::datacenters(&call),
        Endpoint::CatalogNodes => catalog::nodes(&call).await,
        Endpoint::CatalogServices => catalog::services(&call).await,
        Endpoint::CatalogService => catalog::service(&call).await,
        Endpoint::CatalogNode => catalog::node(&call).await,
        Endpoint::CatalogNodeServices => catalog::node_services(&call).await,
        Endpoint::HealthService => health::service(&call).await,
        Endpoint::HealthNode => health::node(&call).await,
        Endpoint::HealthChecks => health::checks(&call).await,
        Endpoint::HealthState => health::state(&call).await,
        Endpoint::Leader => agent::leader(&call),
        Endpoint::Peers => agent::peers(&call),
        Endpoint::ShoalStatus => shoal::status(&call),
        Endpoint::ShoalMembers => shoal::members(&call),
        Endpoint::ShoalWatch => watch::stream(&call),
        Endpoint::ShoalChanges => watch::newest_changes(&call),
        Endpoint::ShoalRtt => coordinate::rtt(&call),
        Endpoint::ShoalDoctor => doctor::examination(call).await,
        Endpoint::Keyring => keyring::list(&call),
        Endpoint::InstallKey => keyring::install(call).await,
        Endpoint::UseKey => keyring::use_key(call).await,
        Endpoint::RemoveKey => keyring::remove(call).await,
        Endpoint::OpenApi => Ok(openapi::document()),
        Endpoint::Metrics => metrics::prometheus(&call),
        Endpoint::Dashboard => ui::file(&call),
        Endpoint::ToDashboard => Ok(ui::moved()),
        Endpoint::AgentMetrics => metrics::agent(&call),
        Endpoint::Monitor => monitor::stream(&call),
        Endpoint::Host => agent::host(&call),
        Endpoint::KeyValue => unsupported::key_value(&call).await,
        Endpoint::Acl => unsupported::acl(),
        Endpoint::Queries => unsupported::queries(&call),
        Endpoint::Coordinates => coordinate::nodes(&call).await,
        Endpoint::CoordinatesOfNode => coordinate::node(&call).await,
        Endpoint::CoordinatesOfDatacenters => coordinate::datacenters(&call),
        Endpoint::UpdateCoordinate => coordinate::update(),
        Endpoint::FireEvent => event::fire(call).await,
        Endpoint::EventList => event::list(&call).await,
        Endpoint::CatalogRegister => catalog_writes::register(call).await,
        Endpoint::CatalogDeregister => catalog_writes::deregister(call).await,
        Endpoint::Unsupported(thing) => Err(Failure::unsupported(thing)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_path_hides_another() {
        for (i, (path, ..)) in WITH_ID.iter().enumerate() {
            for (earlier, ..) in &WITH_ID[..i] {
                assert!(!path.starts_with(earlier), "{path} is never reached");
            }
        }
    }

    #[test]
    fn everything_after_the_prefix_is_the_id() {
        let cases = [
            ("/v1/agent/check/pass/service:web/1", Some((Endpoint::PassCheck, "service:web/1"))),
            ("/v1/agent/service/register", Some((Endpoint::RegisterService, ""))),
            ("/v1/agent/service/registered", Some((Endpoint::LocalService, "registered"))),
            ("/v1/health/service/", Some((Endpoint::HealthService, ""))),
            ("/v1/health/service", None),
            ("/v1/nope", None),
            ("/v2", None),
        ];
        for (path, want) in cases {
            assert_eq!(find(path).map(|(_, endpoint, id)| (endpoint, id)), want, "{path}");
        }
    }
}
