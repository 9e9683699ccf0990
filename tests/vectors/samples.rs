//! One frame of each kind and of each of its variants, records, and datagrams: what the vectors are of.

use bytes::Bytes;
use shoal::model::{
    CheckId, CheckRecord, CheckStatus, Coordinate, Entry, EntryKey, Extensions, Generation, InstanceId,
    KeyId, KeyMaterial, NodeId, NodeKey, NodeName, NodeRecord, ServiceName, ServiceRecord, TaggedAddress,
    UserEvent, UserEventContent, UserEventId, Version, Weights,
};
use shoal::wire::Frame;
use shoal::wire::coordinate::PackedCoordinate;
use shoal::wire::exam::Exam;
use shoal::wire::frame::{
    AGE_UNKNOWN, Answer, Ask, Body, Charge, CoordinateMessage, Digest, Epoch, Head, Item, JoinReply,
    JoinRequest, Liveness, MemberUpdate, Nack, NameClaim, Page, Record, Row, RowMember, RowTable, SwimFrame,
    SwimMessage, Third, Want,
};
use shoal::wire::keyring::{SharedKey, SharedKeyring, SharedStamp};
use shoal::wire::record;
use std::net::SocketAddr;

pub(crate) const CLUSTER: &str = "shoal";
const GENERATION: Generation = Generation(1_764_158_400_000);

pub(crate) fn key_material(n: u8) -> KeyMaterial {
    KeyMaterial::from_bytes(std::array::from_fn(|i| n.wrapping_add(i as u8)))
}

fn name(text: &str) -> NodeName {
    NodeName::new(text).expect("a name")
}

