//! Checks by a program.
//!
//! Owns the processes of a run: the program leads a process group of its own, and when the run ends
//! before the program does (its time is up, it was called off, the agent ends), the whole group is
//! killed and the program reaped. Never goes through a shell, and gives the program nothing to read.
//!
//! A run lasts until the program has ended and nobody holds its output any more, as in Consul. A
//! process that the program leaves behind with other outputs is its own affair.

use super::capture::Capture;
use super::{Context, Fault, Finding, fault};
use crate::model::{CheckStatus, Probe, show_duration};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use std::collections::BTreeSet;
use std::io;
use std::os::fd::OwnedFd;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::process::{Child, Command};

/// Bytes that are read at once: what a pipe holds.
const READ_BYTES: usize = 64 << 10;

/// Output after which reading slows down. Whoever writes without end has to wait, and the agent
/// does not spend a processor on throwing it away.
const READ_FREELY_BYTES_MAX: u64 = 1 << 20;

/// How long reading pauses from then on.
const READ_PAUSE: Duration = Duration::from_millis(1);

/// How long a killed program is waited for. One that the kernel does not let go of (a disk that is
/// gone) is reaped whenever it ends.
const REAP_MAX: Duration = Duration::from_secs(1);

/// Runs the program until it ends or its time is up.
pub(super) async fn run(args: &[String], probe: &Probe, context: &Context) -> Finding {
    let (mut program, output) = match start(args, &context.scripts) {
        Ok(started) => started,
        Err(fault) => return Finding::critical(fault),
    };
    let mut capture = Capture::new(probe.output_bytes_max);
    let ended = tokio::time::timeout(probe.timeout, async {
        read(output, &mut capture).await;
        // Not before: until it is reaped, no other process gets its number, so that the group can
        // be killed by it.
        program.child.wait().await
    })
    .await;
    capture.end();
    match ended {
        Ok(Ok(exit)) => {
            let status = match exit.code() {
                Some(0) => CheckStatus::Passing,
                Some(1) => CheckStatus::Warning,
                Some(_) | None => CheckStatus::Critical,
            };
            Finding { status, output: capture.text() }
        }
        Ok(Err(error)) => Finding::critical(Fault::at(format_args!("wait for {:?}", args[0]), &error)),
        Err(_) => {
            program.kill();
            if tokio::time::timeout(REAP_MAX, program.child.wait()).await.is_err() {
                tracing::debug!(program = args[0], "a check's program was killed and is not gone yet");
            }
            let mut text = format!("Timed out ({}) running check", show_duration(probe.timeout));
            if capture.total() > 0 {
                text.push_str("\n\n");
                text.push_str(&capture.text());
            }
            Finding::critical(text)
        }
    }
}

fn start(args: &[String], groups: &Groups) -> Result<(Program, pipe::Receiver), Fault> {
    let Some((name, rest)) = args.split_first() else {
        return Err(Fault::new("args is empty: want a program and its arguments"));
    };
    let failed = |error: io::Error| {
        if error.kind() == io::ErrorKind::NotFound && !name.contains('/') {
            return Fault::new(format!("exec: {name:?}: executable file not found in $PATH"));
        }
        Fault::new(format!("exec: {name:?}: {}", fault::reason(&error)))
    };
    // One pipe for both outputs, so that their lines stay in order.
    let (reader, writer) = io::pipe().map_err(failed)?;
    let output = pipe::Receiver::from_owned_fd(OwnedFd::from(reader)).map_err(failed)?;
    let mut command = Command::new(name);
    command
        .args(rest)
        .stdin(Stdio::null())
        .stdout(writer.try_clone().map_err(failed)?)
        .stderr(writer)
        .process_group(0)
        .kill_on_drop(true);
    let child = command.spawn().map_err(failed)?;
    Ok((Program::new(child, groups)?, output))
}

/// Reads until nobody can write any more.
async fn read(mut output: pipe::Receiver, capture: &mut Capture) {
    let mut buffer = vec![0; READ_BYTES];
    loop {
        match output.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(length) => capture.push(&buffer[..length]),
        }
        if capture.total() > READ_FREELY_BYTES_MAX {
            tokio::time::sleep(READ_PAUSE).await;
        }
    }
}

/// A program that was started. Dropping it kills its whole group, unless it has ended before.
#[derive(Debug)]
struct Program {
    child: Child,
    group: Option<Pid>,
    groups: Groups,
}

impl Program {
    fn new(child: Child, groups: &Groups) -> Result<Self, Fault> {
        let group = child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw);
        let program = Self { child, group, groups: groups.clone() };
        let is_ending = group.is_some_and(|group| !groups.enter(group));
        // Then dropping it is what kills it.
        if is_ending { Err(Fault::new("the agent is ending")) } else { Ok(program) }
    }

    fn kill(&self) {
        // A program that was reaped has no number any more.
        if self.child.id().is_some()
            && let Some(group) = self.group
        {
            kill(group);
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.kill();
        if let Some(group) = self.group {
            self.groups.leave(group);
        }
    }
}

fn kill(group: Pid) {
    // That there is nobody left is fine.
    let _ = killpg(group, Signal::SIGKILL);
}

/// The process groups of all runs, so that they can be ended without waiting for any task.
#[derive(Debug, Clone, Default)]
pub(super) struct Groups(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    running: BTreeSet<Pid>,
    is_ending: bool,
}

impl Groups {
    /// Kills all, now and from now on.
    pub(super) fn end(&self) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.is_ending = true;
        for &group in &state.running {
            kill(group);
        }
    }

    /// Whether a program may go on that has just been started.
    fn enter(&self, group: Pid) -> bool {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.running.insert(group);
        !state.is_ending
    }

    /// A group's program was reaped, or the group killed.
    fn leave(&self, group: Pid) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).running.remove(&group);
    }
}
