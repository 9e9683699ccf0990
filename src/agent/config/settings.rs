//! Timing and limits in the agent's configuration: one key per field of [`Settings`].

use super::{ConfigFault, RawConfig};
use crate::core::{SettingValue, Settings};
use crate::model::{DURATION_WANT, parse_duration, show_duration};

/// Replaces what `raw` sets.
pub(super) fn apply(raw: &RawConfig, settings: &mut Settings) -> Result<(), ConfigFault> {
    for key in Settings::KEYS {
        let value = match settings.get(key).expect("every key has a value") {
            SettingValue::Duration(_) => {
                raw.parsed(key, DURATION_WANT, parse_duration)?.map(SettingValue::Duration)
            }
            SettingValue::Number(_) => raw.number(key)?.map(SettingValue::Number),
        };
        if let Some(value) = value {
            settings.set(key, value).map_err(|e| raw.fault(e.key, e.want))?;
        }
    }
    Ok(())
}

/// The file that says the same.
pub(super) fn show(settings: &Settings, table: &mut toml::Table) {
    for key in Settings::KEYS {
        let value = match settings.get(key).expect("every key has a value") {
            SettingValue::Duration(duration) => show_duration(duration).into(),
            SettingValue::Number(number) => toml::Value::Integer(number.try_into().unwrap_or(i64::MAX)),
        };
        table.insert((*key).to_owned(), value);
    }
}
