//! Taking over a configuration that was read again.
//!
//! Owns the list of what may change while the agent runs: the services and checks of definition
//! files, tags, the log level, the keys in the key file, and who may use the API. Anything else that
//! differs is named, and waits for a restart. A reload is taken as a whole: all of it is tried before any of it is done.

use super::config::{AgentConfig, Definitions};
use super::keys;
use super::logging::LogControl;
use crate::api::access::Access;
use crate::api::request::RequestError;
use crate::core::Agent;
use crate::model::{Instant, LocalCommand, LocalError};
use std::sync::Arc;

/// Keys that change without a restart.
const LIVE: &[&str] = &["tag", "log_level", "access", "http_hosts", "http_token_file"];

/// What of the running agent a reload reaches beside the protocol.
pub(super) struct Reach<'a> {
    /// The log, if it is this agent's.
    pub(super) log: Option<&'a LogControl>,
    /// Who decides who may use the API.
    pub(super) access: &'a Access,
}

/// Tries all of `new`. What has to be made durable before the rest may be done, if anything.
pub(super) fn prepare(
    new: &AgentConfig,
    agent: &Agent,
    now: Instant,
) -> Result<Option<LocalCommand>, RequestError> {
    agent.check_tags(new.tags()).map_err(|e| RequestError::Reload(format!("tag: {e}")))?;
    try_definitions(agent, new.definitions(), now).map_err(RequestError::Reload)
}

/// Changes the running agent from `current` to `new` as far as that is possible, and keeps in
/// `current` what is in effect. What [`prepare`] gave has been done. An error leaves everything else
/// as it was.
pub(super) fn apply(
    current: &mut AgentConfig,
    new: AgentConfig,
    agent: &mut Agent,
    reach: &Reach<'_>,
    now: Instant,
) -> Result<(), RequestError> {
    let differing = current.differences(&new);
    if differing.iter().any(|key| key == "tag") {
        let refused = |e| RequestError::Reload(format!("tag: {e}"));
        agent.set_tags(new.tags().clone(), now).map_err(refused)?;
        tracing::info!(tags = ?new.tags(), "tags changed");
    }
    if differing.iter().any(|key| key == "log_level")
        && let Some(log) = reach.log
    {
        log.set(new.log_level());
        tracing::info!(log_level = new.log_level(), "the log level changed");
    }
    if !new.keys().is_empty() && agent.keyring().is_some() {
        keys::tell_left_out(&agent.add_file_keys(new.keys(), now));
    }
    let before = current.access().terms();
    let kept = current.take_live_parts(new);
    let terms = current.access().terms();
    if terms != before {
        tracing::info!(
            rules = terms.rules != before.rules,
            token = terms.token != before.token,
            http_hosts = terms.hosts != before.hosts,
            "who may use the API was changed"
        );
        reach.access.set(terms);
    }
    let waits = |key: &&str| !LIVE.contains(key) || kept.contains(key);
    let waiting: Vec<&str> = differing.iter().map(String::as_str).filter(waits).collect();
    if !waiting.is_empty() {
        tracing::warn!(
            keys = waiting.join(", "),
            "these keys were changed and need a restart to take effect"
        );
    }
    Ok(())
}

/// Takes over what the files define, at the start. They are on disk as they are: there is nothing to
/// make durable.
pub(super) fn take_definitions(
    agent: &mut Agent,
    definitions: &Definitions,
    now: Instant,
) -> Result<(), String> {
    match try_definitions(agent, definitions, now)? {
        None => Ok(()),
        Some(command) => agent.apply(&command, now).map_err(|e| explain(&e, definitions)),
    }
}

/// The command that takes them over, unless nothing would change by it.
fn try_definitions(
    agent: &Agent,
    definitions: &Definitions,
    now: Instant,
) -> Result<Option<LocalCommand>, String> {
    let command = LocalCommand::TakeFiles(Arc::clone(definitions.files()));
    let after = agent.check(agent.local(), &command, now).map_err(|e| explain(&e, definitions))?;
    Ok((after != *agent.local()).then_some(command))
}

/// A refusal, with the place in the files where that can be told.
fn explain(error: &LocalError, definitions: &Definitions) -> String {
    if let LocalError::UnknownService(id) = error
        && let Some((check, origin)) = definitions.wants(id)
    {
        let id = check.id.as_str();
        return format!("{origin}: check {id:?}: {error}: want a service of this host (service_id)");
    }
    format!("definition files: {error}")
}
