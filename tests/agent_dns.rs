//! DNS of a real agent: over UDP and TCP, with and without a recursor, and what it makes of nonsense.

#![allow(clippy::disallowed_methods, reason = "real processes live in real time")]

#[path = "support/agent_process.rs"]
mod support;

use domain::base::iana::{Class, Rcode, Rtype};
use domain::base::{Message, MessageBuilder, Name};
use domain::rdata::{A, AllRecordData};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use support::{Agent, PATIENCE, Place, poll};

fn name(text: &str) -> Name<Vec<u8>> {
    Name::from_str(text).expect("valid")
}

/// A question; `edns` is the size that the client can take.
fn question(id: u16, about: &str, rtype: Rtype, edns: Option<u16>) -> Vec<u8> {
    let mut builder = MessageBuilder::new_vec();
    builder.header_mut().set_id(id);
    builder.header_mut().set_rd(true);
    let mut builder = builder.question();
    builder.push((&name(about), rtype, Class::IN)).expect("fits");
    let mut builder = builder.additional();
    if let Some(size) = edns {
        let set = builder.opt(|opt| {
            opt.set_udp_payload_size(size);
            Ok(())
        });
        set.expect("fits");
    }
    builder.finish()
}

/// An answer, as far as these tests look at it.
#[derive(Debug)]
struct Said {
    rcode: Rcode,
    truncated: bool,
    /// `TYPE DATA` of each record.
    answers: Vec<String>,
    additional: Vec<String>,
    authority: Vec<String>,
    bytes: usize,
}

fn read(bytes: &[u8]) -> Said {
    let message = Message::from_slice(bytes).expect("has a header");
    assert!(message.header().qr());
    let (_, answer, authority, additional) = message.sections().expect("is whole");
    let [answers, authority, additional] = [answer, authority, additional].map(|section| {
        let records = section.map(|record| record.expect("is whole"));
        let told = records.filter(|record| record.rtype() != Rtype::OPT).map(|record| {
            let data = record.to_record::<AllRecordData<_, _>>().expect("is whole").expect("is known");
            format!("{} {}", data.rtype(), data.data().to_string().trim_end_matches('.'))
        });
        told.collect()
    });
    let header = message.header();
    Said { rcode: header.rcode(), truncated: header.tc(), answers, additional, authority, bytes: bytes.len() }
}

struct Client {
    udp: UdpSocket,
    server: SocketAddr,
}

impl Client {
    fn of(agent: &Agent) -> Self {
        let server = agent.printed.iter().find_map(|l| l.strip_prefix("dns ")).expect("is printed");
        let server: SocketAddr = server.trim().parse().expect("an address");
        let udp = UdpSocket::bind("127.0.0.1:0").expect("binds");
        udp.connect(server).expect("is known");
        udp.set_read_timeout(Some(PATIENCE)).expect("is set");
        Self { udp, server }
    }

    fn exchange(&self, message: &[u8]) -> Vec<u8> {
        self.udp.send(message).expect("is sent");
        let mut buffer = vec![0; 65_535];
        loop {
            let length = self.udp.recv(&mut buffer).expect("is answered");
            if buffer[..2] == message[..2] {
                return buffer[..length].to_vec();
            }
        }
    }

    fn ask(&self, about: &str, rtype: Rtype) -> Said {
        read(&self.exchange(&question(rand::random(), about, rtype, None)))
    }

    fn ask_edns(&self, about: &str, rtype: Rtype, size: u16) -> Said {
        read(&self.exchange(&question(rand::random(), about, rtype, Some(size))))
    }

    fn until(&self, about: &str, rtype: Rtype, good: impl Fn(&Said) -> bool) -> Said {
        let mut last = None;
        let found = poll(PATIENCE, || {
            let said = self.ask(about, rtype);
            let is_good = good(&said);
            last = Some(format!("{said:?}"));
            is_good.then_some(said)
        });
        found.unwrap_or_else(|| panic!("{about} still says {last:?}"))
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.server).expect("listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("is set");
        stream
    }
}

fn framed(message: &[u8]) -> Vec<u8> {
    let length = u16::try_from(message.len()).expect("is short").to_be_bytes();
    [&length, message].concat()
}

fn read_framed(stream: &mut TcpStream) -> Vec<u8> {
    let mut length = [0; 2];
    stream.read_exact(&mut length).expect("is answered");
    let mut answer = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut answer).expect("is whole");
    answer
}

fn register(agent: &Agent, body: &str) {
    let answer = agent.put("/v1/agent/service/register", body);
    assert_eq!(answer.status, 200, "{answer:?}");
}

fn start(place: &Place, more: &[&str]) -> (Agent, Client) {
    let flags = [&["--dns", "127.0.0.1:0", "--tag", "rack=r1", "--cluster", "dc1"], more].concat();
    let agent = place.start("n1", &flags);
    let client = Client::of(&agent);
    (agent, client)
}

