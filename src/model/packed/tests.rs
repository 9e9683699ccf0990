//! What is packed comes out as it went in, and keys keep their order.

use super::*;
use crate::model::{CheckRecord, CheckStatus, ServiceName, ServiceRecord, TaggedAddress, Weights};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

fn text() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), "[a-c]{1,4}", "\\PC{0,40}", "x{130,300}"]
}

fn extensions() -> impl Strategy<Value = Extensions> {
    prop_oneof![3 => Just(Extensions::new()), 1 => btree_map(any::<u16>(), vec(any::<u8>(), 0..200), 0..3)]
}

fn service() -> impl Strategy<Value = ServiceRecord> {
    let tagged = (text(), any::<u16>()).prop_map(|(address, port)| TaggedAddress { address, port });
    let weights = prop_oneof![
        Just(Weights::default()),
        any::<(u16, u16)>().prop_map(|(passing, warning)| Weights { passing, warning })
    ];
    let names = ("[a-c]{1,4}(-[0-9]{1,3})?|\\PC{1,40}", "[a-c]{1,4}|\\PC{1,40}");
    let rare = (btree_map(text(), tagged, 0..2), text(), weights, any::<bool>(), extensions());
    (names, vec(text(), 0..4), text(), any::<u16>(), btree_map(text(), text(), 0..4), rare).prop_map(
        |((id, name), tags, address, port, meta, rare)| {
            let (tagged_addresses, socket_path, weights, enable_tag_override, extensions) = rare;
            ServiceRecord {
                id: InstanceId::new(id).expect("printable"),
                name: ServiceName::new(name).expect("printable"),
                tags,
                address,
                tagged_addresses,
                port,
                socket_path,
                meta,
                weights,
                enable_tag_override,
                extensions,
            }
        },
    )
}

fn check() -> impl Strategy<Value = CheckRecord> {
    let status =
        prop_oneof![Just(CheckStatus::Passing), Just(CheckStatus::Warning), Just(CheckStatus::Critical)];
    let service = proptest::option::of("[a-c]{1,4}|\\PC{1,40}");
    let ids = ("(service:)?[a-c]{1,4}(:[0-9])?|\\PC{1,40}", service);
    let texts = (text(), text(), text(), text(), text(), text());
    (ids, status, texts, extensions()).prop_map(|((id, service), status, texts, extensions)| {
        let (name, notes, output, kind, interval, timeout) = texts;
        CheckRecord {
            id: CheckId::new(id).expect("printable"),
            name,
            service_id: service.map(|id| InstanceId::new(id).expect("printable")),
            status,
            notes,
            output,
            kind,
            interval,
            timeout,
            extensions,
        }
    })
}

proptest! {
    #[test]
    fn a_packed_service_unpacks_to_what_it_was(record in service()) {
        let packed = PackedService::new(&record);
        prop_assert_eq!(packed.unpack(), record.clone());
        prop_assert_eq!(packed.id(), record.id.as_str());
        prop_assert_eq!(packed.name(), record.name.as_str());
        prop_assert_eq!(packed.tags().collect::<Vec<_>>(), record.tags.iter().collect::<Vec<_>>());
        prop_assert_eq!(packed.read(), ServiceText::of(&record));
        let entry = PackedEntry::from(packed);
        prop_assert_eq!(entry.key(), EntryKey::Service(record.id));
        prop_assert!(entry.as_check().is_none() && entry.raw_body().is_none() && !entry.is_deleted());
    }

    #[test]
    fn a_packed_check_unpacks_to_what_it_was(record in check()) {
        let packed = PackedCheck::new(&record);
        prop_assert_eq!(packed.unpack(), record.clone());
        prop_assert_eq!(packed.status(), record.status);
        prop_assert_eq!(packed.service_id(), record.service_id.as_ref().map(InstanceId::as_str));
        let entry = PackedEntry::from(packed);
        prop_assert_eq!(entry.key(), EntryKey::Check(record.id));
        prop_assert!(entry.as_service().is_none());
    }

    #[test]
    fn entries_are_ordered_as_their_keys(a in (1..5u8, "[a-c]{1,3}"), b in (1..5u8, "[a-c]{1,3}")) {
        let (one, other) = (PackedEntry::raw(a.0, &a.1, b"x"), PackedEntry::deleted(b.0, &b.1));
        prop_assert_eq!(one.key_cmp(b.0, &b.1), one.key().cmp(&other.key()));
        prop_assert_eq!(one.raw_body(), Some(&b"x"[..]));
    }
}

#[test]
fn a_common_record_takes_little_more_than_its_texts() {
    let record = ServiceRecord {
        id: InstanceId::new("checkout-api-20017").expect("valid"),
        name: ServiceName::new("checkout-api").expect("valid"),
        tags: vec!["production".to_owned(), "v12".to_owned()],
        address: "10.0.12.7".to_owned(),
        tagged_addresses: Default::default(),
        port: 20_017,
        socket_path: String::new(),
        meta: [("zone".to_owned(), "eu-1a".to_owned())].into(),
        weights: Weights::default(),
        enable_tag_override: false,
        extensions: Extensions::new(),
    };
    assert!(PackedEntry::from(PackedService::new(&record)).size() < 80);
}
