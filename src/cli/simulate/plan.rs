//! From files and flags to a list of runs, each described by values alone.

use super::record::Record;
use super::store;
use crate::cli::failure::Failure;
use crate::sim::Mode;
use crate::sim::file::{self, Point, ScenarioFile};
use std::path::{Path, PathBuf};

/// A scenario file with the runs that are wanted of it.
pub(super) struct Planned {
    pub(super) path: PathBuf,
    pub(super) file: ScenarioFile,
    pub(super) points: Vec<Point>,
    /// Words of the modes, the one that others are compared with first.
    pub(super) modes: Vec<String>,
    /// First seed, and how many.
    pub(super) seeds: (u64, u64),
    /// What the keys of its runs begin with: this program, and the text of the file.
    base_key: (u64, String),
}

/// What narrows or widens the plan of every file.
pub(super) struct Wanted<'a> {
    pub(super) seed: Option<u64>,
    pub(super) seeds: Option<u64>,
    pub(super) modes: &'a [String],
    pub(super) set: &'a [(String, String)],
    pub(super) sample: bool,
}

/// One run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Job {
    pub(super) file: usize,
    pub(super) point: usize,
    pub(super) mode: usize,
    pub(super) seed: u64,
}

/// Reads all files.
pub(super) fn plan(paths: &[PathBuf], wanted: &Wanted<'_>) -> Result<Vec<Planned>, Failure> {
    let program = store::program();
    let mut planned: Vec<Planned> = Vec::new();
    for path in paths {
        let one = Planned::read(path, wanted, program)?;
        if planned.iter().any(|other| other.file.name == one.file.name) {
            let name = &one.file.name;
            return Err(Failure::usage(format!(
                "two files are called {name}: their reports would be the same file"
            )));
        }
        planned.push(one);
    }
    for (name, value) in wanted.set {
        if !planned.iter().any(|one| one.file.grid.names().any(|n| n == name)) {
            let grid = planned[0].file.grid.clone();
            let want = grid.fixed(name, value).err().unwrap_or_default();
            return Err(Failure::usage(format!("--set {name}={value}: want {want}")));
        }
    }
    Ok(planned)
}

impl Planned {
    fn read(path: &Path, wanted: &Wanted<'_>, program: u64) -> Result<Self, Failure> {
        let shown = path.display().to_string();
        let text = std::fs::read_to_string(path)
            .map_err(|error| Failure::usage(format!("cannot read {shown}: {error}")))?;
        let file = file::parse(&shown, &text).map_err(|error| Failure::usage(error.to_string()))?;
        let mut grid = file.grid.clone();
        for (name, value) in wanted.set.iter().filter(|(name, _)| file.grid.names().any(|n| n == name)) {
            grid = grid
                .fixed(name, value)
                .map_err(|want| Failure::usage(format!("--set {name}={value}: want {want}")))?;
        }
        let points = if wanted.sample { grid.sample() } else { grid.points() };
        let modes: Vec<String> = if wanted.modes.is_empty() {
            file.modes.iter().map(|mode| mode.word().to_owned()).collect()
        } else {
            wanted.modes.to_vec()
        };
        let count = match (wanted.seed, wanted.seeds) {
            (_, Some(count)) => count,
            (Some(_), None) => 1,
            (None, None) if wanted.sample => file.sample_seeds,
            (None, None) => file.seeds,
        };
        let planned = Self {
            path: path.to_owned(),
            points,
            modes,
            seeds: (wanted.seed.unwrap_or(1), count),
            base_key: (program, text),
            file,
        };
        // A parameter fixed by hand may not fit; better said now than by a worker.
        for point in 0..planned.points.len() {
            for mode in 0..planned.modes.len() {
                planned.scenario(Job { file: 0, point, mode, seed: planned.seeds.0 })?;
            }
        }
        Ok(planned)
    }

    pub(super) fn jobs(&self, file: usize) -> impl Iterator<Item = Job> + '_ {
        let (first, count) = self.seeds;
        let modes = self.modes.len();
        (0..self.points.len()).flat_map(move |point| {
            (0..modes).flat_map(move |mode| {
                (first..first.saturating_add(count)).map(move |seed| Job { file, point, mode, seed })
            })
        })
    }

    /// The run whose log is written.
    pub(super) const fn first(&self, file: usize) -> Job {
        Job { file, point: 0, mode: 0, seed: self.seeds.0 }
    }

    /// Where a run stands among all of this file.
    pub(super) fn place(&self, job: Job) -> usize {
        let seeds = usize::try_from(self.seeds.1).unwrap_or(usize::MAX);
        let seed = usize::try_from(job.seed - self.seeds.0).unwrap_or(usize::MAX);
        (job.point * self.modes.len() + job.mode) * seeds + seed
    }

    /// Runs that are wanted.
    pub(super) fn len(&self) -> usize {
        self.points.len() * self.modes.len() * usize::try_from(self.seeds.1).unwrap_or(usize::MAX)
    }

    pub(super) fn scenario(&self, job: Job) -> Result<crate::sim::Scenario, Failure> {
        let mode = Mode::named(&self.modes[job.mode]).expect("flags and files name modes that exist");
        let point = &self.points[job.point];
        let scenario = self.file.scenario(point, mode, job.seed);
        let mut scenario = scenario.map_err(|error| Failure::usage(error.to_string()))?;
        for (name, value) in point.words() {
            scenario = scenario.parameter(name, &value);
        }
        Ok(scenario.replayed_by(&self.replay(job)))
    }

    /// The same for a run that has ended.
    pub(super) fn replay_of(&self, run: &Record) -> String {
        let is_there =
            |point: &Point| point.words().all(|(name, value)| run.parameters.get(name) == Some(&value));
        let point = self.points.iter().position(is_there).unwrap_or_default();
        let mode = self.modes.iter().position(|mode| *mode == run.mode).unwrap_or_default();
        self.replay(Job { file: 0, point, mode, seed: run.seed })
    }

    /// The line that repeats one run, for a shell.
    pub(super) fn replay(&self, job: Job) -> String {
        let mut line = format!("shoal simulate {} --seed {}", quoted(&self.path.to_string_lossy()), job.seed);
        if self.modes.len() > 1 || self.modes[job.mode] != Mode::Shoal.word() {
            line.push_str(&format!(" --mode {}", self.modes[job.mode]));
        }
        for (name, value) in self.points[job.point].words() {
            line.push_str(&format!(" --set {}", quoted(&format!("{name}={value}"))));
        }
        line
    }

    /// The key under which the run is found again.
    pub(super) fn key(&self, job: Job) -> String {
        let (program, text) = &self.base_key;
        let point = self.points[job.point].to_string();
        store::key(*program, &[text, &point, &self.modes[job.mode], &job.seed.to_string()])
    }
}

/// `text` as one word of a shell.
fn quoted(text: &str) -> String {
    let plain =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '_' | '-' | '=' | ':' | ',' | '+');
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_a_shell_are_quoted_when_they_have_to_be() {
        assert_eq!(quoted("simulations/s05.toml"), "simulations/s05.toml");
        assert_eq!(quoted("my file.toml"), "'my file.toml'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
    }
}
