//! The merge is a join, and nothing that was deleted comes back.

use super::*;
use crate::core::Settings;
use crate::core::digest::Tree;
use crate::core::gossip::answer::Known;
use crate::core::gossip::exchange::{Exchange, Progress, Wanted};
use crate::core::swim::Peers;
use crate::model::{Incarnation, InstanceId, Instant};
use crate::wire::frame::Head;
use crate::wire::frame::{Answer, Epoch, Liveness, MemberUpdate, Want};
use proptest::prelude::*;
use std::net::SocketAddr;

const OWNER: NodeKey = NodeKey(42);
const GENERATION: Generation = Generation(1_000);

/// What an owner does to its table.
#[derive(Debug, Clone)]
enum Op {
    Put(u8, u8),
    Delete(u8),
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![3 => (0..6u8, any::<u8>()).prop_map(|(k, v)| Op::Put(k, v)), 2 => (0..6u8).prop_map(Op::Delete)];
    prop::collection::vec(op, 1..40)
}

fn key(k: u8) -> EntryKey {
    // A kind from the future: bodies need not decode, so any bytes will do.
    EntryKey::Unknown(9, format!("k{k}").into())
}

fn catalog() -> Catalog {
    Catalog::new(Config::new(Settings::lan()).expect("valid"))
}

/// The records that an owner wrote, and its own table at the end.
fn history(ops: &[Op]) -> (Vec<Record>, Catalog) {
    let mut own = catalog();
    let records = ops
        .iter()
        .map(|op| {
            let (k, body) = match op {
                Op::Put(k, v) => (*k, Some(Bytes::from(vec![*k, *v]))),
                Op::Delete(k) => (*k, None),
            };
            own.write_own(OWNER, GENERATION, key(k), body)
        })
        .collect();
    (records, own)
}

/// A record without the owner's claim about its table: what is left is the merge alone.
fn bare(r: &Record) -> Record {
    Record { head: Head { digest: u64::MAX, ..r.head }, ..r.clone() }
}

fn contents(c: &Catalog) -> Vec<(EntryKey, Version, Bytes)> {
    let Some(owner) = c.owner(OWNER) else { return Vec::new() };
    let mut list: Vec<_> = owner
        .keys()
        .filter_map(|k| owner.entry(&k).map(|(_, v, e)| (k.clone(), v, record::body(e))))
        .map(|(k, v, b)| (k, v, b.expect("it is live")))
        .collect();
    list.sort();
    list
}

fn own_update() -> MemberUpdate {
    MemberUpdate {
        key: NodeKey(1),
        epoch: Epoch(1),
        incarnation: Incarnation::default(),
        state: Liveness::Alive,
        addr: SocketAddr::from(([10, 0, 0, 1], 1)),
    }
}

/// Pulls `OWNER`'s table from `from` into `to` by a real exchange.
fn pull(from: &Catalog, to: &mut Catalog, room: usize) {
    assert!(pull_rounds(from, to, room, 10_000), "the pages never ended");
}

/// The same, broken off after so many rounds; says whether it had ended.
fn pull_rounds(from: &Catalog, to: &mut Catalog, room: usize, rounds: usize) -> bool {
    let (tree, peers) = (Tree::default(), Peers::default());
    let known = Known { tree: &tree, peers: &peers, own: own_update(), catalog: from };
    let table = to.table(OWNER);
    let (generation, have) = table.map_or((Generation(0), Version(0)), |t| (t.generation, t.complete_to));
    let mut exchange = Exchange::targeted(own_update().addr, 7);
    let want = Want { owner: OWNER, generation, have, cursor: None };
    exchange.want(Wanted { want, upto: (GENERATION, Version(u64::MAX)) });
    for _ in 0..rounds {
        for (id, ask) in exchange.questions(Instant::START, |_| false) {
            let progress = match known.answer(&ask, room) {
                Answer::Records(pages) => exchange.on_records(id, pages),
                Answer::Chunk { total, bytes } => exchange.on_chunk(id, total, &bytes, 16_384),
                Answer::Digests(_) | Answer::Rows { .. } => panic!("not asked for"),
            };
            for step in progress {
                match step {
                    Progress::Page(page) => to.apply_page(&page).map(drop),
                    Progress::Item(owner, generation, item) => {
                        to.apply_item(owner, generation, &item).map(drop)
                    }
                    Progress::Complete(pulled) => {
                        to.complete(&pulled);
                        Ok(())
                    }
                }
                .expect("accepted");
            }
        }
        if exchange.is_done() {
            return true;
        }
    }
    false
}

