//! Shoal: a service directory with no servers.
//!
//! One agent runs on each host. Agents find out who is alive by probing each other, tell each other
//! about services by gossip, and each answers its own host from memory.
//!
//! ```text
//!   main ─► cli ─► client ··(Unix socket)··► a running agent
//!              ├───► follow ─► client
//!              └───► sim ─► core
//!   main ─► agent ─► { api, dns } ─► view ─► model
//!              ├───► follow
//!              └───► core ─► wire ─► model
//! ```
//!
//! Most programs want the [`Client`]:
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use shoal::{Client, Service};
//!
//! let shoal = Client::connect_default()?;
//! let web = shoal.register(Service::new("web").port(8080).ttl("10s")).await?;
//! web.heartbeat().await?;
//! # Ok(())
//! # }
//! ```
//!
//! Whoever wants to understand the protocol starts at [`core::Agent`], which is all of it, and at
//! [`sim`], which runs many of them without an operating system.

#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests of real time read real clocks"))]

pub mod agent;
pub mod api;
pub mod cli;
pub mod client;
pub mod core;
pub mod dns;
mod follow;
#[doc(hidden)]
pub mod fuzzing;
pub mod model;
pub mod sim;
pub mod view;
pub mod wire;

pub use client::{Client, Service};

/// The examples of the README, as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;
