//! From one message to its answer.
//!
//! Owns the order in which things are looked at, and the bounds of an answer. What is said about
//! services is in [`super::service`], about everything else in [`super::zone`].

use super::endpoints::{Cache, DATACENTER_BYTES_MAX};
use super::lookup::{self, Datacenter, Lookup};
use super::metrics::{Dropped, Outcome};
use super::options::{Options, Zone};
use super::packet::{self, Frame, Plan, Room, Slot};
use super::query::{self, Query, Rcode, Unread, rtype};
use super::reverse::Reverse;
use super::zone;
use crate::view::View;
use domain::base::Message;
use domain::base::iana;
use rand::SeedableRng;
use rand::rngs::SmallRng;
use std::sync::Arc;

/// The largest UDP answer to a client that says nothing of its size.
const UDP_BYTES: usize = 512;
/// What UDP answers leave free of what the client can take.
const UDP_BYTES_SPARE: usize = 8;
/// The largest size that a client is believed.
const UDP_BYTES_MAX: usize = 65_467;
/// The most answers in a UDP message of at most [`UDP_BYTES`], whatever is configured.
const UDP_ANSWERS_MAX: usize = 8;
/// The largest answer over TCP, and the most records in it.
const TCP_BYTES_MAX: usize = 65_523;
const TCP_SRV_MAX: usize = 1_024;
const TCP_ANSWERS_MAX: usize = 4_096;

/// How a message came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// In a datagram.
    Udp,
    /// On a connection.
    Tcp,
}

/// A message with what its answer is made from.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// As it was received, without the length that TCP puts before it.
    pub message: &'a [u8],
    /// How it came.
    pub transport: Transport,
    /// What is known.
    pub view: &'a View,
    /// Names by address, if they are known well enough.
    pub reverse: Option<&'a Reverse>,
    /// What a recursor said when it was asked as a [`Reply::Resolve`] wanted.
    pub resolved: Option<&'a [u8]>,
    /// The time, in seconds since 1970.
    pub unix_seconds: u32,
    /// Decides the order of records; the same for the same question that is answered once more.
    pub seed: u64,
}

/// What is to be done with a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// The answer was written.
    Answer {
        /// The type that was asked for, 0 if that could not be read.
        rtype: u16,
        /// What was answered.
        outcome: Outcome,
        /// Records were left out because there was no room.
        cut: bool,
    },
    /// It is for the recursors.
    Forward {
        /// The type that was asked for.
        rtype: u16,
    },
    /// To be answered once more with what a recursor says to this message.
    Resolve(Vec<u8>),
    /// To be answered once more with names by address.
    Reverse,
    /// Nothing.
    Drop(Dropped),
}

/// Answers questions. Keeps what it worked out for the next one, so each thread has its own.
#[derive(Debug)]
pub struct Responder {
    pub(super) options: Arc<Options>,
    datacenter: Datacenter,
    cache: Cache,
    slots: Vec<Slot>,
}

/// What parts of an answer are made from.
pub(super) struct Scene<'a> {
    pub(super) options: &'a Options,
    pub(super) view: &'a View,
    pub(super) query: &'a Query,
    pub(super) zone: &'a Zone,
    pub(super) datacenter: &'a Datacenter,
    pub(super) resolved: Option<&'a [u8]>,
    pub(super) unix_seconds: u32,
    pub(super) room: Room,
}

/// What [`Responder`] says through its plans.
pub(super) enum Said<'a> {
    Plan(Plan<'a>),
    Reply(Reply),
}

impl Responder {
    /// Answers about the cluster `datacenter`.
    pub fn new(options: Arc<Options>, datacenter: &str) -> Self {
        let datacenter = Datacenter::new(datacenter, DATACENTER_BYTES_MAX);
        Self { options, datacenter, cache: Cache::default(), slots: Vec::new() }
    }

