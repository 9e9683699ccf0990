//! What an agent is to do, checked: an [`AgentConfig`] that exists is valid.
//!
//! Owns the way from flags, environment and files to one set of values, and the words in which a
//! bad value is told. Opens no sockets and creates no files.

mod access;
mod address;
mod definitions;
mod dns;
mod raw;
mod settings;
mod show;
#[cfg(test)]
mod tests;

pub use address::JoinAddress;
pub use dns::DnsConfig;
pub use raw::Origin;

use super::args::AgentArgs;
use crate::agent::keys;
use crate::agent::persist::DataDir;
use crate::core::{Config, Settings};
use crate::model::{KeyMaterial, NodeName};
use access::AccessConfig;
pub(super) use definitions::{Definitions, definitions_in};
use raw::RawConfig;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

/// The port of gossip when none is given.
pub const GOSSIP_PORT: u16 = 7946;
/// The most tags that a node may have.
pub const TAGS_MAX: usize = 64;
const TAG_KEY_BYTES_MAX: usize = 128;
const TAG_VALUE_BYTES_MAX: usize = 512;
/// What is to be done about gossip that would leave the host in plain.
pub(super) const ROUTABLE_WANT: &str = "a loopback address, or a key (--key-file FILE; `shoal keygen` makes one), or \
    allow_plaintext (--allow-plaintext): without a key gossip that leaves this host is readable and forgeable by others";
/// The longest path that a Unix socket address can hold on Linux.
const SOCKET_PATH_BYTES_MAX: usize = 107;

/// Why a configuration was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigFault {
    /// A value is not what its key wants.
    #[error("{origin}: {key} = {value}: want {want}")]
    Value {
        /// Where it stands.
        origin: Origin,
        /// Its key, as in a file (flags have `-` for `_`).
        key: String,
        /// The value as written.
        value: String,
        /// What would have been accepted.
        want: String,
    },
    /// A key that means nothing.
    #[error("{origin}: unknown key {key} = {value}: want {want}")]
    UnknownKey {
        /// Where it stands.
        origin: Origin,
        /// The key as written.
        key: String,
        /// Its value, shortened.
        value: String,
        /// The keys it may have been meant to be.
        want: String,
    },
    /// A service or check that cannot be.
    #[error("{origin}: {what}: {why}")]
    Definition {
        /// Where it stands.
        origin: Origin,
        /// Which one.
        what: String,
        /// Its key, and what was wanted.
        why: String,
    },
    /// Not TOML, or not JSON.
    #[error("{}: {error}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// What the parser says, with line and column.
        error: String,
    },
    /// A key file that is none, or is open to everybody.
    #[error("key file {}: {error}", path.display())]
    KeyFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and what was wanted. Holds nothing of what stands in it.
        error: String,
    },
    /// A file or directory that cannot be read.
    #[error("cannot read {}: {error}", path.display())]
    Unreadable {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        error: String,
    },
}

/// A timing preset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// [`Settings::lan`].
    Lan,
    /// [`Settings::wan`].
    Wan,
    /// [`Settings::local`].
    Local,
}

impl Profile {
    const WANT: &str = "lan, wan or local";

    fn from_word(word: &str) -> Option<Self> {
        match word {
            "lan" => Some(Self::Lan),
            "wan" => Some(Self::Wan),
            "local" => Some(Self::Local),
            _ => None,
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Lan => "lan",
            Self::Wan => "wan",
            Self::Local => "local",
        }
    }

    const fn settings(self) -> Settings {
        match self {
            Self::Lan => Settings::lan(),
            Self::Wan => Settings::wan(),
            Self::Local => Settings::local(),
        }
    }
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

/// A group by name and number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SocketGroup {
    name: String,
    gid: u32,
}

impl SocketGroup {
    /// Its number.
    pub const fn gid(&self) -> u32 {
        self.gid
    }
}

