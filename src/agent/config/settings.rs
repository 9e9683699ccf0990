//! The keys of [`Settings`]: timing and limits, one key per field, under the field's name.

use super::{ConfigFault, RawConfig};
use crate::core::Settings;
use jiff::fmt::friendly::{SpanParser, SpanPrinter};
use std::time::Duration;

const DURATION_WANT: &str = r#"a duration such as "200ms", "5s" or "72h""#;

macro_rules! settings {
    (durations: $($duration:ident)*; numbers: $($number:ident)*;) => {
        /// Every key of this part of the file.
        pub(super) const KEYS: &[&str] = &[$(stringify!($duration),)* $(stringify!($number),)*];

        /// Replaces what `raw` sets.
        pub(super) fn apply(raw: &RawConfig, settings: &mut Settings) -> Result<(), ConfigFault> {
            $(if let Some(v) = raw.parsed(stringify!($duration), DURATION_WANT, parse_duration)? {
                settings.$duration = v;
            })*
            $(if let Some(v) = raw.number(stringify!($number))? {
                settings.$number = v
                    .try_into()
                    .map_err(|_| raw.fault(stringify!($number), "a smaller number"))?;
            })*
            Ok(())
        }

        /// The file that says the same.
        pub(super) fn show(settings: &Settings, table: &mut toml::Table) {
            $(table.insert(stringify!($duration).to_owned(), show_duration(settings.$duration).into());)*
            $(table.insert(
                stringify!($number).to_owned(),
                toml::Value::Integer(settings.$number.try_into().unwrap_or(i64::MAX)),
            );)*
        }

        // Fails to compile when a field has no key.
        const _: fn(Settings) = |Settings { $($duration: _,)* $($number: _,)* }| ();
    };
}

settings! {
    durations: probe_interval probe_timeout reap_after sync_after heal_interval leave_timeout;
    numbers: indirect_probes suspicion_mult gossip_fanout gossip_bytes_per_s_max max_datagram_bytes
        max_record_bytes max_entries_per_node max_members max_rumours leave_acks;
}

/// A duration as people write it; `None` when it is not one.
pub(super) fn parse_duration(text: &str) -> Option<Duration> {
    SpanParser::new().parse_unsigned_duration(text).ok()
}

/// A duration that [`parse_duration`] reads back.
pub(super) fn show_duration(duration: Duration) -> String {
    SpanPrinter::new().unsigned_duration_to_string(&duration)
}
