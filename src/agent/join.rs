//! Finding the first peers.
//!
//! Owns the names to join through and the callers that wait for a join. Names are resolved anew at
//! each try, in parallel, until a cluster has answered, and again whenever this node finds itself
//! alone. Trying the addresses themselves is the protocol's business.

use super::config::JoinAddress;
use crate::api::request::{Reply, RequestError};
use crate::model::Instant;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

/// The first wait between two resolutions; doubled each time up to the last.
const RETRY_FIRST: Duration = Duration::from_secs(1);
const RETRY_LAST: Duration = Duration::from_secs(30);
/// A name server that does not answer holds up nothing else.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(4);
/// How long a caller waits for the cluster's answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// Addresses that names may stand for, one after the other; the protocol takes no more.
const HANDED_MAX: usize = 256;
/// Callers that may wait at once.
const CALLERS_MAX: usize = 64;

/// What names turned out to stand for.
#[derive(Debug)]
pub(super) struct Resolved {
    /// The caller that asked, by number; `None` for the configured names.
    caller: Option<u64>,
    addrs: Vec<SocketAddr>,
    errors: Vec<String>,
}

/// A resolution to be run in the background.
#[derive(Debug)]
pub(super) struct Resolve {
    caller: Option<u64>,
    names: Vec<JoinAddress>,
}

#[derive(Debug)]
struct Caller {
    number: u64,
    addrs: Vec<SocketAddr>,
    deadline: Instant,
    reply: Reply<usize>,
}

/// An answer that is ready.
pub(super) type Answer = (Reply<usize>, Result<usize, RequestError>);

/// The search for peers.
#[derive(Debug)]
pub(super) struct Joiner {
    own: SocketAddr,
    names: Vec<JoinAddress>,
    /// Addresses that the protocol was given since the last time this node was alone.
    handed: BTreeSet<SocketAddr>,
    tries: u32,
    next_try: Option<Instant>,
    callers: Vec<Caller>,
    callers_so_far: u64,
}

impl Joiner {
    /// `own` is what this node tells others, which configurations shared by all hosts list too.
    pub(super) fn new(own: SocketAddr, names: Vec<JoinAddress>, now: Instant) -> Self {
        let next_try = (!names.is_empty()).then_some(now);
        Self {
            own,
            names,
            handed: BTreeSet::new(),
            tries: 0,
            next_try,
            callers: Vec::new(),
            callers_so_far: 0,
        }
    }

    /// When [`due`](Self::due) or [`overdue`](Self::overdue) has something to do.
    pub(super) fn next_wake(&self) -> Option<Instant> {
        self.callers.iter().map(|c| c.deadline).chain(self.next_try).min()
    }

    /// The next resolution of the configured names, when it is time for one.
    pub(super) fn due(&mut self, now: Instant) -> Option<Resolve> {
        self.next_try.filter(|at| *at <= now)?;
        let wait = RETRY_FIRST.saturating_mul(1 << self.tries.min(8)).min(RETRY_LAST);
        self.tries = self.tries.saturating_add(1);
        self.next_try = Some(now + wait);
        Some(Resolve { caller: None, names: self.names.clone() })
    }

    /// Callers that have waited long enough.
    pub(super) fn overdue(&mut self, now: Instant) -> Vec<Answer> {
        let late = self.callers.extract_if(.., |c| c.deadline <= now);
        late.map(|caller| {
            let tried: Vec<String> = caller.addrs.iter().map(ToString::to_string).collect();
            let error = if tried.is_empty() {
                "no address was found in time".to_owned()
            } else {
                format!("no answer yet from {}; trying goes on", tried.join(", "))
            };
            (caller.reply, Err(RequestError::Join(error)))
        })
        .collect()
    }

    /// A caller wants to join through `texts`.
    pub(super) fn ask(
        &mut self,
        texts: &[String],
        reply: Reply<usize>,
        now: Instant,
    ) -> Result<Resolve, Answer> {
        let refuse = |reply, why: String| Err((reply, Err(RequestError::Join(why))));
        if self.callers.len() >= CALLERS_MAX {
            return refuse(reply, format!("{CALLERS_MAX} joins are under way already"));
        }
        if texts.is_empty() {
            return refuse(reply, "no address: want HOST[:PORT]".to_owned());
        }
        let mut names = Vec::new();
        for text in texts {
            match text.parse() {
                Ok(name) => names.push(name),
                Err(()) => return refuse(reply, format!("address {text:?}: want HOST[:PORT]")),
            }
        }
        self.callers_so_far += 1;
        let number = self.callers_so_far;
        self.callers.push(Caller { number, addrs: Vec::new(), deadline: now + ANSWER_TIMEOUT, reply });
        Ok(Resolve { caller: Some(number), names })
    }

