//! Who waits for what: one topic for everything that can be waited for by an index.
//!
//! One task looks at each new view and wakes the topics whose index changed, and nobody else: ten
//! thousand requests that wait for a thousand services cost a change of one of them ten wake-ups.
//! The first change after a quiet time wakes at once; while changes keep coming a topic is woken
//! every [`Limits::coalesce`](super::Limits::coalesce) at most, with what gathered. A topic lives as
//! long as somebody waits, or until it may be woken again, so there are no more than requests that
//! may wait.

use crate::view::{View, ViewReader, ViewWaiter};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;
use tokio::time::Instant;

/// What an index is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Question<'a> {
    /// A service name: its instances, their checks and nodes.
    Service(&'a str),
    /// A node and what is on it, by name.
    Node(&'a str),
    /// The same by name, or by the beginning of its identifier.
    NodeOrId(&'a str),
    /// The list of nodes.
    Nodes,
    /// The list of service names with their tags.
    Services,
    /// All instances and nodes, not counting checks.
    Catalog,
    /// The list of checks.
    Checks,
    /// What never changes: the index of an empty store.
    Nothing,
}

impl Question<'_> {
    /// The index in a view.
    pub(super) fn index(self, view: &View) -> u64 {
        match self {
            Self::Service(name) => view.service_index(name),
            Self::Node(name) => view.node_index(name),
            Self::NodeOrId(name) => {
                let node = view.node(name).or_else(|| view.node_by_id_prefix(name));
                node.map_or_else(|| view.node_index(name), |node| node.index)
            }
            Self::Nodes => view.nodes_index(),
            Self::Services => view.services_index(),
            Self::Catalog => view.catalog_index(),
            Self::Checks => view.checks_index(),
            Self::Nothing => EMPTY_INDEX,
        }
    }

    fn topic(self) -> Topic {
        let (kind, name) = match self {
            Self::Service(name) => (Kind::Service, name),
            Self::Node(name) => (Kind::Node, name),
            Self::NodeOrId(name) => (Kind::NodeOrId, name),
            Self::Nodes => (Kind::Nodes, ""),
            Self::Services => (Kind::Services, ""),
            Self::Catalog => (Kind::Catalog, ""),
            Self::Checks => (Kind::Checks, ""),
            Self::Nothing => (Kind::Nothing, ""),
        };
        (kind, Arc::from(name.to_lowercase()))
    }
}

/// The index of a store that never held anything.
pub(super) const EMPTY_INDEX: u64 = 1;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Service,
    Node,
    NodeOrId,
    Nodes,
    Services,
    Catalog,
    Checks,
    Nothing,
}

type Topic = (Kind, Arc<str>);

fn question(topic: &Topic) -> Question<'_> {
    let (kind, name) = topic;
    match kind {
        Kind::Service => Question::Service(name),
        Kind::Node => Question::Node(name),
        Kind::NodeOrId => Question::NodeOrId(name),
        Kind::Nodes => Question::Nodes,
        Kind::Services => Question::Services,
        Kind::Catalog => Question::Catalog,
        Kind::Checks => Question::Checks,
        Kind::Nothing => Question::Nothing,
    }
}

/// Those who wait for one topic.
struct Crowd {
    notify: Arc<Notify>,
    waiting: usize,
    /// The index when it was last looked at.
    seen: u64,
    woken_at: Option<Instant>,
    /// It changed, and is woken then.
    due: Option<Instant>,
}

#[derive(Default)]
struct Shared {
    crowds: Mutex<BTreeMap<Topic, Crowd>>,
    /// The agent stopped: nothing changes any more.
    closed: AtomicBool,
    started: AtomicBool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Topic, Crowd>> {
        self.crowds.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// See the module.
#[derive(Clone)]
pub(super) struct Topics {
    shared: Arc<Shared>,
    coalesce: Duration,
}

/// A place in the crowd of one topic; dropping it leaves.
pub(super) struct Seat {
    shared: Arc<Shared>,
    topic: Topic,
    notify: Arc<Notify>,
}

impl Seat {
    pub(super) fn woken(&self) -> Notified<'_> {
        self.notify.notified()
    }

    pub(super) fn is_closed(&self) -> bool {
        self.shared.closed.load(Ordering::Acquire)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut crowds = self.shared.lock();
        if let Some(crowd) = crowds.get_mut(&self.topic) {
            crowd.waiting -= 1;
            // One that was just woken stays until it may be woken again.
            if crowd.waiting == 0 && crowd.woken_at.is_none() {
                crowds.remove(&self.topic);
            }
        }
    }
}

impl Topics {
    pub(super) fn new(coalesce: Duration) -> Self {
        Self { shared: Arc::default(), coalesce }
    }

