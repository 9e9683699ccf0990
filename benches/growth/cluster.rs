//! Simulated clusters: at rest, and while something changes.

use nix::time::{ClockId, clock_gettime};
use shoal::core::Config;
use shoal::model::{KeyMaterial, LocalCommand};
use shoal::sim::scenario::{cluster, service_without_check};
use shoal::sim::{Conditions, HostId, NodeSpec, World};
use std::time::Duration;

/// Virtual time until a settled cluster's first probes are behind it.
const WARM: Duration = Duration::from_secs(5);
const IDLE: Duration = Duration::from_secs(30);
const CHANGES: usize = 10;
/// After a change, until nobody tells of it any more.
const SPREADS: Duration = Duration::from_secs(3);

/// What one agent takes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cost {
    pub(crate) members: usize,
    /// In a second of idling.
    pub(crate) idle: Taken,
    /// For one change.
    pub(crate) change: Taken,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Taken {
    pub(crate) datagrams: f64,
    pub(crate) bytes: f64,
    pub(crate) cpu_us: f64,
}

impl Taken {
    fn per(self, share: f64) -> Self {
        Self { datagrams: self.datagrams / share, bytes: self.bytes / share, cpu_us: self.cpu_us / share }
    }

    /// Without what `idle` takes in a second, for so many seconds.
    fn over(self, idle: Self, seconds: f64) -> Self {
        Self {
            datagrams: self.datagrams - idle.datagrams * seconds,
            bytes: self.bytes - idle.bytes * seconds,
            cpu_us: self.cpu_us - idle.cpu_us * seconds,
        }
    }
}

impl Cost {
    pub(crate) fn row(&self) -> String {
        let Self { members, idle, change } = self;
        format!(
            "| {members} | {:.2} | {:.0} | {:.0} | {:.2} | {:.0} | {:.1} |",
            idle.datagrams, idle.bytes, idle.cpu_us, change.datagrams, change.bytes, change.cpu_us
        )
    }
}

/// Of this thread.
fn cpu_us() -> f64 {
    let time = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).expect("Linux tells it");
    Duration::from(time).as_secs_f64() * 1e6
}

/// What all agents took so far.
fn so_far(world: &World, hosts: &[HostId]) -> Taken {
    let mut taken = Taken { datagrams: 0.0, bytes: 0.0, cpu_us: cpu_us() };
    for host in hosts {
        let traffic = world.traffic(*host);
        taken.datagrams += traffic.datagrams_sent as f64;
        taken.bytes += traffic.bytes_sent as f64;
    }
    taken
}

/// What all agents take while `time` passes.
fn watch(world: &mut World, hosts: &[HostId], time: Duration) -> Taken {
    let before = so_far(world, hosts);
    world.run_for(time);
    so_far(world, hosts).over(before, 1.0)
}

pub(crate) fn measure(members: usize) -> Cost {
    let mut world = World::new("growth", 1, Conditions::default());
    let key = KeyMaterial::from_bytes([7; 32]);
    let sealed = |spec: NodeSpec| NodeSpec {
        services: vec![service_without_check("s0", "s0")],
        keys: vec![key.clone()],
        ..spec
    };
    let hosts: Vec<HostId> =
        cluster(members, &Config::default()).into_iter().map(|spec| world.add_host(sealed(spec))).collect();
    world.settle(&hosts);
    world.run_for(WARM);
    let each = members as f64;
    let idle = watch(&mut world, &hosts, IDLE).per(each * IDLE.as_secs_f64());
    let mut change = Taken { datagrams: 0.0, bytes: 0.0, cpu_us: 0.0 };
    for n in 0..CHANGES {
        let id = format!("new-{n}");
        let definition = Box::new(service_without_check(&id, "growth"));
        let register = LocalCommand::RegisterService { definition, replace_existing_checks: false };
        world.command(hosts[n * 7 % members], &register).expect("the registration is good");
        let took = watch(&mut world, &hosts, SPREADS).per(each).over(idle, SPREADS.as_secs_f64());
        change.datagrams += took.datagrams;
        change.bytes += took.bytes;
        change.cpu_us += took.cpu_us;
    }
    world.converged().expect("all know all");
    Cost { members, idle, change: change.per(CHANGES as f64) }
}
