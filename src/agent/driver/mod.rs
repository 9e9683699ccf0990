//! The loop that owns [`core::Agent`](crate::core::Agent).
//!
//! Owns the protocol's state, the gossip socket and the order of things: shutdown, timers, at most
//! 64 datagrams, then a look at the clock again. After each input everything that the protocol has
//! to say is taken from it; what changed becomes visible to readers once per turn, and callers are
//! answered after that, so that nobody is told of a change that cannot be seen yet. Nothing in
//! here waits for a disk, a name server or a reader.

mod examining;
mod inputs;
mod requests;

use super::checks::{Context, Outcome, Runner};
use super::clock::{self, Clock};
use super::config::AgentConfig;
use super::examine::ClockWatch;
use super::interference::Interference;
use super::join::{Joiner, Resolved};
use super::journal::Journal;
use super::logging::LogControl;
use super::publish::{LoopStats, Publisher};
use super::registrations::Registrations;
use super::servers::Servers;
use super::udp::GossipSocket;
use super::user_events::{Bench, Judged};
use crate::api::access::Access;
use crate::api::request::{Reply, Request, RequestError};
use crate::core::Agent;
use crate::model::{Instant, NodeName};
use examining::Examinations;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Datagrams, and requests, and reports of closed ports that one turn takes.
const PER_TURN_MAX: usize = 64;
/// Between two reports of the agent on itself.
const STATUS_EVERY: Duration = Duration::from_secs(1);
/// The end of leaving, should the protocol not tell.
const LEAVE_MAX: Duration = Duration::from_millis(4_600);
/// Turns between two moments in which the runtime's other tasks certainly run.
const TURNS_UNTIL_YIELD: u64 = 8;
const DATAGRAM_BYTES_MAX: usize = 65_536;
/// Background jobs whose results may wait; a full channel holds up only the job.
const BACKGROUND_MAX: usize = 64;

/// Why an agent has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// It left the cluster.
    Left,
    /// It was told to end at once.
    Aborted,
    /// Another live node has its name.
    NameTaken {
        /// The name.
        name: NodeName,
        /// Where the other one is.
        holder: SocketAddr,
    },
    /// A thread of it died; the log says of what.
    Crashed,
}

/// How an agent is told to end.
#[derive(Debug, Clone, Default)]
pub(super) struct Shutdown {
    pub(super) graceful: CancellationToken,
    pub(super) at_once: CancellationToken,
}

/// What the loop is made of.
pub(super) struct Parts {
    pub(super) agent: Agent,
    pub(super) clock: Clock,
    pub(super) socket: GossipSocket,
    pub(super) publisher: Publisher,
    pub(super) registrations: Registrations,
    pub(super) requests: mpsc::Receiver<Request>,
    pub(super) config: AgentConfig,
    pub(super) log: Option<LogControl>,
    pub(super) access: Arc<Access>,
    pub(super) interference: Option<Arc<dyn Interference>>,
    pub(super) shutdown: Shutdown,
    /// Where checks are carried out.
    pub(super) runtime: Handle,
}

/// What ended a wait.
enum Woken {
    AtOnce,
    Graceful,
    Timer,
    Written(Result<(), String>),
    Request(Option<Request>),
    Background(Background),
    Checked(Outcome),
    Socket,
}

/// What was done outside the loop.
enum Background {
    Resolved(Resolved),
    /// Fired events, with whether they are meant for this node.
    Judged(Vec<Judged>),
    Reread(Box<Result<AgentConfig, RequestError>>, Reply<()>),
    /// What the files of this configuration define is registered, or could not be.
    Registered(Result<(), RequestError>, Box<AgentConfig>, Reply<()>),
}

/// An answer that waits for the end of the turn.
type Answer = Box<dyn FnOnce() + Send>;

