//! What is answered, question by question. Rows are facts about the dialect; where an answer
//! differs from what Consul 1.10 says, the row says why.

use super::world::{World, question, service, tagged};
use crate::dns::{Options, Outcome, Reply, ServiceTtl, Soa, Transport, Zone, fits, is_answer_to};
use crate::model::{CheckStatus, MemberStatus};
use domain::base::iana::Class;
use domain::base::{Message, MessageBuilder, Name};
use domain::rdata::{A, Cname};
use std::str::FromStr;

const SOA: &str = "\nauthority: consul 0 IN SOA ns.consul hostmaster.consul 1795355242 3600 600 86400 0";

/// A row: the question, the answer in words (`$SOA` stands for the zone's record, `$OPT` for that of
/// EDNS), and the bytes it takes where they are a fact.
type Row = (&'static str, &'static str, Option<usize>);

fn check(world: &mut World, rows: &[Row]) {
    for (words, want, bytes) in rows {
        let said = world.dig(words);
        let mut want: String = want.replace("$SOA", SOA);
        if !words.contains("+noedns") && !want.contains("Forward") {
            want.push_str("\nadditional: OPT 1232");
        }
        let mut lines: Vec<&str> = want.split('\n').collect();
        let (head, rest) = lines.split_at_mut(1);
        rest.sort_by_key(|line| {
            let section = line.split(':').next().unwrap_or_default();
            (["answer", "authority", "additional"].iter().position(|s| *s == section), line.to_owned())
        });
        let want = [head, rest].concat().join("\n");
        assert_eq!(said.text, want, "{words}");
        if let Some(bytes) = bytes {
            assert_eq!(said.bytes, *bytes, "{words}");
        }
    }
}

