//! `[network]`, and the same keys where a fault changes the weather.

use super::error::Fault;
use super::reader::{Reader, as_duration};
use super::tree::{Item, Value};
use crate::sim::{Conditions, Latency};
use std::time::Duration;

const LATENCY_WANT: &str =
    r#""lan", "wan", a duration, { min, max } or { min, median, max }, shortest first"#;
const JITTER_WANT: &str = "a latency that is one duration: { min, max } says all by itself";
/// Longest datagram that a network may be asked to carry.
const MTU_MAX: u64 = 65_507;

/// Reads what stands in `reader` over `base`.
pub(super) fn conditions<'a>(reader: &mut Reader<'a>, base: &Conditions) -> Result<Conditions, Fault> {
    let mut conditions = base.clone();
    let jitter = reader.duration("jitter")?;
    match reader.item("latency") {
        None if jitter.is_some() => return Err(reader.fault("jitter", JITTER_WANT)),
        None => {}
        Some(item) => {
            let single = as_duration(&item.value);
            conditions.latency = match (single, jitter) {
                (Some(least), jitter) => {
                    Latency::Uniform { min: least, max: least + jitter.unwrap_or_default() }
                }
                (None, Some(_)) => return Err(reader.fault("jitter", JITTER_WANT)),
                (None, None) => latency(reader, item)?,
            };
        }
    }
    if let Some(share) = reader.share("loss")? {
        conditions.loss = share;
    }
    if let Some(share) = reader.share("duplicate")? {
        conditions.duplicate = share;
    }
    if let Some(share) = reader.share("reorder")? {
        conditions.reorder = share;
    }
    if let Some(delay) = reader.duration("reorder_delay")? {
        conditions.reorder_delay = delay;
    }
    if let Some(bytes) = reader.whole("bandwidth", 1_000, u64::from(u32::MAX) * 8)? {
        conditions.bandwidth = Some(bytes);
    }
    if let Some(bytes) = reader.whole("mtu", 64, MTU_MAX)? {
        conditions.mtu = usize::try_from(bytes).expect("an MTU is small");
    }
    if let Some(reports) = reader.flag("unreachable_reports")? {
        conditions.unreachable_reports = reports;
    }
    Ok(conditions)
}

fn latency(reader: &Reader<'_>, item: &Item) -> Result<Latency, Fault> {
    let wrong = || reader.fault("latency", LATENCY_WANT);
    match &item.value {
        Value::Text(word) if word == "lan" => Ok(Latency::LAN),
        Value::Text(word) if word == "wan" => Ok(Latency::WAN),
        Value::Table(table) => {
            let mut bounds = Reader::new(table, reader.path_of("latency"));
            let (min, max) = (bounds.need_duration("min")?, bounds.need_duration("max")?);
            let median: Option<Duration> = bounds.duration("median")?;
            bounds.finish()?;
            let middle = median.unwrap_or(min);
            if min > middle || middle > max {
                return Err(wrong());
            }
            Ok(match median {
                Some(median) => Latency::Skewed { min, median, max },
                None => Latency::Uniform { min, max },
            })
        }
        Value::Text(_)
        | Value::Integer(_)
        | Value::Float(_)
        | Value::Flag(_)
        | Value::List(_)
        | Value::Other(_) => Err(wrong()),
    }
}
