//! The test vectors of `docs/protocol.md`: what the wire makes of each value, and each value of its bytes.
//!
//! `UPDATE_VECTORS=1 cargo test --test vectors` writes the files anew. A difference is a change of the
//! protocol: agents that are out there would not understand it. `tests/vectors/decode.py`, which knows the
//! specification and nothing of this code, reads the same files (`.ci/docs`).

#[path = "vectors/meaning.rs"]
mod meaning;
#[path = "vectors/samples.rs"]
mod samples;

use meaning::hex;
use samples::CLUSTER;
use serde_json::{Value, json};
use shoal::model::{EntryKey, KeyMaterial, NodeName};
use shoal::wire::datagram::{self, Frames};
use shoal::wire::seal::SealKey;
use shoal::wire::{ClusterHash, DatagramBuilder, Dropped, Frame, record};
use std::path::PathBuf;

const DATAGRAM_BYTES_MAX: usize = 1_400;

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors").join(name)
}

/// Holds the file against what it should say, or writes it when told to.
fn hold(file: &str, wanted: &Value) -> Value {
    let text = format!("{wanted:#}\n");
    if std::env::var_os("UPDATE_VECTORS").is_some() {
        std::fs::write(path(file), &text).expect("the file can be written");
    }
    let found = std::fs::read_to_string(path(file)).unwrap_or_default();
    assert!(
        found == text,
        "tests/vectors/{file} is not what the code does. If the protocol was meant to change, \
         UPDATE_VECTORS=1 cargo test --test vectors writes it anew, and docs/protocol.md has to say so"
    );
    serde_json::from_str(&found).expect("is JSON")
}

fn unhex(text: &Value) -> Vec<u8> {
    let text = text.as_str().expect("bytes are text");
    let digits: Vec<char> = text.chars().collect();
    digits
        .chunks(2)
        .map(|two| u8::from_str_radix(&two.iter().collect::<String>(), 16).expect("is hex"))
        .collect()
}

fn encoded(frame: &Frame) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame.encode_into(&mut bytes);
    bytes
}

#[test]
fn every_frame_is_the_bytes_of_its_vector_and_back() {
    let samples = samples::frames();
    let wanted: Vec<Value> = samples
        .iter()
        .map(|(name, frame)| {
            json!({"name": name, "hex": hex(&encoded(frame)), "frame": meaning::frame(frame)})
        })
        .collect();
    let vectors = hold("frames.json", &Value::Array(wanted));
    for ((name, frame), vector) in samples.iter().zip(vectors.as_array().expect("a list")) {
        let bytes = unhex(&vector["hex"]);
        let length = usize::from(u16::from_le_bytes([bytes[1], bytes[2]]));
        assert_eq!(length, bytes.len() - 3, "{name}");
        let decoded = Frame::decode(bytes[0], &bytes[3..]).expect("is no nonsense").expect("is known");
        assert_eq!(decoded, *frame, "{name}");
        assert_eq!(encoded(&decoded), bytes, "{name}");
        if matches!(frame, Frame::Padding(_)) {
            continue;
        }
        // A newer version may say more after what is known.
        let mut longer = bytes[3..].to_vec();
        longer.extend([1, 2, 3]);
        assert_eq!(Frame::decode(bytes[0], &longer), Ok(Some(decoded)), "{name}");
    }
}

/// Kinds are one byte; those that some version of this code knows are all among the vectors.
#[test]
fn every_kind_of_frame_has_a_vector() {
    let samples = samples::frames();
    let known: Vec<u8> = (0..=u8::MAX).filter(|kind| Frame::decode(*kind, &[]) != Ok(None)).collect();
    let sampled: std::collections::BTreeSet<u8> = samples.iter().map(|(_, f)| encoded(f)[0]).collect();
    assert_eq!(known, sampled.into_iter().collect::<Vec<u8>>());
}

#[test]
fn every_record_is_the_bytes_of_its_vector_and_back() {
    let samples = samples::records();
    let wanted: Vec<Value> = samples
        .iter()
        .map(|(name, key, entry)| {
            let (kind, id) = record::key_parts(key);
            json!({"name": name, "kind": kind, "id": id, "hex": hex(&record::encode(entry)),
                   "says": meaning::entry(entry)})
        })
        .collect();
    let vectors = hold("records.json", &Value::Array(wanted));
    for ((name, key, entry), vector) in samples.iter().zip(vectors.as_array().expect("a list")) {
        let bytes = unhex(&vector["hex"]);
        assert_eq!(record::decode(key, &bytes).as_ref(), Ok(entry), "{name}");
        assert_eq!(record::encode(entry), bytes, "{name}");
    }
}

