//! The templates of the configuration, each kept as `shoal render` keeps one.
//!
//! Owns a thread of its own, since rendering takes time and writing waits for a disk; neither the
//! protocol nor readers may wait for that. Each entry asks the agent by its socket, like any other
//! program, and stands for itself: one that fails, hangs in a command or dies holds no other up, and is
//! begun again. What went wrong is logged and counted; the last good file stays.

use crate::client::{Client, Error};
use crate::follow::render::{self, Plan, Report};
use crate::view::Exposition;
use nix::sys::signal::Signal;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::task::{Id, JoinSet};
use tokio::time::{Instant, sleep_until, timeout};

/// Before an entry that ended is begun again; doubled each time that it ends soon.
const PAUSE_MIN: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// One that ran for so long did not end soon.
const LASTED: Duration = Duration::from_secs(60);
/// What a command that runs when the end is wanted gets to come to its own.
const END_MAX: Duration = Duration::from_secs(2);

/// What became of all templates since the start.
#[derive(Debug, Default)]
pub(super) struct TemplateStats {
    kept: AtomicU64,
    failing: AtomicU64,
    writes: AtomicU64,
    failures: AtomicU64,
}

impl TemplateStats {
    /// Appends them.
    pub(super) fn expose(&self, out: &mut Exposition) {
        for (name, n) in [
            ("shoal_templates", &self.kept),
            ("shoal_templates_failing", &self.failing),
            ("shoal_template_writes_total", &self.writes),
            ("shoal_template_failures_total", &self.failures),
        ] {
            out.value(name, n.load(Ordering::Relaxed));
        }
    }

    fn count(n: &AtomicU64) {
        n.fetch_add(1, Ordering::Relaxed);
    }
}

/// Whether one entry is among those that fail.
#[derive(Debug)]
struct Failing {
    stats: Arc<TemplateStats>,
    is: AtomicBool,
}

