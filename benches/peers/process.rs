//! Children that do not outlive this program, and waiting that ends at ctrl-c.

use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::signal::unix::{SignalKind, signal};

/// How long an interrupt may go unnoticed.
pub(crate) const TICK: Duration = Duration::from_millis(100);

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// A child that is killed when it is dropped, whether it runs or is stopped.
pub(crate) struct Process {
    child: Child,
    readers: Vec<JoinHandle<()>>,
}

impl Process {
    /// Starts `command`; `line` gets all that it prints, on threads of their own. To be called on a
    /// thread that lasts: the kernel kills the child when that ends.
    pub(crate) fn start(command: &Command, line: impl Fn(&str) + Clone + Send + 'static) -> Self {
        let mut child = dying_with_us(command)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|e| panic!("{} starts: {e}", command.get_program().display()));
        let out = child.stdout.take().expect("is piped");
        let err = child.stderr.take().expect("is piped");
        let readers = vec![read_lines(out, line.clone()), read_lines(err, line)];
        Self { child, readers }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id().cast_signed());
        signal::kill(pid, signal).expect("it is ours and was not waited for");
    }

    /// Its exit status, if it ended by itself.
    pub(crate) fn has_ended(&mut self) -> Option<std::process::ExitStatus> {
        self.child.try_wait().expect("can be asked")
    }
}

impl Drop for Process {
    /// Returns when all that it printed was read.
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
        for reader in self.readers.drain(..) {
            reader.join().ok();
        }
    }
}

/// The same command with nothing of our environment but the path, to be killed by the kernel when
/// we end in whatever way.
fn dying_with_us(command: &Command) -> Command {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut whole = if is_installed("setpriv") {
        let mut setpriv = Command::new("setpriv");
        setpriv.args(["--pdeathsig", "KILL"]).arg(command.get_program());
        setpriv
    } else {
        Command::new(command.get_program())
    };
    whole.args(command.get_args()).env_clear().env("PATH", path);
    whole
}

fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|dir| dir.join(program).is_file())
}

fn read_lines(from: impl Read + Send + 'static, line: impl Fn(&str) + Send + 'static) -> JoinHandle<()> {
    let lines = BufReader::new(from).lines().map_while(Result::ok);
    std::thread::spawn(move || lines.for_each(|text| line(&text)))
}

/// From now on ctrl-c and SIGTERM end every wait here instead of the process, so that children and
/// directories go as after a panic.
pub(crate) fn heed_interrupts() {
    std::thread::spawn(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime for signals").block_on(async {
            let mut interrupt = signal(SignalKind::interrupt()).expect("ctrl-c can be heeded");
            let mut terminate = signal(SignalKind::terminate()).expect("SIGTERM can be heeded");
            tokio::select! { _ = interrupt.recv() => (), _ = terminate.recv() => () }
            INTERRUPTED.store(true, Ordering::Relaxed);
        });
    });
}

/// Unwinds if the user wants to end.
pub(crate) fn check_interrupt() {
    if INTERRUPTED.load(Ordering::Relaxed) {
        eprintln!("interrupted");
        std::panic::resume_unwind(Box::new("interrupted"));
    }
}

/// Sleeps, unless interrupted.
pub(crate) fn sleep(time: Duration) {
    let end = Instant::now() + time;
    loop {
        check_interrupt();
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        std::thread::sleep(left.min(TICK));
    }
}
