//! Taking over a configuration that was read again.
//!
//! Owns the list of what may change while the agent runs: tags, the log level and the keys in the key
//! file. Anything else
//! that differs is named, and waits for a restart.

use super::config::AgentConfig;
use super::keys;
use super::logging::LogControl;
use crate::api::request::RequestError;
use crate::core::Agent;
use crate::model::Instant;

/// Keys that change without a restart.
const LIVE: &[&str] = &["tag", "log_level"];

/// Changes the running agent from `current` to `new` as far as that is possible, and keeps in
/// `current` what is in effect. An error leaves everything as it was.
pub(super) fn apply(
    current: &mut AgentConfig,
    new: AgentConfig,
    agent: &mut Agent,
    log: Option<&LogControl>,
    now: Instant,
) -> Result<(), RequestError> {
    let differing = current.differences(&new);
    if differing.iter().any(|key| key == "tag") {
        let refused = |e| RequestError::Reload(format!("tag: {e}"));
        agent.set_tags(new.tags().clone(), now).map_err(refused)?;
        tracing::info!(tags = ?new.tags(), "tags changed");
    }
    if differing.iter().any(|key| key == "log_level")
        && let Some(log) = log
    {
        log.set(new.log_level());
        tracing::info!(log_level = new.log_level(), "the log level changed");
    }
    if !new.keys().is_empty() && agent.keyring().is_some() {
        keys::tell_left_out(&agent.add_file_keys(new.keys(), now));
    }
    let waiting: Vec<&str> = differing.iter().map(String::as_str).filter(|key| !LIVE.contains(key)).collect();
    if !waiting.is_empty() {
        tracing::warn!(
            keys = waiting.join(", "),
            "these keys were changed and need a restart to take effect"
        );
    }
    current.take_live_parts(new);
    Ok(())
}
