//! Repairs under way: questions out, answers in, and answers to the questions of others.

use super::{Agent, Phase};
use crate::core::catalog::Owner;
use crate::core::event::Event;
use crate::core::gossip::exchange::{Progress, Wanted};
use crate::core::swim::Peers;
use crate::model::{Generation, Instant, NodeKey, Version};
use crate::wire::Frame;
use crate::wire::frame::{Answer, Ask, MemberUpdate, Row, Want};
use rand::RngExt;
use rand::rngs::SmallRng;
use std::net::SocketAddr;

impl Agent {
    /// Sends the questions that are due and ends the exchanges that are over.
    pub(super) fn run_pulls(&mut self, now: Instant) {
        if self.phase != Phase::Running {
            return;
        }
        let (catalog, own, peers, rng) = (&self.catalog, self.own, self.swim.peers(), &mut self.rng);
        let want = |owner| {
            let known = catalog.owner(owner).filter(|known| owner != own && known.is_behind())?;
            let (generation, have) = (known.generation(), known.complete_to());
            let want = Want { owner, generation, have, cursor: None };
            Some(Wanted { want, upto: (generation, known.newest()) })
        };
        let mut other = || random_peer(peers, rng);
        self.repair.share(&mut other);
        self.repair.run_look(now, &mut other);
        self.repair.pull_behind(now, want, other);
        let mut questions: Vec<(SocketAddr, u32, Ask)> = Vec::new();
        // By rumours: whoever is one of many newcomers hears of the others before one peer can tell it all.
        let has_come = |wanted: &Wanted| {
            let known = catalog.owner(wanted.want.owner);
            known.is_some_and(|known| (known.generation(), known.complete_to()) >= wanted.upto)
        };
        for exchange in self.repair.exchanges() {
            let peer = exchange.peer;
            questions.extend(exchange.questions(now, has_come).into_iter().map(|(id, ask)| (peer, id, ask)));
        }
        for (peer, id, ask) in questions {
            let mut frames: Vec<Frame> =
                self.swim.peers().live_at(peer).map(Frame::For).into_iter().collect();
            frames.push(Frame::Ask(id, ask));
            self.send_frames(peer, &frames);
        }
        let ended = self.repair.ended(&self.config, now);
        for failed in ended.iter().filter(|x| x.has_failed()) {
            let (peers, rng) = (self.swim.peers(), &mut self.rng);
            self.repair.take_over(failed, || random_peer(peers, rng));
        }
        for ended in ended {
            if !ended.joining || self.join.is_joined() {
                continue;
            }
            if ended.has_failed() {
                self.join.again(ended.peer, now);
            } else {
                self.join.set_joined();
                self.events.push_back(Event::Joined { via: ended.peer, members: self.live_count() });
            }
        }
    }

    /// Answers a question, within the same cap on bytes per second as rumours.
    pub(super) fn answer(&mut self, from: SocketAddr, id: u32, ask: &Ask, now: Instant) {
        let rate = self.config.gossip_bytes_per_s_max as f64;
        let gained = now.since(self.answered_at).as_secs_f64() * rate;
        self.answer_tokens = (self.answer_tokens + gained).min(rate);
        self.answered_at = now;
        if self.answer_tokens <= 0.0 {
            return self.drop_counted("ask_over_rate");
        }
        let answer = self.known().answer(ask, self.frame_room());
        let before = self.outgoing.len();
        self.send_frames(from, &[Frame::Answer(id, answer)]);
        if let Some(out) = self.outgoing.get(before) {
            self.answer_tokens -= out.bytes.len() as f64;
        }
    }

