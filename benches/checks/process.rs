//! What a process costs, and a line to an agent that stays open.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// Processor time of a process so far. Linux counts it in hundredths of a second.
pub(crate) fn cpu(pid: i32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
    let fields: Vec<&str> = stat.rsplit(')').next().expect("has a name").split_whitespace().collect();
    let ticks: u64 = fields[11..13].iter().map(|n| n.parse::<u64>().expect("a number")).sum();
    Duration::from_millis(ticks * 10)
}

/// Resident memory of a process, in megabytes.
pub(crate) fn resident_mb(pid: i32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("is told");
    line.trim().trim_end_matches(" kB").parse::<f64>().expect("a number") / 1024.0
}

/// The value below which a share of `sorted` lies.
pub(crate) fn quantile(sorted: &[f64], share: f64) -> f64 {
    let at = ((sorted.len() as f64 - 1.0) * share).round() as usize;
    sorted.get(at).copied().unwrap_or(f64::NAN)
}

/// One connection for many requests.
pub(crate) struct Line {
    stream: BufReader<UnixStream>,
}

impl Line {
    pub(crate) fn open(socket: &Path) -> Self {
        Self { stream: BufReader::new(UnixStream::connect(socket).expect("an agent listens")) }
    }

    /// Asks and waits for the whole answer; gives its status.
    pub(crate) fn put(&mut self, target: &str, body: &str) -> u16 {
        self.ask("PUT", target, body)
    }

    /// As [`Self::put`], with another method.
    pub(crate) fn ask(&mut self, method: &str, target: &str, body: &str) -> u16 {
        let length = body.len();
        let head =
            format!("{method} {target} HTTP/1.1\r\nhost: local\r\ncontent-length: {length}\r\n\r\n{body}");
        self.stream.get_mut().write_all(head.as_bytes()).expect("is sent");
        let (mut status, mut length) = (0, 0);
        loop {
            let mut line = String::new();
            self.stream.read_line(&mut line).expect("an answer");
            let line = line.trim_end().to_ascii_lowercase();
            if let Some(rest) = line.strip_prefix("http/1.1 ") {
                status = rest[..3].parse().expect("a status");
            } else if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().expect("a length");
            } else if line.is_empty() {
                break;
            }
        }
        std::io::copy(&mut self.stream.by_ref().take(length), &mut std::io::sink()).expect("a body");
        status
    }
}
