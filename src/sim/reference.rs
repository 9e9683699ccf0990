//! The plain model of one host: what its operator last did, kept in simple maps.
//!
//! Written without a look at how the core does it, so that both have to agree. What it says of a
//! host is compared with what that host's own agent shows of itself; the oracle compares
//! everybody else with the owner.

use crate::core::Agent;
use crate::core::local::{NODE_MAINTENANCE, SERVICE_MAINTENANCE_PREFIX};
use crate::model::{
    CheckDefinition, CheckId, CheckKind, CheckStatus, Entry, EntryKey, InstanceId, Instant, LocalCommand,
    ServiceRecord,
};
use std::collections::BTreeMap;
use std::time::Duration;

#[derive(Debug, Clone)]
struct Check {
    service: Option<InstanceId>,
    status: CheckStatus,
    time_to_live: Option<Duration>,
    /// When it turns critical unless a heartbeat comes; in the world's time.
    expires: Option<Instant>,
    deregister_after: Option<Duration>,
    critical_since: Option<Instant>,
    /// Times that it became worse.
    falls: u32,
    /// When it last became better or worse.
    changed: Instant,
}

/// A check that became worse this often may be told as worse than it is...
const FALLS_TOLD_AS_THEY_ARE: u32 = 3;
/// ... for so long after its last change.
const TOLD_WORSE_FOR: Duration = Duration::from_secs(61);

impl Check {
    fn becomes(&mut self, status: CheckStatus, now: Instant) {
        if status != self.status {
            self.falls += u32::from(status > self.status);
            self.changed = now;
            self.status = status;
        }
    }

    fn may_be_told_as(&self, status: CheckStatus, now: Instant) -> bool {
        let keeps_changing = self.falls > FALLS_TOLD_AS_THEY_ARE && now <= self.changed + TOLD_WORSE_FOR;
        status == self.status || status > self.status && keeps_changing
    }
}

/// What is registered on one host.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reference {
    services: BTreeMap<InstanceId, ServiceRecord>,
    checks: BTreeMap<CheckId, Check>,
    tags: BTreeMap<String, String>,
}

impl Reference {
    pub(crate) fn set_tags(&mut self, tags: BTreeMap<String, String>) {
        self.tags = tags;
    }

    /// Instances registered.
    pub(crate) fn services(&self) -> impl ExactSizeIterator<Item = &ServiceRecord> {
        self.services.values()
    }

    /// Checks that take heartbeats, with their present status.
    pub(crate) fn heartbeats(&self) -> impl Iterator<Item = (&CheckId, CheckStatus)> {
        self.checks.iter().filter(|(_, c)| c.time_to_live.is_some()).map(|(id, c)| (id, c.status))
    }

    /// The disk is gone, and with it every registration.
    pub(crate) fn lose_registrations(&mut self) {
        self.services.clear();
        self.checks.clear();
    }

    /// A new process counts from its own start.
    pub(crate) fn restarted(&mut self, now: Instant) {
        for check in self.checks.values_mut() {
            if check.expires.is_some() {
                check.expires = check.time_to_live.map(|ttl| now + ttl);
            }
            check.critical_since = check.critical_since.map(|_| now);
        }
    }

