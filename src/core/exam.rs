//! Examinations: whether datagrams get to members and back, how large ones, and in which direction they get
//! lost. For who looks for a fault; what is found changes nothing in what this agent believes.
//!
//! Each subject is sent a small and a full-sized question, three times while it is silent, and answers
//! with as many bytes. Of what stays unanswered others are asked whether the question arrived: then it is
//! the way back that is broken, and otherwise the way there. Answers remember nobody but the numbers of the
//! last questions, and are limited in rate.

use crate::core::bucket::{Bucket, Rate};
use crate::model::{Instant, NodeKey};
use crate::wire::exam::QUESTION_BITS;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

/// Members that one examination is about.
pub const SUBJECTS_MAX: usize = 16;
/// Others that are asked whether a question arrived.
pub(crate) const HELPERS: usize = 3;
/// Questions of others of which it is remembered that they arrived, by asker and examination.
const ARRIVED_MAX: usize = 256;
/// Answers to others, and what is passed on for them: at once, and a second.
const ANSWERS: Rate = Rate { at_once: 100.0, per_s: 50.0 };
/// Where the bits of full-sized questions begin.
const LARGE: u32 = 4;

/// What is done when, after the beginning.
const PLAN: [(u64, Deed); 6] = [
    (0, Deed::Ask(0)),
    (300, Deed::Ask(1)),
    (600, Deed::Ask(2)),
    (1_000, Deed::Inquire),
    (1_400, Deed::Inquire),
    (2_000, Deed::End),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deed {
    /// Asks everybody who has not answered, for the time of that number.
    Ask(u32),
    /// Asks others what arrived.
    Inquire,
    End,
}

/// How questions of one size fared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Trip {
    /// The time until the first answer; `None`: there was none.
    pub rtt: Option<Duration>,
    /// Whether any of the questions arrived: known from an answer, or from others. `None`: nobody could
    /// say.
    pub arrived: Option<bool>,
}

/// What an examination found out about the way to one member and back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    /// The member.
    pub key: NodeKey,
    /// Where it was asked.
    pub addr: SocketAddr,
    /// Small datagrams.
    pub small: Trip,
    /// Datagrams of the largest size.
    pub large: Trip,
    /// Where the questions came from, as seen there.
    pub saw: Option<SocketAddr>,
    /// By how many milliseconds the wall clock there is ahead of the one here, give or take half the
    /// time of the answer.
    pub skew_ms: Option<i64>,
}

/// One that is under way.
#[derive(Debug)]
struct Running {
    number: u32,
    began: Instant,
    step: usize,
    links: Vec<Link>,
    /// When the question of each number was sent.
    sent: [Option<Instant>; 8],
}

#[derive(Debug)]
pub(crate) struct Exams {
    running: Option<Running>,
    arrived: VecDeque<(NodeKey, u32, u8)>,
    answers: Bucket,
    /// What the wall clock showed, and when.
    wall: Option<(u64, Instant)>,
}

impl Exams {
    pub(crate) const fn new(now: Instant) -> Self {
        Self { running: None, arrived: VecDeque::new(), answers: Bucket::new(ANSWERS, now), wall: None }
    }

    pub(crate) fn set_wall(&mut self, unix_ms: u64, now: Instant) {
        self.wall = Some((unix_ms, now));
    }

    /// What the wall clock shows, as far as it was told.
    pub(crate) fn wall(&self, now: Instant) -> Option<u64> {
        let (unix_ms, at) = self.wall?;
        Some(unix_ms.saturating_add(u64::try_from(now.since(at).as_millis()).unwrap_or(u64::MAX)))
    }

    // ---- asking

