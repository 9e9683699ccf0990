//! Round trips, bounds, and bytes from strangers.

use super::coordinate::PackedCoordinate;
use super::datagram::{HEADER_BYTES, frames_of_plain, open};
use super::exam::Exam;
use super::frame::*;
use super::keyring::{SharedKey, SharedKeyring, SharedStamp};
use super::kind::KINDS;
use super::seal::{Broken, NONCE_BYTES, SEAL_BYTES, SealKey};
use super::*;
use crate::model::*;
use bytes::Bytes;
use proptest::prelude::*;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

const MAX: usize = 1_400;

fn cluster() -> ClusterHash {
    ClusterHash::of("test")
}

fn addrs() -> impl Strategy<Value = SocketAddr> {
    (any::<bool>(), any::<u128>(), any::<u16>()).prop_map(|(v6, ip, port)| {
        let ip = if v6 { IpAddr::V6(Ipv6Addr::from(ip)) } else { IpAddr::V4(Ipv4Addr::from(ip as u32)) };
        SocketAddr::new(ip, port)
    })
}

fn states() -> impl Strategy<Value = Liveness> {
    prop_oneof![Just(Liveness::Alive), Just(Liveness::Suspect), Just(Liveness::Down), Just(Liveness::Left)]
}

fn updates() -> impl Strategy<Value = MemberUpdate> {
    (any::<u64>(), any::<u64>(), any::<u16>(), states(), addrs()).prop_map(
        |(key, epoch, incarnation, state, addr)| MemberUpdate {
            key: NodeKey(key),
            epoch: Epoch(epoch),
            incarnation,
            state,
            addr,
        },
    )
}

fn messages() -> impl Strategy<Value = SwimMessage> {
    let third = (any::<u64>(), any::<u64>(), addrs()).prop_map(|(key, epoch, addr)| Third {
        key: NodeKey(key),
        epoch: Epoch(epoch),
        addr,
    });
    (third, any::<u8>(), 0..8u8).prop_map(|(t, n, kind)| match kind {
        0 => SwimMessage::Ping(n),
        1 => SwimMessage::Ack(n),
        2 => SwimMessage::PingRequest(t, n),
        3 => SwimMessage::IndirectPing(t, n),
        4 => SwimMessage::IndirectAck(t, n),
        5 => SwimMessage::ForwardedAck(t, n),
        6 => SwimMessage::Gossip,
        _ => SwimMessage::TurnUndead,
    })
}

fn heads() -> impl Strategy<Value = Head> {
    (any::<u64>(), any::<u64>(), any::<u64>(), any::<u64>()).prop_map(
        |(owner, generation, version, digest)| Head {
            owner: NodeKey(owner),
            generation: Generation(generation),
            version: Version(version),
            digest,
        },
    )
}

fn items() -> impl Strategy<Value = Item> {
    let bodies = prop_oneof![
        Just(Body::Deleted),
        prop::collection::vec(any::<u8>(), 0..200).prop_map(|b| Body::Bytes(Bytes::from(b))),
        any::<u32>().prop_map(Body::Large),
    ];
    (any::<u64>(), any::<u8>(), "[a-z:/]{0,20}", bodies).prop_map(|(version, kind, id, body)| Item {
        version: Version(version),
        kind,
        id,
        body,
    })
}

fn pages() -> impl Strategy<Value = Page> {
    let survivors = prop::collection::vec(any::<u64>(), 0..9);
    (
        any::<u64>(),
        any::<u64>(),
        prop::collection::vec(items(), 0..3),
        survivors,
        prop::option::of(any::<u64>()),
    )
        .prop_map(|(owner, generation, items, survivors, next)| Page {
            owner: NodeKey(owner),
            generation: Generation(generation),
            from: Version(owner),
            survivors,
            items,
            next: next.map(Version),
            complete_to: Version(generation),
        })
}

fn rows() -> impl Strategy<Value = Row> {
    (updates(), any::<bool>(), any::<bool>()).prop_map(|(u, member, table)| Row {
        key: u.key,
        member: member.then_some(RowMember {
            epoch: u.epoch,
            incarnation: u.incarnation,
            state: u.state,
            addr: u.addr,
        }),
        table: table.then_some(RowTable {
            generation: u.epoch.generation(),
            complete_to: Version(7),
            newest: Version(9),
            digest: u.epoch.0,
        }),
    })
}

