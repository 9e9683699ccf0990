//! Shoal: a service directory with no servers.
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
