//! The flags of `shoal agent`, as typed on the command line or set in the environment.
//!
//! Owns the names and help texts. Checks nothing: every value is kept as text, and
//! [`config`](super::config) decides what it means, so that a bad value is told in one way
//! wherever it came from.

use std::path::PathBuf;

/// Flags of `shoal agent` and `shoal config check`. Each may also be set as `SHOAL_<FLAG>`; a
/// flag wins over the environment, which wins over files.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct AgentArgs {
    /// Configuration file (TOML, or service definitions in JSON); of several, the later one wins
    #[arg(long = "config", value_name = "FILE", env = "SHOAL_CONFIG")]
    pub config_files: Vec<PathBuf>,

    /// Directory whose *.toml and *.json files are read in the order of their names, after --config
    #[arg(long = "config-dir", value_name = "DIR", env = "SHOAL_CONFIG_DIR")]
    pub config_dirs: Vec<PathBuf>,

    /// Name of this node, unique in the cluster [default: the host name]
    #[arg(long, value_name = "NAME", env = "SHOAL_NODE")]
    pub node: Option<String>,

    /// Name of the cluster [default: shoal]
    #[arg(long, value_name = "NAME", env = "SHOAL_CLUSTER")]
    pub cluster: Option<String>,

    /// Where gossip is received (UDP) [default: 127.0.0.1:7946]
    #[arg(long, value_name = "ADDR[:PORT]", env = "SHOAL_BIND")]
    pub bind: Option<String>,

    /// What others are told to send to [default: the address of --bind]
    #[arg(long, value_name = "ADDR[:PORT]", env = "SHOAL_ADVERTISE")]
    pub advertise: Option<String>,

    /// An agent to join through, an IP address or a DNS name; repeatable
    #[arg(long, value_name = "HOST[:PORT]", env = "SHOAL_JOIN", value_delimiter = ',')]
    pub join: Vec<String>,

    /// Unix socket of the API [default: /run/shoal/agent.sock, or a directory of the user's own]
    #[arg(long, value_name = "PATH", env = "SHOAL_SOCKET")]
    pub socket: Option<PathBuf>,

    /// Serve the API on this loopback TCP address as well [default: off]
    #[arg(long, value_name = "ADDR:PORT", env = "SHOAL_HTTP")]
    pub http: Option<String>,

    /// Let --http be an address that other hosts can reach; needs --http-token-file
    #[arg(long, env = "SHOAL_HTTP_ALLOW_REMOTE", value_parser = clap::builder::FalseyValueParser::new())]
    pub http_allow_remote: bool,

    /// File with the token that callers over TCP must tell
    #[arg(long, value_name = "FILE", env = "SHOAL_HTTP_TOKEN_FILE")]
    pub http_token_file: Option<PathBuf>,

    /// Serve DNS at this address, over UDP and TCP [default: off]
    #[arg(long, value_name = "ADDR:PORT", env = "SHOAL_DNS")]
    pub dns: Option<String>,

    /// The domain that DNS is served for [default: consul]
    #[arg(long, value_name = "DOMAIN", env = "SHOAL_DNS_DOMAIN")]
    pub dns_domain: Option<String>,

    /// Where registrations are kept [default: the state directory of the system or the user]
    #[arg(long, value_name = "DIR", env = "SHOAL_DATA_DIR")]
    pub data_dir: Option<PathBuf>,

    /// Keep everything in memory; a restart forgets it
    #[arg(long, env = "SHOAL_NO_PERSIST", value_parser = clap::builder::FalseyValueParser::new())]
    pub no_persist: bool,

    /// Timing preset: lan, wan or local [default: lan]
    #[arg(long, value_name = "PROFILE", env = "SHOAL_PROFILE")]
    pub profile: Option<String>,

    /// File with the cluster's keys (base64, one in a line, the primary one first); see `shoal keygen`
    #[arg(long, value_name = "FILE", env = "SHOAL_KEY_FILE")]
    pub key_file: Option<PathBuf>,

    /// Gossip without encryption on an address that other hosts can reach
    #[arg(long, env = "SHOAL_ALLOW_PLAINTEXT", value_parser = clap::builder::FalseyValueParser::new())]
    pub allow_plaintext: bool,

    /// Let callers of the API register checks that run programs, as the user that the agent runs as
    #[arg(long, env = "SHOAL_ENABLE_SCRIPT_CHECKS", value_parser = clap::builder::FalseyValueParser::new())]
    pub enable_script_checks: bool,

    /// Let configuration files define checks that run programs
    #[arg(long, env = "SHOAL_ENABLE_LOCAL_SCRIPT_CHECKS", value_parser = clap::builder::FalseyValueParser::new())]
    pub enable_local_script_checks: bool,

    /// A tag of this node; repeatable
    #[arg(long = "tag", value_name = "K=V", env = "SHOAL_TAG")]
    pub tags: Vec<String>,

    /// error, warn, info, debug or trace; or targets such as info,shoal::agent=debug [default: info]
    #[arg(long, value_name = "LEVEL", env = "SHOAL_LOG_LEVEL")]
    pub log_level: Option<String>,

    /// text or json [default: text]
    #[arg(long, value_name = "FORMAT", env = "SHOAL_LOG_FORMAT")]
    pub log_format: Option<String>,
}
