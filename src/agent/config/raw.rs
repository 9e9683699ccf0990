//! Keys with values as found, and where each was found. Owns the list of keys, the reading of
//! files and the order in which sources win; knows nothing of what a value means beyond its shape.

use super::definitions::{self, RawDefinition};
use super::templates::{self, RawTemplate};
use super::{ConfigFault, access, dns};
use crate::agent::args::AgentArgs;
use crate::core::Settings;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use toml::de::{DeTable, DeValue};

/// Keys that are not timing or limits (those are [`Settings::KEYS`]), nor of the DNS server ([`dns::KEYS`])
/// or about who may use the API ([`access::KEYS`]).
pub(super) const KEYS: &[&str] = &[
    "node",
    "cluster",
    "bind",
    "advertise",
    "join",
    "socket",
    "socket_mode",
    "socket_group",
    "data_dir",
    "no_persist",
    "profile",
    "key_file",
    "allow_plaintext",
    "enable_script_checks",
    "enable_local_script_checks",
    "tag",
    "log_level",
    "log_format",
];

/// Where a value was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nowhere: it is the default.
    Default,
    /// A flag or its environment variable.
    Flag,
    /// A line (from 1) of a file.
    File(Arc<Path>, usize),
    /// Somewhere in a file whose lines are not counted.
    Document(Arc<Path>),
}

impl Origin {
    /// Another line of the same file.
    pub(super) fn at_line(&self, line: usize) -> Self {
        match self {
            Self::File(path, _) => Self::File(Arc::clone(path), line),
            Self::Default | Self::Flag | Self::Document(_) => self.clone(),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Flag => f.write_str("command line or environment"),
            Self::File(path, line) => write!(f, "{}:{line}", path.display()),
            Self::Document(path) => write!(f, "{}", path.display()),
        }
    }
}

/// Everything the files, the environment and the flags say, before it is understood.
#[derive(Debug, Default)]
pub(super) struct RawConfig {
    values: BTreeMap<&'static str, (toml::Value, Origin)>,
    tags: BTreeMap<String, (toml::Value, Origin)>,
    definitions: Vec<RawDefinition>,
    templates: Vec<RawTemplate>,
}

impl RawConfig {
    /// Reads the files that `args` names and lays the flags over them.
    pub(super) fn load(args: &AgentArgs) -> Result<Self, ConfigFault> {
        let mut raw = Self::default();
        for path in &args.config_files {
            raw.add_file(path)?;
        }
        for dir in &args.config_dirs {
            for path in files_in(dir)? {
                raw.add_file(&path)?;
            }
        }
        raw.add_flags(args)?;
        Ok(raw)
    }

    pub(super) fn origin(&self, key: &str) -> Origin {
        self.values.get(key).map_or(Origin::Default, |(_, origin)| origin.clone())
    }

    /// An error about `key`, with its value as it was written.
    pub(super) fn fault(&self, key: &str, want: impl Into<String>) -> ConfigFault {
        let value = self.values.get(key).map_or_else(|| "nothing".to_owned(), |(v, _)| v.to_string());
        ConfigFault::Value { origin: self.origin(key), key: key.to_owned(), value, want: want.into() }
    }

    pub(super) fn text(&self, key: &str, want: &str) -> Result<Option<&str>, ConfigFault> {
        match self.values.get(key) {
            None => Ok(None),
            Some((toml::Value::String(text), _)) => Ok(Some(text)),
            Some(_) => Err(self.fault(key, want)),
        }
    }

