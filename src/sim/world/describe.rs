//! Actions in words, for the log of a run.

use super::World;
use crate::sim::{Action, HostId, Links};

impl World {
    /// What `action` does, with the names of nodes.
    pub(super) fn describe(&self, action: &Action) -> String {
        let name = |host: &HostId| self.name_of(*host).to_string();
        let names = |hosts: &[HostId]| self.names(hosts);
        match action {
            Action::Start(host) => format!("start {}", name(host)),
            Action::Crash(host) => format!("crash {}", name(host)),
            Action::PowerOff(host) => format!("power off {}", name(host)),
            Action::LoseDisk(host) => format!("lose the disk of {}", name(host)),
            Action::CloneDisk { from, to } => {
                format!("copy the disk of {} to host {}", name(from), to.index())
            }
            Action::Pause(host) => format!("pause {}", name(host)),
            Action::Resume(host) => format!("resume {}", name(host)),
            Action::Block(host) => format!("block {}", name(host)),
            Action::Unblock(host) => format!("unblock {}", name(host)),
            Action::Clog(host) => format!("clog the socket of {}", name(host)),
            Action::Unclog(host) => format!("clear the socket of {}", name(host)),
            Action::Starve { host, share, .. } => format!("starve {} to {share} of a core", name(host)),
            Action::Feed(host) => format!("feed {}", name(host)),
            Action::SlowCpu(host, cost) => format!("each datagram costs {} {cost:?}", name(host)),
            Action::Leave(host) => format!("{} leaves", name(host)),
            Action::ForceLeave { at, name: node, .. } => format!("{} makes {node} leave", name(at)),
            Action::Readdress(host) => format!("{} gets another address", name(host)),
            Action::StepClock(host, by_ms) => format!("the clock of {} steps by {by_ms} ms", name(host)),
            Action::Impair { label, links, impairment } => {
                let what = match links {
                    Links::Between(groups) => {
                        groups.iter().map(|group| names(group)).collect::<Vec<_>>().join(" | ")
                    }
                    Links::OneWay(from, to) => format!("{} -> {}", names(from), names(to)),
                    Links::Into(hosts) => format!("into {}", names(hosts)),
                    Links::OutOf(hosts) => format!("out of {}", names(hosts)),
                };
                format!("{label}: loss {}, delay {:?} for {what}", impairment.loss, impairment.delay)
            }
            Action::Lift(label) => format!("{label} ends"),
            Action::Heal => "all links are whole again".to_owned(),
            Action::SetConditions(conditions) => format!("the network becomes {conditions:?}"),
            Action::Command(host, command) => format!("{}: {command:?}", name(host)),
            Action::SetTags(host, tags) => format!("{} gets tags {tags:?}", name(host)),
            Action::Load(load) => {
                let (kind, every, lasts) = (load.kind, load.every, load.lasts);
                format!("{kind:?} at {}, every {every:?} for {lasts:?}", names(&load.hosts))
            }
            Action::Hostile { target, kind, every, lasts } => {
                format!("hostile datagrams ({kind:?}) at {}, every {every:?} for {lasts:?}", name(target))
            }
        }
    }

    /// A few names, or how many there are.
    fn names(&self, hosts: &[HostId]) -> String {
        const SHOWN_MAX: usize = 12;
        if hosts.len() > SHOWN_MAX {
            return format!("{} nodes", hosts.len());
        }
        hosts.iter().map(|host| self.name_of(*host).to_string()).collect::<Vec<_>>().join(" ")
    }
}
