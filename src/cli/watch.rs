use super::Exit;
use super::args::{self, Common};
use super::failure::Failure;
use super::output::Output;
use crate::client::WatchEvent;
use serde_json::{Value, json};
use std::future::pending;
use std::pin::Pin;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, Command};
use tokio::time::{Sleep, sleep};

/// The most lines a waiting batch holds; later ones are counted and not handed over.
const BATCH_LINES_MAX: usize = 10_000;
/// However busy the table is, a batch waits at most this many times the debounce time.
const BATCH_WAITS_MAX: u32 = 20;

/// Flags of `shoal watch`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Each line has the fields index and kind, and member, instance or check by kind:\n\
    member    a node joined, changed its state or left: name, address, status, generation\n\
    instance  an instance appeared or changed: node, id, service, address, port, tags, meta,\n\
    \x20         status, node_status\n\
    removed   an instance is gone; the same fields\n\
    check     a check changed its status: node, id, service_id, status\n\
    snapshot  everything (members, instances): with --snapshot at first, and whenever changes\n\
    \x20         were missed, as after a restart of the agent\n\n\
    CMD runs in /bin/sh with the batch's lines on standard input, SHOAL_CHANGES set to their\n\
    number and SHOAL_SERVICE to NAME. Changes during a run make the next batch.")]
pub struct Watch {
    /// Only this service
    name: Option<String>,

    /// Run this command for each batch of changes
    #[arg(long, value_name = "CMD")]
    exec: Option<String>,

    /// A batch ends when nothing changed for this long
    #[arg(long, value_name = "DURATION", default_value = "100ms", value_parser = args::duration)]
    debounce: Duration,

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

pub(super) async fn watch(args: Watch, output: &mut Output<'_>) -> Result<Exit, Failure> {
    let client = args.common.client(output)?;
    let mut events = match &args.name {
        Some(name) => client.watch(name).await?,
        None => client.watch_all().await?,
    };
    let mut runner = args.exec.map(|command| Runner::new(command, args.name, args.debounce));
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
                if let Some(status) = status.map_err(|e| Failure::no(format!("cannot run /bin/sh: {e}")))?
                    && !status.success()
                {
                    output.note(format_args!("the command of --exec failed: {status}"));
                }
                continue;
            }
        };
        let Some(event) = event else { return Ok(Exit::No) };
        let line: Value = match event? {
            WatchEvent::Snapshot(snapshot) => {
                // Later ones stand for changes that were missed.
                if !std::mem::replace(&mut begun, true) && !args.snapshot {
                    continue;
                }
                snapshot_line(snapshot.raw)
            }
            WatchEvent::Change(change) => change.raw,
            WatchEvent::Other { event, data } => json!({"kind": event, "data": data}),
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
            runner.take(line);
        }
        left = left.map(|left| left - 1);
    }
}

async fn step(runner: &mut Option<Runner>) -> std::io::Result<Option<ExitStatus>> {
    match runner {
        Some(runner) => runner.step().await,
        None => pending().await,
    }
}

/// Runs a command for batches of lines, one run at a time.
struct Runner {
    command: String,
    service: Option<String>,
    debounce: Duration,
    lines: Vec<String>,
    changes: usize,
    /// Ends when nothing changed for the debounce time.
    calm: Option<Pin<Box<Sleep>>>,
    /// Ends when the batch has waited long enough, calm or not.
    due: Option<Pin<Box<Sleep>>>,
    running: Option<Child>,
}

impl Runner {
    fn new(command: String, service: Option<String>, debounce: Duration) -> Self {
        let lines = Vec::new();
        Self { command, service, debounce, lines, changes: 0, calm: None, due: None, running: None }
    }

    fn is_idle(&self) -> bool {
        self.changes == 0 && self.running.is_none()
    }

    fn take(&mut self, line: String) {
        if self.changes == 0 {
            self.due = Some(Box::pin(sleep(self.debounce * BATCH_WAITS_MAX)));
        }
        self.calm = Some(Box::pin(sleep(self.debounce)));
        self.changes += 1;
        if self.lines.len() < BATCH_LINES_MAX {
            self.lines.push(line);
        }
    }

    /// Waits for what comes next: the end of a run, with its status, or the start of one.
    /// Dropping the future loses nothing.
    async fn step(&mut self) -> std::io::Result<Option<ExitStatus>> {
        if let Some(child) = &mut self.running {
            let status = child.wait().await?;
            self.running = None;
            return Ok(Some(status));
        }
        match (&mut self.calm, &mut self.due) {
            (Some(calm), Some(due)) => tokio::select! {
                () = calm.as_mut() => {}
                () = due.as_mut() => {}
            },
            _ => pending().await,
        }
        self.start()?;
        Ok(None)
    }

    fn start(&mut self) -> std::io::Result<()> {
        let mut command = Command::new("/bin/sh");
        command.arg("-c").arg(&self.command).stdin(Stdio::piped());
        command.env("SHOAL_CHANGES", self.changes.to_string());
        if let Some(service) = &self.service {
            command.env("SHOAL_SERVICE", service);
        }
        let mut child = command.spawn()?;
        let mut text = std::mem::take(&mut self.lines).join("\n");
        text.push('\n');
        if let Some(mut stdin) = child.stdin.take() {
            // Apart from here, as the command may read late; one that reads nothing is fine too.
            tokio::spawn(async move { stdin.write_all(text.as_bytes()).await.ok() });
        }
        self.changes = 0;
        self.calm = None;
        self.due = None;
        self.running = Some(child);
        Ok(())
    }
}
