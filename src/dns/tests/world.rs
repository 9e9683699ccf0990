//! A small cluster and a client for it.

use crate::dns::{Asked, Options, Reply, Responder, Reverse, Transport};
use crate::model::{
    CheckId, CheckRecord, CheckStatus, Extensions, Generation, InstanceId, Member, MemberStatus, NodeId,
    NodeKey, NodeName, NodeRecord, ServiceName, ServiceRecord, TaggedAddress, Version, Weights,
};
use crate::view::{ViewBuilder, ViewReader};
use domain::base::iana::{Class, Rtype};
use domain::base::{Message, MessageBuilder, Name};
use domain::rdata::AllRecordData;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::str::FromStr;
use std::sync::Arc;

pub(in crate::dns) fn key(node: &str) -> NodeKey {
    NodeName::new(node).expect("valid").key()
}

/// A service as it is registered.
pub(in crate::dns) fn service(id: &str, name: &str, address: &str, port: u16) -> ServiceRecord {
    ServiceRecord {
        id: InstanceId::new(id).expect("valid"),
        name: ServiceName::new(name).expect("valid"),
        tags: Vec::new(),
        address: address.to_owned(),
        tagged_addresses: BTreeMap::new(),
        port,
        socket_path: String::new(),
        meta: BTreeMap::new(),
        weights: Weights::default(),
        enable_tag_override: false,
        extensions: Extensions::new(),
    }
}

pub(in crate::dns) fn tagged(mut record: ServiceRecord, tags: &[&str]) -> ServiceRecord {
    record.tags = tags.iter().map(|t| (*t).to_owned()).collect();
    record
}

pub(in crate::dns) struct World {
    pub(in crate::dns) builder: ViewBuilder,
    pub(in crate::dns) view: ViewReader,
    pub(in crate::dns) responder: Responder,
    pub(in crate::dns) seed: u64,
}

impl World {
    pub(in crate::dns) fn empty(options: Options) -> Self {
        let (builder, view) = ViewBuilder::new("dc1".to_owned(), key("n1"), 1_000);
        let responder = Responder::new(Arc::new(options), "dc1");
        Self { builder, view, responder, seed: 0 }
    }

    /// The cluster of the table: n1 (127.0.0.1, rack r1) and n2 (127.0.0.2, rack r2) with their
    /// services.
    pub(in crate::dns) fn new(options: Options) -> Self {
        let mut world = Self::empty(options);
        world.node("n1", "127.0.0.1", MemberStatus::Alive, &[("rack", "r1")]);
        world.node("n2", "127.0.0.2", MemberStatus::Alive, &[("rack", "r2")]);
        let mut db = service("db1", "db", "fd00::5", 5432);
        db.weights.passing = 10;
        world.service("n1", db);
        world.service("n2", service("db2", "db", "", 5432));
        world.service("n2", tagged(service("web1", "web", "10.0.0.1", 9090), &["prom", "a"]));
        world.service("n2", tagged(service("web2", "web", "", 9091), &["b"]));
        world.service("n2", service("v6", "v6", "fd00::1", 1));
        world.service("n2", service("host", "host", "foo.example.com", 1));
        world.service("n2", service("crit", "crit", "127.0.0.8", 1));
        world.check("n2", "crit", CheckStatus::Critical);
        let mut warn = service("warn", "warn", "127.0.0.9", 1);
        warn.weights = Weights { passing: 7, warning: 3 };
        world.service("n2", warn);
        world.check("n2", "warn", CheckStatus::Warning);
        world
    }

    /// 10.1.0.1 to 10.1.0.`count`, all on n2; three have the tag `a.b`.
    pub(in crate::dns) fn many(&mut self, count: u16) {
        for n in 1..=count {
            let port = format!("80{n}").parse().expect("a port");
            let record = service(&format!("many{n}"), "many", &format!("10.1.0.{n}"), port);
            let tags: &[&str] = if matches!(n, 1 | 2 | 7) { &["a.b"] } else { &[] };
            self.put_service("n2", tagged(record, tags));
        }
        self.builder.publish();
    }

    pub(in crate::dns) fn node(&mut self, name: &str, ip: &str, status: MemberStatus, tags: &[(&str, &str)]) {
        let addr = std::net::SocketAddr::new(ip.parse().expect("valid"), 7946);
        self.builder.set_member(Member {
            key: key(name),
            generation: Generation(1),
            incarnation: 0,
            status,
            addr,
            rtt: None,
            coordinate: None,
            held: false,
        });
        let record = NodeRecord {
            name: NodeName::new(name).expect("valid"),
            id: NodeId([1; 16]),
            addr,
            tags: tags.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
            agent_version: "0.1.0".to_owned(),
            left: false,
            extensions: Extensions::new(),
        };
        self.builder.set_node(key(name), Some((Generation(1), Version(1), record)));
        self.builder.publish();
    }

    fn put_service(&mut self, node: &str, record: ServiceRecord) {
        let id = record.id.clone();
        self.builder.set_service(key(node), &id, Some((Generation(1), Version(1), record)));
    }

    pub(in crate::dns) fn service(&mut self, node: &str, record: ServiceRecord) {
        self.put_service(node, record);
        self.builder.publish();
    }

    pub(in crate::dns) fn tagged_address(
        &mut self,
        node: &str,
        mut record: ServiceRecord,
        tag: &str,
        address: &str,
    ) {
        let address = TaggedAddress { address: address.to_owned(), port: 1 };
        record.tagged_addresses.insert(tag.to_owned(), address);
        self.service(node, record);
    }

