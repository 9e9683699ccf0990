//! The API as its callers see it, against a small stand-in for the agent's loop.

mod access;
mod blocking;
mod coordinates;
mod errors;
mod shapes;
mod watch;
mod world;