#[test]
fn services() {
    let rows: &[Row] = &[
        (
            "web.service.consul A",
            "NOERROR aa\nanswer: web.service.consul 0 IN A 10.0.0.1\nanswer: web.service.consul 0 IN A 127.0.0.2",
            Some(79),
        ),
        (
            "web.service.consul A +noedns",
            "NOERROR aa\nanswer: web.service.consul 0 IN A 10.0.0.1\nanswer: web.service.consul 0 IN A 127.0.0.2",
            Some(68),
        ),
        ("web.service.consul AAAA", "NOERROR aa$SOA", Some(97)),
        // A node's tags are told once, though two of its instances are: once is enough. There is no
        // tag that Consul adds by itself.
        (
            "_web._tcp.service.consul SRV",
            "NOERROR aa\nanswer: _web._tcp.service.consul 0 IN SRV 1 1 9090 0a000001.addr.dc1.consul\
             \nanswer: _web._tcp.service.consul 0 IN SRV 1 1 9091 n2.node.dc1.consul\
             \nadditional: 0a000001.addr.dc1.consul 0 IN A 10.0.0.1\
             \nadditional: n2.node.dc1.consul 0 IN A 127.0.0.2\
             \nadditional: n2.node.dc1.consul 0 IN TXT \"rack=r2\"",
            None,
        ),
        (
            "_web._a.service.consul SRV",
            "NOERROR aa\nanswer: _web._a.service.consul 0 IN SRV 1 1 9090 0a000001.addr.dc1.consul\
             \nadditional: 0a000001.addr.dc1.consul 0 IN A 10.0.0.1\
             \nadditional: n2.node.dc1.consul 0 IN TXT \"rack=r2\"",
            // 34 fewer for the tag that Consul adds.
            Some(175 - 36),
        ),
        (
            "_web._a.consul SRV +noedns",
            "NOERROR aa\nanswer: _web._a.consul 0 IN SRV 1 1 9090 0a000001.addr.dc1.consul\
             \nadditional: 0a000001.addr.dc1.consul 0 IN A 10.0.0.1\
             \nadditional: n2.node.dc1.consul 0 IN TXT \"rack=r2\"",
            None,
        ),
        ("_web._zz.service.consul SRV", "NXDOMAIN aa$SOA", Some(102)),
        ("a.web.service.dc1.consul A", "NOERROR aa\nanswer: a.web.service.dc1.consul 0 IN A 10.0.0.1", None),
        // Consul 1.10 says NXDOMAIN, 1.21 answers.
        (
            "a.web.service.dc1.dc.consul A",
            "NOERROR aa\nanswer: a.web.service.dc1.dc.consul 0 IN A 10.0.0.1",
            None,
        ),
        ("web.service.mars.consul A", "NXDOMAIN aa$SOA", Some(102)),
        ("nope.service.consul A", "NXDOMAIN aa$SOA", Some(98)),
        ("nope.service.consul SRV", "NXDOMAIN aa$SOA", None),
        // Consul answers addresses to a question for texts; here there are none.
        ("web.service.consul TXT", "NOERROR aa$SOA", None),
        (
            "web.service.consul ANY",
            "NOERROR aa\nanswer: web.service.consul 0 IN A 10.0.0.1\nanswer: web.service.consul 0 IN A 127.0.0.2",
            Some(79),
        ),
        ("web.service.consul MX", "NOERROR aa$SOA", Some(97)),
        ("db.service.consul A", "NOERROR aa\nanswer: db.service.consul 0 IN A 127.0.0.2", Some(62)),
        (
            "db.service.consul SRV",
            "NOERROR aa\
             \nanswer: db.service.consul 0 IN SRV 1 10 5432 fd000000000000000000000000000005.addr.dc1.consul\
             \nanswer: db.service.consul 0 IN SRV 1 1 5432 n2.node.dc1.consul\
             \nadditional: fd000000000000000000000000000005.addr.dc1.consul 0 IN AAAA fd00::5\
             \nadditional: n1.node.dc1.consul 0 IN TXT \"rack=r1\"\
             \nadditional: n2.node.dc1.consul 0 IN A 127.0.0.2\
             \nadditional: n2.node.dc1.consul 0 IN TXT \"rack=r2\"",
            // Two tags fewer that Consul adds.
            None,
        ),
        ("v6.service.consul A", "NOERROR aa$SOA", Some(96)),
        ("v6.service.consul AAAA", "NOERROR aa\nanswer: v6.service.consul 0 IN AAAA fd00::1", Some(74)),
        (
            "v6.service.consul SRV",
            "NOERROR aa\
             \nanswer: v6.service.consul 0 IN SRV 1 1 1 fd000000000000000000000000000001.addr.dc1.consul\
             \nadditional: fd000000000000000000000000000001.addr.dc1.consul 0 IN AAAA fd00::1\
             \nadditional: n2.node.dc1.consul 0 IN TXT \"rack=r2\"",
            Some(206 - 36),
        ),
        (
            "host.service.consul A",
            "NOERROR aa\nanswer: host.service.consul 0 IN CNAME foo.example.com",
            Some(77),
        ),
        (
            "host.service.consul SRV",
            "NOERROR aa\nanswer: host.service.consul 0 IN SRV 1 1 1 foo.example.com\
             \nadditional: n2.node.dc1.consul 0 IN TXT \"rack=r2\"",
            None,
        ),
        ("crit.service.consul A", "NXDOMAIN aa$SOA", Some(98)),
        (
            "warn.service.consul SRV",
            "NOERROR aa\nanswer: warn.service.consul 0 IN SRV 1 3 1 7f000009.addr.dc1.consul\
             \nadditional: 7f000009.addr.dc1.consul 0 IN A 127.0.0.9\
             \nadditional: n2.node.dc1.consul 0 IN TXT \"rack=r2\"",
            Some(172 - 36),
        ),
        ("zz.web.service.consul A", "NXDOMAIN aa$SOA", Some(100)),
        ("A.WEB.service.consul A", "NOERROR aa\nanswer: A.WEB.service.consul 0 IN A 10.0.0.1", Some(65)),
        (
            "WeB.SeRvIcE.CoNsUl A",
            "NOERROR aa\nanswer: WeB.SeRvIcE.CoNsUl 0 IN A 10.0.0.1\nanswer: WeB.SeRvIcE.CoNsUl 0 IN A 127.0.0.2",
            Some(79),
        ),
    ];
    check(&mut World::new(Options::default()), rows);
}