    /// A check of an instance (by its id), or of the whole node when `id` starts with `_node`.
    pub(in crate::dns) fn check(&mut self, node: &str, id: &str, status: CheckStatus) {
        let record = CheckRecord {
            id: CheckId::new(format!("check:{id}")).expect("valid"),
            name: String::new(),
            service_id: (!id.starts_with("_node")).then(|| InstanceId::new(id).expect("valid")),
            status,
            notes: String::new(),
            output: String::new(),
            kind: "ttl".to_owned(),
            interval: String::new(),
            timeout: String::new(),
            extensions: Extensions::new(),
        };
        let id = record.id.clone();
        self.builder.set_check(key(node), &id, Some((Generation(1), Version(1), record)));
        self.builder.publish();
    }

    /// Hands a message in, as it would have come.
    pub(in crate::dns) fn send(&mut self, message: &[u8], transport: Transport) -> (Reply, Vec<u8>) {
        self.send_with(message, transport, None)
    }

    pub(in crate::dns) fn send_with(
        &mut self,
        message: &[u8],
        transport: Transport,
        resolved: Option<&[u8]>,
    ) -> (Reply, Vec<u8>) {
        let view = self.view.load();
        let reverse = Reverse::new(&view);
        self.seed += 1;
        let asked = Asked {
            message,
            transport,
            view: &view,
            reverse: Some(&reverse),
            resolved,
            unix_seconds: 1_795_355_242,
            seed: self.seed,
        };
        let mut out = Vec::new();
        let reply = self.responder.answer(&asked, &mut out);
        (reply, out)
    }

    /// Asks in the words of `dig`: `NAME TYPE [+noedns] [+tcp] [+bufsize=N]`; EDNS 1232 if nothing
    /// is said.
    pub(in crate::dns) fn dig(&mut self, words: &str) -> Said {
        let (message, transport) = question(words);
        let (reply, out) = self.send(&message, transport);
        match reply {
            Reply::Answer { .. } => Said::new(&out),
            other => Said { text: format!("{other:?}"), ..Said::default() },
        }
    }
}

/// The message that `dig` would send.
pub(in crate::dns) fn question(words: &str) -> (Vec<u8>, Transport) {
    let mut words = words.split_whitespace();
    let name = Name::<Vec<u8>>::from_str(words.next().expect("a name")).expect("valid");
    let rtype = Rtype::from_str(words.next().expect("a type")).expect("valid");
    let (mut edns, mut transport) = (Some(1_232), Transport::Udp);
    for word in words {
        match word {
            "+noedns" => edns = None,
            "+tcp" => transport = Transport::Tcp,
            word => edns = Some(word.strip_prefix("+bufsize=").expect("known").parse().expect("a number")),
        }
    }
    let mut builder = MessageBuilder::new_vec();
    builder.header_mut().set_id(4_711);
    builder.header_mut().set_rd(true);
    let mut builder = builder.question();
    builder.push((&name, rtype, Class::IN)).expect("fits");
    let mut builder = builder.additional();
    if let Some(size) = edns {
        builder
            .opt(|opt| {
                opt.set_udp_payload_size(size);
                Ok(())
            })
            .expect("fits");
    }
    (builder.finish(), transport)
}

/// An answer in words.
#[derive(Debug, Default)]
pub(in crate::dns) struct Said {
    /// Code, flags, then each section's records in sorted order (but the answers of one question
    /// differ in order only).
    pub(in crate::dns) text: String,
    pub(in crate::dns) counts: [u16; 3],
    pub(in crate::dns) bytes: usize,
    pub(in crate::dns) truncated: bool,
    pub(in crate::dns) answers: Vec<String>,
}

impl Said {
    pub(in crate::dns) fn new(bytes: &[u8]) -> Self {
        let message = Message::from_slice(bytes).expect("has a header");
        let header = message.header();
        assert!(header.qr(), "is an answer");
        let counts = message.header_counts();
        let mut text = format!("{}", header.rcode());
        for (on, flag) in [(header.aa(), "aa"), (header.tc(), "tc"), (header.ra(), "ra")] {
            if on {
                let _ = write!(text, " {flag}");
            }
        }
        let (questions, answer, authority, additional) = message.sections().expect("is whole");
        for question in questions {
            question.expect("is whole");
        }
        let mut answers = Vec::new();
        for (name, section) in [("answer", answer), ("authority", authority), ("additional", additional)] {
            let mut records = Vec::new();
            for record in section {
                let record = record.expect("is whole");
                let line = if record.rtype() == Rtype::OPT {
                    format!("OPT {}", record.class().to_int())
                } else {
                    let data =
                        record.to_record::<AllRecordData<_, _>>().expect("is whole").expect("is known");
                    let class = record.class();
                    let (owner, ttl, rtype) = (data.owner(), data.ttl().as_secs(), data.rtype());
                    // The library writes the last dot of some names and not of others.
                    let data = data.data().to_string();
                    let data: Vec<&str> = data.split(' ').map(|w| w.strip_suffix('.').unwrap_or(w)).collect();
                    format!("{owner} {ttl} {class} {rtype} {}", data.join(" "))
                };
                records.push(line);
            }
            if name == "answer" {
                answers.clone_from(&records);
            }
            records.sort();
            for line in records {
                let _ = write!(text, "\n{name}: {line}");
            }
        }
        Self {
            text,
            counts: [counts.ancount(), counts.nscount(), counts.arcount()],
            bytes: bytes.len(),
            truncated: header.tc(),
            answers,
        }
    }
}
