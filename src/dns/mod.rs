//! DNS: questions answered from the view.
//!
//! Owns the names, the answers and their size: Consul's dialect, part of which is fixed by what
//! resolvers need (RFC 1035, 2308, 2782, 6891, 8020). One message and one view go in, one message
//! comes out; the order of records is drawn from a seed that is handed in. Opens no socket, reads no
//! clock and waits for nothing: the agent receives and sends, and asks other servers when a
//! [`Reply`] says so.
//!
//! Of services, nodes and the zone itself:
//!
//! ```text
//!   message --> query --> lookup --> { endpoints | reverse } --> packet --> message
//!                                          view
//! ```

mod chase;
mod endpoints;
pub(crate) mod fuzzing;
mod lookup;
mod metrics;
mod name;
mod options;
mod packet;
mod query;
mod responder;
mod reverse;
mod service;
#[cfg(test)]
mod tests;
mod zone;

pub use metrics::{Dropped, Metrics, Outcome};
pub use options::{Options, ServiceTtl, Soa, Zone};
pub use responder::{Asked, Reply, Responder, Transport, fits, is_answer_to};
pub use reverse::Reverse;