    /// Names were resolved: which addresses to hand to the protocol, and who is answered by that
    /// alone.
    pub(super) fn resolved(&mut self, resolved: Resolved) -> (Vec<SocketAddr>, Option<Answer>) {
        let same_family = |a: &SocketAddr| a.is_ipv4() == self.own.is_ipv4();
        let mut addrs: Vec<SocketAddr> =
            resolved.addrs.into_iter().filter(|a| same_family(a) && *a != self.own).collect();
        addrs.sort_unstable();
        addrs.dedup();
        let Some(number) = resolved.caller else {
            if !resolved.errors.is_empty() && self.tries.is_power_of_two() {
                let errors = resolved.errors.join("; ");
                tracing::warn!(
                    errors,
                    tries = self.tries,
                    "join addresses cannot be resolved; trying goes on"
                );
            }
            addrs.retain(|a| self.handed.len() < HANDED_MAX && self.handed.insert(*a));
            return (addrs, None);
        };
        let Some(at) = self.callers.iter().position(|c| c.number == number) else { return (addrs, None) };
        if addrs.is_empty() {
            let mut why = resolved.errors;
            if why.is_empty() {
                why.push(format!("no address but this agent's own ({}) was found", self.own));
            }
            let caller = self.callers.swap_remove(at);
            return (addrs, Some((caller.reply, Err(RequestError::Join(why.join("; "))))));
        }
        self.callers[at].addrs.clone_from(&addrs);
        (addrs, None)
    }

    /// A cluster has answered.
    pub(super) fn joined(&mut self, members: usize) -> Vec<Answer> {
        self.next_try = None;
        self.callers.drain(..).map(|c| (c.reply, Ok(members))).collect()
    }

    /// The live members that are known, after a change of membership: who asked for one of them is
    /// answered, and a node that is alone starts to search again.
    pub(super) fn members(&mut self, live: &[SocketAddr], now: Instant) -> Vec<Answer> {
        let alone = live.iter().all(|a| *a == self.own);
        if alone && self.next_try.is_none() && !self.names.is_empty() {
            self.handed.clear();
            self.tries = 0;
            self.next_try = Some(now + RETRY_FIRST);
        }
        let known = self.callers.extract_if(.., |c| c.addrs.iter().any(|a| live.contains(a)));
        known.map(|c| (c.reply, Ok(live.len()))).collect()
    }

    /// The agent ends.
    pub(super) fn close(self) -> Vec<Answer> {
        self.callers.into_iter().map(|c| (c.reply, Err(RequestError::ShuttingDown))).collect()
    }
}

impl Resolve {
    /// Asks the system's resolver for all names at once.
    pub(super) async fn run(self) -> Resolved {
        let each = self.names.iter().map(async |name| {
            let lookup = tokio::net::lookup_host((name.host(), name.port()));
            match tokio::time::timeout(RESOLVE_TIMEOUT, lookup).await {
                Ok(Ok(addrs)) => Ok(addrs.collect::<Vec<_>>()),
                Ok(Err(error)) => Err(format!("{name}: {error}")),
                Err(_) => Err(format!("{name}: the resolver did not answer within {RESOLVE_TIMEOUT:?}")),
            }
        });
        let mut resolved = Resolved { caller: self.caller, addrs: Vec::new(), errors: Vec::new() };
        for result in futures_util::future::join_all(each).await {
            match result {
                Ok(addrs) => resolved.addrs.extend(addrs),
                Err(error) => resolved.errors.push(error),
            }
        }
        resolved
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::oneshot;

    const NOW: Instant = Instant::START;

    fn addr(text: &str) -> SocketAddr {
        text.parse().expect("valid")
    }

    fn joiner(names: &[&str]) -> Joiner {
        let names = names.iter().map(|n| n.parse().expect("valid")).collect();
        Joiner::new(addr("10.0.0.1:7946"), names, NOW)
    }

    fn found(caller: Option<u64>, addrs: &[&str]) -> Resolved {
        Resolved { caller, addrs: addrs.iter().map(|a| addr(a)).collect(), errors: Vec::new() }
    }

    #[test]
    fn names_are_resolved_again_with_growing_waits_until_a_cluster_answers() {
        let mut j = joiner(&["seed"]);
        let mut now = NOW;
        let mut waits = Vec::new();
        for _ in 0..7 {
            assert!(j.due(now).is_some());
            assert!(j.due(now).is_none());
            let next = j.next_wake().expect("goes on");
            waits.push(next.since(now).as_secs());
            now = next;
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 30, 30]);
        j.joined(2);
        assert_eq!(j.next_wake(), None);
    }