#[test]
fn names_between_others_exist() {
    // Consul says NXDOMAIN to these, which would tell a resolver that asks label by label that there
    // is nothing below either (RFC 8020).
    let rows: &[Row] = &[
        ("service.consul A", "NOERROR aa$SOA", Some(93)),
        ("consul A", "NOERROR aa$SOA", Some(85)),
        ("node.dc1.consul A", "NOERROR aa$SOA", None),
        ("dc1.consul NULL", "NOERROR aa$SOA", None),
        ("_tcp.service.consul A", "NOERROR aa$SOA", None),
        ("_tcp.consul SRV", "NOERROR aa$SOA", None),
        ("_web._tcp.consul A", "NOERROR aa$SOA", None),
        ("_nope._tcp.consul A", "NXDOMAIN aa$SOA", None),
        ("b.many.service.consul A", "NOERROR aa$SOA", None),
        ("x.many.service.consul A", "NXDOMAIN aa$SOA", None),
        ("10.in-addr.arpa NS", "NOERROR aa$SOA", None),
    ];
    let mut world = World::new(Options::default());
    world.many(2);
    check(&mut world, rows);
}

#[test]
fn nodes_and_addresses() {
    let rows: &[Row] = &[
        (
            "n2.node.consul A",
            "NOERROR aa\nanswer: n2.node.consul 0 IN A 127.0.0.2\nadditional: n2.node.consul 0 IN TXT \"rack=r2\"",
            Some(115 - 36),
        ),
        // Consul leaves the SOA record out.
        ("n2.node.consul AAAA", "NOERROR aa$SOA\nadditional: n2.node.consul 0 IN TXT \"rack=r2\"", None),
        ("n2.node.consul TXT", "NOERROR aa\nanswer: n2.node.consul 0 IN TXT \"rack=r2\"", Some(99 - 36)),
        ("n2.node.consul SRV", "NOERROR aa$SOA", None),
        (
            "n2.node.consul ANY",
            "NOERROR aa\nanswer: n2.node.consul 0 IN A 127.0.0.2\nanswer: n2.node.consul 0 IN TXT \"rack=r2\"",
            Some(115 - 36),
        ),
        (
            "N2.NODE.consul A",
            "NOERROR aa\nanswer: N2.NODE.consul 0 IN A 127.0.0.2\nadditional: N2.NODE.consul 0 IN TXT \"rack=r2\"",
            None,
        ),
        ("serfHealth.node.consul A", "NXDOMAIN aa$SOA", Some(101)),
        ("7f000001.addr.consul A", "NOERROR aa\nanswer: 7f000001.addr.consul 0 IN A 127.0.0.1", Some(65)),
        (
            "7f000001.addr.dc1.consul A",
            "NOERROR aa\nanswer: 7f000001.addr.dc1.consul 0 IN A 127.0.0.1",
            Some(69),
        ),
        // Consul 1.10 answers the other family, 1.21 tells it beside; the SOA record says how long
        // that there is none may be kept.
        (
            "7f000001.addr.consul AAAA",
            "NOERROR aa$SOA\nadditional: 7f000001.addr.consul 0 IN A 127.0.0.1",
            None,
        ),
        (
            "7f000001.addr.consul SRV",
            "NOERROR aa$SOA\nadditional: 7f000001.addr.consul 0 IN A 127.0.0.1",
            None,
        ),
        ("7f000001.addr.consul ANY", "NOERROR aa\nanswer: 7f000001.addr.consul 0 IN A 127.0.0.1", Some(65)),
        // Consul 1.10 says NOERROR, 1.21 NXDOMAIN.
        ("7f00.addr.consul A", "NXDOMAIN aa$SOA", None),
        (
            "fd000000000000000000000000000001.addr.consul AAAA",
            "NOERROR aa\nanswer: fd000000000000000000000000000001.addr.consul 0 IN AAAA fd00::1",
            Some(101),
        ),
        (
            "1.0.0.10.in-addr.arpa PTR",
            "NOERROR aa\nanswer: 1.0.0.10.in-addr.arpa 0 IN PTR web.service.dc1.consul",
            Some(86),
        ),
        (
            "2.0.0.127.in-addr.arpa PTR",
            "NOERROR aa\nanswer: 2.0.0.127.in-addr.arpa 0 IN PTR n2.node.dc1.consul",
            Some(83),
        ),
        (
            "3.0.1.10.in-addr.arpa PTR",
            "NOERROR aa\nanswer: 3.0.1.10.in-addr.arpa 0 IN PTR many.service.dc1.consul",
            Some(87),
        ),
        ("3.0.1.10.in-addr.arpa A", "NOERROR aa$SOA", None),
        (
            "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa PTR +noedns",
            "NOERROR aa\nanswer: 1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa 0 IN PTR \
             v6.service.dc1.consul",
            None,
        ),
        // Consul 1.10 says SERVFAIL, 1.21 NXDOMAIN.
        ("3.0.99.10.in-addr.arpa PTR", "NXDOMAIN aa$SOA", None),
    ];
    let mut world = World::new(Options::default());
    world.many(3);
    check(&mut world, rows);
}

