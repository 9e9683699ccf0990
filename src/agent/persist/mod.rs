//! What an agent keeps across restarts.
//!
//! Owns the data directory: its lock, the state file, the keyring's and the files set aside. Either is
//! replaced as a whole (written beside, synced, renamed), so that a crash at any byte leaves the
//! old or the new one. What cannot be read is set aside under another name and never deleted.

mod encoder;
mod format;
mod saved;
#[cfg(test)]
mod tests;
mod writer;

pub(super) use saved::{Author, Saved};
pub(super) use writer::{StateWriter, WriteRequest};

use super::clock;
use crate::core::Keyring;
use crate::wire::keyring::SharedKeyring;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

const STATE: &str = "state";
const KEYRING: &str = "keyring";
const LOCK: &str = "lock";

/// Why a data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    /// Another agent has it.
    #[error(
        "data directory {} is in use by another agent{holder}; stop it, or give this one another --data-dir (or --no-persist)",
        dir.display()
    )]
    InUse {
        /// The directory.
        dir: PathBuf,
        /// Its process, in words, if known.
        holder: String,
    },
    /// The system refuses.
    #[error("cannot {what} {}: {error} (see --data-dir and --no-persist)", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// On which file or directory.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
}

fn io_error(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> DataDirError {
    move |error| DataDirError::Io { what, path: path.to_owned(), error }
}

/// A command that an agent was about to start when it was killed has the lock until it runs a program of
/// its own, a moment later: whoever is started in the killed one's place waits for that.
const LOCK_TRIES: u32 = 10;
const LOCK_PAUSE: Duration = Duration::from_millis(50);

#[expect(clippy::disallowed_methods, reason = "it is tried again, for half a second at most")]
fn take(lock: &File) -> Result<(), TryLockError> {
    for _ in 0..LOCK_TRIES {
        match lock.try_lock() {
            Err(TryLockError::WouldBlock) => std::thread::sleep(LOCK_PAUSE),
            done => return done,
        }
    }
    lock.try_lock()
}

/// A data directory that is locked by this process for as long as the value lives.
#[derive(Debug)]
pub(super) struct DataDir {
    path: PathBuf,
    _lock: File,
}

impl DataDir {
    /// Makes the directory if there is none (mode 0700), and locks it.
    pub(super) fn open(path: &Path) -> Result<Self, DataDirError> {
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(io_error("create", path))?;
        let lock_path = path.join(LOCK);
        let mut lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&lock_path)
            .map_err(io_error("open", &lock_path))?;
        match take(&lock) {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut pid = String::new();
                let known = (&lock).take(20).read_to_string(&mut pid).is_ok();
                let number = known.then(|| pid.trim().parse::<u32>().ok()).flatten();
                let holder = number.map_or_else(String::new, |pid| format!(" (process {pid})"));
                return Err(DataDirError::InUse { dir: path.to_owned(), holder });
            }
            Err(TryLockError::Error(error)) => return Err(io_error("lock", &lock_path)(error)),
        }
        // For people and for the message above only; the lock is what counts.
        let pid = format!("{}\n", std::process::id());
        if let Err(error) = lock.set_len(0).and_then(|()| lock.write_all(pid.as_bytes())) {
            tracing::warn!(file = %lock_path.display(), %error, "this process cannot be noted in the lock file");
        }
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    /// Whether there is a keyring in the directory, which need not be open.
    pub(super) fn has_keyring(path: &Path) -> bool {
        path.join(KEYRING).exists()
    }

    /// What was saved last; `None` when nothing was, or when it was damaged (it is then set aside).
    pub(super) fn load(&self) -> Result<Option<Saved>, DataDirError> {
        self.read(
            STATE,
            "the state file is damaged; it was set aside and this agent starts without registrations",
        )
    }

    /// The keyring that was saved last; `None` as in [`Self::load`].
    pub(super) fn load_keyring(&self) -> Result<Option<Keyring>, DataDirError> {
        let lost = "the file of the keyring is damaged; it was set aside and this agent starts with the keys of its \
                    key file";
        let shared: Option<SharedKeyring> = self.read(KEYRING, lost)?;
        Ok(shared.and_then(|shared| Keyring::from_shared(&shared)))
    }

    fn read<T: DeserializeOwned>(&self, name: &str, lost: &str) -> Result<Option<T>, DataDirError> {
        let path = self.path.join(name);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io_error("open", &path)(error)),
        };
        let size = file.metadata().map_err(io_error("read", &path))?.len();
        let decoded = if size > format::FILE_BYTES_MAX {
            Err(format::Damage::TooLarge(size))
        } else {
            let mut bytes = Vec::new();
            (&file).take(format::FILE_BYTES_MAX).read_to_end(&mut bytes).map_err(io_error("read", &path))?;
            format::decode(&bytes)
        };
        match decoded {
            Ok(saved) => Ok(Some(saved)),
            Err(damage) => {
                let aside = self.set_aside(name)?;
                tracing::error!(
                    file = %path.display(),
                    set_aside = %aside.display(),
                    reason = %damage,
                    "{lost}"
                );
                Ok(None)
            }
        }
    }

    fn set_aside(&self, name: &str) -> Result<PathBuf, DataDirError> {
        let path = self.path.join(name);
        let seconds = clock::unix_millis() / 1_000;
        let mut aside = self.path.join(format!("{name}.damaged-{seconds}"));
        let mut again = 1;
        while aside.exists() {
            aside = self.path.join(format!("{name}.damaged-{seconds}-{again}"));
            again += 1;
        }
        std::fs::rename(&path, &aside).map_err(io_error("set aside", &path))?;
        Ok(aside)
    }

    /// Replaces what is saved. Durable when it returns; after an error the old or the new state is
    /// there, whole.
    pub(super) fn save(&self, saved: &Saved) -> Result<(), DataDirError> {
        self.replace(STATE, saved)
    }

    /// The same for a payload that is encoded already.
    fn save_payload(&self, payload: &[u8]) -> Result<(), DataDirError> {
        self.replace_file(STATE, &format::file_of(payload))
    }

    /// The same for the keyring.
    pub(super) fn save_keyring(&self, ring: &Keyring) -> Result<(), DataDirError> {
        self.replace(KEYRING, &ring.to_shared())
    }

    fn replace(&self, name: &str, value: &impl Serialize) -> Result<(), DataDirError> {
        let bytes = format::encode(value).map_err(|e| self.not_encoded(name, e))?;
        self.replace_file(name, &bytes)
    }

    fn not_encoded(&self, name: &str, error: String) -> DataDirError {
        io_error("encode", &self.path.join(name))(io::Error::other(error))
    }

    fn replace_file(&self, name: &str, bytes: &[u8]) -> Result<(), DataDirError> {
        let new = self.path.join(format!("{name}.new"));
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&new)
            .map_err(io_error("create", &new))?;
        if let Err(error) = file.write_all(bytes).and_then(|()| file.sync_all()) {
            // What was written is worth nothing, and may be what fills the disk.
            let _ = file.set_len(0);
            return Err(io_error("write", &new)(error));
        }
        let path = self.path.join(name);
        std::fs::rename(&new, &path).map_err(io_error("replace", &path))?;
        // Without this the rename itself may be lost with the power.
        File::open(&self.path).and_then(|dir| dir.sync_all()).map_err(io_error("sync", &self.path))
    }
}

/// The bytes of a state file.
pub(super) fn file_bytes(saved: &Saved) -> Option<Vec<u8>> {
    format::encode(saved).ok()
}

/// What the bytes of a state file hold, if they are whole.
pub(super) fn file_value(file: &[u8]) -> Option<Saved> {
    format::decode(file).ok()
}

/// A file that is whole around this payload, in a format of this version.
pub(super) fn file_with(version: u32, payload: &[u8]) -> Vec<u8> {
    format::around(version, payload)
}

/// The bytes of a keyring's file.
pub(super) fn keyring_bytes(ring: &Keyring) -> Option<Vec<u8>> {
    format::encode(&ring.to_shared()).ok()
}

/// The keyring in the bytes of its file, if they are whole.
pub(super) fn keyring_value(file: &[u8]) -> Option<Keyring> {
    format::decode(file).ok().and_then(|shared| Keyring::from_shared(&shared))
}
