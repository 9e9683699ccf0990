//! What the system says of this process, for metrics. Reads `/proc` when somebody asks.

use crate::view::Exposition;
use nix::sys::resource::{Resource, UsageWho, getrlimit, getrusage};
use nix::sys::time::TimeVal;
use std::fs;

/// Appends what can be found out; what cannot is left out.
pub(super) fn expose(started_unix_ms: u64, out: &mut Exposition) {
    if let Ok(usage) = getrusage(UsageWho::RUSAGE_SELF) {
        let seconds = |time: TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
        out.value("process_cpu_seconds_total", seconds(usage.user_time()) + seconds(usage.system_time()));
    }
    if let Some(bytes) = fs::read_to_string("/proc/self/status").ok().as_deref().and_then(resident) {
        out.value("process_resident_memory_bytes", bytes);
    }
    if let Ok(files) = fs::read_dir("/proc/self/fd") {
        // The one that lists them is among them.
        out.value("process_open_fds", files.count().saturating_sub(1));
    }
    if let Ok((soft, _)) = getrlimit(Resource::RLIMIT_NOFILE) {
        out.value("process_max_fds", soft);
    }

    out.value("process_start_time_seconds", started_unix_ms as f64 / 1e3);
}

/// Bytes of the line `VmRSS:     1234 kB`.
fn resident(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok().map(|kb| kb * 1_024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_tells_what_this_process_takes() {
        let mut out = Exposition::default();
        expose(1_500, &mut out);
        let text = out.into_text();
        let value = |name: &str| -> f64 {
            let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name} ")));
            line.unwrap_or_else(|| panic!("no {name} in {text}")).parse().expect("a number")
        };
        assert!(value("process_resident_memory_bytes") > 100_000.0, "{text}");
        assert!(
            value("process_open_fds") >= 3.0 && value("process_max_fds") >= value("process_open_fds"),
            "{text}"
        );
        assert!(value("process_cpu_seconds_total") >= 0.0);
        assert_eq!(value("process_start_time_seconds"), 1.5);
        assert_eq!(resident("Name:\tx\nVmRSS:\t    1234 kB\n"), Some(1_263_616));
        assert_eq!(resident("VmRSS: many"), None);
    }
}
