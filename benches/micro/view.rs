//! What readers see: put there, and found.

use crate::owners::{Observer, Owner};
use criterion::Criterion;
use shoal::model::{CheckRecord, CheckStatus, Entry, EntryKey};
use std::hint::black_box;

/// An agent that shows so many instances of a thousand owners at most.
fn shown(instances: usize) -> (Observer, Owner) {
    let each = 100;
    let mut observer = Observer::new();
    for number in 0..instances / each {
        let mut owner = Owner::new(number, each, 100);
        observer.meet(&mut owner);
        observer.show(owner.key);
    }
    (observer, Owner::new(0, each, 100))
}

/// From a changed check until readers see it. It must not grow with the catalog, or big clusters see changes late.
pub(crate) fn publish(c: &mut Criterion) {
    let mut group = c.benchmark_group("check published");
    for instances in [1_000, 10_000] {
        let (mut observer, owner) = shown(instances);
        let id = owner.agent.local().checks.keys().next().expect("it has checks").clone();
        let found = observer.agent.entry(owner.key, &EntryKey::Check(id.clone()));
        let Some((generation, version, Entry::Check(check))) = found else { panic!("the check is known") };
        let mut n = 0;
        group.bench_function(format!("{instances} instances"), |b| {
            b.iter(|| {
                n += 1;
                let status = if n % 2 == 0 { CheckStatus::Passing } else { CheckStatus::Critical };
                let record = CheckRecord { status, ..check.clone() };
                observer.builder.set_check(owner.key, &id, Some((generation, version, record)));
                observer.builder.publish();
            });
        });
    }
    group.finish();
}

/// From a name to the health of its first ten instances: what resolving waits for inside the agent.
pub(crate) fn lookup(c: &mut Criterion) {
    let mut group = c.benchmark_group("ten instances found");
    for instances in [1_000, 10_000] {
        let (observer, _owner) = shown(instances);
        let names: Vec<String> = observer.reader.load().services().map(|s| s.name.to_string()).collect();
        let mut n = 0;
        group.bench_function(format!("{instances} instances"), |b| {
            b.iter(|| {
                n = (n + 7) % names.len();
                let view = observer.reader.load();
                for (node, instance) in view.instances_of(&names[n]).take(10) {
                    black_box(node.instance_health(instance));
                }
            });
        });
    }
    group.finish();
}
