//! What was asked: a message read up to what an answer needs.
//!
//! Owns which messages are answered at all and which are refused before anybody looks at the name
//! (RFC 1035, RFC 6891). Reads with the library; total, never panics.

use super::metrics::Dropped;
use super::name::QueryName;
use domain::base::Message;
use domain::base::iana::Opcode;
use domain::base::opt::ClientSubnet;
use std::net::IpAddr;

/// Types of records, by their numbers.
pub(super) mod rtype {
    pub(in crate::dns) const A: u16 = 1;
    pub(in crate::dns) const NS: u16 = 2;
    pub(in crate::dns) const CNAME: u16 = 5;
    pub(in crate::dns) const SOA: u16 = 6;
    pub(in crate::dns) const PTR: u16 = 12;
    pub(in crate::dns) const TXT: u16 = 16;
    pub(in crate::dns) const AAAA: u16 = 28;
    pub(in crate::dns) const SRV: u16 = 33;
    pub(in crate::dns) const OPT: u16 = 41;
    pub(in crate::dns) const IXFR: u16 = 251;
    pub(in crate::dns) const AXFR: u16 = 252;
    pub(in crate::dns) const ANY: u16 = 255;
}

/// Response codes, the extended one included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rcode {
    NoError = 0,
    FormErr = 1,
    ServFail = 2,
    NxDomain = 3,
    NotImp = 4,
    Refused = 5,
    BadVers = 16,
}

const CLASS_IN: u16 = 1;
const CLASS_ANY: u16 = 255;

/// What a client that speaks EDNS said.
#[derive(Debug, Clone, Copy)]
pub(super) struct Edns {
    /// The largest UDP answer that it can take.
    pub(super) size: u16,
    pub(super) dnssec_ok: bool,
    /// The network that it asks for (RFC 7871): address and length of the prefix.
    pub(super) subnet: Option<(IpAddr, u8)>,
}

/// A question with what its answer depends on.
#[derive(Clone, Copy)]
pub(super) struct Query {
    pub(super) id: u16,
    pub(super) recursion_desired: bool,
    pub(super) checking_disabled: bool,
    pub(super) name: QueryName,
    pub(super) rtype: u16,
    pub(super) class: u16,
    pub(super) edns: Option<Edns>,
}

/// A message that is no question that could be read.
pub(super) enum Unread {
    /// To be answered with a code alone.
    Unreadable { id: u16, recursion_desired: bool, opcode: u8, rcode: Rcode },
    /// Not to be answered.
    Dropped(Dropped),
}

/// Reads a message as a server does: the question, and the code to refuse it with if it is one that
/// is not answered here.
pub(super) fn read(bytes: &[u8]) -> Result<(Query, Option<Rcode>), Unread> {
    let message = Message::from_slice(bytes).map_err(|_| Unread::Dropped(Dropped::Short))?;
    let header = message.header();
    if header.qr() {
        // Answering an answer could go on for ever.
        return Err(Unread::Dropped(Dropped::NotAQuery));
    }
    let unreadable = |rcode| Unread::Unreadable {
        id: header.id(),
        recursion_desired: header.rd(),
        opcode: header.opcode().to_int(),
        rcode,
    };
    if header.opcode() != Opcode::QUERY {
        return Err(unreadable(Rcode::NotImp));
    }
    let question = message.question().next().and_then(Result::ok);
    let question = question.ok_or_else(|| unreadable(Rcode::FormErr))?;
    let name = QueryName::new(question.qname()).ok_or_else(|| unreadable(Rcode::FormErr))?;
    let mut query = Query {
        id: header.id(),
        recursion_desired: header.rd(),
        checking_disabled: header.cd(),
        name,
        rtype: question.qtype().to_int(),
        class: question.qclass().to_int(),
        edns: None,
    };
    let record = (message.header_counts().arcount() > 0).then(|| message.opt()).flatten();
    if let Some(record) = record {
        let subnet = record.opt().first::<ClientSubnet>();
        query.edns = Some(Edns {
            size: record.udp_payload_size(),
            dnssec_ok: record.dnssec_ok(),
            subnet: subnet.map(|s| (s.addr(), s.source_prefix_len())),
        });
        if record.version() != 0 {
            return Ok((query, Some(Rcode::BadVers)));
        }
    }
    let refused = if matches!(query.rtype, rtype::AXFR | rtype::IXFR) {
        Some(Rcode::NotImp)
    } else if !matches!(query.class, CLASS_IN | CLASS_ANY) {
        Some(Rcode::Refused)
    } else {
        None
    };
    Ok((query, refused))
}