    /// Joins those who wait for `question`. To be called inside a runtime.
    pub(super) fn enter(&self, question: Question<'_>, views: &ViewReader) -> Seat {
        let topic = question.topic();
        let notify = {
            let mut crowds = self.shared.lock();
            let crowd = crowds.entry(topic.clone()).or_insert_with(|| Crowd {
                notify: Arc::default(),
                waiting: 0,
                seen: question.index(&views.load()),
                woken_at: None,
                due: None,
            });
            crowd.waiting += 1;
            Arc::clone(&crowd.notify)
        };
        if !self.shared.started.swap(true, Ordering::AcqRel) {
            tokio::spawn(wake(Arc::clone(&self.shared), views.waiter(), self.coalesce));
        }
        Seat { shared: Arc::clone(&self.shared), topic, notify }
    }

    /// How many topics somebody waits for.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.shared.lock().values().filter(|crowd| crowd.waiting > 0).count()
    }
}

/// Looks at every view, and wakes whom it concerns.
async fn wake(shared: Arc<Shared>, mut views: ViewWaiter, coalesce: Duration) {
    loop {
        let view = views.load();
        let due = look(&mut shared.lock(), &view, Instant::now(), coalesce);
        drop(view);
        let rest = async {
            match due {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            changed = views.changed() => if changed.is_err() {
                break;
            },
            () = rest => {}
        }
    }
    shared.closed.store(true, Ordering::Release);
    for crowd in shared.lock().values() {
        crowd.notify.notify_waiters();
    }
}

/// Wakes the crowds whose time has come; says when to look again though nothing changes.
fn look(
    crowds: &mut BTreeMap<Topic, Crowd>,
    view: &View,
    now: Instant,
    coalesce: Duration,
) -> Option<Instant> {
    let mut next: Option<Instant> = None;
    crowds.retain(|topic, crowd| {
        let free_at = crowd.woken_at.map(|at| at + coalesce).filter(|at| *at > now);
        if free_at.is_none() {
            crowd.woken_at = None;
        }
        let index = question(topic).index(view);
        if index != crowd.seen {
            crowd.seen = index;
            crowd.due = crowd.due.or(Some(free_at.unwrap_or(now)));
        }
        if crowd.due.is_some_and(|at| at <= now) {
            crowd.due = None;
            crowd.woken_at = Some(now);
            crowd.notify.notify_waiters();
        }
        let later = crowd.due.or(crowd.woken_at.map(|at| at + coalesce));
        next = [next, later].into_iter().flatten().min();
        crowd.waiting > 0 || crowd.woken_at.is_some()
    });
    next
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::tests::world::{World, service_record};
    use std::sync::atomic::AtomicUsize;

    /// Counts how often somebody who waits for `question` is woken.
    fn count(topics: &Topics, views: &ViewReader, question: Question<'static>) -> Arc<AtomicUsize> {
        let woken = Arc::new(AtomicUsize::new(0));
        let (topics, views, counted) = (topics.clone(), views.clone(), Arc::clone(&woken));
        tokio::spawn(async move {
            let seat = topics.enter(question, &views);
            loop {
                seat.woken().await;
                counted.fetch_add(1, Ordering::SeqCst);
            }
        });
        woken
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_wakes_its_topic_at_once_and_no_other_and_a_burst_wakes_it_rarely() {
        let world = World::new();
        let topics = Topics::new(Duration::from_millis(20));
        let web = count(&topics, &world.views, Question::Service("web"));
        let db = count(&topics, &world.views, Question::Service("db"));
        let nodes = count(&topics, &world.views, Question::Nodes);
        let seen = || [&web, &db, &nodes].map(|n| n.load(Ordering::SeqCst));
        let pause = |ms| tokio::time::sleep(Duration::from_millis(ms));
        pause(50).await;
        assert_eq!((topics.len(), seen()), (3, [0, 0, 0]));
        world.service("n1", service_record("w0", "web", &[], 1));
        pause(1).await;
        assert_eq!(seen(), [1, 0, 0], "at once");
        for n in 1..=100 {
            world.service("n1", service_record(&format!("w{n}"), "web", &[], n));
            pause(1).await;
        }
        pause(30).await;
        assert!((5..=8).contains(&seen()[0]), "a burst of 100 ms: {:?}", seen());
        let before = seen()[0];
        world.service("n1", service_record("d", "db", &[], 1));
        pause(1).await;
        assert_eq!(seen(), [before, 1, 0]);
    }

    #[tokio::test(start_paused = true)]
    async fn topics_live_as_long_as_somebody_waits() {
        let world = World::new();
        let topics = Topics::new(Duration::from_millis(20));
        let seats = [(); 3].map(|()| topics.enter(Question::Service("web"), &world.views));
        assert_eq!(topics.shared.lock().len(), 1);
        world.service("n1", service_record("w", "web", &[], 1));
        tokio::time::sleep(Duration::from_millis(1)).await;
        drop(seats);
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(topics.shared.lock().len(), 0, "it is forgotten when it could be woken again");
        drop(topics.enter(Question::Node("n1"), &world.views));
        assert_eq!(topics.shared.lock().len(), 0);
    }
}
