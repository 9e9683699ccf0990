//! Answers as bytes: what is to be said, cut to what the client can take.
//!
//! Owns the layout (RFC 1035, 4), the compression of names, and what is left out when something
//! must be. The library's builder is not used here: the names that repeat most are the targets of
//! SRV records, which may not be compressed themselves (RFC 2782) and therefore are not known to
//! its compressors, though the names of their addresses can point at them.

use super::query::{Query, Rcode, rtype};
use std::net::IpAddr;

/// What we can receive ourselves, told to clients that speak EDNS.
const OWN_UDP_BYTES: u16 = 1_232;
const CLASS_IN: u16 = 1;
const HEADER_BYTES: usize = 12;
/// Names further on cannot be pointed at.
const POINTER_MAX: usize = 0x3fff;
/// No record is shorter: two bytes of name, ten of head, four of data.
const RECORD_BYTES_MIN: usize = 16;
const OPTION_SUBNET: u16 = 8;

/// A name in an answer.
#[derive(Debug, Clone, Copy)]
pub(super) enum NameRef<'a> {
    /// The one that was asked for.
    Asked,
    /// The zone.
    Zone,
    /// A single label in the zone.
    InZone(&'static str),
    /// Labels in the datacenter's part of the zone.
    InDatacenter { labels: &'a [u8], slot: usize },
    /// A name by itself, with its root label.
    Whole { wire: &'a [u8], slot: usize },
}

/// What a record says.
#[derive(Debug, Clone, Copy)]
pub(super) enum Data<'a> {
    Ip(IpAddr),
    Srv {
        weight: u16,
        port: u16,
        target: NameRef<'a>,
    },
    /// Character strings, each with its length before it.
    Txt(&'a [u8]),
    Ptr(NameRef<'a>),
    Ns(NameRef<'a>),
    Cname(NameRef<'a>),
    /// Serial, refresh, retry, expire, minimum.
    Soa([u32; 5]),
}

/// One record.
#[derive(Debug, Clone, Copy)]
pub(super) struct Record<'a> {
    pub(super) owner: NameRef<'a>,
    pub(super) ttl: u32,
    pub(super) data: Data<'a>,
    /// The address of the name that `data` holds, for the additional section.
    pub(super) glue: Option<IpAddr>,
    /// The node it is about, as a place in [`Plan::nodes`].
    pub(super) node: Option<usize>,
}

impl<'a> Record<'a> {
    pub(super) const fn new(owner: NameRef<'a>, ttl: u32, data: Data<'a>) -> Self {
        Self { owner, ttl, data, glue: None, node: None }
    }
}

/// What a node says of itself beside its address.
#[derive(Debug, Clone, Copy)]
pub(super) struct NodeTexts<'a> {
    pub(super) owner: NameRef<'a>,
    pub(super) ttl: u32,
    pub(super) texts: &'a [Box<[u8]>],
}

/// All that could be said.
#[derive(Debug)]
pub(super) struct Plan<'a> {
    pub(super) rcode: Rcode,
    pub(super) authoritative: bool,
    pub(super) answers: Vec<Record<'a>>,
    pub(super) authority: Vec<Record<'a>>,
    pub(super) additional: Vec<Record<'a>>,
    /// Told once for each node that an answer is about, if there is room.
    pub(super) nodes: Vec<NodeTexts<'a>>,
    /// Told if there is room.
    pub(super) extra: Vec<Record<'a>>,
    /// Slots of names are below this.
    pub(super) slots: usize,
}

impl Plan<'_> {
    pub(super) const fn new(rcode: Rcode) -> Self {
        Self {
            rcode,
            authoritative: true,
            answers: Vec::new(),
            authority: Vec::new(),
            additional: Vec::new(),
            nodes: Vec::new(),
            extra: Vec::new(),
            slots: 0,
        }
    }
}

/// What names are relative to, and what goes into every header.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame<'a> {
    /// The zone in wire form, with the root label.
    pub(super) zone: &'a [u8],
    /// Where it stands in the question's name, if it does.
    pub(super) zone_in_name: Option<usize>,
    /// The datacenter's labels; empty when names do without.
    pub(super) datacenter: &'a [u8],
    pub(super) recursion_available: bool,
}

