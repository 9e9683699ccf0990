//! Letting time pass, and what is looked at after every step.

use super::{EXCUSED_AFTER_FAULT, Plan, World};
use crate::core::Event;
use crate::model::{Instant, LocalCommand};
use crate::sim::engine::{Engine, Step};
use crate::sim::errors::Errors;
use crate::sim::node::{BOOK_INTERVAL, Life, Node};
use crate::sim::oracle::{Difference, End, Standing};
use crate::sim::process::Program;
use crate::sim::{Action, HostId, Load};
use std::time::Duration;

/// How the core logs that another node has its name.
const NAME_TAKEN: &str = "another live node has this name";

/// Instances on a host up to which every change is followed by a look at all of them.
const COMPARED_ALWAYS_MAX: usize = 64;

impl World {
    /// Lets this much time pass.
    pub fn run_for(&mut self, time: Duration) {
        self.run_until(self.now() + time);
    }

    /// Lets time pass until `until`.
    pub fn run_until(&mut self, until: Instant) {
        while self.step(until) {}
    }

    /// Lets time pass until every live agent shows what it should, and says how long that took.
    /// The error says what is still wrong after `within`.
    pub fn run_until_converged(&mut self, within: Duration) -> Result<Duration, Difference> {
        let began = self.now();
        let until = began + within;
        while !self.oracle.is_settled() {
            if !self.step(until) {
                return self.converged().map(|()| within);
            }
        }
        Ok(self.now().since(began))
    }

    /// Does every live agent show what it should of every node and entry? Costs nothing when it
    /// does. Nodes that are paused demand nothing and nothing is demanded of them; links are not
    /// looked at, so ask only when no link is cut.
    pub fn converged(&self) -> Result<(), Difference> {
        self.oracle.difference().map_or(Ok(()), Err)
    }

    /// Do the digests of all live agents' catalogs agree, so that nothing is left to repair?
    pub fn digests_agree(&self) -> bool {
        let mut digests =
            self.hosts().filter(|h| self.is_live(*h)).filter_map(|h| Some(self.agent(h)?.root_digest()));
        let first = digests.next();
        digests.all(|d| Some(d) == first)
    }

    /// Reads all tables of all live agents and compares them with what they told and with the
    /// model. Costs as much as there is to read.
    ///
    /// # Panics
    /// If anything differs.
    pub fn verify(&mut self) {
        for host in self.hosts() {
            if !self.is_live(host) {
                continue;
            }
            if let Some(Err(what)) = self.program(host).map(|program| self.oracle.verify(host, program)) {
                self.violated(host, &what);
            }
            self.compare(host);
        }
    }

    /// Does something at `at`.
    pub fn at(&mut self, at: Instant, action: Action) {
        if let Action::Hostile { kind, .. } = &action {
            self.watch_datagrams(*kind);
        }
        self.plan(at, Plan::Act(action));
    }

    /// Starts a load now.
    pub fn load(&mut self, load: Load) {
        let number = self.loads.len();
        let running = super::load::RunningLoad::new(self.seed, number, load);
        self.loads.push(running);
        self.plan(self.now(), Plan::Load(number));
    }

    pub(super) fn plan(&mut self, at: Instant, plan: Plan) {
        self.planned += 1;
        self.plans.insert(self.planned, plan);
        self.engine.plan(at, self.planned);
    }

    /// Does the next thing; `false` once nothing is left to do until `until`.
    fn step(&mut self, until: Instant) -> bool {
        let stop = self.sample_due().map_or(until, |due| due.min(until));
        let Some(step) = self.engine.step(stop) else {
            if self.sample_due().is_some_and(|due| due <= self.now()) {
                self.sample();
                return true;
            }
            return false;
        };
        if let Some((host, what)) = self.engine.complaint.take() {
            self.violated(host, &what);
        }
        match step {
            Step::Input(_) => self.absorb(),
            Step::Woken(host) => {
                self.absorb();
                self.after_wake(host);
            }
            Step::Plan(number) => match self.plans.remove(&number) {
                Some(Plan::Act(action)) => self.act(&action),
                Some(Plan::Load(load)) => self.fire(load),
                Some(Plan::Hostile(number)) => self.attack(number),
                Some(Plan::CountBatches) => self.oracle.metrics.batches.clear(),
                Some(Plan::Reap(host, generation)) => self.oracle.reaped(host, generation),
                None => {}
            },
            Step::Nothing => {}
        }
        if self.errors.as_ref().is_some_and(Errors::any) {
            self.look_at_errors(step);
        }
        true
    }

    /// The core logged an error. Only a node whose name is taken has a reason to.
    fn look_at_errors(&mut self, step: Step) {
        let texts = self.errors.as_ref().map(Errors::take).unwrap_or_default();
        for text in texts {
            if text.starts_with(NAME_TAKEN) && self.names_refused > 0 {
                self.names_refused -= 1;
                continue;
            }
            let host = match step {
                Step::Input(host) | Step::Woken(host) => host,
                Step::Plan(_) | Step::Nothing => HostId(0),
            };
            self.violated(host, &format!("logged an error: {text}"));
        }
    }

