//! What is shown and told: how things are, what every agent thinks, and how fast it came to that.
//!
//! A pure model: news and acts go in with the time they happened at, lines come out.

mod episode;
#[cfg(test)]
mod tests;

use super::sales::Sales;
use super::script::Act;
use super::shop::{HOSTS, Host, Instance, listed};
use super::truth::{Doing, Opinions, State, Thing, Truth};
use crate::client::Health;
use crate::model::MemberStatus;
use episode::Episode;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// Lines that are kept; the oldest goes.
const LINES_MAX: usize = 500;
/// Acts whose consequences are watched at one time; of more the oldest is let go.
const EPISODES_MAX: usize = 16;
/// Shoppers who were on their way when everybody knew have their answers by then.
pub(super) const QUIET: Duration = Duration::from_millis(700);
/// What is not known everywhere by then is looked into.
const LONG: Duration = Duration::from_secs(10);
const HELD: &str = "who failed more than once with its process alive is shown as failed until it was reachable for a \
    while (hold_min)";

/// What a line is about, for its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    /// What somebody did.
    Act,
    /// What an agent noticed.
    News,
    /// How it ended.
    Good,
    Bad,
    Remark,
}

/// A line of the story.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) at: Duration,
    pub(super) tone: Tone,
    pub(super) text: String,
}

/// Something that was seen.
#[derive(Debug)]
pub(super) enum News {
    /// What `observer`'s agent thinks of a host now.
    Member { observer: Host, host: Host, status: MemberStatus },
    /// What it thinks of all instances now.
    Instances { observer: Host, health: BTreeMap<Instance, Health> },
    /// The shoppers ask another agent.
    Moved { from: Host, to: Host },
}

/// The model.
#[derive(Debug)]
pub(super) struct Board {
    truth: Truth,
    expected: Opinions,
    views: Opinions,
    episodes: Vec<Episode>,
    pub(super) sales: Sales,
    /// Whose agent the shoppers ask.
    pub(super) shoppers_at: Host,
    lines: VecDeque<Line>,
    /// Lines that were written so far, gone ones included.
    written: usize,
    /// Some act was not known everywhere in time.
    pub(super) unsettled: bool,
}

impl Board {
    /// Agents have been started; they know nothing yet.
    pub(super) fn new(now: Duration) -> Self {
        let truth = Truth::new();
        let expected = truth.expected();
        let first = Episode::start(now, &expected);
        Self {
            truth,
            expected,
            views: Opinions::new(),
            episodes: vec![first],
            sales: Sales::default(),
            shoppers_at: Host::all().next().expect("there are hosts"),
            lines: VecDeque::new(),
            written: 0,
            unsettled: false,
        }
    }

    pub(super) const fn truth(&self) -> &Truth {
        &self.truth
    }

    /// The lines, the newest last.
    pub(super) fn lines(&self) -> impl DoubleEndedIterator<Item = &Line> {
        self.lines.iter()
    }

    /// The lines after the first `seen` that were ever written, as far as they are kept, and how many
    /// were written by now.
    pub(super) fn lines_after(&self, seen: usize) -> (impl Iterator<Item = &Line>, usize) {
        let new = self.written.saturating_sub(seen).min(self.lines.len());
        (self.lines.iter().skip(self.lines.len() - new), self.written)
    }

    pub(super) fn say(&mut self, at: Duration, tone: Tone, text: impl Into<String>) {
        if self.lines.len() >= LINES_MAX {
            self.lines.pop_front();
        }
        self.lines.push_back(Line { at, tone, text: text.into() });
        self.written += 1;
    }

    /// Whether everything that was done is known wherever it can be, and was told.
    pub(super) fn is_settled(&self) -> bool {
        self.episodes.is_empty()
    }

    /// What agents that run think of a host.
    pub(super) fn opinions_of(&self, host: Host) -> BTreeMap<Host, MemberStatus> {
        let of = |observer: Host| match self.views.get(&(observer, Thing::Host(host))) {
            Some(State::Member(status)) => Some((observer, *status)),
            _ => None,
        };
        self.truth.running().filter_map(of).collect()
    }

    /// What the agent that the shoppers ask thinks of an instance.
    pub(super) fn health(&self, instance: Instance) -> Option<Health> {
        match self.views.get(&(self.shoppers_at, Thing::Instance(instance))) {
            Some(State::Instance(health)) => Some(*health),
            _ => None,
        }
    }

    /// Checks an act against how things are, and begins to watch what comes of it.
    pub(super) fn act(&mut self, act: &Act, now: Duration) -> Result<(), String> {
        let before = self.expected.clone();
        let mut truth = self.truth.clone();
        truth.apply(act)?;
        self.truth = truth;
        self.expected = self.truth.expected();
        // Of who does not run nothing is known any more.
        self.views.retain(|(observer, _), _| self.truth.agent(*observer) != Doing::Killed);
        self.say(now, Tone::Act, told(act));
        if self.episodes.len() >= EPISODES_MAX {
            self.episodes.remove(0);
        }
        self.episodes.push(Episode::of(act.clone(), now, &before, &self.expected));
        Ok(())
    }

    pub(super) fn take(&mut self, news: News, now: Duration) {
        match news {
            News::Member { observer, host, status } => self.member(observer, host, status, now),
            News::Instances { observer, health } => {
                for (instance, health) in health {
                    self.views.insert((observer, Thing::Instance(instance)), State::Instance(health));
                }
            }
            News::Moved { from, to } => {
                self.shoppers_at = to;
                let text =
                    format!("{from}'s agent does not answer the shoppers: they ask {to}'s from now on");
                self.say(now, Tone::News, text);
            }
        }
        self.tick(now);
    }