/// A checked configuration.
#[derive(Debug, Clone)]
pub struct AgentConfig {
    args: AgentArgs,
    node: NodeName,
    cluster: String,
    bind: SocketAddr,
    advertise: Option<SocketAddr>,
    join: Vec<JoinAddress>,
    socket: PathBuf,
    socket_mode: u32,
    socket_group: Option<SocketGroup>,
    access: AccessConfig,
    dns: DnsConfig,
    data_dir: Option<PathBuf>,
    profile: Profile,
    key_file: Option<PathBuf>,
    keys: Vec<KeyMaterial>,
    allow_plaintext: bool,
    /// Whoever may use the API may register checks that run programs, and whoever may write the files.
    enable_script_checks: bool,
    /// Whoever may write the configuration files may.
    enable_local_script_checks: bool,
    definitions: Definitions,
    tags: BTreeMap<String, String>,
    log_level: String,
    log_format: LogFormat,
    core: Config,
}

impl AgentConfig {
    /// Reads everything that `args` names and checks it. The environment was already laid under
    /// the flags by the command line parser.
    pub fn load(args: &AgentArgs) -> Result<Self, ConfigFault> {
        Self::from_raw(&RawConfig::load(args)?, args)
    }

    /// Reads the same files again, under the same flags.
    pub fn reread(&self) -> Result<Self, ConfigFault> {
        Self::load(&self.args)
    }

    /// Takes from `new` what may change while the agent runs. Names the keys that often do and this time
    /// wait for a restart.
    pub(super) fn take_live_parts(&mut self, new: Self) -> &'static [&'static str] {
        self.tags = new.tags;
        self.log_level = new.log_level;
        self.definitions = new.definitions;
        self.keys = new.keys;
        self.access.take_live_parts(new.access)
    }

    fn from_raw(raw: &RawConfig, args: &AgentArgs) -> Result<Self, ConfigFault> {
        let profile = raw.parsed("profile", Profile::WANT, Profile::from_word)?.unwrap_or(Profile::Lan);
        let mut settings = profile.settings();
        settings::apply(raw, &mut settings)?;
        let core = Config::new(settings).map_err(|e| ConfigFault::Value {
            origin: raw.origin(e.key),
            key: e.key.to_owned(),
            value: e.value,
            want: e.want,
        })?;
        let bind = raw
            .parsed("bind", address::GOSSIP_WANT, address::gossip)?
            .unwrap_or_else(|| SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), GOSSIP_PORT));
        let allow_plaintext = raw.flag("allow_plaintext")?;
        let key_file = raw.parsed("key_file", "a path", |s| (!s.is_empty()).then(|| PathBuf::from(s)))?;
        let keys = key_file.as_deref().map(keys::read).transpose()?.unwrap_or_default();
        let data_dir = data_dir(raw)?;
        // A keyring that an earlier run kept has keys as well.
        let kept = data_dir.as_ref().is_some_and(|dir| DataDir::has_keyring(dir));
        if !bind.ip().is_loopback() && keys.is_empty() && !kept && !allow_plaintext {
            return Err(raw.fault("bind", ROUTABLE_WANT));
        }
        let enable_script_checks = raw.flag("enable_script_checks")?;
        let enable_local_script_checks = raw.flag("enable_local_script_checks")?;
        Ok(Self {
            args: args.clone(),
            node: node(raw)?,
            cluster: cluster(raw)?,
            advertise: advertise(raw, bind)?,
            bind,
            join: join(raw)?,
            socket: socket(raw)?,
            socket_mode: raw.parsed("socket_mode", MODE_WANT, parse_mode)?.unwrap_or(0o600),
            socket_group: raw.parsed("socket_group", "the name of a group on this host", group)?,
            access: AccessConfig::from_raw(raw)?,
            dns: DnsConfig::from_raw(raw)?,
            data_dir,
            profile,
            key_file,
            keys,
            allow_plaintext,
            enable_script_checks,
            enable_local_script_checks,
            definitions: Definitions::collect(raw, enable_script_checks || enable_local_script_checks)?,
            tags: tags(raw)?,
            log_level: raw
                .parsed("log_level", LOG_LEVEL_WANT, log_level)?
                .unwrap_or_else(|| "info".to_owned()),
            log_format: raw.parsed("log_format", "text or json", log_format)?.unwrap_or(LogFormat::Text),
            core,
        })
    }

    /// This node's name.
    pub const fn node(&self) -> &NodeName {
        &self.node
    }
    /// The cluster's name.
    pub fn cluster(&self) -> &str {
        &self.cluster
    }
    /// Where gossip is received; port 0 lets the system choose.
    pub const fn bind(&self) -> SocketAddr {
        self.bind
    }
    /// What others are told, if it is not the bound address; port 0 means the bound port.
    pub const fn advertise(&self) -> Option<SocketAddr> {
        self.advertise
    }
    /// Agents to join through.
    pub fn join(&self) -> &[JoinAddress] {
        &self.join
    }
    /// Path of the API's Unix socket.
    pub fn socket(&self) -> &Path {
        &self.socket
    }
    /// Permission bits of that socket.
    pub const fn socket_mode(&self) -> u32 {
        self.socket_mode
    }
    /// Group of that socket, if it is to be changed.
    pub const fn socket_group(&self) -> Option<&SocketGroup> {
        self.socket_group.as_ref()
    }
    /// Address of the API over TCP, if wanted.
    pub const fn http(&self) -> Option<SocketAddr> {
        self.access.http()
    }
    /// Who may use the API.
    pub(super) const fn access(&self) -> &AccessConfig {
        &self.access
    }
    /// The DNS server.
    pub const fn dns(&self) -> &DnsConfig {
        &self.dns
    }
    /// Where state is kept; `None` keeps it in memory.
    pub fn data_dir(&self) -> Option<&Path> {
        self.data_dir.as_deref()
    }
    /// The keys of the key file, the primary one first.
    pub fn keys(&self) -> &[KeyMaterial] {
        &self.keys
    }
    /// Whether gossip may leave this host without encryption.
    pub const fn allow_plaintext(&self) -> bool {
        self.allow_plaintext
    }
    /// Node tags.
    pub const fn tags(&self) -> &BTreeMap<String, String> {
        &self.tags
    }
    /// A level's word or filter directives.
    pub fn log_level(&self) -> &str {
        &self.log_level
    }
    /// How log lines look.
    pub const fn log_format(&self) -> LogFormat {
        self.log_format
    }
    /// The protocol's part.
    pub const fn core(&self) -> &Config {
        &self.core
    }
}

