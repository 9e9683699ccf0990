//! What a program that runs agents inside itself may put between them and the world.

use std::fmt::Debug;
use std::net::SocketAddr;

/// Lets datagrams get lost and an agent stand still, to show or to test what happens then.
///
/// Handed over with [`Wiring`](super::Wiring). `shoal agent` has none, and no flag, file or request
/// makes one.
pub trait Interference: Debug + Send + Sync {
    /// Whether a datagram of so many bytes goes out to `to`. One that does not is lost as in a network
    /// that says nothing about it.
    fn lets_out(&self, to: SocketAddr, bytes: usize) -> bool;

    /// Called by the loop whenever it woke up, before it looks at the clock: returns when the agent is to
    /// go on.
    fn stand_still(&self) {}
}
