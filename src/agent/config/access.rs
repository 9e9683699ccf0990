//! Who may use the API, in the agent's configuration.
//!
//! Owns the words of the rules and what they mean on this host: names of users and groups are looked
//! up when the configuration is read. Decides nothing: that is [`Access`].

use super::{ConfigFault, Origin, RawConfig};
use crate::api::access::{Access, Allowed, Principal, Rules, Terms, Token};
use nix::unistd::{Group, User};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Its keys.
pub(super) const KEYS: &[&str] = &["http", "http_allow_remote", "http_token_file", "http_hosts", "access"];

const HTTP_WANT: &str = "a loopback address with a port, such as 127.0.0.1:8500; another one needs http_allow_remote \
                         (--http-allow-remote) and http_token_file (--http-token-file)";
const TOKEN_WANT: &str =
    "a file that others cannot read, with a token of 16 to 512 visible ASCII characters on one line";
const HOSTS_WANT: &str = "a name that this agent is reached by, without a port (or a list of them)";
const ACCESS_WANT: &str = "a table with read, register and administer";
const ALLOWED_WANT: &str = "a list of users of this host (names or numbers), \"@GROUP\", \"tcp\" or \"*\"";
const PATTERN_WANT: &str = r#"a table of service names or prefixes such as "web-*", each with "#;

/// What was configured.
#[derive(Debug, Clone, Default)]
pub(in crate::agent) struct AccessConfig {
    http: Option<SocketAddr>,
    allow_remote: bool,
    token_file: Option<PathBuf>,
    token: Option<Token>,
    hosts: Vec<String>,
    rules: Rules,
}

impl AccessConfig {
    pub(super) fn from_raw(raw: &RawConfig) -> Result<Self, ConfigFault> {
        let allow_remote = raw.flag("http_allow_remote")?;
        let token_file =
            raw.parsed("http_token_file", "a path", |s| (!s.is_empty()).then(|| PathBuf::from(s)))?;
        let token = token_file.as_deref().map(|path| read_token(raw, path)).transpose()?;
        let safe = |addr: &SocketAddr| addr.ip().is_loopback() || (allow_remote && token.is_some());
        let http = raw.parsed("http", HTTP_WANT, |s| s.parse().ok().filter(safe))?;
        let hosts = raw.texts("http_hosts", HOSTS_WANT)?;
        let hosts = hosts.iter().map(|h| host(h).ok_or_else(|| raw.fault("http_hosts", HOSTS_WANT)));
        let hosts = hosts.collect::<Result<_, _>>()?;
        Ok(Self { http, allow_remote, token_file, token, hosts, rules: rules(raw)? })
    }

    /// Where the API is served over TCP, if it is.
    pub(super) const fn http(&self) -> Option<SocketAddr> {
        self.http
    }

    /// Who decides by it.
    pub(in crate::agent) fn build(&self) -> Access {
        Access::by(self.terms()).owned_by(nix::unistd::geteuid().as_raw())
    }

    /// What is decided by.
    pub(in crate::agent) fn terms(&self) -> Terms {
        Terms { rules: self.rules.clone(), token: self.token.clone(), hosts: self.hosts.clone() }
    }

    /// Takes from `new` all but where the API is served over TCP, which waits for a restart; and of an
    /// address that other hosts reach, the token is not taken away. Names the keys that wait for that.
    pub(in crate::agent) fn take_live_parts(&mut self, new: Self) -> &'static [&'static str] {
        let Self { http: _, allow_remote: _, token_file, token, hosts, rules } = new;
        (self.hosts, self.rules) = (hosts, rules);
        let remote = self.http.is_some_and(|addr| !addr.ip().is_loopback());
        if remote && token.is_none() {
            return &["http_token_file"];
        }
        (self.token_file, self.token) = (token_file, token);
        &[]
    }

    /// The file that says the same; the token stays where it is.
    pub(super) fn show(&self, table: &mut toml::Table) {
        let mut put = |key: &str, value: toml::Value| {
            table.insert(key.to_owned(), value);
        };
        if let Some(http) = self.http {
            put("http", http.to_string().into());
        }
        put("http_allow_remote", self.allow_remote.into());
        if let Some(file) = &self.token_file {
            put("http_token_file", file.to_string_lossy().into_owned().into());
        }
        put("http_hosts", self.hosts.clone().into());
        let Rules { read, register, administer } = &self.rules;
        let mut rules = toml::Table::new();
        for (key, allowed) in [("read", read), ("administer", administer)] {
            if let Some(allowed) = allowed {
                rules.insert(key.to_owned(), allowed.words.clone().into());
            }
        }
        if let Some(patterns) = register {
            let patterns: toml::Table =
                patterns.iter().map(|(name, a)| (name.clone(), a.words.clone().into())).collect();
            rules.insert("register".to_owned(), patterns.into());
        }
        if !rules.is_empty() {
            put("access", rules.into());
        }
    }
}

