//! Catalog records as bytes: the bodies that owners write and everybody else relays unread.
//!
//! Every body ends in a map of extensions by field number, so that a newer version adds fields
//! without an older one losing them; and a relay passes on the owner's bytes. It may keep a record
//! packed and write it anew only where that was seen to give the very same bytes.

use super::codec::{self, Malformed};
use crate::model::{
    CheckId, CheckRecord, CheckStatus, Entry, EntryKey, Extensions, InstanceId, NodeId, NodeName, NodeRecord,
    PackedCheck, PackedEntry, PackedService, Port, ServiceName, ServiceRecord, TaggedAddress, Weights,
};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

#[derive(Serialize, Deserialize)]
struct NodeBody {
    name: NodeName,
    id: NodeId,
    addr: SocketAddr,
    tags: BTreeMap<String, String>,
    agent_version: String,
    left: bool,
    extensions: Extensions,
}

#[derive(Serialize, Deserialize)]
struct ServiceBody {
    name: ServiceName,
    tags: Vec<String>,
    address: String,
    tagged_addresses: BTreeMap<String, TaggedAddress>,
    port: u16,
    socket_path: String,
    meta: BTreeMap<String, String>,
    weights: Weights,
    enable_tag_override: bool,
    extensions: Extensions,
}

#[derive(Serialize, Deserialize)]
struct CheckBody {
    name: String,
    service_id: Option<InstanceId>,
    status: u8,
    notes: String,
    output: String,
    kind: String,
    interval: String,
    timeout: String,
    extensions: Extensions,
}

/// [`ServiceBody`] of borrowed parts: pairs and tuples encode as maps and structs do.
#[derive(Serialize)]
struct ServiceBodyOf<'a> {
    name: &'a str,
    tags: Vec<&'a str>,
    address: &'a str,
    tagged_addresses: Vec<(&'a str, (&'a str, Port))>,
    port: u16,
    socket_path: &'a str,
    meta: Vec<(&'a str, &'a str)>,
    weights: Weights,
    enable_tag_override: bool,
    extensions: Extensions,
}

/// [`CheckBody`] of borrowed parts.
#[derive(Serialize)]
struct CheckBodyOf<'a> {
    name: &'a str,
    service_id: Option<&'a str>,
    status: u8,
    notes: &'a str,
    output: &'a str,
    kind: &'a str,
    interval: &'a str,
    timeout: &'a str,
    extensions: Extensions,
}

const fn status_byte(status: CheckStatus) -> u8 {
    match status {
        CheckStatus::Passing => 0,
        CheckStatus::Warning => 1,
        CheckStatus::Critical => 2,
    }
}

/// Most bodies fit; a list that grows as it is written is copied again and again.
const USUAL_BODY_BYTES: usize = 256;

fn encode_at_once<T: Serialize>(body: &T) -> Vec<u8> {
    let mut out = Vec::with_capacity(USUAL_BODY_BYTES);
    codec::encode_into(body, &mut out);
    out
}

fn service_bytes(service: &PackedService) -> Vec<u8> {
    let s = service.read();
    encode_at_once(&ServiceBodyOf {
        name: s.name,
        tags: s.tags,
        address: s.address,
        tagged_addresses: s.tagged_addresses,
        port: s.port,
        socket_path: s.socket_path,
        meta: s.meta,
        weights: s.weights,
        enable_tag_override: s.enable_tag_override,
        extensions: s.extensions,
    })
}

fn check_bytes(check: &PackedCheck) -> Vec<u8> {
    let c = check.read();
    encode_at_once(&CheckBodyOf {
        name: c.name,
        service_id: c.service_id,
        status: status_byte(c.status),
        notes: c.notes,
        output: c.output,
        kind: c.kind,
        interval: c.interval,
        timeout: c.timeout,
        extensions: c.extensions,
    })
}

/// The kind byte and the id under which `key` travels.
pub fn key_parts(key: &EntryKey) -> (u8, &str) {
    match key {
        EntryKey::Node => (0, ""),
        EntryKey::Service(id) => (1, id.as_str()),
        EntryKey::Check(id) => (2, id.as_str()),
        EntryKey::Unknown(kind, id) => (*kind, id),
    }
}

/// The longest id of an entry of unknown kind, in bytes.
const UNKNOWN_ID_BYTES_MAX: usize = 512;

/// The key that `kind` and `id` stand for. A kind from the future is carried as unknown.
pub fn key_from_parts(kind: u8, id: &str) -> Result<EntryKey, Malformed> {
    match kind {
        0 if id.is_empty() => Ok(EntryKey::Node),
        0 => Err(Malformed),
        1 => InstanceId::new(id).map(EntryKey::Service).map_err(|_| Malformed),
        2 => CheckId::new(id).map(EntryKey::Check).map_err(|_| Malformed),
        _ if id.len() <= UNKNOWN_ID_BYTES_MAX => Ok(EntryKey::Unknown(kind, Arc::from(id))),
        _ => Err(Malformed),
    }
}

/// The body of `entry`. Its key travels beside it.
pub fn encode(entry: &Entry) -> Vec<u8> {
    match entry {
        Entry::Node(n) => codec::encode(&NodeBody {
            name: n.name.clone(),
            id: n.id,
            addr: n.addr,
            tags: n.tags.clone(),
            agent_version: n.agent_version.clone(),
            left: n.left,
            extensions: n.extensions.clone(),
        }),
        Entry::Service(s) => codec::encode(&ServiceBody {
            name: s.name.clone(),
            tags: s.tags.clone(),
            address: s.address.clone(),
            tagged_addresses: s.tagged_addresses.clone(),
            port: s.port,
            socket_path: s.socket_path.clone(),
            meta: s.meta.clone(),
            weights: s.weights,
            enable_tag_override: s.enable_tag_override,
            extensions: s.extensions.clone(),
        }),
        Entry::Check(c) => codec::encode(&CheckBody {
            name: c.name.clone(),
            service_id: c.service_id.clone(),
            status: status_byte(c.status),
            notes: c.notes.clone(),
            output: c.output.clone(),
            kind: c.kind.clone(),
            interval: c.interval.clone(),
            timeout: c.timeout.clone(),
            extensions: c.extensions.clone(),
        }),
    }
}

