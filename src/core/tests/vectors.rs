//! The test vectors of `docs/protocol.md` that are about what all agents must compute alike: digests
//! of rows and tables, and the tree over them. `UPDATE_VECTORS=1` writes the file anew.

use crate::core::catalog::Catalog;
use crate::core::config::Config;
use crate::core::digest::{Tree, row_digest};
use crate::model::*;
use crate::wire::frame::{Body, Epoch, Liveness, Record, Row, RowMember, RowTable};
use bytes::Bytes;
use serde_json::{Value, json};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn sixteen(number: u64) -> String {
    format!("{number:016x}")
}

const GENERATION: Generation = Generation(1_764_158_400_000);

fn rows() -> Vec<Row> {
    let addr = std::net::SocketAddr::from(([10, 0, 0, 1], 7_946));
    let epoch = Epoch(Epoch::first_of(GENERATION).0 + 2);
    let member = |state| Some(RowMember { epoch, incarnation: 9, state, addr });
    let table = |digest| {
        Some(RowTable { generation: GENERATION, complete_to: Version(3), newest: Version(4), digest })
    };
    let key = |name: &str| NodeName::new(name).expect("a name").key();
    vec![
        Row { key: key("web-1"), member: member(Liveness::Alive), table: table(7) },
        Row { key: key("web-1"), member: member(Liveness::Suspect), table: table(7) },
        Row { key: key("web-1"), member: member(Liveness::Down), table: table(7) },
        Row { key: key("web-1"), member: member(Liveness::Left), table: table(7) },
        Row { key: key("db-2"), member: None, table: table(u64::MAX) },
        Row { key: key("cache-3"), member: member(Liveness::Alive), table: None },
    ]
}

fn row_vectors() -> Vec<Value> {
    let word = |state| match state {
        Liveness::Alive => "alive",
        Liveness::Suspect => "suspect",
        Liveness::Down => "down",
        Liveness::Left => "left",
    };
    rows()
        .iter()
        .map(|row| {
            json!({
                "key": sixteen(row.key.0),
                "member": row.member.map(|m| json!({
                    "generation": m.epoch.generation().0, "renewal": m.epoch.0 & 0xffff, "state": word(m.state),
                })),
                "table": row.table.map(|t| json!({"generation": t.generation.0, "digest": sixteen(t.digest)})),
                "digest": sixteen(row_digest(row)),
            })
        })
        .collect()
}

fn tree_vector() -> Value {
    let mut tree = Tree::default();
    let names: Vec<String> = (0..200).map(|n| format!("n{n}")).collect();
    let mut rows = Vec::new();
    for (n, name) in names.iter().enumerate() {
        let key = NodeName::new(name).expect("a name").key();
        let digest = (n as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        tree.set(key, Some(digest));
        rows.push(json!({"name": name, "digest": sixteen(digest)}));
    }
    let digests =
        |list: &[crate::wire::frame::Digest]| -> Value { list.iter().map(|d| json!(sixteen(d.0))).collect() };
    json!({
        "rows": rows, "root": sixteen(tree.root().0), "buckets": digests(&tree.buckets()),
        "parts_of_bucket_5": digests(&tree.parts(5)),
    })
}

/// An owner's table, write by write, and what it is after a restart that changed nothing.
fn table_vector() -> Value {
    let own = NodeName::new("web-1").expect("a name").key();
    let mut catalog = Catalog::new(Config::default());
    let service = |id: &str| EntryKey::Service(InstanceId::new(id).expect("an id"));
    let check = |id: &str| EntryKey::Check(CheckId::new(id).expect("an id"));
    let body = |name: &str, port: u16, output: &str| -> Bytes {
        let id = InstanceId::new(name).expect("an id");
        let entry = if output.is_empty() {
            Entry::Service(ServiceRecord {
                id,
                name: ServiceName::new(name).expect("a name"),
                tags: Vec::new(),
                address: String::new(),
                tagged_addresses: [].into(),
                port,
                socket_path: String::new(),
                meta: [].into(),
                weights: Weights::default(),
                enable_tag_override: false,
                extensions: Extensions::new(),
            })
        } else {
            Entry::Check(CheckRecord {
                id: CheckId::new(name).expect("an id"),
                name: name.to_owned(),
                service_id: Some(id),
                status: CheckStatus::Critical,
                notes: "n".repeat(300),
                output: output.to_owned(),
                kind: "ttl".to_owned(),
                interval: String::new(),
                timeout: String::new(),
                extensions: Extensions::new(),
            })
        };
        Bytes::from(crate::wire::record::encode(&entry))
    };
    let writes = [
        (service("web"), Some(body("web", 80, ""))),
        (check("service:web"), Some(body("web", 0, "TTL expired"))),
        (service("api"), Some(body("api", 81, ""))),
        (service("web"), Some(body("web", 8_080, ""))),
        (service("api"), None),
        (service("an id of more than two hundred and forty bytes ".repeat(5).trim()), Some(body("x", 1, ""))),
    ];
    let writes: Vec<Value> = writes
        .into_iter()
        .map(|(key, body)| {
            let Record { head, item } = catalog.write_own(own, GENERATION, key, body);
            let bytes = match &item.body {
                Body::Bytes(bytes) => Some(hex(bytes)),
                Body::Deleted | Body::Large(_) => None,
            };
            json!({"version": item.version.0, "kind": item.kind, "id": item.id, "body": bytes,
                   "digest_after": sixteen(head.digest)})
        })
        .collect();
    catalog.adopt_own(own, Generation(GENERATION.0 + 1));
    let after = catalog.head(own).expect("it has a table");
    json!({
        "owner": sixteen(own.0), "writes": writes,
        "after_an_unchanged_restart": {"version": after.version.0, "digest": sixteen(after.digest)},
    })
}

#[test]
fn digests_are_those_of_the_vectors() {
    let wanted = json!({"rows": row_vectors(), "tree": tree_vector(), "table": table_vector()});
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/digests.json");
    let text = format!("{wanted:#}\n");
    if std::env::var_os("UPDATE_VECTORS").is_some() {
        std::fs::write(&file, &text).expect("the file can be written");
    }
    let found = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(found == text, "tests/vectors/digests.json is not what the code does: see tests/vectors.rs");
}