fn node(raw: &RawConfig) -> Result<NodeName, ConfigFault> {
    const WANT: &str = "1 to 128 letters, digits, '-', '_' or '.', starting with a letter or digit";
    if let Some(name) = raw.parsed("node", WANT, |s| NodeName::new(s).ok())? {
        return Ok(name);
    }
    let host = nix::unistd::gethostname().map(|h| h.to_string_lossy().into_owned()).unwrap_or_default();
    NodeName::new(&host).map_err(|_| ConfigFault::Value {
        origin: Origin::Default,
        key: "node".to_owned(),
        value: format!("{host:?} (this host's name)"),
        want: format!("--node NAME with {WANT}"),
    })
}

fn cluster(raw: &RawConfig) -> Result<String, ConfigFault> {
    let valid = |s: &str| {
        let fits = (1..=128).contains(&s.len());
        fits && s.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
    };
    let want = "1 to 128 letters, digits, '-', '_' or '.'";
    let name = raw.parsed("cluster", want, |s| valid(s).then(|| s.to_owned()))?;
    Ok(name.unwrap_or_else(|| "shoal".to_owned()))
}

fn advertise(raw: &RawConfig, bind: SocketAddr) -> Result<Option<SocketAddr>, ConfigFault> {
    // Without a port of its own, what others are told has the port that gossip is received on.
    let parse = |s: &str| address::with_port(s, bind.port());
    let advertise = raw.parsed("advertise", address::GOSSIP_WANT, parse)?;
    match advertise {
        Some(a) if a.ip().is_unspecified() => {
            Err(raw.fault("advertise", "the address at which others reach this host"))
        }
        Some(a) if a.is_ipv4() != bind.is_ipv4() => {
            Err(raw.fault("advertise", format!("an address of the same IP version as bind ({bind})")))
        }
        None if bind.ip().is_unspecified() => Err(raw.fault(
            "bind",
            "an address of this host, or advertise (--advertise) with the address at which others reach it",
        )),
        advertise => Ok(advertise),
    }
}

fn join(raw: &RawConfig) -> Result<Vec<JoinAddress>, ConfigFault> {
    const WANT: &str = "HOST[:PORT], an IP address or a DNS name (or a list of them)";
    let texts = raw.texts("join", WANT)?;
    texts.iter().map(|t| t.parse().map_err(|()| raw.fault("join", WANT))).collect()
}