/// The entry that `body` is, under `key`. Fails on an unknown kind too: there is nothing to show.
pub fn decode(key: &EntryKey, body: &[u8]) -> Result<Entry, Malformed> {
    match key {
        EntryKey::Node => {
            let b: NodeBody = codec::decode(body)?;
            Ok(Entry::Node(NodeRecord {
                name: b.name,
                id: b.id,
                addr: b.addr,
                tags: b.tags,
                agent_version: b.agent_version,
                left: b.left,
                extensions: b.extensions,
            }))
        }
        EntryKey::Service(id) => {
            let b: ServiceBody = codec::decode(body)?;
            Ok(Entry::Service(ServiceRecord {
                id: id.clone(),
                name: b.name,
                tags: b.tags,
                address: b.address,
                tagged_addresses: b.tagged_addresses,
                port: b.port,
                socket_path: b.socket_path,
                meta: b.meta,
                weights: b.weights,
                enable_tag_override: b.enable_tag_override,
                extensions: b.extensions,
            }))
        }
        EntryKey::Check(id) => {
            let b: CheckBody = codec::decode(body)?;
            Ok(Entry::Check(CheckRecord {
                id: id.clone(),
                name: b.name,
                service_id: b.service_id,
                // A status from the future is not trusted with traffic.
                status: match b.status {
                    0 => CheckStatus::Passing,
                    1 => CheckStatus::Warning,
                    _ => CheckStatus::Critical,
                },
                notes: b.notes,
                output: b.output,
                kind: b.kind,
                interval: b.interval,
                timeout: b.timeout,
                extensions: b.extensions,
            }))
        }
        EntryKey::Unknown(..) => Err(Malformed),
    }
}

/// The entry that `body` is, as it is kept. Fails where [`decode`] fails, but for unknown kinds,
/// whose bodies are kept unread.
///
/// Of instances and checks, of which there are many, what is kept is read and not the bytes, unless
/// the bytes say more than this version would write: then they are what has to be passed on.
pub fn pack(key: &EntryKey, body: &[u8]) -> Result<PackedEntry, Malformed> {
    let (kind, id) = key_parts(key);
    let raw = || PackedEntry::raw(kind, id, body);
    if matches!(key, EntryKey::Unknown(..)) {
        return Ok(raw());
    }
    Ok(match decode(key, body)? {
        Entry::Node(_) => raw(),
        Entry::Service(record) => {
            let packed = PackedService::new(&record);
            if service_bytes(&packed) == body { packed.into() } else { raw() }
        }
        Entry::Check(record) => {
            let packed = PackedCheck::new(&record);
            if check_bytes(&packed) == body { packed.into() } else { raw() }
        }
    })
}

/// What was packed, readable. Fails for deletions and entries of unknown kinds.
pub fn unpack(entry: &PackedEntry) -> Result<Entry, Malformed> {
    if let Some(service) = entry.as_service() {
        return Ok(Entry::Service(service.unpack()));
    }
    if let Some(check) = entry.as_check() {
        return Ok(Entry::Check(check.unpack()));
    }
    decode(&entry.key(), entry.raw_body().ok_or(Malformed)?)
}

/// A node's own record, if the entry is one.
pub fn unpack_node(entry: &PackedEntry) -> Option<NodeRecord> {
    if entry.kind() != key_parts(&EntryKey::Node).0 {
        return None;
    }
    match decode(&EntryKey::Node, entry.raw_body()?) {
        Ok(Entry::Node(node)) => Some(node),
        Ok(Entry::Service(_) | Entry::Check(_)) | Err(Malformed) => None,
    }
}

/// An instance that was packed, whichever way it is kept.
pub fn unpack_service(entry: &PackedEntry) -> Option<PackedService> {
    entry.as_service().or_else(|| match decode(&entry.key(), entry.raw_body()?) {
        Ok(Entry::Service(record)) => Some(PackedService::new(&record)),
        Ok(Entry::Node(_) | Entry::Check(_)) | Err(Malformed) => None,
    })
}

/// A check that was packed, whichever way it is kept.
pub fn unpack_check(entry: &PackedEntry) -> Option<PackedCheck> {
    entry.as_check().or_else(|| match decode(&entry.key(), entry.raw_body()?) {
        Ok(Entry::Check(record)) => Some(PackedCheck::new(&record)),
        Ok(Entry::Node(_) | Entry::Service(_)) | Err(Malformed) => None,
    })
}

/// Looks at the body as the owner wrote it; `None` for a deletion.
pub fn with_body<R>(entry: &PackedEntry, look: impl FnOnce(&[u8]) -> R) -> Option<R> {
    if let Some(service) = entry.as_service() {
        return Some(look(&service_bytes(&service)));
    }
    if let Some(check) = entry.as_check() {
        return Some(look(&check_bytes(&check)));
    }
    entry.raw_body().map(look)
}

/// The body as the owner wrote it; `None` for a deletion.
pub fn body(entry: &PackedEntry) -> Option<Bytes> {
    with_body(entry, Bytes::copy_from_slice)
}
