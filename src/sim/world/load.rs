//! Operators at work: streams of registrations, flaps, heartbeats and tag changes.
//!
//! Every load draws from a random stream of its own.

use super::{Plan, World};
use crate::model::{
    CheckDefinition, CheckId, CheckKind, CheckStatus, InstanceId, Instant, LocalCommand, ServiceDefinition,
    ServiceName, ServiceRecord, Weights,
};
use crate::sim::{HostId, Load, LoadKind, seed};
use rand::RngExt as _;
use rand::rngs::SmallRng;
use std::collections::BTreeMap;
use std::time::Duration;

/// Service names that loads use.
const SERVICE_NAMES: u32 = 5;
/// Instances that a load keeps per host at most, unless one burst is larger.
const INSTANCES_MAX: usize = 20;

pub(super) struct RunningLoad {
    load: Load,
    rng: SmallRng,
    ends: Option<Instant>,
    fired: u64,
}

impl RunningLoad {
    pub(super) fn new(seed: u64, number: usize, load: Load) -> Self {
        Self { load, rng: seed::stream(seed, "load", number as u64), ends: None, fired: 0 }
    }
}

impl World {
    /// One firing of a load; plans the next.
    pub(super) fn fire(&mut self, number: usize) {
        let now = self.now();
        let running = &mut self.loads[number];
        let ends = *running.ends.get_or_insert(now + running.load.lasts);
        if now >= ends {
            return;
        }
        let gap = running.load.every.mul_f64(0.5 + running.rng.random::<f64>());
        let at_once = running.load.at_once;
        self.plan(now + gap.max(Duration::from_micros(1)), Plan::Load(number));
        for _ in 0..at_once {
            self.fire_once(number);
        }
    }

    fn fire_once(&mut self, number: usize) {
        let running = &mut self.loads[number];
        running.fired += 1;
        let (kind, fired, at_once) = (running.load.kind, running.fired, running.load.at_once);
        let draw: u32 = running.rng.random();
        let hosts = &running.load.hosts;
        let host = (!hosts.is_empty()).then(|| hosts[running.rng.random_range(0..hosts.len())]);
        let Some(host) = host.filter(|h| self.is_live(*h)) else { return };
        let most = INSTANCES_MAX.max(at_once);
        if let Some(command) = self.draw_command(host, kind, &format!("load{number}-{fired}"), most, draw)
            && self.command(host, &command).is_err()
        {
            self.refused_commands += 1;
        }
        if kind == LoadKind::Tags {
            let tags = BTreeMap::from([("drawn".to_owned(), draw.to_string())]);
            if self.set_tags(host, tags).is_err() {
                self.refused_commands += 1;
            }
        }
    }

    fn draw_command(
        &self,
        host: HostId,
        kind: LoadKind,
        id: &str,
        most: usize,
        draw: u32,
    ) -> Option<LocalCommand> {
        let reference = &self.node(host).reference;
        let pick = |count: usize| draw as usize % count.max(1);
        match kind {
            LoadKind::Register if reference.services().len() < most => {
                let name = format!("service{}", draw % SERVICE_NAMES);
                Some(register(instance(id, &name, Some(Duration::from_secs(3_600)))))
            }
            LoadKind::RegisterBare if reference.services().len() < most => {
                let name = format!("service{}", draw % SERVICE_NAMES);
                Some(register(instance(id, &name, None)))
            }
            LoadKind::Register | LoadKind::RegisterBare | LoadKind::Deregister => {
                let service = reference.services().nth(pick(reference.services().len()))?;
                Some(LocalCommand::DeregisterService(service.id.clone()))
            }
            LoadKind::Flap | LoadKind::Heartbeat => {
                let (id, status) = reference.heartbeats().nth(pick(reference.heartbeats().count()))?;
                let flapped = match status {
                    CheckStatus::Passing => CheckStatus::Critical,
                    CheckStatus::Warning | CheckStatus::Critical => CheckStatus::Passing,
                };
                let status = if kind == LoadKind::Flap { flapped } else { status };
                Some(LocalCommand::UpdateCheck { id: id.clone(), status, output: format!("beat {draw}") })
            }
            LoadKind::Change => {
                let mut service = reference.services().nth(pick(reference.services().len()))?.clone();
                service.tags = vec![format!("v{draw}")];
                Some(register(ServiceDefinition { service, checks: Vec::new() }))
            }
            LoadKind::Tags => None,
        }
    }
}

fn register(definition: ServiceDefinition) -> LocalCommand {
    LocalCommand::RegisterService { definition: Box::new(definition), replace_existing_checks: false }
}

/// An instance of service `name` with, if `time_to_live` is given, a passing TTL check
/// `service:<id>`.
///
/// # Panics
/// If `id` or `name` are not valid.
pub(crate) fn instance(id: &str, name: &str, time_to_live: Option<Duration>) -> ServiceDefinition {
    let id = InstanceId::new(id).expect("scenarios use valid instance ids");
    let checks = time_to_live.map(|ttl| CheckDefinition {
        id: CheckId::new(format!("service:{id}")).expect("a short prefix and a valid instance id"),
        name: format!("heartbeat of {id}"),
        notes: String::new(),
        service_id: Some(id.clone()),
        kind: CheckKind::Ttl { ttl },
        initial_status: Some(CheckStatus::Passing),
        interval: String::new(),
        timeout: String::new(),
        deregister_critical_after: None,
    });
    ServiceDefinition {
        service: ServiceRecord {
            id,
            name: ServiceName::new(name).expect("scenarios use valid service names"),
            tags: Vec::new(),
            address: String::new(),
            tagged_addresses: BTreeMap::new(),
            port: 8_080,
            socket_path: String::new(),
            meta: BTreeMap::new(),
            weights: Weights::default(),
            enable_tag_override: false,
            extensions: BTreeMap::new(),
        },
        checks: checks.into_iter().collect(),
    }
}
