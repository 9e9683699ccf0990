//! Many runs at once, but not too many.
//!
//! Owns the runs under way, the ones that wait, and their end. Never decides what to run or when,
//! and knows nothing of the checks but their ids.
//!
//! At most `runs_max` runs are under way. The others wait in the order in which they were started,
//! and their time begins when they do: a target that is stuck costs another check none of its
//! timeout. It can delay its beginning, by this much: a run that finds `waiting` others before it
//! begins after at most `(waiting / runs_max + 1) * (longest timeout + 1 s)`, when all that are under
//! way and all that wait are stuck. With fewer checks than `runs_max` nobody ever waits.

use super::{Context, Finding, run};
use crate::model::{CheckId, Probe};
use futures_util::FutureExt;
use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::AbortHandle;

/// What a run found: the check, the number that [`Runner::start`] was given, and the finding.
pub type Outcome = (CheckId, u64, Finding);

/// Carries out runs in tasks of a runtime. Dropping it ends all of them; programs are dead when it
/// has been dropped.
#[derive(Debug)]
pub struct Runner {
    runtime: Handle,
    context: Arc<Context>,
    permits: Arc<Semaphore>,
    outcomes: mpsc::Sender<Outcome>,
    /// The latest run of each check, ended or not: as many as there are checks.
    runs: BTreeMap<CheckId, AbortHandle>,
}

impl Runner {
    /// Runs that may be under way at once where nobody says otherwise. Each takes one or two file
    /// descriptors, and a process if it is a script.
    pub const RUNS_MAX: usize = 64;

    /// A runner of at most `runs_max` runs at once, one at least, and where their outcomes come out.
    /// As long as nobody takes them out, runs that have ended count as under way.
    pub fn new(runtime: Handle, context: Context, runs_max: usize) -> (Self, mpsc::Receiver<Outcome>) {
        let runs_max = runs_max.max(1);
        let (outcomes, receiver) = mpsc::channel(runs_max);
        let permits = Arc::new(Semaphore::new(runs_max));
        let runs = BTreeMap::new();
        (Self { runtime, context: Arc::new(context), permits, outcomes, runs }, receiver)
    }

    /// Starts a run, or lets it wait until others have ended. `number` comes out with the outcome.
    /// A run of the same check that is under way is ended without an outcome.
    pub fn start(&mut self, id: CheckId, number: u64, probe: Arc<Probe>) {
        self.forget(&id);
        let mut permit = Box::pin(Arc::clone(&self.permits).acquire_owned());
        // Asked for the first time here and not in the task, so that the order is that of the calls
        // and not the one in which tasks are looked at.
        let at_once = permit.as_mut().now_or_never();
        let (context, outcomes, check) = (Arc::clone(&self.context), self.outcomes.clone(), id.clone());
        let task = self.runtime.spawn(async move {
            let permit = match at_once {
                Some(permit) => permit,
                None => permit.await,
            };
            // The semaphore is never closed.
            let Ok(_permit) = permit else { return };
            // Whoever waits for the outcome would wait for ever.
            let finding = AssertUnwindSafe(run(&probe, &context)).catch_unwind().await;
            let finding =
                finding.unwrap_or_else(|_| Finding::critical("the agent failed to carry out this check"));
            // Nobody waits for it when the agent ends.
            let _ = outcomes.send((check, number, finding)).await;
        });
        self.runs.insert(id, task.abort_handle());
    }

    /// Ends the run of a check that is under way or waits; its program is killed. An outcome that
    /// is on its way already comes out all the same: its number tells that it is stale. To be called
    /// for every check that is no more.
    pub fn forget(&mut self, id: &CheckId) {
        if let Some(run) = self.runs.remove(id) {
            run.abort();
        }
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        for run in self.runs.values() {
            run.abort();
        }
        // A task that was aborted ends when its thread comes to it, which it does not when the
        // process ends first.
        self.context.end_scripts();
    }
}
