//! `[[load]]`: streams and bursts of commands.

use super::error::Fault;
use super::nodes::Nodes;
use super::reader::Reader;
use super::target::Draw;
use crate::sim::{HostId, Load, LoadKind};
use std::time::Duration;

const KINDS: [(&str, LoadKind); 7] = [
    ("register", LoadKind::Register),
    ("register_bare", LoadKind::RegisterBare),
    ("deregister", LoadKind::Deregister),
    ("flap", LoadKind::Flap),
    ("heartbeat", LoadKind::Heartbeat),
    ("change", LoadKind::Change),
    ("tags", LoadKind::Tags),
];
/// Commands that a burst may hold.
const BURST_MAX: u64 = 1_000_000;
/// Commands per second at most.
const RATE_MAX: u64 = 1_000_000;

/// Reads `[[load]]`: when each load starts, and what it is.
pub(super) fn loads(
    readers: Vec<Reader<'_>>,
    nodes: &Nodes,
    lasts: Duration,
    seed: u64,
) -> Result<Vec<(Duration, Load)>, Fault> {
    let mut loads = Vec::new();
    for (number, mut reader) in (0..).zip(readers) {
        let draw = Draw { seed, part: "file loads", index: number };
        loads.push(load(&mut reader, nodes, lasts, draw)?);
        reader.finish()?;
    }
    Ok(loads)
}

fn load(
    reader: &mut Reader<'_>,
    nodes: &Nodes,
    run_lasts: Duration,
    draw: Draw,
) -> Result<(Duration, Load), Fault> {
    let words = KINDS.map(|(word, _)| word);
    let word = reader.word("do", &words)?;
    let Some((_, kind)) = KINDS.iter().find(|(w, _)| Some(*w) == word) else {
        return Err(reader.fault("do", format!("one of {}", words.join(", "))));
    };
    let from = reader.duration("from")?.unwrap_or_default();
    if from > run_lasts {
        return Err(reader.fault("from", format!("at most lasts ({run_lasts:?})")));
    }
    let path = reader.path_of("nodes");
    let hosts = match reader.item("nodes") {
        Some(item) => nodes.directory.hosts(item, &path, draw)?,
        None => (0..nodes.specs.len()).map(HostId).collect(),
    };
    let every = reader.duration("every")?;
    let rate = reader.whole("rate", 1, RATE_MAX)?;
    let lasts = reader.duration("lasts")?;
    let count = reader.whole("count", 1, BURST_MAX)?;
    let every = match (every, rate) {
        (Some(_), Some(_)) => return Err(reader.fault("rate", "either every or rate")),
        (Some(every), None) if every.is_zero() => {
            return Err(reader.fault("every", "a duration of more than zero"));
        }
        (every, rate) => every.or_else(|| rate.map(|rate| Duration::from_secs(1).div_f64(rate as f64))),
    };
    let (every, lasts, count) = match (every, lasts, count) {
        (Some(every), lasts, count) => {
            (every, lasts.unwrap_or(run_lasts.saturating_sub(from)), count.unwrap_or(1))
        }
        // A burst: so many commands at one moment.
        (None, None, Some(count)) => (Duration::from_secs(1), Duration::from_micros(1), count),
        (None, Some(_), Some(_)) => {
            return Err(reader.fault("lasts", "every or rate beside it, or a count alone"));
        }
        (None, _, None) => {
            return Err(reader.fault("every", "time between commands; or rate, or count for a burst"));
        }
    };
    let at_once = usize::try_from(count).expect("a burst is small");
    Ok((from, Load { hosts, kind: *kind, every, lasts, at_once }))
}
