//! Real agents as processes of their own, and just enough HTTP to talk to them.
//!
//! Nothing here waits for a fixed time: everything polls until a deadline. An agent that is dropped
//! is killed.

#![allow(dead_code, reason = "each test target uses its own part")]

use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// Longer than anything here takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Where an agent keeps its things.
pub(crate) struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::tempdir().expect("a temporary directory") }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The flags of an agent that has everything to itself, on a port that the system chooses.
    pub(crate) fn flags(&self, node: &str) -> Vec<String> {
        let path = |name: &str| self.path(name).display().to_string();
        ["--node", node, "--bind", "127.0.0.1:0"]
            .into_iter()
            .map(str::to_owned)
            .chain(["--socket".to_owned(), path("agent.sock"), "--data-dir".to_owned(), path("data")])
            .collect()
    }

    /// Starts an agent here and waits until it is ready.
    pub(crate) fn start(&self, node: &str, more: &[&str]) -> Agent {
        let mut flags = self.flags(node);
        flags.extend(more.iter().map(|&f| f.to_owned()));
        Agent::start(&flags, self.path("log"))
    }
}

/// The binary, without what the environment of the tests says about agents.
pub(crate) fn shoal() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_shoal"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("SHOAL_") {
            command.env_remove(name);
        }
    }
    command.env_remove("NOTIFY_SOCKET").stdin(Stdio::null());
    command
}

/// What a process that was to end by itself said.
pub(crate) struct Finished {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// Runs the binary to its end, which must come soon.
pub(crate) fn finish(args: &[String]) -> Finished {
    let mut child =
        shoal().args(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary starts");
    let Some(status) = end_of(&mut child, PATIENCE) else {
        child.kill().expect("is killed");
        panic!("still running: shoal {args:?}");
    };
    let output = child.wait_with_output().expect("its output is there");
    Finished {
        code: status.code(),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

fn end_of(child: &mut Child, patience: Duration) -> Option<ExitStatus> {
    poll(patience, || child.try_wait().expect("can be asked"))
}

/// Asks until there is an answer or the time is over.
pub(crate) fn poll<T>(patience: Duration, mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(answer) = ask() {
            return Some(answer);
        }
        if Instant::now() >= deadline {
            return None;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// An agent that runs.
pub(crate) struct Agent {
    child: Child,
    log: PathBuf,
    socket: PathBuf,
    /// What it printed, line by line, until it was ready.
    pub(crate) printed: Vec<String>,
}

impl Agent {
    fn start(flags: &[String], log: PathBuf) -> Self {
        let stderr = std::fs::OpenOptions::new().create(true).append(true).open(&log).expect("a log file");
        let mut child = shoal()
            .arg("agent")
            .args(flags)
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn()
            .expect("the binary starts");
        let stdout = child.stdout.take().expect("is piped");
        let (to_us, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if to_us.send(line).is_err() {
                    return;
                }
            }
        });
        let mut printed = Vec::new();
        let deadline = Instant::now() + PATIENCE;
        while !printed.last().is_some_and(|l: &String| l.starts_with("join ")) {
            let left = deadline.saturating_duration_since(Instant::now());
            match lines.recv_timeout(left) {
                Ok(line) => printed.push(line),
                Err(_) => {
                    child.kill().ok();
                    child.wait().ok();
                    let said = std::fs::read_to_string(&log).unwrap_or_default();
                    panic!("not ready; it printed {printed:?} and logged:\n{said}");
                }
            }
        }
        let socket = PathBuf::from(after("socket", &printed));
        Self { child, log, socket, printed }
    }

    pub(crate) fn gossip(&self) -> String {
        after("gossip", &self.printed)
    }

    pub(crate) fn socket(&self) -> &Path {
        &self.socket
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }

    pub(crate) fn signal(&self, signal: Signal) {
        signal::kill(self.pid(), signal).expect("it is ours and was not waited for");
    }

    /// Its exit code, once it has ended by itself.
    pub(crate) fn exit_code(&mut self, patience: Duration) -> i32 {
        let Some(status) = end_of(&mut self.child, patience) else {
            panic!("still running:\n{}", self.log())
        };
        status.code().unwrap_or_else(|| panic!("ended by {status}:\n{}", self.log()))
    }

    /// Ends it as a power failure would.
    pub(crate) fn kill(mut self) {
        // It may have ended already; then there is nobody to kill.
        self.child.kill().ok();
        self.child.wait().expect("ends");
    }

    pub(crate) fn get(&self, target: &str) -> Answer {
        self.ask("GET", target, "")
    }

    pub(crate) fn put(&self, target: &str, body: &str) -> Answer {
        self.ask("PUT", target, body)
    }

    fn ask(&self, method: &str, target: &str, body: &str) -> Answer {
        Answer::read(self.send(method, target, body))
    }

    /// The index that an answer about `target` carries, for a query that waits for a later one.
    pub(crate) fn get_index(&self, target: &str) -> u64 {
        self.get(target).index.unwrap_or(1)
    }

    /// Sends a request without waiting for its answer.
    pub(crate) fn send(&self, method: &str, target: &str, body: &str) -> UnixStream {
        let mut stream = UnixStream::connect(&self.socket)
            .unwrap_or_else(|e| panic!("{}: {e}\n{}", self.socket.display(), self.log()));
        stream.set_read_timeout(Some(PATIENCE)).expect("is set");
        write_request(&mut stream, method, target, body);
        stream
    }

    /// The answer in JSON as soon as `good` likes it.
    pub(crate) fn get_until(
        &self,
        target: &str,
        good: impl Fn(&serde_json::Value) -> bool,
    ) -> serde_json::Value {
        let mut last = String::new();
        let found = poll(PATIENCE, || {
            let answer = self.get(target);
            last.clone_from(&answer.body);
            let json = serde_json::from_str(&answer.body).ok()?;
            good(&json).then_some(json)
        });
        found.unwrap_or_else(|| panic!("{target} still says {last}\n{}", self.log()))
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn after(word: &str, lines: &[String]) -> String {
    let line = lines.iter().find_map(|l| l.strip_prefix(word));
    line.unwrap_or_else(|| panic!("no {word} in {lines:?}")).trim().to_owned()
}

/// An HTTP answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// `X-Consul-Index`, where there is one.
    pub(crate) index: Option<u64>,
    pub(crate) body: String,
}

impl Answer {
    /// Reads to the end of the connection.
    pub(crate) fn read(mut stream: impl Read) -> Self {
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).expect("the answer comes to an end");
        let text = String::from_utf8_lossy(&bytes);
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head.split(' ').nth(1).and_then(|s| s.parse().ok());
        let status = status.unwrap_or_else(|| panic!("not HTTP: {text:?}"));
        let chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
        let index = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("x-consul-index").then(|| value.trim().parse().ok())?
        });
        Self { status, index, body: if chunked { unchunk(body) } else { body.to_owned() } }
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }
}

fn unchunk(mut body: &str) -> String {
    let mut whole = String::new();
    while let Some((size, rest)) = body.split_once("\r\n") {
        let size = usize::from_str_radix(size.trim(), 16).expect("a chunk has a size");
        whole.push_str(&rest[..size]);
        body = rest[size..].trim_start_matches("\r\n");
    }
    whole
}

/// Writes one request after which the server closes.
pub(crate) fn write_request(stream: &mut impl Write, method: &str, target: &str, body: &str) {
    stream.write_all(request(method, target, body).as_bytes()).expect("the request is sent");
}

/// A request as it goes over the wire.
pub(crate) fn request(method: &str, target: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "{method} {target} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}
