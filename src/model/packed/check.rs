use super::text::Writer;
use super::{Form, KIND_CHECK, PackedEntry, header, read_extensions, write_extensions};
use crate::model::{CheckId, CheckRecord, CheckStatus, Extensions, InstanceId};
use std::fmt;
use std::sync::Arc;

/// A [`CheckRecord`] in one allocation.
#[derive(Clone, PartialEq, Eq)]
pub struct PackedCheck(pub(super) PackedEntry);

/// A [`PackedCheck`] read out, its texts borrowed from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckText<'a> {
    /// Unique on its node.
    pub id: &'a str,
    /// For people.
    pub name: &'a str,
    /// The instance it belongs to; `None` for a check of the node.
    pub service_id: Option<&'a str>,
    /// Health as last decided.
    pub status: CheckStatus,
    /// Fixed remark from the registration.
    pub notes: &'a str,
    /// Output that came with the last change of status.
    pub output: &'a str,
    /// The kind's word; empty for none.
    pub kind: &'a str,
    /// Interval as the caller gave it; empty for none.
    pub interval: &'a str,
    /// Timeout as the caller gave it; empty for none.
    pub timeout: &'a str,
    /// Fields of newer versions.
    pub extensions: Extensions,
}

const STATUS: usize = 3;
const OF_INSTANCE: usize = 4;
const EXTENDED: usize = 8;

const fn status_bits(status: CheckStatus) -> usize {
    match status {
        CheckStatus::Passing => 0,
        CheckStatus::Warning => 1,
        CheckStatus::Critical => 2,
    }
}

const fn status_of(flags: usize) -> CheckStatus {
    match flags & STATUS {
        0 => CheckStatus::Passing,
        1 => CheckStatus::Warning,
        _ => CheckStatus::Critical,
    }
}

impl PackedCheck {
    /// Packs `record`.
    pub fn new(record: &CheckRecord) -> Self {
        let r = record;
        let id = r.id.as_str();
        let mut out = Writer::after(id, header(Form::Check, KIND_CHECK, id));
        let extended = !r.extensions.is_empty();
        out.number(
            status_bits(r.status)
                + usize::from(r.service_id.is_some()) * OF_INSTANCE
                + usize::from(extended) * EXTENDED,
        );
        if let Some(service) = &r.service_id {
            out.text(service.as_str());
        }
        for text in [&r.name, &r.notes, &r.output, &r.kind, &r.interval, &r.timeout] {
            out.text(text);
        }
        if extended {
            write_extensions(&mut out, &r.extensions);
        }
        Self(PackedEntry(Arc::from(out.finish())))
    }

    /// Unique on its node.
    pub fn id(&self) -> &str {
        self.0.id()
    }

    /// The same as bytes, which are compared at less cost and in the same order.
    pub fn id_bytes(&self) -> &[u8] {
        self.0.id_bytes()
    }

    /// Health as last decided.
    pub fn status(&self) -> CheckStatus {
        status_of(self.0.reader().number())
    }

    /// The instance it belongs to; `None` for a check of the node.
    pub fn service_id(&self) -> Option<&str> {
        let mut from = self.0.reader();
        (from.number() & OF_INSTANCE != 0).then(|| from.text())
    }

    /// All of it, borrowed.
    pub fn read(&self) -> CheckText<'_> {
        let mut from = self.0.reader();
        let flags = from.number();
        CheckText {
            id: self.id(),
            status: status_of(flags),
            service_id: (flags & OF_INSTANCE != 0).then(|| from.text()),
            name: from.text(),
            notes: from.text(),
            output: from.text(),
            kind: from.text(),
            interval: from.text(),
            timeout: from.text(),
            extensions: if flags & EXTENDED != 0 { read_extensions(&mut from) } else { Extensions::new() },
        }
    }

    /// All of it, owned.
    pub fn unpack(&self) -> CheckRecord {
        let text = self.read();
        let valid = "it was packed from one";
        CheckRecord {
            id: CheckId::new(text.id).expect(valid),
            name: text.name.to_owned(),
            service_id: text.service_id.map(|id| InstanceId::new(id).expect(valid)),
            status: text.status,
            notes: text.notes.to_owned(),
            output: text.output.to_owned(),
            kind: text.kind.to_owned(),
            interval: text.interval.to_owned(),
            timeout: text.timeout.to_owned(),
            extensions: text.extensions,
        }
    }
}

impl fmt::Debug for PackedCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.read().fmt(f)
    }
}
