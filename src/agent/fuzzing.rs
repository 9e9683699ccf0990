//! What must hold for any file. See [`crate::fuzzing`].

use super::clock::Moment;
use super::config;
use super::persist::{Author, Saved, file_bytes, file_value, file_with, keyring_bytes, keyring_value};
use crate::core::Keyring;
use crate::model::{Generation, Instant, KeyMaterial, LocalCommand, LocalState, NodeId, NodeName};
use std::time::Duration;

/// The state is saved and restored at the same moment, which makes no difference.
const MOMENT: Moment = Moment { now: Instant::START, unix_ms: 1_700_000_000_000 };

/// Reads a state file, and the same bytes as the file of a keyring.
pub(crate) fn state_file(data: &[u8]) {
    for file in [data.to_vec(), file_with(1, data), file_with(2, data)] {
        if let Some(saved) = file_value(&file) {
            survives(&saved.restore(MOMENT));
        }
        if let Some(ring) = keyring_value(&file) {
            keyring(&ring);
        }
    }
}

/// A keyring that was kept is written and read as the same, and goes together with that of a key file.
fn keyring(kept: &Keyring) {
    let bytes = keyring_bytes(kept).expect("a keyring can be written");
    assert_eq!(keyring_value(&bytes).as_ref(), Some(kept), "a keyring changed on its way");
    assert!(kept.accepted().contains_key(&kept.primary().id()), "what is sealed with is not accepted");
    let file = Keyring::new(&[KeyMaterial::from_bytes([1; 32])]).expect("has a key");
    let (mut one, mut other) = (kept.clone(), file.clone());
    let (grew, _) = (one.merge(&file), other.merge(kept));
    // One that has too many keys already takes no more; what it has stays.
    assert!(one == other || (!grew && one == *kept), "two keyrings differ after each heard the other");
    assert_eq!(Keyring::from_shared(&one.to_shared()), Some(one), "what was merged is not a keyring");
}

/// Whether these registrations are the same after they were saved and restored.
pub(crate) fn survives(local: &LocalState) {
    let author = Author {
        node: NodeName::new("fuzz").expect("is a name"),
        node_id: NodeId([0; 16]),
        generation: Generation(1),
    };
    let saved = Saved::new(author, local, Vec::new(), MOMENT);
    let bytes = file_bytes(&saved).expect("a state can be written");
    let again = file_value(&bytes).expect("what was written can be read").restore(MOMENT);
    assert_eq!(local.services, again.services);
    assert_eq!(local.from_files, again.from_files);
    let mut there = again.checks.iter();
    for (id, check) in local.checks.iter() {
        let (_, restored) = there.next().expect("no check is lost");
        let expires = |c: &crate::model::LocalCheck| c.deadline.map(millis);
        assert_eq!(
            (id, &check.definition, check.status),
            (&restored.definition.id, &restored.definition, restored.status)
        );
        assert_eq!((&check.output, expires(check)), (&restored.output, expires(restored)));
    }
    assert!(there.next().is_none(), "a check came from nowhere");
}

/// Files keep milliseconds.
fn millis(at: Instant) -> Duration {
    Duration::from_millis(at.since(Instant::START).as_millis().try_into().unwrap_or(u64::MAX))
}

/// What a file defines, if all of it can be.
pub(crate) fn definitions(toml: bool, text: &str) -> Option<LocalCommand> {
    config::definitions_in(toml, text).map(LocalCommand::TakeFiles)
}
