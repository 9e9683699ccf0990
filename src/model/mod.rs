//! The words of the domain: names, versions, records. Plain values with checked constructors.
//!
//! Owns the vocabulary that every other layer speaks, and the limits on what a value may be.
//! Never does I/O, never reads a clock, never knows how a value travels (that is [`crate::wire`]).

mod check;
mod coordinate;
mod duration;
mod examination;
mod ids;
mod key;
mod local;
mod local_checks;
mod member;
mod node;
mod packed;
mod probe;
mod service;
mod time;
mod user_event;

pub use check::{
    Alias, CheckDefinition, CheckKind, CheckRecord, CheckStatus, OUTPUT_BYTES_MAX, captured_output,
    truncate_output,
};
pub use coordinate::{COORDINATE_DIMENSIONS, Coordinate, Rtt};
pub use duration::{DURATION_WANT, parse_duration, show_duration};
pub use examination::{
    DiskFacts, Examination, LinkFacts, ProcessFacts, SocketFacts, StrangerFacts, TripFacts,
};
pub use ids::{CheckId, Generation, InstanceId, NameError, NodeId, NodeKey, NodeName, ServiceName, Version};
pub use key::{KEY_BYTES, KEY_WANT, KEYS_MAX, KeyId, KeyMaterial, KeyringCommand, KeyringError, Stamp};
pub use local::{FileDefinitions, LocalCheck, LocalCommand, LocalError, LocalState};
pub use local_checks::LocalChecks;
pub use member::{Incarnation, Member, MemberStatus};
pub use node::NodeRecord;
pub use packed::{CheckText, PackedCheck, PackedEntry, PackedService, ServiceText};
pub use probe::{HttpProbe, Probe, ProbeTarget, ProbeTls};
pub use service::{Port, ServiceDefinition, ServiceRecord, TaggedAddress, Weights};
pub use time::Instant;
pub use user_event::{
    USER_EVENT_BYTES_MAX, USER_EVENT_FILTER_BYTES_MAX, USER_EVENT_REGEX_BYTES_MAX, UserEvent,
    UserEventContent, UserEventError, UserEventId,
};

use std::collections::BTreeMap;

/// Fields a newer version added to a record, by field number; carried and re-sent unread.
pub type Extensions = BTreeMap<u16, Vec<u8>>;

/// What a catalog entry is about. Ordered so that a node's own record comes first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EntryKey {
    /// The node's own record: name, address, tags, whether it left.
    Node,
    /// One service instance of the node.
    Service(InstanceId),
    /// One check of the node or of one of its instances.
    Check(CheckId),
    /// A kind of entry this version does not know: relayed, never shown.
    Unknown(u8, std::sync::Arc<str>),
}

/// One catalog entry in readable form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// See [`NodeRecord`].
    Node(NodeRecord),
    /// See [`ServiceRecord`].
    Service(ServiceRecord),
    /// See [`CheckRecord`].
    Check(CheckRecord),
}
