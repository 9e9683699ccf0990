//! Files that the agent keeps from templates: each `[[template]]` of a file is one `shoal render`.
//!
//! Owns its keys, and the words in which a bad value is told. Looks at no file that it names: a
//! template may be written later, and one that is wrong keeps the last good file.

use super::ConfigFault;
use super::raw::{Origin, RawConfig};
use crate::follow::render::{DEBOUNCE, MAX_WAIT, Pair, Plan, TIMEOUT};
use crate::model::{DURATION_WANT, parse_duration, show_duration};
use std::path::Path;
use std::time::Duration;

/// The key of the list.
pub(super) const KEY: &str = "template";
/// The most entries that an agent keeps: each follows the table by a stream of its own.
pub(super) const TEMPLATES_MAX: usize = 64;
/// The most files of one entry.
const FILES_MAX: usize = 64;

const KEYS: &str = "template and out, or files; verify, exec, debounce, max_wait, interval, timeout";
const PAIRS_WANT: &str = r#"a list of "TEMPLATE:OUT" with absolute paths"#;
const PATH_WANT: &str = "an absolute path";

/// An entry as found.
#[derive(Debug)]
pub(super) struct RawTemplate {
    pub(super) origin: Origin,
    pub(super) value: toml::Value,
}

/// All entries, understood.
pub(super) fn from_raw(raw: &RawConfig) -> Result<Vec<Plan>, ConfigFault> {
    let mut plans = Vec::new();
    let mut pairs = Vec::new();
    for RawTemplate { origin, value } in raw.templates() {
        let fault = |why: String| ConfigFault::Definition {
            origin: origin.clone(),
            what: match value.get("out").and_then(toml::Value::as_str) {
                Some(out) => format!("template of {out:?}"),
                None => KEY.to_owned(),
            },
            why,
        };
        let plan = Entry(value).plan().map_err(&fault)?;
        pairs.extend(plan.files.iter().cloned());
        if !Pair::are_apart(&pairs) {
            return Err(fault("want a file for each template: another one has the same out".to_owned()));
        }
        plans.push(plan);
        if plans.len() > TEMPLATES_MAX {
            return Err(fault(format!("want at most {TEMPLATES_MAX} templates")));
        }
    }
    Ok(plans)
}

/// One table.
struct Entry<'a>(&'a toml::Value);

impl Entry<'_> {
    fn plan(&self) -> Result<Plan, String> {
        let Some(table) = self.0.as_table() else {
            return Err(format!("want [[template]] tables with {KEYS}"));
        };
        let known = |key: &str| KEYS.split([' ', ',', ';']).any(|word| word == key);
        if let Some(key) = table.keys().find(|key| !known(key) || matches!(key.as_str(), "and" | "or")) {
            return Err(format!("unknown key {key}: want {KEYS}"));
        }
        Ok(Plan {
            files: self.files()?,
            verify: self.command("verify")?,
            exec: self.command("exec")?,
            debounce: self.duration("debounce")?.unwrap_or(DEBOUNCE),
            max_wait: self.duration("max_wait")?.unwrap_or(MAX_WAIT),
            interval: self.duration("interval")?,
            timeout: self.duration("timeout")?.unwrap_or(TIMEOUT),
        })
    }

    fn files(&self) -> Result<Vec<Pair>, String> {
        let (template, out, files) = (self.0.get("template"), self.0.get("out"), self.0.get("files"));
        let pairs = match (template, out, files) {
            (Some(template), Some(out), None) => {
                let path = |key: &str, value: &toml::Value| {
                    value.as_str().map(Into::into).ok_or_else(|| format!("{key} = {value}: want {PATH_WANT}"))
                };
                vec![Pair { template: path("template", template)?, out: path("out", out)? }]
            }
            (None, None, Some(files)) => {
                let fault = || format!("files = {files}: want {PAIRS_WANT}, {FILES_MAX} at most");
                let list = files.as_array().filter(|list| (1..=FILES_MAX).contains(&list.len()));
                let pair = |text: &toml::Value| text.as_str().and_then(Pair::parse).ok_or_else(fault);
                list.ok_or_else(fault)?.iter().map(pair).collect::<Result<Vec<Pair>, String>>()?
            }
            _ => return Err("want template and out, or files with more of them".to_owned()),
        };
        // An agent has no directory of its own to start from, and no standard output for others.
        let relative = pairs.iter().flat_map(|pair| [&pair.template, &pair.out]).find(|p| !p.is_absolute());
        match relative {
            None => Ok(pairs),
            Some(path) => Err(format!("{:?}: want {PATH_WANT}", path.display().to_string())),
        }
    }

    fn command(&self, key: &str) -> Result<Option<String>, String> {
        match self.0.get(key) {
            None => Ok(None),
            Some(toml::Value::String(line)) if !line.trim().is_empty() => Ok(Some(line.clone())),
            Some(value) => Err(format!("{key} = {value}: want a shell command")),
        }
    }

    fn duration(&self, key: &str) -> Result<Option<Duration>, String> {
        let Some(value) = self.0.get(key) else { return Ok(None) };
        let duration = value.as_str().and_then(parse_duration).filter(|d| !d.is_zero());
        duration.map(Some).ok_or_else(|| format!("{key} = {value}: want {DURATION_WANT} of more than zero"))
    }
}

/// The entries that say the same.
pub(super) fn show(plans: &[Plan], table: &mut toml::Table) {
    if plans.is_empty() {
        return;
    }
    let entries = plans.iter().map(|plan| {
        let mut entry = toml::Table::new();
        let mut put = |key: &str, value: toml::Value| entry.insert(key.to_owned(), value);
        let text = |path: &Path| path.to_string_lossy().into_owned();
        let files = plan.files.iter().map(|pair| format!("{}:{}", text(&pair.template), text(&pair.out)));
        put("files", files.collect::<Vec<_>>().into());
        for (key, line) in [("verify", &plan.verify), ("exec", &plan.exec)] {
            if let Some(line) = line {
                put(key, line.as_str().into());
            }
        }
        put("debounce", show_duration(plan.debounce).into());
        put("max_wait", show_duration(plan.max_wait).into());
        if let Some(interval) = plan.interval {
            put("interval", show_duration(interval).into());
        }
        put("timeout", show_duration(plan.timeout).into());
        toml::Value::Table(entry)
    });
    table.insert(KEY.to_owned(), toml::Value::Array(entries.collect()));
}