    /// Understands the text under `key` by `parse`; what it refuses is a fault that wants `want`.
    pub(super) fn parsed<T>(
        &self,
        key: &str,
        want: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, ConfigFault> {
        self.text(key, want)?.map(|text| parse(text).ok_or_else(|| self.fault(key, want))).transpose()
    }

    pub(super) fn flag(&self, key: &str) -> Result<bool, ConfigFault> {
        self.flag_or(key, false)
    }

    pub(super) fn flag_or(&self, key: &str, default: bool) -> Result<bool, ConfigFault> {
        match self.values.get(key) {
            None => Ok(default),
            Some((toml::Value::Boolean(on), _)) => Ok(*on),
            Some(_) => Err(self.fault(key, "true or false")),
        }
    }

    pub(super) fn number(&self, key: &str) -> Result<Option<u64>, ConfigFault> {
        match self.values.get(key) {
            None => Ok(None),
            Some((toml::Value::Integer(n), _)) if *n >= 0 => Ok(Some(n.unsigned_abs())),
            Some(_) => Err(self.fault(key, "a whole number")),
        }
    }

    pub(super) fn table(&self, key: &str, want: &str) -> Result<Option<&toml::Table>, ConfigFault> {
        match self.values.get(key) {
            None => Ok(None),
            Some((toml::Value::Table(table), _)) => Ok(Some(table)),
            Some(_) => Err(self.fault(key, want)),
        }
    }

    /// One text or a list of texts.
    pub(super) fn texts(&self, key: &str, want: &str) -> Result<Vec<String>, ConfigFault> {
        let list = match self.values.get(key) {
            None => return Ok(Vec::new()),
            Some((toml::Value::String(one), _)) => return Ok(vec![one.clone()]),
            Some((toml::Value::Array(list), _)) => list,
            Some(_) => return Err(self.fault(key, want)),
        };
        list.iter().map(|v| v.as_str().map(str::to_owned).ok_or_else(|| self.fault(key, want))).collect()
    }

    /// Node tags: each tag is a key of its own, so that a flag replaces one and keeps the others.
    pub(super) fn tags(&self) -> impl Iterator<Item = (&str, &toml::Value, &Origin)> {
        self.tags.iter().map(|(key, (value, origin))| (key.as_str(), value, origin))
    }

    /// Services and checks, in the order of files.
    pub(super) fn definitions(&self) -> &[RawDefinition] {
        &self.definitions
    }

    /// Files to keep, in the order of files.
    pub(super) fn templates(&self) -> &[RawTemplate] {
        &self.templates
    }

    fn add_file(&mut self, path: &Path) -> Result<(), ConfigFault> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| ConfigFault::Unreadable { path: path.to_owned(), error: error.to_string() })?;
        if path.extension().is_some_and(|e| e == "json") {
            self.add_definitions(definitions::in_json(path, &text)?);
            return Ok(());
        }
        self.add_text(path, &text)
    }

    /// Adds to the services and checks.
    pub(super) fn add_definitions(&mut self, found: Vec<RawDefinition>) {
        self.definitions.extend(found);
    }

    /// Lays the keys of one file over what is there.
    pub(super) fn add_text(&mut self, path: &Path, text: &str) -> Result<(), ConfigFault> {
        let table = DeTable::parse(text).map_err(|e| ConfigFault::Syntax {
            path: path.to_owned(),
            error: e.to_string().trim_end().to_owned(),
        })?;
        let path: Arc<Path> = Arc::from(path);
        let line_at = |byte: usize| 1 + text[..byte].matches('\n').count();
        for (key, value) in table.get_ref() {
            let origin = Origin::File(Arc::clone(&path), line_at(key.span().start));
            let name: &str = key.get_ref();
            if let Some(is_service) = definitions::holds(name) {
                self.definitions.extend(definitions::in_toml(value.get_ref(), is_service, &origin, line_at));
                continue;
            }
            if name == templates::KEY {
                self.add_templates(value.get_ref(), &origin, line_at);
                continue;
            }
            let value = plain(value.get_ref());
            if matches!(name, "tag" | "tags") {
                self.add_tags(value, &origin)?;
                continue;
            }
            let Some(known) = known(name) else { return Err(unknown(origin, name, &value)) };
            self.values.insert(known, (value, origin));
        }
        Ok(())
    }

    /// Adds to the files to keep: one table, or a list of them.
    fn add_templates(&mut self, value: &DeValue<'_>, origin: &Origin, line_at: impl Fn(usize) -> usize) {
        let DeValue::Array(list) = value else {
            self.templates.push(RawTemplate { origin: origin.clone(), value: plain(value) });
            return;
        };
        self.templates.extend(list.iter().map(|item| RawTemplate {
            origin: origin.at_line(line_at(item.span().start)),
            value: plain(item.get_ref()),
        }));
    }

    /// Lays what is here over `lower`.
    #[cfg(test)]
    pub(super) fn under(&mut self, lower: Self) {
        for (key, value) in lower.values {
            self.values.entry(key).or_insert(value);
        }
        for (key, value) in lower.tags {
            self.tags.entry(key).or_insert(value);
        }
        self.templates.extend(lower.templates);
    }

    fn add_tags(&mut self, value: toml::Value, origin: &Origin) -> Result<(), ConfigFault> {
        let fault = |value: &toml::Value| ConfigFault::Value {
            origin: origin.clone(),
            key: "tag".to_owned(),
            value: value.to_string(),
            want: "K=V, a list of K=V, or a table of texts".to_owned(),
        };
        if let toml::Value::Table(table) = value {
            self.tags.extend(table.into_iter().map(|(k, v)| (k, (v, origin.clone()))));
            return Ok(());
        }
        let list = if let toml::Value::Array(list) = value { list } else { vec![value] };
        for item in list {
            let (key, value) = item.as_str().and_then(|s| s.split_once('=')).ok_or_else(|| fault(&item))?;
            self.tags.insert(key.to_owned(), (toml::Value::String(value.to_owned()), origin.clone()));
        }
        Ok(())
    }

    fn add_flags(&mut self, args: &AgentArgs) -> Result<(), ConfigFault> {
        let path_text = |path: &Option<PathBuf>| path.as_ref().map(|p| p.to_string_lossy().into_owned());
        let texts = [
            ("node", args.node.clone()),
            ("cluster", args.cluster.clone()),
            ("bind", args.bind.clone()),
            ("advertise", args.advertise.clone()),
            ("socket", path_text(&args.socket)),
            ("http", args.http.clone()),
            ("http_token_file", path_text(&args.http_token_file)),
            ("dns", args.dns.clone()),
            ("dns_domain", args.dns_domain.clone()),
            ("data_dir", path_text(&args.data_dir)),
            ("profile", args.profile.clone()),
            ("key_file", path_text(&args.key_file)),
            ("log_level", args.log_level.clone()),
            ("log_format", args.log_format.clone()),
        ];
        for (key, text) in texts {
            // An environment file often holds `SHOAL_HTTP=` to say "not set".
            if let Some(text) = text.filter(|t| !t.is_empty()) {
                self.values.insert(key, (toml::Value::String(text), Origin::Flag));
            }
        }
        for (key, on) in [
            ("no_persist", args.no_persist),
            ("allow_plaintext", args.allow_plaintext),
            ("http_allow_remote", args.http_allow_remote),
            ("enable_script_checks", args.enable_script_checks),
            ("enable_local_script_checks", args.enable_local_script_checks),
        ] {
            if on {
                self.values.insert(key, (toml::Value::Boolean(true), Origin::Flag));
            }
        }
        let list = |items: &[String]| -> Vec<toml::Value> {
            items.iter().filter(|i| !i.is_empty()).cloned().map(toml::Value::String).collect()
        };
        let join = list(&args.join);
        if !join.is_empty() {
            self.values.insert("join", (toml::Value::Array(join), Origin::Flag));
        }
        self.add_tags(toml::Value::Array(list(&args.tags)), &Origin::Flag)
    }
}