    #[test]
    fn only_new_addresses_of_others_are_handed_on() {
        let mut j = joiner(&["seed"]);
        let (first, _) = j.resolved(found(None, &["10.0.0.2:7946", "10.0.0.1:7946", "[fd00::1]:7946"]));
        assert_eq!(first, [addr("10.0.0.2:7946")]);
        let (second, _) = j.resolved(found(None, &["10.0.0.2:7946", "10.0.0.3:7946"]));
        assert_eq!(second, [addr("10.0.0.3:7946")]);
    }

    #[test]
    fn a_node_that_is_alone_again_searches_again() {
        let mut j = joiner(&["seed"]);
        j.resolved(found(None, &["10.0.0.2:7946"]));
        j.joined(2);
        j.members(&[addr("10.0.0.1:7946"), addr("10.0.0.2:7946")], NOW);
        assert_eq!(j.next_wake(), None);
        j.members(&[addr("10.0.0.1:7946")], NOW);
        assert!(j.next_wake().is_some());
        let (again, _) = j.resolved(found(None, &["10.0.0.2:7946"]));
        assert_eq!(again.len(), 1);
    }

    #[test]
    fn callers_are_answered_by_the_cluster_by_a_known_member_or_by_time() {
        let mut j = joiner(&[]);
        let (reply, mut answer) = oneshot::channel();
        let asked = j.ask(&["10.0.0.2".to_owned()], reply, NOW).expect("is tried");
        let (addrs, none) = j.resolved(found(asked.caller, &["10.0.0.2:7946"]));
        assert!(addrs.len() == 1 && none.is_none());
        let answers = j.members(&[addr("10.0.0.1:7946"), addr("10.0.0.2:7946")], NOW);
        for (reply, result) in answers {
            reply.send(result).expect("is awaited");
        }
        assert_eq!(answer.try_recv(), Ok(Ok(2)));

        let (reply, _answer) = oneshot::channel();
        let asked = j.ask(&["10.0.0.3".to_owned()], reply, NOW).expect("is tried");
        j.resolved(found(asked.caller, &["10.0.0.3:7946"]));
        assert!(j.overdue(NOW).is_empty());
        let answers = j.overdue(NOW + ANSWER_TIMEOUT);
        let (_, result) = &answers[0];
        let error = result.as_ref().expect_err("late").to_string();
        assert_eq!(error, "no answer yet from 10.0.0.3:7946; trying goes on");
        assert!(j.callers.is_empty());
    }

    #[test]
    fn what_cannot_be_joined_is_told_at_once() {
        let mut j = joiner(&[]);
        let (reply, _answer) = oneshot::channel();
        let (_, result) = j.ask(&["a b".to_owned()], reply, NOW).expect_err("is refused");
        assert!(result.expect_err("is refused").to_string().contains("want HOST[:PORT]"));
        let (reply, _answer) = oneshot::channel();
        let asked = j.ask(&["10.0.0.1".to_owned()], reply, NOW).expect("is tried");
        let (_, answer) = j.resolved(found(asked.caller, &["10.0.0.1:7946"]));
        let (_, result) = answer.expect("is answered");
        assert!(result.expect_err("is refused").to_string().contains("this agent's own"));
    }

    #[tokio::test]
    async fn an_address_resolves_to_itself_and_a_bad_name_is_an_error() {
        let names =
            vec!["127.0.0.1:9".parse().expect("valid"), "no-such-host.invalid".parse().expect("valid")];
        let resolved = Resolve { caller: None, names }.run().await;
        assert_eq!(resolved.addrs, [addr("127.0.0.1:9")]);
        assert_eq!(resolved.errors.len(), 1, "{:?}", resolved.errors);
    }

    #[test]
    fn joins_under_way_and_addresses_that_names_stood_for_are_bounded() {
        let mut j = joiner(&["seed"]);
        let mut refused = 0;
        for _ in 0..100 {
            let (reply, _answer) = oneshot::channel();
            refused += usize::from(j.ask(&["10.0.0.2".to_owned()], reply, NOW).is_err());
        }
        assert_eq!((j.callers.len(), refused), (CALLERS_MAX, 100 - CALLERS_MAX));
        // A name server that has a new address for everybody who asks.
        let handed: usize = (0..1_000)
            .map(|n| j.resolved(found(None, &[&format!("10.0.{}.{}:1", n / 250, 2 + n % 250)])).0.len())
            .sum();
        assert_eq!((handed, j.handed.len()), (HANDED_MAX, HANDED_MAX));
    }
}
