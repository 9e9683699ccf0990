use super::*;
use crate::sim::HostId;

const OWNER: OwnerIx = OwnerIx(0);
const NOW: Instant = Instant::START;

fn catalog() -> Catalog {
    let mut c = Catalog::new();
    c.add_owner();
    for observer in 0..3 {
        c.add_observer();
        c.count(observer, true);
    }
    c
}

fn stamp(generation: u64, version: u64) -> (Generation, Version) {
    (Generation(generation), Version(version))
}

fn show(
    c: &mut Catalog,
    observer: usize,
    s: (Generation, Version),
    content: u64,
) -> Result<Option<Arrival>, String> {
    c.shown(OWNER, &EntryKey::Node, observer, s, content, true)
}

fn write(c: &mut Catalog, s: (Generation, Version), content: u64) {
    c.written(OWNER, &EntryKey::Node, 0, s, content, NOW).expect("a write of its own");
    show(c, 0, s, content).expect("shown by its owner");
    c.set_fate(OWNER, Fate::Live(HostId(0)));
}

#[test]
fn only_what_was_written_may_be_shown_and_never_backwards() {
    let mut c = catalog();
    write(&mut c, stamp(1, 1), 11);
    write(&mut c, stamp(1, 2), 12);
    assert!(show(&mut c, 1, stamp(1, 3), 12).expect_err("unwritten").contains("never wrote"));
    assert!(show(&mut c, 1, stamp(1, 2), 13).expect_err("other content").contains("never gave"));
    show(&mut c, 1, stamp(1, 2), 12).expect("the newest");
    assert!(show(&mut c, 1, stamp(1, 1), 11).expect_err("older").contains("went back"));
    assert_eq!(c.wrong(), 1, "observer 2 has seen nothing");
    show(&mut c, 2, stamp(1, 1), 11).expect("late but new to it");
    assert_eq!(c.wrong(), 1);
    show(&mut c, 2, stamp(1, 2), 12).expect("the newest");
    assert_eq!(c.wrong(), 0);
}

#[test]
fn a_deletion_cannot_be_undone_by_what_came_before_it() {
    let mut c = catalog();
    write(&mut c, stamp(1, 1), 11);
    show(&mut c, 1, stamp(1, 1), 11).expect("first");
    write(&mut c, stamp(1, 2), 12);
    c.deleted(OWNER, &EntryKey::Node, 0, NOW);
    c.absent(OWNER, &EntryKey::Node, 0);
    c.set_fate(OWNER, Fate::Live(HostId(0)));
    assert_eq!(c.wrong(), 1);
    assert!(c.absent(OWNER, &EntryKey::Node, 1).is_some());
    assert_eq!(c.wrong(), 0);
    assert!(show(&mut c, 1, stamp(1, 2), 12).expect_err("deleted").contains("deletion"));
    write(&mut c, stamp(1, 4), 11);
    show(&mut c, 1, stamp(1, 4), 11).expect("written anew");
}

#[test]
fn the_same_content_of_an_earlier_run_is_as_good() {
    let mut c = catalog();
    write(&mut c, stamp(1, 1), 11);
    for observer in [1, 2] {
        show(&mut c, observer, stamp(1, 1), 11).expect("first");
    }
    write(&mut c, stamp(2, 1), 11);
    assert_eq!(c.wrong(), 0);
    write(&mut c, stamp(2, 2), 12);
    write(&mut c, stamp(2, 3), 11);
    show(&mut c, 1, stamp(2, 2), 12).expect("in between");
    assert_eq!(c.wrong(), 1);
}

#[test]
fn after_a_crash_the_newest_that_reached_a_survivor_counts() {
    let mut c = catalog();
    write(&mut c, stamp(1, 1), 11);
    for observer in [1, 2] {
        show(&mut c, observer, stamp(1, 1), 11).expect("first");
    }
    write(&mut c, stamp(1, 2), 12);
    c.count(0, false);
    c.set_fate(OWNER, Fate::Crashed);
    assert_eq!(c.wrong(), 0, "nobody alive heard of the second");
    show(&mut c, 1, stamp(1, 2), 12).expect("it was under way");
    assert!(c.is_wrong(OWNER, &EntryKey::Node, 1));
    c.set_fate(OWNER, Fate::Crashed);
    assert_eq!(c.wrong(), 1, "now observer 2 must hear of it");
    c.set_fate(OWNER, Fate::Uncertain);
    assert_eq!(c.wrong(), 0);
}

#[test]
fn what_another_claimant_of_the_name_writes_is_known_but_not_wanted() {
    let mut c = catalog();
    write(&mut c, stamp(1, 1), 11);
    c.written(OWNER, &EntryKey::Node, 1, stamp(2, 1), 21, NOW).expect("the other's own");
    c.shown(OWNER, &EntryKey::Node, 1, stamp(2, 1), 21, false).expect("it shows its own");
    c.shown(OWNER, &EntryKey::Node, 2, stamp(1, 1), 11, false).expect("the first's");
    c.set_fate(OWNER, Fate::Live(HostId(0)));
    assert_eq!(c.wrong(), 1, "only the other claimant is wrong");
    c.set_fate(OWNER, Fate::Live(HostId(1)));
    assert_eq!(c.wrong(), 2);
}