fn keys() -> impl Strategy<Value = KeyMaterial> {
    any::<[u8; KEY_BYTES]>().prop_map(KeyMaterial::from_bytes)
}

/// What keys and proofs of addresses are said with.
fn guards() -> impl Strategy<Value = Frame> {
    let stamp = |n: u64| SharedStamp { counter: n, node: NodeKey(!n) };
    let entries = prop::collection::vec((any::<u32>(), any::<u64>(), prop::option::of(keys())), 0..9);
    let keyring = (entries, keys(), any::<u64>()).prop_map(move |(entries, primary, floor)| {
        let keys = entries.into_iter().map(|(id, n, material)| SharedKey { id, stamp: stamp(n), material });
        Frame::Keyring(SharedKeyring { keys: keys.collect(), primary, primary_stamp: stamp(floor), floor })
    });
    prop_oneof![
        keyring,
        any::<u64>().prop_map(|d| Frame::KeyringDigest(Digest(d))),
        any::<u64>().prop_map(|d| Frame::Challenge(Digest(d))),
        (any::<u64>(), addrs()).prop_map(|(d, addr)| Frame::Echo(Digest(d), addr)),
        any::<u64>().prop_map(|k| Frame::For(NodeKey(k))),
    ]
}

fn frames() -> impl Strategy<Value = Frame> {
    let name = "[a-z][a-z0-9]{0,10}".prop_map(|n| NodeName::new(n).expect("valid"));
    let swim = (any::<u64>(), any::<u64>(), any::<u16>(), prop::option::of(addrs()), messages()).prop_map(
        |(key, epoch, from_incarnation, from_addr, message)| SwimFrame {
            from: NodeKey(key),
            from_epoch: Epoch(epoch),
            from_incarnation,
            to: NodeKey(!key),
            to_epoch: Epoch(!epoch),
            from_addr,
            message,
        },
    );
    let ask = (any::<u32>(), heads(), 0..6u8).prop_map(|(id, h, kind)| {
        let ask = match kind {
            0 => Ask::Buckets,
            1 => Ask::Rows { bucket: 3, part: Some(9), after: Some(h.owner) },
            4 => Ask::Parts { bucket: 63 },
            5 => Ask::Range { after: Some(h.owner), until: NodeKey(!h.owner.0) },
            2 => Ask::Records(vec![Want {
                owner: h.owner,
                generation: h.generation,
                have: h.version,
                cursor: None,
            }]),
            _ => Ask::Chunk { owner: h.owner, generation: h.generation, version: h.version, offset: 9 },
        };
        Frame::Ask(id, ask)
    });
    let answer =
        (any::<u32>(), prop::collection::vec(rows(), 0..4), prop::collection::vec(pages(), 0..2), 0..4u8)
            .prop_map(|(id, rows, pages, kind)| {
                let answer = match kind {
                    0 => Answer::Digests(vec![Digest(1); 64]),
                    1 => Answer::Rows { rows, more: true },
                    2 => Answer::Records(pages),
                    _ => Answer::Chunk { total: 5, bytes: Bytes::from_static(b"hello") },
                };
                Frame::Answer(id, answer)
            });
    let join = (name, any::<u128>(), updates())
        .prop_map(|(name, id, u)| JoinRequest {
            name,
            id: NodeId::from_random(id),
            epoch: u.epoch,
            incarnation: u.incarnation,
            addr: u.addr,
            name_checked: true,
        })
        .boxed();
    let claim = join.clone().prop_map(|j| {
        Frame::NameClaim(NameClaim {
            name: j.name,
            epoch: j.epoch,
            started: j.epoch.generation(),
            addr: j.addr,
            joined: true,
        })
    });
    let record = (heads(), items()).prop_map(|(head, item)| Record { head, item }).boxed();
    let accusation = (updates(), any::<u64>(), any::<bool>()).prop_map(|(u, accuser, refused)| Accusation {
        refused,
        subject: u.key,
        epoch: u.epoch,
        incarnation: u.incarnation,
        accuser: NodeKey(accuser),
    });
    let nack = (updates(), any::<u64>(), any::<u8>()).prop_map(|(u, target, number)| Nack {
        from: u.key,
        to_epoch: u.epoch,
        target: NodeKey(target),
        number,
    });
    let coordinate = (any::<i8>(), any::<bool>()).prop_map(|(at, wanted)| {
        let vec = [f64::from(at) / 13.0; COORDINATE_DIMENSIONS];
        let coordinate = Coordinate::new(vec, 0.5, 0.0, 0.1).expect("within bounds");
        match wanted {
            true => CoordinateMessage::Wanted,
            false => CoordinateMessage::Told(PackedCoordinate::pack(&coordinate)),
        }
    });
    let user_event = (any::<u128>(), prop::collection::vec(any::<u8>(), 0..500), any::<u32>()).prop_map(
        |(id, payload, age)| {
            let text = |n: usize| "x".repeat(n);
            let content = UserEventContent {
                name: text(12),
                payload,
                node_filter: text(100),
                service_filter: text(100),
                tag_filter: text(56),
            };
            let from = NodeName::new(text(128)).expect("valid");
            Frame::UserEvent(UserEvent { id: UserEventId::from_random(id), from, content }, age)
        },
    );
    prop_oneof![
        swim.prop_map(Frame::Swim),
        prop::collection::vec(updates(), 0..9).prop_map(Frame::Members),
        prop::collection::vec(record.clone(), 0..3).prop_map(Frame::Records),
        prop::collection::vec(heads(), 0..5).prop_map(Frame::Heads),
        any::<u64>().prop_map(|d| Frame::Root(Digest(d))),
        join.prop_map(Frame::Join),
        any::<u64>().prop_map(|k| Frame::JoinReply(JoinReply::Welcome { from: NodeKey(k) })),
        updates().prop_map(|u| Frame::JoinReply(JoinReply::NameHeld { holder: u.addr, epoch: u.epoch })),
        updates().prop_map(|u| Frame::DownNotice(u.key, u.epoch)),
        claim,
        ask,
        answer,
        record.prop_map(Frame::Leave),
        heads().prop_map(|h| Frame::LeaveAck(h.owner, h.generation)),
        prop::collection::vec(accusation, 0..9).prop_map(|list| Frame::Accusations(Charge::group(&list))),
        nack.prop_map(Frame::Nack),
        coordinate.prop_map(Frame::Coordinate),
        (0..900_u16).prop_map(Frame::Padding),
        exams().prop_map(Frame::Exam),
        guards(),
        user_event,
    ]
}

