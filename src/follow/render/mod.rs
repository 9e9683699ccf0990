//! Files that are written from templates, again whenever what they ask of the table changes.
//!
//! Owns when to render, what may replace what, and what runs afterwards. A file is only ever
//! replaced by one that was rendered whole and verified; anything else keeps the last good one.

mod table;
mod target;
mod template;

use super::command_run::{Attention, Capture, RunEnd, ShellCommand, told};
use super::debounce::Debounce;
use crate::client::{Client, Error, WatchEvent};
use nix::sys::signal::Signal;
use std::collections::BTreeSet;
use std::fs::File;
use std::future::pending;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;
use template::{Renderer, SharedTable};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

/// A template asks about services that answers named, which name more, and so on: this often.
const ROUNDS_MAX: usize = 16;
/// The largest template that is read.
const TEMPLATE_BYTES_MAX: u64 = 16 << 20;
/// Wait before asking again an agent that has just started and does not know all yet.
const CATCH_UP_PAUSE: Duration = Duration::from_millis(100);
/// Wait before asking again an agent that did not answer.
const RETRY_PAUSE: Duration = Duration::from_secs(1);
/// Render when nothing changed for so long, unless another time is given.
pub(crate) const DEBOUNCE: Duration = Duration::from_millis(200);
/// Wait at most so long for that.
pub(crate) const MAX_WAIT: Duration = Duration::from_secs(2);
/// What a run of a command may take.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(60);

/// A template, and where what comes of it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pair {
    pub(crate) template: PathBuf,
    pub(crate) out: PathBuf,
}

impl Pair {
    /// Reads `TEMPLATE:OUT`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (template, out) = text.split_once(':')?;
        let both = !template.is_empty() && !out.is_empty();
        both.then(|| Self { template: template.into(), out: out.into() })
    }

    /// Whether every one of `pairs` has a place of its own.
    pub(crate) fn are_apart(pairs: &[Self]) -> bool {
        let outs: BTreeSet<&Path> = pairs.iter().map(|pair| pair.out.as_path()).collect();
        outs.len() == pairs.len()
    }

    /// Whether it goes to standard output.
    pub(crate) fn is_printed(&self) -> bool {
        self.out == Path::new("-")
    }
}

/// Which files, and how they are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) files: Vec<Pair>,
    /// Says whether a new file is good.
    pub(crate) verify: Option<String>,
    /// Runs once when any of the files was replaced.
    pub(crate) exec: Option<String>,
    pub(crate) debounce: Duration,
    pub(crate) max_wait: Duration,
    /// Render this often as well.
    pub(crate) interval: Option<Duration>,
    pub(crate) timeout: Duration,
}

/// Whoever is told what happens.
pub(crate) trait Report {
    /// Why it ends early.
    type Stop: From<Error>;
    /// What commands say belongs to what is told of them, and does not go to where this process writes.
    const CAPTURES: bool;

    /// A template whose OUT is standard output says this.
    fn printed(&mut self, text: &str) -> Result<(), Self::Stop>;
    /// A file has a new content.
    fn wrote(&mut self, out: &Path) -> Result<(), Self::Stop>;
    /// Something failed; the last good file stays.
    fn failed(&mut self, problem: &str);
    /// The agent went away or came back.
    fn remark(&mut self, text: &str);
    /// All templates had their turn. `good`: nothing failed.
    fn round_ended(&mut self, good: bool);
}

/// How one round over all templates ended.
pub(crate) enum Outcome {
    Done,
    /// Something failed, and was told.
    Failed,
    /// A signal ended it.
    Stopped,
    /// The agent did not answer.
    Unanswered(Error),
    /// It does not know all yet.
    TooEarly,
}

/// Why files are not kept any longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kept {
    /// A signal asked for the end.
    Stopped,
    /// The stream of changes ended for good.
    Over,
}

/// Renders everything once.
pub(crate) async fn once<R: Report>(
    plan: Plan,
    client: Client,
    signals: UnboundedReceiver<Signal>,
    report: &mut R,
) -> Result<Outcome, R::Stop> {
    let mut work = Work::new(plan, client, signals);
    loop {
        match work.render_all(report).await? {
            Outcome::TooEarly => match work.attention.or_stopped(tokio::time::sleep(CATCH_UP_PAUSE)).await {
                Some(()) => {}
                None => return Ok(Outcome::Stopped),
            },
            outcome => return Ok(outcome),
        }
    }
}

