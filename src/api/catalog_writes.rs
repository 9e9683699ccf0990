//! `catalog/register` and `catalog/deregister`, as far as a directory without servers has them.
//!
//! Every agent owns its own entries and nobody else's, so what is said of this agent's node becomes
//! registrations of this host, and what is said of another node is refused. What Consul keeps
//! beside a node here comes from the agent's configuration: address, identifier and metadata of the
//! node are read and not used.

use super::access;
use super::definition::{check_registration, service_registration};
use super::json::{Field, Json, Object};
use super::local::refused;
use super::query::{check_datacenter, check_tenancy};
use super::reply::{Failure, Outcome, json};
use super::request::{Request, RequestError};
use super::route::Call;
use crate::model::{
    CheckDefinition, CheckId, InstanceId, LocalCommand, LocalError, NodeName, ServiceDefinition,
};
use http::StatusCode;
use serde_json::{Map, Value};

const REGISTER: &[Field] = &[
    &["Datacenter"],
    &["ID"],
    &["Node"],
    &["Address"],
    &["TaggedAddresses"],
    &["NodeMeta"],
    &["Service"],
    &["Check"],
    &["Checks"],
    &["SkipNodeUpdate"],
    &["Locality"],
    &["PeerName"],
    &["WriteRequest"],
];
const DEREGISTER: &[Field] = &[
    &["Datacenter"],
    &["Node"],
    &["Address"],
    &["ServiceID"],
    &["CheckID"],
    &["PeerName"],
    &["WriteRequest"],
];
const CHECK: &[Field] = &[
    &["Node"],
    &["CheckID"],
    &["Name"],
    &["Status"],
    &["Notes"],
    &["Output"],
    &["ServiceID"],
    &["ServiceName"],
    &["ServiceTags"],
    &["Type"],
    &["Interval"],
    &["Timeout"],
    &["ExposedPort"],
    &["Definition"],
    &["PeerName"],
    &["CreateIndex"],
    &["ModifyIndex"],
];
/// What an instance read from the catalog has and a registration has not.
const READ_ONLY: [&str; 3] = ["CreateIndex", "ModifyIndex", "PeerName"];
/// A check of the catalog has a status that nobody renews; here it is a heartbeat of ten years.
const STATUS_LASTS: &str = "87600h";
/// Most checks in one call.
const CHECKS_MAX: usize = 1_000;

fn decode_failed(why: impl std::fmt::Display) -> Failure {
    Failure::bad(format!("Request decode failed: {why}"))
}

fn not_here(what: &str) -> Failure {
    let text = format!("{what} for other nodes is not supported: register through the agent on that node");
    Failure::new(StatusCode::NOT_IMPLEMENTED, text)
}

/// Whether `name` is this agent's node; names of nodes have no case.
fn is_own(call: &Call, name: &str) -> bool {
    NodeName::new(name).is_ok_and(|name| name.key() == call.app.info.node.key())
}

/// Says nothing: what Go writes of a definition that was not given.
fn is_unset(definition: &Json) -> bool {
    match definition {
        Json::Text(text) => matches!(text.as_str(), "" | "0s"),
        Json::Object(fields) => fields.iter().all(|(_, value)| is_unset(value)),
        other => other.is_blank(),
    }
}

fn to_value(json: &Json) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Bool(b) => Value::Bool(*b),
        Json::Int(n) => Value::from(*n),
        Json::Float(n) => Value::from(*n),
        Json::Text(text) => Value::from(text.as_str()),
        Json::List(items) => items.iter().map(to_value).collect(),
        Json::Object(fields) => fields.iter().map(|(key, v)| (key.clone(), to_value(v))).collect(),
    }
}