fn named_frames(names: &[&str]) -> Vec<Frame> {
    let samples = samples::frames();
    let find = |name: &&str| samples.iter().find(|(n, _)| n == name).map(|(_, f)| f.clone());
    names.iter().map(|name| find(name).expect("a frame of that name")).collect()
}

fn plain(cluster: &str, frames: &[Frame]) -> Vec<u8> {
    let mut datagram = DatagramBuilder::new(ClusterHash::of(cluster), DATAGRAM_BYTES_MAX);
    for frame in frames {
        assert!(datagram.push(frame));
    }
    datagram.finish()
}

const NONCE: [u8; 12] = [0xa0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 0xaf];

fn sealed(cluster: &str, key: &KeyMaterial, frames: &[Frame]) -> Vec<u8> {
    let mut bytes = plain(cluster, frames);
    SealKey::new(key, cluster).seal(NONCE, &mut bytes);
    bytes
}

/// What reads a datagram of `CLUSTER` with the first of the keys, or none.
fn read(bytes: &[u8], key: Option<&KeyMaterial>) -> Result<Vec<Frame>, Dropped> {
    let (header, body) = datagram::read(bytes, ClusterHash::of(CLUSTER), DATAGRAM_BYTES_MAX)?;
    let mut opened = Vec::new();
    let body = match (header.key, key) {
        (None, None) => body,
        (None, Some(_)) => return Err(Dropped::Unsealed),
        (Some(id), Some(key)) if key.id() == id => {
            SealKey::new(key, CLUSTER).open(bytes, &mut opened).map_err(|_| Dropped::Forged)?;
            &opened
        }
        (Some(_), _) => return Err(Dropped::UnknownKey),
    };
    Frames::new(body).map(|frame| frame.map_err(|_| Dropped::Malformed)).collect()
}

#[test]
fn every_datagram_is_the_bytes_of_its_vector_and_back() {
    let (key, other) = (samples::key_material(1), samples::key_material(100));
    let probe = ["ping", "root", "keyring_digest", "coordinate_wanted", "members", "accusations"];
    let question = ["for", "ask_rows"];
    let mut unknown_kind = plain(CLUSTER, &named_frames(&["root"]));
    unknown_kind.extend([200, 4, 0, 1, 2, 3, 4]);
    unknown_kind.extend(encoded(&named_frames(&["heads"])[0]));
    let mut forged = sealed(CLUSTER, &key, &named_frames(&question));
    forged[40] ^= 1;
    let mut version = plain(CLUSTER, &named_frames(&["root"]));
    version[2] = 2;
    let mut cut = plain(CLUSTER, &named_frames(&["root"]));
    cut.pop();
    let cases: Vec<(&str, Vec<u8>, Option<&KeyMaterial>)> = vec![
        ("a plain probe", plain(CLUSTER, &named_frames(&probe)), None),
        ("nothing but a header", plain(CLUSTER, &[]), None),
        ("a frame of unknown kind between two", unknown_kind, None),
        ("a sealed probe", sealed(CLUSTER, &key, &named_frames(&probe)), Some(&key)),
        ("a sealed question", sealed(CLUSTER, &key, &named_frames(&question)), Some(&key)),
        (
            "a sealed wish to join",
            sealed(CLUSTER, &key, &named_frames(&["join", "keyring_digest"])),
            Some(&key),
        ),
        ("changed on its way", forged, Some(&key)),
        (
            "sealed with a key that is not known",
            sealed(CLUSTER, &other, &named_frames(&question)),
            Some(&key),
        ),
        ("sealed, where no keys are in use", sealed(CLUSTER, &key, &named_frames(&question)), None),
        ("plain, where keys are in use", plain(CLUSTER, &named_frames(&question)), Some(&key)),
        ("of another cluster", plain("another", &named_frames(&["root"])), None),
        ("of another version", version, None),
        ("a frame that is cut off", cut, None),
        ("shorter than a header", b"Sh\x01".to_vec(), None),
        ("too long", plain(CLUSTER, &[]).into_iter().chain([0; DATAGRAM_BYTES_MAX]).collect(), None),
    ];
    let wanted: Vec<Value> = cases
        .iter()
        .map(|(name, bytes, key)| {
            let mut vector = json!({
                "name": name, "cluster": CLUSTER, "key": key.map(|k| hex(k.bytes())), "hex": hex(bytes),
            });
            match read(bytes, *key) {
                Ok(frames) => vector["frames"] = frames.iter().map(meaning::frame).collect(),
                Err(why) => vector["dropped"] = json!(why.as_str()),
            }
            vector
        })
        .collect();
    let vectors = hold("datagrams.json", &Value::Array(wanted));
    for vector in vectors.as_array().expect("a list") {
        let key = (!vector["key"].is_null()).then(|| unhex(&vector["key"]));
        let key = key.map(|bytes| KeyMaterial::from_bytes(bytes.try_into().expect("32 bytes")));
        let frames = read(&unhex(&vector["hex"]), key.as_ref());
        let said = frames.as_ref().map(|f| f.iter().map(meaning::frame).collect::<Value>());
        match (said, vector["dropped"].as_str()) {
            (Ok(said), None) => assert_eq!(said, vector["frames"], "{}", vector["name"]),
            (Err(why), Some(word)) => assert_eq!(why.as_str(), word, "{}", vector["name"]),
            (said, _) => panic!("{}: {said:?}", vector["name"]),
        }
    }
}

