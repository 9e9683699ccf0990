use std::ffi::OsString;
use std::path::PathBuf;

/// Where this user's agent listens unless told otherwise. The agent and its clients both ask
/// here, so that they meet.
///
/// `$SHOAL_SOCKET`, else `/run/shoal/agent.sock` for root, else `$XDG_RUNTIME_DIR/shoal/agent.sock`,
/// else `shoal-$UID/agent.sock` in `$TMPDIR` or `/tmp`. An empty variable counts as unset.
pub fn default_socket_path() -> PathBuf {
    default_socket_path_for(|name| std::env::var_os(name), nix::unistd::Uid::effective().as_raw())
}

/// [`default_socket_path`] for a given environment and effective user id.
pub fn default_socket_path_for(lookup: impl Fn(&str) -> Option<OsString>, uid: u32) -> PathBuf {
    let set = |name: &str| lookup(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(socket) = set("SHOAL_SOCKET") {
        return socket;
    }
    if uid == 0 {
        return PathBuf::from("/run/shoal/agent.sock");
    }
    if let Some(runtime) = set("XDG_RUNTIME_DIR") {
        return runtime.join("shoal/agent.sock");
    }
    let tmp = set("TMPDIR").unwrap_or_else(|| PathBuf::from("/tmp"));
    tmp.join(format!("shoal-{uid}/agent.sock"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_that_is_set_wins() {
        type Row<'a> = (&'a [(&'a str, &'a str)], u32, &'a str);
        let table: &[Row<'_>] = &[
            (&[("SHOAL_SOCKET", "/a.sock"), ("XDG_RUNTIME_DIR", "/x")], 0, "/a.sock"),
            (&[("SHOAL_SOCKET", "/a.sock"), ("XDG_RUNTIME_DIR", "/x")], 7, "/a.sock"),
            (&[("XDG_RUNTIME_DIR", "/x"), ("TMPDIR", "/t")], 0, "/run/shoal/agent.sock"),
            (&[("XDG_RUNTIME_DIR", "/x"), ("TMPDIR", "/t")], 7, "/x/shoal/agent.sock"),
            (&[("SHOAL_SOCKET", ""), ("XDG_RUNTIME_DIR", ""), ("TMPDIR", "/t")], 7, "/t/shoal-7/agent.sock"),
            (&[("TMPDIR", "")], 1000, "/tmp/shoal-1000/agent.sock"),
            (&[], 1000, "/tmp/shoal-1000/agent.sock"),
        ];
        for (env, uid, want) in table {
            let lookup =
                |name: &str| env.iter().find(|(key, _)| *key == name).map(|(_, value)| OsString::from(value));
            assert_eq!(default_socket_path_for(lookup, *uid), PathBuf::from(want), "{env:?} uid {uid}");
        }
    }
}
