//! What the host says of this agent: its process, its socket, its disk. Read when somebody asks, beside
//! the loop.

use super::clock::Moment;
use super::udp;
use crate::model::{DiskFacts, Examination, Instant, ProcessFacts, SocketFacts};
use nix::sys::resource::{Resource, getrlimit};
use nix::sys::statvfs::statvfs;
use nix::unistd::{AccessFlags, access};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The wall clock and the other one drift apart slowly; more than this at once is a jump.
const JUMP: Duration = Duration::from_millis(500);

/// Notices when somebody sets the wall clock.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct ClockWatch {
    /// Wall clock less monotonic clock, when looked at last.
    offset_ms: Option<i64>,
    jumps: u64,
    last: Option<(Instant, i64)>,
}

impl ClockWatch {
    pub(super) fn look(&mut self, moment: Moment) {
        let ms = |n: u128| i64::try_from(n).unwrap_or(i64::MAX);
        let running = ms(moment.now.since(Instant::START).as_millis());
        let offset = ms(u128::from(moment.unix_ms)).saturating_sub(running);
        if let Some(before) = self.offset_ms.replace(offset) {
            let jump = offset.saturating_sub(before);
            if u128::from(jump.unsigned_abs()) >= JUMP.as_millis() {
                tracing::warn!(jump_ms = jump, "the wall clock was set");
                self.jumps += 1;
                self.last = Some((moment.now, jump));
            }
        }
    }

    fn tell(&self, now: Instant, process: &mut ProcessFacts) {
        process.clock_jumps = self.jumps;
        process.clock_jump_ms = self.last.map_or(0, |(_, jump)| jump);
        process.clock_jump_ago_ms = self.last.map(|(at, _)| millis(now.since(at)));
    }
}

pub(super) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// What is looked up beside the loop.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) data_dir: Option<PathBuf>,
    /// Of the gossip socket.
    pub(super) inode: Option<u64>,
}

/// The parts of an examination that the agent's loop knows itself.
pub(super) fn process(watch: ClockWatch, moment: Moment) -> ProcessFacts {
    let mut process = ProcessFacts {
        pid: std::process::id(),
        uptime_ms: millis(moment.now.since(Instant::START)),
        unix_ms: moment.unix_ms,
        ..ProcessFacts::default()
    };
    watch.tell(moment.now, &mut process);
    process
}

/// Adds what has to be read from the system. Blocks for as long as that takes. What cannot be read is left
/// out.
pub(super) fn look_up(wanted: &Wanted, found: &mut Examination) {
    let process = &mut found.process;
    process.load_milli = read("/proc/loadavg").as_deref().and_then(load_milli);
    process.processors = std::thread::available_parallelism().ok().map(|n| n.get() as u64);
    process.files = std::fs::read_dir("/proc/self/fd").ok().map(|entries| entries.count() as u64);
    process.files_max = getrlimit(Resource::RLIMIT_NOFILE).ok().map(|(soft, _)| soft);
    let socket = &mut found.socket;
    socket.buffer_wanted = udp::BUFFER_BYTES as u64;
    socket.receive_buffer_max = read("/proc/sys/net/core/rmem_max").and_then(|text| text.trim().parse().ok());
    socket.drops = wanted.inode.and_then(drops);
    if let Some(path) = &wanted.data_dir {
        let writes_failed = found.disk.as_ref().map_or(0, |disk| disk.writes_failed);
        found.disk = Some(DiskFacts { writes_failed, ..disk(path) });
    }
}

fn read(path: &str) -> Option<String> {
    std::fs::read_to_string(path).ok()
}

/// proc_loadavg(5): the first of three averages.
fn load_milli(text: &str) -> Option<u64> {
    let load: f64 = text.split_whitespace().next()?.parse().ok()?;
    (load.is_finite() && load >= 0.0).then_some((load * 1_000.0) as u64)
}

fn drops(inode: u64) -> Option<u64> {
    ["/proc/self/net/udp", "/proc/self/net/udp6"].into_iter().find_map(|path| drops_in(&read(path)?, inode))
}

/// Of one socket in the kernel's table: the last column of the line with that inode, the tenth.
fn drops_in(table: &str, inode: u64) -> Option<u64> {
    table.lines().skip(1).find_map(|line| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let own = columns.get(9).and_then(|text| text.parse().ok()) == Some(inode);
        own.then(|| columns.last().and_then(|text| text.parse().ok())).flatten()
    })
}

fn disk(path: &Path) -> DiskFacts {
    let error =
        access(path, AccessFlags::W_OK | AccessFlags::X_OK).err().map(|errno| errno.desc().to_owned());
    let space = statvfs(path).ok();
    DiskFacts {
        path: path.display().to_string(),
        error,
        free: space.as_ref().map(|s| s.blocks_available().saturating_mul(s.fragment_size())),
        free_files: space.filter(|s| s.files() > 0).map(|s| s.files_available()),
        writes_failed: 0,
    }
}

/// What the socket itself knows.
pub(super) fn socket(
    buffers: (Option<u64>, Option<u64>),
    sends_failed: u64,
    datagram_max: usize,
) -> SocketFacts {
    SocketFacts {
        receive_buffer: buffers.0,
        send_buffer: buffers.1,
        sends_failed,
        datagram_max: datagram_max as u64,
        ..SocketFacts::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drops_stand_at_the_end_of_the_line_with_the_inode() {
        let table = "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode \
                     ref pointer drops\n  \
                     101: 0100007F:1F0A 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 4711 2 \
                     0000000000000000 12\n";
        assert_eq!((drops_in(table, 4711), drops_in(table, 4712), drops_in("", 1)), (Some(12), None, None));
    }

    #[test]
    fn a_socket_is_found_in_the_kernels_table() {
        use std::os::fd::AsFd;
        let socket = udp::bind("127.0.0.1:0".parse().expect("valid")).expect("binds");
        let inode = nix::sys::stat::fstat(socket.as_fd()).expect("is open").st_ino;
        assert_eq!(drops(inode), Some(0));
    }

    #[test]
    fn a_clock_that_is_set_is_noticed_and_drift_is_not() {
        let mut watch = ClockWatch::default();
        let moment = |s: u64, unix_ms: u64| Moment { now: Instant::START + Duration::from_secs(s), unix_ms };
        for (s, unix_ms) in [(0, 10_000), (1, 11_020), (2, 12_040), (3, 43_060), (4, 44_060), (5, 15_060)] {
            watch.look(moment(s, unix_ms));
        }
        let facts = process(watch, moment(7, 17_060));
        assert_eq!(
            (facts.clock_jumps, facts.clock_jump_ms, facts.clock_jump_ago_ms),
            (2, -30_000, Some(2_000))
        );
    }

    #[test]
    fn a_directory_that_is_not_there_cannot_be_written_to() {
        let there = tempfile::tempdir().expect("a directory");
        let good = disk(there.path());
        assert!(good.error.is_none() && good.free.is_some_and(|bytes| bytes > 0), "{good:?}");
        let gone = disk(&there.path().join("gone"));
        assert!(gone.error.is_some_and(|error| error.contains("No such file")) && gone.free.is_none());
        assert_eq!((load_milli("0.52 0.58 0.59 1/500 1\n"), load_milli("x")), (Some(520), None));
    }
}
