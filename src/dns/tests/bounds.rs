//! How much is said, and that no message does harm.

use super::world::{World, question, service};
use crate::dns::{Dropped, Options, Outcome, Reply, Transport};
use crate::model::MemberStatus;
use domain::base::Message;
use domain::base::iana::Rtype;
use proptest::prelude::*;

/// Question, answers, the largest number of bytes.
const CUTS: &[(&str, u16, usize)] = &[
    ("many.service.consul A +noedns", 3, 85),
    ("many.service.consul SRV +noedns", 3, 217),
    // The record of EDNS stays, which takes 11 bytes that Consul does not use.
    ("many.service.consul SRV +bufsize=512", 3, 217 + 11),
    ("many.service.consul A", 70, 1_168),
    ("many.service.consul SRV", 19, 1_177 + 11),
    ("many.service.consul SRV +bufsize=4096", 67, 4_057 + 11 + 20),
    ("many.service.consul A +tcp +noedns", 70, 1_157),
    ("many.service.consul SRV +tcp", 70, 8_176),
    ("a.b.many.service.consul A +noedns", 3, 89),
];

#[test]
fn answers_are_cut_where_consul_cuts_them() {
    for tell in [false, true] {
        let mut world = World::new(Options { enable_truncate: tell, ..Options::default() });
        world.many(70);
        for (words, answers, bytes) in CUTS {
            let said = world.dig(words);
            assert_eq!(said.counts[0], *answers, "{words}");
            assert!(said.bytes <= *bytes, "{words}: {} bytes", said.bytes);
            let all = if words.starts_with('a') { 3 } else { 70 };
            assert_eq!(said.truncated, tell && *answers < all, "{words}");
            let edns = u16::from(!words.contains("+noedns"));
            if words.contains("SRV") {
                let texts = u16::from(words.contains("+tcp"));
                assert_eq!(said.counts[2], answers + edns + texts, "{words}");
            }
        }
    }
}

#[test]
fn twelve_instances_are_all_told_to_who_takes_them() {
    let mut world = World::new(Options::default());
    world.many(12);
    let said = world.dig("many.service.consul A");
    assert_eq!((said.counts[0], said.bytes), (12, 240));
    let said = world.dig("many.service.consul A +tcp +noedns");
    assert_eq!((said.counts[0], said.bytes), (12, 229));
    // Consul has no room for the tags of the node, which it would tell twelve times.
    assert_eq!(world.dig("many.service.consul SRV").counts, [12, 0, 12 + 1 + 1]);
    let said = world.dig("many.service.consul SRV +tcp +noedns");
    assert_eq!(said.counts, [12, 0, 12 + 1]);
}

#[test]
fn what_does_not_fit_at_all_is_marked_as_cut() {
    let mut world = World::empty(Options::default());
    world.node("n1", "10.9.0.1", MemberStatus::Alive, &[("k", &"v".repeat(512))]);
    let said = world.dig("n1.node.consul TXT +noedns");
    assert_eq!((said.counts[0], said.truncated), (0, true));
    assert_eq!(world.dig("n1.node.consul TXT").counts[0], 1);
    // Texts that were not asked for just go.
    assert_eq!(world.dig("n1.node.consul A +noedns").counts, [1, 0, 0]);
}

#[test]
fn tcp_answers_are_bounded_in_number_and_size() {
    let mut world = World::empty(Options::default());
    world.node("n1", "10.9.0.1", MemberStatus::Alive, &[]);
    for n in 0_u16..5_000 {
        let [a, b] = n.to_be_bytes();
        let record = service(&format!("i{n}"), "big", &format!("10.8.{a}.{b}"), 1);
        let id = record.id.clone();
        let version = (crate::model::Generation(1), crate::model::Version(1), record);
        world.builder.set_service(super::world::key("n1"), &id, Some(version));
    }
    world.builder.publish();
    let said = world.dig("big.service.consul A +tcp");
    assert_eq!(said.counts[0], 4_092, "as many as fit");
    assert!(said.bytes <= 65_523);
    let said = world.dig("big.service.consul SRV +tcp");
    // Names after the first 16 KiB cannot be pointed at, so that fewer than 1,024 fit.
    assert!((900..=1_024).contains(&said.counts[0]), "{:?}", said.counts);
    assert!(said.bytes <= 65_523);
    let said = world.dig("big.service.consul A +bufsize=65535");
    assert!(said.bytes <= 65_467 - 8);
}

