//! Shoal: a service directory with no servers.
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests of real time read real clocks"))]

pub mod agent;
pub mod api;
pub mod cli;
pub mod client;
pub mod core;
pub mod model;
pub mod sim;
pub mod view;
pub mod wire;

pub use client::{Client, Service};