#[test]
fn services_nodes_and_the_zone_are_answered() {
    let place = Place::new();
    let (agent, client) = start(&place, &[]);
    for body in [
        r#"{"Name": "web", "ID": "web1", "Address": "10.0.0.1", "Port": 9090, "Tags": ["a"]}"#,
        r#"{"Name": "web", "ID": "web2", "Port": 9091}"#,
        r#"{"Name": "v6", "Address": "fd00::1", "Port": 1}"#,
    ] {
        register(&agent, body);
    }
    let said = client.until("web.service.consul", Rtype::A, |said| said.answers.len() == 2);
    assert!(said.answers.contains(&"A 10.0.0.1".to_owned()), "{said:?}");
    assert!(said.answers.contains(&"A 127.0.0.1".to_owned()), "{said:?}");
    let said = client.ask("a.web.service.dc1.consul", Rtype::A);
    assert_eq!(said.answers, ["A 10.0.0.1"]);
    let said = client.ask("_web._a.service.consul", Rtype::SRV);
    assert_eq!(said.answers, ["SRV 1 1 9090 0a000001.addr.dc1.consul"]);
    assert!(said.additional.contains(&"A 10.0.0.1".to_owned()), "{said:?}");
    assert_eq!(client.ask("v6.service.consul", Rtype::AAAA).answers, ["AAAA fd00::1"]);
    let said = client.ask("v6.service.consul", Rtype::A);
    assert_eq!((said.rcode, said.answers.len(), said.authority.len()), (Rcode::NOERROR, 0, 1));
    assert_eq!(client.ask("n1.node.consul", Rtype::A).answers, ["A 127.0.0.1"]);
    assert_eq!(client.ask("n1.node.consul", Rtype::TXT).answers, ["TXT \"rack=r1\""]);
    let said = client.ask("1.0.0.10.in-addr.arpa", Rtype::PTR);
    assert_eq!(said.answers, ["PTR web.service.dc1.consul"]);
    assert_eq!(client.ask("1.0.0.127.in-addr.arpa", Rtype::PTR).answers, ["PTR n1.node.dc1.consul"]);
    assert_eq!(client.ask("9.9.9.9.in-addr.arpa", Rtype::PTR).rcode, Rcode::NXDOMAIN);
    assert!(client.ask("consul", Rtype::SOA).answers[0].starts_with("SOA ns.consul"));
    assert_eq!(client.ask("consul", Rtype::NS).answers, ["NS n1.node.dc1.consul"]);
    let said = client.ask("nope.service.consul", Rtype::A);
    assert_eq!((said.rcode, said.authority.len()), (Rcode::NXDOMAIN, 1));
    assert_eq!(client.ask("example.com", Rtype::A).rcode, Rcode::REFUSED);
    // The spelling of a question comes back as it was.
    let odd = "wEb.SeRvIcE.cOnSuL";
    let answer = client.exchange(&question(7, odd, Rtype::A, None));
    let message = Message::from_slice(&answer).expect("whole");
    let record = message.answer().expect("whole").next().expect("is there").expect("whole");
    assert_eq!(record.owner().to_string(), odd);
    let metrics = agent.get("/metrics").body;
    assert!(metrics.contains("shoal_dns_requests_total{type=\"PTR\",outcome=\"answered\"} 2"), "{metrics}");
    assert!(metrics.contains("shoal_dns_requests_total{type=\"A\",outcome=\"refused\"} 1"), "{metrics}");
}

#[test]
fn an_instance_that_turns_critical_is_gone_from_answers() {
    let place = Place::new();
    let (agent, client) = start(&place, &[]);
    register(
        &agent,
        r#"{"Name": "web", "Address": "10.0.0.1", "Port": 1, "Check": {"TTL": "1h", "Status": "passing"}}"#,
    );
    client.until("web.service.consul", Rtype::A, |said| said.answers.len() == 1);
    assert_eq!(agent.put("/v1/agent/check/fail/service:web", "").status, 200);
    client.until("web.service.consul", Rtype::A, |said| said.rcode == Rcode::NXDOMAIN);
    assert_eq!(agent.put("/v1/agent/check/pass/service:web", "").status, 200);
    client.until("web.service.consul", Rtype::SRV, |said| said.answers.len() == 1);
    assert_eq!(agent.put("/v1/agent/maintenance?enable=true", "").status, 200);
    client.until("web.service.consul", Rtype::SRV, |said| said.rcode == Rcode::NXDOMAIN);
}

