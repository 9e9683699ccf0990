//! Reading one table: each key is asked for once, by the type that it wants; what nobody asked
//! for is unknown. So the keys that a table takes are written once, where they are read.

use super::error::{Fault, FileFault, near, one_of};
use super::tree::{Item, Table, Value};
use crate::model::{DURATION_WANT, parse_duration};
use std::time::Duration;

/// A table being read.
pub(super) struct Reader<'a> {
    table: &'a Table,
    path: String,
    asked: Vec<&'a str>,
}

impl<'a> Reader<'a> {
    /// `path` names the table in errors; the document itself has none.
    pub(super) fn new(table: &'a Table, path: impl Into<String>) -> Self {
        Self { table, path: path.into(), asked: Vec::new() }
    }

    /// An item that is to be a table.
    pub(super) fn of_item(item: &'a Item, path: impl Into<String>) -> Result<Self, Fault> {
        let path = path.into();
        match &item.value {
            Value::Table(table) => Ok(Self::new(table, path)),
            other => Err(value_fault(&path, item.line, other, "a table")),
        }
    }

    pub(super) fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// An error about the value under `key`.
    pub(super) fn fault(&self, key: &str, want: impl Into<String>) -> Fault {
        match self.table.get(key) {
            Some(item) => value_fault(&self.path_of(key), item.line, &item.value, want),
            None => self.missing(key, want),
        }
    }

    fn missing(&self, key: &str, want: impl Into<String>) -> Fault {
        // A key that was mistyped says more than the one that is not there.
        let strangers = self.table.keys.iter().filter(|(k, _)| !self.asked.contains(&k.as_str()));
        for (stranger, item) in strangers {
            if !near(stranger, [key]).is_empty() {
                return self.unknown(stranger, item, &[key]);
            }
        }
        let fault = FileFault::Missing { key: self.path_of(key), want: want.into() };
        Fault { line: Some(self.table.line), fault }
    }

    fn unknown(&self, key: &str, item: &Item, known: &[&str]) -> Fault {
        let value = item.value.to_string();
        let want = one_of(key, known.iter().copied());
        Fault { line: Some(item.line), fault: FileFault::UnknownKey { key: self.path_of(key), value, want } }
    }

    /// Whatever stands under `key`.
    pub(super) fn item(&mut self, key: &'a str) -> Option<&'a Item> {
        self.asked.push(key);
        self.table.get(key)
    }

    /// What has to stand under `key`.
    pub(super) fn need(&mut self, key: &'a str, want: &str) -> Result<&'a Item, Fault> {
        self.item(key).ok_or_else(|| self.missing(key, want))
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.table.get(key).is_some()
    }

    /// Every key with its value, as in tables whose keys are free.
    pub(super) fn free(&mut self) -> impl Iterator<Item = (&'a str, &'a Item)> + use<'a> {
        let table = self.table;
        self.asked.extend(table.keys.iter().map(|(key, _)| key.as_str()));
        table.keys.iter().map(|(key, item)| (key.as_str(), item))
    }

    fn parsed<T>(
        &mut self,
        key: &'a str,
        want: &str,
        parse: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, Fault> {
        let Some(item) = self.item(key) else { return Ok(None) };
        parse(&item.value).map(Some).ok_or_else(|| self.fault(key, want))
    }

    pub(super) fn text(&mut self, key: &'a str) -> Result<Option<&'a str>, Fault> {
        self.parsed(key, "a text", |value| match value {
            Value::Text(text) => Some(text.as_str()),
            _ => None,
        })
    }

    pub(super) fn flag(&mut self, key: &'a str) -> Result<Option<bool>, Fault> {
        self.parsed(key, "true or false", |value| match value {
            Value::Flag(flag) => Some(*flag),
            _ => None,
        })
    }

    pub(super) fn duration(&mut self, key: &'a str) -> Result<Option<Duration>, Fault> {
        self.parsed(key, DURATION_WANT, as_duration)
    }

    pub(super) fn need_duration(&mut self, key: &'a str) -> Result<Duration, Fault> {
        self.duration(key)?.ok_or_else(|| self.missing(key, DURATION_WANT))
    }

    pub(super) fn whole(&mut self, key: &'a str, min: u64, max: u64) -> Result<Option<u64>, Fault> {
        self.parsed(key, &format!("a whole number from {min} to {max}"), |value| match value {
            Value::Integer(n) => u64::try_from(*n).ok().filter(|n| (min..=max).contains(n)),
            _ => None,
        })
    }

    /// A share of something, 0 to 1.
    pub(super) fn share(&mut self, key: &'a str) -> Result<Option<f64>, Fault> {
        self.parsed(key, "a share from 0 to 1, such as 0.05", |value| {
            as_number(value).filter(|share| (0.0..=1.0).contains(share))
        })
    }

    /// One of a few words.
    pub(super) fn word(&mut self, key: &'a str, words: &[&str]) -> Result<Option<&'a str>, Fault> {
        let Some(item) = self.item(key) else { return Ok(None) };
        match item.as_text() {
            Some(word) if words.contains(&word) => Ok(Some(word)),
            Some(word) => Err(self.fault(key, one_of(word, words.iter().copied()))),
            None => Err(self.fault(key, format!("one of {}", words.join(", ")))),
        }
    }

    pub(super) fn table(&mut self, key: &'a str) -> Result<Option<Self>, Fault> {
        let path = self.path_of(key);
        self.item(key).map(|item| Self::of_item(item, path)).transpose()
    }

    /// The tables of `[[key]]`.
    pub(super) fn tables(&mut self, key: &'a str) -> Result<Vec<Self>, Fault> {
        let path = self.path_of(key);
        let Some(item) = self.item(key) else { return Ok(Vec::new()) };
        match &item.value {
            Value::List(list) => list.iter().map(|item| Self::of_item(item, path.clone())).collect(),
            _ => Err(self.fault(key, format!("a list of tables, each under [[{key}]]"))),
        }
    }

    /// Refuses keys that nobody asked for.
    pub(super) fn finish(self) -> Result<(), Fault> {
        let stranger = self.table.keys.iter().find(|(key, _)| !self.asked.contains(&key.as_str()));
        stranger.map_or(Ok(()), |(key, item)| Err(self.unknown(key, item, &self.asked)))
    }
}

/// An error about a value.
pub(super) fn value_fault(path: &str, line: usize, value: &Value, want: impl Into<String>) -> Fault {
    let fault = FileFault::Value { key: path.to_owned(), value: value.to_string(), want: want.into() };
    Fault { line: Some(line), fault }
}

pub(super) fn as_duration(value: &Value) -> Option<Duration> {
    match value {
        Value::Text(text) => parse_duration(text),
        _ => None,
    }
}

pub(super) fn as_number(value: &Value) -> Option<f64> {
    match value {
        Value::Integer(n) => Some(*n as f64),
        Value::Float(n) => Some(*n),
        _ => None,
    }
}
