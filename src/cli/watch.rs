//! `watch`: every change as a line, and a command for each batch of them.

use super::Exit;
use super::args::{self, Common};
use super::failure::Failure;
use super::output::Output;
use super::wrap;
use crate::client::{Client, WatchEvent};
use crate::follow::command_run::{CommandRun, ShellCommand, told};
use crate::follow::debounce::Debounce;
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use std::future::pending;
use std::io;
use std::process::ExitStatus;
use std::time::Duration;
use tokio::sync::mpsc;

/// The most lines a waiting batch holds; later ones are counted and not handed over.
const BATCH_LINES_MAX: usize = 10_000;
/// The most bytes of lines a waiting batch holds, but for its first line.
const BATCH_BYTES_MAX: usize = 64 << 20;

/// Flags of `shoal watch`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Each line has the fields index and kind, and member, instance or check by kind:\n\
    member-*    a node joined, changed its state or left: name, address, status, generation\n\
    instance-*  an instance appeared, changed or went: node, address, port, status, service, checks\n\
    check-*     a check changed its status: id, status, output, service_id\n\
    snapshot    everything (members, instances): with --snapshot at first, and whenever changes\n\
    \x20           were missed, as after a restart of the agent\n\n\
    CMD runs in /bin/sh with the batch's lines on standard input, and in its environment:\n\
    SHOAL_SERVICE  NAME, where one was given\n\
    SHOAL_INDEX    the index of the batch's last change\n\
    SHOAL_CHANGES  their number; of more than 10,000 lines the first 10,000 are handed over\n\
    SHOAL_SOCKET   the agent that told\n\n\
    One run at a time: changes during a run make the next batch. A run that fails is reported with its\n\
    exit code, and the watch goes on. SIGINT, SIGTERM and SIGHUP end the watch, with exit code 0, after the\n\
    run that is under way, which gets the signal too; a second one kills it.\n\n\
    Examples:\n  shoal watch web\n  shoal watch web -q --exec 'shoal resolve web >/etc/upstreams; nginx -s reload'\n  \
    shoal watch -q --debounce 1s --max-wait 10s --exec 'jq -r .kind | sort | uniq -c | mail -s changes ops'")]
pub struct Watch {
    /// Only this service
    name: Option<String>,

    /// Run this command for each batch of changes
    #[arg(long, value_name = "CMD")]
    exec: Option<String>,

    /// A batch ends when nothing changed for this long [default: 200ms]
    #[arg(long, value_name = "DURATION", value_parser = args::duration, requires = "exec")]
    debounce: Option<Duration>,

    /// A batch waits at most this long for that [default: 2s]
    #[arg(long, value_name = "DURATION", value_parser = args::duration, requires = "exec")]
    max_wait: Option<Duration>,

    /// Print the present state first
    #[arg(long)]
    snapshot: bool,

    /// End after this many changes
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,

    #[command(flatten)]
    common: Common,
}

fn snapshot_line(mut snapshot: Value) -> Value {
    if let Value::Object(fields) = &mut snapshot {
        fields.insert("kind".to_owned(), "snapshot".into());
    }
    snapshot
}

type Signals = mpsc::UnboundedReceiver<Signal>;

pub(super) async fn watch(args: Watch, output: &mut Output<'_>) -> Result<Exit, Failure> {
    let client = args.common.client(output)?;
    // Without a command to end, a signal's own action is right.
    let signals = match &args.exec {
        Some(_) => Some(wrap::signals().map_err(|e| Failure::no(format!("cannot watch for signals: {e}")))?),
        None => None,
    };
    follow(args, &client, signals, output).await
}