#[test]
fn answers_fit_what_the_client_takes_and_tcp_takes_all() {
    let place = Place::new();
    let config = place.path("dns.toml");
    std::fs::write(&config, "dns_enable_truncate = true\ndns_service_ttl = {\"m*\" = \"9s\"}")
        .expect("writes");
    let (agent, client) = start(&place, &["--config", &config.display().to_string()]);
    for n in 1..=70 {
        register(
            &agent,
            &format!(r#"{{"Name": "many", "ID": "m{n}", "Address": "10.1.0.{n}", "Port": {n}}}"#),
        );
    }
    let all = || client.ask_edns("many.service.consul", Rtype::A, 4_096).answers.len() == 70;
    assert!(poll(PATIENCE, || all().then_some(())).is_some());
    let said = client.ask("many.service.consul", Rtype::A);
    assert_eq!((said.answers.len(), said.truncated), (3, true));
    let said = client.ask_edns("many.service.consul", Rtype::SRV, 1_232);
    assert!(said.truncated && said.bytes <= 1_232 && said.answers.len() == 19, "{said:?}");
    assert_eq!(said.additional.len(), 19, "{said:?}");
    let said = client.ask_edns("many.service.consul", Rtype::A, 1_232);
    assert_eq!((said.answers.len(), said.truncated), (70, false));
    // Several questions on one connection, sent before any is answered.
    let mut stream = client.connect();
    let questions: Vec<Vec<u8>> =
        (1..=20).map(|id| question(id, "many.service.consul", Rtype::SRV, None)).collect();
    let bytes: Vec<u8> = questions.iter().flat_map(|q| framed(q)).collect();
    // In two parts, cut inside a question.
    stream.write_all(&bytes[..33]).expect("is sent");
    stream.write_all(&bytes[33..]).expect("is sent");
    for id in 1..=20_u16 {
        let answer = read_framed(&mut stream);
        assert_eq!(answer[..2], id.to_be_bytes());
        let said = read(&answer);
        assert_eq!((said.answers.len(), said.truncated), (70, false));
        assert_eq!(said.additional.len(), 71);
    }
}

#[test]
fn nonsense_is_counted_and_does_no_harm() {
    let place = Place::new();
    let (agent, client) = start(&place, &[]);
    register(&agent, r#"{"Name": "web", "Address": "10.0.0.1", "Port": 1}"#);
    client.until("web.service.consul", Rtype::A, |said| said.answers.len() == 1);
    let good = question(1, "web.service.consul", Rtype::A, Some(1_232));
    for length in 0..12 {
        client.udp.send(&good[..length]).expect("is sent");
    }
    let mut answer = good.clone();
    answer[2] |= 0x80;
    client.udp.send(&answer).expect("is sent");
    client.udp.send(&[0xff; 3_000]).expect("is sent");
    assert_eq!(read(&client.exchange(&good[..20])).rcode, Rcode::FORMERR);
    let mut update = good.clone();
    update[2] = 5 << 3;
    assert_eq!(read(&client.exchange(&update)).rcode, Rcode::NOTIMP);
    // A client that sends half a question, and one that sends what is no question.
    let mut half = client.connect();
    half.write_all(&framed(&good)[..20]).expect("is sent");
    let mut none = client.connect();
    none.write_all(&framed(&[0xff; 40])).expect("is sent");
    assert_eq!(none.read(&mut [0; 8]).expect("is closed"), 0);
    // More connections than are kept.
    let crowd: Vec<TcpStream> = (0..300).map(|_| client.connect()).collect();
    let closed = |reason: &str| format!("shoal_dns_dropped_total{{reason=\"{reason}\"}}");
    let counted = poll(PATIENCE, || {
        let metrics = agent.get("/metrics").body;
        let count = |reason: &str| {
            let line = metrics.lines().find_map(|l| l.strip_prefix(&closed(reason)));
            line.and_then(|n| n.trim().parse::<u64>().ok()).unwrap_or(0)
        };
        let all = count("short") >= 11 && count("not_a_query") >= 3 && count("connections_full") >= 44;
        all.then_some(())
    });
    assert!(counted.is_some(), "{}", agent.get("/metrics").body);
    drop(crowd);
    client.until("web.service.consul", Rtype::A, |said| said.answers.len() == 1);
    let again = poll(PATIENCE, || {
        let mut stream = client.connect();
        stream.write_all(&framed(&good)).ok()?;
        let mut length = [0; 2];
        stream.read_exact(&mut length).ok()
    });
    assert!(again.is_some(), "a place is free again");
}

/// A recursor that answers every question about an address with one, and counts on nothing.
struct Recursor {
    addr: SocketAddr,
    silent: Arc<AtomicBool>,
}

impl Recursor {
    fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("binds");
        let addr = socket.local_addr().expect("is bound");
        let silent = Arc::new(AtomicBool::new(false));
        let is_silent = Arc::clone(&silent);
        std::thread::spawn(move || {
            let mut buffer = [0; 4_096];
            while let Ok((length, from)) = socket.recv_from(&mut buffer) {
                if is_silent.load(Ordering::Relaxed) {
                    continue;
                }
                let Ok(message) = Message::from_octets(&buffer[..length]) else { continue };
                let mut builder =
                    MessageBuilder::new_vec().start_answer(&message, Rcode::NOERROR).expect("fits");
                let owner = message.question().next().expect("is there").expect("whole").into_qname();
                builder.push((owner, Class::IN, 60, A::new([192, 0, 2, 1].into()))).expect("fits");
                let answer = builder.finish();
                // Somebody who guesses the number wrong is not believed.
                let mut forged = answer.clone();
                forged[0] ^= 0xff;
                forged[answer.len() - 1] = 66;
                socket.send_to(&forged, from).ok();
                socket.send_to(&answer, from).ok();
            }
        });
        Self { addr, silent }
    }
}

#[test]
fn other_names_are_for_the_recursors() {
    let place = Place::new();
    let recursor = Recursor::start();
    // Nobody is at the first one, and the kernel says so.
    let nobody = UdpSocket::bind("127.0.0.1:0").expect("binds").local_addr().expect("is bound");
    let config = place.path("dns.toml");
    let text =
        format!("dns_recursors = [\"{nobody}\", \"{}\"]\ndns_recursor_timeout = \"300ms\"", recursor.addr);
    std::fs::write(&config, text).expect("writes");
    let (agent, client) = start(&place, &["--config", &config.display().to_string()]);
    assert_eq!(client.ask("example.com", Rtype::A).answers, ["A 192.0.2.1"]);
    let mut stream = client.connect();
    let own = question(2, "n1.node.consul", Rtype::A, None);
    let other = question(1, "example.com", Rtype::A, None);
    stream.write_all(&[framed(&other), framed(&own)].concat()).expect("is sent");
    let mut answers = [read_framed(&mut stream), read_framed(&mut stream)];
    answers.sort();
    assert_eq!(read(&answers[0]).answers, ["A 192.0.2.1"]);
    assert_eq!(read(&answers[1]).answers, ["A 127.0.0.1"]);
    // A host's name for an address is looked up, too.
    register(&agent, r#"{"Name": "ext", "Address": "foo.example.com", "Port": 1}"#);
    let said = client.until("ext.service.consul", Rtype::A, |said| said.answers.len() == 2);
    assert_eq!(said.answers, ["CNAME foo.example.com", "A 192.0.2.1"]);
    recursor.silent.store(true, Ordering::Relaxed);
    // While that waits, others are answered.
    client.udp.send(&question(9, "example.com", Rtype::A, None)).expect("is sent");
    assert_eq!(client.ask("n1.node.consul", Rtype::A).answers, ["A 127.0.0.1"]);
    assert_eq!(client.ask("example.com", Rtype::A).rcode, Rcode::SERVFAIL);
    assert_eq!(client.ask("ext.service.consul", Rtype::A).answers, ["CNAME foo.example.com"]);
}

#[test]
fn a_port_in_use_is_told_and_nothing_is_taken() {
    let (place, other) = (Place::new(), Place::new());
    let (_agent, client) = start(&place, &[]);
    let mut args = vec!["agent".to_owned()];
    args.extend(other.flags("n2"));
    args.extend(["--dns".to_owned(), client.server.to_string()]);
    let ended = support::finish(&args);
    assert_eq!(ended.code, Some(2), "{}", ended.err);
    let want = format!("cannot serve DNS at {}", client.server);
    assert!(ended.err.contains(&want), "{}", ended.err);
    assert_eq!(client.ask("n1.node.consul", Rtype::A).answers, ["A 127.0.0.1"]);
}

#[test]
fn of_questions_that_wait_for_a_recursor_there_are_so_many_and_others_are_told_at_once() {
    let place = Place::new();
    let recursor = Recursor::start();
    recursor.silent.store(true, Ordering::Relaxed);
    let config = place.path("dns.toml");
    let text = format!("dns_recursors = [\"{}\"]\ndns_recursor_timeout = \"1m\"", recursor.addr);
    std::fs::write(&config, text).expect("writes");
    let (_agent, client) = start(&place, &["--config", &config.display().to_string()]);
    for id in 0..600 {
        client.udp.send(&question(id, &format!("h{id}.example.com"), Rtype::A, None)).expect("is sent");
    }
    let mut buffer = [0; 512];
    for _ in 0..600 - 512 {
        let length = client.udp.recv(&mut buffer).expect("is refused at once");
        assert_eq!(read(&buffer[..length]).rcode, Rcode::SERVFAIL);
    }
    assert_eq!(client.ask("n1.node.consul", Rtype::A).answers, ["A 127.0.0.1"], "memory waits for nobody");
}