#[test]
fn messages_that_are_no_questions() {
    let mut world = World::new(Options::default());
    let (good, _) = question("web.service.consul A");
    let mut edit = |edit: &dyn Fn(&mut Vec<u8>)| {
        let mut message = good.clone();
        edit(&mut message);
        world.send(&message, Transport::Udp)
    };
    assert_eq!(edit(&|m| m.truncate(11)).0, Reply::Drop(Dropped::Short));
    assert_eq!(edit(&|m| m[2] |= 0x80).0, Reply::Drop(Dropped::NotAQuery));
    let outcome = |(reply, out): (Reply, Vec<u8>)| match reply {
        Reply::Answer { outcome, .. } => (outcome, out[3] & 0xf, out.len()),
        other => panic!("{other:?}"),
    };
    assert_eq!(outcome(edit(&|m| m[2] = 0x28)), (Outcome::NotImp, 4, 12), "an update");
    assert_eq!(outcome(edit(&|m| m.truncate(20))), (Outcome::FormErr, 1, 12));
    assert_eq!(outcome(edit(&|m| m[5] = 0)), (Outcome::FormErr, 1, 12), "no question");
    // Version 1 of EDNS; BADVERS is 16, of which the header has the lower bits.
    let bad = outcome(edit(&|m| {
        let at = m.len() - 5;
        m[at] = 1;
    }));
    assert_eq!((bad.0, bad.1), (Outcome::NotImp, 0));
    // The class of CHAOS.
    let end = good.len() - 11;
    assert_eq!(outcome(edit(&|m| m[end - 1] = 3)).0, Outcome::Refused);
    // Of several questions the first counts.
    assert_eq!(outcome(edit(&|m| m[5] = 2)).0, Outcome::Answered);
}

#[test]
fn the_network_of_a_client_is_told_back_for_everybody() {
    let mut world = World::new(Options::default());
    let (mut message, transport) = question("web.service.consul A");
    let at = message.len() - 2;
    message[at..].copy_from_slice(&[0, 11]);
    message.extend_from_slice(&[0, 8, 0, 7, 0, 1, 24, 0, 10, 1, 2]);
    let (_, out) = world.send(&message, transport);
    let answer = Message::from_slice(&out).expect("whole");
    let opt = answer.opt().expect("EDNS is answered");
    let subnet = opt.opt().first::<domain::base::opt::ClientSubnet>().expect("is told");
    assert_eq!((subnet.source_prefix_len(), subnet.scope_prefix_len()), (24, 0));
    assert_eq!(subnet.addr().to_string(), "10.1.2.0");
}

#[test]
fn what_was_worked_out_does_not_outlive_a_change() {
    let mut world = World::new(Options::default());
    assert_eq!(world.dig("web.service.consul A").counts[0], 2);
    world.service("n1", service("web3", "web", "10.0.0.3", 1));
    assert_eq!(world.dig("web.service.consul A").counts[0], 3);
    world.builder.set_service(
        super::world::key("n1"),
        &crate::model::InstanceId::new("web3").expect("valid"),
        None,
    );
    world.builder.publish();
    assert_eq!(world.dig("web.service.consul A").counts[0], 2);
    // More names than are kept.
    for n in 0..1_100 {
        world.service("n1", service(&format!("s{n}"), &format!("s{n}"), "", 1));
        assert_eq!(world.dig(&format!("s{n}.service.consul A")).counts[0], 1);
    }
    assert_eq!(world.dig("web.service.consul A").counts[0], 2);
}

