//! Where no agent answers: what can be said of its socket, its port, its configuration and its data.

use super::finding::{Finding, Report, Severity};
use crate::client::{Address, Error};
use std::io::ErrorKind;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::process::Command;

/// Checking a configuration reads a few files.
const CHECK_MAX: Duration = Duration::from_secs(10);

/// What was found at the socket's path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Socket {
    /// There is no file: it is an address of TCP.
    Tcp,
    Missing,
    Other,
    /// Nobody listens there.
    Stale,
    Denied,
    /// Somebody listens and does not answer.
    Silent,
}

/// Whether the configuration can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Config {
    /// Where gossip would be received, and where state would be kept.
    Good {
        bind: String,
        data_dir: Option<String>,
    },
    Bad(String),
    /// It could not be checked, and why.
    Unknown(String),
}

/// What is judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OfflineFacts {
    pub(super) address: String,
    pub(super) socket: Socket,
    pub(super) config: Config,
    /// Files that were named.
    pub(super) config_files: String,
    /// A process that receives at the gossip port, in words.
    pub(super) port_taken_by: Option<String>,
    /// A process that has the data directory, in words.
    pub(super) data_dir_held_by: Option<String>,
}

/// `error` is what asking ended with; `None`: it did not end.
pub(super) async fn gather(
    address: &Address,
    error: Option<&Error>,
    config_files: &[PathBuf],
) -> OfflineFacts {
    let config = check(config_files).await;
    let (port_taken_by, data_dir_held_by) = match &config {
        Config::Good { bind, data_dir } => (port_holder(bind), data_dir.as_deref().and_then(dir_holder)),
        Config::Bad(_) | Config::Unknown(_) => (None, None),
    };
    let files = config_files.iter().map(|path| path.display().to_string());
    OfflineFacts {
        address: address.to_string(),
        socket: socket(address, error),
        config,
        config_files: files.map(|path| format!(" --config {path}")).collect(),
        port_taken_by,
        data_dir_held_by,
    }
}

fn socket(address: &Address, error: Option<&Error>) -> Socket {
    let Address::Unix(path) = address else { return Socket::Tcp };
    let kind = match error {
        Some(Error::NoAgent { source, .. }) => source.kind(),
        _ => return Socket::Silent,
    };
    match std::fs::symlink_metadata(path) {
        Err(e) if e.kind() == ErrorKind::PermissionDenied => Socket::Denied,
        Err(_) => Socket::Missing,
        Ok(found) if !found.file_type().is_socket() => Socket::Other,
        Ok(_) if kind == ErrorKind::PermissionDenied => Socket::Denied,
        Ok(_) => Socket::Stale,
    }
}

/// Has this very program check the configuration, as the agent would read it.
async fn check(files: &[PathBuf]) -> Config {
    let program = match std::env::current_exe() {
        Ok(program) => program,
        Err(error) => return Config::Unknown(error.to_string()),
    };
    let mut command = Command::new(program);
    command.args(["config", "check"]).kill_on_drop(true).stdin(std::process::Stdio::null());
    for file in files {
        command.arg("--config").arg(file);
    }
    match tokio::time::timeout(CHECK_MAX, command.output()).await {
        Ok(Ok(done)) if done.status.success() => understood(&String::from_utf8_lossy(&done.stdout)),
        Ok(Ok(done)) => {
            let said = String::from_utf8_lossy(&done.stderr).trim().to_owned();
            Config::Bad(said.strip_prefix("shoal: error: ").unwrap_or(&said).to_owned())
        }
        Ok(Err(error)) => Config::Unknown(error.to_string()),
        Err(_) => Config::Unknown(format!("no answer within {CHECK_MAX:?}")),
    }
}

fn understood(text: &str) -> Config {
    let Ok(table) = text.parse::<toml::Table>() else {
        return Config::Unknown("`shoal config check` printed no TOML".to_owned());
    };
    let text = |key: &str| table.get(key).and_then(toml::Value::as_str).map(str::to_owned);
    match text("bind") {
        Some(bind) => Config::Good { bind, data_dir: text("data_dir") },
        None => Config::Unknown("`shoal config check` printed no bind".to_owned()),
    }
}