/// The loop with its state.
pub(super) struct Driver {
    agent: Agent,
    clock: Clock,
    socket: GossipSocket,
    publisher: Publisher,
    journal: Journal,
    registrations: Registrations,
    joiner: Joiner,
    /// Fired events that are not judged yet.
    bench: Bench,
    requests: mpsc::Receiver<Request>,
    requests_open: bool,
    background: mpsc::Receiver<Background>,
    to_background: mpsc::Sender<Background>,
    /// Carries out this host's checks.
    runner: Runner,
    outcomes: mpsc::Receiver<Outcome>,
    config: AgentConfig,
    log: Option<LogControl>,
    access: Arc<Access>,
    interference: Option<Arc<dyn Interference>>,
    /// Where the API is served.
    api_runtime: Handle,
    examinations: Examinations,
    clock_watch: ClockWatch,
    shutdown: Shutdown,
    answers: Vec<Answer>,
    leave_by: Option<Instant>,
    leave_replies: Vec<Reply<()>>,
    ended: Option<Ended>,
    members_changed: bool,
    others: usize,
    status_at: Instant,
    status_stale: bool,
    stats: LoopStats,
    buffer: Vec<u8>,
}

fn answer_later<T: Send + 'static>(reply: Reply<T>, result: Result<T, RequestError>) -> Answer {
    // A caller that has gone is no concern of the loop.
    Box::new(move || drop(reply.send(result)))
}

impl Driver {
    pub(super) fn new(parts: Parts) -> Self {
        let (to_background, background) = mpsc::channel(BACKGROUND_MAX);
        let (runner, outcomes) = Runner::new(parts.runtime.clone(), Context::new(), Runner::RUNS_MAX);
        let identity = parts.agent.identity();
        let now = parts.clock.now();
        Self {
            journal: Journal::new(identity.name.key()),
            joiner: Joiner::new(identity.addr, parts.config.join().to_vec(), now),
            bench: Bench::default(),
            agent: parts.agent,
            clock: parts.clock,
            socket: parts.socket,
            publisher: parts.publisher,
            registrations: parts.registrations,
            requests: parts.requests,
            requests_open: true,
            background,
            to_background,
            runner,
            outcomes,
            config: parts.config,
            log: parts.log,
            access: parts.access,
            interference: parts.interference,
            api_runtime: parts.runtime,
            examinations: Examinations::default(),
            clock_watch: ClockWatch::default(),
            shutdown: parts.shutdown,
            answers: Vec::new(),
            leave_by: None,
            leave_replies: Vec::new(),
            ended: None,
            members_changed: true,
            others: 0,
            status_at: now,
            status_stale: true,
            stats: LoopStats::default(),
            buffer: vec![0; DATAGRAM_BYTES_MAX],
        }
    }

    /// Runs until the agent has ended, and ends what it serves.
    pub(super) async fn run(mut self, servers: Servers) -> Ended {
        let mut now = self.clock.now();
        self.drain(now);
        let ended = loop {
            self.end_turn(now);
            if let Some(ended) = self.ended.take() {
                break ended;
            }
            self.stats.turns += 1;
            if self.stats.turns.is_multiple_of(TURNS_UNTIL_YIELD) {
                tokio::task::yield_now().await;
            }
            let woken = self.wait().await;
            if let Some(interference) = &self.interference {
                interference.stand_still();
            }
            now = self.clock.now();
            self.turn(woken, now);
        };
        self.finish(ended, servers).await
    }

    fn next_wake(&self) -> Option<Instant> {
        let status = (self.others > 0 || self.status_stale).then_some(self.status_at);
        [
            self.agent.poll_timeout().map(|(at, _)| at),
            self.registrations.next_wake(),
            self.joiner.next_wake(),
            self.leave_by,
            status,
        ]
        .into_iter()
        .flatten()
        .min()
    }

