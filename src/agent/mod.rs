//! The shell around the protocol: real sockets, real time, files and signals.
//!
//! Owns everything that touches the system on behalf of one agent: its configuration
//! ([`config`]), the gossip socket, the listeners of the API and of DNS, the data directory, and the loop that
//! feeds [`core::Agent`](crate::core::Agent) and carries out what it wants. Decides nothing about
//! membership or the catalog, and knows no path of the API.
//!
//! ```text
//!   UDP socket ---- datagrams, closed ports ---->+--------+--- events --> view --> API's threads
//!   clock --------- timers --------------------->| driver |
//!   API ----------- requests ------------------->|  loop  |--- datagrams --> UDP socket
//!   state writer -- "durable" ------------------>+--------+--- states -----> state writer
//! ```
//!
//! One thread runs the loop and nothing else; readers never wait for it, and it never waits for a
//! reader, a disk or a name server.

pub mod args;
pub mod checks;
mod clock;
pub mod config;
mod connections;
mod dns;
mod driver;
mod error;
mod examine;
pub(crate) mod fuzzing;
mod http;
mod interference;
mod join;
mod journal;
mod keys;
mod logging;
mod persist;
mod publish;
mod registrations;
mod reload;
mod run;
mod servers;
mod shell;
mod udp;
mod unix_socket;
mod user_events;

pub use args::AgentArgs;
pub use config::{AgentConfig, ConfigFault};
pub use driver::Ended;
pub use error::StartError;
pub use interference::Interference;
pub use logging::LogControl;
pub use persist::DataDirError;
pub use run::{config_check, run};
pub use shell::{ApiParts, Running, Shell, Wiring};