    /// Begins, unless one is under way; says whether it did. `number` is random.
    pub(crate) fn begin(&mut self, number: u32, subjects: &[(NodeKey, SocketAddr)], now: Instant) -> bool {
        if self.running.is_some() {
            return false;
        }
        let link = |(key, addr): &(NodeKey, SocketAddr)| Link {
            key: *key,
            addr: *addr,
            small: Trip::default(),
            large: Trip::default(),
            saw: None,
            skew_ms: None,
        };
        let links = subjects.iter().take(SUBJECTS_MAX).map(link).collect();
        let number = number & !QUESTION_BITS;
        self.running = Some(Running { number, began: now, step: 0, links, sent: [None; 8] });
        true
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        let running = self.running.as_ref()?;
        PLAN.get(running.step).map(|(ms, _)| running.began + Duration::from_millis(*ms))
    }

    /// What is to be done by now; once for each step. Nothing is left to wait for once everybody has
    /// answered.
    pub(crate) fn due(&mut self, now: Instant) -> Option<Deed> {
        self.next().filter(|at| *at <= now)?;
        let running = self.running.as_mut()?;
        let (_, deed) = PLAN.get(running.step)?;
        running.step += 1;
        let complete = running.links.iter().all(|l| l.small.rtt.is_some() && l.large.rtt.is_some());
        Some(if complete { Deed::End } else { *deed })
    }

    /// The questions of a round: to whom, with which number, and whether it is to be full-sized.
    pub(crate) fn questions(&mut self, round: u32, now: Instant) -> Vec<(NodeKey, SocketAddr, u32, bool)> {
        let Some(running) = &mut self.running else { return Vec::new() };
        let (small, large) = (round, LARGE + round);
        for bits in [small, large] {
            if let Some(sent) = running.sent.get_mut(bits as usize) {
                *sent = Some(now);
            }
        }
        let number = running.number;
        let of = |l: &Link| {
            let small = l.small.rtt.is_none().then_some((l.key, l.addr, number | small, false));
            let large = l.large.rtt.is_none().then_some((l.key, l.addr, number | large, true));
            [small, large]
        };
        running.links.iter().flat_map(of).flatten().collect()
    }

    /// What is to be inquired of whom: the examination, the subject, and those of `others` to ask.
    pub(crate) fn inquiries(&self, others: &[NodeKey]) -> Vec<(u32, NodeKey, Vec<NodeKey>)> {
        let Some(running) = &self.running else { return Vec::new() };
        let answers = |key: &NodeKey| running.links.iter().any(|l| l.key == *key && l.small.rtt.is_some());
        let silent = |key: &NodeKey| running.links.iter().any(|l| l.key == *key && l.small.rtt.is_none());
        let of = |l: &Link| {
            if l.small.rtt.is_some() {
                // Small datagrams get through: it can say itself what else did.
                return (running.number, l.key, vec![l.key]);
            }
            let not_subject = || others.iter().copied().filter(|key| *key != l.key);
            let known_good = not_subject().filter(answers);
            let unknown = not_subject().filter(|key| !answers(key) && !silent(key));
            (running.number, l.key, known_good.chain(unknown).take(HELPERS).collect())
        };
        let incomplete = running.links.iter().filter(|l| l.small.rtt.is_none() || l.large.rtt.is_none());
        incomplete.map(of).collect()
    }

    /// An answer came; says whether it was wanted.
    pub(crate) fn answered(
        &mut self,
        (number, from): (u32, NodeKey),
        (saw, unix_ms): (SocketAddr, u64),
        now: Instant,
    ) -> bool {
        let own = self.wall(now);
        let Some(running) = self.running.as_mut().filter(|r| r.number == number & !QUESTION_BITS) else {
            return false;
        };
        let bits = number & QUESTION_BITS;
        let sent = running.sent.get(bits as usize).copied().flatten();
        let Some((link, sent)) = running.links.iter_mut().find(|l| l.key == from).zip(sent) else {
            return false;
        };
        let rtt = now.since(sent);
        link.saw = Some(saw);
        if let Some(own) = own.filter(|_| unix_ms != 0 && link.skew_ms.is_none()) {
            let half = i64::try_from(rtt.as_millis() / 2).unwrap_or(0);
            let ms = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
            link.skew_ms = Some(ms(unix_ms).saturating_add(half).saturating_sub(ms(own)));
        }
        let trip = if bits < LARGE { &mut link.small } else { &mut link.large };
        trip.rtt.get_or_insert(rtt);
        trip.arrived = Some(true);
        true
    }