/// How much may be said.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    pub(super) bytes: usize,
    pub(super) answers: usize,
    /// Set the TC bit when answers are left out.
    pub(super) tell: bool,
}

/// Whether a name was written, and what was said of it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Slot {
    at: u16,
    glued: bool,
    told: bool,
}

#[derive(Clone, Copy)]
struct Parts {
    answers: usize,
    authority: bool,
    glue: bool,
    extra: bool,
    truncated: bool,
}

/// Writes as much of `plan` as there is room for. Says whether answers were left out. `slots` is
/// memory to work in.
pub(super) fn write(
    out: &mut Vec<u8>,
    slots: &mut Vec<Slot>,
    query: &Query,
    frame: &Frame<'_>,
    plan: &Plan<'_>,
    room: Room,
) -> bool {
    let mut writer = Writer { out, slots, query, frame, plan, zone_at: 0, datacenter_at: 0 };
    let total = plan.answers.len();
    let counted = total.min(room.answers);
    let mut parts =
        Parts { answers: counted, authority: true, glue: true, extra: counted == total, truncated: false };
    // What certainly does not fit is not even tried.
    parts.answers = counted.min(1 + room.bytes / RECORD_BYTES_MIN);
    if counted == total && parts.answers == total && writer.all(parts) <= room.bytes {
        return false;
    }
    // First goes what was not asked for, then answers from the end.
    parts.extra = false;
    parts.authority = total == 0;
    parts.truncated = room.tell && parts.answers < total;
    let length = writer.all(parts);
    if length <= room.bytes {
        return parts.answers < total;
    }
    parts.truncated = room.tell;
    let (mut fits, mut too_many) = (0, parts.answers + 1);
    let mut next = parts.answers.min(room.bytes * parts.answers / length.max(1)).max(1);
    while too_many - fits > 1 {
        parts.answers = next;
        if writer.all(parts) <= room.bytes {
            fits = next
        } else {
            too_many = next
        }
        next = fits + (too_many - fits).div_ceil(2);
        next = next.clamp(fits + 1, (too_many - 1).max(fits + 1));
    }
    parts.answers = fits;
    if fits == 0 && total > 0 {
        // Not even one with its address. Nothing at all would mean that there is none, and
        // that must not be said without a mark.
        parts.glue = false;
        parts.answers = 1;
        if writer.all(parts) <= room.bytes {
            return total > 1;
        }
        parts.answers = 0;
        parts.truncated = true;
    }
    writer.all(parts);
    fits < total
}

struct Writer<'w, 'a> {
    out: &'w mut Vec<u8>,
    slots: &'w mut Vec<Slot>,
    query: &'w Query,
    frame: &'w Frame<'a>,
    plan: &'w Plan<'a>,
    zone_at: usize,
    datacenter_at: usize,
}

