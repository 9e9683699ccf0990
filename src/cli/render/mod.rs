//! `render`: files that are written from templates, again whenever what they ask of the table
//! changes.
//!
//! Owns when to render, what may replace what, and what runs afterwards. A file is only ever
//! replaced by one that was rendered whole and verified; anything else keeps the last good one.

mod table;
mod target;
mod template;

use super::Exit;
use super::args::{self, Common};
use super::command_run::{Attention, RunEnd, ShellCommand, told};
use super::debounce::Debounce;
use super::failure::Failure;
use super::output::Output;
use super::wrap;
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
/// Wait before asking again an agent that did not answer.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// Flags of `shoal render`.
#[derive(Debug, clap::Args)]
#[command(after_help = "TEMPLATE is in minijinja's (Jinja2's) language, with these functions:\n\
    service(\"web\")  instances that pass or warn; all=true: every one, passing=true: none that warns,\n\
    \x20               tag=\"x\" or tag=[\"x\", \"y\"]: only with these tags, node=\"n1\": only there. Each has\n\
    \x20               service, id, node, address, port, endpoint (address:port), tags, meta, node_meta,\n\
    \x20               weight and health\n\
    services()      every service: name, tags\n\
    nodes()         live nodes: name, address, status, tags\n\
    members()       every node, failed ones too: name, address with port, status, tags, rtt_ms\n\
    env(\"NAME\", \"default\")\n\n\
    and beside the usual filters `host` ([::1] for ::1) and `word` (a/b as a_b). OUT - is standard output.\n\n\
    OUT is replaced in one step, with its mode and owner, and only when its content changes and --verify\n\
    agrees: a shell command in which {} and $SHOAL_FILE are the new file, $SHOAL_OUT the one to replace.\n\
    Otherwise the last good file stays, and the error is told. --exec runs when files were replaced.\n\
    SIGHUP renders again; SIGINT and SIGTERM end it with exit code 0.\n\
    Exit code with --once: 1 when something failed, a template or a command.\n\n\
    Examples:\n  shoal render upstreams.conf.j2 - --once\n  \
    shoal render haproxy.cfg.j2 /etc/haproxy/haproxy.cfg --verify 'haproxy -c -f {}' \\\n      \
    --exec 'systemctl reload haproxy'\n  \
    shoal render a.j2:/etc/a.conf b.j2:/etc/b.conf --exec 'systemctl reload ab'")]
pub struct Render {
    /// TEMPLATE OUT, or any number of TEMPLATE:OUT
    #[arg(required = true, value_name = "TEMPLATE OUT|TEMPLATE:OUT")]
    files: Vec<String>,

    /// Ask this command whether a new file is good
    #[arg(long, value_name = "CMD")]
    verify: Option<String>,

    /// Run this command when files were replaced
    #[arg(long, value_name = "CMD")]
    exec: Option<String>,

    /// Render once and end
    #[arg(long, conflicts_with_all = ["interval", "debounce", "max_wait"])]
    once: bool,

    /// Render when nothing changed for this long
    #[arg(long, value_name = "DURATION", default_value = "200ms", value_parser = args::duration)]
    debounce: Duration,

    /// Wait at most this long for that
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = args::duration)]
    max_wait: Duration,

    /// Render this often as well, for templates that change or show round-trip times
    #[arg(long, value_name = "DURATION", value_parser = args::duration)]
    interval: Option<Duration>,

    /// How long each run of a command may take before it is killed
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = args::duration)]
    timeout: Duration,

    #[command(flatten)]
    common: Common,
}

/// A template, and where what comes of it goes.
#[derive(Debug, PartialEq, Eq)]
struct Pair {
    template: PathBuf,
    out: PathBuf,
}

impl Pair {
    fn of(files: &[String]) -> Result<Vec<Self>, Failure> {
        let pair = |template: &str, out: &str| Self { template: template.into(), out: out.into() };
        let split = |text: &String| match text.split_once(':') {
            Some((template, out)) if !template.is_empty() && !out.is_empty() => Some(pair(template, out)),
            _ => None,
        };
        if let Some(pairs) = files.iter().map(split).collect::<Option<Vec<Self>>>() {
            let outs: BTreeSet<&Path> = pairs.iter().map(|pair| pair.out.as_path()).collect();
            if outs.len() < pairs.len() {
                return Err(Failure::usage("two templates have the same OUT: want a file for each"));
            }
            return Ok(pairs);
        }
        match files {
            [template, out] => Ok(vec![pair(template, out)]),
            _ => {
                let files = files.join(" ");
                Err(Failure::usage(format!("{files}: want TEMPLATE OUT, or pairs TEMPLATE:OUT")))
            }
        }
    }

    fn is_printed(&self) -> bool {
        self.out == Path::new("-")
    }
}

pub(super) async fn render(args: Render, output: &mut Output<'_>) -> Result<Exit, Failure> {
    let client = args.common.client(output)?;
    // Always, so that a run that is ended leaves no half-made file.
    let signals = wrap::signals().map_err(|e| Failure::no(format!("cannot watch for signals: {e}")))?;
    keep_rendered(args, client, signals, output).await
}

