//! A TOML document as plain values, each with the line where it stands. Owns parsing and the
//! filling in of `$parameters`; knows no key.

use super::error::{Fault, FileFault, one_of};
use std::collections::BTreeMap;
use std::fmt;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Characters of a value that an error shows.
const SHOWN_MAX: usize = 60;

/// A value and the line where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Item {
    pub(super) line: usize,
    pub(super) value: Value,
}

/// A TOML value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Text(String),
    Integer(i64),
    Float(f64),
    Flag(bool),
    List(Vec<Item>),
    Table(Table),
    /// A date, or a number that does not fit: no key takes one.
    Other(String),
}

/// Keys with their values, in the order of the file.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Table {
    pub(super) line: usize,
    pub(super) keys: Vec<(String, Item)>,
}

impl Table {
    /// Reads a document.
    pub(super) fn parse(text: &str) -> Result<Self, Fault> {
        let parsed = DeTable::parse(text).map_err(|e| Fault {
            line: None,
            fault: FileFault::Syntax(e.to_string().trim_end().to_owned()),
        })?;
        let lines = Lines(text.match_indices('\n').map(|(at, _)| at).collect());
        Ok(lines.table(parsed.get_ref(), 1))
    }

    pub(super) fn get(&self, key: &str) -> Option<&Item> {
        self.keys.iter().find(|(k, _)| k == key).map(|(_, item)| item)
    }

    /// The same with each text `"$name"` replaced by the value of that parameter.
    pub(super) fn filled(&self, parameters: &BTreeMap<String, Value>, path: &str) -> Result<Self, Fault> {
        let keys = self.keys.iter().map(|(key, item)| {
            let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            Ok((key.clone(), item.filled(parameters, &path)?))
        });
        Ok(Self { line: self.line, keys: keys.collect::<Result<_, Fault>>()? })
    }
}

impl Item {
    fn filled(&self, parameters: &BTreeMap<String, Value>, path: &str) -> Result<Self, Fault> {
        let value = match &self.value {
            Value::Text(text) => match text.strip_prefix('$') {
                Some(name) => parameters.get(name).cloned().ok_or_else(|| Fault {
                    line: Some(self.line),
                    fault: FileFault::Value {
                        key: path.to_owned(),
                        value: self.value.to_string(),
                        want: if parameters.is_empty() {
                            "a value, because there is no [grid] with parameters".to_owned()
                        } else {
                            format!("a parameter: {}", one_of(name, parameters.keys().map(String::as_str)))
                        },
                    },
                })?,
                None => self.value.clone(),
            },
            Value::List(list) => {
                Value::List(list.iter().map(|item| item.filled(parameters, path)).collect::<Result<_, _>>()?)
            }
            Value::Table(table) => Value::Table(table.filled(parameters, path)?),
            Value::Integer(_) | Value::Float(_) | Value::Flag(_) | Value::Other(_) => self.value.clone(),
        };
        Ok(Self { line: self.line, value })
    }

    /// Its text, if it is one.
    pub(super) fn as_text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            Value::Integer(_)
            | Value::Float(_)
            | Value::Flag(_)
            | Value::List(_)
            | Value::Table(_)
            | Value::Other(_) => None,
        }
    }
}

impl Value {
    /// A value given on a command line: a number or a flag if it reads as one, else a text.
    pub(super) fn from_word(word: &str) -> Self {
        if let Ok(number) = word.parse() {
            return Self::Integer(number);
        }
        match (word, word.parse::<f64>()) {
            ("true", _) => Self::Flag(true),
            ("false", _) => Self::Flag(false),
            (_, Ok(number)) if number.is_finite() => Self::Float(number),
            _ => Self::Text(word.to_owned()),
        }
    }

    /// Neither a list nor a table.
    pub(super) const fn is_plain(&self) -> bool {
        matches!(self, Self::Text(_) | Self::Integer(_) | Self::Float(_) | Self::Flag(_))
    }

    /// As [`Self::from_word`] reads it back.
    pub(super) fn word(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            other => other.to_string(),
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::Text(text) => format!("{text:?}"),
            Self::Integer(n) => n.to_string(),
            Self::Float(n) => format!("{n:?}"),
            Self::Flag(flag) => flag.to_string(),
            Self::List(list) => {
                let items: Vec<String> = list.iter().map(|item| item.value.to_string()).collect();
                format!("[{}]", items.join(", "))
            }
            Self::Table(table) => {
                let keys = table.keys.iter().map(|(key, item)| format!("{key} = {}", item.value));
                format!("{{ {} }}", keys.collect::<Vec<_>>().join(", "))
            }
            Self::Other(text) => text.clone(),
        };
        match text.char_indices().nth(SHOWN_MAX) {
            Some((end, _)) => write!(f, "{}...", &text[..end]),
            None => f.write_str(&text),
        }
    }
}

/// Where the line breaks are.
struct Lines(Vec<usize>);

impl Lines {
    fn of(&self, at: usize) -> usize {
        1 + self.0.partition_point(|end| *end < at)
    }

    fn table(&self, table: &DeTable<'_>, line: usize) -> Table {
        let mut keys: Vec<_> = table.iter().collect();
        keys.sort_by_key(|(key, _)| key.span().start);
        let keys = keys.into_iter().map(|(key, value)| {
            let line = self.of(key.span().start);
            (key.get_ref().to_string(), self.item(value, line))
        });
        Table { line, keys: keys.collect() }
    }

    fn item(&self, value: &Spanned<DeValue<'_>>, line: usize) -> Item {
        let value = match value.get_ref() {
            DeValue::String(text) => Value::Text(text.to_string()),
            DeValue::Integer(n) => i64::from_str_radix(n.as_str(), n.radix())
                .map_or_else(|_| Value::Other(n.to_string()), Value::Integer),
            DeValue::Float(n) => {
                n.as_str().parse().map_or_else(|_| Value::Other(n.to_string()), Value::Float)
            }
            DeValue::Boolean(flag) => Value::Flag(*flag),
            DeValue::Datetime(date) => Value::Other(date.to_string()),
            DeValue::Array(list) => {
                let items = list.iter().map(|item| self.item(item, self.of(item.span().start)));
                Value::List(items.collect())
            }
            DeValue::Table(table) => Value::Table(self.table(table, line)),
        };
        Item { line, value }
    }
}
