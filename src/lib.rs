//! Shoal: a service directory with no servers.
pub mod core;
pub mod model;
pub mod wire;
