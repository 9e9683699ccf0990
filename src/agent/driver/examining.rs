//! Examinations that callers ask for, one after the other.

use super::{Driver, answer_later};
use crate::agent::examine::{self, Wanted, millis};
use crate::api::request::{Reply, RequestError};
use crate::core::exam::{Link, SUBJECTS_MAX, Trip};
use crate::model::{
    DiskFacts, EntryKey, Examination, Instant, LinkFacts, MemberStatus, NodeKey, NodeName, ProcessFacts,
    StrangerFacts, TripFacts,
};
use crate::wire::record;
use std::collections::VecDeque;

/// Callers that may wait; an examination takes two seconds.
const WAITING_MAX: usize = 4;

/// Who wants an examination, of which members; of none in particular: of some.
type Caller = (Vec<NodeName>, Reply<Box<Examination>>);

/// The caller whose examination is under way is the first.
#[derive(Debug, Default)]
pub(super) struct Examinations {
    waiting: VecDeque<Caller>,
    under_way: bool,
}

impl Driver {
    pub(super) fn examine(&mut self, nodes: Vec<NodeName>, reply: Reply<Box<Examination>>, now: Instant) {
        if self.examinations.waiting.len() >= WAITING_MAX {
            let busy = RequestError::Busy("too many examinations wait already");
            self.answers.push(answer_later(reply, Err(busy)));
            return;
        }
        self.examinations.waiting.push_back((nodes, reply));
        self.next_examination(now);
    }

    fn next_examination(&mut self, now: Instant) {
        if self.examinations.under_way {
            return;
        }
        let Some((nodes, _)) = self.examinations.waiting.front() else { return };
        let keys = if nodes.is_empty() { self.sample() } else { nodes.iter().map(NodeName::key).collect() };
        self.agent.set_wall_clock(self.clock.moment().unix_ms, now);
        self.examinations.under_way = true;
        if self.agent.examine(&keys, now) {
            self.drain(now);
        } else {
            self.examinations.under_way = false;
            if let Some((_, reply)) = self.examinations.waiting.pop_front() {
                self.answers.push(answer_later(reply, Err(RequestError::ShuttingDown)));
            }
        }
    }

    /// Members to examine: those in trouble first, a few of them, then others at random.
    fn sample(&self) -> Vec<NodeKey> {
        let own = self.agent.identity().name.key();
        let of = |wanted: &dyn Fn(MemberStatus) -> bool| -> Vec<NodeKey> {
            self.agent.members().filter(|m| m.key != own && wanted(m.status)).map(|m| m.key).collect()
        };
        let troubled = of(&|status| matches!(status, MemberStatus::Suspect | MemberStatus::Failed));
        let mut alive = of(&|status| status == MemberStatus::Alive);
        let first = troubled.len().min(SUBJECTS_MAX / 2);
        let room = (SUBJECTS_MAX - first).min(alive.len());
        // A partial Fisher-Yates shuffle: only as far as it is needed.
        for at in 0..room {
            let pick = at + (rand::random::<u64>() % (alive.len() - at) as u64) as usize;
            alive.swap(at, pick);
        }
        troubled.into_iter().take(first).chain(alive.into_iter().take(room)).collect()
    }

    /// The way to the members was looked at: adds what the agent knows of itself, and hands the rest to a
    /// job beside the loop, which answers.
    pub(super) fn examined(&mut self, links: &[Link], now: Instant) {
        self.examinations.under_way = false;
        if let Some((_, reply)) = self.examinations.waiting.pop_front() {
            let mut found = self.own_facts(links, now);
            let wanted = Wanted {
                data_dir: self.config.data_dir().map(std::path::Path::to_owned),
                inode: self.socket.inode(),
            };
            // Not in the loop's runtime: that one ends with the loop, and nobody else waits.
            self.api_runtime.spawn_blocking(move || {
                examine::look_up(&wanted, &mut found);
                // A caller that has gone is no concern of the agent.
                drop(reply.send(Ok(Box::new(found))));
            });
        }
        self.next_examination(now);
    }

    fn own_facts(&self, links: &[Link], now: Instant) -> Examination {
        let identity = self.agent.identity();
        let stats = self.agent.stats();
        let socket = self.socket.stats();
        let strangers = self.agent.strangers().map(|s| StrangerFacts {
            address: s.addr.to_string(),
            why: s.why.to_owned(),
            name: s.name.as_ref().map(ToString::to_string),
            count: s.count,
            ago_ms: millis(now.since(s.at)),
        });
        let max = self.agent.config().max_datagram_bytes;
        Examination {
            node: identity.name.to_string(),
            node_id: identity.id.to_string(),
            cluster: identity.cluster.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            advertised: identity.addr.to_string(),
            bound: self.socket.addr().map_or_else(String::new, |addr| addr.to_string()),
            sealed: self.agent.keyring().is_some(),
            key_advice: crate::agent::publish::key_advice(&self.agent, now),
            others: self.others,
            since_heard_ms: stats.last_heard.map(|at| millis(now.since(at))),
            process: ProcessFacts {
                stalls: self.stats.stalls,
                stall_longest_ms: self.stats.stall_longest_ms,
                local_health: u64::from(stats.local_health),
                ..examine::process(self.clock_watch, self.clock.moment())
            },
            socket: examine::socket(self.socket.buffers(), socket.sends_failed, max),
            disk: self
                .config
                .data_dir()
                .map(|_| DiskFacts { writes_failed: self.stats.state_writes_failed, ..DiskFacts::default() }),
            links: links.iter().map(|link| self.link_facts(link)).collect(),
            strangers: strangers.collect(),
        }
    }

    fn link_facts(&self, link: &Link) -> LinkFacts {
        let record = self.agent.packed_entry(link.key, &EntryKey::Node);
        let record = record.and_then(|(_, _, entry)| record::unpack_node(entry));
        let status = self.agent.member(link.key).map_or(MemberStatus::Failed, |member| member.status);
        LinkFacts {
            node: record.map_or_else(|| format!("{:016x}", link.key.0), |node| node.name.to_string()),
            address: link.addr.to_string(),
            status: status.as_str().to_owned(),
            small: trip(link.small),
            large: trip(link.large),
            saw: link.saw.map(|addr| addr.to_string()),
            skew_ms: link.skew_ms,
        }
    }
}

fn trip(trip: Trip) -> TripFacts {
    let us = |rtt: std::time::Duration| u64::try_from(rtt.as_micros()).unwrap_or(u64::MAX);
    TripFacts { rtt_us: trip.rtt.map(us), arrived: trip.arrived }
}