    fn member(&mut self, observer: Host, host: Host, status: MemberStatus, now: Duration) {
        if self.truth.agent(observer) == Doing::Killed {
            return;
        }
        let pair = (observer, Thing::Host(host));
        let before = self.views.insert(pair, State::Member(status));
        if before == Some(State::Member(status)) || observer == host {
            return;
        }
        if let Some(episode) = self.episodes.iter_mut().rev().find(|e| e.is_about(pair)) {
            if let Some(text) = episode.noticed(observer, host, status, now) {
                self.say(now, Tone::News, text);
            }
            return;
        }
        // Who comes back brings its own verdicts on the others along, which are looked into.
        let returning = self.episodes.iter().any(Episode::is_return);
        let known = before.is_some() && self.truth.agent(observer) == Doing::Running && !returning;
        let wanted = self.expected.get(&pair) == Some(&State::Member(status));
        if known && !wanted {
            let what = match status {
                MemberStatus::Suspect => "suspects",
                MemberStatus::Failed => "holds for failed",
                MemberStatus::Alive | MemberStatus::Left => return,
            };
            let why = "though nothing was done to it: this machine may be busy";
            self.say(now, Tone::Remark, format!("{observer} {what} {host}, {why}"));
        }
    }

    /// Tells what has come to its end by `now`.
    pub(super) fn tick(&mut self, now: Duration) {
        let mut lines = Vec::new();
        for episode in &mut self.episodes {
            let known = episode.known_to(&self.expected, &self.views, now);
            if let Some(text) = known {
                lines.push((Tone::News, text));
            }
            if episode.takes_long(now, LONG) {
                let missing = disagreements(&self.expected, &self.views);
                let text = format!("not everybody agrees yet: {}", listed(missing.iter().take(3)));
                lines.push((Tone::Remark, text));
                if episode.is_return() {
                    lines.push((Tone::Remark, HELD.to_owned()));
                }
            }
        }
        let sales = &self.sales;
        let ended: Vec<(Tone, String)> = self
            .episodes
            .extract_if(.., |episode| episode.is_over(now, QUIET))
            .map(|episode| episode.summary(sales))
            .collect();
        for (tone, text) in lines.into_iter().chain(ended) {
            self.say(now, tone, text);
        }
    }

    /// Gives up waiting for what is not known everywhere, and says what is missing.
    pub(super) fn give_up(&mut self, now: Duration) {
        self.unsettled = true;
        let missing = disagreements(&self.expected, &self.views);
        self.episodes.clear();
        let text = format!("not everybody agrees: {}", listed(missing.iter().take(6)));
        self.say(now, Tone::Bad, text);
    }
}

/// Where what is thought is not what should be, in words.
fn disagreements(expected: &Opinions, views: &Opinions) -> Vec<String> {
    let wrong = expected
        .iter()
        .filter(|(pair, want)| !views.get(pair).is_some_and(|seen| want.is_met_by(*seen)))
        .map(|((observer, thing), want)| {
            let seen = words(views.get(&(*observer, *thing)));
            format!("{observer} thinks {} {seen}, not {}", name_of(*thing), words(Some(want)))
        });
    wrong.collect()
}

const fn name_of(thing: Thing) -> &'static str {
    match thing {
        Thing::Host(host) => host.name(),
        Thing::Instance(instance) => instance.id(),
    }
}

fn words(state: Option<&State>) -> &'static str {
    match state {
        None => "unknown",
        Some(State::Member(status)) => status.as_str(),
        Some(State::Instance(health)) => health.as_str(),
        Some(State::Unusable) => "out of use",
    }
}

/// What an act does, for who reads along.
fn told(act: &Act) -> String {
    match act {
        Act::Kill(host) => format!(
            "KILL {host}: its agent and {} are gone, as by kill -9; the kernel lives and reports closed ports",
            listed(host.instances())
        ),
        Act::Pause(host) => {
            format!("PAUSE {host}: its agent stands still, as by SIGSTOP; {} go on", listed(host.instances()))
        }
        Act::Unplug(host) => {
            format!("UNPLUG {host}: nothing comes from it and nothing reaches it, as by a pulled cable")
        }
        Act::Partition(hosts) => {
            let rest = Host::all().filter(|host| !hosts.contains(host));
            format!("PARTITION: {} | {}", listed(rest), listed(hosts))
        }
        Act::Drain(target) => format!("DRAIN {target}: in maintenance, nobody is to be sent there"),
        Act::Undrain(target) => format!("UNDRAIN {target}: back in service"),
        Act::Crash(instance) => {
            let finds =
                if instance.beats() { "has to miss its heartbeats" } else { "has to find out by a check" };
            format!("CRASH {instance}: it listens no more, and {}'s agent {finds}", instance.host())
        }
        Act::Heal(Some(host)) => format!("HEAL {host}"),
        Act::Heal(None) => "HEAL: everything that was broken works again".to_owned(),
    }
}

/// Hosts by what is thought of them, the usual first: for one line.
pub(super) fn opinion_in_words(opinions: &BTreeMap<Host, MemberStatus>) -> String {
    let count = |status| opinions.values().filter(|s| **s == status).count();
    let parts: Vec<String> =
        [MemberStatus::Alive, MemberStatus::Suspect, MemberStatus::Failed, MemberStatus::Left]
            .into_iter()
            .map(|status| (count(status), status))
            .filter(|(n, _)| *n > 0)
            .map(|(n, status)| format!("{} {n}", status.as_str()))
            .collect();
    debug_assert!(opinions.len() <= HOSTS);
    if parts.is_empty() { "-".to_owned() } else { parts.join(" ") }
}
