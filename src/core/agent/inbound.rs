//! What arrives: a datagram's frames, each to the part that it concerns.

use super::{Agent, Phase};
use crate::core::catalog::{Outcome, Refused};
use crate::core::event::Event;
use crate::core::gossip::spread::Age;
use crate::model::{EntryKey, Generation, Instant, NodeKey};
use crate::wire::Dropped;
use crate::wire::datagram::{self, Frames, HEADER_BYTES};
use crate::wire::frame::{
    CoordinateMessage, FRAME_OVERHEAD_BYTES, Frame, Head, JoinReply, JoinRequest, Liveness, MemberUpdate,
    Record, SwimFrame,
};
use std::net::SocketAddr;
use std::time::Duration;

/// What one datagram holds, sorted: a SWIM frame is judged together with the updates beside it.
#[derive(Default)]
pub(super) struct Sorted {
    swim: Option<SwimFrame>,
    updates: Vec<MemberUpdate>,
    location: Option<CoordinateMessage>,
    /// Whom the datagram is for, where it says so.
    meant_for: Option<NodeKey>,
    /// Of the records.
    ages: Vec<u32>,
    others: Vec<Frame>,
}

impl Sorted {
    fn clear(&mut self) {
        (self.swim, self.location, self.meant_for) = (None, None, None);
        self.updates.clear();
        self.ages.clear();
        self.others.clear();
    }
}

/// Frames looked at in one datagram.
const FRAMES_MAX: usize = 64;

impl Agent {
    /// A datagram that arrived from `from`. Whatever is wrong with it is counted, and the rest of
    /// it dropped.
    pub fn handle_datagram(&mut self, from: SocketAddr, bytes: &[u8], now: Instant) {
        self.stats.datagrams_received += 1;
        self.stats.bytes_received += bytes.len() as u64;
        if self.phase == Phase::Stopped {
            return;
        }
        let (mut opened, mut sorted) = (std::mem::take(&mut self.opened), std::mem::take(&mut self.sorted));
        sorted.clear();
        match self.open(from, bytes, &mut opened, now) {
            Ok(frames) => self.handle_frames(from, (frames, bytes.len()), &mut sorted, now),
            Err(why) => self.drop_unopened(why, from, now),
        }
        (self.opened, self.sorted) = (opened, sorted);
    }

