//! The API as its callers see it, against a small stand-in for the agent's loop.

mod access;
mod agent_reads;
mod blocking;
mod catalog_writes;
mod coordinates;
mod dialect;
mod errors;
mod events;
mod openapi;
mod shapes;
mod ui;
mod watch;
pub(super) mod world;
