//! Services and checks that stand in configuration files.
//!
//! Owns where each stands, so that whatever is wrong with one names its file and line, and the rule
//! that no two have the same id. What a definition may say is the API's language
//! ([`crate::api::definition`]); what becomes of it is the agent's business.

use super::raw::{Origin, RawConfig};
use super::{AgentConfig, ConfigFault};
use crate::api::definition::file::{self, Defined};
use crate::api::json::Json;
use crate::model::{CheckDefinition, EntryKey, FileDefinitions};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use toml::de::DeValue;

/// A definition as found.
#[derive(Debug)]
pub(super) struct RawDefinition {
    value: Json,
    is_service: bool,
    origin: Origin,
}

/// Everything that definition files say.
#[derive(Debug, Clone, Default)]
pub(in crate::agent) struct Definitions {
    files: Arc<FileDefinitions>,
    origins: BTreeMap<EntryKey, Origin>,
}

impl Definitions {
    pub(super) fn collect(raw: &RawConfig, scripts: bool) -> Result<Self, ConfigFault> {
        let mut all = Self::default();
        let mut files = FileDefinitions::default();
        for found in raw.definitions() {
            let fault = |why: String| {
                let kind = if found.is_service { "service" } else { "check" };
                let title = file::title(&found.value).map_or_else(String::new, |t| format!(" {t:?}"));
                ConfigFault::Definition { origin: found.origin.clone(), what: format!("{kind}{title}"), why }
            };
            let allowed = |check: &CheckDefinition| {
                let why = "Args: scripts are disabled on this agent: want enable_local_script_checks = true \
                           (or enable_script_checks, for callers as well)";
                if scripts || !file::is_script(check) { Ok(()) } else { Err(fault(why.to_owned())) }
            };
            let mut claim = |key: EntryKey| match all.origins.insert(key.clone(), found.origin.clone()) {
                None => Ok(()),
                Some(other) => Err(fault(format!("{} is defined at {other} already", named(&key)))),
            };
            match file::read(&found.value, found.is_service).map_err(&fault)? {
                Defined::Service(service) => {
                    claim(EntryKey::Service(service.service.id.clone()))?;
                    for check in &service.checks {
                        allowed(check)?;
                        claim(EntryKey::Check(check.id.clone()))?;
                    }
                    files.services.push(*service);
                }
                Defined::Check(check) => {
                    allowed(&check)?;
                    claim(EntryKey::Check(check.id.clone()))?;
                    files.checks.push(*check);
                }
            }
        }
        all.files = Arc::new(files);
        Ok(all)
    }

    /// For the agent.
    pub(in crate::agent) fn files(&self) -> &Arc<FileDefinitions> {
        &self.files
    }

    /// Where the check stands that wants an instance which is nowhere.
    pub(in crate::agent) fn wants(&self, id: &str) -> Option<(&CheckDefinition, &Origin)> {
        let check =
            self.files.checks.iter().find(|c| c.service_id.as_ref().is_some_and(|s| s.as_str() == id))?;
        Some((check, self.origins.get(&EntryKey::Check(check.id.clone()))?))
    }

    /// A line for each, for people.
    pub(in crate::agent) fn lines(&self) -> impl Iterator<Item = String> + '_ {
        self.origins.iter().map(|(key, origin)| format!("{} ({origin})", named(key)))
    }
}

fn named(key: &EntryKey) -> String {
    match key {
        EntryKey::Service(id) => format!("service {:?}", id.as_str()),
        EntryKey::Check(id) => format!("check {:?}", id.as_str()),
        EntryKey::Node | EntryKey::Unknown(..) => "this".to_owned(),
    }
}

impl AgentConfig {
    /// Whether checks may run programs that were registered by callers, or stand in files.
    pub(in crate::agent) const fn allows_scripts(&self, from_file: bool) -> bool {
        self.enable_script_checks || (from_file && self.enable_local_script_checks)
    }

    /// What the files define.
    pub(in crate::agent) const fn definitions(&self) -> &Definitions {
        &self.definitions
    }
}

/// Whether a key of a TOML file holds definitions, and then whether of services.
pub(super) fn holds(key: &str) -> Option<bool> {
    file::KEYS.iter().find(|(name, _)| *name == key).map(|(_, is_service)| *is_service)
}

/// The definitions under such a key: one table, or a list of them. `line_at` counts the lines before
/// a byte of the file.
pub(super) fn in_toml(
    value: &DeValue<'_>,
    is_service: bool,
    origin: &Origin,
    line_at: impl Fn(usize) -> usize,
) -> Vec<RawDefinition> {
    let DeValue::Array(list) = value else {
        return vec![RawDefinition { value: json(value), is_service, origin: origin.clone() }];
    };
    list.iter()
        .map(|item| RawDefinition {
            value: json(item.get_ref()),
            is_service,
            origin: origin.at_line(line_at(item.span().start)),
        })
        .collect()
}

/// The definitions of a JSON file.
pub(super) fn in_json(path: &Path, text: &str) -> Result<Vec<RawDefinition>, ConfigFault> {
    let syntax = |error: String| ConfigFault::Syntax { path: path.to_owned(), error };
    let Json::Object(fields) = Json::parse_file(text).map_err(syntax)? else {
        return Err(syntax("want an object with service, services, check or checks".to_owned()));
    };
    let origin = Origin::Document(Arc::from(path));
    let mut found = Vec::new();
    for (key, value) in fields {
        let Some(is_service) = holds(&key) else {
            return Err(ConfigFault::UnknownKey {
                origin,
                key,
                value: super::raw::shortened(&format!("{value:?}")),
                want: "service, services, check or checks (settings stand in TOML files)".to_owned(),
            });
        };
        let values = match value {
            Json::Null => Vec::new(),
            Json::List(list) => list,
            one => vec![one],
        };
        found.extend(values.into_iter().map(|value| RawDefinition {
            value,
            is_service,
            origin: origin.clone(),
        }));
    }
    Ok(found)
}

/// What one file defines, scripts included, if all of it can be.
pub(in crate::agent) fn definitions_in(toml: bool, text: &str) -> Option<Arc<FileDefinitions>> {
    let mut raw = RawConfig::default();
    if toml {
        raw.add_text(Path::new("fuzz.toml"), text).ok()?;
    } else {
        raw.add_definitions(in_json(Path::new("fuzz.json"), text).ok()?);
    }
    Some(Definitions::collect(&raw, true).ok()?.files)
}

/// A TOML value as the API's language has it.
fn json(value: &DeValue<'_>) -> Json {
    match value {
        DeValue::String(text) => Json::Text(text.to_string()),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map_or_else(|_| Json::Text(number.to_string()), Json::Int),
        DeValue::Float(number) => {
            number.as_str().parse().map_or_else(|_| Json::Text(number.to_string()), Json::Float)
        }
        DeValue::Boolean(flag) => Json::Bool(*flag),
        DeValue::Datetime(moment) => Json::Text(moment.to_string()),
        DeValue::Array(list) => Json::List(list.iter().map(|item| json(item.get_ref())).collect()),
        DeValue::Table(table) => Json::Object(
            table.iter().map(|(key, value)| (key.get_ref().to_string(), json(value.get_ref()))).collect(),
        ),
    }
}

#[cfg(test)]
mod tests;
