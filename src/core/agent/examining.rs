//! Examinations of the way to other members, and answers to those of others.

use super::{Agent, Phase};
use crate::core::event::Event;
use crate::core::exam::Deed;
use crate::core::strangers::Stranger;
use crate::model::{Instant, NodeKey};
use crate::wire::exam::Exam;
use crate::wire::frame::{FRAME_OVERHEAD_BYTES, Frame};
use crate::wire::seal::SEAL_BYTES;
use crate::wire::{DatagramBuilder, Dropped};
use rand::RngExt;
use std::net::SocketAddr;

/// Padding of a small question, so that its answer is not larger.
const SMALL_PADDING: u16 = 40;

impl Agent {
    // ---- getters

    /// Whose datagrams are not taken in, and why. Sources can be forged.
    pub fn strangers(&self) -> impl Iterator<Item = &Stranger> {
        self.strangers.iter()
    }

    // ---- commands

    /// Tells what the wall clock shows, for others who compare theirs with it.
    pub fn set_wall_clock(&mut self, unix_ms: u64, now: Instant) {
        self.exams.set_wall(unix_ms, now);
    }

    /// Looks whether datagrams get to these members and back; [`Event::Examined`] tells. Who is not known
    /// is left out. `false`: one is under way already, or the agent leaves.
    pub fn examine(&mut self, members: &[NodeKey], now: Instant) -> bool {
        let peers = self.swim.peers();
        let known = |key: &NodeKey| peers.get(*key).map(|peer| (*key, peer.addr));
        let subjects: Vec<(NodeKey, SocketAddr)> = members.iter().filter_map(known).collect();
        let begins = self.phase == Phase::Running && self.exams.begin(self.rng.random(), &subjects, now);
        if begins {
            self.run_exam(now);
        }
        begins
    }

    // ---- inside

    pub(super) fn run_exam(&mut self, now: Instant) {
        while let Some(deed) = self.exams.due(now) {
            match deed {
                Deed::Ask(round) => {
                    for (to, addr, number, full) in self.exams.questions(round, now) {
                        let exam = Exam::Question { number, from: self.own, to };
                        let size = if full { self.config.plain_bytes_max() } else { 0 };
                        self.send_padded(addr, exam, size, SMALL_PADDING);
                    }
                }
                Deed::Inquire => self.inquire(),
                Deed::End => {
                    let found = self.exams.end().unwrap_or_default();
                    self.events.push_back(Event::Examined(found));
                }
            }
        }
    }

    fn inquire(&mut self) {
        for (number, about, helpers) in self.exams.inquiries(self.swim.peers().live()) {
            for to in helpers {
                if let Some(addr) = self.swim.peers().get(to).map(|peer| peer.addr) {
                    let exam = Exam::Inquiry { number, asker: self.own, to, about };
                    self.send_frames(addr, &[Frame::Exam(exam)]);
                }
            }
        }
    }

    /// Sends `exam`, filled up to `size` bytes before it is sealed, or with `least` bytes of padding.
    fn send_padded(&mut self, to: SocketAddr, exam: Exam, size: usize, least: u16) {
        let mut datagram = self.new_datagram();
        datagram.push(&Frame::Exam(exam));
        let used = self.config.plain_bytes_max() - datagram.room() - FRAME_OVERHEAD_BYTES;
        let fill = size.saturating_sub(used + FRAME_OVERHEAD_BYTES);
        let fill = u16::try_from(fill).unwrap_or(u16::MAX).max(least);
        if fill > 0 {
            datagram.push(&Frame::Padding(fill));
        }
        self.outgoing.push_back(super::Outgoing { to, bytes: datagram.finish() });
    }

    /// A part of an examination, in a datagram of `bytes` bytes.
    pub(super) fn handle_exam(&mut self, from: SocketAddr, exam: &Exam, bytes: usize, now: Instant) {
        if self.phase != Phase::Running {
            return;
        }
        match *exam {
            Exam::Question { number, from: asker, to } => {
                if to != self.own || !self.serves(asker, now) {
                    return;
                }
                self.exams.note_arrived(asker, number);
                let unix_ms = self.exams.wall(now).unwrap_or(0);
                let answer = Exam::Answer { number, from: self.own, saw: from, unix_ms };
                let seal = if self.sealing.is_some() { SEAL_BYTES } else { 0 };
                let size = bytes.saturating_sub(seal).min(self.config.plain_bytes_max());
                let mut bare = DatagramBuilder::new(self.cluster, size);
                // Whoever asks with less than the answer takes would make others be sent more.
                if bare.push(&Frame::Exam(answer)) {
                    self.send_padded(from, answer, size, 0);
                } else {
                    self.drop_counted("exam_refused");
                }
            }
            Exam::Answer { number, from: key, saw, unix_ms } => {
                if !self.exams.answered((number, key), (saw, unix_ms), now) {
                    self.drop_counted("exam_refused");
                }
            }
            Exam::Inquiry { number, asker, to, about } => {
                if to != self.own || !self.serves(asker, now) {
                    return;
                }
                if about == self.own {
                    let arrived = self.exams.arrived(asker, number);
                    let report = Exam::Report { number, asker, about, arrived };
                    self.send_frames(from, &[Frame::Exam(report)]);
                } else if let Some(addr) = self.swim.peers().get(about).map(|peer| peer.addr) {
                    let exam = Exam::Inquiry { number, asker, to: about, about };
                    self.send_frames(addr, &[Frame::Exam(exam)]);
                }
            }
            Exam::Report { number, asker, about, arrived } if asker == self.own => {
                if !self.exams.reported(number, about, arrived) {
                    self.drop_counted("exam_refused");
                }
            }
            Exam::Report { asker, about, .. } => {
                if self.serves(asker, now)
                    && self.swim.peers().get(about).is_some_and(|peer| peer.addr == from)
                    && let Some(addr) = self.swim.peers().get(asker).map(|peer| peer.addr)
                {
                    self.send_frames(addr, &[Frame::Exam(*exam)]);
                }
            }
        }
    }

    /// Whether something is done for the examination of `asker`: for members, and only so often.
    fn serves(&mut self, asker: NodeKey, now: Instant) -> bool {
        if self.swim.peers().get(asker).is_none() {
            self.drop_counted("exam_refused");
            return false;
        }
        let admitted = self.exams.admits(now);
        if !admitted {
            self.drop_counted("over_rate");
        }
        admitted
    }

    /// Remembers whose datagram could not be taken in, where that says something of how this host or the
    /// sender's is set up.
    pub(super) fn note_stranger(&mut self, from: SocketAddr, why: Dropped, now: Instant) {
        match why {
            Dropped::Oversize
            | Dropped::Version
            | Dropped::UnknownKey
            | Dropped::OtherCluster
            | Dropped::Unsealed
            | Dropped::Forged => self.strangers.note(from, why.as_str(), None, now),
            Dropped::Malformed | Dropped::Replayed => {}
        }
    }
}
