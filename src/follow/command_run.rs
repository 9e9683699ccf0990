//! Commands that others give us to run, of `--exec` and `--verify`.
//!
//! Owns one run: `/bin/sh -c` in a process group of its own, so that a signal reaches everything
//! the command started. Never decides when to run, or what a failure means.

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use std::ffi::OsStr;
use std::future::{Future, pending};
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::pin::pin;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::pipe;
use tokio::process::{Child, Command};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinHandle;

/// A run that may take longer may take for ever.
const RUN_MAX: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// What is kept of a command's output; the rest is read and forgotten.
const OUTPUT_BYTES_MAX: usize = 4_096;
/// For output that is under way when a command ends. What it left behind may hold the pipe open for ever.
const OUTPUT_REST_MAX: Duration = Duration::from_millis(200);

/// Takes the output of a command whose standard output and error are nobody else's.
#[derive(Debug, Clone, Default)]
pub(crate) struct Capture(Arc<Mutex<Vec<u8>>>);

impl Capture {
    fn lock(&self) -> MutexGuard<'_, Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was said, without the empty end of it.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.lock()).trim_end().to_owned()
    }

    async fn read(self, mut from: pipe::Receiver) {
        let mut buffer = [0; 4_096];
        while let Ok(length @ 1..) = from.read(&mut buffer).await {
            let mut kept = self.lock();
            let room = OUTPUT_BYTES_MAX.saturating_sub(kept.len());
            kept.extend(buffer.iter().take(length.min(room)));
        }
    }
}

/// A command as it is to be run.
pub(crate) struct ShellCommand {
    command: Command,
    capture: Option<Capture>,
}

impl ShellCommand {
    pub(crate) fn new(line: &str) -> Self {
        let mut command = Command::new("/bin/sh");
        command.arg("-c").arg(line).process_group(0);
        Self { command, capture: None }
    }

    /// Its output goes to `capture` instead of to where this process's goes.
    pub(crate) fn captured(self, capture: &Capture) -> Self {
        Self { capture: Some(capture.clone()), ..self }
    }

    /// Sets a variable of its environment, or makes sure that it is not set.
    pub(crate) fn env(mut self, name: &str, value: Option<impl AsRef<OsStr>>) -> Self {
        match value {
            Some(value) => self.command.env(name, value),
            None => self.command.env_remove(name),
        };
        self
    }

    /// Starts it with `input` on its standard input.
    pub(crate) fn start(mut self, input: Vec<u8>) -> io::Result<CommandRun> {
        let reading = match self.capture.take() {
            Some(capture) => {
                let (reader, writer) = io::pipe()?;
                self.command.stdout(writer.try_clone()?).stderr(writer);
                let reader = pipe::Receiver::from_owned_fd(reader.into())?;
                Some(tokio::spawn(capture.read(reader)))
            }
            None => None,
        };
        let mut child = self.command.stdin(Stdio::piped()).spawn()?;
        let stdin = child.stdin.take();
        // Apart from here, as the command may read late; one that reads nothing is fine too.
        let feeding = tokio::spawn(async move {
            if let Some(mut stdin) = stdin {
                stdin.write_all(&input).await.ok();
            }
        });
        Ok(CommandRun { child, feeding, reading })
    }
}

/// A command that runs. Dropping it lets the command run on by itself.
pub(crate) struct CommandRun {
    child: Child,
    feeding: JoinHandle<()>,
    reading: Option<JoinHandle<()>>,
}

impl CommandRun {
    /// Waits for its end. Dropping the future loses nothing.
    pub(crate) async fn ended(&mut self) -> io::Result<ExitStatus> {
        self.child.wait().await
    }

    /// Takes what it said at the end.
    async fn take_rest(&mut self) {
        if let Some(reading) = &mut self.reading {
            tokio::time::timeout(OUTPUT_REST_MAX, reading).await.ok();
        }
    }

    /// Sends `signal` to all that it started and that is still there.
    pub(crate) fn signal(&self, signal: Signal) {
        // Without a process id it has been waited for, and the number may be another's by now.
        if let Some(group) = self.child.id().and_then(|id| i32::try_from(id).ok()) {
            // It may just have ended; then its exit is what comes next.
            killpg(Pid::from_raw(group), signal).ok();
        }
    }
}

impl Drop for CommandRun {
    fn drop(&mut self) {
        // What was left unread by a command that ended, perhaps with its input still open elsewhere.
        self.feeding.abort();
        if let Some(reading) = &self.reading {
            reading.abort();
        }
    }
}

/// How waiting for a command came to its end.
#[derive(Debug)]
pub(crate) enum RunEnd {
    /// By itself.
    Ended(ExitStatus),
    /// It took longer than it may, and was killed.
    Late,
    /// A signal to this process reached it too.
    Stopped,
}

/// The signals of this process, while it waits for something else.
pub(crate) struct Attention {
    signals: UnboundedReceiver<Signal>,
    /// A SIGHUP came while something else was waited for.
    again: bool,
}

impl Attention {
    pub(crate) fn new(signals: UnboundedReceiver<Signal>) -> Self {
        Self { signals, again: false }
    }

    /// Waits for a signal: `true` for SIGHUP, also for one that came before, `false` for those that
    /// mean the end. Dropping the future loses nothing.
    pub(crate) async fn is_again(&mut self) -> bool {
        if self.again {
            self.again = false;
            return true;
        }
        match self.signals.recv().await {
            Some(signal) => signal == Signal::SIGHUP,
            None => pending().await,
        }
    }

