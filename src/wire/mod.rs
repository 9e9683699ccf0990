//! Bytes to values and back: the datagram, its frames, the records inside them.
//!
//! Total and pure: every function returns for every input, allocates no more than the input
//! allows, and knows nothing of peers, time or sockets.

pub mod accusation;
pub mod codec;
pub mod coordinate;
pub mod datagram;
pub mod exam;
pub mod frame;
pub(crate) mod fuzzing;
pub mod keyring;
pub mod record;
pub mod seal;
#[cfg(test)]
mod tests;

pub use datagram::{ClusterHash, DatagramBuilder, Dropped};
pub use frame::Frame;
