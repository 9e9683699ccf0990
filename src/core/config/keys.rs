//! The keys under which files name the fields of [`Settings`]: one key per field, under the
//! field's name. The one list of them; configuration and scenario files read by it.

use super::{ConfigError, Settings};
use std::time::Duration;

/// The value of one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SettingValue {
    /// For keys that are times.
    Duration(Duration),
    /// For keys that are numbers.
    Number(u64),
}

macro_rules! keys {
    (durations: $($duration:ident)*; numbers: $($number:ident)*;) => {
        impl Settings {
            /// Every key.
            pub const KEYS: &'static [&'static str] =
                &[$(stringify!($duration),)* $(stringify!($number),)*];

            /// The value under `key`, which also tells its sort; `None` if there is no such key.
            pub fn get(&self, key: &str) -> Option<SettingValue> {
                match key {
                    $(stringify!($duration) => Some(SettingValue::Duration(self.$duration)),)*
                    $(stringify!($number) => {
                        Some(SettingValue::Number(u64::try_from(self.$number).unwrap_or(u64::MAX)))
                    })*
                    _ => None,
                }
            }

            /// Replaces the value under `key`. Whether the settings fit together is for
            /// [`Config::new`](super::Config::new) to say.
            ///
            /// # Panics
            /// If there is no such key, or `value` is of the other sort; see [`Self::get`].
            pub fn set(&mut self, key: &str, value: SettingValue) -> Result<(), ConfigError> {
                match (key, value) {
                    $((stringify!($duration), SettingValue::Duration(v)) => self.$duration = v,)*
                    $((stringify!($number), SettingValue::Number(v)) => {
                        self.$number = v.try_into().map_err(|_| ConfigError {
                            key: stringify!($number),
                            value: v.to_string(),
                            want: "a smaller number".to_owned(),
                        })?;
                    })*
                    _ => panic!("{key} is not a setting that takes {value:?}"),
                }
                Ok(())
            }
        }

        // Fails to compile when a field has no key.
        const _: fn(Settings) = |Settings { $($duration: _,)* $($number: _,)* }| ();
    };
}

keys! {
    durations: probe_interval probe_timeout suspicion_min hold_min hold_max check_hold_min check_hold_max reap_after sync_after heal_interval leave_timeout;
    numbers: indirect_probes suspicion_mult suspicion_stretch suspicion_confirmations witnesses health_max
        gossip_fanout gossip_bytes_per_s_max max_datagram_bytes
        max_record_bytes max_entries_per_node max_members max_rumours leave_acks;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_can_be_read_and_replaced() {
        let mut settings = Settings::lan();
        for key in Settings::KEYS {
            let value = match settings.get(key).expect("every key has a value") {
                SettingValue::Duration(d) => SettingValue::Duration(d * 2),
                SettingValue::Number(n) => SettingValue::Number(n + 1),
            };
            settings.set(key, value).expect("it fits");
            assert_eq!(settings.get(key), Some(value), "{key}");
        }
        assert_eq!(settings.get("bind"), None);
    }

    #[test]
    fn a_number_that_does_not_fit_is_refused() {
        let error = Settings::lan().set("suspicion_mult", SettingValue::Number(5_000_000_000));
        assert_eq!(
            error.expect_err("too large").to_string(),
            "suspicion_mult = 5000000000: want a smaller number"
        );
    }
}