    /// Answers one message: writes to `out` or says what else is to be done.
    pub fn answer(&mut self, asked: &Asked<'_>, out: &mut Vec<u8>) -> Reply {
        out.clear();
        let query = match query::read(asked.message) {
            Ok((query, None)) => query,
            Ok((query, Some(rcode))) => return self.code(&query, rcode, asked.transport, out),
            Err(Unread::Unreadable { id, recursion_desired, opcode, rcode }) => {
                packet::write_header(out, id, recursion_desired, opcode, rcode);
                return Reply::Answer { rtype: 0, outcome: outcome(rcode, 0), cut: false };
            }
            Err(Unread::Dropped(why)) => return Reply::Drop(why),
        };
        let options = Arc::clone(&self.options);
        let in_zone = options
            .alt_zone
            .iter()
            .chain([&options.zone])
            .filter_map(|zone| zone.left_of(&query.name).map(|count| (zone, count)))
            .min_by_key(|(_, count)| *count);
        let room = room(&query, asked.transport, &options);
        let mut scene = Scene {
            options: &options,
            view: asked.view,
            query: &query,
            zone: &options.zone,
            datacenter: &self.datacenter,
            resolved: asked.resolved,
            unix_seconds: asked.unix_seconds,
            room,
        };
        let mut frame = frame_of(&options);
        let mut text = zone::Workspace::default();
        let said = match in_zone {
            Some((zone, count)) => {
                scene.zone = zone;
                frame.zone = zone.wire();
                frame.zone_in_name = Some(query.name.start(count));
                let mut rng = SmallRng::seed_from_u64(asked.seed);
                in_own_zone(&scene, count, &mut self.cache, &mut text, &mut rng)
            }
            None => match lookup::backwards(&query.name) {
                Some(backwards) => zone::backwards(&scene, backwards, asked.reverse, &mut text),
                None => Said::Reply(Reply::Forward { rtype: query.rtype }),
            },
        };
        match said {
            Said::Plan(plan) => {
                frame.datacenter = &self.datacenter.wire;
                let cut = packet::write(out, &mut self.slots, &query, &frame, &plan, room);
                let outcome = outcome(plan.rcode, plan.answers.len());
                Reply::Answer { rtype: query.rtype, outcome, cut }
            }
            Said::Reply(Reply::Forward { .. }) if options.recursors.is_empty() => {
                self.code(&query, Rcode::Refused, asked.transport, out)
            }
            Said::Reply(reply) => reply,
        }
    }

    /// Writes that a message could not be answered, because no recursor did, and returns the type that
    /// it asked for. Nothing is written if it is none that gets an answer.
    pub fn fail(&mut self, message: &[u8], transport: Transport, out: &mut Vec<u8>) -> u16 {
        out.clear();
        let Ok((query, _)) = query::read(message) else { return 0 };
        self.code(&query, Rcode::ServFail, transport, out);
        query.rtype
    }

    fn code(&mut self, query: &Query, rcode: Rcode, transport: Transport, out: &mut Vec<u8>) -> Reply {
        let options = Arc::clone(&self.options);
        let plan = Plan { authoritative: false, ..Plan::new(rcode) };
        let room = room(query, transport, &options);
        let frame = frame_of(&options);
        packet::write(out, &mut self.slots, query, &frame, &plan, room);
        Reply::Answer { rtype: query.rtype, outcome: outcome(rcode, 0), cut: false }
    }
}

fn frame_of(options: &Options) -> Frame<'_> {
    Frame {
        zone: options.zone.wire(),
        zone_in_name: None,
        datacenter: &[],
        recursion_available: !options.recursors.is_empty(),
    }
}

