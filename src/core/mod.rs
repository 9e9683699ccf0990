//! The protocol as a pure state machine.
//!
//! [`Agent`] has four kinds of method and nothing else: getters, `handle_*` (the world tells the
//! agent), commands (a caller wants something), and `poll_*` (the agent tells the world what to
//! send, what changed, and when to wake it and why). Time and the seed are arguments. Nothing
//! here knows sockets, clocks, files, threads or an async runtime; the simulator runs this code.
//!
//! ```text
//!   handle_datagram ──► wire ──► swim ───────┐
//!   handle_timeout  ───────────► catalog ────┼──► gossip ──► wire ──► poll_datagram
//!   commands        ───────────► local ──────┘                        poll_event, poll_timeout
//! ```

mod agent;
mod aliases;
mod bucket;
mod catalog;
mod checks;
pub mod config;
mod coordinates;
mod damping;
mod digest;
pub mod event;
pub mod exam;
mod gossip;
mod join;
mod keyring;
mod leave;
pub mod local;
mod proof;
mod sealing;
mod seen;
mod settled;
pub mod stats;
mod strangers;
mod swim;
#[cfg(test)]
mod tests;
mod user_events;

pub use agent::{Agent, ForceLeaveError, Identity, Outgoing};
pub use config::{Config, ConfigError, Effective, Membership, SettingValue, Settings};
pub use event::Event;
pub use keyring::Keyring;
pub use sealing::StrangeKey;
pub use settled::Knowledge;
pub use stats::{AGE_BOUNDS_US, Ages, Stats};
pub use strangers::Stranger;
pub use swim::{StockFoca, StockLife};