/// A secret that everybody on the host can read is none.
fn read_token(raw: &RawConfig, path: &Path) -> Result<Token, ConfigFault> {
    let unreadable =
        |error: std::io::Error| ConfigFault::Unreadable { path: path.to_owned(), error: error.to_string() };
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let mode = file.metadata().map_err(unreadable)?.permissions().mode();
    let mut text = String::new();
    let most = *Token::BYTES.end() as u64 + 2;
    std::io::Read::read_to_string(&mut std::io::Read::take(file, most), &mut text).map_err(unreadable)?;
    let token = Token::new(text.trim_end()).filter(|_| mode & 0o007 == 0);
    token.ok_or_else(|| raw.fault("http_token_file", TOKEN_WANT))
}

fn host(text: &str) -> Option<String> {
    let fits = (1..=253).contains(&text.len())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
    fits.then(|| text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase())
}

fn rules(raw: &RawConfig) -> Result<Rules, ConfigFault> {
    let mut rules = Rules::default();
    for (key, value) in raw.table("access", ACCESS_WANT)?.into_iter().flatten() {
        let key = format!("access.{key}");
        let at = At { origin: raw.origin("access"), key: &key };
        match key.as_str() {
            "access.read" => rules.read = Some(at.allowed(value)?),
            "access.administer" => rules.administer = Some(at.allowed(value)?),
            "access.register" => rules.register = Some(at.patterns(value)?),
            _ => return Err(at.fault(value, ACCESS_WANT.to_owned())),
        }
    }
    Ok(rules)
}

/// Where a rule stands.
struct At<'a> {
    origin: Origin,
    key: &'a str,
}

impl At<'_> {
    fn fault(&self, value: &toml::Value, want: String) -> ConfigFault {
        let origin = self.origin.clone();
        ConfigFault::Value { origin, key: self.key.to_owned(), value: value.to_string(), want }
    }

    fn patterns(&self, value: &toml::Value) -> Result<Vec<(String, Allowed)>, ConfigFault> {
        let fault = || self.fault(value, format!("{PATTERN_WANT}{ALLOWED_WANT}"));
        let table = value.as_table().ok_or_else(fault)?;
        let each = table.iter().map(|(pattern, value)| {
            let name = pattern.strip_suffix('*').unwrap_or(pattern);
            if pattern.is_empty() || name.contains('*') {
                return Err(fault());
            }
            Ok((pattern.to_lowercase(), self.allowed(value)?))
        });
        each.collect()
    }

    fn allowed(&self, value: &toml::Value) -> Result<Allowed, ConfigFault> {
        let one = std::slice::from_ref(value);
        let list = value.as_array().map_or(one, Vec::as_slice);
        let mut allowed = Allowed::default();
        for item in list {
            let word = match item {
                toml::Value::String(text) => text.clone(),
                toml::Value::Integer(number) => number.to_string(),
                _ => return Err(self.fault(value, ALLOWED_WANT.to_owned())),
            };
            let principal = principal(&word).ok_or_else(|| self.fault(value, ALLOWED_WANT.to_owned()))?;
            allowed.words.push(word);
            allowed.principals.push(principal);
        }
        Ok(allowed)
    }
}

fn principal(word: &str) -> Option<Principal> {
    match (word, word.strip_prefix('@')) {
        ("*", _) => Some(Principal::Anybody),
        ("tcp", _) => Some(Principal::Tcp),
        (_, Some(name)) => group(name),
        (name, None) => user(name).map(Principal::User),
    }
}

fn user(name: &str) -> Option<u32> {
    name.parse().ok().or_else(|| Some(User::from_name(name).ok()??.uid.as_raw()))
}

/// The kernel tells a caller's first group only; in which further ones it is, the list of the
/// group's members says.
fn group(name: &str) -> Option<Principal> {
    let number = name.parse::<u32>().ok();
    let found = match number {
        Some(gid) => Group::from_gid(gid.into()).ok().flatten(),
        None => Group::from_name(name).ok().flatten(),
    };
    let members = found.iter().flat_map(|g| &g.mem).filter_map(|member| user(member)).collect();
    let gid = number.or_else(|| found.as_ref().map(|g| g.gid.as_raw()))?;
    Some(Principal::Group { gid, members })
}

#[cfg(test)]
pub(super) fn defaults() -> toml::Table {
    let mut table = toml::Table::new();
    AccessConfig::default().show(&mut table);
    table
}