    /// The frames of a datagram, with its size.
    fn handle_frames(
        &mut self,
        from: SocketAddr,
        (frames, bytes): (Frames<'_>, usize),
        sorted: &mut Sorted,
        now: Instant,
    ) {
        self.stats.frames_received.add(frames.sizes().take(FRAMES_MAX));
        for frame in frames.take(FRAMES_MAX) {
            match frame {
                Ok(Frame::Swim(swim)) => sorted.swim = Some(swim),
                Ok(Frame::Members(updates)) => sorted.updates.extend(updates),
                Ok(Frame::Coordinate(message)) => sorted.location = Some(message),
                Ok(Frame::Ages(ages)) => sorted.ages = ages,
                Ok(Frame::For(key)) => sorted.meant_for = Some(key),
                Ok(Frame::Echo(cookie, own)) => self.handle_echo(from, cookie, own, now),
                Ok(Frame::Padding(_)) => {}
                Ok(other) => sorted.others.push(other),
                Err(_) => {
                    self.drop_counted("malformed");
                    break;
                }
            }
        }
        if sorted.meant_for.is_some_and(|key| key != self.own) {
            return self.drop_counted("misaddressed");
        }
        self.stats.last_heard = Some(now);
        self.swim.note_heard(now);
        if let Some(swim) = sorted.swim.take_if(|swim| !self.knows_sender(from, swim, now)) {
            // What it says of others is for members to say; that it speaks to us is no news.
            tracing::debug!(%from, key = swim.from.0, "a sender that is not known there has to show that it is");
            sorted.updates.clear();
        }
        let sender = sorted.swim.as_ref().map(|s| s.from);
        if self.phase == Phase::Running {
            sorted.updates.retain(|u| !self.is_about_the_forgotten(u));
            match &sorted.swim {
                Some(swim) => self.swim.handle_frame(from, swim, &sorted.updates, now),
                None => self.swim.handle_updates(&sorted.updates, from, now),
            }
            if let (Some(swim), Some(message)) = (&sorted.swim, &sorted.location) {
                self.handle_location(swim, message, now);
            }
            self.settle(sender, now);
            self.coordinates.end_input();
        }
        for frame in sorted.others.drain(..) {
            match frame {
                Frame::Records(records) => self.handle_records(from, sender, records, &sorted.ages, now),
                Frame::Ask(id, ask) => {
                    if self.may_ask(from, sorted.meant_for, now) {
                        self.answer(from, id, &ask, now);
                    }
                }
                Frame::Exam(exam) => self.handle_exam(from, &exam, bytes, now),
                other => self.handle_frame(from, sender, other, now),
            }
        }
        self.settle(sender, now);
        self.run_pulls(now);
    }

    /// The frames of a datagram, taken out of their seal into `opened` if there is one.
    fn open<'a>(
        &mut self,
        from: SocketAddr,
        bytes: &'a [u8],
        opened: &'a mut Vec<u8>,
        now: Instant,
    ) -> Result<Frames<'a>, Dropped> {
        let (header, body) = datagram::read(bytes, self.cluster, self.config.max_datagram_bytes)?;
        let is_member = self.swim.peers().is_live_at(from);
        match (&mut self.sealing, header.key) {
            (Some(sealing), _) => {
                sealing.open((from, is_member), header, bytes, opened, now)?;
                Ok(Frames::new(opened))
            }
            (None, None) => Ok(Frames::new(body)),
            (None, Some(_)) => Err(Dropped::UnknownKey),
        }
    }

    fn drop_unopened(&mut self, why: Dropped, from: SocketAddr, now: Instant) {
        self.drop_counted(why.as_str());
        self.note_stranger(from, why, now);
        if why == Dropped::UnknownKey
            && let Some(strange) = self.sealing.as_mut().and_then(|s| s.strange_to_tell(now))
        {
            self.events.push_back(Event::KeyMissing(strange));
        }
    }

    /// News of the end of a life that was reaped here already would only be reaped again.
    fn is_about_the_forgotten(&self, u: &MemberUpdate) -> bool {
        !u.state.is_live()
            && self.swim.peers().get(u.key).is_none()
            && self.catalog.was_dropped(u.key, u.epoch.generation())
    }

    fn handle_frame(&mut self, from: SocketAddr, sender: Option<NodeKey>, frame: Frame, now: Instant) {
        // A leaver answers questions and collects confirmations; it takes in nothing any more.
        let leaving = self.phase != Phase::Running;
        match frame {
            Frame::LeaveAck(by, generation) => {
                if generation == self.identity.generation
                    && let Some(leave) = &mut self.leave
                {
                    leave.on_ack(by);
                    self.run_leave(now);
                }
            }
            _ if leaving => {}
            Frame::Heads(heads) => {
                for head in heads {
                    self.handle_head(from, sender, &head, now);
                }
            }
            Frame::Root(theirs) => {
                self.repair.on_root(from, theirs, self.tree.root(), &self.config, now);
            }
            Frame::Join(request) => self.handle_join(from, &request, now),
            Frame::JoinReply(reply) => self.handle_join_reply(from, reply, now),
            Frame::DownNotice(key, epoch) => {
                if key == self.own {
                    self.handle_down_notice(epoch, now);
                }
            }
            Frame::NameClaim(claim) => self.handle_name_claim(&claim, now),
            Frame::Challenge(cookie) => self.handle_challenge(from, cookie, now),
            Frame::Keyring(shared) => self.handle_keyring(from, &shared, now),
            Frame::KeyringDigest(theirs) => self.handle_keyring_digest(from, theirs, now),
            Frame::Answer(id, answer) => self.handle_answer(from, id, answer, now),
            Frame::Leave(record) => self.handle_leave(from, record, now),
            Frame::Accusations(charges) => {
                for charge in &charges {
                    self.swim.handle_charge(charge, now);
                }
            }
            Frame::Nack(nack) => self.swim.handle_nack(&nack),
            Frame::UserEvent(event, age) => self.handle_user_event(from, event, age, now),
            // Sorted out before.
            Frame::Swim(_)
            | Frame::Members(_)
            | Frame::Records(_)
            | Frame::Ages(_)
            | Frame::Ask(..)
            | Frame::Echo(..)
            | Frame::For(_)
            | Frame::Exam(_)
            | Frame::Padding(_)
            | Frame::Coordinate(_) => {}
        }
    }

    /// Whether something about `owner` in `generation` may be taken in at all.
    pub(super) fn admits(&self, owner: NodeKey, generation: Generation, key: Option<&EntryKey>) -> bool {
        let left = self
            .swim
            .peers()
            .get(owner)
            .is_some_and(|p| p.state == Liveness::Left && generation <= p.epoch.generation());
        owner != self.own && (!left || key == Some(&EntryKey::Node))
    }

    /// Records with their ages, as far as they were told.
    fn handle_records(
        &mut self,
        from: SocketAddr,
        sender: Option<NodeKey>,
        records: Vec<Record>,
        ages: &[u32],
        now: Instant,
    ) {
        if self.phase != Phase::Running {
            return;
        }
        let peers = self.swim.peers();
        let way = peers.live_at(from).and_then(|key| peers.rtt(key)).unwrap_or_default() / 2;
        let ages = ages.iter().copied().map(Age::from_wire).chain(std::iter::repeat(None));
        for (record, age) in records.into_iter().zip(ages) {
            self.handle_record(from, sender, record, age.map(|age| age + way), now);
        }
    }

    fn handle_record(
        &mut self,
        from: SocketAddr,
        sender: Option<NodeKey>,
        record: Record,
        age: Option<Duration>,
        now: Instant,
    ) {
        let head = record.head;
        if head.owner == self.own {
            return self.handle_own_head(&head, now);
        }
        let Ok(key) = record.item.key() else { return self.drop_counted("record_malformed") };
        if !self.admits(head.owner, head.generation, Some(&key)) {
            return;
        }
        let outcome = self.catalog.apply_record(&record);
        let Some(outcome) = self.take_outcome(head.owner, outcome) else { return };
        if outcome.news {
            if let Some(age) = age {
                self.stats.propagation.add(age);
            }
            self.spread.record(record, key, Age::new(age, now), sender, now);
        }
        self.note_progress(head.owner, from, &outcome, false, now);
        self.settle_left(head.owner, now);
    }

    fn handle_head(&mut self, from: SocketAddr, sender: Option<NodeKey>, head: &Head, now: Instant) {
        if head.owner == self.own {
            return self.handle_own_head(head, now);
        }
        if !self.admits(head.owner, head.generation, None) {
            return;
        }
        let outcome = self.catalog.apply_head(head);
        let Some(outcome) = self.take_outcome(head.owner, outcome) else { return };
        self.note_progress(head.owner, from, &outcome, true, now);
        if outcome.news && outcome.behind {
            self.repair.announce_later(head.owner);
        } else if outcome.news {
            self.spread.head(*head, sender, now);
        }
    }

    /// Reports what an application changed; `None` when it was refused.
    pub(super) fn take_outcome(
        &mut self,
        owner: NodeKey,
        outcome: Result<Outcome, Refused>,
    ) -> Option<Outcome> {
        match outcome {
            Ok(outcome) => {
                for key in &outcome.changed {
                    self.events.push_back(Event::EntryChanged(owner, key.clone()));
                }
                self.touch(owner);
                Some(outcome)
            }
            Err(Refused::Malformed) => {
                self.drop_counted("record_malformed");
                None
            }
            Err(Refused::Oversize) => {
                self.drop_counted("record_oversize");
                None
            }
            Err(Refused::Full) => {
                self.drop_counted("record_full");
                None
            }
        }
    }

    pub(super) fn note_progress(
        &mut self,
        owner: NodeKey,
        from: SocketAddr,
        outcome: &Outcome,
        at_once: bool,
        now: Instant,
    ) {
        if outcome.behind {
            self.repair.note_behind(owner, from, at_once, now);
        } else if self.repair.caught_up(owner)
            && let Some(head) = self.catalog.head(owner)
        {
            self.spread.head(head, None, now);
        }
    }

    /// An owner whose record says that it left is no member any more.
    pub(super) fn settle_left(&mut self, owner: NodeKey, now: Instant) {
        if let Some(generation) = self.catalog.left_in(owner) {
            self.swim.end_life(owner, generation, now);
        }
    }

    fn handle_leave(&mut self, from: SocketAddr, record: Record, now: Instant) {
        let (owner, generation) = (record.head.owner, record.head.generation);
        self.handle_record(from, Some(owner), record, None, now);
        let known = self.catalog.left_in(owner) == Some(generation)
            || self.swim.peers().get(owner).is_some_and(|p| p.state == Liveness::Left);
        if known {
            self.send_frames(from, &[Frame::LeaveAck(self.own, generation)]);
        }
    }

    fn handle_join(&mut self, from: SocketAddr, request: &JoinRequest, now: Instant) {
        let key = request.name.key();
        if key == self.own {
            if request.epoch == self.swim.epoch() && request.id == self.identity.id {
                // Our own request, by another of our addresses.
                self.join.settled(from);
                return;
            }
            self.strangers.note(request.addr, "name_taken", Some(&request.name), now);
            let reply = JoinReply::NameHeld { holder: self.identity.addr, epoch: self.swim.epoch() };
            return self.send_frames(from, &[Frame::JoinReply(reply)]);
        }
        if !self.may_join(from, request.addr, now) {
            return;
        }
        let reply = self.judge_join(key, request, now);
        self.send_frames(from, &[Frame::JoinReply(reply)]);
        if matches!(reply, JoinReply::Welcome { .. }) {
            self.settle(Some(key), now);
        }
    }

    fn judge_join(&mut self, key: NodeKey, request: &JoinRequest, now: Instant) -> JoinReply {
        if let Some(p) = self.swim.peers().get(key) {
            if p.state.is_live() && p.addr != request.addr && !request.name_checked {
                self.strangers.note(request.addr, "name_taken", Some(&request.name), now);
                return JoinReply::NameHeld { holder: p.addr, epoch: p.epoch };
            }
            let over = p.epoch == request.epoch && (!p.state.is_live() || p.addr != request.addr);
            if p.epoch > request.epoch || over {
                return JoinReply::Remembered { epoch: p.epoch };
            }
        }
        let generation = request.epoch.generation();
        if let Some(table) = self.catalog.table(key)
            && (table.generation > generation || self.catalog.left_in(key) == Some(generation))
        {
            return JoinReply::Remembered { epoch: crate::wire::frame::Epoch::first_of(table.generation) };
        }
        let update = MemberUpdate {
            key,
            epoch: request.epoch,
            incarnation: request.incarnation,
            state: Liveness::Alive,
            addr: request.addr,
        };
        if self.swim.welcome(&update, now) {
            JoinReply::Welcome { from: self.own }
        } else {
            self.drop_counted("join_refused");
            JoinReply::Remembered { epoch: request.epoch }
        }
    }

    fn handle_join_reply(&mut self, from: SocketAddr, reply: JoinReply, now: Instant) {
        if !self.join.has_asked(from) {
            return self.drop_counted("join_reply_unasked");
        }
        match reply {
            JoinReply::Welcome { .. } => {
                let joining = !self.join.is_joined();
                if self.repair.begin(from, joining, self.tree.has_only(self.own)) {
                    self.join.settled(from);
                    if joining {
                        self.repair.look_again(now);
                    }
                }
            }
            JoinReply::NameHeld { holder, epoch } => self.join.name_held(holder, epoch, now),
            JoinReply::Remembered { epoch } => {
                self.join.again(from, now);
                self.outlive(epoch, now);
                // A peer that failed for us is not among the join addresses: ask it here.
                self.send_join_request(from);
            }
        }
    }

    /// Room for the body of one frame that has a datagram to itself.
    pub(super) fn frame_room(&self) -> usize {
        self.config.plain_bytes_max() - HEADER_BYTES - FRAME_OVERHEAD_BYTES
    }
}