    /// The operator's command was accepted.
    pub(crate) fn apply(&mut self, command: &LocalCommand, now: Instant) {
        match command {
            LocalCommand::RegisterService { definition, replace_existing_checks } => {
                let id = &definition.service.id;
                if *replace_existing_checks {
                    let named = |c: &CheckId| definition.checks.iter().any(|d| d.id == *c);
                    self.checks.retain(|check, c| {
                        c.service.as_ref() != Some(id)
                            || named(check)
                            || check.as_str().starts_with(SERVICE_MAINTENANCE_PREFIX)
                    });
                }
                self.services.insert(id.clone(), definition.service.clone());
                for check in &definition.checks {
                    self.put_check(check, now);
                }
            }
            LocalCommand::TakeFiles(_) => {
                unreachable!("files are the shell's: no simulated operator has any")
            }
            LocalCommand::DeregisterService(id) => self.deregister(id),
            LocalCommand::RegisterCheck(check) => self.put_check(check, now),
            LocalCommand::DeregisterCheck(id) => {
                self.checks.remove(id);
            }
            LocalCommand::UpdateCheck { id, status, .. } => {
                if let Some(check) = self.checks.get_mut(id) {
                    check.becomes(*status, now);
                    check.expires = check.time_to_live.map(|ttl| now + ttl);
                    let critical = *status == CheckStatus::Critical;
                    check.critical_since = critical.then(|| check.critical_since.unwrap_or(now));
                }
            }
            LocalCommand::ServiceMaintenance { id, enable, .. } => {
                self.maintenance(
                    &format!("{SERVICE_MAINTENANCE_PREFIX}{id}"),
                    Some(id.clone()),
                    *enable,
                    now,
                );
            }
            LocalCommand::NodeMaintenance { enable, .. } => {
                self.maintenance(NODE_MAINTENANCE, None, *enable, now);
            }
        }
    }

    /// Time passes: heartbeats that did not come count as critical, and what has been critical
    /// for too long goes.
    pub(crate) fn expire(&mut self, now: Instant) {
        for check in self.checks.values_mut() {
            if let Some(at) = check.expires.filter(|at| *at <= now) {
                check.expires = None;
                check.becomes(CheckStatus::Critical, at);
                check.critical_since.get_or_insert(at);
            }
        }
        let over = |c: &Check| Some(c.critical_since? + c.deregister_after? <= now);
        let gone: Vec<InstanceId> = self
            .checks
            .values()
            .filter(|c| over(c) == Some(true))
            .filter_map(|c| c.service.clone())
            .collect();
        for id in gone {
            self.deregister(&id);
        }
    }

    fn put_check(&mut self, definition: &CheckDefinition, now: Instant) {
        let time_to_live = match definition.kind {
            CheckKind::Ttl { ttl } => Some(ttl),
            CheckKind::Maintenance | CheckKind::Probe(_) | CheckKind::Alias(_) => None,
        };
        let known = self.checks.get(&definition.id);
        let status = known.map_or(definition.initial_status.unwrap_or(CheckStatus::Critical), |c| c.status);
        let critical_since = match known {
            Some(check) => check.critical_since,
            None => (status == CheckStatus::Critical).then_some(now),
        };
        let check = Check {
            service: definition.service_id.clone(),
            status,
            time_to_live,
            expires: time_to_live.map(|ttl| now + ttl),
            deregister_after: definition.deregister_critical_after,
            critical_since,
            falls: known.map_or(0, |c| c.falls),
            changed: known.map_or(now, |c| c.changed),
        };
        self.checks.insert(definition.id.clone(), check);
    }

    fn deregister(&mut self, id: &InstanceId) {
        self.services.remove(id);
        self.checks.retain(|_, c| c.service.as_ref() != Some(id));
    }

    fn maintenance(&mut self, id: &str, service: Option<InstanceId>, enable: bool, now: Instant) {
        let id = CheckId::new(id).expect("a maintenance check id is a prefix and a valid instance id");
        if enable {
            let check = Check {
                service,
                status: CheckStatus::Critical,
                time_to_live: None,
                expires: None,
                deregister_after: None,
                critical_since: Some(now),
                falls: 0,
                changed: now,
            };
            self.checks.insert(id, check);
        } else {
            self.checks.remove(&id);
        }
    }

    /// Does the host's agent show of itself exactly this?
    pub(crate) fn compare(&self, agent: &Agent, now: Instant) -> Result<(), String> {
        let own = agent.identity().name.key();
        let (mut services, mut checks) = (0, 0);
        for key in agent.entry_keys(own) {
            match key {
                EntryKey::Service(_) => services += 1,
                EntryKey::Check(_) => checks += 1,
                EntryKey::Node | EntryKey::Unknown(..) => {}
            }
        }
        if (services, checks) != (self.services.len(), self.checks.len()) {
            return Err(format!(
                "shows {services} services and {checks} checks of its own: want {} and {}",
                self.services.len(),
                self.checks.len()
            ));
        }
        self.services.keys().try_for_each(|id| self.compare_service(agent, id))?;
        self.checks.keys().try_for_each(|id| self.compare_check(agent, id, now))?;
        match agent.entry(own, &EntryKey::Node) {
            Some((_, _, Entry::Node(shown))) if shown.tags == self.tags => Ok(()),
            shown => Err(format!("shows itself as {shown:?}: want tags {:?}", self.tags)),
        }
    }