fn socket(raw: &RawConfig) -> Result<PathBuf, ConfigFault> {
    let path = raw.text("socket", "a path")?.map_or_else(crate::client::default_socket_path, PathBuf::from);
    if path.as_os_str().is_empty() || path.as_os_str().len() > SOCKET_PATH_BYTES_MAX {
        return Err(ConfigFault::Value {
            origin: raw.origin("socket"),
            key: "socket".to_owned(),
            value: format!("{path:?}"),
            want: format!("a path of 1 to {SOCKET_PATH_BYTES_MAX} bytes"),
        });
    }
    Ok(path)
}

fn data_dir(raw: &RawConfig) -> Result<Option<PathBuf>, ConfigFault> {
    let given = raw.parsed("data_dir", "a path", |s| (!s.is_empty()).then(|| PathBuf::from(s)))?;
    if raw.flag("no_persist")? {
        return Ok(None);
    }
    if let Some(dir) = given.or_else(default_data_dir) {
        return Ok(Some(dir));
    }
    Err(raw
        .fault("data_dir", "--data-dir DIR or --no-persist, because neither XDG_STATE_HOME nor HOME is set"))
}

fn tags(raw: &RawConfig) -> Result<BTreeMap<String, String>, ConfigFault> {
    let mut tags = BTreeMap::new();
    for (key, value, origin) in raw.tags() {
        let fault = |want: String| ConfigFault::Value {
            origin: origin.clone(),
            key: format!("tag.{key}"),
            value: value.to_string(),
            want,
        };
        if key.is_empty() || key.len() > TAG_KEY_BYTES_MAX || key.chars().any(char::is_control) {
            return Err(fault(format!("a key of 1 to {TAG_KEY_BYTES_MAX} bytes without control characters")));
        }
        match value.as_str() {
            Some(text) if text.len() <= TAG_VALUE_BYTES_MAX => tags.insert(key.to_owned(), text.to_owned()),
            _ => return Err(fault(format!("a text of at most {TAG_VALUE_BYTES_MAX} bytes"))),
        };
        if tags.len() > TAGS_MAX {
            return Err(fault(format!("at most {TAGS_MAX} tags")));
        }
    }
    Ok(tags)
}

const MODE_WANT: &str = r#"permission bits in octal, such as "0660""#;

fn parse_mode(text: &str) -> Option<u32> {
    u32::from_str_radix(text.strip_prefix("0o").unwrap_or(text), 8).ok().filter(|m| *m <= 0o777)
}

fn group(name: &str) -> Option<SocketGroup> {
    let group = nix::unistd::Group::from_name(name).ok()??;
    Some(SocketGroup { name: name.to_owned(), gid: group.gid.as_raw() })
}

const LOG_LEVEL_WANT: &str =
    "off, error, warn, info, debug or trace, or targets such as info,shoal::agent=debug";

/// A filter takes any word for the name of a target, so that a mistyped level would silence
/// everything: words without a target must be levels.
fn log_level(text: &str) -> Option<String> {
    use tracing_subscriber::filter::{EnvFilter, LevelFilter};
    let levels = text.split(',').filter(|d| !d.contains(['=', '[']));
    let known = !text.is_empty() && levels.into_iter().all(|d| d.parse::<LevelFilter>().is_ok());
    (known && EnvFilter::try_new(text).is_ok()).then(|| text.to_owned())
}

fn log_format(text: &str) -> Option<LogFormat> {
    match text {
        "text" => Some(LogFormat::Text),
        "json" => Some(LogFormat::Json),
        _ => None,
    }
}

fn default_data_dir() -> Option<PathBuf> {
    if nix::unistd::geteuid().is_root() {
        return Some(PathBuf::from("/var/lib/shoal"));
    }
    env_dir("XDG_STATE_HOME")
        .map(|dir| dir.join("shoal"))
        .or_else(|| env_dir("HOME").map(|home| home.join(".local/state/shoal")))
}

/// A directory named by the environment; the XDG rules ignore a relative one.
fn env_dir(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).map(PathBuf::from).filter(|p| p.is_absolute())
}
