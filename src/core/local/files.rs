//! What stands in definition files, as a whole: what it adds, replaces and takes away.

use super::{checks_of, deregister_service, put_check, remove_check};
use crate::model::{
    CheckDefinition, CheckId, EntryKey, FileDefinitions, Instant, LocalError, LocalState, ServiceDefinition,
};
use imbl::OrdSet;
use std::sync::Arc;

/// Makes what is registered from files what `files` say. What is the same as before is not touched:
/// its checks keep their status and the time they have left. On an error nothing was changed.
pub(super) fn take(state: &mut LocalState, files: &FileDefinitions, now: Instant) -> Result<(), LocalError> {
    let mut after = state.clone();
    let wanted = keys_of(files);
    for key in state.from_files.iter().filter(|key| !wanted.contains(*key)) {
        match key {
            // It may be gone already, with its service.
            EntryKey::Check(id) => drop(remove_check(&mut after, id)),
            EntryKey::Service(id) => drop(deregister_service(&mut after, id)),
            EntryKey::Node | EntryKey::Unknown(..) => {}
        }
    }
    for definition in &files.services {
        take_service(&mut after, definition, now);
    }
    for check in &files.checks {
        if let Some(service) = &check.service_id
            && !after.services.contains_key(service)
        {
            return Err(LocalError::UnknownService(service.to_string()));
        }
        take_check(&mut after, check, now);
    }
    after.from_files = wanted;
    *state = after;
    Ok(())
}

fn keys_of(files: &FileDefinitions) -> OrdSet<EntryKey> {
    let own = files.services.iter().flat_map(|d| {
        let checks = d.checks.iter().map(|c| EntryKey::Check(c.id.clone()));
        std::iter::once(EntryKey::Service(d.service.id.clone())).chain(checks)
    });
    own.chain(files.checks.iter().map(|c| EntryKey::Check(c.id.clone()))).collect()
}

fn take_service(state: &mut LocalState, definition: &ServiceDefinition, now: Instant) {
    let service = &definition.service;
    if state.services.get(&service.id).is_none_or(|known| **known != *service) {
        state.services.insert(service.id.clone(), Arc::new(service.clone()));
    }
    // A check that callers gave the instance under an id that the file uses is the file's now, and a
    // check that moved to another instance is not this one's any more.
    let strays: Vec<CheckId> = checks_of(state, &service.id)
        .filter(|id| state.from_files.contains(&EntryKey::Check((*id).clone())))
        .filter(|id| definition.checks.iter().all(|c| c.id != **id))
        .cloned()
        .collect();
    for id in strays {
        remove_check(state, &id);
    }
    for check in &definition.checks {
        take_check(state, check, now);
    }
}

fn take_check(state: &mut LocalState, check: &CheckDefinition, now: Instant) {
    if state.checks.get(&check.id).is_none_or(|known| *known.definition != *check) {
        put_check(state, check, now);
    }
}

#[cfg(test)]
mod tests {
    use super::super::apply;
    use super::*;
    use crate::model::{
        CheckKind, CheckStatus, Extensions, InstanceId, LocalCommand, ServiceName, ServiceRecord, Weights,
    };
    use std::time::Duration;

    const NOW: Instant = Instant::from_nanos(1_000_000_000);
    const LATER: Instant = Instant::from_nanos(5_000_000_000);

    fn check(id: &str, service: Option<&str>) -> CheckDefinition {
        CheckDefinition {
            id: CheckId::new(id).expect("valid"),
            name: id.to_owned(),
            notes: String::new(),
            service_id: service.map(|s| InstanceId::new(s).expect("valid")),
            kind: CheckKind::Ttl { ttl: Duration::from_secs(10) },
            initial_status: None,
            interval: String::new(),
            timeout: String::new(),
            deregister_critical_after: None,
        }
    }

