use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// A check that the agent carries out itself, over and over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// What is done.
    pub target: ProbeTarget,
    /// Time from the end of one run to the start of the next; a second at least.
    pub interval: Duration,
    /// A run that takes longer is a failure.
    pub timeout: Duration,
    /// Successes in a row that it takes to be passing again; 1 at least.
    pub successes_before_passing: u32,
    /// Failures in a row from which it is warning; at most `failures_before_critical`.
    pub failures_before_warning: u32,
    /// Failures in a row that it takes to be critical; 1 at least.
    pub failures_before_critical: u32,
    /// Bytes of output that are kept.
    pub output_bytes_max: usize,
}

/// What a probe is made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ProbeTarget {
    /// An HTTP request: 2xx is passing, 429 warning.
    Http(HttpProbe),
    /// A TCP connection.
    Tcp {
        /// `host:port`.
        address: String,
        /// With a TLS handshake.
        tls: Option<ProbeTls>,
    },
    /// A datagram that is answered, or at least not refused.
    Udp {
        /// `host:port`.
        address: String,
    },
    /// `grpc.health.v1.Health/Check`: `SERVING` is passing.
    Grpc {
        /// `host:port`.
        address: String,
        /// The service that is asked about; empty for the server as a whole.
        service: String,
        /// Over TLS.
        tls: Option<ProbeTls>,
    },
    /// An HTTP/2 ping.
    H2Ping {
        /// `host:port`.
        address: String,
        /// Over TLS.
        tls: Option<ProbeTls>,
    },
    /// A program: exit code 0 is passing, 1 warning.
    Script {
        /// The program and its arguments; not empty.
        args: Vec<String>,
    },
}

impl ProbeTarget {
    /// The kind's word, as it stands in [`CheckRecord::kind`](super::CheckRecord::kind).
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Http(_) => "http",
            Self::Tcp { .. } => "tcp",
            Self::Udp { .. } => "udp",
            Self::Grpc { .. } => "grpc",
            Self::H2Ping { .. } => "h2ping",
            Self::Script { .. } => "script",
        }
    }
}

/// An HTTP request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpProbe {
    /// `http://` or `https://`.
    pub url: String,
    /// `GET`, `POST`, ...
    pub method: String,
    /// Headers; `Host` replaces that of the URL.
    pub headers: BTreeMap<String, Vec<String>>,
    /// The request's body.
    pub body: String,
    /// Whether redirects are followed, up to ten.
    pub follows_redirects: bool,
    /// For `https://`.
    pub tls: ProbeTls,
}

/// How a server is known.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ProbeTls {
    /// The name in the server's certificate; empty for that of the target.
    pub server_name: String,
    /// Take any certificate.
    pub skips_verification: bool,
}