/// Who receives at that UDP port.
fn port_holder(bind: &str) -> Option<String> {
    let addr: std::net::SocketAddr = bind.parse().ok()?;
    if addr.port() == 0 {
        return None;
    }
    match std::net::UdpSocket::bind(addr) {
        Err(error) if error.kind() == ErrorKind::AddrInUse => {}
        _ => return None,
    }
    let inodes: Vec<String> = ["/proc/net/udp", "/proc/net/udp6"]
        .iter()
        .filter_map(|path| std::fs::read_to_string(path).ok())
        .flat_map(|table| inodes_at(&table, addr.port()))
        .map(|inode| format!("socket:[{inode}]"))
        .collect();
    Some(owner_of(&inodes).unwrap_or_else(|| "a process that this user may not look at".to_owned()))
}

/// The sockets of the kernel's table that are bound to a port.
fn inodes_at(table: &str, port: u16) -> Vec<u64> {
    let at = |line: &str| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let local = columns.get(1)?.rsplit_once(':')?.1;
        (u16::from_str_radix(local, 16).ok()? == port).then(|| columns.get(9)?.parse().ok()).flatten()
    };
    table.lines().skip(1).filter_map(at).collect()
}

/// A process that has one of these open.
fn owner_of(links: &[String]) -> Option<String> {
    let processes = std::fs::read_dir("/proc").ok()?.filter_map(Result::ok);
    processes.map(|entry| entry.path()).find_map(|process| {
        let pid: u32 = process.file_name()?.to_str()?.parse().ok()?;
        let has = |entry: std::fs::DirEntry| {
            std::fs::read_link(entry.path()).is_ok_and(|to| links.iter().any(|link| to == Path::new(link)))
        };
        let found = std::fs::read_dir(process.join("fd")).ok()?.filter_map(Result::ok).any(has);
        found.then(|| named(pid))
    })
}

fn named(pid: u32) -> String {
    let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    format!("process {pid} ({})", name.trim())
}

/// Who has locked that data directory.
fn dir_holder(dir: &str) -> Option<String> {
    let lock = Path::new(dir).join("lock");
    let file = std::fs::File::open(&lock).ok()?;
    match file.try_lock_shared() {
        Err(std::fs::TryLockError::WouldBlock) => {}
        _ => return None,
    }
    let pid = std::fs::read_to_string(&lock).ok().and_then(|text| text.trim().parse().ok());
    Some(pid.map_or_else(|| "an agent".to_owned(), named))
}

/// From these facts to findings.
pub(super) fn judge(facts: &OfflineFacts) -> Report {
    let mut report = Report::default();
    let path = &facts.address;
    let start = format!("start one: `systemctl start shoal`, or `shoal agent{}`", facts.config_files);
    let found = |name, seen: &str, means: &str, remedy: &str| {
        Finding::new(name, Severity::Critical, path).seen(seen).means(means).remedy(remedy)
    };
    report.add(match facts.socket {
        Socket::Tcp => found(
            "no_agent",
            "nobody answers there",
            "no agent runs there, or it serves no --http at that address",
            "ask the agent over its Unix socket (--socket PATH), and see whether it was started with --http",
        ),
        Socket::Missing => found(
            "no_agent",
            "there is no such file",
            "no agent runs for this user, or its socket is elsewhere",
            &format!("{start}; if one runs: --socket PATH or $SHOAL_SOCKET with the path that it printed"),
        ),
        Socket::Other => found(
            "no_socket",
            "the file is no socket",
            "an agent would not start there, so as not to destroy it",
            &format!("look at it (`ls -l {path}`), move it away, or give another --socket"),
        ),
        Socket::Stale => found(
            "stale_socket",
            "the socket is there and nobody listens",
            "the agent was killed, or crashed; the next start replaces the file",
            &format!("see why it ended (`journalctl -u shoal -n 50`), and {start}"),
        ),
        Socket::Denied => found(
            "socket_denied",
            "this user may not connect",
            "the socket belongs to the agent's user; that says nothing of the agent",
            "run this as that user or as root (`sudo shoal doctor`), or set socket_group and socket_mode",
        ),
        Socket::Silent => found(
            "agent_silent",
            "somebody listens there and does not answer",
            "the agent stands still (stopped, or the host swaps), or it is no agent",
            "`systemctl status shoal`; if it is stopped `kill -CONT PID`, else restart it",
        ),
    });
    judge_config(facts, &mut report);
    if let Some(holder) = &facts.port_taken_by {
        let bind = if let Config::Good { bind, .. } = &facts.config { bind } else { "" };
        report.add(
            Finding::new("port_in_use", Severity::Critical, bind)
                .seen(format!("{holder} receives at UDP {bind}, where the agent would"))
                .means("an agent with this configuration does not start")
                .remedy(
                    "if that is a Shoal agent, ask it: --socket PATH as it printed; else stop it, or give another --bind",
                ),
        );
    }
    if let Some(holder) = &facts.data_dir_held_by {
        let dir = if let Config::Good { data_dir: Some(dir), .. } = &facts.config { dir } else { "" };
        report.add(
            Finding::new("data_dir_in_use", Severity::Critical, dir)
                .seen(format!("{holder} has locked {dir}"))
                .means("an agent runs with this data, and its socket is elsewhere")
                .remedy("ask that one: --socket PATH as it printed (`ps -o args= -p PID`)"),
        );
    }
    report.sort();
    report
}

