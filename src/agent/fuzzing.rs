//! What must hold for any file. See [`crate::fuzzing`].

use super::clock::Moment;
use super::config;
use super::persist::{Author, Saved, file_bytes, file_value, file_with};
use crate::model::{Generation, Instant, LocalCommand, LocalState, NodeId, NodeName};
use std::time::Duration;

/// The state is saved and restored at the same moment, which makes no difference.
const MOMENT: Moment = Moment { now: Instant::START, unix_ms: 1_700_000_000_000 };

/// Reads a state file.
pub(crate) fn state_file(data: &[u8]) {
    for file in [data.to_vec(), file_with(1, data), file_with(2, data)] {
        let Some(saved) = file_value(&file) else { continue };
        survives(&saved.restore(MOMENT));
    }
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