fn all_keys() -> impl Iterator<Item = &'static str> {
    KEYS.iter().chain(access::KEYS).chain(dns::KEYS).chain(Settings::KEYS).copied()
}

fn known(name: &str) -> Option<&'static str> {
    all_keys().find(|k| *k == name)
}

fn unknown(origin: Origin, name: &str, value: &toml::Value) -> ConfigFault {
    let near = near_matches(name);
    let want = if near.is_empty() {
        format!("one of {}, service, check, template", all_keys().collect::<Vec<_>>().join(", "))
    } else {
        format!("a known key (did you mean {}?)", near.join(" or "))
    };
    ConfigFault::UnknownKey { origin, key: name.to_owned(), value: shortened(&value.to_string()), want }
}

/// A value as it fits into a message.
pub(super) fn shortened(value: &str) -> String {
    let mut value = value.replace('\n', " ");
    if let Some((end, _)) = value.char_indices().nth(60) {
        value.truncate(end);
        value.push_str("...");
    }
    value
}

/// Known keys that `name` may have been meant to be: the nearest first, three at most.
pub(super) fn near_matches(name: &str) -> Vec<&'static str> {
    let wanted = name.to_ascii_lowercase().replace('-', "_");
    let mut near: Vec<(usize, &'static str)> = all_keys()
        .map(|key| {
            let part = wanted.len() >= 4 && (key.contains(&wanted) || wanted.contains(key));
            (if part { 1 } else { edit_distance(&wanted, key) }, key)
        })
        .filter(|(distance, key)| *distance <= 1 + key.len() / 4)
        .collect();
    near.sort_unstable();
    near.into_iter().take(3).map(|(_, key)| key).collect()
}

/// Levenshtein's distance, by rows.
fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(ca != *cb);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

fn files_in(dir: &Path) -> Result<Vec<PathBuf>, ConfigFault> {
    let unreadable =
        |error: std::io::Error| ConfigFault::Unreadable { path: dir.to_owned(), error: error.to_string() };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if matches!(path.extension().and_then(|e| e.to_str()), Some("toml" | "json")) {
            files.push(path);
        }
    }
    files.sort_unstable();
    Ok(files)
}

/// The value without its places in the file.
fn plain(value: &DeValue<'_>) -> toml::Value {
    match value {
        DeValue::String(s) => toml::Value::String(s.to_string()),
        // A number that does not fit is kept as the text it was, and refused as such.
        DeValue::Integer(i) => i64::from_str_radix(i.as_str(), i.radix())
            .map_or_else(|_| toml::Value::String(i.to_string()), toml::Value::Integer),
        DeValue::Float(f) => {
            f.as_str().parse().map_or_else(|_| toml::Value::String(f.to_string()), toml::Value::Float)
        }
        DeValue::Boolean(b) => toml::Value::Boolean(*b),
        DeValue::Datetime(d) => toml::Value::Datetime(*d),
        DeValue::Array(list) => toml::Value::Array(list.iter().map(|v| plain(v.get_ref())).collect()),
        DeValue::Table(table) => toml::Value::Table(
            table.iter().map(|(k, v)| (k.get_ref().to_string(), plain(v.get_ref()))).collect(),
        ),
    }
}
