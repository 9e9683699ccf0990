use super::text::{Reader, Writer};
use super::{Form, KIND_SERVICE, PackedEntry, header, read_extensions, write_extensions};
use crate::model::{Extensions, InstanceId, Port, ServiceName, ServiceRecord, TaggedAddress, Weights};
use std::fmt;
use std::sync::Arc;

/// A [`ServiceRecord`] in one allocation.
#[derive(Clone, PartialEq, Eq)]
pub struct PackedService(pub(super) PackedEntry);

/// A [`PackedService`] read out, its texts borrowed from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceText<'a> {
    /// Unique on its node.
    pub id: &'a str,
    /// The service it is an instance of.
    pub name: &'a str,
    /// Free labels, in the order given.
    pub tags: Vec<&'a str>,
    /// Address of the instance; empty means the node's address.
    pub address: &'a str,
    /// Other addresses by tag, in the order of tags.
    pub tagged_addresses: Vec<(&'a str, (&'a str, Port))>,
    /// Port, 0 for none.
    pub port: Port,
    /// Unix socket of the instance; empty for none.
    pub socket_path: &'a str,
    /// Free pairs, in the order of keys.
    pub meta: Vec<(&'a str, &'a str)>,
    /// Share of traffic.
    pub weights: Weights,
    /// Stored and returned for clients that set it.
    pub enable_tag_override: bool,
    /// Fields of newer versions.
    pub extensions: Extensions,
}

impl<'a> ServiceText<'a> {
    /// A record that is not packed, seen in the same way.
    pub fn of(record: &'a ServiceRecord) -> Self {
        let r = record;
        Self {
            id: r.id.as_str(),
            name: r.name.as_str(),
            tags: r.tags.iter().map(String::as_str).collect(),
            address: &r.address,
            tagged_addresses: r
                .tagged_addresses
                .iter()
                .map(|(tag, tagged)| (tag.as_str(), (tagged.address.as_str(), tagged.port)))
                .collect(),
            port: r.port,
            socket_path: &r.socket_path,
            meta: r.meta.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect(),
            weights: r.weights,
            enable_tag_override: r.enable_tag_override,
            extensions: r.extensions.clone(),
        }
    }
}

const TAG_OVERRIDE: usize = 1;
/// Weights, a socket, tagged addresses or extensions follow: few instances have any.
const RARE: usize = 2;

impl PackedService {
    /// Packs `record`.
    pub fn new(record: &ServiceRecord) -> Self {
        let r = record;
        let id = r.id.as_str();
        let mut out = Writer::after(id, header(Form::Service, KIND_SERVICE, id));
        out.text(r.name.as_str());
        out.number(r.tags.len());
        r.tags.iter().for_each(|tag| out.text(tag));
        let rare = r.weights != Weights::default()
            || !r.socket_path.is_empty()
            || !r.tagged_addresses.is_empty()
            || !r.extensions.is_empty();
        out.number(usize::from(r.enable_tag_override) * TAG_OVERRIDE + usize::from(rare) * RARE);
        out.number(usize::from(r.port));
        out.text(&r.address);
        out.number(r.meta.len());
        for (key, value) in &r.meta {
            out.text(key);
            out.text(value);
        }
        if rare {
            out.number(usize::from(r.weights.passing));
            out.number(usize::from(r.weights.warning));
            out.text(&r.socket_path);
            out.number(r.tagged_addresses.len());
            for (tag, tagged) in &r.tagged_addresses {
                out.text(tag);
                out.text(&tagged.address);
                out.number(usize::from(tagged.port));
            }
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

    /// The service it is an instance of.
    pub fn name(&self) -> &str {
        self.0.reader().text()
    }

    /// Free labels, in the order given.
    pub fn tags(&self) -> impl Iterator<Item = &str> {
        let mut reader = self.0.reader();
        reader.text();
        let count = reader.number();
        (0..count).map(move |_| reader.text())
    }

    /// All of it, borrowed.
    pub fn read(&self) -> ServiceText<'_> {
        let mut from = self.0.reader();
        let name = from.text();
        let tags = (0..from.number()).map(|_| from.text()).collect();
        let flags = from.number();
        let port = from.short();
        let address = from.text();
        let meta = (0..from.number()).map(|_| (from.text(), from.text())).collect();
        let mut text = ServiceText {
            id: self.id(),
            name,
            tags,
            address,
            tagged_addresses: Vec::new(),
            port,
            socket_path: "",
            meta,
            weights: Weights::default(),
            enable_tag_override: flags & TAG_OVERRIDE != 0,
            extensions: Extensions::new(),
        };
        if flags & RARE != 0 {
            read_rare(&mut text, &mut from);
        }
        text
    }

    /// All of it, owned.
    pub fn unpack(&self) -> ServiceRecord {
        let text = self.read();
        let valid = "it was packed from one";
        ServiceRecord {
            id: InstanceId::new(text.id).expect(valid),
            name: ServiceName::new(text.name).expect(valid),
            tags: text.tags.into_iter().map(str::to_owned).collect(),
            address: text.address.to_owned(),
            tagged_addresses: text
                .tagged_addresses
                .into_iter()
                .map(|(tag, (address, port))| {
                    (tag.to_owned(), TaggedAddress { address: address.to_owned(), port })
                })
                .collect(),
            port: text.port,
            socket_path: text.socket_path.to_owned(),
            meta: text.meta.into_iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect(),
            weights: text.weights,
            enable_tag_override: text.enable_tag_override,
            extensions: text.extensions,
        }
    }
}

fn read_rare<'a>(text: &mut ServiceText<'a>, from: &mut Reader<'a>) {
    text.weights = Weights { passing: from.short(), warning: from.short() };
    text.socket_path = from.text();
    text.tagged_addresses = (0..from.number()).map(|_| (from.text(), (from.text(), from.short()))).collect();
    text.extensions = read_extensions(from);
}

impl fmt::Debug for PackedService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.read().fmt(f)
    }
}
