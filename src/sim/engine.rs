//! Virtual time: pops what is due, gives it to the process it is for, and drains that process.
//!
//! Owns the hosts' sockets, clocks and wake-ups, and the network between them. Knows processes
//! only by [`Process`], so it knows nothing of clusters, disks or oracles. Each step touches one
//! host; nothing here walks over all of them.

mod hinder;
mod hindrance;
mod recent;

pub(crate) use recent::Recent;

use super::network::{Conditions, Network};
use super::process::Process;
use super::queue::{Key, Queue, Rank};
use super::trace::{Mark, Trace};
use super::{HostId, Traffic};
use crate::core::{Event, Outgoing};
use crate::model::Instant;
use hindrance::Hindrance;
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// Wake-ups of one host at one moment before it counts as spinning.
const WAKES_AT_ONCE_MAX: u32 = 10_000;

struct Datagram {
    from: SocketAddr,
    from_host: Option<HostId>,
    to: SocketAddr,
    bytes: Vec<u8>,
}

enum Item {
    Deliver(Datagram),
    /// A closed port was hit by the process of that host started at that moment.
    Report {
        host: HostId,
        started: Instant,
        addr: SocketAddr,
    },
    Wake(HostId),
    /// A slow process is done with a datagram.
    Ready(HostId),
    /// The next slice of a starved process, or the next wait.
    Slice(HostId, u64),
    Plan(u64),
}

/// A machine with an address, and the process on it if one runs.
pub(crate) struct Host<P> {
    pub(crate) addr: SocketAddr,
    pub(crate) process: Option<P>,
    /// The machine is powered: closed ports are reported.
    pub(crate) powered: bool,
    pub(crate) started: Instant,
    pub(crate) traffic: Traffic,
    /// Datagrams over this are complained about.
    pub(crate) datagram_bytes_max: usize,
    hindered: Option<Box<Hindrance>>,
    wake: Option<Key>,
    woken: (Instant, u32),
}

impl<P> Host<P> {
    /// What the process's own clock shows at `now`.
    pub(crate) const fn local(&self, now: Instant) -> Instant {
        Instant::from_nanos(now.as_nanos().saturating_sub(self.started.as_nanos()))
    }
}

/// What a step was about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// This host's process handled a datagram or a report.
    Input(HostId),
    /// This host's process handled its timeout.
    Woken(HostId),
    /// The scenario's plan with this number is due.
    Plan(u64),
    /// Something was lost or waits in a socket.
    Nothing,
}

/// The machinery of one world.
pub(crate) struct Engine<P> {
    now: Instant,
    queue: Queue<Item>,
    hosts: Vec<Host<P>>,
    by_addr: BTreeMap<SocketAddr, HostId>,
    /// What processes told since this was last emptied.
    pub(crate) told: Vec<(HostId, Event)>,
    /// What a process did that no process may do.
    pub(crate) complaint: Option<(HostId, String)>,
    pub(crate) network: Network,
    pub(crate) trace: Trace,
    /// The last datagrams that were sent, once somebody wants them.
    pub(crate) recent: Option<Recent>,
    starvations: u64,
}

impl<P: Process> Engine<P> {
    pub(crate) fn new(seed: u64, conditions: Conditions) -> Self {
        Self {
            now: Instant::START,
            queue: Queue::new(),
            hosts: Vec::new(),
            by_addr: BTreeMap::new(),
            told: Vec::new(),
            complaint: None,
            network: Network::new(seed, conditions),
            trace: Trace::new(),
            recent: None,
            starvations: 0,
        }
    }

    pub(crate) const fn now(&self) -> Instant {
        self.now
    }

    pub(crate) fn host(&self, id: HostId) -> &Host<P> {
        &self.hosts[id.index()]
    }

    /// A machine without a process.
    pub(crate) fn add_host(&mut self, addr: SocketAddr, datagram_bytes_max: usize) -> HostId {
        let id = HostId(self.hosts.len());
        self.by_addr.insert(addr, id);
        self.hosts.push(Host {
            addr,
            process: None,
            powered: true,
            started: self.now,
            traffic: Traffic::default(),
            datagram_bytes_max,
            hindered: None,
            wake: None,
            woken: (Instant::START, 0),
        });
        id
    }

    /// Gives the host another address; nothing answers at the old one.
    pub(crate) fn set_addr(&mut self, id: HostId, addr: SocketAddr) {
        let host = &mut self.hosts[id.index()];
        if self.by_addr.get(&host.addr) == Some(&id) {
            self.by_addr.remove(&host.addr);
        }
        host.addr = addr;
        self.by_addr.insert(addr, id);
    }

