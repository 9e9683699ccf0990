//! What can be done to the shop, and scripts of it.

use super::shop::{Host, Instance, listed};
use crate::client::parse_duration;
use std::fmt;
use std::time::Duration;

/// The most steps of a script, so that one fits on a screen.
const STEPS_MAX: usize = 1_000;
/// The longest single wait.
const WAIT_MAX: Duration = Duration::from_secs(3_600);

const WANT: &str = "kill HOST, pause HOST, unplug HOST, partition HOST,HOST, drain HOST|INSTANCE, \
    undrain HOST|INSTANCE, crash INSTANCE, heal [HOST], wait DURATION or settle";

/// What is taken out of service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Target {
    Host(Host),
    Instance(Instance),
}

impl Target {
    fn named(name: &str) -> Option<Self> {
        Host::named(name).map(Self::Host).or_else(|| Instance::named(name).map(Self::Instance))
    }

    /// The host whose agent is told.
    pub(super) const fn host(self) -> Host {
        match self {
            Self::Host(host) => host,
            Self::Instance(instance) => instance.host(),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(host) => host.fmt(f),
            Self::Instance(instance) => instance.fmt(f),
        }
    }
}

/// Something that is done to the shop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Act {
    /// Agent and services are gone, as by `kill -9`; the host's kernel lives.
    Kill(Host),
    /// The agent stands still, as by SIGSTOP; the services go on.
    Pause(Host),
    /// The host's network is silent.
    Unplug(Host),
    /// These hosts hear one another only, and the rest the rest.
    Partition(Vec<Host>),
    /// Maintenance.
    Drain(Target),
    /// Out of maintenance.
    Undrain(Target),
    /// The instance listens no more; its agent has to find out.
    Crash(Instance),
    /// Of one host, or of all: killed agents start again, standing ones go on, networks are whole.
    Heal(Option<Host>),
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kill(host) => write!(f, "kill {host}"),
            Self::Pause(host) => write!(f, "pause {host}"),
            Self::Unplug(host) => write!(f, "unplug {host}"),
            Self::Partition(hosts) => write!(f, "cut off {}", listed(hosts)),
            Self::Drain(target) => write!(f, "drain {target}"),
            Self::Undrain(target) => write!(f, "undrain {target}"),
            Self::Crash(instance) => write!(f, "crash {instance}"),
            Self::Heal(Some(host)) => write!(f, "heal {host}"),
            Self::Heal(None) => write!(f, "heal"),
        }
    }
}

/// A step of a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    Act(Act),
    Wait(Duration),
    /// Goes on when all that was done is known everywhere.
    Settle,
}

/// What is told where nobody is at the keys. Nothing in it cuts the shop off from every instance of a
/// service, so that failed requests are those of the moments until a failure is known. No host fails twice with
/// its process alive, which would hold its second return down.
pub(super) const STORY: &str = "settle; wait 2s; drain n2; settle; undrain n2; settle; crash payment-1; settle; heal; \
    settle; partition n4,n5; settle; heal; settle; kill n3; settle; heal n3; settle";

/// Reads steps with `;` or line ends between them.
pub(super) fn parse(text: &str) -> Result<Vec<Step>, String> {
    let words = text.split([';', '\n']).map(str::trim).filter(|step| !step.is_empty());
    let steps: Vec<Step> = (1..)
        .zip(words)
        .map(|(number, step)| parse_step(step).ok_or_else(|| format!("step {number}, {step:?}: want {WANT}")))
        .collect::<Result<_, _>>()?;
    match steps.len() {
        0 => Err(format!("no step: want {WANT}, with ; between")),
        1..=STEPS_MAX => Ok(steps),
        n => Err(format!("{n} steps: want {STEPS_MAX} at most")),
    }
}

fn parse_step(step: &str) -> Option<Step> {
    let mut words = step.split_whitespace();
    let (verb, what) = (words.next()?, words.next());
    if words.next().is_some() {
        return None;
    }
    let host = || what.and_then(Host::named);
    Some(Step::Act(match (verb, what) {
        ("kill", _) => Act::Kill(host()?),
        ("pause", _) => Act::Pause(host()?),
        ("unplug", _) => Act::Unplug(host()?),
        ("partition", Some(hosts)) => Act::Partition(side(hosts)?),
        ("drain", Some(target)) => Act::Drain(Target::named(target)?),
        ("undrain", Some(target)) => Act::Undrain(Target::named(target)?),
        ("crash", Some(id)) => Act::Crash(Instance::named(id)?),
        ("heal" | "restart", Some(name)) => Act::Heal(Some(Host::named(name)?)),
        ("heal", None) => Act::Heal(None),
        ("wait", Some(time)) => {
            return parse_duration(time).filter(|time| *time <= WAIT_MAX).map(Step::Wait);
        }
        ("settle", None) => return Some(Step::Settle),
        _ => return None,
    }))
}

/// Some hosts, but not all of them.
fn side(names: &str) -> Option<Vec<Host>> {
    let mut hosts: Vec<Host> = names.split(',').map(Host::named).collect::<Option<_>>()?;
    hosts.sort_unstable();
    hosts.dedup();
    (hosts.len() < Host::all().count()).then_some(hosts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(name: &str) -> Host {
        Host::named(name).expect("is there")
    }

    #[test]
    fn a_script_is_read_as_it_is_said() {
        let steps =
            parse("kill n3; wait 5s;\n heal ; partition n5,n4; drain cart-1;;settle").expect("is one");
        let cart = Instance::named("cart-1").expect("is there");
        assert_eq!(
            steps,
            [
                Step::Act(Act::Kill(host("n3"))),
                Step::Wait(Duration::from_secs(5)),
                Step::Act(Act::Heal(None)),
                Step::Act(Act::Partition(vec![host("n4"), host("n5")])),
                Step::Act(Act::Drain(Target::Instance(cart))),
                Step::Settle,
            ]
        );
        assert!(parse(STORY).is_ok_and(|story| story.len() > 10));
    }

    #[test]
    fn what_is_no_step_is_named_with_what_is_wanted() {
        for (text, said) in [
            ("kill n3; kil n4", "step 2, \"kil n4\": want kill HOST"),
            ("kill n9", "step 1, \"kill n9\""),
            ("kill", "step 1"),
            ("wait long", "step 1"),
            ("wait 2h", "step 1"),
            ("crash n1", "step 1"),
            ("partition n1,n2,n3,n4,n5", "step 1"),
            ("heal n1 n2", "step 1"),
            (" ; ", "no step"),
        ] {
            let error = parse(text).expect_err(text);
            assert!(error.contains(said), "{text}: {error}");
        }
        assert!(parse(&"settle;".repeat(STEPS_MAX + 1)).expect_err("too long").contains("1000 at most"));
    }
}