#[test]
fn a_pull_that_breaks_off_has_not_been_in_vain_and_takes_nothing_away() {
    let mut own = catalog();
    for k in 0..100 {
        own.write_own(OWNER, GENERATION, key(k), Some(Bytes::from(vec![k; 20])));
    }
    let mut other = catalog();
    assert!(!pull_rounds(&own, &mut other, 300, 5));
    let reached = other.table(OWNER).expect("it has some").complete_to;
    assert!(reached > Version(0) && reached < Version(100), "{reached:?}");
    pull(&own, &mut other, 300);
    assert_eq!(contents(&other), contents(&own));
    // What is replaced further on is shown until its successor has come.
    let before = other;
    let shown = contents(&before).len();
    for k in 0..100 {
        own.write_own(OWNER, GENERATION, key(k), Some(Bytes::from(vec![k; 21])));
    }
    for rounds in 1..30 {
        let mut late = catalog();
        pull(&before, &mut late, 300);
        pull_rounds(&own, &mut late, 300, rounds);
        assert_eq!(contents(&late).len(), shown, "after {rounds} rounds");
    }
}

proptest! {
    #[test]
    fn records_merge_alike_in_every_order(ops in ops(), order in any::<u64>(), repeat in any::<u64>()) {
        let (records, own) = history(&ops);
        let mut forward = catalog();
        for r in &records {
            forward.apply_record(&bare(r)).expect("accepted");
        }
        let mut shuffled: Vec<&Record> = records.iter().collect();
        shuffled.sort_by_key(|r| (r.head.version.0.wrapping_mul(order | 1)).rotate_left(17));
        let mut other = catalog();
        for (n, r) in shuffled.iter().enumerate() {
            other.apply_record(&bare(r)).expect("accepted");
            if (repeat >> (n % 64)) & 1 == 1 {
                let again = other.apply_record(&bare(r)).expect("accepted");
                prop_assert!(!again.news, "applying twice is applying once");
            }
        }
        prop_assert_eq!(contents(&forward), contents(&other));
        prop_assert_eq!(contents(&forward), contents(&own));
        prop_assert!(forward.owner(OWNER).expect("known").same_state(other.owner(OWNER).expect("known")));
    }

    #[test]
    fn merging_tables_is_commutative_and_idempotent(ops in ops(), a_has in any::<u64>(), b_has in any::<u64>(), room in 200..1_300usize) {
        let (records, _) = history(&ops);
        let part = |mask: u64| {
            let mut c = catalog();
            for (n, r) in records.iter().enumerate() {
                if (mask >> (n % 64)) & 1 == 1 {
                    c.apply_record(r).expect("accepted");
                }
            }
            c
        };
        let (mut ab, b) = (part(a_has), part(b_has));
        pull(&b, &mut ab, room);
        let (mut ba, a) = (part(b_has), part(a_has));
        pull(&a, &mut ba, room);
        // Each may still lack what only the other has above its own prefix: exchange once more.
        let (ab_before, ba_before) = (ab, ba);
        let mut left = part(a_has);
        pull(&ba_before, &mut left, room);
        let mut right = part(b_has);
        pull(&ab_before, &mut right, room);
        pull(&right, &mut left, room);
        pull(&left, &mut right, room);
        prop_assert_eq!(contents(&left), contents(&right));
        let before = contents(&left);
        pull(&right, &mut left, room);
        prop_assert_eq!(before, contents(&left), "once more changes nothing");
    }

    #[test]
    fn a_puller_ends_with_the_owners_table_whatever_it_had(ops in ops(), has in any::<u64>(), room in 200..1_300usize) {
        let (records, own) = history(&ops);
        let mut peer = catalog();
        for (n, r) in records.iter().enumerate() {
            if (has >> (n % 64)) & 1 == 1 {
                peer.apply_record(r).expect("accepted");
            }
        }
        pull(&own, &mut peer, room);
        prop_assert_eq!(contents(&peer), contents(&own));
        prop_assert_eq!(peer.table(OWNER), own.table(OWNER));
        // Nothing that arrives late undoes any of it.
        for r in &records {
            prop_assert!(!peer.apply_record(r).expect("accepted").news);
        }
        prop_assert_eq!(contents(&peer), contents(&own));
    }

    #[test]
    fn the_owners_claim_completes_a_table_that_has_everything(ops in ops(), order in any::<u64>()) {
        let (records, own) = history(&ops);
        let mut peer = catalog();
        let mut shuffled: Vec<&Record> = records.iter().collect();
        shuffled.sort_by_key(|r| (r.head.version.0.wrapping_mul(order | 1)).rotate_left(29));
        for r in shuffled {
            peer.apply_record(r).expect("accepted");
        }
        prop_assert_eq!(contents(&peer), contents(&own));
        prop_assert!(!peer.owner(OWNER).expect("known").is_behind());
    }

    #[test]
    fn a_later_run_replaces_an_earlier_one_without_a_gap(ops in ops(), later in ops()) {
        let (records, _) = history(&ops);
        let mut peer = catalog();
        for r in &records {
            peer.apply_record(r).expect("accepted");
        }
        let before = contents(&peer);
        // The next run holds what `later` says; a peer hears of it head first.
        let mut own = catalog();
        for op in &later {
            let (k, body) = match op {
                Op::Put(k, v) => (*k, Some(Bytes::from(vec![*k, *v]))),
                Op::Delete(k) => (*k, None),
            };
            own.write_own(OWNER, Generation(2_000), key(k), body);
        }
        let head = own.head(OWNER).expect("written");
        peer.apply_head(&head).expect("accepted");
        if peer.owner(OWNER).expect("known").is_behind() {
            let shown: Vec<_> = contents(&peer).into_iter().map(|(k, _, b)| (k, b)).collect();
            let was: Vec<_> = before.into_iter().map(|(k, _, b)| (k, b)).collect();
            prop_assert_eq!(shown, was, "the old table stays until the new one is complete");
            pull(&own, &mut peer, 1_300);
        }
        let strip = |c: &Catalog| contents(c).into_iter().map(|(k, _, b)| (k, b)).collect::<Vec<_>>();
        prop_assert_eq!(strip(&peer), strip(&own));
        for r in &records {
            prop_assert!(!peer.apply_record(r).expect("accepted").news, "the old run is over");
        }
    }
}