    pub(super) fn handle_answer(&mut self, from: SocketAddr, id: u32, answer: Answer, now: Instant) {
        let max = self.config.max_record_bytes;
        let Some(exchange) = self.repair.asker(from, id) else { return self.drop_counted("answer_unasked") };
        exchange.on_answer(id, now);
        match answer {
            Answer::Digests(theirs) => exchange.on_digests(id, &theirs, &self.tree),
            Answer::Rows { rows, more } => {
                if exchange.on_rows(id, rows.last().map(|r| r.key), more) {
                    for row in rows {
                        self.handle_row(from, &row, now);
                    }
                    // Whoever is new here tells all that it learned of, not the first of them alone.
                    self.settle(None, now);
                }
            }
            Answer::Records(pages) => {
                let progress = exchange.on_records(id, pages);
                self.handle_progress(from, progress, now);
            }
            Answer::Chunk { total, bytes } => {
                let progress = exchange.on_chunk(id, total, &bytes, max);
                self.handle_progress(from, progress, now);
            }
        }
    }

    /// A node as a peer knows it: take over its membership, and pull what is missing of its table.
    fn handle_row(&mut self, from: SocketAddr, row: &Row, now: Instant) {
        if let Some(m) = &row.member {
            let update = MemberUpdate {
                key: row.key,
                epoch: m.epoch,
                incarnation: m.incarnation,
                state: m.state,
                addr: m.addr,
            };
            let reaped = !m.state.is_live()
                && self.swim.peers().get(row.key).is_none()
                && self.catalog.was_dropped(row.key, m.epoch.generation());
            if !reaped {
                let by = self.swim.peers().live_at(from);
                self.swim.handle_update(&update, false, by, now);
                self.carry_out(None, now);
            }
        }
        let Some(table) = &row.table else { return };
        if row.key == self.own {
            let head = crate::wire::frame::Head {
                owner: row.key,
                generation: table.generation,
                version: table.complete_to,
                digest: table.digest,
            };
            return self.handle_own_head(&head, now);
        }
        // Of two peers that are asked for everything one is asked for each table.
        if !self.catalog.wants(row.key, table) || self.repair.is_pulling(row.key) {
            return;
        }
        let known = self.catalog.table(row.key);
        let (generation, have) = known.map_or((Generation(0), Version(0)), |t| (t.generation, t.complete_to));
        if let Some(exchange) = self.repair.exchanges().find(|x| x.peer == from) {
            let want = Want { owner: row.key, generation, have, cursor: None };
            exchange.want(Wanted { want, upto: (table.generation, table.complete_to.max(table.newest)) });
        }
    }

    fn handle_progress(&mut self, from: SocketAddr, progress: Vec<Progress>, now: Instant) {
        for step in progress {
            let owner = match &step {
                Progress::Page(page) => page.owner,
                Progress::Item(owner, ..) => *owner,
                Progress::Complete(pulled) => pulled.owner,
            };
            if owner != self.own {
                self.handle_step(from, owner, step, now);
            }
        }
    }

    fn handle_step(&mut self, from: SocketAddr, owner: NodeKey, step: Progress, now: Instant) {
        let outcome = match step {
            Progress::Page(mut page) => {
                page.items.retain(|i| i.key().is_ok_and(|k| self.admits(owner, page.generation, Some(&k))));
                self.catalog.apply_page(&page)
            }
            Progress::Item(_, generation, item) => {
                if item.key().is_ok_and(|k| self.admits(owner, generation, Some(&k))) {
                    self.catalog.apply_item(owner, generation, &item)
                } else {
                    return;
                }
            }
            Progress::Complete(pulled) => Ok(self.catalog.complete(&pulled)),
        };
        let Some(outcome) = self.take_outcome(owner, outcome) else { return };
        if outcome.news {
            self.stats.sync_records += 1;
            if let Some(exchange) = self.repair.exchanges().find(|x| x.peer == from) {
                exchange.useful = true;
            }
        }
        if !outcome.behind && !self.catalog.owner(owner).is_some_and(Owner::is_behind) {
            self.note_progress(owner, from, &outcome, false, now);
        }
        self.settle_left(owner, now);
        self.settle(None, now);
    }
}

/// The address of a live member at random.
fn random_peer(peers: &Peers, rng: &mut SmallRng) -> Option<SocketAddr> {
    let live = peers.live();
    let key = *live.get(rng.random_range(0..live.len().max(1)))?;
    peers.get(key).map(|p| p.addr)
}