#[test]
fn the_zone_and_what_is_not_in_it() {
    let rows: &[Row] = &[
        (
            "consul SOA",
            "NOERROR aa\nanswer: consul 0 IN SOA ns.consul hostmaster.consul 1795355242 3600 600 86400 0\
             \nauthority: consul 0 IN NS n1.node.dc1.consul\nadditional: n1.node.dc1.consul 0 IN A 127.0.0.1\
             \nauthority: consul 0 IN NS n2.node.dc1.consul\nadditional: n2.node.dc1.consul 0 IN A 127.0.0.2",
            None,
        ),
        // There are no servers: agents stand for them.
        (
            "consul NS",
            "NOERROR aa\nanswer: consul 0 IN NS n1.node.dc1.consul\nadditional: n1.node.dc1.consul 0 IN A 127.0.0.1\
             \nanswer: consul 0 IN NS n2.node.dc1.consul\nadditional: n2.node.dc1.consul 0 IN A 127.0.0.2",
            None,
        ),
        (
            "web.service.consul SOA",
            "NOERROR aa\nanswer: consul 0 IN SOA ns.consul hostmaster.consul 1795355242 3600 600 86400 0\
             \nauthority: consul 0 IN NS n1.node.dc1.consul\nadditional: n1.node.dc1.consul 0 IN A 127.0.0.1\
             \nauthority: consul 0 IN NS n2.node.dc1.consul\nadditional: n2.node.dc1.consul 0 IN A 127.0.0.2",
            None,
        ),
        // Consul does not know the server that it names.
        ("ns.consul A", "NOERROR aa\nanswer: ns.consul 0 IN A 127.0.0.1", None),
        ("ns.consul AAAA", "NOERROR aa$SOA", None),
        // Consul loses the record of EDNS.
        ("example.com A", "REFUSED", None),
        ("example.com A +noedns", "REFUSED", Some(29)),
        (". NS +noedns", "REFUSED", None),
        ("x.query.consul A", "NXDOMAIN aa$SOA", Some(93)),
        ("web.connect.consul A", "NXDOMAIN aa$SOA", Some(97)),
        ("web.virtual.consul A", "NXDOMAIN aa$SOA", None),
        ("web.ingress.consul A", "NXDOMAIN aa$SOA", None),
        ("consul AXFR +tcp", "NOTIMP", None),
    ];
    check(&mut World::new(Options::default()), rows);
}

#[test]
fn one_server_answers_in_as_many_bytes_as_consul() {
    let mut world = World::empty(Options::default());
    world.node("n1", "127.0.0.1", MemberStatus::Alive, &[]);
    for (words, bytes) in [
        ("consul SOA", 127),
        ("consul NS", 77),
        ("web.service.consul SOA", 139),
        ("web.service.consul NS", 89),
    ] {
        assert_eq!(world.dig(words).bytes, bytes, "{words}");
    }
}

#[test]
fn others_are_asked_when_there_are_recursors() {
    let options = Options { recursors: vec!["127.0.0.1:53".parse().expect("valid")], ..Options::default() };
    let mut world = World::new(options);
    for (words, want) in [
        ("example.com A", "Forward { rtype: 1 }"),
        ("3.0.99.10.in-addr.arpa PTR", "Forward { rtype: 12 }"),
        ("10.in-addr.arpa NS", "Forward { rtype: 2 }"),
        ("nope.service.consul A +noedns", "NXDOMAIN aa ra\nauthority: consul 0 IN SOA ns.consul"),
        ("1.0.0.10.in-addr.arpa PTR", "NOERROR aa ra\nanswer: 1.0.0.10.in-addr.arpa 0 IN PTR web.service"),
    ] {
        let said = world.dig(words).text;
        assert!(said.starts_with(want), "{words}: {said}");
    }
    let (message, transport) = question("example.com A");
    let mut out = Vec::new();
    world.responder.fail(&message, transport, &mut out);
    assert!(super::world::Said::new(&out).text.starts_with("SERVFAIL ra"));
}