#[test]
fn names_clusters_and_keys_have_the_hashes_of_their_vectors() {
    let long = "x".repeat(128);
    let names =
        ["a", "web-1", "Web-1", "a-name-of-nineteen-", "n.eu-west-1.example.internal-0123456789", &long];
    let of_names: Vec<Value> = names
        .iter()
        .map(|name| {
            let key = NodeName::new(name).expect("a name").key();
            json!({"name": name, "key": format!("{:016x}", key.0)})
        })
        .collect();
    let clusters = ["shoal", "dc1", "a cluster with a long name, longer than sixteen bytes"];
    let of_clusters: Vec<Value> =
        clusters.iter().map(|name| json!({"name": name, "header": hex(&plain(name, &[]))})).collect();
    let of_keys: Vec<Value> = [0, 1, 100]
        .map(|n| {
            let key = samples::key_material(n);
            json!({"key": hex(key.bytes()), "base64": key.to_base64(), "id": key.id().to_string()})
        })
        .to_vec();
    let ring = samples::frames().into_iter().find_map(|(_, frame)| match frame {
        Frame::Keyring(ring) => shoal::core::Keyring::from_shared(&ring),
        _ => None,
    });
    let digest = format!("{:016x}", ring.expect("there is a keyring").digest());
    let wanted = json!({
        "node_names": of_names, "clusters": of_clusters, "keys": of_keys, "keyring_digest_of_the_frame": digest,
    });
    hold("hashes.json", &wanted);
}

/// The datagram that the specification takes apart.
#[test]
fn the_example_of_the_specification_is_a_datagram() {
    let page = std::fs::read_to_string(path("../../docs/protocol.md")).expect("is there");
    let (_, after) = page.split_once("A whole datagram, plain").expect("it has the example");
    let block = after.split("```").nth(1).expect("it has a block");
    let is_byte = |word: &&str| word.len() == 2 && word.chars().all(|c| c.is_ascii_hexdigit());
    let bytes = block.lines().skip(1).flat_map(|line| line.split(' ').take_while(is_byte));
    let bytes: String = bytes.collect();
    assert_eq!(bytes, hex(&plain(CLUSTER, &named_frames(&["ping", "root"]))));
}

/// What is kept of a record of a kind from the future is the owner's bytes.
#[test]
fn a_record_of_an_unknown_kind_is_kept_as_it_came() {
    let key = record::key_from_parts(9, "from the future").expect("is carried");
    assert!(matches!(key, EntryKey::Unknown(9, _)));
    let kept = record::pack(&key, b"whatever").expect("is not looked into");
    assert_eq!(record::body(&kept).as_deref(), Some(&b"whatever"[..]));
}
