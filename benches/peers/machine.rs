//! How busy the machine is with other things: a measurement is worth what it is.

use std::fmt;

/// Times of all processors since boot, in ticks, from the first line of `/proc/stat`.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Ticks {
    all: u64,
    idle: u64,
    stolen: u64,
}

impl Ticks {
    pub(crate) fn now() -> Self {
        let text = std::fs::read_to_string("/proc/stat").unwrap_or_default();
        let line = text.lines().next().unwrap_or_default();
        // user nice system idle iowait irq softirq steal; what follows is in user and nice already.
        let fields: Vec<u64> =
            line.split_whitespace().skip(1).take(8).filter_map(|f| f.parse().ok()).collect();
        let at = |n: usize| fields.get(n).copied().unwrap_or_default();
        Self { all: fields.iter().sum(), idle: at(3) + at(4), stolen: at(7) }
    }

    pub(crate) const fn since(self, before: Self) -> Self {
        Self {
            all: self.all.saturating_sub(before.all),
            idle: self.idle.saturating_sub(before.idle),
            stolen: self.stolen.saturating_sub(before.stolen),
        }
    }
}

impl fmt::Display for Ticks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let share = |part: u64| 100.0 * part as f64 / self.all.max(1) as f64;
        let busy = self.all.saturating_sub(self.idle).saturating_sub(self.stolen);
        write!(f, "busy {:.1} %, stolen {:.1} %", share(busy), share(self.stolen))
    }
}

/// The load averages over 1, 5 and 15 minutes, as Linux writes them.
pub(crate) fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().take(3).collect::<Vec<_>>().join(" ")
}