    /// The same for the services and checks that `command` names.
    pub(crate) fn compare_touched(
        &self,
        agent: &Agent,
        command: &LocalCommand,
        now: Instant,
    ) -> Result<(), String> {
        match command {
            LocalCommand::RegisterService { definition, .. } => {
                self.compare_service(agent, &definition.service.id)?;
                definition.checks.iter().try_for_each(|check| self.compare_check(agent, &check.id, now))
            }
            LocalCommand::DeregisterService(id) => self.compare_service(agent, id),
            LocalCommand::RegisterCheck(check) => self.compare_check(agent, &check.id, now),
            LocalCommand::DeregisterCheck(id) | LocalCommand::UpdateCheck { id, .. } => {
                self.compare_check(agent, id, now)
            }
            LocalCommand::TakeFiles(_)
            | LocalCommand::ServiceMaintenance { .. }
            | LocalCommand::NodeMaintenance { .. } => self.compare(agent, now),
        }
    }

    fn compare_service(&self, agent: &Agent, id: &InstanceId) -> Result<(), String> {
        let shown = agent.entry(agent.identity().name.key(), &EntryKey::Service(id.clone()));
        match (shown, self.services.get(id)) {
            (None, None) => Ok(()),
            (Some((_, _, Entry::Service(shown))), Some(service)) if shown == *service => Ok(()),
            (shown, service) => Err(format!("shows its service {id} as {shown:?}: want {service:?}")),
        }
    }

    fn compare_check(&self, agent: &Agent, id: &CheckId, now: Instant) -> Result<(), String> {
        let shown = agent.entry(agent.identity().name.key(), &EntryKey::Check(id.clone()));
        match (shown, self.checks.get(id)) {
            (None, None) => Ok(()),
            (Some((_, _, Entry::Check(shown))), Some(check))
                if check.may_be_told_as(shown.status, now) && shown.service_id == check.service =>
            {
                Ok(())
            }
            (shown, check) => {
                Err(format!("shows its check {id} as {shown:?}: want {:?}", check.map(|c| c.status)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::scenario::service;

    fn register(id: &str, ttl: Duration, deregister_after: Option<Duration>) -> LocalCommand {
        let mut definition = service(id, "web");
        definition.checks[0].kind = CheckKind::Ttl { ttl };
        definition.checks[0].deregister_critical_after = deregister_after;
        LocalCommand::RegisterService { definition: Box::new(definition), replace_existing_checks: false }
    }

    fn at(secs: u64) -> Instant {
        Instant::START + Duration::from_secs(secs)
    }

    #[test]
    fn a_heartbeat_that_does_not_come_counts_and_in_the_end_removes_the_instance() {
        let secs = Duration::from_secs;
        let mut r = Reference::default();
        r.apply(&register("a", secs(10), Some(secs(60))), at(0));
        let status = |r: &Reference| r.heartbeats().next().map(|(_, status)| status);
        r.expire(at(9));
        assert_eq!(status(&r), Some(CheckStatus::Passing));
        r.expire(at(10));
        assert_eq!(status(&r), Some(CheckStatus::Critical));
        r.expire(at(69));
        assert_eq!(r.services().len(), 1);
        r.expire(at(70));
        assert_eq!((r.services().len(), status(&r)), (0, None));
    }

    #[test]
    fn a_new_process_gives_every_heartbeat_its_full_time_again() {
        let mut r = Reference::default();
        r.apply(&register("a", Duration::from_secs(10), None), at(0));
        r.restarted(at(9));
        r.expire(at(18));
        assert!(r.heartbeats().all(|(_, status)| status == CheckStatus::Passing));
        r.lose_registrations();
        assert_eq!(r.services().len(), 0);
    }
}