async fn follow(
    args: Watch,
    client: &Client,
    mut signals: Option<Signals>,
    output: &mut Output<'_>,
) -> Result<Exit, Failure> {
    let mut events = match &args.name {
        Some(name) => client.watch(name).await?,
        None => client.watch_all().await?,
    };
    let mut runner = args.exec.map(|command| {
        let debounce = Debounce::new(
            args.debounce.unwrap_or(Duration::from_millis(200)),
            args.max_wait.unwrap_or(Duration::from_secs(2)),
        );
        Runner::new(command, args.name, client.address().to_string(), debounce)
    });
    // Who watches by command alone has said with -q that the lines are not wanted.
    let prints = runner.is_none() || !output.is_quiet();
    let mut left = args.count;
    let mut begun = false;
    loop {
        let ended = left == Some(0);
        if ended && runner.as_ref().is_none_or(Runner::is_idle) {
            return Ok(Exit::Done);
        }
        let event = tokio::select! {
            event = events.next(), if !ended => event,
            status = step(&mut runner) => {
                if let Some(status) = status.map_err(|e| Failure::no(format!("cannot run /bin/sh: {e}")))? {
                    tell(status, output);
                }
                continue;
            }
            signal = next_signal(&mut signals) => {
                if let Some(runner) = runner {
                    runner.stop(signal, &mut signals, output).await?;
                }
                return Ok(Exit::Done);
            }
        };
        let Some(event) = event else { return Ok(Exit::No) };
        let (index, line): (u64, Value) = match event? {
            WatchEvent::Snapshot(snapshot) => {
                // Later ones stand for changes that were missed.
                if !std::mem::replace(&mut begun, true) && !args.snapshot {
                    continue;
                }
                (snapshot.index, snapshot_line(snapshot.raw))
            }
            WatchEvent::Change(change) => (change.index, change.raw),
            WatchEvent::Other { event, data } => {
                let index = data["index"].as_u64().unwrap_or(0);
                (index, json!({"kind": event, "data": data}))
            }
            WatchEvent::Interrupted(error) => {
                output.note(format_args!("{error}; waiting for the agent"));
                continue;
            }
            WatchEvent::Resumed => {
                output.note("the agent is back");
                continue;
            }
        };
        let line = line.to_string();
        if prints {
            output.line(&line)?;
            output.flush()?;
        }
        if let Some(runner) = &mut runner {
            runner.take(index, &line);
        }
        left = left.map(|left| left - 1);
    }
}

/// A command that fails is worth telling, whoever wants no remarks.
fn tell(status: ExitStatus, output: &mut Output<'_>) {
    if !status.success() {
        output.error(format_args!("the command of --exec failed: {}", told(status)));
    }
}

async fn step(runner: &mut Option<Runner>) -> io::Result<Option<ExitStatus>> {
    match runner {
        Some(runner) => runner.step().await,
        None => pending().await,
    }
}

async fn next_signal(signals: &mut Option<Signals>) -> Signal {
    match signals {
        Some(signals) => match signals.recv().await {
            Some(signal) => signal,
            None => pending().await,
        },
        None => pending().await,
    }
}

/// Runs a command for batches of lines, one run at a time.
struct Runner {
    command: String,
    service: Option<String>,
    /// Where the agent is that told of the changes.
    socket: String,
    debounce: Debounce,
    lines: String,
    /// Lines in `lines`, and changes of the batch, some of which it may have had no room for.
    kept: usize,
    changes: usize,
    index: u64,
    running: Option<CommandRun>,
}

impl Runner {
    fn new(command: String, service: Option<String>, socket: String, debounce: Debounce) -> Self {
        let lines = String::new();
        Self { command, service, socket, debounce, lines, kept: 0, changes: 0, index: 0, running: None }
    }

    fn is_idle(&self) -> bool {
        self.changes == 0 && self.running.is_none()
    }

    fn take(&mut self, index: u64, line: &str) {
        self.debounce.touch();
        self.index = index;
        // Once one had no room no later one is kept, so that what is handed over has no holes.
        let has_room = self.kept < BATCH_LINES_MAX && self.lines.len() + line.len() < BATCH_BYTES_MAX;
        if self.changes == 0 || (self.kept == self.changes && has_room) {
            self.lines.push_str(line);
            self.lines.push('\n');
            self.kept += 1;
        }
        self.changes += 1;
    }

    /// Waits for what comes next: the end of a run, with its status, or the start of one.
    /// Dropping the future loses nothing.
    async fn step(&mut self) -> io::Result<Option<ExitStatus>> {
        if let Some(run) = &mut self.running {
            let status = run.ended().await?;
            self.running = None;
            return Ok(Some(status));
        }
        self.debounce.ripe().await;
        self.start()?;
        Ok(None)
    }

    fn start(&mut self) -> io::Result<()> {
        let input = std::mem::take(&mut self.lines).into_bytes();
        let command = ShellCommand::new(&self.command)
            .env("SHOAL_CHANGES", Some(self.changes.to_string()))
            .env("SHOAL_INDEX", Some(self.index.to_string()))
            .env("SHOAL_SOCKET", Some(&self.socket))
            .env("SHOAL_SERVICE", self.service.as_ref());
        (self.kept, self.changes) = (0, 0);
        self.debounce.clear();
        self.running = Some(command.start(input)?);
        Ok(())
    }