    /// Waits for `future`; `None` when a signal to end came first.
    pub(crate) async fn or_stopped<T>(&mut self, future: impl Future<Output = T>) -> Option<T> {
        let mut future = pin!(future);
        loop {
            tokio::select! {
                value = &mut future => return Some(value),
                Some(signal) = self.signals.recv() => match signal {
                    Signal::SIGHUP => self.again = true,
                    _ => return None,
                },
            }
        }
    }

    /// Runs `command` to its end, for as long as `within`. A signal goes on to it, and a second
    /// one kills it; the answer waits for its end in any case.
    pub(crate) async fn run(&mut self, command: ShellCommand, within: Duration) -> io::Result<RunEnd> {
        let mut run = command.start(Vec::new())?;
        let mut late = pin!(tokio::time::sleep(within.min(RUN_MAX)));
        let (mut stopped, mut is_late) = (false, false);
        loop {
            tokio::select! {
                status = run.ended() => {
                    let status = status?;
                    run.take_rest().await;
                    return Ok(match (stopped, is_late) {
                        (true, _) => RunEnd::Stopped,
                        (false, true) => RunEnd::Late,
                        (false, false) => RunEnd::Ended(status),
                    });
                }
                () = &mut late, if !is_late => {
                    is_late = true;
                    run.signal(Signal::SIGKILL);
                }
                Some(signal) = self.signals.recv() => match signal {
                    Signal::SIGHUP => self.again = true,
                    signal => {
                        let second = std::mem::replace(&mut stopped, true);
                        run.signal(if second { Signal::SIGKILL } else { signal });
                    }
                },
            }
        }
    }
}

/// How a command ended, for people.
pub(crate) fn told(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(number)) => match Signal::try_from(number) {
            Ok(signal) => format!("ended by {signal}"),
            Err(_) => format!("ended by signal {number}"),
        },
        (None, None) => status.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn run(line: &str, input: &[u8]) -> String {
        let command = ShellCommand::new(line).env("SHOAL_TEST", Some("x")).env("HOME", None::<&str>);
        let mut run = command.start(input.to_vec()).expect("starts");
        told(run.ended().await.expect("ends"))
    }

    #[tokio::test]
    async fn a_command_has_its_environment_and_input_and_tells_its_end() {
        assert_eq!(
            run("test \"$SHOAL_TEST$HOME\" = x && test \"$(cat)\" = hello", b"hello").await,
            "exit code 0"
        );
        assert_eq!(run("exit 7", b"").await, "exit code 7");
        assert_eq!(run("kill -TERM $$", b"").await, "ended by SIGTERM");
    }

    #[tokio::test]
    async fn output_is_kept_up_to_a_bound_and_does_not_hold_up_the_end() {
        let mut attention = Attention::new(tokio::sync::mpsc::unbounded_channel().1);
        let long = Duration::from_secs(60);
        let capture = Capture::default();
        let command = ShellCommand::new("echo one; echo two >&2; sleep 300 & exit 3").captured(&capture);
        let end = attention.run(command, long).await.expect("runs");
        assert!(matches!(end, RunEnd::Ended(status) if status.code() == Some(3)), "{end:?}");
        assert_eq!(capture.text(), "one\ntwo");
        let capture = Capture::default();
        let command = ShellCommand::new("head -c 1000000 /dev/zero | tr '\\0' x").captured(&capture);
        attention.run(command, long).await.expect("runs");
        assert_eq!(capture.text().len(), OUTPUT_BYTES_MAX);
    }

    #[tokio::test]
    async fn one_that_reads_nothing_of_much_holds_nobody_up() {
        assert_eq!(run("exit 0", &vec![b'x'; 1 << 22]).await, "exit code 0");
    }

    #[tokio::test]
    async fn a_signal_reaches_all_that_the_command_started() {
        let mut run = ShellCommand::new("sleep 300; exit 3").start(Vec::new()).expect("starts");
        run.signal(Signal::SIGTERM);
        assert_eq!(told(run.ended().await.expect("ends")), "ended by SIGTERM");
        // Its number may be another's now.
        run.signal(Signal::SIGTERM);
    }

    #[tokio::test]
    async fn a_run_ends_by_itself_by_its_time_or_by_a_signal() {
        let (signal, signals) = tokio::sync::mpsc::unbounded_channel();
        let mut attention = Attention::new(signals);
        let (short, long) = (Duration::from_millis(50), Duration::MAX);
        let end = attention.run(ShellCommand::new("exit 3"), long).await.expect("runs");
        assert!(matches!(end, RunEnd::Ended(status) if status.code() == Some(3)), "{end:?}");
        let end = attention.run(ShellCommand::new("sleep 300; :"), short).await.expect("runs");
        assert!(matches!(end, RunEnd::Late), "{end:?}");
        for number in [Signal::SIGHUP, Signal::SIGTERM] {
            signal.send(number).expect("it listens");
        }
        let end = attention.run(ShellCommand::new("sleep 300; :"), long).await.expect("runs");
        assert!(matches!(end, RunEnd::Stopped), "{end:?}");
        assert!(attention.is_again().await, "the SIGHUP is remembered");
    }
}
