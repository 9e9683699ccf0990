//! An async client of the agent on this host.
//!
//! Owns the words of the agent's HTTP dialect on the caller's side: addresses, requests,
//! answers, the watch stream. Never decides anything about the cluster, never names a layer of
//! the agent but [`crate::model`], and never touches the network beyond the one address it is
//! given.
//!
//! ```no_run
//! use shoal::{Client, Service};
//!
//! # async fn example() -> Result<(), shoal::client::Error> {
//! let shoal = Client::connect_default()?;
//! let web = shoal.register(Service::new("web").port(8080).ttl("10s")).await?;
//! web.heartbeat().await?;
//! for cart in shoal.resolve("cart").await? {
//!     println!("{cart} on {}", cart.node);
//! }
//! web.deregister().await?;
//! # Ok(())
//! # }
//! ```

mod address;
mod answers;
mod calls;
mod duration;
mod error;
mod log;
mod registration;
mod resolve;
mod service;
mod socket;
mod sse;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod transport;
mod watch;

pub use address::Address;
pub use answers::{Check, Health, Instance, Key, Member, Node, Rtt, ServiceInstance, Status, Weights};
pub use calls::{Client, Query};
pub use duration::{format_duration, parse_duration};
pub use error::Error;
pub use log::Log;
pub use registration::Registration;
pub use resolve::Endpoint;
pub use service::{CheckSpec, IntoTtl, Service};
pub use socket::{default_socket_path, default_socket_path_for};
pub use watch::{
    Change, ChangeKind, Snapshot, Watch, WatchEvent, WatchedCheck, WatchedInstance, WatchedMember,
};