fn judge_config(facts: &OfflineFacts, report: &mut Report) {
    let before = report.findings.len();
    match &facts.config {
        Config::Bad(error) => report.add(
            Finding::new("config_invalid", Severity::Critical, "configuration")
                .seen(error)
                .means("an agent with this configuration does not start")
                .remedy(format!("correct it, then `shoal config check{}`", facts.config_files)),
        ),
        Config::Unknown(why) => report.add(
            Finding::new("config_unchecked", Severity::Note, "configuration")
                .seen(why)
                .means("whether the configuration is good was not found out")
                .remedy(format!("`shoal config check{}`", facts.config_files)),
        ),
        Config::Good { bind, .. } => {
            let files = if facts.config_files.is_empty() {
                "flags and environment alone"
            } else {
                &facts.config_files
            };
            report.pass_since(before, "config", format!("valid ({}), gossip at {bind}", files.trim()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(socket: Socket) -> OfflineFacts {
        OfflineFacts {
            address: "/run/shoal/agent.sock".to_owned(),
            socket,
            config: Config::Good {
                bind: "10.0.0.1:7946".to_owned(),
                data_dir: Some("/var/lib/shoal".to_owned()),
            },
            config_files: " --config a.toml".to_owned(),
            port_taken_by: None,
            data_dir_held_by: None,
        }
    }

    #[test]
    fn each_state_of_the_socket_has_its_finding() {
        for (socket, name) in [
            (Socket::Tcp, "no_agent"),
            (Socket::Missing, "no_agent"),
            (Socket::Other, "no_socket"),
            (Socket::Stale, "stale_socket"),
            (Socket::Denied, "socket_denied"),
            (Socket::Silent, "agent_silent"),
        ] {
            let report = judge(&facts(socket));
            assert_eq!((report.findings.len(), report.findings[0].name), (1, name), "{socket:?}");
            assert_eq!(report.passed[0].seen, "valid (--config a.toml), gossip at 10.0.0.1:7946");
        }
        assert!(judge(&facts(Socket::Missing)).findings[0].remedy.contains("shoal agent --config a.toml"));
    }

    #[test]
    fn what_keeps_an_agent_from_starting_is_found() {
        let mut stuck = facts(Socket::Missing);
        stuck.port_taken_by = Some("process 12 (named)".to_owned());
        stuck.data_dir_held_by = Some("process 13 (shoal)".to_owned());
        let names: Vec<&str> = judge(&stuck).findings.iter().map(|f| f.name).collect();
        assert_eq!(names, ["no_agent", "port_in_use", "data_dir_in_use"]);
        let bad =
            OfflineFacts { config: Config::Bad("a.toml: bind = 7".to_owned()), ..facts(Socket::Missing) };
        assert_eq!(judge(&bad).findings[1].name, "config_invalid");
        assert!(matches!(understood("bind = \"127.0.0.1:1\"\n# a remark\n"), Config::Good { .. }));
        assert!(matches!(understood("<html>"), Config::Unknown(_)));
    }

    #[test]
    fn sockets_are_found_by_their_port() {
        let table =
            "  sl  local_address\n   1: 0100007F:1F0A 00000000:0000 07 0:0 0:0 0 0 0 4711 2 0 0\n   2: x\n";
        assert_eq!((inodes_at(table, 0x1f0a), inodes_at(table, 80)), (vec![4_711], Vec::new()));
    }
}
