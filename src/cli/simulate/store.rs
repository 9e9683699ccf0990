//! Files under `--out DIR`: finished runs, one per line, so that a call that was cut short goes on
//! where it stopped; and whole files written so that nobody ever sees a half of one.

use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::time::Duration;
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

/// Times that a file that somebody has is tried, and between two of them.
const LOCK_TRIES: u32 = 20;
const LOCK_PAUSE: Duration = Duration::from_millis(10);

/// A finished run with the key that it is found by.
#[derive(Serialize, serde::Deserialize)]
struct Line<T> {
    key: String,
    run: T,
}

/// The finished runs of one scenario file, on disk.
pub(super) struct Store {
    file: File,
}

impl Store {
    /// Opens or creates the file, and reads the runs in it, each under its key. A last line that was
    /// torn is cut off; lines that mean nothing to this version are passed over. `fresh` begins anew.
    pub(super) fn open<T: DeserializeOwned>(
        path: &Path,
        fresh: bool,
    ) -> io::Result<(Self, BTreeMap<String, T>)> {
        let mut options = File::options();
        let mut file = options.read(true).write(true).create(true).truncate(false).open(path)?;
        lock(&file)?;
        if fresh {
            file.set_len(0)?;
        }
        let mut text = Vec::new();
        file.read_to_end(&mut text)?;
        let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        file.set_len(whole as u64)?;
        file.seek(SeekFrom::End(0))?;
        let lines = text[..whole].split(|byte| *byte == b'\n');
        let runs = lines.filter_map(|line| serde_json::from_slice::<Line<T>>(line).ok());
        Ok((Self { file }, runs.map(|line| (line.key, line.run)).collect()))
    }

    /// Adds a finished run; when this returns, it is on the disk.
    pub(super) fn append<T: Serialize>(&mut self, key: &str, run: &T) -> io::Result<()> {
        let mut line = serde_json::to_vec(&Line { key: key.to_owned(), run })?;
        line.push(b'\n');
        self.file.write_all(&line)?;
        self.file.sync_data()
    }
}

/// Waits for a moment only: a process that was started while the file was open has it until it runs its
/// own program, and whoever is at work has it for long.
#[expect(clippy::disallowed_methods, reason = "a command waits for a fifth of a second, and nobody for it")]
fn lock(file: &File) -> io::Result<()> {
    for _ in 0..LOCK_TRIES {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) => std::thread::sleep(LOCK_PAUSE),
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
    Err(io::Error::other("another shoal simulate is writing it"))
}

/// What every key of this program begins with: another build may give other results.
pub(super) fn program() -> u64 {
    let itself = std::env::current_exe().and_then(std::fs::read);
    itself.map_or_else(|_| xxh3_64(env!("CARGO_PKG_VERSION").as_bytes()), |bytes| xxh3_64(&bytes))
}

/// The key of a run: a hash over everything that its result depends on.
pub(super) fn key(program: u64, parts: &[&str]) -> String {
    let mut hash = Xxh3::with_seed(program);
    for part in parts {
        hash.update(&(part.len() as u64).to_le_bytes());
        hash.update(part.as_bytes());
    }
    format!("{:032x}", hash.digest128())
}

/// Writes the whole file, or leaves the former one.
pub(super) fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    let mut file = tempfile::Builder::new().prefix(".shoal-").tempfile_in(dir)?;
    file.write_all(bytes)?;
    // A temporary file is its owner's alone; a report is for whoever may read the directory.
    file.as_file().set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))?;
    file.as_file().sync_data()?;
    file.persist(path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(path: &Path) -> BTreeMap<String, u32> {
        Store::open(path, false).expect("it opens").1
    }

    #[test]
    fn runs_are_found_again_and_a_torn_line_is_not() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("runs.jsonl");
        {
            let (mut store, runs) = Store::open::<u32>(&path, false).expect("it opens");
            assert!(runs.is_empty());
            store.append("a", &1_u32).expect("written");
            store.append("b", &2_u32).expect("written");
        }
        let whole = std::fs::read(&path).expect("it is there");
        for cut in 0..whole.len() {
            std::fs::write(&path, &whole[..cut]).expect("cut");
            let runs = open(&path);
            let want = whole[..cut].iter().filter(|byte| **byte == b'\n').count();
            assert_eq!(runs.len(), want, "cut at {cut}");
            let (mut store, _) = Store::open::<u32>(&path, false).expect("it opens");
            store.append("c", &3_u32).expect("written");
            drop(store);
            assert_eq!(open(&path).get("c"), Some(&3), "cut at {cut}");
        }
        Store::open::<u32>(&path, true).expect("it opens");
        assert!(open(&path).is_empty(), "fresh");
    }

    #[test]
    fn figures_come_back_to_the_last_bit() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("runs.jsonl");
        let figures: Vec<f64> =
            (1..2_000).map(|n| f64::from(n) * 0.001_234_567_890_123_456_7 / 7.3).collect();
        let (mut store, _) = Store::open::<Vec<f64>>(&path, false).expect("it opens");
        store.append("a", &figures).expect("written");
        drop(store);
        let (_, found) = Store::open::<Vec<f64>>(&path, false).expect("it opens");
        assert_eq!(found.get("a"), Some(&figures));
    }

    #[test]
    fn two_cannot_write_at_once() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("runs.jsonl");
        let _first = Store::open::<u32>(&path, false).expect("it opens");
        let second = Store::open::<u32>(&path, false).err().expect("refused");
        assert!(second.to_string().contains("another shoal simulate"), "{second}");
    }

    #[test]
    fn parts_of_a_key_do_not_run_together() {
        assert_ne!(key(1, &["ab", "c"]), key(1, &["a", "bc"]));
        assert_ne!(key(1, &["a"]), key(2, &["a"]));
        assert_eq!(key(1, &["a"]), key(1, &["a"]));
    }
}
