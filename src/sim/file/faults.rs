//! `[[faults]]`: what befalls whom, when, for how long, how often.
//!
//! Each has `at` and `do`. `for` says when it ends; without it, it lasts. `repeat = { pause, until }`
//! lets it begin again `pause` after each end.

use super::error::Fault;
use super::network::conditions;
use super::nodes::{Nodes, Start, text_table};
use super::reader::{Reader, value_fault};
use super::target::Draw;
use super::tree::Value;
use crate::model::parse_duration;
use crate::sim::{Action, Conditions, HostId, HostileKind, Impairment, Links};
use std::collections::BTreeSet;
use std::time::Duration;

/// Actions that one file may come to.
const ACTIONS_MAX: usize = 2_000_000;

const HOSTILE: [(&str, HostileKind); 4] = [
    ("random", HostileKind::Random),
    ("mutated", HostileKind::Mutated),
    ("replayed", HostileKind::Replayed),
    ("other_cluster", HostileKind::OtherCluster),
];

const KINDS: &[&str] = &[
    "crash",
    "power_off",
    "crash_and_lose_disk",
    "restart",
    "start",
    "leave",
    "force_leave",
    "pause",
    "resume",
    "block",
    "clog",
    "starve",
    "slow_cpu",
    "partition",
    "isolate",
    "cut_one_way",
    "loss_in",
    "loss_out",
    "loss",
    "delay",
    "heal",
    "readdress",
    "step_clock",
    "clone_disk",
    "set_tags",
    "hostile",
    "network",
];

/// What a fault does when it begins, and when it ends.
struct Effect {
    begin: Vec<Action>,
    end: Vec<Action>,
}

/// Reads faults into a timeline.
pub(super) struct Faults<'a> {
    nodes: &'a Nodes,
    base: &'a Conditions,
    lasts: Duration,
    seed: u64,
    /// Hosts whose agent may be down, or paused, at some time.
    down: BTreeSet<HostId>,
    paused: BTreeSet<HostId>,
    impaired: bool,
    timeline: Vec<(Duration, Action)>,
}

impl<'a> Faults<'a> {
    pub(super) fn new(nodes: &'a Nodes, base: &'a Conditions, lasts: Duration, seed: u64) -> Self {
        let never = (0..).map(HostId).zip(&nodes.starts).filter(|(_, start)| **start == Start::Never);
        Self {
            nodes,
            base,
            lasts,
            seed,
            down: never.map(|(host, _)| host).collect(),
            paused: BTreeSet::new(),
            impaired: false,
            timeline: Vec::new(),
        }
    }

    /// What happens when.
    pub(super) fn read(mut self, readers: Vec<Reader<'_>>) -> Result<Vec<(Duration, Action)>, Fault> {
        for (number, mut reader) in (0..).zip(readers) {
            self.fault(&mut reader, number)?;
            reader.finish()?;
        }
        Ok(self.timeline)
    }

    fn fault(&mut self, reader: &mut Reader<'_>, number: u64) -> Result<(), Fault> {
        let kind = reader.word("do", KINDS)?;
        let Some(kind) = kind else { return Err(reader.fault("do", format!("one of {}", KINDS.join(", ")))) };
        let at = reader.need_duration("at")?;
        if at > self.lasts {
            return Err(reader.fault("at", format!("at most lasts ({:?})", self.lasts)));
        }
        let lasts = reader.duration("for")?;
        let effect = self.effect(reader, kind, number)?;
        if effect.end.is_empty() && lasts.is_some() {
            return Err(reader.fault("for", format!("nothing: {kind} happens in a moment")));
        }
        let at_once = matches!(kind, "restart" | "readdress" | "step_clock");
        let lasts = if at_once { Some(lasts.unwrap_or_default()) } else { lasts };
        for begin in self.occurrences(reader, at, lasts, &effect)? {
            self.put(begin, &effect.begin);
            if let Some(lasts) = lasts {
                self.put(begin + lasts, &effect.end);
            }
        }
        Ok(())
    }

    fn put(&mut self, at: Duration, actions: &[Action]) {
        if at <= self.lasts {
            self.timeline.extend(actions.iter().map(|action| (at, action.clone())));
        }
    }