    pub(crate) fn set_powered(&mut self, id: HostId, powered: bool) {
        self.hosts[id.index()].powered = powered;
    }

    /// Runs `process`, whose clock starts now.
    pub(crate) fn start(&mut self, id: HostId, process: P) {
        let now = self.now;
        let host = &mut self.hosts[id.index()];
        debug_assert!(host.process.is_none(), "a host runs one process at a time");
        host.process = Some(process);
        host.powered = true;
        host.started = now;
        self.drain(id);
    }

    /// Ends the process without a word, and empties its socket.
    pub(crate) fn kill(&mut self, id: HostId) -> Option<P> {
        let host = &mut self.hosts[id.index()];
        if let Some(key) = host.wake.take() {
            self.queue.cancel(key);
        }
        let process = host.process.take();
        self.forget_hindrance(id);
        process
    }

    /// Calls into the process (a command), then drains it. `None` if none runs.
    pub(crate) fn call<R>(&mut self, id: HostId, f: impl FnOnce(&mut P, Instant) -> R) -> Option<R> {
        let now = self.now;
        let host = &mut self.hosts[id.index()];
        let local = host.local(now);
        let answer = f(host.process.as_mut()?, local);
        self.drain(id);
        Some(answer)
    }

    /// Makes the scenario's plan `number` due at `at`.
    pub(crate) fn plan(&mut self, at: Instant, number: u64) {
        self.queue.push(at.max(self.now), Rank::Plan, Item::Plan(number));
    }

    /// A datagram from outside the world arrives at `to` now.
    pub(crate) fn inject(&mut self, from: SocketAddr, to: SocketAddr, bytes: Vec<u8>) {
        let datagram = Datagram { from, from_host: None, to, bytes };
        self.queue.push(self.now, Rank::Datagram, Item::Deliver(datagram));
    }

    /// Does the next thing due at `until` or before; `None` (and the clock at `until`) if there
    /// is none.
    pub(crate) fn step(&mut self, until: Instant) -> Option<Step> {
        let Some((at, item)) = self.queue.pop_until(until) else {
            self.now = self.now.max(until);
            return None;
        };
        self.now = at;
        Some(match item {
            Item::Deliver(datagram) => self.deliver(datagram),
            Item::Report { host, started, addr } => self.report(host, started, addr),
            Item::Wake(host) => self.wake(host),
            Item::Ready(host) => self.ready(host),
            Item::Slice(host, number) => self.slice(host, number),
            Item::Plan(number) => Step::Plan(number),
        })
    }

    fn deliver(&mut self, datagram: Datagram) -> Step {
        let Some(&id) = self.by_addr.get(&datagram.to) else { return Step::Nothing };
        let now = self.now;
        let host = &mut self.hosts[id.index()];
        if let Some(hindrance) = &mut host.hindered
            && host.process.is_some()
            && hindrance.keeps_input()
        {
            let length = datagram.bytes.len();
            host.traffic.datagrams_overflowed += u64::from(!hindrance.inbox.push(datagram, length));
            return Step::Nothing;
        }
        let local = host.local(now);
        let Some(process) = &mut host.process else {
            host.traffic.datagrams_unheard += 1;
            if let Some(sender) = datagram.from_host
                && host.powered
                && self.network.conditions().unreachable_reports
            {
                self.send_report(id, sender, datagram.to);
            }
            return Step::Nothing;
        };
        host.traffic.datagrams_received += 1;
        host.traffic.bytes_received += datagram.bytes.len() as u64;
        // The bytes went into the trace when they were sent; their order of arrival is news.
        self.trace.record(now, Mark::Delivered, id.index(), &(datagram.bytes.len() as u64).to_le_bytes());
        process.handle_datagram(datagram.from, &datagram.bytes, local);
        if host.hindered.is_some() {
            self.spend(id);
        }
        self.drain(id);
        Step::Input(id)
    }

    fn send_report(&mut self, from: HostId, to: HostId, addr: SocketAddr) {
        if let Some(after) = self.network.send(from, to, 0).first {
            let started = self.hosts[to.index()].started;
            self.queue.push(self.now + after, Rank::Report, Item::Report { host: to, started, addr });
        }
    }