fn exams() -> impl Strategy<Value = Exam> {
    let keys = || any::<u64>().prop_map(NodeKey);
    (any::<u32>(), keys(), keys(), any::<u64>(), 0..4_u8, updates()).prop_map(
        |(number, from, to, unix_ms, which, update)| match which {
            0 => Exam::Question { number, from, to },
            1 => Exam::Answer { number, from, saw: update.addr, unix_ms },
            2 => Exam::Inquiry { number, asker: from, to, about: update.key },
            _ => Exam::Report { number, asker: from, about: to, arrived: (unix_ms & 0xff) as u8 },
        },
    )
}

fn read(bytes: &[u8]) -> Vec<Frame> {
    open(bytes, cluster(), MAX).expect("opens").map(|f| f.expect("decodes")).collect()
}

proptest! {
    #[test]
    fn what_fits_comes_back_as_it_was(list in prop::collection::vec(frames(), 0..6)) {
        let mut builder = DatagramBuilder::new(cluster(), MAX);
        let sent: Vec<Frame> = list.into_iter().filter(|f| builder.push(f)).collect();
        let bytes = builder.finish();
        prop_assert!(bytes.len() <= MAX);
        prop_assert_eq!(read(&bytes), sent);
    }

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..1_600)) {
        if let Ok(frames) = open(&bytes, cluster(), MAX) {
            for frame in frames {
                let _ = frame;
            }
        }
        for kind in 0..=255u8 {
            let _ = Frame::decode(kind, &bytes);
        }
        for key in [EntryKey::Node, EntryKey::Service(InstanceId::new("x").expect("valid"))] {
            let _ = record::decode(&key, &bytes);
        }
    }

    #[test]
    fn a_damaged_datagram_is_an_error_or_other_frames_but_never_a_panic(
        list in prop::collection::vec(frames(), 1..4),
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut builder = DatagramBuilder::new(cluster(), MAX);
        for frame in &list {
            builder.push(frame);
        }
        let mut bytes = builder.finish();
        for (at, value) in flips {
            let at = HEADER_BYTES + at.index(bytes.len());
            if let Some(b) = bytes.get_mut(at) {
                *b = value;
            }
        }
        bytes.truncate(HEADER_BYTES + cut.index(bytes.len()));
        if let Ok(frames) = open(&bytes, cluster(), MAX) {
            for frame in frames {
                let _ = frame;
            }
        }
    }

    #[test]
    fn what_was_sealed_opens_to_what_it_was_and_no_bit_of_it_may_change(
        key in keys(),
        nonce in any::<[u8; NONCE_BYTES]>(),
        frame in frames(),
        at in any::<prop::sample::Index>(),
        bit in 0..8u8,
    ) {
        let mut plain = DatagramBuilder::new(cluster(), 60_000).finish();
        frame.encode_into(&mut plain);
        let key = SealKey::new(&key, "test");
        let mut sealed = plain.clone();
        key.seal(nonce, &mut sealed);
        prop_assert_eq!(sealed.len(), plain.len() + SEAL_BYTES);
        let mut body = vec![1, 2, 3];
        prop_assert_eq!(key.open(&sealed, &mut body), Ok(()));
        prop_assert_eq!(&body, &plain[HEADER_BYTES..]);
        let at = at.index(sealed.len());
        sealed[at] ^= 1 << bit;
        prop_assert_eq!(key.open(&sealed, &mut body), Err(Broken));
        prop_assert!(body.is_empty());
        sealed[at] ^= 1 << bit;
        prop_assert_eq!(key.open(&sealed[..at], &mut body), Err(Broken));
    }

    #[test]
    fn frames_of_unknown_kind_are_skipped(frame in frames(), kind in 100..=255u8, junk in prop::collection::vec(any::<u8>(), 0..50)) {
        let mut bytes = DatagramBuilder::new(cluster(), MAX).finish();
        bytes.push(kind);
        bytes.extend(u16::try_from(junk.len()).expect("short").to_le_bytes());
        bytes.extend(&junk);
        frame.encode_into(&mut bytes);
        prop_assume!(bytes.len() <= MAX);
        prop_assert_eq!(read(&bytes), vec![frame]);
    }

    #[test]
    fn fields_that_a_newer_version_appends_are_ignored(frame in frames(), more in prop::collection::vec(any::<u8>(), 1..30)) {
        // The bytes of padding are all that it is.
        prop_assume!(!matches!(frame, Frame::Padding(_)));
        let mut bytes = Vec::new();
        frame.encode_into(&mut bytes);
        let (kind, mut body) = (bytes[0], bytes[FRAME_OVERHEAD_BYTES..].to_vec());
        body.extend(more);
        prop_assert_eq!(Frame::decode(kind, &body), Ok(Some(frame)));
    }

    #[test]
    fn frames_are_counted_by_kind_and_size(some in prop::collection::vec(frames(), 0..4)) {
        let mut builder = DatagramBuilder::new(cluster(), MAX);
        let mut wanted = Vec::new();
        for frame in &some {
            let room = builder.room();
            if builder.push(frame) {
                wanted.push((frame.kind(), room - builder.room()));
            }
        }
        let bytes = builder.finish();
        let word = |kind: u8| KINDS.iter().find(|(known, _)| *known == kind).expect("it is known").1;
        let counted: Vec<_> = frames_of_plain(&bytes).sizes().map(|(kind, size)| (word(kind), size)).collect();
        prop_assert_eq!(counted, wanted);
    }
}

