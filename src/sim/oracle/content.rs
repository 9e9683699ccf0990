//! One number for the content of a catalog entry, equal exactly when two agents show the same.

use crate::model::{CheckRecord, Entry, NodeRecord, ServiceRecord};
use std::hash::{Hash as _, Hasher as _};
use xxhash_rust::xxh3::Xxh3Default;

/// Hashes every field; the patterns name all of them, so that a new field cannot be forgotten.
pub(crate) fn hash(entry: &Entry) -> u64 {
    let mut h = Xxh3Default::new();
    match entry {
        Entry::Node(NodeRecord { name, id, addr, tags, agent_version, left, extensions }) => {
            (0_u8, name, id, addr, tags, agent_version, left, extensions).hash(&mut h);
        }
        Entry::Service(ServiceRecord {
            id,
            name,
            tags,
            address,
            tagged_addresses,
            port,
            socket_path,
            meta,
            weights,
            enable_tag_override,
            extensions,
        }) => {
            (1_u8, id, name, tags, address, port, socket_path, meta).hash(&mut h);
            (weights.passing, weights.warning, enable_tag_override, extensions).hash(&mut h);
            for (tag, tagged) in tagged_addresses {
                (tag, &tagged.address, tagged.port).hash(&mut h);
            }
        }
        Entry::Check(CheckRecord {
            id,
            name,
            service_id,
            status,
            notes,
            output,
            kind,
            interval,
            timeout,
            extensions,
        }) => {
            (2_u8, id, name, service_id, status, notes, output, kind, interval, timeout).hash(&mut h);
            extensions.hash(&mut h);
        }
    }
    h.finish()
}