/// Renders whenever something changes. SIGHUP among `signals` renders again, any other is the end.
pub(crate) async fn keep<R: Report>(
    plan: Plan,
    client: Client,
    signals: UnboundedReceiver<Signal>,
    report: &mut R,
) -> Result<Kept, R::Stop> {
    let every = plan.interval;
    let mut debounce = Debounce::new(plan.debounce, plan.max_wait);
    let mut work = Work::new(plan, client, signals);
    let mut events = work.client.watch_all().await?;
    let mut ticks = every.map(|every| {
        let mut ticks = interval_at(Instant::now() + every, every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks
    });
    let mut retry = None;
    debounce.touch();
    loop {
        tokio::select! {
            event = events.next() => {
                let Some(event) = event else { return Ok(Kept::Over) };
                let event = event?;
                match &event {
                    WatchEvent::Interrupted(error) => report.remark(&format!("{error}; waiting for the agent")),
                    WatchEvent::Resumed => report.remark("the agent is back"),
                    WatchEvent::Snapshot(_) | WatchEvent::Change(_) | WatchEvent::Other { .. } => {}
                }
                // What answers next may be another run of the agent, which knows nothing yet.
                work.is_fresh |= !matches!(event, WatchEvent::Change(_) | WatchEvent::Other { .. });
                if work.table.lock().take_event(&event) {
                    debounce.touch();
                }
                continue;
            }
            () = debounce.ripe() => {}
            () = until(retry) => {}
            () = tick(&mut ticks) => work.table.lock().forget_all(),
            again = work.attention.is_again() => {
                if !again {
                    return Ok(Kept::Stopped);
                }
                work.table.lock().forget_all();
            }
        }
        debounce.clear();
        let again = retry.take().is_some();
        match work.render_all(report).await? {
            Outcome::Done | Outcome::Failed => {}
            Outcome::Stopped => return Ok(Kept::Stopped),
            Outcome::Unanswered(error) => {
                if !again {
                    report.remark(&format!("{error}; the files stay as they are, trying again"));
                }
                retry = Some(Instant::now() + RETRY_PAUSE);
            }
            Outcome::TooEarly => {
                if !again {
                    report.remark("the agent has just started and asks others; the files stay as they are until it knows");
                }
                retry = Some(Instant::now() + CATCH_UP_PAUSE);
            }
        }
    }
}

async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => pending().await,
    }
}

async fn tick(ticks: &mut Option<tokio::time::Interval>) {
    match ticks {
        Some(ticks) => drop(ticks.tick().await),
        None => pending().await,
    }
}

/// What came of one template.
enum Step {
    Replaced,
    Unchanged,
    Stopped,
    Unanswered(Error),
    /// For people.
    Failed(String),
}

struct Work {
    plan: Plan,
    client: Client,
    table: SharedTable,
    renderer: Renderer,
    attention: Attention,
    /// Whether the agent knows all that it can was not asked yet.
    is_fresh: bool,
}

impl Work {
    fn new(plan: Plan, client: Client, signals: UnboundedReceiver<Signal>) -> Self {
        let table = SharedTable::default();
        let renderer = Renderer::new(&table);
        Self { plan, client, table, renderer, attention: Attention::new(signals), is_fresh: true }
    }

    /// Renders every template, and runs the command if that replaced anything.
    async fn render_all<R: Report>(&mut self, report: &mut R) -> Result<Outcome, R::Stop> {
        if self.is_fresh {
            match self.attention.or_stopped(self.client.status()).await {
                Some(Ok(status)) if status.catching_up => return Ok(Outcome::TooEarly),
                Some(Ok(_)) => self.is_fresh = false,
                Some(Err(error)) if may_pass(&error) => return Ok(Outcome::Unanswered(error)),
                Some(Err(error)) => return Err(error.into()),
                None => return Ok(Outcome::Stopped),
            }
        }
        let before = self.table.lock().take_used();
        let (mut replaced, mut failed, mut ended) = (false, false, None);
        for at in 0..self.plan.files.len() {
            match self.render_one(at, report).await? {
                Step::Replaced => replaced = true,
                Step::Unchanged => {}
                Step::Failed(problem) => {
                    report.failed(&problem);
                    failed = true;
                }
                Step::Stopped => ended = Some(Outcome::Stopped),
                Step::Unanswered(error) => ended = Some(Outcome::Unanswered(error)),
            }
            if ended.is_some() {
                break;
            }
        }
        let whole = !failed && ended.is_none();
        self.table.lock().keep_used(if whole { BTreeSet::new() } else { before });
        // Also when the rest has to wait: what was replaced is to be taken up.
        if let (true, Some(line)) = (replaced, &self.plan.exec) {
            match self.run::<R>("exec", ShellCommand::new(line)).await {
                Step::Failed(problem) => {
                    report.failed(&problem);
                    failed = true;
                }
                Step::Stopped => ended = Some(Outcome::Stopped),
                Step::Replaced | Step::Unchanged | Step::Unanswered(_) => {}
            }
        }
        if ended.is_none() {
            report.round_ended(!failed);
        }
        Ok(ended.unwrap_or(if failed { Outcome::Failed } else { Outcome::Done }))
    }

