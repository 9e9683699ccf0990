//! Scenarios as text: a TOML file that says who runs, what happens to them, and what is expected.
//!
//! ```toml
//! about = "Three nodes, one of which dies."
//! lasts = "40s"
//!
//! [[nodes]]
//! count = 3
//!
//! [[faults]]
//! at = "10s"
//! do = "crash"
//! nodes = "n2"
//!
//! [expect]
//! detected_full_p99 = "< 15s"
//! false_failures = 0
//! ```
//!
//! Owns the way from text to [`Scenario`], and the words in which a mistake is told. Never reads a
//! file: it is handed the text. A file may hold parameters (`[grid]`), and `"$name"` then stands
//! where a value is wanted; each [`Point`] of the grid gives a scenario of its own.

mod error;
mod expect;
mod faults;
mod grid;
mod load;
mod network;
mod nodes;
mod reader;
mod target;
#[cfg(test)]
mod tests;
mod tree;

pub use error::{FileError, FileFault};
pub use grid::{Grid, Point};

use super::scenario::{FIGURES, FigureKind};
use super::{Action, Conditions, HostId, Mode, Scenario, swarm};
use error::{Fault, one_of};
use nodes::{Nodes, Start};
use reader::Reader;
use std::time::Duration;
use tree::Table;

/// Shortest time between two looks at a run.
const SAMPLE_EVERY_MIN: Duration = Duration::from_millis(10);
/// Seeds that a file may ask for.
const SEEDS_MAX: u64 = 1_000_000;
/// Virtual time that a run may last: somewhat more than the longest partition worth a look.
const LASTS_MAX: Duration = Duration::from_secs(30 * 24 * 3_600);

/// Figures that are worth a look whatever a file is about.
const ALWAYS_SHOWN: [&str; 3] = ["converged_s", "false_failures", "bytes_per_node_s_mean"];

/// A checked scenario file.
#[derive(Debug, Clone)]
pub struct ScenarioFile {
    /// The file's name without directory and ending.
    pub name: String,
    /// What it is about.
    pub about: String,
    /// The paper and figure that it reproduces; empty if none.
    pub reproduces: String,
    /// What others measured, by figure or in words.
    pub known: Vec<(String, String)>,
    /// Seeds to run unless the caller says otherwise.
    pub seeds: u64,
    /// The same for the sample.
    pub sample_seeds: u64,
    /// Variants of membership to run, the one that others are compared with first.
    pub modes: Vec<Mode>,
    /// Its parameters.
    pub grid: Grid,
    /// Everything is drawn from the seed.
    pub is_swarm: bool,
    /// As errors name it.
    file: String,
    table: Table,
}

/// Reads and checks the text of the file called `file`.
pub fn parse(file: &str, text: &str) -> Result<ScenarioFile, FileError> {
    let parsed = Table::parse(text).and_then(|table| ScenarioFile::read(file, table));
    let parsed = parsed.map_err(|fault| fault.in_file(file))?;
    for point in parsed.grid.cover() {
        for mode in &parsed.modes {
            parsed.scenario(&point, *mode, 1)?;
        }
    }
    Ok(parsed)
}

impl ScenarioFile {
    fn read(file: &str, table: Table) -> Result<Self, Fault> {
        let mut reader = Reader::new(&table, "");
        let known = match reader.table("known")? {
            None => Vec::new(),
            Some(mut known) => known
                .free()
                .map(|(key, item)| match item.as_text() {
                    Some(text) => Ok((key.to_owned(), text.to_owned())),
                    None => Err(known.fault(key, "a text")),
                })
                .collect::<Result<_, _>>()?,
        };
        let parsed = Self {
            name: stem(file).to_owned(),
            about: reader.text("about")?.unwrap_or_default().to_owned(),
            reproduces: reader.text("reproduces")?.unwrap_or_default().to_owned(),
            known,
            seeds: reader.whole("seeds", 1, SEEDS_MAX)?.unwrap_or(1),
            sample_seeds: reader.whole("sample_seeds", 1, SEEDS_MAX)?.unwrap_or(1),
            modes: modes(&mut reader)?,
            grid: Grid::read(&mut reader)?,
            is_swarm: reader.flag("swarm")?.unwrap_or(false),
            file: file.to_owned(),
            table: Table::default(),
        };
        Ok(Self { table, ..parsed })
    }