/// An instance as `agent/service/register` takes it.
fn service(value: &Json) -> Result<ServiceDefinition, Failure> {
    let Json::Object(fields) = value else {
        return Err(decode_failed(
            "json: cannot unmarshal into Go struct field .Service of type object".to_owned(),
        ));
    };
    let mut renamed = Map::new();
    for (key, value) in fields {
        if READ_ONLY.iter().any(|field| field.eq_ignore_ascii_case(key)) {
            continue;
        }
        let key = if key.eq_ignore_ascii_case("Service") { "Name" } else { key.as_str() };
        renamed.insert(key.to_owned(), to_value(value));
    }
    let definition = service_registration(Value::Object(renamed).to_string().as_bytes());
    definition.map_err(|failure| match failure.text.as_str() {
        "Missing service name" => Failure::internal("Must provide service name (Service.Service)"),
        _ => failure,
    })
}

/// A check, and its output.
fn check(value: &Json, path: &str, node: &str) -> Result<(CheckDefinition, String), Failure> {
    let object = Object::read(value, path, CHECK).map_err(decode_failed)?;
    let text = |field: &str| object.text(field).map_err(decode_failed);
    let given = text("Node")?;
    if !given.is_empty() && !given.eq_ignore_ascii_case(node) {
        return Err(Failure::internal(format!("check node {given:?} does not match node {node:?}")));
    }
    if object.get("Definition").is_some_and(|definition| !is_unset(definition)) {
        return Err(Failure::bad(
            "Invalid check: a Definition is not supported here: register a check that the agent carries out with \
             PUT /v1/agent/check/register",
        ));
    }
    let status = match text("Status")? {
        status if status.is_empty() => "critical".to_owned(),
        status => status,
    };
    let fields = serde_json::json!({
        "ID": text("CheckID")?,
        "Name": match text("Name")? {
            name if name.is_empty() => text("CheckID")?,
            name => name,
        },
        "Notes": text("Notes")?,
        "Status": status,
        "ServiceID": text("ServiceID")?,
        "TTL": STATUS_LASTS,
    });
    let mut definition = check_registration(fields.to_string().as_bytes())?;
    definition.interval = text("Interval")?;
    definition.timeout = text("Timeout")?;
    // It is cut where it is taken in.
    let output = text("Output")?;
    Ok((definition, output))
}

/// Whether the caller may do all of it.
fn permits(call: &Call, commands: &[LocalCommand]) -> Result<(), Failure> {
    commands.iter().try_for_each(|command| match command {
        LocalCommand::RegisterService { definition, .. } => call.may_register(definition),
        LocalCommand::RegisterCheck(check) => call.may_register_check(check),
        LocalCommand::UpdateCheck { id, .. } | LocalCommand::DeregisterCheck(id) => call.may_change_check(id),
        LocalCommand::DeregisterService(id) | LocalCommand::ServiceMaintenance { id, .. } => {
            call.may_change(id)
        }
        LocalCommand::NodeMaintenance { .. } | LocalCommand::TakeFiles(_) => {
            call.app.permits(call.caller, access::Want::Administer)
        }
    })
}

/// Asks the loop; the dialect answers a success with `true`.
async fn carry_out(call: &Call, what: &str, commands: Vec<LocalCommand>) -> Outcome {
    permits(call, &commands)?;
    for command in commands {
        match call.app.ask(|reply| Request::Local(command, reply)).await? {
            // Nothing to remove is as good as removed.
            Ok(()) | Err(RequestError::Local(LocalError::UnknownCheck(_))) => {}
            Err(RequestError::Local(LocalError::UnknownService(id))) => {
                tracing::debug!(id, "there is no such instance");
            }
            Err(error) => return Err(refused(error)),
        }
    }
    access::changed(call.caller, what, "");
    json(&true, call.pretty())
}