#[test]
fn a_host_name_for_an_address_is_followed() {
    let recursors = vec!["127.0.0.1:53".parse().expect("valid")];
    let mut world = World::new(Options { recursors, ..Options::default() });
    world.service("n2", service("in", "in", "web.service.consul", 1));
    world.service("n2", service("in2", "in2", "in.service.consul", 1));
    world.service("n2", service("loop", "loop", "loop.service.consul", 1));
    world.service("n2", service("odd", "odd", "no host", 1));
    let said = world.dig("in2.service.consul A");
    assert_eq!(said.answers.len(), 4, "{said:?}");
    assert_eq!(said.answers[0], "in2.service.consul 0 IN CNAME in.service.consul");
    assert_eq!(said.answers[1], "in.service.consul 0 IN CNAME web.service.consul");
    assert!(said.answers[2].starts_with("web.service.consul 0 IN A "));
    assert_eq!(world.dig("loop.service.consul A").answers.len(), 4);
    assert_eq!(world.dig("odd.service.consul A").text.lines().next(), Some("NOERROR aa ra"));
    // Elsewhere: a recursor is asked, and what it says is told on.
    let (message, transport) = question("host.service.consul A");
    let (reply, _) = world.send(&message, transport);
    let Reply::Resolve(asked) = reply else { panic!("{reply:?}") };
    let name = |text| Name::<Vec<u8>>::from_str(text).expect("valid");
    let mut builder = MessageBuilder::new_vec()
        .start_answer(Message::from_slice(&asked).expect("whole"), domain::base::iana::Rcode::NOERROR)
        .expect("fits");
    let (foo, bar) = (name("foo.example.com"), name("bar.example.com"));
    builder.push((&foo, Class::IN, 60, Cname::new(&bar))).expect("fits");
    builder.push((&bar, Class::IN, 61, A::new([192, 0, 2, 1].into()))).expect("fits");
    let told = builder.finish();
    assert!(is_answer_to(&told, &asked));
    let (reply, out) = world.send_with(&message, transport, Some(&told));
    assert!(matches!(reply, Reply::Answer { outcome: Outcome::Answered, .. }));
    let said = super::world::Said::new(&out);
    assert_eq!(
        said.answers,
        [
            "host.service.consul 0 IN CNAME foo.example.com",
            "foo.example.com 60 IN CNAME bar.example.com",
            "bar.example.com 61 IN A 192.0.2.1"
        ]
    );
}

#[test]
fn health_decides_who_is_told() {
    let mut world = World::new(Options { only_passing: true, ..Options::default() });
    assert!(world.dig("warn.service.consul A").text.starts_with("NXDOMAIN"));
    let mut world = World::new(Options::default());
    assert_eq!(world.dig("warn.service.consul A").counts[0], 1);
    world.check("n2", "warn", CheckStatus::Critical);
    assert!(world.dig("warn.service.consul A").text.starts_with("NXDOMAIN"));
    // A check of the node counts for all that is on it, and so does its end.
    world.check("n2", "_node", CheckStatus::Critical);
    assert!(world.dig("web.service.consul SRV").text.starts_with("NXDOMAIN"));
    world.check("n2", "_node", CheckStatus::Passing);
    assert_eq!(world.dig("web.service.consul SRV").counts[0], 2);
    world.node("n2", "127.0.0.2", MemberStatus::Failed, &[]);
    assert!(world.dig("web.service.consul A").text.starts_with("NXDOMAIN"));
    assert_eq!(world.dig("n2.node.consul A").answers, ["n2.node.consul 0 IN A 127.0.0.2"]);
    assert!(!world.dig("consul NS").text.contains("n2"));
}

#[test]
fn instances_that_a_client_cannot_tell_apart_are_told_once() {
    let mut world = World::empty(Options::default());
    world.node("n1", "10.9.0.1", MemberStatus::Alive, &[]);
    for (id, address, port) in
        [("a", "10.9.0.2", 1), ("b", "10.9.0.2", 2), ("c", "10.9.0.2", 2), ("d", "", 2)]
    {
        world.service("n1", service(id, "web", address, port));
    }
    assert_eq!(world.dig("web.service.consul A").counts, [2, 0, 1]);
    let said = world.dig("web.service.consul SRV");
    assert_eq!(said.counts, [3, 0, 3], "the address of a name is told once: {said:?}");
    // An instance may have an address of each family.
    world.tagged_address("n1", service("x", "dual", "10.9.0.3", 1), "lan_ipv6", "fd00::3");
    assert_eq!(world.dig("dual.service.consul A").answers, ["dual.service.consul 0 IN A 10.9.0.3"]);
    assert_eq!(world.dig("dual.service.consul AAAA").answers, ["dual.service.consul 0 IN AAAA fd00::3"]);
    assert_eq!(world.dig("dual.service.consul ANY").answers, ["dual.service.consul 0 IN AAAA fd00::3"]);
    assert!(
        world.dig("dual.service.consul SRV").answers[0].contains("fd000000000000000000000000000003.addr")
    );
}

