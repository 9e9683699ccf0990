//! Keys: the file they come from, the keyring a run starts with, and what an operator is told.
//!
//! Owns the rules of the key file. A file that every user of the host may read is refused and not
//! only warned of: the key is all that stands between the cluster and who forges datagrams, and an
//! agent that starts all the same is never repaired. Read access for a group is let through, since
//! that is how secrets are mounted into containers.

use super::config::ConfigFault;
use crate::core::{Keyring, StrangeKey};
use crate::model::{KEY_WANT, KEYS_MAX, KeyId, KeyMaterial, KeyringError};
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// No key file is longer.
const FILE_BYTES_MAX: u64 = 64 * 1024;
/// Write access for the group, and any access for everybody else.
const LAX_MODE: u32 = 0o027;

/// Reads a key file: keys in base64, one in a line, the primary one first; `#` begins a comment.
pub(super) fn read(path: &Path) -> Result<Vec<KeyMaterial>, ConfigFault> {
    let unreadable =
        |error: std::io::Error| ConfigFault::Unreadable { path: path.to_owned(), error: error.to_string() };
    let refused = |error: String| ConfigFault::KeyFile { path: path.to_owned(), error };
    let file = File::open(path).map_err(unreadable)?;
    let about = file.metadata().map_err(unreadable)?;
    if about.is_file() && about.mode() & LAX_MODE != 0 {
        return Err(refused(format!(
            "mode {:04o} lets others of this host read the cluster's keys or change them: want 0600, or 0640 for \
             a group (chmod 0600 {})",
            about.mode() & 0o7777,
            path.display()
        )));
    }
    let mut text = String::new();
    file.take(FILE_BYTES_MAX).read_to_string(&mut text).map_err(unreadable)?;
    let mut keys: Vec<KeyMaterial> = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.split('#').next().unwrap_or_default().trim();
        if line.is_empty() {
            continue;
        }
        // What stands there may be most of a key: it is not shown.
        let key =
            KeyMaterial::parse(line).ok_or_else(|| refused(format!("line {number}: want {KEY_WANT}")))?;
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    if keys.is_empty() || keys.len() > KEYS_MAX {
        return Err(refused(format!(
            "it holds {} keys: want 1 to {KEYS_MAX}, one in a line (`shoal keygen` makes one)",
            keys.len()
        )));
    }
    Ok(keys)
}

/// The keyring of a new run: what was kept, and of the file what was not removed since.
pub(super) fn at_start(kept: Option<Keyring>, file: &[KeyMaterial]) -> Option<Keyring> {
    let Some(mut ring) = kept else { return Keyring::new(file) };
    tell_left_out(&ring.install_from_file(file));
    if let Some(first) = file.first()
        && first != ring.primary()
    {
        tracing::info!(
            primary = %ring.primary().id(),
            first = %first.id(),
            "the key file does not begin with the primary key: the keyring that was kept decides"
        );
    }
    Some(ring)
}

/// Says which keys of the file are not accepted, and why.
pub(super) fn tell_left_out(left_out: &[(KeyId, Option<KeyringError>)]) {
    for (key, error) in left_out {
        match error {
            None => tracing::warn!(
                %key,
                "this key of the key file was removed from the cluster's keyring and is not accepted: take it out"
            ),
            Some(error) => tracing::warn!(%key, %error, "this key of the key file is not accepted"),
        }
    }
}

/// What is to be done about a key that this agent met and does not have.
pub(super) fn advice(strange: &StrangeKey, primary: KeyId) -> String {
    let StrangeKey { id, from, removed, .. } = strange;
    if *removed {
        return format!(
            "{from} seals with key {id}, which was removed from this cluster's keyring: that host was away during \
             a rotation; on that host, run `shoal keyring install KEY` with key {primary}, or add the key to its \
             --key-file and run `shoal reload`"
        );
    }
    format!(
        "{from} seals with key {id}, which this agent does not have: if that host belongs to this cluster, keys \
         were rotated while this one was away; on this host, run `shoal keyring install KEY` with key {id}, or add \
         the key to --key-file and run `shoal reload`"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn file(text: &str, mode: u32) -> (tempfile::TempDir, std::path::PathBuf) {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("keys");
        std::fs::write(&path, text).expect("writes");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("is ours");
        (dir, path)
    }

    fn key(n: u8) -> KeyMaterial {
        KeyMaterial::from_bytes([n; 32])
    }

    #[test]
    fn the_first_key_is_the_primary_one_and_comments_are_none() {
        let (a, b) = (key(1), key(2));
        let text =
            format!("# old and new\n{}\n\n  {} # to go\n{}\n", a.to_base64(), b.to_base64(), a.to_base64());
        for mode in [0o600, 0o400, 0o640, 0o440] {
            let (_dir, path) = file(&text, mode);
            assert_eq!(read(&path), Ok(vec![a.clone(), b.clone()]), "{mode:o}");
        }
    }

    #[test]
    fn what_is_no_key_file_is_refused_without_showing_what_stands_there() {
        let secret = &key(1).to_base64()[1..];
        let (_dir, path) = file(&format!("# x\n{secret}\n"), 0o600);
        let error = read(&path).expect_err("is cut").to_string();
        assert!(error.contains("keys: line 2: want a key of 32 bytes in base64"), "{error}");
        assert!(!error.contains(secret), "{error}");
        let (_dir, path) = file("# none\n", 0o600);
        let error = read(&path).expect_err("is empty").to_string();
        assert!(error.contains("it holds 0 keys: want 1 to 8"), "{error}");
        let many: String = (0..9).map(|n| key(n).to_base64() + "\n").collect();
        let (_dir, path) = file(&many, 0o600);
        assert!(read(&path).is_err());
    }

    #[test]
    fn a_key_file_that_others_may_read_or_a_group_may_change_is_refused() {
        for mode in [0o644, 0o604, 0o602, 0o660, 0o666] {
            let (_dir, path) = file(&key(1).to_base64(), mode);
            let error = read(&path).expect_err("is lax").to_string();
            assert!(error.contains(&format!("mode {mode:04o}")) && error.contains("chmod 0600"), "{error}");
        }
    }

    #[test]
    fn what_was_kept_decides_and_the_file_adds_to_it() {
        let mut kept = Keyring::new(&[key(1), key(2)]).expect("has keys");
        kept.choose(key(2).id(), crate::model::NodeKey(1)).expect("is there");
        kept.remove(key(1).id(), crate::model::NodeKey(1)).expect("is not the primary one");
        let ring = at_start(Some(kept), &[key(1), key(3)]).expect("has keys");
        assert_eq!(ring.primary(), &key(2));
        let mut want = [key(2).id(), key(3).id()];
        want.sort_unstable();
        assert_eq!(ring.accepted().into_keys().collect::<Vec<_>>(), want);
        assert_eq!(at_start(None, &[]), None);
    }
}
