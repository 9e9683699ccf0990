//! What is measured: how an agent of each system starts, what its log tells about members, and how
//! something is changed on it.

use crate::beliefs::Status;
use crate::chitchat_agent;
use nix::sys::signal::Signal;
use serde_json::Value;
use std::fs::Permissions;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A program that keeps membership.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum System {
    Shoal,
    Serf,
    Chitchat,
}

/// Where one agent lives, however often it is started.
#[derive(Debug, Clone)]
pub(crate) struct Seat {
    pub(crate) number: usize,
    /// Gossip.
    pub(crate) port: u16,
    /// Serf's and Chitchat's commands.
    pub(crate) rpc_port: u16,
    /// Shoal's socket and data, in the directory of the cluster.
    pub(crate) directory: PathBuf,
}

impl Seat {
    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub(crate) fn rpc_address(&self) -> String {
        format!("127.0.0.1:{}", self.rpc_port)
    }

    /// The key that all agents of a cluster of Shoal's share.
    pub(crate) fn key_file(directory: &Path) -> PathBuf {
        directory.join("key")
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.directory.join(format!("{}.sock", self.number))
    }
}

/// Whom a log line is about: a place in the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Subject {
    Number(usize),
    Port(u16),
}

impl System {
    pub(crate) const ALL: [Self; 3] = [Self::Shoal, Self::Serf, Self::Chitchat];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Shoal => "Shoal",
            Self::Serf => "Serf",
            Self::Chitchat => "Chitchat",
        }
    }

    fn program(self) -> PathBuf {
        match self {
            Self::Shoal => env!("CARGO_BIN_EXE_shoal").into(),
            Self::Serf => "serf".into(),
            // A library: this program is its agent too.
            Self::Chitchat => std::env::current_exe().expect("this program has a path"),
        }
    }

    /// What the program calls itself, in one line. `None` where it is not installed.
    pub(crate) fn version(self) -> Option<String> {
        let argument = match self {
            Self::Shoal => "--version",
            Self::Serf => "version",
            Self::Chitchat => return Some(chitchat_agent::VERSION.to_owned()),
        };
        let said = Command::new(self.program()).arg(argument).output().ok()?;
        Some(String::from_utf8_lossy(&said.stdout).lines().next()?.trim().to_owned())
    }

    /// The command that runs an agent at `seat`, which joins `other`.
    pub(crate) fn command(self, seat: &Seat, other: Option<&Seat>) -> Command {
        let mut command = Command::new(self.program());
        match self {
            Self::Shoal => shoal_flags(&mut command, seat, other),
            Self::Serf => serf_flags(&mut command, seat, other),
            Self::Chitchat => chitchat_agent::flags(&mut command, seat, other),
        }
        command
    }

    /// What the agents of a cluster in `directory` share, before the first starts.
    pub(crate) fn prepare(self, directory: &Path) {
        if self == Self::Shoal {
            let made = Command::new(self.program()).arg("keygen").output().expect("shoal starts");
            let path = Seat::key_file(directory);
            std::fs::write(&path, made.stdout).expect("the directory is ours");
            // A key that others may read is refused.
            std::fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("the file is ours");
        }
    }

    /// Whether the agent at `seat` lets others join.
    pub(crate) fn is_up(self, seat: &Seat) -> bool {
        match self {
            Self::Shoal => UnixStream::connect(seat.socket()).is_ok(),
            Self::Serf => TcpStream::connect(seat.address()).is_ok(),
            Self::Chitchat => TcpStream::connect(seat.rpc_address()).is_ok(),
        }
    }

    /// What a line of an agent's log says about a member, if it does.
    pub(crate) fn read_line(self, line: &str) -> Option<(Subject, Status)> {
        match self {
            Self::Shoal => shoal_line(line),
            Self::Serf => serf_line(line),
            Self::Chitchat => chitchat_agent::read_line(line),
        }
    }

    /// Changes something on the agent at `seat`, as its users do, and returns when that tells that it
    /// is done. Two changes on one agent want two numbers.
    pub(crate) fn change(self, seat: &Seat, number: usize) {
        match self {
            Self::Shoal => shoal_change(seat, number),
            Self::Serf => serf_change(seat, number),
            Self::Chitchat => chitchat_agent::change(seat, number),
        }
    }

    /// What makes an agent say goodbye and end. Chitchat's has no word for it: those that stay wait until it
    /// is silent long enough.
    pub(crate) const fn leave_signal(self) -> Option<Signal> {
        match self {
            Self::Shoal | Self::Serf => Some(Signal::SIGINT),
            Self::Chitchat => None,
        }
    }

    /// Whether what goes over the wire is sealed here.
    pub(crate) const fn is_sealed(self) -> bool {
        matches!(self, Self::Shoal)
    }
}