    fn report(&mut self, id: HostId, started: Instant, addr: SocketAddr) -> Step {
        let now = self.now;
        let host = &mut self.hosts[id.index()];
        let local = host.local(now);
        if host.started != started || host.is_frozen() || host.is_held() {
            return Step::Nothing;
        }
        let Some(process) = &mut host.process else { return Step::Nothing };
        self.trace.record(now, Mark::Unreachable, id.index(), &[]);
        process.handle_unreachable(addr, local);
        self.drain(id);
        Step::Input(id)
    }

    fn wake(&mut self, id: HostId) -> Step {
        let now = self.now;
        let host = &mut self.hosts[id.index()];
        host.wake = None;
        let local = host.local(now);
        let Some(process) = &mut host.process else { return Step::Nothing };
        if host.hindered.as_ref().is_some_and(|h| !h.timers_run()) {
            return Step::Nothing;
        }
        host.woken = if host.woken.0 == now { (now, host.woken.1 + 1) } else { (now, 1) };
        if host.woken.1 > WAKES_AT_ONCE_MAX {
            let reason = process.poll_timeout().map_or("nothing", |(_, reason)| reason);
            self.complaint = Some((id, format!("wakes for ever without time passing, for {reason:?}")));
            return Step::Nothing;
        }
        self.trace.record(now, Mark::Woken, id.index(), &[]);
        if host.hindered.as_ref().is_some_and(|h| h.stands()) {
            process.handle_timeout_aside(local);
        } else {
            process.handle_timeout(local);
        }
        self.drain(id);
        Step::Woken(id)
    }

    fn drain(&mut self, id: HostId) {
        let now = self.now;
        loop {
            let mut idle = true;
            loop {
                let host = &mut self.hosts[id.index()];
                let Some(process) = &mut host.process else { return };
                let Some(out) = process.poll_datagram() else { break };
                idle = false;
                if let Some(hindrance) = &mut host.hindered
                    && hindrance.is_held()
                {
                    let length = out.bytes.len();
                    host.traffic.datagrams_overflowed += u64::from(!hindrance.outbox.push(out, length));
                } else {
                    self.transmit(id, out);
                }
            }
            let host = &mut self.hosts[id.index()];
            let Some(process) = &mut host.process else { return };
            while let Some(event) = process.poll_event() {
                idle = false;
                self.trace.record_event(now, id.index(), &event);
                self.told.push((id, event));
            }
            if idle {
                break;
            }
        }
        self.arm(id);
    }

    /// A datagram goes through the host's socket into the network.
    fn transmit(&mut self, id: HostId, out: Outgoing) {
        let now = self.now;
        let host = &mut self.hosts[id.index()];
        let bytes = out.bytes.len();
        host.traffic.datagrams_sent += 1;
        host.traffic.bytes_sent += bytes as u64;
        self.trace.record(now, Mark::Sent, id.index(), &out.bytes);
        if bytes > host.datagram_bytes_max {
            let complaint =
                format!("sent {bytes} bytes in one datagram: want at most {}", host.datagram_bytes_max);
            self.complaint.get_or_insert((id, complaint));
        }
        let from = host.addr;
        let Some(queued) = self.network.queue(id, now, bytes) else {
            host.traffic.datagrams_shed += 1;
            return;
        };
        if let Some(recent) = &mut self.recent {
            recent.note(from, &out);
        }
        let Some(&to_host) = self.by_addr.get(&out.to) else { return };
        let passage = self.network.send(id, to_host, bytes);
        let mut put = |after, bytes| {
            let datagram = Datagram { from, from_host: Some(id), to: out.to, bytes };
            self.queue.push(now + queued + after, Rank::Datagram, Item::Deliver(datagram));
        };
        if let Some(after) = passage.second {
            put(after, out.bytes.clone());
        }
        if let Some(after) = passage.first {
            put(after, out.bytes);
        }
    }

    /// Keeps exactly one wake-up for the host, at the moment its process asks for.
    fn arm(&mut self, id: HostId) {
        let host = &mut self.hosts[id.index()];
        let wanted = match &host.process {
            Some(_) if host.hindered.as_ref().is_some_and(|h| !h.timers_run()) => None,
            Some(process) if host.hindered.as_ref().is_some_and(|h| h.stands()) => {
                process.poll_timeout_aside()
            }
            Some(process) => process.poll_timeout(),
            None => None,
        };
        let at = wanted.map(|(local, _)| (host.started + local.since_start()).max(self.now));
        if host.wake.map(|key| key.at) == at {
            return;
        }
        if let Some(key) = host.wake.take() {
            self.queue.cancel(key);
        }
        host.wake = at.map(|at| self.queue.push(at, Rank::Wake, Item::Wake(id)));
    }
}

#[cfg(test)]
mod tests;