    async fn render_one<R: Report>(&mut self, at: usize, report: &mut R) -> Result<Step, R::Stop> {
        let text = match self.text(at).await {
            Ok(text) => text,
            Err(step) => return Ok(step),
        };
        let out = self.plan.files[at].out.clone();
        if self.plan.files[at].is_printed() {
            report.printed(&text)?;
            return Ok(Step::Replaced);
        }
        let failed = |e: io::Error| Step::Failed(format!("{}: cannot be written: {e}", out.display()));
        let prepared = match target::prepare(&out, text.as_bytes()) {
            Ok(Some(prepared)) => prepared,
            Ok(None) => return Ok(Step::Unchanged),
            Err(error) => return Ok(failed(error)),
        };
        if let Some(line) = &self.plan.verify {
            let line = line.replace("{}", &quoted(prepared.path()));
            let command = ShellCommand::new(&line)
                .env("SHOAL_FILE", Some(prepared.path()))
                .env("SHOAL_OUT", Some(&out));
            match self.run::<R>("verify", command).await {
                Step::Failed(problem) => {
                    return Ok(Step::Failed(format!("{} stays as it is: {problem}", out.display())));
                }
                Step::Stopped => return Ok(Step::Stopped),
                Step::Replaced | Step::Unchanged | Step::Unanswered(_) => {}
            }
        }
        if let Err(error) = prepared.replace() {
            return Ok(failed(error));
        }
        report.wrote(&out)?;
        Ok(Step::Replaced)
    }

    /// What a template says of the table as it is now.
    async fn text(&mut self, at: usize) -> Result<String, Step> {
        let path = self.plan.files[at].template.clone();
        let name = path.display().to_string();
        let source = read(&path).map_err(|e| Step::Failed(format!("{name}: cannot be read: {e}")))?;
        for _ in 0..ROUNDS_MAX {
            let rendered = self.renderer.render(&name, &source);
            let missing = self.table.lock().take_missing();
            if missing.is_empty() {
                return rendered.map_err(Step::Failed);
            }
            for topic in missing {
                match self.attention.or_stopped(table::fetch(&self.client, &topic)).await {
                    Some(Ok(answer)) => self.table.lock().put(topic, answer),
                    Some(Err(error)) if may_pass(&error) => {
                        self.is_fresh = true;
                        return Err(Step::Unanswered(error));
                    }
                    Some(Err(error)) => return Err(Step::Failed(format!("{name}: {error}"))),
                    None => return Err(Step::Stopped),
                }
            }
        }
        Err(Step::Failed(format!(
            "{name}: it asks about services that depend on each other more than {ROUNDS_MAX} times"
        )))
    }

    /// [`Step::Unchanged`] when the command of `--NAME` did what it should.
    async fn run<R: Report>(&mut self, name: &str, command: ShellCommand) -> Step {
        let capture = Capture::default();
        let command = if R::CAPTURES { command.captured(&capture) } else { command };
        let said = || match capture.text() {
            text if text.is_empty() => text,
            text => format!(": {text}"),
        };
        let command = command.env("SHOAL_SOCKET", Some(self.client.address().to_string()));
        match self.attention.run(command, self.plan.timeout).await {
            Ok(RunEnd::Ended(status)) if status.success() => Step::Unchanged,
            Ok(RunEnd::Ended(status)) => {
                Step::Failed(format!("the command of --{name} failed: {}{}", told(status), said()))
            }
            Ok(RunEnd::Late) => {
                let timeout = crate::client::format_duration(self.plan.timeout);
                Step::Failed(format!(
                    "the command of --{name} was killed: it took more than {timeout}{}",
                    said()
                ))
            }
            Ok(RunEnd::Stopped) => Step::Stopped,
            Err(error) => Step::Failed(format!("cannot run /bin/sh for --{name}: {error}")),
        }
    }
}

/// An agent that is away or busy; what else it says it will say again to the same question.
fn may_pass(error: &Error) -> bool {
    error.is_unreachable() || matches!(error, Error::Api { status: 429 | 500.., .. })
}

fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    // One byte more tells a template that is too large, whatever sort of file it comes from.
    File::open(path)?.take(TEMPLATE_BYTES_MAX + 1).read_to_string(&mut text)?;
    if text.len() as u64 > TEMPLATE_BYTES_MAX {
        return Err(io::Error::other(format!("it is too large: want at most {TEMPLATE_BYTES_MAX} bytes")));
    }
    Ok(text)
}

/// `path` as one word of a shell.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', r"'\''"))
}
