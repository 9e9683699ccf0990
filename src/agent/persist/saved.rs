//! What is kept across restarts, in types of its own, so that the domain's types can change
//! without changing files that are already on disks. A change here needs a new format version.

use crate::agent::clock::Moment;
use crate::core::{Identity, local};
use crate::model::{
    CheckDefinition, CheckId, CheckKind, CheckStatus, EntryKey, Extensions, Generation, InstanceId,
    LocalCheck, LocalState, NameError, NodeId, NodeName, ServiceName, ServiceRecord, TaggedAddress, Weights,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// The run of a node that writes.
#[derive(Debug, Clone)]
pub(in crate::agent) struct Author {
    pub(in crate::agent) node: NodeName,
    pub(in crate::agent) node_id: NodeId,
    pub(in crate::agent) generation: Generation,
}

impl From<&Identity> for Author {
    fn from(identity: &Identity) -> Self {
        Self { node: identity.name.clone(), node_id: identity.id, generation: identity.generation }
    }
}

/// Everything an agent needs to come back as the node it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::agent) struct Saved {
    pub(in crate::agent) generation: Generation,
    pub(in crate::agent) node_id: NodeId,
    services: Vec<SavedService>,
    checks: Vec<SavedCheck>,
    pub(in crate::agent) address_book: Vec<SocketAddr>,
    /// The node that wrote it; empty in files that did not tell.
    pub(in crate::agent) node: String,
    /// Ids of what came from definition files.
    services_from_files: Vec<String>,
    checks_from_files: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SavedService {
    id: String,
    name: String,
    tags: Vec<String>,
    address: String,
    tagged_addresses: BTreeMap<String, TaggedAddress>,
    port: u16,
    socket_path: String,
    meta: BTreeMap<String, String>,
    weights: Weights,
    enable_tag_override: bool,
    extensions: Extensions,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SavedCheck {
    id: String,
    name: String,
    notes: String,
    service_id: Option<String>,
    kind: SavedKind,
    initial_status: Option<CheckStatus>,
    interval: String,
    timeout: String,
    deregister_critical_after: Option<Duration>,
    status: CheckStatus,
    output: String,
    /// When the TTL expires, in unix milliseconds.
    expires_unix_ms: Option<u64>,
    critical_since_unix_ms: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
enum SavedKind {
    Ttl(Duration),
    Maintenance,
    /// As JSON, so that a later version can add to it.
    Probe(String),
    /// As JSON too.
    Alias(String),
}

impl Saved {
    /// What to keep of an agent at `moment`.
    pub(in crate::agent) fn new(
        author: Author,
        local: &LocalState,
        address_book: Vec<SocketAddr>,
        moment: Moment,
    ) -> Self {
        let services = local.services.values().map(|s| save_service(s)).collect();
        let checks = local.checks.values().map(|c| save_check(c, moment)).collect();
        let (first, last) = around_entries(&author, local, &address_book);
        let ((generation, node_id), (_, node, services_from_files, checks_from_files)) = (first, last);
        Self {
            generation,
            node_id,
            services,
            checks,
            address_book,
            node,
            services_from_files,
            checks_from_files,
        }
    }

    /// Services registered.
    pub(in crate::agent) fn services(&self) -> usize {
        self.services.len()
    }

    /// The registrations as they stand at `moment`: TTL checks have the rest of their time, and
    /// those whose time ran out meanwhile are critical. What this version does not accept any more
    /// is left out with a log line.
    pub(in crate::agent) fn restore(&self, moment: Moment) -> LocalState {
        let mut state = LocalState::default();
        for saved in &self.services {
            match restore_service(saved) {
                Ok(service) => {
                    state.services.insert(service.id.clone(), Arc::new(service));
                }
                Err(error) => {
                    tracing::warn!(service = saved.id, %error, "a saved service is not valid any more")
                }
            }
        }
        for saved in &self.checks {
            match restore_check(saved, moment) {
                Ok(check) => {
                    let owned =
                        check.definition.service_id.as_ref().is_none_or(|s| state.services.contains_key(s));
                    if owned {
                        state.checks.put(check);
                    }
                }
                Err(error) => tracing::warn!(check = saved.id, %error, "a saved check is not valid any more"),
            }
        }
        // Before anything expires, which may take some of them away.
        let services = self.services_from_files.iter().filter_map(|id| InstanceId::new(id).ok());
        let services = services.filter(|id| state.services.contains_key(id)).map(EntryKey::Service);
        let checks = self.checks_from_files.iter().filter_map(|id| CheckId::new(id).ok());
        let checks = checks.filter(|id| state.checks.contains_key(id)).map(EntryKey::Check);
        state.from_files = services.chain(checks).collect();
        local::expire(&mut state, moment.now);
        state
    }
}

/// What stands before and behind the entries of a [`Saved`], in that order.
#[expect(clippy::type_complexity, reason = "the fields as they stand in the file")]
pub(super) fn around_entries<'a>(
    author: &Author,
    local: &LocalState,
    address_book: &'a [SocketAddr],
) -> ((Generation, NodeId), (&'a [SocketAddr], String, Vec<String>, Vec<String>)) {
    let (mut services, mut checks) = (Vec::new(), Vec::new());
    for key in &local.from_files {
        match key {
            EntryKey::Service(id) => services.push(id.to_string()),
            EntryKey::Check(id) => checks.push(id.to_string()),
            EntryKey::Node | EntryKey::Unknown(..) => {}
        }
    }
    ((author.generation, author.node_id), (address_book, author.node.to_string(), services, checks))
}

pub(super) fn save_service(s: &ServiceRecord) -> SavedService {
    SavedService {
        id: s.id.to_string(),
        name: s.name.to_string(),
        tags: s.tags.clone(),
        address: s.address.clone(),
        tagged_addresses: s.tagged_addresses.clone(),
        port: s.port,
        socket_path: s.socket_path.clone(),
        meta: s.meta.clone(),
        weights: s.weights,
        enable_tag_override: s.enable_tag_override,
        extensions: s.extensions.clone(),
    }
}

fn restore_service(s: &SavedService) -> Result<ServiceRecord, NameError> {
    Ok(ServiceRecord {
        id: InstanceId::new(&s.id)?,
        name: ServiceName::new(&s.name)?,
        tags: s.tags.clone(),
        address: s.address.clone(),
        tagged_addresses: s.tagged_addresses.clone(),
        port: s.port,
        socket_path: s.socket_path.clone(),
        meta: s.meta.clone(),
        weights: s.weights,
        enable_tag_override: s.enable_tag_override,
        extensions: s.extensions.clone(),
    })
}

pub(super) fn save_check(c: &LocalCheck, moment: Moment) -> SavedCheck {
    let d = &c.definition;
    SavedCheck {
        id: d.id.to_string(),
        name: d.name.clone(),
        notes: d.notes.clone(),
        service_id: d.service_id.as_ref().map(ToString::to_string),
        kind: match d.kind {
            CheckKind::Ttl { ttl } => SavedKind::Ttl(ttl),
            CheckKind::Maintenance => SavedKind::Maintenance,
            CheckKind::Probe(ref probe) => {
                SavedKind::Probe(serde_json::to_string(probe).expect("a probe is plain data with text keys"))
            }
            CheckKind::Alias(ref alias) => {
                SavedKind::Alias(serde_json::to_string(alias).expect("an alias is plain data"))
            }
        },
        initial_status: d.initial_status,
        interval: d.interval.clone(),
        timeout: d.timeout.clone(),
        deregister_critical_after: d.deregister_critical_after,
        status: c.status,
        output: c.output.to_string(),
        expires_unix_ms: c.deadline.map(|at| moment.unix_ms_at(at)),
        critical_since_unix_ms: c.critical_since.map(|at| moment.unix_ms_at(at)),
    }
}

fn restore_check(c: &SavedCheck, moment: Moment) -> Result<LocalCheck, NameError> {
    let kind = match c.kind {
        SavedKind::Ttl(ttl) => CheckKind::Ttl { ttl },
        SavedKind::Maintenance => CheckKind::Maintenance,
        SavedKind::Probe(ref text) => {
            let probe = serde_json::from_str(text);
            CheckKind::Probe(Arc::new(probe.map_err(|_| NameError::new("probe", text, "a probe as JSON"))?))
        }
        SavedKind::Alias(ref text) => {
            let alias = serde_json::from_str(text);
            CheckKind::Alias(Arc::new(alias.map_err(|_| NameError::new("alias", text, "an alias as JSON"))?))
        }
    };
    // A clock that was set back must not make a TTL longer than it is.
    let latest = match kind {
        CheckKind::Ttl { ttl } => moment.now + ttl,
        CheckKind::Maintenance | CheckKind::Probe(_) | CheckKind::Alias(_) => moment.now,
    };
    let definition = CheckDefinition {
        id: CheckId::new(&c.id)?,
        name: c.name.clone(),
        notes: c.notes.clone(),
        service_id: c.service_id.as_ref().map(InstanceId::new).transpose()?,
        kind,
        initial_status: c.initial_status,
        interval: c.interval.clone(),
        timeout: c.timeout.clone(),
        deregister_critical_after: c.deregister_critical_after,
    };
    Ok(LocalCheck {
        definition: Arc::new(definition),
        status: c.status,
        output: Arc::from(c.output.as_str()),
        deadline: c.expires_unix_ms.map(|ms| moment.instant_at(ms).min(latest)),
        // Time while the agent was down does not count: nobody could have sent a heartbeat.
        critical_since: c.critical_since_unix_ms.map(|ms| moment.instant_at(ms).min(moment.now)),
    })
}
