//! What must hold for any DNS message. See [`crate::fuzzing`].

use super::{Asked, Options, Reply, Responder, Transport, fits, is_answer_to};
use crate::model::{
    Extensions, Generation, InstanceId, Member, MemberStatus, NodeId, NodeName, NodeRecord, ServiceName,
    ServiceRecord, Version, Weights,
};
use crate::view::{View, ViewBuilder};
use domain::base::Message;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};

/// The largest answers; see RFC 1035 and RFC 6891.
const UDP_BYTES_PLAIN: usize = 512;
const BYTES_MAX: usize = 65_535;

/// One node with a service of everything.
static VIEW: LazyLock<Arc<View>> = LazyLock::new(|| {
    let node = NodeName::new("n1").expect("is a name");
    let (mut builder, view) = ViewBuilder::new("dc1".to_owned(), node.key(), 1);
    let addr = SocketAddr::from(([10, 0, 0, 1], 7946));
    builder.set_member(Member {
        key: node.key(),
        generation: Generation(1),
        incarnation: 0,
        status: MemberStatus::Alive,
        addr,
        rtt: None,
        coordinate: None,
        held: false,
    });
    let key = node.key();
    let record = NodeRecord {
        name: node,
        id: NodeId([1; 16]),
        addr,
        tags: BTreeMap::from([("rack".to_owned(), "r1".to_owned())]),
        agent_version: String::new(),
        left: false,
        extensions: Extensions::new(),
    };
    builder.set_node(key, Some((Generation(1), Version(1), record)));
    for (n, address) in ["", "10.0.0.2", "fd00::1", "host.example.com"].into_iter().enumerate() {
        let id = InstanceId::new(format!("web{n}")).expect("is an id");
        let service = ServiceRecord {
            id: id.clone(),
            name: ServiceName::new(if n == 3 { "far" } else { "web" }).expect("is a name"),
            tags: vec!["a".to_owned()],
            address: address.to_owned(),
            tagged_addresses: BTreeMap::new(),
            port: 80,
            socket_path: String::new(),
            meta: BTreeMap::new(),
            weights: Weights::default(),
            enable_tag_override: false,
            extensions: Extensions::new(),
        };
        builder.set_service(key, &id, Some((Generation(1), Version(2), service)));
    }
    builder.publish();
    view.load()
});

/// Answers the message at the start of `data`, with the rest for what a recursor said.
pub(crate) fn message(data: &[u8]) {
    let Some((length, rest)) = data.split_first_chunk::<2>() else { return };
    let length = usize::from(u16::from_be_bytes(*length));
    let (message, resolved) = rest.split_at_checked(length).unwrap_or((rest, &[]));
    let recursors = vec![SocketAddr::from(([10, 0, 0, 9], 53))];
    let mut responder = Responder::new(Arc::new(Options { recursors, ..Options::default() }), "dc1");
    let mut out = Vec::new();
    for transport in [Transport::Udp, Transport::Tcp] {
        let asked = |resolved| Asked {
            message,
            transport,
            view: &VIEW,
            reverse: None,
            resolved,
            unix_seconds: 1,
            seed: 7,
        };
        for resolved in [None, Some(resolved)] {
            match responder.answer(&asked(resolved), &mut out) {
                Reply::Answer { .. } => is_whole(message, transport, &out),
                Reply::Resolve(question) => assert!(Message::from_slice(&question).is_ok(), "no question"),
                Reply::Forward { .. } | Reply::Reverse | Reply::Drop(_) => {}
            }
        }
    }
    let _ = is_answer_to(resolved, message);
    let mut passed_on = resolved.to_vec();
    fits(message, &mut passed_on);
}

/// An answer to the message, of a size that its client can take, that others can read.
fn is_whole(message: &[u8], transport: Transport, out: &[u8]) {
    let asked = Message::from_slice(message).expect("what is answered was a message");
    let answer = Message::from_slice(out).expect("an answer is a message");
    assert!(answer.header().qr() && answer.header().id() == asked.header().id());
    let told = asked.opt().map_or(0, |opt| usize::from(opt.udp_payload_size()));
    let most = if transport == Transport::Udp { told.max(UDP_BYTES_PLAIN) } else { BYTES_MAX };
    assert!(out.len() <= most, "{} bytes over {transport:?}, want at most {most}", out.len());
    let sections = answer.sections().expect("its sections can be read");
    for section in [sections.1, sections.2, sections.3] {
        for record in section {
            record.expect("each of its records can be read");
        }
    }
}