    /// Shows the oracle what agents told, and does what their shells would do about it.
    pub(super) fn absorb(&mut self) {
        if self.engine.told.is_empty() {
            return;
        }
        let now = self.now();
        let mut told = std::mem::take(&mut self.engine.told);
        for (host, event) in told.drain(..) {
            let Some(program) = self.engine.host(host).process.as_ref() else { continue };
            let standing = |observer: HostId, subject: HostId| Standing {
                healthy: is_healthy(&self.engine, &self.nodes, self.excused_until, observer, subject),
                observer_faulty: self.nodes[observer.index()].faulty,
                subject_faulty: self.nodes[subject.index()].faulty,
            };
            if let Err(what) = self.oracle.observe(host, program, &event, now, &standing) {
                self.violated(host, &what);
            }
            self.serve(host, &event);
        }
        self.oracle.input_over();
        if self.engine.told.is_empty() {
            self.engine.told = told;
        }
    }

    fn serve(&mut self, host: HostId, event: &Event) {
        let now = self.now();
        let started = self.engine.host(host).started;
        let Some(program) = self.engine.host(host).process.as_ref() else { return };
        let node = &mut self.nodes[host.index()];
        if let Event::Left { acknowledged_by } = event {
            node.left_acknowledged_by = Some(*acknowledged_by);
            return self.end(host, End::Left);
        }
        let Some(agent) = program.agent() else { return };
        match event {
            Event::LocalChanged => {
                node.disk.local = agent.local().clone();
                node.reference.expire(now);
                // Much would be compared with every command; it is at the end of the run.
                if self.node(host).reference.services().len() <= COMPARED_ALWAYS_MAX {
                    self.compare(host);
                }
            }
            Event::KeyringChanged => node.disk.keyring = agent.keyring().cloned(),
            Event::GenerationRaised(generation) => node.disk.generation = Some(*generation),
            Event::Joined { .. } => {
                node.joined_after.get_or_insert(now.since(started));
                node.disk.book = agent.address_book();
            }
            Event::MemberChanged(_) | Event::MemberRemoved(_) => node.book_dirty = true,
            Event::NameTaken { .. } => {
                node.name_taken = true;
                self.names_refused += 1;
                self.end(host, End::NameTaken);
            }
            // Nothing is there to be probed: hosts of a world have no services that run.
            Event::ProbeDue { .. } | Event::ProbeEnded(_) => {}
            Event::UserEventHeard(_) => self.note_event(host, event),
            Event::EntryChanged(..)
            | Event::JoinRetried { .. }
            | Event::KeyMissing(_)
            | Event::Examined(_)
            | Event::Left { .. } => {}
        }
    }

    fn after_wake(&mut self, host: HostId) {
        let now = self.now();
        let Some(program) = self.engine.host(host).process.as_ref() else { return };
        let (waiting, max) = program.queue();
        self.queue_max = self.queue_max.max(waiting);
        if waiting > max {
            self.violated(host, &format!("{waiting} rumours wait: want at most {max}"));
        }
        let node = &mut self.nodes[host.index()];
        let Some(agent) = program.agent() else { return };
        if node.book_dirty && now.since(node.book_saved) >= BOOK_INTERVAL {
            node.book_dirty = false;
            node.book_saved = now;
            node.disk.book = agent.address_book();
        }
    }

    /// Compares the agent's own registrations with the plain model.
    pub(super) fn compare(&self, host: HostId) {
        let node = self.node(host);
        if let Some(agent) = self.agent(host)
            && self.is_live(host)
            && let Err(what) = node.reference.compare(agent, self.now())
        {
            self.violated(host, &what);
        }
    }

    /// The same for what a command touched; costs no more where much is registered.
    pub(super) fn compare_touched(&self, host: HostId, command: &LocalCommand) {
        let node = self.node(host);
        if let Some(agent) = self.agent(host)
            && self.is_live(host)
            && let Err(what) = node.reference.compare_touched(agent, command, self.now())
        {
            self.violated(host, &what);
        }
    }

    /// Ends the run.
    pub(super) fn violated(&self, host: HostId, what: &str) -> ! {
        panic!(
            "{name} at {time:?}: {node} ({host:?}) {what}\nreplay: {replay}",
            name = self.name,
            time = self.now().since_start(),
            node = self.name_of(host),
            replay = self.replay,
        );
    }

    /// The line that replays this run.
    pub fn replay(&self) -> String {
        self.replay.clone()
    }

    /// For as long after a fault are verdicts made under it excused.
    pub const fn excused_after_fault() -> Duration {
        EXCUSED_AFTER_FAULT
    }
}

/// Could these two reach each other for so long that a verdict of failure is wrong?
fn is_healthy(
    engine: &Engine<Program>,
    nodes: &[Node],
    excused_until: Instant,
    observer: HostId,
    subject: HostId,
) -> bool {
    let now = engine.now();
    let fit = |h: HostId| {
        let node = &nodes[h.index()];
        node.life == Life::Running && !engine.host(h).is_hindered() && node.excused_until <= now
    };
    excused_until <= now
        && fit(observer)
        && fit(subject)
        && !engine.network.is_cut(observer, subject)
        && !engine.network.is_cut(subject, observer)
}