#[test]
fn each_bound_of_the_header_has_its_own_word() {
    let good = DatagramBuilder::new(cluster(), MAX).finish();
    assert!(open(&good, cluster(), MAX).is_ok());
    let dropped = |change: fn(&mut Vec<u8>)| {
        let mut bytes = good.clone();
        change(&mut bytes);
        open(&bytes, cluster(), MAX).expect_err("dropped")
    };
    assert_eq!(dropped(|b| b.truncate(20)), Dropped::Malformed);
    assert_eq!(dropped(|b| b[0] = b'X'), Dropped::Malformed);
    assert_eq!(dropped(|b| b[2] = 9), Dropped::Version);
    assert_eq!(dropped(|b| b[3] = 1), Dropped::UnknownKey);
    assert_eq!(dropped(|b| b[20] ^= 1), Dropped::OtherCluster);
    assert_eq!(dropped(|b| b.resize(MAX + 1, 0)), Dropped::Oversize);
}

#[test]
fn a_declared_length_of_gigabytes_allocates_nothing() {
    // A list of members that claims 2^31 of them.
    let body = [253u8, 0, 0, 0, 128, 0, 0, 0, 0];
    assert!(Frame::decode(2, &body).is_err());
    // And one of accusations.
    assert!(Frame::decode(14, &body).is_err());
    let body = [252u8, 0, 0, 0, 128];
    assert!(Frame::decode(2, &body).is_err());
    assert!(Frame::decode(14, &body).is_err());
}