#[test]
fn options_change_what_is_said() {
    let mut world = World::new(Options {
        alt_zone: Zone::new("alt.example"),
        node_ttl: 5,
        service_ttl: ServiceTtl::new([("w*".to_owned(), 7)]),
        a_record_limit: 1,
        node_meta_txt: false,
        soa: Soa { refresh: 1, retry: 2, expire: 3, minimum: 4 },
        ..Options::default()
    });
    let said = world.dig("web.service.alt.example A +tcp");
    assert_eq!(said.counts[0], 1);
    assert!(said.answers[0].starts_with("web.service.alt.example 7 IN A"), "{said:?}");
    let said = world.dig("_web._a.service.alt.example SRV +noedns");
    assert!(said.text.ends_with("\nadditional: 0a000001.addr.dc1.alt.example 7 IN A 10.0.0.1"), "{said:?}");
    assert_eq!(said.answers, ["_web._a.service.alt.example 7 IN SRV 1 1 9090 0a000001.addr.dc1.alt.example"]);
    assert_eq!(
        world.dig("n2.node.consul A +noedns").text,
        "NOERROR aa\nanswer: n2.node.consul 5 IN A 127.0.0.2"
    );
    assert_eq!(world.dig("n2.node.consul TXT").counts[0], 1);
    let said = world.dig("nope.service.alt.example A").text;
    assert!(
        said.contains("alt.example 4 IN SOA ns.alt.example hostmaster.alt.example 1795355242 1 2 3 4"),
        "{said}"
    );
}

#[test]
fn names_without_labels_are_told_by_address() {
    let mut world = World::empty(Options::default());
    let name = "x".repeat(100);
    world.node(&name, "10.9.0.1", MemberStatus::Alive, &[("a", "b")]);
    world.service(&name, tagged(service("web", "web", "", 1), &["t"]));
    let said = world.dig("t.web.service.consul SRV +noedns");
    assert_eq!(said.counts, [1, 0, 1]);
    assert!(said.text.ends_with("additional: 0a090001.addr.dc1.consul 0 IN A 10.9.0.1"), "{said:?}");
    let mut responder = crate::dns::Responder::new(std::sync::Arc::new(Options::default()), &"d".repeat(70));
    std::mem::swap(&mut responder, &mut world.responder);
    let said = world.dig("t.web.service.consul SRV +noedns");
    assert!(said.text.ends_with("additional: 0a090001.addr.consul 0 IN A 10.9.0.1"), "{said:?}");
}

#[test]
fn the_order_differs_from_question_to_question() {
    let mut world = World::new(Options::default());
    world.many(10);
    let orders: std::collections::BTreeSet<Vec<String>> =
        (0..50).map(|_| world.dig("many.service.consul A").answers).collect();
    assert!(orders.len() > 40, "{}", orders.len());
}

#[test]
fn what_a_recursor_says_fits_the_client() {
    let (message, _) = question("example.com A +noedns");
    let mut answer = message.clone();
    answer[2] |= 0x80;
    assert!(is_answer_to(&answer, &message));
    answer[7] = 40;
    answer.resize(600, 0);
    fits(&message, &mut answer);
    assert_eq!(answer.len(), message.len());
    assert!(Message::from_slice(&answer).expect("whole").header().tc());
    let (message, _) = question("example.com A +bufsize=700");
    let mut answer = vec![0; 600];
    fits(&message, &mut answer);
    assert_eq!(answer.len(), 600);
    assert!(!is_answer_to(&answer, &message));
    let (other, transport) = question("example.org A");
    assert_eq!(transport, Transport::Udp);
    let mut wrong = other;
    wrong[2] |= 0x80;
    assert!(!is_answer_to(&wrong, &message));
}
