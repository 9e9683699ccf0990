//! The file that is written: prepared beside its place, and put there in one step.

use std::ffi::OsStr;
use std::fs::{self, File, Metadata, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// Mode of a file that was not there before, less what the umask takes away.
const NEW_MODE: u32 = 0o666;

/// A new content of a file, beside it.
pub(super) struct Prepared {
    file: NamedTempFile,
    place: PathBuf,
}

/// Prepares `content` for the file at `out`, with the mode and owner of the one that is there.
/// `None` when that one holds the same already.
pub(super) fn prepare(out: &Path, content: &[u8]) -> io::Result<Option<Prepared>> {
    // A link stays one, to the new content.
    let place = match fs::canonicalize(out) {
        Ok(place) => place,
        Err(error) if error.kind() == io::ErrorKind::NotFound => out.to_owned(),
        Err(error) => return Err(error),
    };
    let before = match fs::metadata(&place) {
        Ok(before) if !before.is_file() => return Err(io::Error::other("it is not a regular file")),
        Ok(before) => Some(before),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    if before.as_ref().is_some_and(|before| before.len() == content.len() as u64)
        && fs::read(&place)? == content
    {
        return Ok(None);
    }
    let directory = match place.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let name = place.file_name().unwrap_or(OsStr::new("out")).to_string_lossy();
    // Tools that read every file of a directory leave out those whose name begins with a dot.
    let mut file = tempfile::Builder::new()
        .prefix(&format!(".{name}."))
        .suffix(".new")
        .permissions(Permissions::from_mode(NEW_MODE))
        .tempfile_in(directory)?;
    if let Some(before) = &before {
        keep_owner_and_mode(file.as_file(), before)?;
    }
    file.write_all(content)?;
    file.as_file().sync_all()?;
    Ok(Some(Prepared { file, place }))
}

fn keep_owner_and_mode(file: &File, before: &Metadata) -> io::Result<()> {
    let now = file.metadata()?;
    if (now.uid(), now.gid()) != (before.uid(), before.gid()) {
        fchown(file, Some(before.uid()), Some(before.gid())).map_err(|e| {
            let (uid, gid) = (before.uid(), before.gid());
            io::Error::new(e.kind(), format!("its owner {uid}:{gid} cannot be kept: {e}"))
        })?;
    }
    // After the owner, as a change of that takes bits of the mode away.
    file.set_permissions(Permissions::from_mode(before.mode() & 0o7777))
}

impl Prepared {
    /// Where the new content is.
    pub(super) fn path(&self) -> &Path {
        self.file.path()
    }

    /// Puts it in its place.
    pub(super) fn replace(self) -> io::Result<()> {
        let Self { file, place } = self;
        file.persist(place).map(drop).map_err(|error| error.error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(out: &Path, content: &str) -> bool {
        let prepared = prepare(out, content.as_bytes()).expect("can be prepared");
        let changed = prepared.is_some();
        if let Some(prepared) = prepared {
            assert_eq!(fs::read_to_string(prepared.path()).expect("is there"), content);
            prepared.replace().expect("is put in place");
        }
        changed
    }

    #[test]
    fn mode_and_links_stay_and_the_same_content_is_not_written() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let (out, link) = (directory.path().join("out"), directory.path().join("link"));
        assert!(write(&out, "one"));
        fs::set_permissions(&out, Permissions::from_mode(0o640)).expect("is ours");
        std::os::unix::fs::symlink(&out, &link).expect("a link");
        let inode = fs::metadata(&out).expect("is there").ino();
        assert!(!write(&out, "one") && fs::metadata(&out).expect("is there").ino() == inode);
        assert!(write(&link, "two"));
        assert!(fs::symlink_metadata(&link).expect("is there").is_symlink());
        assert_eq!(fs::read_to_string(&out).expect("is there"), "two");
        assert_eq!(fs::metadata(&out).expect("is there").mode() & 0o7777, 0o640);
        assert_eq!(fs::read_dir(directory.path()).expect("a directory").count(), 2, "nothing is left over");
    }

    #[test]
    fn what_is_not_put_in_place_leaves_nothing() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        drop(prepare(&directory.path().join("out"), b"x").expect("can be prepared"));
        assert_eq!(fs::read_dir(directory.path()).expect("a directory").count(), 0);
        assert!(prepare(directory.path(), b"x").is_err(), "a directory");
        assert!(prepare(&directory.path().join("no/out"), b"x").is_err(), "no such directory");
    }
}
