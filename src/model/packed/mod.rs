//! Records as they are kept by the hundred thousand: each in one allocation, immutable, shared by
//! all who keep it.
//!
//! An agent of a large cluster knows a million instances, of which it is asked about few. A record
//! with a heap allocation for each of its texts takes several times what it says; here the texts
//! stand one after the other and are read where they stand. Equal records have equal bytes.
//!
//! The layout is nobody's business but this room's: it is never sent and never stored.

mod check;
mod service;
mod text;

pub use check::{CheckText, PackedCheck};
pub use service::{PackedService, ServiceText};

use super::{CheckId, EntryKey, Extensions, InstanceId};
use std::fmt;
use std::sync::Arc;
use text::{Reader, Writer};

const KIND_NODE: u8 = 0;
const KIND_SERVICE: u8 = 1;
const KIND_CHECK: u8 = 2;

/// What follows the id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Form {
    Deleted,
    Raw,
    Service,
    Check,
}

/// Form, kind, and the length of the id in two bytes.
const HEADER_BYTES: usize = 4;

/// A catalog entry of any kind with its id, or the mark that it was deleted.
#[derive(Clone, PartialEq, Eq)]
pub struct PackedEntry(Arc<[u8]>);

impl PackedEntry {
    /// The mark that the entry of this kind and id was deleted.
    pub fn deleted(kind: u8, id: &str) -> Self {
        Self(Arc::from(header(Form::Deleted, kind, id)))
    }

    /// An entry as the bytes that its owner wrote.
    pub fn raw(kind: u8, id: &str, body: &[u8]) -> Self {
        let mut out = header(Form::Raw, kind, id);
        out.extend_from_slice(body);
        Self(Arc::from(out))
    }

    /// The number of its kind: 0 a node, 1 a service, 2 a check, more: not known to this version.
    pub fn kind(&self) -> u8 {
        self.0[1]
    }

    /// Its id, empty for a node.
    pub fn id(&self) -> &str {
        text::utf8(self.id_bytes())
    }

    /// The same as bytes, which are compared at less cost and in the same order.
    pub fn id_bytes(&self) -> &[u8] {
        &self.0[HEADER_BYTES..self.id_end()]
    }

    fn id_end(&self) -> usize {
        HEADER_BYTES + usize::from(u16::from_le_bytes([self.0[2], self.0[3]]))
    }

    /// Orders entries as [`EntryKey`] orders their keys.
    pub fn key_cmp(&self, kind: u8, id: &str) -> std::cmp::Ordering {
        self.kind().cmp(&kind).then_with(|| self.id_bytes().cmp(id.as_bytes()))
    }

    /// Its key.
    pub fn key(&self) -> EntryKey {
        let valid = "it was packed from one";
        match self.kind() {
            KIND_NODE => EntryKey::Node,
            KIND_SERVICE => EntryKey::Service(InstanceId::new(self.id()).expect(valid)),
            KIND_CHECK => EntryKey::Check(CheckId::new(self.id()).expect(valid)),
            kind => EntryKey::Unknown(kind, Arc::from(self.id())),
        }
    }

    /// Whether it only marks a deletion.
    pub fn is_deleted(&self) -> bool {
        self.form() == Form::Deleted as u8
    }

    /// The owner's bytes, where they are kept as they are.
    pub fn raw_body(&self) -> Option<&[u8]> {
        (self.form() == Form::Raw as u8).then(|| &self.0[self.id_end()..])
    }

    /// The instance, if that is what it is and it is kept readable.
    pub fn as_service(&self) -> Option<PackedService> {
        (self.form() == Form::Service as u8).then(|| PackedService(self.clone()))
    }

    /// The check, if that is what it is and it is kept readable.
    pub fn as_check(&self) -> Option<PackedCheck> {
        (self.form() == Form::Check as u8).then(|| PackedCheck(self.clone()))
    }

    /// How many bytes it takes, not counting what the allocator adds.
    pub fn size(&self) -> usize {
        self.0.len()
    }

    fn form(&self) -> u8 {
        self.0[0]
    }

    fn reader(&self) -> Reader<'_> {
        Reader::new(self.id_bytes(), &self.0[self.id_end()..])
    }
}

impl fmt::Debug for PackedEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PackedEntry({:?}, {} bytes)", self.key(), self.size())
    }
}

impl From<PackedService> for PackedEntry {
    fn from(service: PackedService) -> Self {
        service.0
    }
}

impl From<PackedCheck> for PackedEntry {
    fn from(check: PackedCheck) -> Self {
        check.0
    }
}

fn header(form: Form, kind: u8, id: &str) -> Vec<u8> {
    let length = u16::try_from(id.len()).expect("ids are at most 512 bytes");
    let mut out = Vec::with_capacity(256);
    out.push(form as u8);
    out.push(kind);
    out.extend(length.to_le_bytes());
    out.extend_from_slice(id.as_bytes());
    out
}

fn write_extensions(out: &mut Writer<'_>, extensions: &Extensions) {
    out.number(extensions.len());
    for (field, bytes) in extensions {
        out.number(usize::from(*field));
        out.bytes(bytes);
    }
}

fn read_extensions(from: &mut Reader<'_>) -> Extensions {
    (0..from.number()).map(|_| (from.short(), from.bytes().to_vec())).collect()
}

#[cfg(test)]
mod tests;