    /// When it begins, each time.
    fn occurrences(
        &self,
        reader: &mut Reader<'_>,
        at: Duration,
        lasts: Option<Duration>,
        effect: &Effect,
    ) -> Result<Vec<Duration>, Fault> {
        let Some(mut repeat) = reader.table("repeat")? else { return Ok(vec![at]) };
        let pause = repeat.need_duration("pause")?;
        let until = repeat.duration("until")?;
        let times = repeat.whole("times", 1, ACTIONS_MAX as u64)?;
        if let Some(until) = until
            && (until < at || until > self.lasts)
        {
            return Err(
                repeat.fault("until", format!("from {at:?}, when it begins, to {:?}, the end", self.lasts))
            );
        }
        repeat.finish()?;
        if lasts.is_none() && !effect.end.is_empty() {
            return Err(reader.fault("for", "how long it lasts each time, because it is repeated"));
        }
        let period = lasts.unwrap_or_default() + pause;
        if period.is_zero() {
            return Err(reader.fault("repeat", "a pause of more than zero"));
        }
        let until = until.unwrap_or(self.lasts);
        let actions = effect.begin.len() + effect.end.len();
        let fits = (until.saturating_sub(at).as_nanos() / period.as_nanos()) as usize + 1;
        let count = times.map_or(fits, |times| fits.min(usize::try_from(times).unwrap_or(fits)));
        if self.timeline.len() + count.saturating_mul(actions) > ACTIONS_MAX {
            let want = format!("fewer than {ACTIONS_MAX} actions in all, not {count} times {actions}");
            return Err(reader.fault("repeat", want));
        }
        Ok((0..u32::try_from(count).unwrap_or(u32::MAX)).map(|n| at + period * n).collect())
    }

