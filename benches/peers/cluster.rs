//! A cluster of real agents that is killed when it is dropped.

use crate::beliefs::{Beliefs, Event};
use crate::ports;
use crate::process::{self, Process, TICK};
use crate::streams::Streams;
use crate::system::{Seat, Subject, System};
use nix::sys::signal::Signal;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

/// Longer than a healthy cluster takes to find itself whole, on a busy machine.
const START_PATIENCE: Duration = Duration::from_secs(90);
/// From there until it is at rest.
const SETTLE: Duration = Duration::from_secs(5);

/// Seats kept for agents that join later, one each.
pub(crate) const SPARE: usize = 8;

pub(crate) struct Cluster {
    system: System,
    seats: Vec<Seat>,
    /// The seats that are taken from the start; the others are spare.
    size: usize,
    /// Spare seats that were taken.
    joined: usize,
    /// From when the last of those that start together was started.
    started: Instant,
    /// By seat; none where an agent was killed.
    agents: Vec<Option<Process>>,
    pub(crate) beliefs: Beliefs,
    events: Receiver<Event>,
    to_us: Sender<Event>,
    /// Dropped after the agents: it ends when they do.
    streams: Option<Streams>,
    _directory: tempfile::TempDir,
}

impl Cluster {
    /// Starts `agents` agents and waits until all see all and are at rest.
    pub(crate) fn start(system: System, agents: usize) -> Self {
        let mut cluster = Self::spawn(system, agents);
        if cluster.until(START_PATIENCE, Beliefs::all_see_all).is_none() {
            cluster.say_who_ended();
            panic!("{} does not start: {:?}", system.name(), cluster.beliefs.not_alive());
        }
        cluster.watch_for(SETTLE);
        cluster
    }

    /// Starts `agents` agents: one, and when that lets others join all others at once.
    pub(crate) fn spawn(system: System, agents: usize) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let seat = |number| Seat {
            number,
            port: ports::free(),
            rpc_port: ports::free(),
            directory: directory.path().to_owned(),
        };
        let seats: Vec<Seat> = (0..agents + SPARE).map(seat).collect();
        system.prepare(directory.path());
        let (to_us, events) = mpsc::channel();
        let mut cluster = Self {
            system,
            size: agents,
            joined: 0,
            started: Instant::now(),
            agents: seats.iter().map(|_| None).collect(),
            seats,
            beliefs: Beliefs::new(agents + SPARE),
            events,
            to_us,
            streams: None,
            _directory: directory,
        };
        cluster.start_all();
        cluster
    }

    fn start_all(&mut self) {
        self.start_agent(0);
        let deadline = Instant::now() + START_PATIENCE;
        while !self.system.is_up(&self.seats[0]) {
            assert!(Instant::now() < deadline, "the first agent lets others join");
            process::sleep(Duration::from_millis(10));
        }
        for number in 1..self.size {
            self.start_agent(number);
        }
        self.started = Instant::now();
    }

    /// When all were started.
    pub(crate) const fn started(&self) -> Instant {
        self.started
    }

    pub(crate) const fn system(&self) -> System {
        self.system
    }

    /// The processes that run.
    pub(crate) fn processes(&self) -> Vec<u32> {
        self.agents.iter().flatten().map(Process::id).collect()
    }

    /// Starts an agent on a seat that nobody had: its number, and when its start began.
    pub(crate) fn join_one(&mut self) -> (usize, Instant) {
        assert!(self.joined < SPARE, "a cluster has {SPARE} spare seats");
        let number = self.size + self.joined;
        self.joined += 1;
        let start = Instant::now();
        self.start_agent(number);
        (number, start)
    }

    fn say_who_ended(&mut self) {
        for (number, agent) in self.agents.iter_mut().enumerate() {
            if let Some(status) = agent.as_mut().and_then(Process::has_ended) {
                eprintln!("agent {number} ended: {status}");
            }
        }
    }

    pub(crate) const fn size(&self) -> usize {
        self.size
    }

    /// Starts the agent of a seat, which joins another.
    pub(crate) fn start_agent(&mut self, number: usize) {
        let others_run = self.agents.iter().any(Option::is_some);
        let other = others_run.then(|| &self.seats[usize::from(number == 0)]);
        let command = self.system.command(&self.seats[number], other);
        let system = self.system;
        let ports: Vec<u16> = self.seats.iter().map(|s| s.port).collect();
        let to_us = self.to_us.clone();
        let tell = move |line: &str| {
            let at = Instant::now();
            let told = system.read_line(line).and_then(|(subject, status)| {
                let subject = match subject {
                    Subject::Number(number) => number,
                    Subject::Port(port) => ports.iter().position(|p| *p == port)?,
                };
                Some(Event { at, observer: number, subject, status })
            });
            if let Some(event) = told {
                // Nobody listens any more when the cluster ends.
                to_us.send(event).ok();
            }
        };
        self.agents[number] = Some(Process::start(&command, tell));
        self.beliefs.set_present(number, true);
    }

    /// Tells an agent to say goodbye and end. It is not one of all any more; when it was told.
    pub(crate) fn leave(&mut self, number: usize, signal: Signal) -> Instant {
        self.beliefs.set_present(number, false);
        self.signal(&[number], signal)
    }

    /// Ends an agent as `kill -9` does, and tells when. It observes nothing from then on.
    pub(crate) fn kill(&mut self, number: usize) -> Instant {
        let at = Instant::now();
        self.agents[number] = None;
        at
    }

    /// Takes in what a killed agent told to the end, and forgets what it believed.
    pub(crate) fn bury(&mut self, number: usize) {
        while let Ok(event) = self.events.try_recv() {
            self.beliefs.take_in(event);
        }
        self.beliefs.forget_view(number);
    }

    /// Sends a signal to some agents, and tells when.
    pub(crate) fn signal(&self, numbers: &[usize], signal: Signal) -> Instant {
        let at = Instant::now();
        for &number in numbers {
            self.agents[number].as_ref().expect("it runs").signal(signal);
        }
        at
    }

    /// From now on changes are told too. Serf's logs tell them anyway; Shoal's do not, and its agents
    /// have more to do when they are asked to.
    pub(crate) fn tell_changes(&mut self) {
        if self.system == System::Shoal && self.streams.is_none() {
            self.streams = Some(Streams::open(&self.seats[..self.size], &self.to_us));
        }
    }

    /// Changes something on an agent, and tells when that began and when it was done.
    pub(crate) fn change(&self, number: usize, change: usize) -> (Instant, Instant) {
        let start = Instant::now();
        self.system.change(&self.seats[number], change);
        (start, Instant::now())
    }

    /// Takes in events until `done` holds, and tells when the event came that made it so.
    pub(crate) fn until(&mut self, patience: Duration, done: impl Fn(&Beliefs) -> bool) -> Option<Instant> {
        let deadline = Instant::now() + patience;
        while Instant::now() < deadline {
            if let Some(event) = self.next_event(TICK) {
                self.beliefs.take_in(event);
                if done(&self.beliefs) {
                    return Some(event.at);
                }
            } else if done(&self.beliefs) {
                return Some(Instant::now());
            }
        }
        None
    }

    /// Takes in events for a set time.
    pub(crate) fn watch_for(&mut self, time: Duration) {
        let end = Instant::now() + time;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            if let Some(event) = self.next_event(left.min(TICK)) {
                self.beliefs.take_in(event);
            }
        }
    }

    fn next_event(&self, patience: Duration) -> Option<Event> {
        process::check_interrupt();
        match self.events.recv_timeout(patience) {
            Ok(event) => Some(event),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => unreachable!("we hold a sender"),
        }
    }
}