impl Failing {
    fn set(&self, failing: bool) {
        if self.is.swap(failing, Ordering::Relaxed) == failing {
            return;
        }
        if failing {
            self.stats.failing.fetch_add(1, Ordering::Relaxed);
        } else {
            self.stats.failing.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Failing {
    fn drop(&mut self) {
        self.set(false);
    }
}

enum Order {
    /// Keep these and no others; those that are kept already are rendered again.
    Keep(Vec<Plan>),
    /// No further file is written once this is taken.
    End(oneshot::Sender<()>),
}

/// The way to the thread that keeps the files.
#[derive(Debug)]
pub(super) struct Templates {
    socket: PathBuf,
    orders: Option<mpsc::UnboundedSender<Order>>,
    ending: Option<oneshot::Receiver<()>>,
    stats: Arc<TemplateStats>,
}

impl Templates {
    /// Keeps nothing yet; `socket` is the agent's.
    pub(super) fn new(socket: &Path) -> Self {
        let stats = Arc::default();
        Self { socket: socket.to_owned(), orders: None, ending: None, stats }
    }

    /// Keeps `plans` and no others, and renders them all.
    pub(super) fn keep(&mut self, plans: &[Plan]) {
        if self.ending.is_some() || (plans.is_empty() && self.orders.is_none()) {
            return;
        }
        self.stats.kept.store(plans.len() as u64, Ordering::Relaxed);
        if self.orders.is_none() {
            match start(self.socket.clone(), Arc::clone(&self.stats)) {
                Ok(orders) => self.orders = Some(orders),
                Err(error) => {
                    tracing::error!(%error, "the templates are not kept: no thread can be started");
                    return;
                }
            }
        }
        if let Some(orders) = &self.orders {
            orders.send(Order::Keep(plans.to_vec())).ok();
        }
    }

    /// Begins to end: what changes from now on because this agent leaves is no reason to write files.
    pub(super) fn end(&mut self) {
        if let (Some(orders), None) = (&self.orders, &self.ending) {
            let (done, ending) = oneshot::channel();
            orders.send(Order::End(done)).ok();
            self.ending = Some(ending);
        }
    }

    /// Waits until the end has come.
    pub(super) async fn ended(&mut self) {
        self.end();
        if let Some(ending) = self.ending.take() {
            ending.await.ok();
        }
    }

    /// What becomes of them.
    pub(super) fn stats(&self) -> Arc<TemplateStats> {
        Arc::clone(&self.stats)
    }
}

fn start(socket: PathBuf, stats: Arc<TemplateStats>) -> std::io::Result<mpsc::UnboundedSender<Order>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    // One order for each reload, which are done one by one.
    let (orders, inbox) = mpsc::unbounded_channel();
    std::thread::Builder::new().name("shoal-templates".to_owned()).spawn(move || {
        runtime.block_on(Keeper { socket, stats, kept: Vec::new(), running: JoinSet::new() }.run(inbox));
        runtime.shutdown_background();
    })?;
    Ok(orders)
}

/// An entry.
struct Kept {
    plan: Plan,
    signals: mpsc::UnboundedSender<Signal>,
    running: Option<Id>,
    began: Instant,
    again_at: Option<Instant>,
    pause: Duration,
    failing: Arc<Failing>,
}

impl Kept {
    fn new(plan: Plan, stats: &Arc<TemplateStats>) -> Self {
        let now = Instant::now();
        Self {
            plan,
            signals: mpsc::unbounded_channel().0,
            running: None,
            began: now,
            again_at: Some(now),
            pause: PAUSE_MIN,
            failing: Arc::new(Failing { stats: Arc::clone(stats), is: AtomicBool::new(false) }),
        }
    }

    fn out(&self) -> String {
        self.plan.files.first().map(|pair| pair.out.display().to_string()).unwrap_or_default()
    }
}

struct Keeper {
    socket: PathBuf,
    stats: Arc<TemplateStats>,
    kept: Vec<Kept>,
    running: JoinSet<Result<render::Kept, Error>>,
}

type Ended = Result<(Id, Result<render::Kept, Error>), tokio::task::JoinError>;

impl Keeper {
    async fn run(mut self, mut orders: mpsc::UnboundedReceiver<Order>) {
        loop {
            let again_at = self.kept.iter().filter_map(|kept| kept.again_at).min();
            let again = async {
                match again_at {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                order = orders.recv() => match order {
                    Some(Order::Keep(plans)) => self.keep(plans).await,
                    Some(Order::End(done)) => {
                        self.finish(Vec::new()).await;
                        done.send(()).ok();
                        return;
                    }
                    None => return,
                },
                Some(ended) = self.running.join_next_with_id() => Self::note_end(&mut self.kept, ended),
                () = again => self.begin_those_due(),
            }
        }
    }

    async fn keep(&mut self, plans: Vec<Plan>) {
        // Those that go are gone before others begin, which may write the same files.
        self.finish(plans.clone()).await;
        for plan in plans {
            match self.kept.iter_mut().find(|kept| kept.plan == plan) {
                Some(kept) => {
                    kept.signals.send(Signal::SIGHUP).ok();
                    kept.again_at = kept.again_at.map(|_| Instant::now());
                }
                None => self.kept.push(Kept::new(plan, &self.stats)),
            }
        }
        self.begin_those_due();
    }

    /// Ends all that are not among `staying`.
    async fn finish(&mut self, staying: Vec<Plan>) {
        let (stay, go): (Vec<Kept>, Vec<Kept>) =
            std::mem::take(&mut self.kept).into_iter().partition(|kept| staying.contains(&kept.plan));
        self.kept = stay;
        let mut going: Vec<Id> = go.iter().filter_map(|kept| kept.running).collect();
        for kept in &go {
            kept.signals.send(Signal::SIGTERM).ok();
        }
        let all_gone = async {
            while !going.is_empty()
                && let Some(ended) = self.running.join_next_with_id().await
            {
                let id = ended.as_ref().map_or_else(tokio::task::JoinError::id, |(id, _)| *id);
                if going.contains(&id) {
                    going.retain(|other| *other != id);
                } else {
                    Self::note_end(&mut self.kept, ended);
                }
            }
        };
        if timeout(END_MAX, all_gone).await.is_err() {
            tracing::warn!("a command of a template goes on though it was told to end");
        }
    }

    fn begin_those_due(&mut self) {
        let now = Instant::now();
        for kept in &mut self.kept {
            if kept.again_at.is_none_or(|again| again > now) {
                continue;
            }
            let (signals, inbox) = mpsc::unbounded_channel();
            let teller = Teller { out: kept.out(), failing: Arc::clone(&kept.failing) };
            let task = self.running.spawn(keep_one(self.socket.clone(), kept.plan.clone(), inbox, teller));
            (kept.signals, kept.running, kept.began, kept.again_at) = (signals, Some(task.id()), now, None);
        }
    }

    /// One that was not told to end has ended.
    fn note_end(kept: &mut [Kept], ended: Ended) {
        let id = ended.as_ref().map_or_else(tokio::task::JoinError::id, |(id, _)| *id);
        let Some(kept) = kept.iter_mut().find(|kept| kept.running == Some(id)) else { return };
        let error = match ended {
            Ok((_, Ok(_))) => "the stream of changes has ended".to_owned(),
            Ok((_, Err(error))) => error.to_string(),
            Err(error) => error.to_string(),
        };
        kept.running = None;
        if kept.began.elapsed() >= LASTED {
            kept.pause = PAUSE_MIN;
        }
        TemplateStats::count(&kept.failing.stats.failures);
        kept.failing.set(true);
        tracing::error!(out = kept.out(), error, again_in = ?kept.pause, "a template is not kept at present");
        kept.again_at = Some(Instant::now() + kept.pause);
        kept.pause = (kept.pause * 2).min(PAUSE_MAX);
    }
}

async fn keep_one(
    socket: PathBuf,
    plan: Plan,
    signals: mpsc::UnboundedReceiver<Signal>,
    mut teller: Teller,
) -> Result<render::Kept, Error> {
    render::keep(plan, Client::connect(&socket)?, signals, &mut teller).await
}

/// Logs and counts what becomes of one entry.
struct Teller {
    /// One of its files, to know it by.
    out: String,
    failing: Arc<Failing>,
}

impl Report for Teller {
    type Stop = Error;
    const CAPTURES: bool = true;

    fn printed(&mut self, _: &str) -> Result<(), Error> {
        // The configuration wants paths.
        Ok(())
    }

    fn wrote(&mut self, out: &Path) -> Result<(), Error> {
        TemplateStats::count(&self.failing.stats.writes);
        tracing::info!(out = %out.display(), "a file was written from its template");
        Ok(())
    }

    fn failed(&mut self, problem: &str) {
        TemplateStats::count(&self.failing.stats.failures);
        tracing::error!(out = self.out, problem, "a template failed; the last good file stays");
    }

    fn remark(&mut self, text: &str) {
        tracing::warn!(out = self.out, text, "a template waits");
    }

    fn round_ended(&mut self, good: bool) {
        self.failing.set(!good);
    }
}
