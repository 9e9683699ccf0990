//! From facts to findings: pure, a file for each family.

mod address;
mod buffers;
mod clock;
mod disk;
mod keys;
mod load;
mod local;
mod names;
mod reach;
mod size;
mod strangers;
#[cfg(test)]
mod testing;
mod versions;

use super::finding::Report;
use crate::client::{Key, Member};
use crate::model::Examination;

/// The file of the agent's socket, as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SocketFile {
    pub(super) path: String,
    /// Permission bits.
    pub(super) mode: u32,
}

/// What is judged.
#[derive(Debug, Clone, Default)]
pub(super) struct Facts {
    pub(super) examination: Examination,
    /// Everybody whom the agent knows, itself included.
    pub(super) members: Vec<Member>,
    /// The cluster's keys; none where nothing is sealed, or where they were not told.
    pub(super) keys: Vec<Key>,
    /// `None` over TCP.
    pub(super) socket: Option<SocketFile>,
}

/// Judges everything.
pub(super) fn judge(facts: &Facts) -> Report {
    let mut report = Report::default();
    for family in [
        reach::judge,
        size::judge,
        address::judge,
        names::judge,
        keys::judge,
        strangers::judge,
        clock::judge,
        buffers::judge,
        load::judge,
        disk::judge,
        local::judge,
        versions::judge,
    ] {
        family(facts, &mut report);
    }
    report.sort();
    report
}

/// Milliseconds with three digits at most.
fn show_ms(us: u64) -> String {
    super::super::members::short_millis(us as f64 / 1_000.0)
}

/// A span of time, short.
fn show_span(ms: u64) -> String {
    crate::client::format_duration(match ms {
        0..1_000 => std::time::Duration::from_millis(ms),
        1_000..10_000 => std::time::Duration::from_millis(ms / 100 * 100),
        _ => std::time::Duration::from_secs(ms / 1_000),
    })
}

/// `1 member`, `2 members`.
fn count(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

/// `once`, `2 times`.
fn times(n: u64) -> String {
    if n == 1 { "once".to_owned() } else { format!("{n} times") }
}

/// Bytes for people.
fn show_bytes(bytes: u64) -> String {
    match bytes {
        0..10_240 => format!("{bytes} bytes"),
        10_240..10_485_760 => format!("{} KiB", bytes >> 10),
        _ => format!("{} MiB", bytes >> 20),
    }
}
