//! Carrying out the checks that the agent makes itself: one run of one [`Probe`] at a time.
//!
//! Owns the clients of all kinds of target ([`ProbeTarget`]), what each of their answers means, the
//! text that is shown for it (Consul's, where Consul has one), and how many runs go on at once
//! ([`Runner`]). Every run ends within the probe's timeout and keeps no more output than it may,
//! whatever the target does; what a run starts, sockets, tasks and processes, ends with it.
//!
//! Never decides when a check runs, how many failures make it critical, or who is told: that is the
//! protocol's part. Nothing is kept from one run to the next, no connection, no address and no
//! session: a check is there to find out whether all of that would work now.
//!
//! ```text
//!   Runner ─► run ─┬─► http ─┬─► connection ─┐
//!                  ├─► grpc ─┘               ├─► tls ─┐
//!                  ├─► h2ping, tcp ──────────┘        ├─► net (names, addresses)
//!                  ├─► udp ───────────────────────────┘
//!                  └─► script
//! ```

mod capture;
mod connection;
mod fault;
mod grpc;
mod h2ping;
mod http;
mod net;
mod runner;
mod script;
mod tcp;
mod tls;
mod udp;

#[cfg(test)]
mod tests;

pub use runner::{Outcome, Runner};

use crate::model::{CheckStatus, Probe, ProbeTarget};
use fault::Fault;

/// What one run of a probe found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How it was.
    pub status: CheckStatus,
    /// For people: what the target said, or why it could not be asked.
    pub output: String,
}

impl Finding {
    fn passing(output: impl Into<String>) -> Self {
        Self { status: CheckStatus::Passing, output: output.into() }
    }

    fn critical(why: impl ToString) -> Self {
        Self { status: CheckStatus::Critical, output: why.to_string() }
    }
}

/// What all runs share: whom this host trusts, and the bounds on what they may occupy together.
#[derive(Debug, Default)]
pub struct Context {
    roots: tls::Roots,
    lookups: net::Lookups,
    scripts: script::Groups,
}

impl Context {
    /// With the certificates that the system trusts, which are read when a run first needs them
    /// (`SSL_CERT_FILE` and `SSL_CERT_DIR` are looked at).
    pub fn new() -> Self {
        Self::default()
    }

    /// Kills the programs of all runs, now and not when their tasks are next looked at, and lets no
    /// run start another.
    fn end_scripts(&self) {
        self.scripts.end();
    }
}

/// Carries out one run, in no more than [`Probe::timeout`]; a program that had to be killed is
/// waited for another second at most. Must run inside a tokio runtime with time and I/O; dropping
/// the future ends the run and everything that it started.
pub async fn run(probe: &Probe, context: &Context) -> Finding {
    match &probe.target {
        ProbeTarget::Http(http) => http::run(http, probe, context).await,
        ProbeTarget::Tcp { address, tls } => tcp::run(address, tls.as_ref(), probe, context).await,
        ProbeTarget::Udp { address } => udp::run(address, probe, context).await,
        ProbeTarget::Grpc { address, service, tls } => {
            grpc::run(address, service, tls.as_ref(), probe, context).await
        }
        ProbeTarget::H2Ping { address, tls } => h2ping::run(address, tls.as_ref(), probe, context).await,
        ProbeTarget::Script { args } => script::run(args, probe, context).await,
    }
}