#[test]
fn a_record_keeps_the_fields_of_a_newer_version() {
    let mut node = NodeRecord {
        name: NodeName::new("n1").expect("valid"),
        id: NodeId::from_random(7),
        addr: SocketAddr::from(([10, 0, 0, 1], 7946)),
        tags: [("rack".to_owned(), "r1".to_owned())].into(),
        agent_version: "9.9.9".to_owned(),
        left: false,
        extensions: Extensions::new(),
    };
    node.extensions.insert(77, vec![1, 2, 3]);
    let entry = Entry::Node(node);
    assert_eq!(record::decode(&EntryKey::Node, &record::encode(&entry)), Ok(entry));
}

#[test]
fn an_entry_of_an_unknown_kind_keeps_its_key() {
    let key = record::key_from_parts(9, "from the future").expect("carried");
    assert_eq!(record::key_parts(&key), (9, "from the future"));
    assert!(record::key_from_parts(1, "").is_err());
    assert!(record::key_from_parts(0, "x").is_err());
}

fn bodies() -> impl Strategy<Value = (EntryKey, Vec<u8>)> {
    let texts = || prop::collection::btree_map("[a-c]{0,3}", "[a-z]{0,8}", 0..3);
    (texts(), "[a-c]{1,4}", any::<u16>(), 0..3usize, any::<bool>()).prop_map(
        |(meta, id, port, tags, extended)| {
            let id = InstanceId::new(id).expect("printable");
            let more = [(900, vec![1, 2])].into_iter().filter(|_| extended).collect();
            let record = ServiceRecord {
                name: ServiceName::new(format!("{id}-{tags}")).expect("printable"),
                tags: meta.keys().take(tags).cloned().collect(),
                address: String::new(),
                tagged_addresses: Default::default(),
                port,
                socket_path: String::new(),
                meta,
                weights: Weights::default(),
                enable_tag_override: extended,
                extensions: more,
                id,
            };
            (EntryKey::Service(record.id.clone()), record::encode(&Entry::Service(record)))
        },
    )
}

proptest! {
    #[test]
    fn what_was_packed_has_the_very_bytes_that_its_owner_wrote(
        (key, mut body) in bodies(),
        more in prop::collection::vec(any::<u8>(), 0..3),
        flip in any::<prop::sample::Index>(),
        flipped in any::<bool>(),
    ) {
        // A newer version may append fields, and strangers may write the same otherwise.
        body.extend(&more);
        if flipped {
            let at = flip.index(body.len());
            body[at] ^= 1;
        }
        let Ok(packed) = record::pack(&key, &body) else { return Ok(()) };
        prop_assert_eq!(record::body(&packed), Some(Bytes::from(body.clone())));
        prop_assert_eq!(packed.key(), key.clone());
        prop_assert_eq!(record::unpack(&packed), record::decode(&key, &body));
        let Ok(Entry::Service(service)) = record::decode(&key, &body) else { panic!("it was packed") };
        prop_assert_eq!(record::unpack_service(&packed).map(|s| s.unpack()), Some(service));
    }
}

#[test]
fn a_body_that_says_more_than_this_version_writes_is_kept_as_it_is() {
    let check = CheckRecord {
        id: CheckId::new("c").expect("valid"),
        name: "c".to_owned(),
        service_id: None,
        status: CheckStatus::Critical,
        notes: String::new(),
        output: String::new(),
        kind: String::new(),
        interval: String::new(),
        timeout: String::new(),
        extensions: Extensions::new(),
    };
    let key = EntryKey::Check(check.id.clone());
    let plain = record::encode(&Entry::Check(check.clone()));
    assert!(record::pack(&key, &plain).expect("it decodes").as_check().is_some());
    // A status from the future reads as critical and must not be passed on as that.
    let mut future = plain;
    future[3] = 77;
    let packed = record::pack(&key, &future).expect("it decodes");
    assert_eq!(record::unpack_check(&packed).map(|c| c.unpack()), Some(check));
    assert_eq!(record::body(&packed), Some(Bytes::from(future)));
}
