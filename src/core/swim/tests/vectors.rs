//! The test vectors of `docs/protocol.md` about suspicions: who is a witness, and how long a suspect
//! has. `UPDATE_VECTORS=1` writes the file anew.

use super::*;
use crate::core::swim::suspicion::Patience;
use crate::core::swim::witness::mixed;
use serde_json::{Value, json};

fn waits() -> Vec<Value> {
    let profiles = [("lan", Settings::lan()), ("wan", Settings::wan()), ("local", Settings::local())];
    let mut waits = Vec::new();
    for (profile, settings) in profiles {
        let config = Config::new(settings).expect("valid");
        for live in [2_usize, 3, 4, 5, 10, 128, 1_000] {
            let patience = Patience::of(&config, live);
            // To the millisecond: the last digits of logarithms are not everybody's.
            let ms: Vec<u64> = (1..=5_u32)
                .map(|accusers| (patience.after(accusers - 1).as_secs_f64() * 1e3).round() as u64)
                .collect();
            waits.push(json!({"profile": profile, "live": live, "ms_with_1_to_5_accusers": ms}));
        }
    }
    waits
}

fn ranks() -> Vec<Value> {
    let names = ["web-1", "db-2", "cache-3", "n4", "n5"];
    let key = |name: &str| crate::model::NodeName::new(name).expect("a name").key();
    let subject = key("db-2");
    names
        .iter()
        .filter(|name| **name != "db-2")
        .flat_map(|name| [0_u64, 1, 65_535].map(|incarnation| (*name, incarnation)))
        .map(|(name, incarnation)| {
            let rank = mixed(subject.0, key(name).0, incarnation);
            json!({"subject": "db-2", "member": name, "incarnation": incarnation, "rank": format!("{rank:016x}")})
        })
        .collect()
}

#[test]
fn witnesses_and_waits_are_those_of_the_vectors() {
    let wanted = json!({"waits": waits(), "ranks": ranks()});
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/suspicion.json");
    let text = format!("{wanted:#}\n");
    if std::env::var_os("UPDATE_VECTORS").is_some() {
        std::fs::write(&file, &text).expect("the file can be written");
    }
    let found = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(found == text, "tests/vectors/suspicion.json is not what the code does: see tests/vectors.rs");
}
