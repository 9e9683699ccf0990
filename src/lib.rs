//! Shoal: a service directory with no servers.
//!
//! One agent runs on each host. Agents find out who is alive by probing each other, tell each other
//! about services by gossip, and each answers its own host from memory.
//!
//! ```text
//!   main ─► cli ─► client ··(Unix socket)··► a running agent
//!              └───► sim ─► core
//!   main ─► agent ─► { api, dns } ─► view ─► model
//!              └───► core ─► wire ─► model
//! ```
//!
//! # From a program
//!
//! Most programs want the [`Client`], which talks to the agent of their own host:
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use shoal::{Client, Service};
//!
//! let shoal = Client::connect_default()?;
//! let web = shoal.register(Service::new("web").port(8080).ttl("10s")).await?;
//! web.heartbeat().await?;
//! for instance in shoal.resolve("cart").await? {
//!     println!("{}:{}", instance.address, instance.port);
//! }
//! let mut changes = shoal.watch("cart").await?;
//! while let Some(change) = changes.next().await {
//!     println!("{:?}", change?);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # The protocol
//!
//! [`core::Agent`] is all of it: a state machine without sockets, clocks or threads. Whoever drives one
//! hands it datagrams and the time, and takes out what it wants sent. The agent that ships does that with
//! a socket, [`sim`] with a virtual network, and this example with two variables:
//!
//! ```
//! use shoal::core::{Agent, Config, Identity};
//! use shoal::model::{Generation, Instant, LocalState, NodeId, NodeName};
//! use std::net::SocketAddr;
//! use std::time::Duration;
//!
//! let addrs = [SocketAddr::from(([10, 0, 0, 1], 7946)), SocketAddr::from(([10, 0, 0, 2], 7946))];
//! let mut agents = [0, 1].map(|n| {
//!     let identity = Identity {
//!         cluster: "shoal".to_owned(),
//!         name: NodeName::new(format!("web-{n}")).expect("a valid name"),
//!         id: NodeId::from_random(n as u128),
//!         addr: addrs[n],
//!         generation: Generation(1),
//!         tags: [].into(),
//!     };
//!     let seed = n as u64;
//!     Agent::new(identity, Config::default(), LocalState::default(), Vec::new(), seed, Instant::START)
//! });
//! let mut now = Instant::START;
//! agents[1].join(&addrs[..1], now);
//!
//! while agents.iter().any(|agent| agent.live_count() < 2) {
//!     for n in [0, 1] {
//!         if agents[n].poll_timeout().is_some_and(|(due, _why)| due <= now) {
//!             agents[n].handle_timeout(now);
//!         }
//!         while agents[n].poll_event().is_some() {} // to the view, the log, the disk
//!         while let Some(out) = agents[n].poll_datagram() {
//!             agents[1 - n].handle_datagram(addrs[n], &out.bytes, now);
//!         }
//!     }
//!     now += Duration::from_millis(1);
//! }
//! assert!(now.since_start() < Duration::from_secs(1), "they know each other at once");
//! ```
//!
//! `docs/protocol.md` specifies what they say to each other; `docs/README.md` is the map of everything
//! else that is written about Shoal.

#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests of real time read real clocks"))]

pub mod agent;
pub mod api;
pub mod cli;
pub mod client;
pub mod core;
pub mod demo;
pub mod dns;
#[doc(hidden)]
pub mod fuzzing;
pub mod model;
mod screen;
pub mod sim;
pub mod view;
pub mod wire;

pub use client::{Client, Service};
