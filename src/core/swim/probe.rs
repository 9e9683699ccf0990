//! One probe under way: its round-trip time, and pings sent again while it is unanswered.
//!
//! A probe that got no answer at once may have lost one datagram of two. Asking again before the
//! period is over costs nothing in the ordinary case and keeps small clusters, where nobody else
//! can be asked, from suspecting each other on a lossy network.

use super::identity::Life;
use super::{Output, Swim};
use crate::model::{Incarnation, Instant, NodeKey};
use crate::wire::frame::{SwimFrame, SwimMessage};
use foca::Header;
use std::net::SocketAddr;
use std::time::Duration;

#[derive(Debug, Clone)]
pub(super) struct ProbeWatch {
    frame: SwimFrame,
    addr: SocketAddr,
    number: u8,
    sent_at: Instant,
    ends_at: Instant,
    step: Duration,
    next_at: Option<Instant>,
    sent_again: bool,
    /// The member wanted to be shown first that this node receives.
    refused: bool,
    answered: bool,
}

impl ProbeWatch {
    pub(super) fn new(
        frame: SwimFrame,
        addr: SocketAddr,
        number: u8,
        step: Duration,
        interval: Duration,
        repeat: bool,
        now: Instant,
    ) -> Self {
        Self {
            frame,
            addr,
            number,
            sent_at: now,
            ends_at: now + interval,
            step,
            next_at: repeat.then_some(now + step),
            sent_again: false,
            refused: false,
            answered: false,
        }
    }

    pub(super) fn due(&self) -> Option<Instant> {
        self.next_at
    }

    pub(super) fn postpone(&mut self, by: Duration, now: Instant) {
        let by = by.min(now.since(self.sent_at));
        self.ends_at += by;
        if let Some(at) = &mut self.next_at {
            *at += by;
        }
    }

    pub(super) const fn is_answered(&self) -> bool {
        self.answered
    }

    fn is_answered_by(&self, frame: &SwimFrame) -> bool {
        match &frame.message {
            SwimMessage::Ack(n) => {
                *n == self.number && frame.from == self.frame.to && frame.from_epoch == self.frame.to_epoch
            }
            SwimMessage::ForwardedAck(origin, n) => {
                *n == self.number && origin.key == self.frame.to && origin.epoch == self.frame.to_epoch
            }
            SwimMessage::Ping(_)
            | SwimMessage::PingRequest(..)
            | SwimMessage::IndirectPing(..)
            | SwimMessage::IndirectAck(..)
            | SwimMessage::Gossip
            | SwimMessage::TurnUndead => false,
        }
    }

    fn again(&mut self, incarnation: Incarnation, now: Instant) -> Option<SwimFrame> {
        if self.next_at.is_none_or(|at| at > now) {
            return None;
        }
        // A ping whose answer could not come back within the period is of no use.
        let next = now + self.step;
        self.next_at = (next + self.step / 2 < self.ends_at).then_some(next);
        self.sent_again = true;
        self.frame.from_incarnation = incarnation;
        Some(self.frame)
    }
}

/// Weight of a new sample in the smoothed round-trip time (RFC 6298: one eighth).
const RTT_GAIN: u32 = 8;

impl Swim {
    /// Notes the answer to our probe, if `frame` is one.
    pub(super) fn watch_answer(&mut self, frame: &SwimFrame, now: Instant) {
        let Some(probe) = &mut self.probe else { return };
        if !probe.is_answered_by(frame) {
            return;
        }
        probe.next_at = None;
        // A later one is a copy, or the answer to a check that happens to have the same number.
        if std::mem::replace(&mut probe.answered, true) {
            return;
        }
        self.world.health.better(1);
        // An answer after a second ping may belong to either (Karn, Partridge 1987).
        let direct = matches!(frame.message, SwimMessage::Ack(_)) && !probe.sent_again;
        self.loss.note(direct);
        let sample = now.since(probe.sent_at);
        if direct && !self.checks.waits_for(frame.from, probe.number) {
            self.take_sample(frame.from, sample);
        }
    }

    /// The member answered a ping of ours after this time.
    pub(super) fn take_sample(&mut self, key: NodeKey, sample: Duration) {
        if self.peers.get(key).is_none() {
            return;
        }
        let smoothed = match self.peers.rtt(key) {
            Some(rtt) => (rtt * (RTT_GAIN - 1) + sample) / RTT_GAIN,
            None => sample,
        };
        self.peers.set_rtt(key, smoothed);
        self.output.push_back(Output::Measured(key, sample));
        self.output.push_back(Output::Changed(key));
    }

    pub(super) fn probe_again(&mut self, now: Instant) {
        let incarnation = self.incarnation;
        let Some(probe) = &mut self.probe else { return };
        if let Some(frame) = probe.again(incarnation, now) {
            let addr = probe.addr;
            self.output.push_back(Output::Send(addr, frame));
        }
    }

    /// Who is at `addr` did not look at what we sent, since it wanted to be shown first that we receive:
    /// what was no answer was no loss either, and the time counts from now.
    pub(crate) fn handle_refusal(&mut self, addr: SocketAddr, now: Instant) {
        let Some(probe) = &mut self.probe else { return };
        if probe.addr == addr && !probe.answered && !probe.sent_again && !probe.refused {
            probe.refused = true;
            probe.sent_at = now;
            self.output.push_back(Output::Send(addr, probe.frame));
        }
    }

    /// Time between two pings of one probe: half the timeout, less where much gets lost, but always
    /// time for an answer.
    fn step(&self, key: NodeKey) -> Duration {
        let usual = self.config.probe_timeout / 2;
        let answer = self.peers.rtt(key).map_or(usual, |rtt| (rtt * 4).max(usual / 5));
        (usual / self.loss.of_pings(1).max(1)).max(answer.min(usual))
    }

    /// Takes over what foca wants sent.
    pub(super) fn send(&mut self, header: &Header<Life>, now: Instant) {
        if header.src.key == self.life.key
            && header.src.epoch == self.life.epoch
            && header.src_incarnation > self.incarnation
        {
            self.incarnation = header.src_incarnation;
            self.output.push_back(Output::News(self.own_update()));
        }
        let addr = self.heard_at.get(header.dst.key);
        let Some(addr) = addr.or_else(|| self.peers.get(header.dst.key).map(|p| p.addr)) else { return };
        let Some(message) = self.to_message(&header.message) else { return };
        let frame = SwimFrame {
            from: header.src.key,
            from_epoch: header.src.epoch,
            from_incarnation: header.src_incarnation,
            to: header.dst.key,
            to_epoch: header.dst.epoch,
            from_addr: Some(self.addr),
            message,
        };
        self.note_asked(&frame, now);
        if let SwimMessage::Ping(number) = message {
            self.counters.probes_sent += 1;
            if self.config.is_complete() {
                let wait = self.config.direct_wait(self.peers.rtt(frame.to));
                self.world.timers.hasten_indirect(now + self.world.health.stretch(wait));
            }
            self.probe = Some(ProbeWatch::new(
                frame,
                addr,
                number,
                self.step(frame.to),
                self.config.probe_interval,
                self.config.is_complete(),
                now,
            ));
        }
        self.output.push_back(Output::Send(addr, frame));
    }
}
