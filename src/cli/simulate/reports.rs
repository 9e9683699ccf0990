//! The runs of one file as they come in, and the files that tell of them.

use super::clock::Moment;
use super::plan::{Job, Planned};
use super::record::Record;
use super::run::Finished;
use super::store::{self, Store};
use crate::cli::failure::Failure;
use crate::sim::{Happening, Journal, Report};
use serde::{Deserialize, Serialize};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Groups of runs (one for each point and mode) whose first run is kept whole.
const WHOLE_GROUPS_MAX: usize = 32;
/// Failed runs that are kept whole.
const WHOLE_FAILURES_MAX: usize = 8;

/// A finished run, as it is kept in memory and on disk.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Kept {
    pub(super) record: Record,
    /// Everything measured, of a few runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) report: Option<Box<Report>>,
}

/// The runs of one file, by their place in its plan.
pub(super) struct Results {
    dir: Option<PathBuf>,
    store: Option<Store>,
    runs: Vec<Option<Kept>>,
    missing: usize,
    failures_kept_whole: usize,
    began: Moment,
}

impl Results {
    /// Takes up what is found under `out`, unless it is to begin `fresh`.
    pub(super) fn open(planned: &Planned, out: Option<&Path>, fresh: bool) -> Result<Self, Failure> {
        let mut results = Self {
            dir: out.map(|out| out.join(&planned.file.name)),
            store: None,
            runs: std::iter::repeat_with(|| None).take(planned.len()).collect(),
            missing: planned.len(),
            failures_kept_whole: 0,
            began: Moment::now(),
        };
        let Some(dir) = &results.dir else { return Ok(results) };
        std::fs::create_dir_all(dir).map_err(|error| cannot("create", dir, &error))?;
        let path = dir.join("runs.jsonl");
        let (store, mut found) =
            Store::open::<Kept>(&path, fresh).map_err(|error| cannot("use", &path, &error))?;
        results.store = Some(store);
        if !found.is_empty() {
            for job in planned.jobs(0) {
                if let Some(kept) = found.remove(&planned.key(job)) {
                    results.put(planned, job, kept);
                }
            }
        }
        Ok(results)
    }

    /// Is this run finished?
    pub(super) fn has(&self, planned: &Planned, job: Job) -> bool {
        self.runs[planned.place(job)].is_some()
    }

    /// Are all?
    pub(super) const fn is_complete(&self) -> bool {
        self.missing == 0
    }

    /// Are reports written?
    pub(super) const fn is_written(&self) -> bool {
        self.dir.is_some()
    }

    /// Every run so far, in the order of the plan.
    pub(super) fn runs(&self) -> impl Iterator<Item = &Kept> {
        self.runs.iter().flatten()
    }

    /// Real time since the call began.
    pub(super) fn wall(&self) -> Duration {
        self.began.elapsed()
    }

    /// Takes a run that has ended.
    pub(super) fn add(&mut self, planned: &Planned, job: Job, finished: Finished) -> Result<(), Failure> {
        let Finished { record, mut report } = finished;
        if let (Some(dir), Some(report)) = (&self.dir, &report)
            && job == planned.first(job.file)
        {
            let path = dir.join("events.jsonl");
            let text = log(&report.journal);
            store::write_whole(&path, text.as_bytes()).map_err(|error| cannot("write", &path, &error))?;
        }
        if !is_whole(planned, job) {
            let failed = !record.failures.is_empty() && report.is_some();
            if failed && self.failures_kept_whole < WHOLE_FAILURES_MAX {
                self.failures_kept_whole += 1;
            } else {
                report = None;
            }
        }
        if let Some(report) = &mut report {
            report.journal = Journal::default();
        }
        let kept = Kept { record, report };
        if let (Some(store), Some(dir)) = (&mut self.store, &self.dir) {
            let written = store.append(&planned.key(job), &kept);
            written.map_err(|error| cannot("write", &dir.join("runs.jsonl"), &error))?;
        }
        self.put(planned, job, kept);
        Ok(())
    }

    fn put(&mut self, planned: &Planned, job: Job, kept: Kept) {
        let place = &mut self.runs[planned.place(job)];
        self.missing -= usize::from(place.is_none());
        *place = Some(kept);
    }

    /// Writes the reports, once all runs are there.
    pub(super) fn write(&self, json: &str, html: &str) -> Result<(), Failure> {
        let Some(dir) = &self.dir else { return Ok(()) };
        for (name, text) in [("report.json", json), ("report.html", html)] {
            let path = dir.join(name);
            store::write_whole(&path, text.as_bytes()).map_err(|error| cannot("write", &path, &error))?;
        }
        Ok(())
    }
}

/// Is this a run of which everything is kept?
pub(super) fn is_whole(planned: &Planned, job: Job) -> bool {
    let group = job.point * planned.modes.len() + job.mode;
    job.seed == planned.seeds.0 && group < WHOLE_GROUPS_MAX
}

fn cannot(verb: &str, path: &Path, error: &io::Error) -> Failure {
    Failure::usage(format!("cannot {verb} {}: {error}", path.display()))
}

/// The log of a run, one JSON object per line.
fn log(journal: &Journal) -> String {
    let mut text = String::new();
    let mut line = |value: &serde_json::Value| {
        text.push_str(&value.to_string());
        text.push('\n');
    };
    for logged in journal.lines() {
        let at_s = logged.at.since_start().as_secs_f64();
        line(&match &logged.what {
            Happening::Action(what) => serde_json::json!({ "at_s": at_s, "event": "action", "what": what }),
            Happening::Status { observer, subject, from, to } => serde_json::json!({
                "at_s": at_s,
                "event": "status",
                "observer": observer.as_str(),
                "subject": subject.as_str(),
                "from": from.map(crate::model::MemberStatus::as_str),
                "to": to.map(crate::model::MemberStatus::as_str),
            }),
        });
    }
    if journal.left_out() > 0 {
        line(&serde_json::json!({ "event": "left_out", "statuses": journal.left_out() }));
    }
    text
}
