//! What is registered on this host: the rules for changing it, and the TTL clock.
//!
//! Owns no state: it works on a [`LocalState`] that the caller owns, so that the shell can try a
//! command on a copy and make the result durable before the agent applies it. Knows nothing of
//! gossip; [`super::Agent`] turns the difference into catalog writes.

mod files;

use crate::model::{
    CheckDefinition, CheckId, CheckKind, CheckStatus, EntryKey, InstanceId, Instant, LocalCheck,
    LocalCommand, LocalError, LocalState, ServiceDefinition, truncate_output,
};
use std::sync::Arc;
use std::time::Duration;

/// Id of the check that stands for maintenance of the whole node.
pub const NODE_MAINTENANCE: &str = "_node_maintenance";
/// What the ids of checks start with that stand for maintenance of one instance.
pub const SERVICE_MAINTENANCE_PREFIX: &str = "_service_maintenance:";

const NODE_REASON: &str = "The node is in maintenance; no reason was given.";
const SERVICE_REASON: &str = "The service is in maintenance; no reason was given.";

/// Applies `command` to `state`. On an error nothing was changed. Does not look at record sizes
/// and counts: [`super::Agent::check`] does.
pub fn apply(state: &mut LocalState, command: &LocalCommand, now: Instant) -> Result<(), LocalError> {
    match command {
        LocalCommand::RegisterService { definition, replace_existing_checks } => {
            register_service(state, definition, *replace_existing_checks, now);
            Ok(())
        }
        LocalCommand::TakeFiles(files) => files::take(state, files, now),
        LocalCommand::DeregisterService(id) => deregister_service(state, id),
        LocalCommand::RegisterCheck(definition) => register_check(state, definition, now),
        LocalCommand::DeregisterCheck(id) => {
            if !remove_check(state, id) {
                return Err(LocalError::UnknownCheck(id.to_string()));
            }
            Ok(())
        }
        LocalCommand::UpdateCheck { id, status, output } => update_check(state, id, *status, output, now),
        LocalCommand::ServiceMaintenance { id, enable, reason } => {
            if !state.services.contains_key(id) {
                return Err(LocalError::UnknownService(id.to_string()));
            }
            let check = format!("{SERVICE_MAINTENANCE_PREFIX}{id}");
            let reason = if reason.is_empty() { SERVICE_REASON } else { reason };
            maintenance(state, &check, "Service Maintenance Mode", Some(id.clone()), *enable, reason, now);
            Ok(())
        }
        LocalCommand::NodeMaintenance { enable, reason } => {
            let reason = if reason.is_empty() { NODE_REASON } else { reason };
            maintenance(state, NODE_MAINTENANCE, "Node Maintenance Mode", None, *enable, reason, now);
            Ok(())
        }
    }
}

fn register_service(state: &mut LocalState, definition: &ServiceDefinition, replace: bool, now: Instant) {
    let id = &definition.service.id;
    if replace {
        let wanted: Vec<&CheckId> = definition.checks.iter().map(|c| &c.id).collect();
        let dropped: Vec<CheckId> = checks_of(state, id)
            .filter(|c| !wanted.contains(c) && !c.as_str().starts_with(SERVICE_MAINTENANCE_PREFIX))
            .cloned()
            .collect();
        for check in dropped {
            remove_check(state, &check);
        }
    }
    // Whoever registers it again takes it over from the files, until these are read again.
    state.from_files.remove(&EntryKey::Service(id.clone()));
    if state.services.get(id).is_none_or(|known| **known != definition.service) {
        state.services.insert(id.clone(), Arc::new(definition.service.clone()));
    }
    for check in &definition.checks {
        put_check(state, check, now);
    }
}

fn deregister_service(state: &mut LocalState, id: &InstanceId) -> Result<(), LocalError> {
    if state.services.remove(id).is_none() {
        return Err(LocalError::UnknownService(id.to_string()));
    }
    state.from_files.remove(&EntryKey::Service(id.clone()));
    let gone: Vec<CheckId> = checks_of(state, id).cloned().collect();
    for check in gone {
        remove_check(state, &check);
    }
    Ok(())
}

fn remove_check(state: &mut LocalState, id: &CheckId) -> bool {
    state.from_files.remove(&EntryKey::Check(id.clone()));
    state.checks.remove(id).is_some()
}

fn register_check(
    state: &mut LocalState,
    definition: &CheckDefinition,
    now: Instant,
) -> Result<(), LocalError> {
    if let Some(service) = &definition.service_id
        && !state.services.contains_key(service)
    {
        return Err(LocalError::UnknownService(service.to_string()));
    }
    put_check(state, definition, now);
    Ok(())
}

