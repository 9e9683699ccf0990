//! `[grid]`: parameters with lists of values, and the points that they span.

use super::error::{Fault, one_of};
use super::reader::{Reader, value_fault};
use super::tree::{Item, Value};
use std::collections::BTreeMap;
use std::fmt;

/// Points that a file may span.
const POINTS_MAX: usize = 100_000;

/// A value for each parameter of a file.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Point {
    values: Vec<(String, Value)>,
}

impl Point {
    /// Names and values, as [`Grid::fixed`] takes them, in the order of the file.
    pub fn words(&self) -> impl Iterator<Item = (&str, String)> {
        self.values.iter().map(|(name, value)| (name.as_str(), value.word()))
    }

    /// No parameters?
    pub const fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    pub(super) fn parameters(&self) -> BTreeMap<String, Value> {
        self.values.iter().cloned().collect()
    }
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, (name, value)) in self.words().enumerate() {
            write!(f, "{}{name}={value}", if number == 0 { "" } else { " " })?;
        }
        Ok(())
    }
}

/// Parameters with the values that each takes: all, and a few for quick runs.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Grid {
    full: Vec<(String, Vec<Value>)>,
    sample: Vec<(String, Vec<Value>)>,
}

impl Grid {
    /// Reads `[grid]` and `[grid_sample]`.
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Fault> {
        let Some(mut table) = reader.table("grid")? else {
            return match reader.item("grid_sample") {
                Some(_) => Err(reader.fault("grid_sample", "a [grid] that it is a sample of")),
                None => Ok(Self::default()),
            };
        };
        let mut full = Vec::new();
        for (name, item) in table.free() {
            full.push((name.to_owned(), values(item, &table.path_of(name))?));
        }
        let mut sample = full.clone();
        if let Some(mut table) = reader.table("grid_sample")? {
            for (name, item) in table.free() {
                let Some((_, values_of)) = sample.iter_mut().find(|(n, _)| n == name) else {
                    let known = full.iter().map(|(name, _)| name.as_str());
                    return Err(table.fault(name, format!("a parameter of [grid]: {}", one_of(name, known))));
                };
                *values_of = values(item, &table.path_of(name))?;
            }
        }
        let grid = Self { full, sample };
        let size = grid.full.iter().map(|(_, values)| values.len()).try_fold(1_usize, usize::checked_mul);
        if size.is_none_or(|size| size > POINTS_MAX) {
            return Err(reader.fault("grid", format!("at most {POINTS_MAX} points")));
        }
        Ok(grid)
    }

    /// The names of all parameters.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.full.iter().map(|(name, _)| name.as_str())
    }

    /// Every point.
    pub fn points(&self) -> Vec<Point> {
        span(&self.full)
    }

    /// The points of the sample.
    pub fn sample(&self) -> Vec<Point> {
        span(&self.sample)
    }

    /// The same with one parameter fixed at `word`, a number or a text that need not be among its
    /// values. The error says which parameters there are.
    pub fn fixed(mut self, name: &str, word: &str) -> Result<Self, String> {
        if !self.names().any(|n| n == name) {
            return Err(match self.full.is_empty() {
                true => "a file with a [grid]: this one has no parameters".to_owned(),
                false => format!("a parameter: {}", one_of(name, self.names())),
            });
        }
        for (_, values) in self.full.iter_mut().chain(&mut self.sample).filter(|(n, _)| n == name) {
            *values = vec![Value::from_word(word)];
        }
        Ok(self)
    }

    /// Points that between them hold every value of every parameter, full and sample.
    pub(super) fn cover(&self) -> Vec<Point> {
        let mut points = Vec::new();
        for part in [&self.full, &self.sample] {
            let longest = part.iter().map(|(_, values)| values.len()).max().unwrap_or(1);
            points.extend((0..longest).map(|n| {
                Point {
                    values: part
                        .iter()
                        .map(|(name, values)| (name.clone(), values[n.min(values.len() - 1)].clone()))
                        .collect(),
                }
            }));
        }
        points
    }
}

fn values(item: &Item, path: &str) -> Result<Vec<Value>, Fault> {
    const WANT: &str = "a list of numbers or texts, at least one";
    let wrong = || value_fault(path, item.line, &item.value, WANT);
    let list = match &item.value {
        Value::List(list) if !list.is_empty() => list.iter().map(|item| item.value.clone()).collect(),
        Value::List(_) => return Err(wrong()),
        single => vec![single.clone()],
    };
    if list.iter().all(Value::is_plain) { Ok(list) } else { Err(wrong()) }
}

/// The first parameter changes slowest.
fn span(parameters: &[(String, Vec<Value>)]) -> Vec<Point> {
    let mut points = vec![Point::default()];
    for (name, values) in parameters {
        points = points
            .iter()
            .flat_map(|point| {
                values.iter().map(|value| {
                    let mut longer = point.clone();
                    longer.values.push((name.clone(), value.clone()));
                    longer
                })
            })
            .collect();
    }
    points
}