/// What a message may ask for at most, as its bytes say.
fn allowed(message: &[u8], transport: Transport) -> usize {
    if transport == Transport::Tcp {
        return 65_535;
    }
    let said = Message::from_slice(message).ok().and_then(|m| m.opt().map(|o| o.udp_payload_size()));
    usize::from(said.unwrap_or(512)).max(512)
}

fn words() -> impl Strategy<Value = String> {
    let label = prop::sample::select(vec![
        "web", "many", "db", "host", "warn", "_web", "_tcp", "_a", "a", "b", "service", "node", "addr",
        "dc1", "dc", "ns", "n1", "n2", "consul", "0a000001", "in-addr", "arpa", "127", "0", "2", "CONSUL",
    ]);
    let name = prop::collection::vec(label, 1..8).prop_map(|labels| labels.join("."));
    let rtype = prop::sample::select(vec!["A", "AAAA", "SRV", "ANY", "TXT", "PTR", "SOA", "NS", "MX"]);
    let edns = prop::option::of(0_u16..5_000);
    (name, rtype, edns, any::<bool>()).prop_map(|(name, rtype, edns, tcp)| {
        let edns = edns.map_or_else(|| "+noedns".to_owned(), |size| format!("+bufsize={size}"));
        format!("{name}.consul {rtype} {edns}{}", if tcp { " +tcp" } else { "" })
    })
}

proptest! {
    #[test]
    fn no_bytes_do_harm(bytes in prop::collection::vec(any::<u8>(), 0..600), tcp in any::<bool>()) {
        let mut world = World::new(Options::default());
        let transport = if tcp { Transport::Tcp } else { Transport::Udp };
        let (_, out) = world.send(&bytes, transport);
        prop_assert!(out.len() <= allowed(&bytes, transport));
    }

    #[test]
    fn no_damaged_question_does_harm(
        words in words(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        cut in prop::option::of(any::<prop::sample::Index>()),
        resolved in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let mut world = World::new(Options {
            recursors: vec!["127.0.0.1:53".parse().expect("valid")],
            ..Options::default()
        });
        world.many(40);
        let (mut message, transport) = question(&words);
        for (at, byte) in damage {
            let at = at.index(message.len());
            message[at] = byte;
        }
        if let Some(cut) = cut {
            message.truncate(cut.index(message.len()));
        }
        let (reply, out) = world.send(&message, transport);
        prop_assert!(out.len() <= allowed(&message, transport), "{reply:?}");
        if matches!(reply, Reply::Resolve(_)) {
            let (_, out) = world.send_with(&message, transport, Some(&resolved));
            prop_assert!(out.len() <= allowed(&message, transport));
        }
    }

    #[test]
    fn every_answer_is_whole_and_within_its_bounds(words in words(), count in 0_u16..80) {
        let mut world = World::new(Options::default());
        world.many(count);
        let (message, transport) = question(&words);
        let (reply, out) = world.send(&message, transport);
        prop_assert!(matches!(reply, Reply::Answer { .. }), "{reply:?}");
        prop_assert!(out.len() <= allowed(&message, transport));
        let answer = Message::from_slice(&out).expect("whole");
        let asked = Message::from_slice(&message).expect("whole");
        prop_assert_eq!(answer.header().id(), asked.header().id());
        let question = answer.question().next().expect("is there").expect("whole");
        prop_assert_eq!(question, asked.question().next().expect("is there").expect("whole"));
        // Every SRV record's name has its address beside it.
        let said = super::world::Said::new(&out);
        let targets = answer.answer().expect("whole").flatten().filter(|r| r.rtype() == Rtype::SRV).count();
        if targets > 0 && !words.starts_with("host") && !words.contains(".host.") && !words.contains("_host") {
            prop_assert!(usize::from(said.counts[2]) >= 1);
        }
    }
}