fn addr(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

fn epoch(renewal: u64) -> Epoch {
    Epoch(Epoch::first_of(GENERATION).0 + renewal)
}

fn third() -> Third {
    Third { key: name("db-2").key(), epoch: epoch(3), addr: addr("[2001:db8::2]:7946") }
}

fn swim(message: SwimMessage) -> Frame {
    Frame::Swim(SwimFrame {
        from: name("web-1").key(),
        from_epoch: epoch(0),
        from_incarnation: 2,
        to: name("cache-3").key(),
        to_epoch: epoch(1),
        from_addr: Some(addr("10.0.0.1:7946")),
        message,
    })
}

fn head() -> Head {
    Head {
        owner: name("web-1").key(),
        generation: GENERATION,
        version: Version(300),
        digest: 0x0123_4567_89ab_cdef,
    }
}

fn item(version: u64, kind: u8, id: &str, body: Body) -> Item {
    Item { version: Version(version), kind, id: id.to_owned(), body }
}

fn bytes(text: &str) -> Body {
    Body::Bytes(Bytes::copy_from_slice(text.as_bytes()))
}

/// Each with the name of its vector.
pub(crate) fn frames() -> Vec<(&'static str, Frame)> {
    let updates = [
        (Liveness::Alive, "10.0.0.1:7946", 0),
        (Liveness::Suspect, "10.0.0.2:250", 250),
        (Liveness::Down, "[2001:db8::1]:251", 251),
        (Liveness::Left, "192.168.1.1:65535", 65_535),
    ];
    let updates = updates.map(|(state, at, incarnation)| MemberUpdate {
        key: name("web-1").key(),
        epoch: epoch(u64::from(incarnation)),
        incarnation,
        state,
        addr: addr(at),
    });
    let left = record::encode(&Entry::Node(NodeRecord { left: true, ..node() }));
    let records = vec![
        Record { head: head(), item: item(300, 1, "web-a", bytes("not a real body")) },
        Record { head: head(), item: item(250, 2, "service:web-a", Body::Deleted) },
        Record { head: head(), item: item(1, 1, "big", Body::Large(16_384)) },
        Record { head: head(), item: item(70_000, 9, "from the future", bytes("")) },
    ];
    let row = Row {
        key: name("web-1").key(),
        member: Some(RowMember {
            epoch: epoch(0),
            incarnation: 1,
            state: Liveness::Alive,
            addr: addr("10.0.0.1:7946"),
        }),
        table: Some(RowTable {
            generation: GENERATION,
            complete_to: Version(300),
            newest: Version(301),
            digest: 0xfedc_ba98_7654_3210,
        }),
    };
    let bare = Row { key: name("db-2").key(), member: None, table: None };
    let page = Page {
        owner: name("web-1").key(),
        generation: GENERATION,
        from: Version(0),
        survivors: vec![1, 2, 300],
        items: vec![item(304, 1, "web-a", bytes("x")), item(305, 1, "web-b", Body::Deleted)],
        next: Some(Version(305)),
        complete_to: Version(400),
    };
    let unknown = Page {
        owner: name("db-2").key(),
        generation: Generation(0),
        from: Version(0),
        survivors: Vec::new(),
        items: Vec::new(),
        next: None,
        complete_to: Version(0),
    };
    let want = Want { owner: name("web-1").key(), generation: GENERATION, have: Version(7), cursor: None };
    let coordinate =
        Coordinate::new([0.001, -0.002, 0.0, 0.0155, -0.03, 0.0000004, 0.0, 0.012], 0.25, -0.0005, 0.0001);
    let far = Coordinate::new([-9.9; 8], 1.5, 9.9, 9.9);
    let told = |c: Option<Coordinate>| {
        Frame::Coordinate(CoordinateMessage::Told(PackedCoordinate::pack(&c.expect("within bounds"))))
    };
    let stamp = |counter, node: &str| SharedStamp { counter, node: name(node).key() };
    let ring = SharedKeyring {
        keys: vec![
            SharedKey { id: 7, stamp: stamp(4, "db-2"), material: None },
            SharedKey {
                id: key_material(1).id().0,
                stamp: stamp(1, "web-1"),
                material: Some(key_material(1)),
            },
        ],
        primary: key_material(1),
        primary_stamp: stamp(3, "web-1"),
        floor: 2,
    };
    let event = UserEvent {
        id: UserEventId(*b"\x2f\xcc\xb4\xe2\xc0\x29\x43\x45\x84\xe3\x2b\xc4\x85\xb9\x82\x52"),
        from: name("web-1"),
        content: UserEventContent {
            name: "deploy".to_owned(),
            payload: vec![0, 1, 0xfe, 0xff],
            node_filter: "web-.*".to_owned(),
            service_filter: String::new(),
            tag_filter: "v2".to_owned(),
        },
    };
    let join = JoinRequest {
        name: name("Web-1"),
        id: NodeId::from_random(0x0011_2233_4455_6677_8899_aabb_ccdd_eeff),
        epoch: epoch(0),
        incarnation: 0,
        addr: addr("10.0.0.1:7946"),
        name_checked: false,
    };
    let claim = NameClaim {
        name: name("web-1"),
        epoch: epoch(1),
        started: GENERATION,
        addr: addr("10.0.0.1:7946"),
        joined: true,
    };
    let nack =
        Nack { from: name("cache-3").key(), to_epoch: epoch(0), target: name("db-2").key(), number: 200 };
    let charge = Charge {
        subject: name("db-2").key(),
        epoch: epoch(3),
        incarnation: 1,
        accusers: vec![(name("web-1").key(), false), (name("cache-3").key(), true)],
    };
    let cookie = Digest(0x1122_3344_5566_7788);
    let (asker, asked) = (name("web-1").key(), name("db-2").key());
    let exam = Frame::Exam;
    vec![
        ("ping", swim(SwimMessage::Ping(1))),
        ("ack", swim(SwimMessage::Ack(255))),
        ("ping_request", swim(SwimMessage::PingRequest(third(), 7))),
        ("indirect_ping", swim(SwimMessage::IndirectPing(third(), 7))),
        ("indirect_ack", swim(SwimMessage::IndirectAck(third(), 7))),
        ("forwarded_ack", swim(SwimMessage::ForwardedAck(third(), 7))),
        ("gossip", swim(SwimMessage::Gossip)),
        ("turn_undead", swim(SwimMessage::TurnUndead)),
        ("members", Frame::Members(updates.to_vec())),
        ("records", Frame::Records(records.clone())),
        ("heads", Frame::Heads(vec![head(), Head { version: Version(0), ..head() }])),
        ("root", Frame::Root(Digest(0x8000_0000_0000_0001))),
        ("join", Frame::Join(join.clone())),
        ("join_checked", Frame::Join(JoinRequest { name_checked: true, ..join })),
        ("join_reply_welcome", Frame::JoinReply(JoinReply::Welcome { from: name("db-2").key() })),
        (
            "join_reply_name_held",
            Frame::JoinReply(JoinReply::NameHeld { holder: addr("10.0.0.9:7946"), epoch: epoch(4) }),
        ),
        ("join_reply_remembered", Frame::JoinReply(JoinReply::Remembered { epoch: epoch(4) })),
        ("down_notice", Frame::DownNotice(name("web-1").key(), epoch(0))),
        ("name_claim", Frame::NameClaim(claim)),
        ("ask_buckets", Frame::Ask(1, Ask::Buckets)),
        ("ask_parts", Frame::Ask(251, Ask::Parts { bucket: 63 })),
        ("ask_rows", Frame::Ask(70_000, Ask::Rows { bucket: 5, part: None, after: None })),
        (
            "ask_rows_of_a_part",
            Frame::Ask(u32::MAX, Ask::Rows { bucket: 5, part: Some(9), after: Some(name("web-1").key()) }),
        ),
        ("ask_range", Frame::Ask(4, Ask::Range { after: None, until: NodeKey(u64::MAX) })),
        (
            "ask_range_after",
            Frame::Ask(5, Ask::Range { after: Some(name("web-1").key()), until: NodeKey(1 << 60) }),
        ),
        ("ask_records", Frame::Ask(2, Ask::Records(vec![want, Want { cursor: Some(Version(9)), ..want }]))),
        (
            "ask_chunk",
            Frame::Ask(
                3,
                Ask::Chunk {
                    owner: name("web-1").key(),
                    generation: GENERATION,
                    version: Version(1),
                    offset: 1_300,
                },
            ),
        ),
        ("answer_digests", Frame::Answer(1, Answer::Digests(vec![Digest(0), Digest(u64::MAX)]))),
        ("answer_rows", Frame::Answer(2, Answer::Rows { rows: vec![row, bare], more: true })),
        ("answer_records", Frame::Answer(3, Answer::Records(vec![page, unknown]))),
        (
            "answer_chunk",
            Frame::Answer(4, Answer::Chunk { total: 16_384, bytes: Bytes::from_static(b"a piece") }),
        ),
        (
            "leave",
            Frame::Leave(Record { head: head(), item: item(300, 0, "", Body::Bytes(Bytes::from(left))) }),
        ),
        ("leave_ack", Frame::LeaveAck(name("db-2").key(), GENERATION)),
        ("accusations", Frame::Accusations(vec![charge])),
        ("nack", Frame::Nack(nack)),
        ("coordinate_wanted", Frame::Coordinate(CoordinateMessage::Wanted)),
        ("coordinate_told", told(coordinate)),
        ("coordinate_far", told(far)),
        ("ages", Frame::Ages(vec![0, 250, 251, 65_536, 3_600_000_000, AGE_UNKNOWN])),
        ("keyring", Frame::Keyring(ring)),
        ("keyring_digest", Frame::KeyringDigest(Digest(0x0102_0304_0506_0708))),
        ("challenge", Frame::Challenge(cookie)),
        ("echo", Frame::Echo(cookie, addr("[2001:db8::2]:7946"))),
        ("for", Frame::For(name("db-2").key())),
        ("user_event", Frame::UserEvent(event, 1_500)),
        ("exam_question", exam(Exam::Question { number: 0x1234_5675, from: asker, to: asked })),
        (
            "exam_answer",
            exam(Exam::Answer {
                number: 0x1234_5675,
                from: asked,
                saw: addr("10.0.0.1:7946"),
                unix_ms: GENERATION.0,
            }),
        ),
        ("exam_inquiry", exam(Exam::Inquiry { number: 0x1234_5670, asker, to: asked, about: asked })),
        ("exam_report", exam(Exam::Report { number: 0x1234_5670, asker, about: asked, arrived: 0b10_0001 })),
        ("padding", Frame::Padding(5)),
    ]
}

fn node() -> NodeRecord {
    let mut node = NodeRecord {
        name: name("web-1"),
        id: NodeId::from_random(0x0011_2233_4455_6677_8899_aabb_ccdd_eeff),
        addr: addr("10.0.0.1:7946"),
        tags: [("rack", "a1"), ("zone", "eu")].map(|(k, v)| (k.to_owned(), v.to_owned())).into(),
        agent_version: "0.1.0".to_owned(),
        left: false,
        extensions: Extensions::new(),
    };
    node.set_keys(&[key_material(1).id(), KeyId(7)]);
    node
}

/// Records' bodies, each under its key.
pub(crate) fn records() -> Vec<(&'static str, EntryKey, Entry)> {
    let id = InstanceId::new("web-a").expect("an id");
    let check_id = CheckId::new("service:web-a").expect("an id");
    let service = ServiceRecord {
        id: id.clone(),
        name: ServiceName::new("web").expect("a name"),
        tags: vec!["v2".to_owned(), "blau ä".to_owned()],
        address: "10.0.0.7".to_owned(),
        tagged_addresses: [("lan".to_owned(), TaggedAddress { address: "10.1.0.7".to_owned(), port: 8_081 })]
            .into(),
        port: 8_080,
        socket_path: String::new(),
        meta: [("path".to_owned(), "/".to_owned())].into(),
        weights: Weights { passing: 10, warning: 1 },
        enable_tag_override: false,
        extensions: [(40_000, vec![1, 2, 3])].into(),
    };
    let check = CheckRecord {
        id: check_id.clone(),
        name: "Service 'web' check".to_owned(),
        service_id: Some(id.clone()),
        status: CheckStatus::Critical,
        notes: String::new(),
        output: "TTL expired".to_owned(),
        kind: "ttl".to_owned(),
        interval: String::new(),
        timeout: String::new(),
        extensions: Extensions::new(),
    };
    let of_node = CheckRecord {
        id: CheckId::new("disk").expect("an id"),
        service_id: None,
        status: CheckStatus::Warning,
        ..check.clone()
    };
    vec![
        ("node", EntryKey::Node, Entry::Node(node())),
        ("node_that_left", EntryKey::Node, Entry::Node(NodeRecord { left: true, ..node() })),
        ("service", EntryKey::Service(id), Entry::Service(service)),
        ("check", EntryKey::Check(check_id), Entry::Check(check)),
        ("check_of_the_node", EntryKey::Check(of_node.id.clone()), Entry::Check(of_node)),
    ]
}