    fn hosts<'r>(&self, reader: &mut Reader<'r>, key: &'r str, number: u64) -> Result<Vec<HostId>, Fault> {
        let path = reader.path_of(key);
        let item = reader.need(key, "the nodes that it befalls")?;
        self.nodes.directory.hosts(item, &path, self.draw(number))
    }

    fn host<'r>(&self, reader: &mut Reader<'r>, key: &'r str, number: u64) -> Result<HostId, Fault> {
        let path = reader.path_of(key);
        let item = reader.need(key, "a node")?;
        self.nodes.directory.host(item, &path, self.draw(number))
    }

    const fn draw(&self, number: u64) -> Draw {
        Draw { seed: self.seed, part: "file picks", index: number }
    }

    fn effect(&mut self, reader: &mut Reader<'_>, kind: &str, number: u64) -> Result<Effect, Fault> {
        let each = |hosts: &[HostId], action: fn(HostId) -> Action| -> Vec<Action> {
            hosts.iter().copied().map(action).collect()
        };
        match kind {
            "crash" | "power_off" | "crash_and_lose_disk" | "restart" | "leave" | "readdress" => {
                let hosts = self.hosts(reader, "nodes", number)?;
                self.down.extend(&hosts);
                let first: fn(HostId) -> Action = match kind {
                    "power_off" => Action::PowerOff,
                    "leave" => Action::Leave,
                    _ => Action::Crash,
                };
                let mut begin = each(&hosts, first);
                match kind {
                    "crash_and_lose_disk" => begin.extend(each(&hosts, Action::LoseDisk)),
                    "readdress" => begin.extend(each(&hosts, Action::Readdress)),
                    _ => {}
                }
                Ok(Effect { begin, end: each(&hosts, Action::Start) })
            }
            "start" => {
                let hosts = self.hosts(reader, "nodes", number)?;
                if let Some(up) = hosts.iter().find(|host| !self.down.contains(host)) {
                    let want =
                        format!("nodes that are down: nothing stopped {}", self.nodes.directory.name_of(*up));
                    return Err(reader.fault("nodes", want));
                }
                Ok(Effect { begin: each(&hosts, Action::Start), end: Vec::new() })
            }
            "pause" => {
                let hosts = self.hosts(reader, "nodes", number)?;
                self.paused.extend(&hosts);
                Ok(Effect { begin: each(&hosts, Action::Pause), end: each(&hosts, Action::Resume) })
            }
            "resume" => {
                let hosts = self.hosts(reader, "nodes", number)?;
                if let Some(runs) = hosts.iter().find(|host| !self.paused.contains(host)) {
                    let want =
                        format!("nodes that are paused: {} is not", self.nodes.directory.name_of(*runs));
                    return Err(reader.fault("nodes", want));
                }
                Ok(Effect { begin: each(&hosts, Action::Resume), end: Vec::new() })
            }
            "block" | "clog" | "starve" | "slow_cpu" => self.overload(reader, kind, number),
            "partition" | "isolate" | "cut_one_way" | "loss_in" | "loss_out" | "loss" | "delay" => {
                self.impaired = true;
                let label = format!("fault {number}");
                let links = self.links(reader, kind, number)?;
                let impairment = impairment(reader, kind)?;
                let labelled = (0..).zip(links).map(|(part, links)| (format!("{label}.{part}"), links));
                let (begin, end) = labelled
                    .map(|(label, links)| {
                        (Action::Impair { label: label.clone(), links, impairment }, Action::Lift(label))
                    })
                    .unzip();
                Ok(Effect { begin, end })
            }
            "heal" => {
                if !self.impaired {
                    return Err(reader.fault("do", "a partition, a cut or the like before it is healed"));
                }
                Ok(Effect { begin: vec![Action::Heal], end: Vec::new() })
            }
            "network" => {
                let changed = conditions(reader, self.base)?;
                let restored = Action::SetConditions(self.base.clone());
                Ok(Effect { begin: vec![Action::SetConditions(changed)], end: vec![restored] })
            }
            _ => self.operator(reader, kind, number),
        }
    }

    /// Processes that get less of their machine than they need.
    fn overload(&self, reader: &mut Reader<'_>, kind: &str, number: u64) -> Result<Effect, Fault> {
        let hosts = self.hosts(reader, "nodes", number)?;
        let mut effect = Effect { begin: Vec::new(), end: Vec::new() };
        match kind {
            "block" => {
                effect.begin.extend(hosts.iter().map(|host| Action::Block(*host)));
                effect.end.extend(hosts.iter().map(|host| Action::Unblock(*host)));
            }
            "clog" => {
                effect.begin.extend(hosts.iter().map(|host| Action::Clog(*host)));
                effect.end.extend(hosts.iter().map(|host| Action::Unclog(*host)));
            }
            "starve" => {
                let share = reader.share("share")?.filter(|share| *share > 0.0);
                let share =
                    share.ok_or_else(|| reader.fault("share", "its share of a core, above 0, at most 1"))?;
                let slice = reader.duration("slice")?.unwrap_or(Duration::from_millis(10));
                effect.begin.extend(hosts.iter().map(|host| Action::Starve { host: *host, share, slice }));
                effect.end.extend(hosts.iter().map(|host| Action::Feed(*host)));
            }
            _ => {
                let cost = reader.need_duration("cost")?;
                effect.begin.extend(hosts.iter().map(|host| Action::SlowCpu(*host, cost)));
                effect.end.extend(hosts.iter().map(|host| Action::SlowCpu(*host, Duration::ZERO)));
            }
        }
        Ok(effect)
    }

    fn links(&self, reader: &mut Reader<'_>, kind: &str, number: u64) -> Result<Vec<Links>, Fault> {
        match kind {
            "partition" => Ok(vec![Links::Between(self.parts(reader, number)?)]),
            "isolate" => {
                let hosts = self.hosts(reader, "nodes", number)?;
                Ok(vec![Links::Into(hosts.clone()), Links::OutOf(hosts)])
            }
            "loss_in" => Ok(vec![Links::Into(self.hosts(reader, "nodes", number)?)]),
            "loss_out" => Ok(vec![Links::OutOf(self.hosts(reader, "nodes", number)?)]),
            "loss" | "delay" if reader.has("nodes") => {
                let hosts = self.hosts(reader, "nodes", number)?;
                Ok(vec![Links::Into(hosts.clone()), Links::OutOf(hosts)])
            }
            _ => {
                let from = self.hosts(reader, "from", number)?;
                Ok(vec![Links::OneWay(from, self.hosts(reader, "to", number)?)])
            }
        }
    }

    /// `groups = [A, B, ...]`, or `nodes = A` against all others.
    fn parts(&self, reader: &mut Reader<'_>, number: u64) -> Result<Vec<Vec<HostId>>, Fault> {
        if reader.has("nodes") && !reader.has("groups") {
            return Ok(vec![self.hosts(reader, "nodes", number)?]);
        }
        let path = reader.path_of("groups");
        let item = reader.need("groups", "the nodes on each side, or nodes = ... against all others")?;
        let Value::List(list) = &item.value else {
            return Err(value_fault(&path, item.line, &item.value, "a list with the nodes of each side"));
        };
        let mut parts: Vec<Vec<HostId>> = Vec::new();
        for side in list {
            let hosts = self.nodes.directory.hosts(side, &path, self.draw(number))?;
            if let Some(twice) = hosts.iter().find(|host| parts.iter().flatten().any(|h| h == *host)) {
                let want =
                    format!("each node on one side: {} is on two", self.nodes.directory.name_of(*twice));
                return Err(value_fault(&path, item.line, &item.value, want));
            }
            parts.push(hosts);
        }
        Ok(parts)
    }

    /// What operators and strangers do.
    fn operator(&mut self, reader: &mut Reader<'_>, kind: &str, number: u64) -> Result<Effect, Fault> {
        let mut effect = Effect { begin: Vec::new(), end: Vec::new() };
        match kind {
            "force_leave" => {
                let at = self.host(reader, "by", number)?;
                let prune = reader.flag("prune")?.unwrap_or(false);
                for host in self.hosts(reader, "nodes", number)? {
                    let name = self.nodes.specs[host.index()].name.clone();
                    effect.begin.push(Action::ForceLeave { at, name, prune });
                }
            }
            "step_clock" => {
                let hosts = self.hosts(reader, "nodes", number)?;
                let by_ms = reader.text("by")?.and_then(signed_ms);
                let by_ms = by_ms.ok_or_else(|| reader.fault("by", r#"a step such as "-1h" or "8760h""#))?;
                self.down.extend(&hosts);
                // An agent reads the wall clock when it starts, and only then.
                effect.begin.extend(hosts.iter().map(|host| Action::Crash(*host)));
                effect.begin.extend(hosts.iter().map(|host| Action::StepClock(*host, by_ms)));
                effect.end.extend(hosts.iter().map(|host| Action::Start(*host)));
            }
            "clone_disk" => {
                let from = self.host(reader, "from", number)?;
                let to = self.host(reader, "to", number)?;
                let names = [from, to].map(|host| &self.nodes.specs[host.index()].name);
                if from == to || names[0] != names[1] {
                    return Err(reader.fault("to", "another host that bears the same name, such as n1#2"));
                }
                if !self.down.contains(&to) {
                    return Err(
                        reader.fault("to", r#"a node that does not run, such as one with start = "never""#)
                    );
                }
                effect.begin.push(Action::CloneDisk { from, to });
                effect.begin.push(Action::Start(to));
            }
            "set_tags" => {
                let hosts = self.hosts(reader, "nodes", number)?;
                let Some(mut table) = reader.table("tags")? else {
                    return Err(reader.fault("tags", "a table of texts"));
                };
                let tags = text_table(&mut table)?;
                effect.begin.extend(hosts.into_iter().map(|host| Action::SetTags(host, tags.clone())));
            }
            _ => {
                let words = HOSTILE.map(|(word, _)| word);
                let word = reader.word("kind", &words)?;
                let kind = HOSTILE.into_iter().find(|(w, _)| Some(*w) == word);
                let Some((_, kind)) = kind else {
                    return Err(reader.fault("kind", format!("one of {}", words.join(", "))));
                };
                let every = reader.need_duration("every")?;
                let lasts = reader.need_duration("lasts")?;
                for target in self.hosts(reader, "nodes", number)? {
                    effect.begin.push(Action::Hostile { target, kind, every, lasts });
                }
            }
        }
        Ok(effect)
    }
}

fn impairment(reader: &mut Reader<'_>, kind: &str) -> Result<Impairment, Fault> {
    match kind {
        "loss_in" | "loss_out" | "loss" => {
            let loss = reader.share("loss")?;
            let loss = loss.ok_or_else(|| reader.fault("loss", "the share that is lost, 0 to 1"))?;
            Ok(Impairment::loss(loss))
        }
        "delay" => Ok(Impairment { loss: 0.0, delay: reader.need_duration("by")? }),
        _ => Ok(Impairment::CUT),
    }
}

/// `-1h` in milliseconds.
fn signed_ms(text: &str) -> Option<i64> {
    let (sign, rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let ms = i64::try_from(parse_duration(rest.trim())?.as_millis()).ok()?;
    // A clock cannot be wrong by more than a thousand years.
    (ms < 32_000_000_000_000).then_some(sign * ms)
}