/// An existing check of the same id keeps its status and output; registering counts as a sign of
/// life for its TTL.
fn put_check(state: &mut LocalState, definition: &CheckDefinition, now: Instant) {
    let known = state.checks.get(&definition.id);
    let (status, output) = match known {
        Some(check) => (check.status, Arc::clone(&check.output)),
        None => (definition.initial_status.unwrap_or(CheckStatus::Critical), Arc::from("")),
    };
    let critical_since = match known {
        Some(check) => check.critical_since,
        None => (status == CheckStatus::Critical).then_some(now),
    };
    let definition = match known {
        Some(check) if *check.definition == *definition => Arc::clone(&check.definition),
        _ => Arc::new(definition.clone()),
    };
    let deadline = ttl_of(&definition).map(|ttl| now + ttl);
    state.from_files.remove(&EntryKey::Check(definition.id.clone()));
    state.checks.put(LocalCheck { definition, status, output, deadline, critical_since });
}

fn update_check(
    state: &mut LocalState,
    id: &CheckId,
    status: CheckStatus,
    output: &str,
    now: Instant,
) -> Result<(), LocalError> {
    let Some(check) = state.checks.get(id) else {
        return Err(LocalError::UnknownCheck(id.to_string()));
    };
    let Some(ttl) = ttl_of(&check.definition) else {
        return Err(LocalError::NotTtl(id.clone()));
    };
    let updated = with_status(check, status, Arc::from(truncate_output(output)), Some(now + ttl), now);
    state.checks.put(updated);
    Ok(())
}

/// A check that the agent carries out itself, or that stands for others, has had a result: its
/// output, and its status if that is decided by it.
pub(super) fn finding(
    state: &mut LocalState,
    id: &CheckId,
    status: Option<CheckStatus>,
    output: &str,
    now: Instant,
) {
    let Some(check) = state.checks.get(id) else { return };
    let status = status.unwrap_or(check.status);
    if status != check.status || *check.output != *output {
        let updated = with_status(check, status, Arc::from(truncate_output(output)), None, now);
        state.checks.put(updated);
    }
}

fn with_status(
    check: &LocalCheck,
    status: CheckStatus,
    output: Arc<str>,
    deadline: Option<Instant>,
    now: Instant,
) -> LocalCheck {
    let critical_since = (status == CheckStatus::Critical).then(|| check.critical_since.unwrap_or(now));
    LocalCheck { definition: Arc::clone(&check.definition), status, output, deadline, critical_since }
}

fn maintenance(
    state: &mut LocalState,
    id: &str,
    name: &str,
    service_id: Option<InstanceId>,
    enable: bool,
    reason: &str,
    now: Instant,
) {
    // An instance id of the greatest length plus the prefix is still a valid check id.
    let id = CheckId::new(id).expect("a maintenance check id is a prefix and a valid instance id");
    if !enable {
        state.checks.remove(&id);
        return;
    }
    let definition = CheckDefinition {
        id: id.clone(),
        name: name.to_owned(),
        notes: reason.to_owned(),
        service_id,
        kind: CheckKind::Maintenance,
        initial_status: Some(CheckStatus::Critical),
        interval: String::new(),
        timeout: String::new(),
        deregister_critical_after: None,
    };
    put_check(state, &definition, now);
}

fn checks_of<'a>(state: &'a LocalState, service: &'a InstanceId) -> impl Iterator<Item = &'a CheckId> {
    state.checks.of(Some(service)).map(|c| &c.definition.id)
}

fn ttl_of(definition: &CheckDefinition) -> Option<Duration> {
    match definition.kind {
        CheckKind::Ttl { ttl } => Some(ttl),
        CheckKind::Maintenance | CheckKind::Probe(_) | CheckKind::Alias(_) => None,
    }
}

/// The next moment at which [`expire`] has something to do.
pub fn next_deadline(state: &LocalState) -> Option<Instant> {
    state.checks.next_due().map(|(at, _)| at)
}

/// Turns expired TTL checks critical and removes instances that have been critical for as long as
/// their checks allow. Says whether anything changed.
pub fn expire(state: &mut LocalState, now: Instant) -> bool {
    let mut changed = false;
    // Each turn takes a deadline away: an expired check has none, and a removed one is gone.
    while let Some((_, check)) = state.checks.next_due().filter(|(at, _)| *at <= now) {
        let check = Arc::clone(check);
        if check.deadline.is_some_and(|at| at <= now) {
            state.checks.put(expired(&check, now));
        } else if let Some(instance) = &check.definition.service_id {
            // The instance is there: its checks go with it.
            deregister_service(state, instance).ok();
            remove_check(state, &check.definition.id);
        }
        changed = true;
    }
    changed
}

fn expired(check: &LocalCheck, now: Instant) -> LocalCheck {
    let output = if check.output.is_empty() {
        Arc::from("TTL expired")
    } else if check.output.starts_with("TTL expired") {
        // An output that already tells of an expiry is kept, so that it cannot grow.
        Arc::clone(&check.output)
    } else {
        Arc::from(format!("TTL expired (last output before timeout follows): {}", check.output))
    };
    with_status(check, CheckStatus::Critical, output, None, now)
}