    async fn wait(&mut self) -> Woken {
        let wake = self.next_wake().map(|at| self.clock.deadline(at));
        let timer = async {
            match wake {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        let take_requests = self.requests_open && self.registrations.has_room();
        tokio::select! {
            biased;
            () = self.shutdown.at_once.cancelled() => Woken::AtOnce,
            () = self.shutdown.graceful.cancelled(), if self.leave_by.is_none() => Woken::Graceful,
            result = self.registrations.finished() => Woken::Written(result),
            Some(done) = self.background.recv() => Woken::Background(done),
            Some(outcome) = self.outcomes.recv() => Woken::Checked(outcome),
            () = timer => Woken::Timer,
            request = self.requests.recv(), if take_requests => Woken::Request(request),
            () = self.socket.ready() => Woken::Socket,
        }
    }

    /// One turn: whatever ended the wait, everything gets its share.
    fn turn(&mut self, woken: Woken, now: Instant) {
        self.publisher.set_clock(clock::unix_millis());
        match woken {
            Woken::AtOnce => {
                self.ended = Some(Ended::Aborted);
                return;
            }
            Woken::Graceful => self.begin_leaving(now),
            Woken::Written(result) => self.written(result, now),
            Woken::Background(done) => self.background_done(done, now),
            Woken::Checked(outcome) => self.checked(outcome, now),
            Woken::Request(Some(request)) => self.request(request, now),
            Woken::Request(None) => self.requests_open = false,
            Woken::Timer | Woken::Socket => {}
        }
        self.timers(now);
        self.datagrams(PER_TURN_MAX, now);
        for _ in 0..PER_TURN_MAX {
            if !self.registrations.has_room() {
                break;
            }
            let Ok(request) = self.requests.try_recv() else { break };
            self.request(request, now);
        }
    }

    fn begin_leaving(&mut self, now: Instant) {
        if self.leave_by.is_some() {
            return;
        }
        tracing::info!("leaving the cluster");
        self.leave_by = Some(now + LEAVE_MAX);
        self.status_at = now;
        self.status_stale = true;
        self.agent.leave(now);
        self.drain(now);
    }

    /// What is done once per turn: the next write, the new view, the answers.
    fn end_turn(&mut self, now: Instant) {
        for (reply, error) in self.registrations.advance(&self.agent, &self.clock) {
            self.answers.push(answer_later(reply, Err(error)));
        }
        if std::mem::take(&mut self.members_changed) {
            self.count_members(now);
        }
        if self.status_at <= now && (self.others > 0 || self.status_stale) {
            self.publisher.status(&self.agent, now, self.socket.stats(), self.stats);
            let moment = self.clock.moment();
            self.clock_watch.look(moment);
            self.agent.set_wall_clock(moment.unix_ms, moment.now);
            self.status_at = now + STATUS_EVERY;
            self.status_stale = false;
        } else {
            self.status_stale |= self.publisher.is_dirty();
        }
        self.publisher.publish();
        for answer in self.answers.drain(..) {
            answer();
        }
    }

    fn count_members(&mut self, now: Instant) {
        let mut live = Vec::new();
        let mut all = 0_usize;
        for member in self.agent.members() {
            all += 1;
            if member.status.is_live() {
                live.push(member.addr);
            }
        }
        self.others = all.saturating_sub(1);
        for (reply, result) in self.joiner.members(&live, now) {
            self.answers.push(answer_later(reply, result));
        }
    }

    async fn finish(mut self, ended: Ended, servers: Servers) -> Ended {
        if ended == Ended::Aborted {
            // As if the process had been killed: whoever waits finds the line dead.
            return ended;
        }
        for (reply, error) in self.registrations.close(&self.agent, &self.clock).await {
            self.answers.push(answer_later(reply, Err(error)));
        }
        for (reply, result) in self.joiner.close() {
            self.answers.push(answer_later(reply, result));
        }
        for reply in self.leave_replies {
            self.answers.push(answer_later(reply, Ok(())));
        }
        self.publisher.status(&self.agent, self.clock.now(), self.socket.stats(), self.stats);
        self.publisher.publish();
        for answer in self.answers {
            answer();
        }
        // Requests that came too late find the channel closed.
        drop(self.requests);
        servers.stop().await;
        ended
    }
}