fn in_own_zone<'a>(
    scene: &'a Scene<'a>,
    count: usize,
    cache: &'a mut Cache,
    text: &'a mut zone::Workspace,
    rng: &mut SmallRng,
) -> Said<'a> {
    match scene.query.rtype {
        rtype::SOA => return Said::Plan(zone::soa(scene, text)),
        rtype::NS => return Said::Plan(zone::servers(scene, text)),
        _ => {}
    }
    let srv = scene.query.rtype == rtype::SRV;
    match lookup::parse(&scene.query.name, count, scene.datacenter, srv) {
        Lookup::Nothing => Said::Plan(zone::negative(scene, Rcode::NxDomain)),
        Lookup::Between => Said::Plan(zone::negative(scene, Rcode::NoError)),
        Lookup::NameServer => Said::Plan(zone::name_server(scene)),
        Lookup::Addr(ip) => Said::Plan(zone::address(scene, ip)),
        Lookup::Node(name) => Said::Plan(zone::node(scene, &name, text)),
        Lookup::Service { service, tag } => super::service::answer(scene, &service, &tag, cache, text, rng),
        Lookup::ServiceBySrv { service, tag } => {
            // The name has SRV records, so it exists.
            let plan = super::service::exists(scene, &service, &tag, cache);
            Said::Plan(zone::negative(scene, if plan { Rcode::NoError } else { Rcode::NxDomain }))
        }
    }
}

fn outcome(rcode: Rcode, answers: usize) -> Outcome {
    match rcode {
        Rcode::NoError if answers > 0 => Outcome::Answered,
        Rcode::NoError => Outcome::NoData,
        Rcode::NxDomain => Outcome::NxDomain,
        Rcode::FormErr => Outcome::FormErr,
        Rcode::ServFail => Outcome::ServFail,
        Rcode::NotImp | Rcode::BadVers => Outcome::NotImp,
        Rcode::Refused => Outcome::Refused,
    }
}

fn udp_bytes(query: &Query) -> usize {
    query.edns.map_or(UDP_BYTES, |edns| usize::from(edns.size).clamp(UDP_BYTES, UDP_BYTES_MAX))
}

fn room(query: &Query, transport: Transport, options: &Options) -> Room {
    let (bytes, answers) = match transport {
        Transport::Udp => {
            let bytes = udp_bytes(query);
            let few = bytes <= UDP_BYTES;
            (
                bytes - UDP_BYTES_SPARE,
                if few { options.udp_answer_limit.min(UDP_ANSWERS_MAX) } else { usize::MAX },
            )
        }
        Transport::Tcp if query.rtype == rtype::SRV => (TCP_BYTES_MAX, TCP_SRV_MAX),
        Transport::Tcp => (TCP_BYTES_MAX, TCP_ANSWERS_MAX),
    };
    Room { bytes, answers, tell: options.enable_truncate && transport == Transport::Udp }
}

/// Makes what a recursor said fit the client that asked `message` over UDP: what is too long loses
/// all but its question and is marked as cut, so that the client asks again over TCP.
pub fn fits(message: &[u8], answer: &mut Vec<u8>) {
    let Ok((query, _)) = query::read(message) else { return };
    if answer.len() <= udp_bytes(&query) {
        return;
    }
    let end = 12 + query.name.wire().len() + 4;
    answer.truncate(end);
    let Some(head) = answer.get_mut(..12) else { return };
    head[2] |= 0x02;
    head[4..12].copy_from_slice(&[0, 1, 0, 0, 0, 0, 0, 0]);
}

/// Whether a recursor's message answers `question` in a way that can be told on: with records, or
/// that there are none, or that there is no such name.
pub fn is_answer_to(answer: &[u8], question: &[u8]) -> bool {
    let (Ok(answer), Ok(question)) = (Message::from_slice(answer), Message::from_slice(question)) else {
        return false;
    };
    let header = answer.header();
    let usable = matches!(header.rcode(), iana::Rcode::NOERROR | iana::Rcode::NXDOMAIN);
    usable
        && header.qr()
        && header.id() == question.header().id()
        && match (answer.question().next(), question.question().next()) {
            (Some(Ok(a)), Some(Ok(q))) => a.qname() == q.qname() && a.qtype() == q.qtype(),
            _ => false,
        }
}