impl<'a> Writer<'_, 'a> {
    /// Writes a whole message anew and says how long it is.
    fn all(&mut self, parts: Parts) -> usize {
        let (query, plan) = (self.query, self.plan);
        self.out.clear();
        self.slots.clear();
        self.slots.resize(plan.slots, Slot::default());
        self.zone_at = self.frame.zone_in_name.map_or(0, |at| HEADER_BYTES + at);
        self.datacenter_at = 0;
        self.header(parts.truncated);
        self.out.extend_from_slice(query.name.wire());
        self.short(query.rtype);
        self.short(query.class);
        let answers = &plan.answers[..parts.answers];
        let authority = if parts.authority { &plan.authority[..] } else { &[] };
        let mut counts = [1, answers.len(), authority.len(), 0];
        for record in answers.iter().chain(authority) {
            self.record(record);
        }
        if parts.glue {
            for record in answers.iter().chain(authority) {
                counts[3] += self.glue(record);
            }
            for record in &plan.additional {
                self.record(record);
            }
            counts[3] += plan.additional.len();
        }
        if parts.extra {
            for record in answers {
                counts[3] += self.texts(record);
            }
            for record in &plan.extra {
                self.record(record);
            }
            counts[3] += plan.extra.len();
        }
        counts[3] += self.opt();
        for (i, count) in counts.into_iter().enumerate() {
            // Records take more bytes each than would let their number outgrow this.
            let count = u16::try_from(count).unwrap_or(u16::MAX);
            self.out[4 + 2 * i..6 + 2 * i].copy_from_slice(&count.to_be_bytes());
        }
        self.out.len()
    }

    fn header(&mut self, truncated: bool) {
        let (query, plan) = (self.query, self.plan);
        let bit = |on: bool, n: u16| u16::from(on) << n;
        let flags = 1 << 15
            | bit(plan.authoritative, 10)
            | bit(truncated, 9)
            | bit(query.recursion_desired, 8)
            | bit(self.frame.recursion_available, 7)
            | bit(query.checking_disabled, 4)
            | (plan.rcode as u16 & 0xf);
        self.short(query.id);
        self.short(flags);
        self.out.extend_from_slice(&[0; 8]);
    }

    fn short(&mut self, n: u16) {
        self.out.extend_from_slice(&n.to_be_bytes());
    }

    fn long(&mut self, n: u32) {
        self.out.extend_from_slice(&n.to_be_bytes());
    }

    fn point(&mut self, at: usize) {
        self.short(0xc000 | u16::try_from(at).unwrap_or(0) & 0x3fff);
    }

    fn name(&mut self, name: NameRef<'a>, compress: bool) {
        match name {
            NameRef::Asked if compress => self.point(HEADER_BYTES),
            NameRef::Asked => self.out.extend_from_slice(self.query.name.wire()),
            NameRef::Zone => self.zone(compress),
            NameRef::InZone(label) => {
                self.out.push(u8::try_from(label.len()).unwrap_or(0));
                self.out.extend_from_slice(label.as_bytes());
                self.zone(compress);
            }
            NameRef::InDatacenter { labels, slot } => {
                if self.known(slot, compress) {
                    return;
                }
                self.out.extend_from_slice(labels);
                self.datacenter(compress);
            }
            NameRef::Whole { wire, slot } => {
                if !self.known(slot, compress) {
                    self.out.extend_from_slice(wire);
                }
            }
        }
    }

    /// Points at a name that was written before, or remembers that it will be written here.
    fn known(&mut self, slot: usize, compress: bool) -> bool {
        let at = usize::from(self.slots[slot].at);
        if at != 0 {
            if compress {
                self.point(at);
            }
            return compress;
        }
        if self.out.len() <= POINTER_MAX {
            self.slots[slot].at = u16::try_from(self.out.len()).unwrap_or(0);
        }
        false
    }

    fn datacenter(&mut self, compress: bool) {
        if !self.frame.datacenter.is_empty() {
            if compress && self.datacenter_at != 0 {
                self.point(self.datacenter_at);
                return;
            }
            if self.datacenter_at == 0 && self.out.len() <= POINTER_MAX {
                self.datacenter_at = self.out.len();
            }
            self.out.extend_from_slice(self.frame.datacenter);
        }
        self.zone(compress);
    }

    fn zone(&mut self, compress: bool) {
        if compress && self.zone_at != 0 {
            self.point(self.zone_at);
            return;
        }
        if self.zone_at == 0 && self.out.len() <= POINTER_MAX {
            self.zone_at = self.out.len();
        }
        self.out.extend_from_slice(self.frame.zone);
    }

    fn record(&mut self, record: &Record<'a>) {
        self.name(record.owner, true);
        let rtype = match record.data {
            Data::Ip(IpAddr::V4(_)) => rtype::A,
            Data::Ip(IpAddr::V6(_)) => rtype::AAAA,
            Data::Srv { .. } => rtype::SRV,
            Data::Txt(_) => rtype::TXT,
            Data::Ptr(_) => rtype::PTR,
            Data::Ns(_) => rtype::NS,
            Data::Cname(_) => rtype::CNAME,
            Data::Soa(_) => rtype::SOA,
        };
        // Type, class, time to live, and room for the length.
        let mut head = [0; 10];
        head[..2].copy_from_slice(&rtype.to_be_bytes());
        head[2..4].copy_from_slice(&CLASS_IN.to_be_bytes());
        head[4..8].copy_from_slice(&record.ttl.to_be_bytes());
        self.out.extend_from_slice(&head);
        let length_at = self.out.len() - 2;
        match record.data {
            Data::Ip(IpAddr::V4(ip)) => self.out.extend_from_slice(&ip.octets()),
            Data::Ip(IpAddr::V6(ip)) => self.out.extend_from_slice(&ip.octets()),
            Data::Srv { weight, port, target } => {
                let [[w, e], [p, o]] = [weight, port].map(u16::to_be_bytes);
                self.out.extend_from_slice(&[0, 1, w, e, p, o]);
                self.name(target, false);
            }
            Data::Txt(strings) => self.out.extend_from_slice(strings),
            Data::Ptr(name) | Data::Ns(name) | Data::Cname(name) => self.name(name, true),
            Data::Soa(numbers) => {
                self.name(NameRef::InZone("ns"), true);
                self.name(NameRef::InZone("hostmaster"), true);
                numbers.into_iter().for_each(|n| self.long(n));
            }
        }
        let length = self.out.len() - length_at - 2;
        let length = u16::try_from(length).unwrap_or(u16::MAX);
        self.out[length_at..length_at + 2].copy_from_slice(&length.to_be_bytes());
    }

    /// The address of the name inside a record, unless it was told before.
    fn glue(&mut self, record: &Record<'a>) -> usize {
        let (Some(ip), Data::Srv { target: name, .. } | Data::Ns(name)) = (record.glue, record.data) else {
            return 0;
        };
        if let NameRef::InDatacenter { slot, .. } | NameRef::Whole { slot, .. } = name
            && std::mem::replace(&mut self.slots[slot].glued, true)
        {
            return 0;
        }
        self.record(&Record::new(name, record.ttl, Data::Ip(ip)));
        1
    }

    /// What the node says that a record is about, unless it was told before.
    fn texts(&mut self, record: &Record<'a>) -> usize {
        let plan = self.plan;
        let Some(node) = record.node.and_then(|node| plan.nodes.get(node)) else { return 0 };
        if let NameRef::InDatacenter { slot, .. } | NameRef::Whole { slot, .. } = node.owner
            && std::mem::replace(&mut self.slots[slot].told, true)
        {
            return 0;
        }
        for text in node.texts {
            self.record(&Record::new(node.owner, node.ttl, Data::Txt(text)));
        }
        node.texts.len()
    }

    fn opt(&mut self) -> usize {
        let Some(edns) = self.query.edns else { return 0 };
        self.out.push(0);
        self.short(rtype::OPT);
        self.short(OWN_UDP_BYTES);
        let extended = u32::from(self.plan.rcode as u16 >> 4) << 24;
        self.long(extended | u32::from(edns.dnssec_ok) << 15);
        let Some((ip, prefix)) = edns.subnet else {
            self.short(0);
            return 1;
        };
        // RFC 7871: the same for everybody, so the scope is 0.
        let (family, bytes): (u16, Vec<u8>) = match ip {
            IpAddr::V4(ip) => (1, ip.octets().to_vec()),
            IpAddr::V6(ip) => (2, ip.octets().to_vec()),
        };
        let told = usize::from(prefix).div_ceil(8).min(bytes.len());
        let length = u16::try_from(4 + told).unwrap_or(4);
        self.short(4 + length);
        self.short(OPTION_SUBNET);
        self.short(length);
        self.short(family);
        self.out.extend_from_slice(&[prefix, 0]);
        self.out.extend_from_slice(&bytes[..told]);
        1
    }
}

/// A message of a header alone, for what could not be read.
pub(super) fn write_header(out: &mut Vec<u8>, id: u16, recursion_desired: bool, opcode: u8, rcode: Rcode) {
    out.clear();
    let flags =
        1 << 15 | u16::from(opcode & 0xf) << 11 | u16::from(recursion_desired) << 8 | (rcode as u16 & 0xf);
    out.extend_from_slice(&id.to_be_bytes());
    out.extend_from_slice(&flags.to_be_bytes());
    out.extend_from_slice(&[0; 8]);
}