#[test]
fn deletions_are_remembered_in_bounded_number_and_still_hold() {
    let mut own = catalog();
    let mut early = catalog();
    let put = |c: &mut Catalog, n: u32| {
        c.write_own(
            OWNER,
            GENERATION,
            EntryKey::Unknown(9, format!("{n}").into()),
            Some(Bytes::from_static(b"x")),
        )
    };
    let records: Vec<Record> = (0..1_000).map(|n| put(&mut own, n)).collect();
    for r in &records {
        early.apply_record(r).expect("accepted");
    }
    for n in 0..999u32 {
        own.write_own(OWNER, GENERATION, EntryKey::Unknown(9, format!("{n}").into()), None);
    }
    assert!(own.owner(OWNER).expect("known").slot_count() < 100, "deletions do not pile up");
    pull(&own, &mut early, 1_300);
    assert_eq!(contents(&early).len(), 1, "who was away for all of it still learns of it");
    for r in &records {
        assert!(!early.apply_record(r).expect("accepted").news);
    }
    assert_eq!(contents(&early), contents(&own));
}

#[test]
fn an_unchanged_restart_is_one_head_and_no_records() {
    let mut own = catalog();
    for n in 0..5u8 {
        own.write_own(OWNER, GENERATION, key(n), Some(Bytes::from(vec![n])));
    }
    own.write_own(OWNER, GENERATION, key(2), None);
    let mut peer = catalog();
    pull(&own, &mut peer, 1_300);
    let mut restarted = catalog();
    for n in [0u8, 1, 3, 4] {
        restarted.write_own(OWNER, Generation(2_000), key(n), Some(Bytes::from(vec![n])));
    }
    let outcome = peer.apply_head(&restarted.head(OWNER).expect("written")).expect("accepted");
    assert!(outcome.news && !outcome.behind, "{outcome:?}");
    assert_eq!(contents(&peer), contents(&restarted), "versions included");
    assert_eq!(peer.table(OWNER), restarted.table(OWNER));
}

