//! Definitions in files: the same fields and rules as over the API.
//!
//! What an agent is told over its socket and what it reads from its files are one language, so that a
//! definition can move from one to the other, and files of other agents of this dialect load as they
//! are. Says what is wrong in plain words, with the key.

use super::check::{RawCheck, define_alone};
use super::service::{self, RawService};
use crate::api::json::Json;
use crate::model::{CheckDefinition, CheckKind, ProbeTarget, ServiceDefinition};

/// Keys of a file that hold definitions, and whether they hold services (or checks).
pub(crate) const KEYS: &[(&str, bool)] =
    &[("service", true), ("services", true), ("check", false), ("checks", false)];

/// One definition.
pub(crate) enum Defined {
    /// An instance with its checks.
    Service(Box<ServiceDefinition>),
    /// A check of the node, or of an instance that is defined elsewhere.
    Check(Box<CheckDefinition>),
}

/// Reads one definition; the error says which key and what was wanted.
pub(crate) fn read(value: &Json, is_service: bool) -> Result<Defined, String> {
    if is_service {
        let raw = RawService::read(value).map_err(|e| e.plainly())?;
        let definition = service::define(raw).map_err(|failure| failure.text)?;
        Ok(Defined::Service(Box::new(definition)))
    } else {
        let raw = RawCheck::read(value, "").map_err(|e| e.plainly())?;
        Ok(Defined::Check(Box::new(define_alone(raw).map_err(|failure| failure.text)?)))
    }
}

/// What to call a definition that could not be read: its id or name as written.
pub(crate) fn title(value: &Json) -> Option<&str> {
    let Json::Object(fields) = value else { return None };
    let text = |key: &str| {
        fields.iter().find_map(|(k, v)| match v {
            Json::Text(text) if k.eq_ignore_ascii_case(key) && !text.is_empty() => Some(text.as_str()),
            _ => None,
        })
    };
    text("id").or_else(|| text("name"))
}

/// Whether the agent would run a program for it.
pub(crate) fn is_script(check: &CheckDefinition) -> bool {
    matches!(&check.kind, CheckKind::Probe(p) if matches!(p.target, ProbeTarget::Script { .. }))
}