    /// Somebody says which questions arrived there; says whether it was wanted.
    pub(crate) fn reported(&mut self, number: u32, about: NodeKey, arrived: u8) -> bool {
        let Some(running) = self.running.as_mut().filter(|r| r.number == number & !QUESTION_BITS) else {
            return false;
        };
        let Some(link) = running.links.iter_mut().find(|l| l.key == about) else { return false };
        for (trip, bits) in [(&mut link.small, 0x0f), (&mut link.large, 0xf0)] {
            let there = arrived & bits != 0;
            trip.arrived = Some(there || trip.arrived.unwrap_or(false));
        }
        true
    }

    /// What was found out; ends it.
    pub(crate) fn end(&mut self) -> Option<Vec<Link>> {
        self.running.take().map(|running| running.links)
    }

    // ---- answering

    /// A question of somebody else arrived.
    pub(crate) fn note_arrived(&mut self, asker: NodeKey, number: u32) {
        let (exam, bit) = (number & !QUESTION_BITS, 1_u8 << (number & QUESTION_BITS));
        if let Some((.., bits)) = self.arrived.iter_mut().find(|(a, e, _)| (*a, *e) == (asker, exam)) {
            *bits |= bit;
            return;
        }
        if self.arrived.len() >= ARRIVED_MAX {
            self.arrived.pop_front();
        }
        self.arrived.push_back((asker, exam, bit));
    }

    /// One bit for each question of that examination that arrived.
    pub(crate) fn arrived(&self, asker: NodeKey, number: u32) -> u8 {
        let exam = number & !QUESTION_BITS;
        self.arrived.iter().find(|(a, e, _)| (*a, *e) == (asker, exam)).map_or(0, |(.., bits)| *bits)
    }

    /// Whether another datagram may be sent on behalf of others.
    pub(crate) fn admits(&mut self, now: Instant) -> bool {
        self.answers.take(ANSWERS, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_questions_are_remembered_to_have_arrived() {
        let mut exams = Exams::new(Instant::START);
        for n in 0..10_000 {
            exams.note_arrived(NodeKey(n), 8);
        }
        exams.note_arrived(NodeKey(9_999), 8 | 5);
        assert_eq!(exams.arrived.len(), ARRIVED_MAX);
        assert_eq!((exams.arrived(NodeKey(9_999), 8), exams.arrived(NodeKey(1), 8)), (0b10_0001, 0));
        assert_eq!(exams.arrived(NodeKey(9_999), 16), 0, "another examination");
    }

    #[test]
    fn answers_for_others_are_limited() {
        let mut exams = Exams::new(Instant::START);
        let at_once = (0..10_000).filter(|_| exams.admits(Instant::START)).count();
        assert_eq!(at_once, ANSWERS.at_once as usize);
        let later = Instant::START + Duration::from_secs(1);
        assert_eq!((0..10_000).filter(|_| exams.admits(later)).count(), ANSWERS.per_s as usize);
    }

    #[test]
    fn so_many_members_are_examined_one_time_after_the_other() {
        let mut exams = Exams::new(Instant::START);
        let addr = SocketAddr::from(([10, 0, 0, 1], 1));
        let subjects: Vec<(NodeKey, SocketAddr)> = (0..100).map(|n| (NodeKey(n), addr)).collect();
        assert!(exams.begin(0xdead_beef, &subjects, Instant::START));
        assert!(!exams.begin(1, &subjects, Instant::START));
        assert_eq!(exams.due(Instant::START), Some(Deed::Ask(0)));
        assert_eq!(exams.questions(0, Instant::START).len(), 2 * SUBJECTS_MAX);
        assert_eq!(exams.end().map(|links| links.len()), Some(SUBJECTS_MAX));
        assert!(exams.end().is_none() && exams.next().is_none());
    }
}