async fn keep_rendered(
    args: Render,
    client: Client,
    signals: UnboundedReceiver<Signal>,
    output: &mut Output<'_>,
) -> Result<Exit, Failure> {
    let pairs = Pair::of(&args.files)?;
    if args.verify.is_some() && pairs.iter().any(Pair::is_printed) {
        return Err(Failure::usage("--verify wants files to verify: OUT - is printed as it is rendered"));
    }
    let (once, every) = (args.once, args.interval);
    let mut debounce = Debounce::new(args.debounce, args.max_wait);
    let table = SharedTable::default();
    let renderer = Renderer::new(&table);
    let attention = Attention::new(signals);
    let mut work = Work { args, pairs, client, table, renderer, attention };
    if once {
        return Ok(match work.render_all(output).await? {
            Outcome::Done => Exit::Done,
            // Whoever runs it once wants the files.
            Outcome::Failed | Outcome::Stopped => Exit::No,
            Outcome::Unanswered(error) => return Err(error.into()),
        });
    }
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
                let Some(event) = event else { return Ok(Exit::No) };
                let event = event?;
                match &event {
                    WatchEvent::Interrupted(error) => output.note(format_args!("{error}; waiting for the agent")),
                    WatchEvent::Resumed => output.note("the agent is back"),
                    WatchEvent::Snapshot(_) | WatchEvent::Change(_) | WatchEvent::Other { .. } => {}
                }
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
                    return Ok(Exit::Done);
                }
                work.table.lock().forget_all();
            }
        }
        debounce.clear();
        let again = retry.take().is_some();
        match work.render_all(output).await? {
            Outcome::Done | Outcome::Failed => {}
            Outcome::Stopped => return Ok(Exit::Done),
            Outcome::Unanswered(error) => {
                if !again {
                    output.note(format_args!("{error}; the files stay as they are, trying again"));
                }
                retry = Some(Instant::now() + RETRY_PAUSE);
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

/// How one round over all templates ended.
enum Outcome {
    Done,
    /// Something failed, and was told.
    Failed,
    /// A signal ended it.
    Stopped,
    /// The agent did not answer.
    Unanswered(Error),
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
    args: Render,
    pairs: Vec<Pair>,
    client: Client,
    table: SharedTable,
    renderer: Renderer,
    attention: Attention,
}

impl Work {
    /// Renders every template, and runs the command if that replaced anything.
    async fn render_all(&mut self, output: &mut Output<'_>) -> Result<Outcome, Failure> {
        let before = self.table.lock().take_used();
        let (mut replaced, mut failed, mut ended) = (false, false, None);
        for at in 0..self.pairs.len() {
            match self.render_one(at, output).await? {
                Step::Replaced => replaced = true,
                Step::Unchanged => {}
                Step::Failed(problem) => {
                    output.error(problem);
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
        if let (true, Some(line)) = (replaced, &self.args.exec) {
            match self.run("exec", ShellCommand::new(line)).await {
                Step::Failed(problem) => {
                    output.error(problem);
                    failed = true;
                }
                Step::Stopped => ended = Some(Outcome::Stopped),
                Step::Replaced | Step::Unchanged | Step::Unanswered(_) => {}
            }
        }
        Ok(ended.unwrap_or(if failed { Outcome::Failed } else { Outcome::Done }))
    }

    async fn render_one(&mut self, at: usize, output: &mut Output<'_>) -> Result<Step, Failure> {
        let text = match self.text(at).await {
            Ok(text) => text,
            Err(step) => return Ok(step),
        };
        let out = self.pairs[at].out.clone();
        if self.pairs[at].is_printed() {
            output.raw(text.as_bytes())?;
            output.flush()?;
            return Ok(Step::Replaced);
        }
        let failed = |e: io::Error| Step::Failed(format!("{}: cannot be written: {e}", out.display()));
        let prepared = match target::prepare(&out, text.as_bytes()) {
            Ok(Some(prepared)) => prepared,
            Ok(None) => return Ok(Step::Unchanged),
            Err(error) => return Ok(failed(error)),
        };
        if let Some(line) = &self.args.verify {
            let line = line.replace("{}", &quoted(prepared.path()));
            let command = ShellCommand::new(&line)
                .env("SHOAL_FILE", Some(prepared.path()))
                .env("SHOAL_OUT", Some(&out));
            match self.run("verify", command).await {
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
        output.done(format_args!("wrote {}", out.display()))?;
        output.flush()?;
        Ok(Step::Replaced)
    }

    /// What a template says of the table as it is now.
    async fn text(&mut self, at: usize) -> Result<String, Step> {
        let path = self.pairs[at].template.clone();
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
                    Some(Err(error)) if may_pass(&error) => return Err(Step::Unanswered(error)),
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
    async fn run(&mut self, name: &str, command: ShellCommand) -> Step {
        let command = command.env("SHOAL_SOCKET", Some(self.client.address().to_string()));
        match self.attention.run(command, self.args.timeout).await {
            Ok(RunEnd::Ended(status)) if status.success() => Step::Unchanged,
            Ok(RunEnd::Ended(status)) => {
                Step::Failed(format!("the command of --{name} failed: {}", told(status)))
            }
            Ok(RunEnd::Late) => {
                let timeout = crate::client::format_duration(self.args.timeout);
                Step::Failed(format!("the command of --{name} was killed: it took more than {timeout}"))
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

#[cfg(test)]
mod tests;