pub(super) async fn register(mut call: Call) -> Outcome {
    check_tenancy(&call.query, &call.headers)?;
    check_datacenter(&call.query, &call.app.info.datacenter)?;
    let body = Json::parse(&call.body().await?).map_err(decode_failed)?;
    let object = Object::read(&body, "", REGISTER).map_err(decode_failed)?;
    let text = |field: &str| object.text(field).map_err(decode_failed);
    let node = text("Node")?;
    let skips_node = object.flag("SkipNodeUpdate").map_err(decode_failed)?;
    if node.is_empty() {
        return Err(Failure::internal("Must provide node"));
    }
    if text("Address")?.is_empty() && !skips_node {
        return Err(Failure::internal("Must provide address if SkipNodeUpdate is not set"));
    }
    let datacenter = text("Datacenter")?;
    if !(datacenter.is_empty() || datacenter == call.app.info.datacenter) {
        return Err(Failure::internal("No path to datacenter"));
    }
    if !is_own(&call, &node) {
        return Err(not_here("catalog/register"));
    }
    // All of it is understood before any of it is done.
    let mut commands = Vec::new();
    if let Some(value) = object.get("Service") {
        let definition = Box::new(service(value)?);
        commands.push(LocalCommand::RegisterService { definition, replace_existing_checks: false });
    }
    let listed = object.list("Checks").map_err(decode_failed)?;
    if listed.len() > CHECKS_MAX {
        let text = format!("Invalid check: {} checks: want at most {CHECKS_MAX}", listed.len());
        return Err(Failure::bad(text));
    }
    let alone = object.get("Check").map(|value| (value, object.path("Check")));
    let listed = listed.iter().map(|value| (value, object.path("Checks")));
    for (value, path) in alone.into_iter().chain(listed).filter(|(value, _)| **value != Json::Null) {
        let (definition, output) = check(value, &path, &node)?;
        let id: CheckId = definition.id.clone();
        let status = definition.initial_status;
        let known = |id: &InstanceId| call.app.view.load().local().services.contains_key(id);
        let comes = |id: &InstanceId| {
            commands.iter().any(|command| match command {
                LocalCommand::RegisterService { definition, .. } => definition.service.id == *id,
                _ => false,
            })
        };
        if let Some(service) = &definition.service_id
            && !(known(service) || comes(service))
        {
            return Err(Failure::internal(format!("ServiceID {:?} does not exist", service.as_str())));
        }
        commands.push(LocalCommand::RegisterCheck(Box::new(definition)));
        // A check that is there keeps its status unless it is told.
        if let Some(status) = status {
            commands.push(LocalCommand::UpdateCheck { id, status, output });
        }
    }
    carry_out(&call, "catalog/register", commands).await
}

pub(super) async fn deregister(mut call: Call) -> Outcome {
    check_tenancy(&call.query, &call.headers)?;
    check_datacenter(&call.query, &call.app.info.datacenter)?;
    let body = Json::parse(&call.body().await?).map_err(decode_failed)?;
    let object = Object::read(&body, "", DEREGISTER).map_err(decode_failed)?;
    let text = |field: &str| object.text(field).map_err(decode_failed);
    let (node, service, check) = (text("Node")?, text("ServiceID")?, text("CheckID")?);
    if node.is_empty() {
        return Err(Failure::internal("Must provide node"));
    }
    let datacenter = text("Datacenter")?;
    if !(datacenter.is_empty() || datacenter == call.app.info.datacenter) {
        return Err(Failure::internal("No path to datacenter"));
    }
    if !is_own(&call, &node) {
        return Err(not_here("catalog/deregister"));
    }
    let command = match (service.as_str(), check.as_str()) {
        ("", "") => {
            let text = "catalog/deregister of a whole node is not supported: a node goes when its agent leaves \
                        (PUT /v1/agent/leave)";
            return Err(Failure::new(StatusCode::NOT_IMPLEMENTED, text));
        }
        // An id that cannot be is one that is not there.
        ("", check) => CheckId::new(check).ok().map(LocalCommand::DeregisterCheck),
        (service, _) => InstanceId::new(service).ok().map(LocalCommand::DeregisterService),
    };
    // Not left to the loop where names matter: until it looks, somebody could register it.
    let view = call.app.view.load();
    let is_there = |command: &LocalCommand| match command {
        LocalCommand::DeregisterCheck(id) => view.local().checks.get(id).is_some(),
        LocalCommand::DeregisterService(id) => view.local().services.contains_key(id),
        _ => true,
    };
    let command = command.filter(|command| !call.app.access.guards_names() || is_there(command));
    drop(view);
    carry_out(&call, "catalog/deregister", command.into_iter().collect()).await
}
