//! Why an agent does not start.

use super::config::{ConfigFault, ROUTABLE_WANT};
use super::persist::DataDirError;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Why [`Shell::start`](super::Shell::start) refused. Nothing is left behind by a refused start
/// but directories.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigFault),
    /// The data directory.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// Another process receives at the gossip address.
    #[error(
        "gossip address {0} is in use by another process; pass --bind ADDR:PORT with a free port (0 lets the system choose)"
    )]
    GossipInUse(SocketAddr),
    /// The gossip address cannot be bound.
    #[error("cannot receive gossip at {addr}: {error} (see --bind)")]
    Gossip {
        /// The address.
        addr: SocketAddr,
        /// What the system says.
        error: io::Error,
    },
    /// Other hosts would see and could forge what is sent.
    #[error("bind = {0}: want {ROUTABLE_WANT}")]
    Plaintext(SocketAddr),
    /// A live agent answers at the socket.
    #[error("another agent is running at socket {}; stop it, or pass another --socket PATH", .0.display())]
    SocketInUse(PathBuf),
    /// The Unix socket cannot be made.
    #[error("cannot {what} {}: {error} (see --socket)", path.display())]
    Socket {
        /// What was tried.
        what: &'static str,
        /// On which file or directory.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// The TCP address of the API cannot be bound.
    #[error("cannot serve HTTP at {addr}: {error} (see --http)")]
    Http {
        /// The address.
        addr: SocketAddr,
        /// What the system says.
        error: io::Error,
    },
    /// What the definition files say cannot be taken over.
    #[error("{0}")]
    Definitions(String),
    /// The DNS address cannot be bound.
    #[error("cannot serve DNS at {addr}: {error} (see --dns)")]
    Dns {
        /// The address.
        addr: SocketAddr,
        /// What the system says.
        error: io::Error,
    },
    /// A thread or the runtime cannot be started.
    #[error("cannot start: {0}")]
    System(#[from] io::Error),
}