    /// Hands `signal` to the run that is under way, and waits for its end; another one kills it.
    async fn stop(
        mut self,
        signal: Signal,
        signals: &mut Option<Signals>,
        output: &mut Output<'_>,
    ) -> Result<(), Failure> {
        if self.changes > 0 {
            output.note(format_args!("{} changes were not handed to the command any more", self.changes));
        }
        let Some(mut run) = self.running.take() else { return Ok(()) };
        run.signal(signal);
        loop {
            tokio::select! {
                status = run.ended() => {
                    tell(status.map_err(|e| Failure::no(format!("lost track of the command: {e}")))?, output);
                    return Ok(());
                }
                _ = next_signal(signals) => run.signal(Signal::SIGKILL),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::testing::FakeAgent;
    use clap::Parser;
    use std::path::Path;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        watch: Watch,
    }

    fn change(index: u64) -> String {
        format!("id: {index}\nevent: change\ndata: {{\"index\":{index},\"kind\":\"check\"}}\n\n")
    }

    async fn run(agent: &FakeAgent, line: &[&str], signals: Option<Signals>) -> (Exit, String) {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut output = Output::new(&mut out, &mut err);
        let args = Line::try_parse_from([&["watch"], line].concat()).expect("valid flags").watch;
        let client = Client::connect(agent.socket()).expect("a path");
        let exit = follow(args, &client, signals, &mut output).await.expect("watches");
        (exit, String::from_utf8(err).expect("text"))
    }

    async fn appears(path: &Path) {
        while !path.exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    #[tokio::test]
    async fn a_command_that_fails_is_told_with_its_code_and_runs_for_the_next_batch() {
        let agent = FakeAgent::start();
        agent.with(|state| state.watches = vec![(change(7) + &change(8), true), (change(9), false)]);
        let directory = tempfile::tempdir().expect("a temporary directory");
        let file = directory.path().join("runs");
        let command =
            format!("echo \"${{SHOAL_SERVICE-none}} $SHOAL_INDEX $(wc -l)\" >> {}; exit 3", file.display());
        // Shorter than the pause before a broken stream is opened again.
        let line = ["--count", "3", "--debounce", "10ms", "--exec", &command];
        let (exit, err) = run(&agent, &line, None).await;
        assert_eq!(exit, Exit::Done);
        let failures = err.matches("the command of --exec failed: exit code 3").count();
        let text = std::fs::read_to_string(&file).expect("it ran");
        let runs: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(failures, runs.len(), "{err}");
        let lines: usize = runs.iter().map(|run| run[2].parse::<usize>().expect("a number")).sum();
        assert_eq!((lines, runs.last().expect("some")[..2].to_vec()), (3, vec!["none", "9"]));
    }

    #[tokio::test]
    async fn a_signal_reaches_the_run_and_ends_the_watch_after_it() {
        let agent = FakeAgent::start();
        agent.with(|state| state.watches = vec![(change(1), false)]);
        let directory = tempfile::tempdir().expect("a temporary directory");
        let (begun, ended) = (directory.path().join("begun"), directory.path().join("ended"));
        let (begun_at, ended_at) = (begun.display(), ended.display());
        let command =
            format!("trap 'touch {ended_at}; exit 0' TERM; touch {begun_at}; while :; do sleep 0.01; done");
        let (signal, signals) = mpsc::unbounded_channel();
        let line = ["-q", "--debounce", "1ms", "--exec", &command];
        let stop = async {
            appears(&begun).await;
            signal.send(Signal::SIGTERM).expect("the watch listens");
        };
        let ((exit, err), ()) = tokio::join!(run(&agent, &line, Some(signals)), stop);
        assert_eq!((exit, err.as_str(), ended.exists()), (Exit::Done, "", true));
    }

    #[tokio::test]
    async fn a_second_signal_kills_a_run_that_ignores_the_first() {
        let agent = FakeAgent::start();
        agent.with(|state| state.watches = vec![(change(1), false)]);
        let directory = tempfile::tempdir().expect("a temporary directory");
        let begun = directory.path().join("begun");
        let command = format!("trap '' INT TERM; touch {}; sleep 300; exit 0", begun.display());
        let (signal, signals) = mpsc::unbounded_channel();
        let line = ["-q", "--debounce", "1ms", "--exec", &command];
        let stop = async {
            appears(&begun).await;
            signal.send(Signal::SIGTERM).expect("the watch listens");
            signal.send(Signal::SIGTERM).expect("the watch listens");
        };
        let ((exit, err), ()) = tokio::join!(run(&agent, &line, Some(signals)), stop);
        assert_eq!(exit, Exit::Done);
        assert!(err.contains("SIGKILL"), "{err}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_batch_is_bounded_has_no_holes_and_counts_what_it_had_no_room_for() {
        let debounce = Debounce::new(Duration::from_secs(1), Duration::from_secs(1));
        let mut runner = Runner::new(String::new(), None, String::new(), debounce);
        let huge = "x".repeat(BATCH_BYTES_MAX);
        runner.take(1, &huge);
        runner.take(2, "second");
        assert_eq!((runner.kept, runner.changes, runner.index), (1, 2, 2));
        (runner.lines, runner.kept, runner.changes) = (String::new(), 0, 0);
        for index in 0..20_000 {
            runner.take(index, "line");
        }
        assert_eq!((runner.kept, runner.changes), (BATCH_LINES_MAX, 20_000));
    }
}