    fn service(id: &str, port: u16, checks: &[&str]) -> ServiceDefinition {
        let service = ServiceRecord {
            id: InstanceId::new(id).expect("valid"),
            name: ServiceName::new(id).expect("valid"),
            tags: Vec::new(),
            address: String::new(),
            tagged_addresses: Default::default(),
            port,
            socket_path: String::new(),
            meta: Default::default(),
            weights: Weights::default(),
            enable_tag_override: false,
            extensions: Extensions::new(),
        };
        ServiceDefinition { service, checks: checks.iter().map(|c| check(c, Some(id))).collect() }
    }

    fn read(state: &mut LocalState, services: &[ServiceDefinition], now: Instant) {
        let files = FileDefinitions { services: services.to_vec(), checks: Vec::new() };
        apply(state, &LocalCommand::TakeFiles(Arc::new(files)), now).expect("applies");
    }

    fn register(state: &mut LocalState, definition: ServiceDefinition) {
        let definition = Box::new(definition);
        let command = LocalCommand::RegisterService { definition, replace_existing_checks: false };
        apply(state, &command, NOW).expect("applies");
    }

    #[test]
    fn reading_the_same_files_again_changes_nothing_at_all() {
        let mut state = LocalState::default();
        let files = [service("web", 80, &["a", "b"]), service("db", 1, &[])];
        read(&mut state, &files, NOW);
        let before = state.clone();
        read(&mut state, &files, LATER);
        assert_eq!(state, before, "not even the time that a TTL has left");
    }

    #[test]
    fn what_a_file_no_longer_says_goes_and_what_callers_registered_stays() {
        let mut state = LocalState::default();
        register(&mut state, service("api", 7, &["api-ttl"]));
        read(&mut state, &[service("web", 80, &["a", "b"]), service("db", 1, &["c"])], NOW);
        apply(&mut state, &LocalCommand::RegisterCheck(Box::new(check("extra", Some("web")))), NOW)
            .expect("applies");
        read(&mut state, &[service("web", 81, &["a"])], LATER);
        let checks: Vec<&str> = state.checks.keys().map(CheckId::as_str).collect();
        assert_eq!(checks, ["a", "api-ttl", "extra"]);
        let services: Vec<&str> = state.services.keys().map(InstanceId::as_str).collect();
        assert_eq!(services, ["api", "web"]);
        assert_eq!(state.services["web"].port, 81);
        read(&mut state, &[], LATER);
        assert_eq!(state.services.len(), 1, "web's other check went with it: {state:?}");
        assert_eq!(state.checks.len(), 1);
    }

    #[test]
    fn a_changed_check_keeps_its_status_and_a_taken_over_service_comes_back() {
        let mut state = LocalState::default();
        read(&mut state, &[service("web", 80, &["a"])], NOW);
        let id = CheckId::new("a").expect("valid");
        let beat = LocalCommand::UpdateCheck { id, status: CheckStatus::Passing, output: "fine".to_owned() };
        apply(&mut state, &beat, NOW).expect("applies");
        let mut changed = service("web", 80, &["a"]);
        changed.checks[0].notes = "new".to_owned();
        read(&mut state, &[changed.clone()], LATER);
        assert_eq!((state.checks["a"].status, &*state.checks["a"].output), (CheckStatus::Passing, "fine"));
        register(&mut state, service("web", 99, &[]));
        assert_eq!(state.services["web"].port, 99);
        read(&mut state, &[changed], LATER);
        assert_eq!(state.services["web"].port, 80, "the file has the last word when it is read");
    }

    #[test]
    fn a_check_of_an_instance_that_is_nowhere_refuses_the_whole_reading() {
        let mut state = LocalState::default();
        read(&mut state, &[service("web", 80, &[])], NOW);
        let before = state.clone();
        let files = FileDefinitions {
            services: vec![service("new", 1, &[])],
            checks: vec![check("lost", Some("nowhere"))],
        };
        let refused = apply(&mut state, &LocalCommand::TakeFiles(Arc::new(files)), NOW);
        assert_eq!(refused, Err(LocalError::UnknownService("nowhere".to_owned())));
        assert_eq!(state, before);
    }
}