#[test]
fn what_is_too_large_malformed_or_too_much_is_refused() {
    let mut c = Catalog::new(Config::new(Settings { max_members: 3, ..Settings::lan() }).expect("valid"));
    let record = |owner: u64, kind: u8, id: &str, body: Vec<u8>| Record {
        head: Head { owner: NodeKey(owner), generation: GENERATION, version: Version(1), digest: 0 },
        item: Item { version: Version(1), kind, id: id.to_owned(), body: Body::Bytes(Bytes::from(body)) },
    };
    assert_eq!(c.apply_record(&record(1, 9, "x", vec![0; 17_000])), Err(Refused::Oversize));
    assert_eq!(c.apply_record(&record(1, 1, "web", vec![255; 10])), Err(Refused::Malformed));
    assert_eq!(c.apply_record(&record(1, 1, "", vec![])), Err(Refused::Malformed));
    for owner in 1..=3 {
        c.apply_record(&record(owner, 9, "x", vec![1])).expect("room for three");
    }
    assert_eq!(c.apply_record(&record(4, 9, "x", vec![1])), Err(Refused::Full));
    let mut future = record(1, 9, "x", vec![1]);
    future.head.generation = Generation(u64::MAX);
    assert_eq!(c.apply_record(&future), Err(Refused::Malformed));
    assert_eq!(c.refused, 5);
    let name = InstanceId::new("web").expect("valid");
    assert!(c.owner(NodeKey(1)).expect("known").entry(&EntryKey::Service(name)).is_none());
}

#[test]
fn an_owner_has_as_many_entries_as_it_may_and_all_together_as_many_bytes() {
    let settings = Settings { max_entries_per_node: 10, ..Settings::lan() };
    let mut c = Catalog::new(Config::new(settings).expect("valid"));
    let record = |owner: u64, n: u64, bytes: usize| Record {
        head: Head { owner: NodeKey(owner), generation: GENERATION, version: Version(n), digest: 0 },
        item: Item {
            version: Version(n),
            kind: 9,
            id: format!("{n}"),
            body: Body::Bytes(Bytes::from(vec![1; bytes])),
        },
    };
    let taken = (1..=1_000).filter(|n| c.apply_record(&record(1, *n, 1)).is_ok()).count();
    assert_eq!(taken, 10 + 128, "what may be registered, and room for what is only remembered");
    c.bytes_max = c.bytes + 10_000;
    let taken = (1..=100).filter(|n| c.apply_record(&record(2, *n, 1_000)).is_ok()).count();
    assert!((5..10).contains(&taken), "{taken} records of a thousand bytes");
    assert!(c.bytes <= c.bytes_max);
    assert_eq!(c.apply_record(&record(3, 1, 10_000)), Err(Refused::Full));
}

#[test]
fn so_many_forgotten_owners_are_remembered_as_members_may_be_known() {
    let mut c = Catalog::new(Config::new(Settings { max_members: 3, ..Settings::lan() }).expect("valid"));
    for owner in 1..=100 {
        let record = Record {
            head: Head { owner: NodeKey(owner), generation: GENERATION, version: Version(1), digest: 0 },
            item: Item { version: Version(1), kind: 9, id: "x".to_owned(), body: Body::Bytes(Bytes::new()) },
        };
        c.apply_record(&record).expect("there is room");
        c.forget(NodeKey(owner));
    }
    assert_eq!(c.dropped.len(), 3);
    assert!(c.was_dropped(NodeKey(100), GENERATION));
}

/// Whoever comes back unchanged is told by one of its records, by its head, or by both in any order:
/// nothing is pulled again, and nothing seems to have changed.
#[test]
fn a_table_that_is_what_it_was_before_a_restart_is_adopted_whatever_tells_of_it() {
    let (records, mut own) = history(&[Op::Put(1, 1), Op::Put(2, 2), Op::Put(3, 3)]);
    let mut known = catalog();
    for record in &records {
        known.apply_record(record).expect("good");
    }
    let later = Generation(GENERATION.0 + 1);
    own.adopt_own(OWNER, later);
    let told = own.record(OWNER, &key(2)).expect("it is there");
    assert_eq!((told.head.generation, told.head.version), (later, Version(3)));
    let head = own.head(OWNER).expect("known");
    for head_first in [true, false] {
        let mut other = catalog();
        other.adopt_all(OWNER, known.owners.clone(), known.bytes);
        if head_first {
            assert!(other.apply_head(&head).expect("good").news);
        }
        let outcome = other.apply_record(&told).expect("good");
        assert_eq!(outcome, Outcome { news: !head_first, ..Outcome::default() });
        assert!(!other.apply_head(&head).expect("good").news);
        assert!(other.owner(OWNER).expect("known").same_state(own.owner(OWNER).expect("known")));
    }
    // A record of a run that began otherwise is just that.
    let mut other = catalog();
    other.adopt_all(OWNER, known.owners.clone(), known.bytes);
    let changed = Record { head: Head { digest: 1, ..told.head }, ..told };
    let outcome = other.apply_record(&changed).expect("good");
    assert!(outcome.news && outcome.behind);
    assert_eq!(contents(&other).len(), 3, "what the run before had is shown until this one's is complete");
}