fn shoal_flags(command: &mut Command, seat: &Seat, other: Option<&Seat>) {
    let data = seat.directory.join(seat.number.to_string());
    command.arg("agent");
    command.args(["--node", &format!("n{}", seat.number), "--bind", &seat.address()]);
    flag(command, "--socket", &seat.socket());
    flag(command, "--data-dir", &data);
    flag(command, "--key-file", &Seat::key_file(&seat.directory));
    command.args(["--profile", "lan", "--log-level", "info", "--log-format", "json"]);
    if let Some(other) = other {
        command.args(["--join", &other.address()]);
    }
}

fn flag(command: &mut Command, name: &str, path: &Path) {
    command.arg(name).arg(path);
}

fn serf_flags(command: &mut Command, seat: &Seat, other: Option<&Seat>) {
    command.arg("agent");
    command.args([format!("-node=n{}", seat.number), format!("-bind={}", seat.address())]);
    command.arg(format!("-rpc-addr={}", seat.rpc_address()));
    command.args(["-profile=lan", "-log-level=info"]);
    if let Some(other) = other {
        command.arg(format!("-join={}", other.address()));
    }
}

/// The journal of an agent: `{.., "message": "a member failed", "node": "n7", "addr": "127.0.0.1:12345"}`.
/// By the address, since an agent may not know the name yet.
fn shoal_line(line: &str) -> Option<(Subject, Status)> {
    let fields: Value = serde_json::from_str(line).ok()?;
    let status = match fields["message"].as_str()? {
        "a member joined" | "a member is back" | "a member was restarted" => Status::Alive,
        "a member failed" => Status::Failed,
        "a member left" => Status::Left,
        _ => return None,
    };
    let (_, port) = fields["addr"].as_str()?.rsplit_once(':')?;
    Some((Subject::Port(port.parse().ok()?), status))
}

/// `2026/01/31 12:00:00 [INFO] serf: EventMemberFailed: n7 127.0.0.1`. It is written when the member's
/// entry changes; handlers of events hear of it later, when several were put together.
fn serf_line(line: &str) -> Option<(Subject, Status)> {
    let (_, told) = line.split_once(" serf: EventMember")?;
    let (event, member) = told.split_once(": n")?;
    let status = match event {
        "Join" => Status::Alive,
        "Failed" => Status::Failed,
        "Leave" => Status::Left,
        "Update" => Status::Changed,
        _ => return None,
    };
    // An update tells no address.
    let number = member.split(' ').next()?;
    Some((Subject::Number(number.parse().ok()?), status))
}

/// A new service, over the socket.
fn shoal_change(seat: &Seat, number: usize) {
    let body = format!(r#"{{"Name": "spread-{number}", "Port": 80}}"#);
    // Of HTTP 1.0, so that the answer ends with the connection.
    let head = format!("PUT /v1/agent/service/register HTTP/1.0\r\nContent-Length: {}\r\n\r\n", body.len());
    let mut stream = UnixStream::connect(seat.socket()).expect("the agent answers");
    stream.write_all(format!("{head}{body}").as_bytes()).expect("the agent listens");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("the agent answers");
    assert!(answer.split(' ').nth(1) == Some("200"), "registering: {answer}");
}

/// A new value of a tag.
fn serf_change(seat: &Seat, number: usize) {
    let mut command = Command::new(System::Serf.program());
    command.arg("tags").arg(format!("-rpc-addr={}", seat.rpc_address()));
    command.args(["-set", &format!("spread={number}")]);
    let said = command.output().expect("serf starts");
    assert!(said.status.success(), "setting a tag: {}", String::from_utf8_lossy(&said.stderr));
}
