//! Which fields of which object an expression may select, and of what kind they are.

/// The kind of a field; it decides which operators apply.
#[derive(Debug, Clone, Copy)]
pub(in crate::api) enum Kind {
    Text,
    Int,
    Bool,
    /// A list of texts.
    Texts,
    /// Texts by free keys.
    Map,
    /// Objects by free keys.
    MapOf(Schema),
    /// An object.
    Record(Schema),
    /// A list of objects; a condition holds if it does for any of them.
    Records(Schema),
}

/// Fields by name, as they stand in the JSON of an element.
pub(in crate::api) type Schema = &'static [(&'static str, Kind)];

const WEIGHTS: Schema = &[("Passing", Kind::Int), ("Warning", Kind::Int)];
const ADDRESS: Schema = &[("Address", Kind::Text), ("Port", Kind::Int)];

pub(in crate::api) const NODE: Schema = &[
    ("ID", Kind::Text),
    ("Node", Kind::Text),
    ("Address", Kind::Text),
    ("Datacenter", Kind::Text),
    ("TaggedAddresses", Kind::Map),
    ("Meta", Kind::Map),
];

pub(in crate::api) const AGENT_SERVICE: Schema = &[
    ("Kind", Kind::Text),
    ("ID", Kind::Text),
    ("Service", Kind::Text),
    ("Tags", Kind::Texts),
    ("Meta", Kind::Map),
    ("Port", Kind::Int),
    ("Address", Kind::Text),
    ("SocketPath", Kind::Text),
    ("TaggedAddresses", Kind::MapOf(ADDRESS)),
    ("Weights", Kind::Record(WEIGHTS)),
    ("EnableTagOverride", Kind::Bool),
];

pub(in crate::api) const NODE_SERVICE: Schema = AGENT_SERVICE;

pub(in crate::api) const SERVICE_NODE: Schema = &[
    ("ID", Kind::Text),
    ("Node", Kind::Text),
    ("Address", Kind::Text),
    ("Datacenter", Kind::Text),
    ("TaggedAddresses", Kind::Map),
    ("NodeMeta", Kind::Map),
    ("ServiceKind", Kind::Text),
    ("ServiceID", Kind::Text),
    ("ServiceName", Kind::Text),
    ("ServiceTags", Kind::Texts),
    ("ServiceAddress", Kind::Text),
    ("ServiceTaggedAddresses", Kind::MapOf(ADDRESS)),
    ("ServiceWeights", Kind::Record(WEIGHTS)),
    ("ServiceMeta", Kind::Map),
    ("ServicePort", Kind::Int),
    ("ServiceSocketPath", Kind::Text),
    ("ServiceEnableTagOverride", Kind::Bool),
];

pub(in crate::api) const HEALTH_CHECK: Schema = &[
    ("Node", Kind::Text),
    ("CheckID", Kind::Text),
    ("Name", Kind::Text),
    ("Status", Kind::Text),
    ("Notes", Kind::Text),
    ("Output", Kind::Text),
    ("ServiceID", Kind::Text),
    ("ServiceName", Kind::Text),
    ("ServiceTags", Kind::Texts),
    ("Type", Kind::Text),
    ("Interval", Kind::Text),
    ("Timeout", Kind::Text),
    ("ExposedPort", Kind::Int),
];

pub(in crate::api) const SERVICE_ENTRY: Schema = &[
    ("Node", Kind::Record(NODE)),
    ("Service", Kind::Record(NODE_SERVICE)),
    ("Checks", Kind::Records(HEALTH_CHECK)),
];

pub(in crate::api) const MEMBER: Schema = &[
    ("Name", Kind::Text),
    ("Addr", Kind::Text),
    ("Port", Kind::Int),
    ("Tags", Kind::Map),
    ("Status", Kind::Int),
];
