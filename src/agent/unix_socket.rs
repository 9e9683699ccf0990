//! The API's Unix socket as a file.
//!
//! Owns the claim on its path: a live agent's socket is never taken over, a stale one is, and at
//! the end the file goes if it is still ours. Knows nothing of what is served.

use super::config::SocketGroup;
use super::error::StartError;
use socket2::{Domain, SockAddr, Socket, Type};
use std::fs::{DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

const BACKLOG: i32 = 1_024;

/// A socket file that is ours; removed when dropped.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    device: u64,
    inode: u64,
    _lock: File,
}

fn fault(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StartError {
    move |error| StartError::Socket { what, path: path.to_owned(), error }
}

/// Binds `path`, making its directory (mode 0700) if there is none.
pub(super) fn claim(
    path: &Path,
    mode: u32,
    group: Option<&SocketGroup>,
) -> Result<(UnixListener, SocketFile), StartError> {
    let dir = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(fault("create directory", dir))?;
    refuse_foreign(dir)?;
    // Two agents that start at once could both find a stale socket, and the later one would remove
    // the earlier one's new socket. The lock file stays, because removing it has the same race.
    let mut lock_path = path.as_os_str().to_owned();
    lock_path.push(".lock");
    let lock_path = PathBuf::from(lock_path);
    let lock = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&lock_path)
        .map_err(fault("open", &lock_path))?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(StartError::SocketInUse(path.to_owned())),
        Err(TryLockError::Error(error)) => return Err(fault("lock", &lock_path)(error)),
    }
    remove_stale(path)?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None).map_err(fault("create socket", path))?;
    let addr = SockAddr::unix(path).map_err(fault("use", path))?;
    socket.bind(&addr).map_err(fault("bind", path))?;
    // Mode and group are set before anybody can connect.
    std::fs::set_permissions(path, Permissions::from_mode(mode)).map_err(fault("set the mode of", path))?;
    if let Some(group) = group {
        std::os::unix::fs::chown(path, None, Some(group.gid())).map_err(fault("set the group of", path))?;
    }
    let made = std::fs::symlink_metadata(path).map_err(fault("look at", path))?;
    socket.listen(BACKLOG).and_then(|()| socket.set_nonblocking(true)).map_err(fault("listen at", path))?;
    let file = SocketFile { path: path.to_owned(), device: made.dev(), inode: made.ino(), _lock: lock };
    Ok((socket.into(), file))
}

/// In a directory of somebody else, that somebody could put a socket of his own in our place.
fn refuse_foreign(dir: &Path) -> Result<(), StartError> {
    let owner = std::fs::metadata(dir).map_err(fault("look at", dir))?.uid();
    let me = nix::unistd::geteuid();
    if me.is_root() || owner == 0 || owner == me.as_raw() {
        return Ok(());
    }
    let error = io::Error::other(format!("it belongs to user {owner}"));
    Err(fault("trust directory", dir)(error))
}

fn remove_stale(path: &Path) -> Result<(), StartError> {
    match std::fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => {
            return Err(fault("replace", path)(io::Error::other("it is there and is not a socket")));
        }
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(fault("look at", path)(error)),
    }
    match UnixStream::connect(path) {
        Ok(_) => Err(StartError::SocketInUse(path.to_owned())),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            tracing::info!(socket = %path.display(), "a socket that nobody listens at is replaced");
            std::fs::remove_file(path).map_err(fault("remove", path))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        // A full backlog is a sign of life too.
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            Err(StartError::SocketInUse(path.to_owned()))
        }
        Err(error) => Err(fault("try", path)(error)),
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let ours = std::fs::symlink_metadata(&self.path)
            .is_ok_and(|found| found.dev() == self.device && found.ino() == self.inode);
        if ours && let Err(error) = std::fs::remove_file(&self.path) {
            tracing::warn!(socket = %self.path.display(), %error, "the socket file could not be removed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("sub/agent.sock");
        (dir, path)
    }

    fn mode(path: &Path) -> u32 {
        std::fs::symlink_metadata(path).expect("is there").permissions().mode() & 0o777
    }

    #[test]
    fn the_directory_and_the_socket_are_for_the_owner_only() {
        let (_dir, path) = path();
        let (_listener, _file) = claim(&path, 0o600, None).expect("claims");
        assert_eq!((mode(path.parent().expect("has one")), mode(&path)), (0o700, 0o600));
        UnixStream::connect(&path).expect("listens");
    }

    #[test]
    fn a_live_socket_is_never_taken_over() {
        let (_dir, path) = path();
        let (_listener, _file) = claim(&path, 0o600, None).expect("claims");
        let error = claim(&path, 0o600, None).expect_err("is live").to_string();
        assert!(error.contains("another agent is running at socket"), "{error}");
        // One that does not know of the lock file is respected as well.
        let other = path.with_file_name("other.sock");
        let _other = UnixListener::bind(&other).expect("binds");
        let error = claim(&other, 0o600, None).expect_err("is live").to_string();
        assert!(error.contains("another agent is running"), "{error}");
    }

    #[test]
    fn a_stale_socket_is_replaced_and_ours_is_removed_at_the_end() {
        let (_dir, path) = path();
        std::fs::create_dir_all(path.parent().expect("has one")).expect("creates");
        drop(UnixListener::bind(&path).expect("binds"));
        assert!(path.exists());
        let (_listener, file) = claim(&path, 0o660, None).expect("claims");
        assert_eq!(mode(&path), 0o660);
        drop(file);
        assert!(!path.exists());
    }

    #[test]
    fn what_took_our_place_is_not_removed() {
        let (_dir, path) = path();
        let (_listener, file) = claim(&path, 0o600, None).expect("claims");
        std::fs::remove_file(&path).expect("removes");
        let _other = UnixListener::bind(&path).expect("binds");
        drop(file);
        assert!(path.exists());
    }

    #[test]
    fn a_file_that_is_not_a_socket_stays() {
        let (_dir, path) = path();
        std::fs::create_dir_all(path.parent().expect("has one")).expect("creates");
        std::fs::write(&path, "precious").expect("writes");
        let error = claim(&path, 0o600, None).expect_err("in the way").to_string();
        assert!(error.contains("is not a socket"), "{error}");
        assert_eq!(std::fs::read(&path).expect("is there"), b"precious");
    }
}
