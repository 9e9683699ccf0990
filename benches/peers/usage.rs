//! What agents take from the machine: processor, memory, network, as Linux counts it, the same for any program.

use std::fs;

/// Of loopback, in both directions at once since what is sent there is received there.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Traffic {
    pub(crate) packets: u64,
    pub(crate) bytes: u64,
}

/// An IPv4 header and one of UDP; what else there is (Serf's TCP) has longer ones and counts a little more.
const HEADERS: u64 = 28;

impl Traffic {
    /// All of loopback in this network namespace since it began. In one of its own (`unshare -n`) it is that
    /// of the agents alone.
    pub(crate) fn now() -> Self {
        let text = fs::read_to_string("/proc/self/net/dev").unwrap_or_default();
        let line = text.lines().find_map(|l| l.trim().strip_prefix("lo:")).unwrap_or_default();
        let fields: Vec<u64> = line.split_whitespace().filter_map(|f| f.parse().ok()).collect();
        let at = |n: usize| fields.get(n).copied().unwrap_or_default();
        // Received bytes, then packets.
        Self { bytes: at(0), packets: at(1) }
    }

    /// Packets and bytes without headers.
    pub(crate) const fn since(self, before: Self) -> Self {
        let packets = self.packets.saturating_sub(before.packets);
        let bytes = self.bytes.saturating_sub(before.bytes).saturating_sub(packets * HEADERS);
        Self { packets, bytes }
    }
}

/// Processor time of a process and all its threads, in seconds. To the nanosecond: the ticks in
/// `/proc/PID/stat` are longer than anything an idle agent does.
pub(crate) fn cpu_seconds(pid: u32) -> f64 {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let nanoseconds = threads.filter_map(|thread| {
        let text = fs::read_to_string(thread.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse::<u64>().ok()
    });
    nanoseconds.sum::<u64>() as f64 / 1e9
}

/// Megabytes (of 1,000,000 bytes) of a line of `smaps_rollup`, such as `Rss` or `Pss`.
pub(crate) fn memory_mb(pid: u32, line: &str) -> f64 {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let found = text.lines().find_map(|l| l.strip_prefix(line)?.strip_prefix(':'));
    let kb: Option<f64> = found.and_then(|rest| rest.trim().strip_suffix(" kB")?.trim().parse().ok());
    kb.unwrap_or_default() * 1_024.0 / 1e6
}
