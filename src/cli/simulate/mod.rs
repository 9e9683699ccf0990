//! `shoal simulate`: runs scenario files on all cores and says what came of it.
//!
//! Owns which runs there are, the threads that take them, what is kept of each, and the files under
//! `--out`. What a run does is [`crate::sim`]'s alone, and depends on nothing here.

mod clock;
mod outcome;
mod plan;
mod progress;
mod record;
mod reports;
mod run;
mod store;
mod summary;
mod workers;

use super::Exit;
use super::args;
use super::failure::Failure;
use super::output::{Format, Output};
use crate::sim::{Mode, report};
use clap::builder::PossibleValuesParser;
use plan::{Job, Planned, Wanted};
use progress::{Progress, Shown};
use reports::Results;
use run::Finished;
use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::time::Duration;
use workers::News;

/// Flags of `shoal simulate`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "A file says who runs, what happens to them, and what is expected. A run depends on its file,\n\
    parameters, mode and seed alone: the same ones give the same run, bit for bit.\n\n\
    Exit code 0: all that is expected held. 1: something did not; the line that repeats the run is\n\
    printed. 2: wrong use, or a file that says something impossible.\n\n\
    With --out, finished runs are kept as they come, and the same call goes on where it was stopped.\n\n\
    Examples:\n  shoal simulate simulations/s09_mass_crash.toml --sample\n  \
    shoal simulate simulations/swarm.toml --seeds 10000\n  \
    shoal simulate simulations/s05_lifeguard_threshold.toml --out reports"
)]
pub struct Simulate {
    /// Scenario files
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,

    /// The seed to run, or with --seeds the first of them [default: 1]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,

    /// How many seeds to run [default: as the file says]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    seeds: Option<u64>,

    /// Write reports, the log of a run and the finished runs under DIR/<name of the file>
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,

    /// Run this variant of membership only; repeatable [default: as the file says]
    #[arg(long = "mode", value_name = "MODE", value_parser = PossibleValuesParser::new(Mode::ALL.map(Mode::word)))]
    modes: Vec<String>,

    /// Fix a parameter of the file's grid at this value; repeatable
    #[arg(long, value_name = "NAME=VALUE", value_parser = args::pair)]
    set: Vec<(String, String)>,

    /// Run the few points and seeds that the file names for a quick look
    #[arg(long)]
    sample: bool,

    /// Runs at a time [default: one per core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    jobs: Option<u16>,

    /// Do not take up finished runs that are found under --out
    #[arg(long, requires = "out")]
    fresh: bool,

    /// How answers are printed
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = Format::Table)]
    format: Format,

    /// Print answers and errors only, no progress
    #[arg(short, long)]
    quiet: bool,
}

pub(super) fn simulate(args: &Simulate, output: &mut Output<'_>) -> Result<Exit, Failure> {
    output.set(args.format, args.quiet);
    let wanted = Wanted {
        seed: args.seed,
        seeds: args.seeds,
        modes: &args.modes,
        set: &args.set,
        sample: args.sample,
    };
    let planned = plan::plan(&args.files, &wanted)?;
    let mut results = Vec::new();
    for one in &planned {
        results.push(Results::open(one, args.out.as_deref(), args.fresh)?);
    }
    let all = planned.iter().enumerate().flat_map(|(number, one)| one.jobs(number));
    let jobs: Vec<Job> = all.filter(|job| !results[job.file].has(&planned[job.file], *job)).collect();
    let taken_up: usize = planned.iter().map(Planned::len).sum::<usize>() - jobs.len();
    if taken_up > 0 {
        output.note(format_args!("{taken_up} finished runs were found and are not repeated"));
    }
    let mut session = Session { planned: &planned, results, output, told: 0, failed: false };
    // What was all found on disk is told before anything runs.
    session.tell_finished()?;
    session.run(&jobs, args)?;
    Ok(if session.failed { Exit::No } else { Exit::Done })
}

/// A call under way.
struct Session<'a, 'o> {
    planned: &'a [Planned],
    results: Vec<Results>,
    output: &'a mut Output<'o>,
    /// Files whose outcome was told.
    told: usize,
    failed: bool,
}

impl Session<'_, '_> {
    fn run(&mut self, jobs: &[Job], args: &Simulate) -> Result<(), Failure> {
        let planned = self.planned;
        let shown = match (args.quiet, std::io::stderr().is_terminal()) {
            (true, _) => Shown::Nowhere,
            (false, true) => Shown::Terminal,
            (false, false) => Shown::Lines,
        };
        let mut progress = Progress::new(shown, jobs.len());
        let threads = args.jobs.map_or_else(cores, usize::from);
        let with_log = args.out.is_some();
        // A table needs figures only.
        let whole = with_log || self.output.is_json();
        let work = |number: usize, watch: &mut dyn FnMut(Duration, Duration)| {
            let (job, file) = (jobs[number], &planned[jobs[number].file]);
            let logged = with_log && job == file.first(job.file);
            run::run(file, job, whole && reports::is_whole(file, job), logged, watch)
        };
        workers::run_all(jobs.len(), threads, work, |news| {
            match news {
                News::At(number, at, lasts) => progress.at(number, at, lasts),
                News::Nothing => {}
                News::Done(number, done) => {
                    let job = jobs[number];
                    let file = &planned[job.file];
                    let finished = done.unwrap_or_else(|text| Finished::broken(file, job, &text));
                    progress.done(number, finished.record.lasted(), !finished.record.failures.is_empty());
                    self.results[job.file].add(file, job, finished)?;
                    if self.results[self.told..].first().is_some_and(Results::is_complete) {
                        if let Some(clear) = progress.end() {
                            self.output.progress(clear);
                        }
                        self.tell_finished()?;
                    }
                }
            }
            if let Some(line) = progress.poll() {
                self.output.progress(&line);
            }
            Ok::<(), Failure>(())
        })
    }

    /// Tells of the files that are complete, in the order of the command line.
    fn tell_finished(&mut self) -> Result<(), Failure> {
        while let Some(results) = self.results.get(self.told)
            && results.is_complete()
        {
            let planned = &self.planned[self.told];
            let wanted = results.is_written() || self.output.is_json();
            let outcome = wanted.then(|| outcome::of(planned, results));
            let json = outcome.as_ref().map(report::json).unwrap_or_default();
            if let Some(outcome) = outcome.filter(|_| results.is_written()) {
                results.write(&json, &report::html(&outcome))?;
            }
            self.failed |= results.runs().any(|run| !run.record.failures.is_empty());
            if self.output.is_json() {
                self.output.raw(json.as_bytes())?;
            } else {
                if self.told > 0 {
                    self.output.line("")?;
                }
                summary::print(planned, results, self.output)?;
            }
            self.output.flush()?;
            self.told += 1;
        }
        Ok(())
    }
}

/// Cores that this process may use.
fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get)
}