    /// The scenario at one point of the grid. Run it with the same seed.
    pub fn scenario(&self, point: &Point, mode: Mode, seed: u64) -> Result<Scenario, FileError> {
        let filled = self.table.filled(&point.parameters(), "");
        let built = filled.and_then(|table| self.build(&table, mode, seed));
        built.map_err(|fault| {
            let mut error = fault.in_file(&self.file);
            if let (FileFault::Value { want, .. }, false) = (&mut error.fault, point.is_empty()) {
                want.push_str(&format!(" (at {point})"));
            }
            error
        })
    }

    /// The figures that the file speaks of, and a few that are always worth a look; in the order of
    /// [`FIGURES`].
    pub fn figures_of_interest(&self) -> Vec<&'static FigureKind> {
        let expected = match self.table.get("expect").map(|item| &item.value) {
            Some(tree::Value::Table(table)) => table.keys.as_slice(),
            _ => &[],
        };
        let spoken_of = |name: &str| {
            self.known.iter().any(|(key, _)| key == name) || expected.iter().any(|(key, _)| key == name)
        };
        FIGURES.iter().filter(|kind| ALWAYS_SHOWN.contains(&kind.name) || spoken_of(kind.name)).collect()
    }

    fn build(&self, table: &Table, mode: Mode, seed: u64) -> Result<Scenario, Fault> {
        let mut reader = Reader::new(table, "");
        for key in
            ["about", "reproduces", "known", "seeds", "sample_seeds", "modes", "grid", "grid_sample", "swarm"]
        {
            reader.item(key);
        }
        if self.is_swarm {
            reader.finish()?;
            return Ok(swarm(&self.name, seed).mode(mode));
        }
        let lasts = reader.need_duration("lasts")?;
        if lasts.is_zero() || lasts > LASTS_MAX {
            return Err(reader.fault("lasts", format!("more than zero, at most {LASTS_MAX:?}")));
        }
        let calm = reader.duration("calm_from")?;
        if calm.is_some_and(|calm| calm > lasts) {
            return Err(reader.fault("calm_from", format!("at most lasts ({lasts:?})")));
        }
        let sample_every = reader.duration("sample_every")?;
        if sample_every.is_some_and(|every| every < SAMPLE_EVERY_MIN) {
            return Err(reader.fault("sample_every", format!("at least {SAMPLE_EVERY_MIN:?}")));
        }
        let base = match reader.table("network")? {
            None => Conditions::default(),
            Some(mut network) => {
                let conditions = network::conditions(&mut network, &Conditions::default())?;
                network.finish()?;
                conditions
            }
        };
        let mut nodes = nodes::nodes(reader.tables("nodes")?, seed)?;
        if nodes.specs.is_empty() {
            return Err(reader.fault("nodes", "at least one node: [[nodes]] with a count"));
        }
        if let Some(mut groups) = reader.table("groups")? {
            nodes.directory.read_groups(&mut groups, seed)?;
        }
        let late = nodes.starts.iter().find(|start| matches!(start, Start::At(at) if *at > lasts));
        if let Some(Start::At(at)) = late {
            return Err(reader.fault("lasts", format!("at least {at:?}, when the last node starts")));
        }
        let faults = faults::Faults::new(&nodes, &base, lasts, seed).read(reader.tables("faults")?)?;
        let loads = load::loads(reader.tables("load")?, &nodes, lasts, seed)?;
        let expectations = self.expectations(&mut reader, mode)?;
        reader.finish()?;

        let last = |times: &mut dyn Iterator<Item = Duration>| times.max().unwrap_or_default();
        let calm = calm.unwrap_or_else(|| {
            last(&mut faults.iter().map(|(at, _)| *at))
                .max(last(&mut loads.iter().map(|(from, load)| *from + load.lasts)))
                .max(last(&mut nodes.starts.iter().filter_map(|start| match start {
                    Start::At(at) => Some(*at),
                    Start::Settled | Start::Never => None,
                })))
                .min(lasts)
        });
        let mut scenario = self.populate(nodes, base).mode(mode).calm_from(calm).lasts(lasts);
        if let Some(every) = sample_every {
            scenario = scenario.sample_every(every);
        }
        for (at, action) in faults {
            scenario = scenario.at(at, action);
        }
        for (from, load) in loads {
            scenario = scenario.at(from, Action::Load(load));
        }
        Ok(expectations.into_iter().fold(scenario, Scenario::expect))
    }

    fn populate(&self, nodes: Nodes, base: Conditions) -> Scenario {
        let mut scenario = Scenario::new(&self.name).conditions(base);
        for (number, (spec, start)) in nodes.specs.into_iter().zip(nodes.starts).enumerate() {
            scenario = scenario.node(spec);
            match start {
                Start::At(at) => scenario = scenario.at(at, Action::Start(HostId(number))),
                Start::Settled => scenario = scenario.settled([HostId(number)]),
                Start::Never => {}
            }
        }
        scenario
    }

    /// `[expect]` is what Shoal has to keep; `[expect.swim]` is about that mode only.
    fn expectations(&self, reader: &mut Reader<'_>, mode: Mode) -> Result<Vec<super::Expectation>, Fault> {
        let Some(table) = reader.item("expect") else { return Ok(Vec::new()) };
        let tree::Value::Table(all) = &table.value else {
            return Err(reader.fault("expect", "a table of figures"));
        };
        let is_mode = |key: &str| Mode::ALL.iter().any(|mode| mode.word() == key);
        let mut found = Vec::new();
        for (key, item) in all.keys.iter().filter(|(key, _)| is_mode(key)) {
            // All are read, so that a mistake is found whatever is run.
            let wanted = expect::expectations(Reader::of_item(item, format!("expect.{key}"))?)?;
            if key == mode.word() {
                found.extend(wanted);
            }
        }
        let common = Table {
            line: all.line,
            keys: all.keys.iter().filter(|(key, _)| !is_mode(key)).cloned().collect(),
        };
        let wanted = expect::expectations(Reader::new(&common, "expect"))?;
        if mode == Mode::Shoal {
            found.extend(wanted);
        }
        Ok(found)
    }
}

fn modes(reader: &mut Reader<'_>) -> Result<Vec<Mode>, Fault> {
    let words: Vec<&str> = Mode::ALL.iter().map(|mode| mode.word()).collect();
    let Some(item) = reader.item("modes") else { return Ok(vec![Mode::Shoal]) };
    let tree::Value::List(list) = &item.value else {
        return Err(reader.fault("modes", format!("a list of {}", words.join(", "))));
    };
    let mut modes = Vec::new();
    for item in list {
        let word = item.as_text().unwrap_or_default();
        let mode = Mode::ALL.iter().find(|mode| mode.word() == word);
        let Some(mode) = mode.filter(|mode| !modes.contains(*mode)) else {
            let want = format!("{}, each once", one_of(word, words.iter().copied()));
            return Err(reader::value_fault("modes", item.line, &item.value, want));
        };
        modes.push(*mode);
    }
    if modes.is_empty() {
        return Err(reader.fault("modes", format!("at least one of {}", words.join(", "))));
    }
    Ok(modes)
}

fn stem(file: &str) -> &str {
    let name = file.rsplit('/').next().unwrap_or(file);
    name.strip_suffix(".toml").unwrap_or(name)
}
