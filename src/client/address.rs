use super::Error;
use std::ffi::OsStr;
use std::fmt;
use std::path::PathBuf;

/// Where an agent answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// A Unix socket.
    Unix(PathBuf),
    /// TCP, for an agent started with `--http`.
    Tcp {
        /// Host name or IP address, without brackets.
        host: String,
        /// Port.
        port: u16,
    },
}

const TCP_WANTED: &str = "tcp://HOST:PORT or http://HOST:PORT";

impl Address {
    /// Reads `tcp://HOST:PORT`, `http://HOST:PORT`, `unix:PATH` (also `unix://PATH`), or a path.
    pub fn parse(text: impl AsRef<OsStr>) -> Result<Self, Error> {
        let raw = text.as_ref();
        let Some(text) = raw.to_str() else {
            return Ok(Self::Unix(PathBuf::from(raw)));
        };
        if let Some(rest) = text.strip_prefix("tcp://").or_else(|| text.strip_prefix("http://")) {
            let invalid =
                || Error::Invalid { what: "agent address", value: text.to_owned(), want: TCP_WANTED };
            let (host, port) = rest.trim_end_matches('/').rsplit_once(':').ok_or_else(invalid)?;
            let port: u16 = port.parse().map_err(|_| invalid())?;
            let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
            if host.is_empty() || port == 0 || host.contains(['/', '@', ' ']) {
                return Err(invalid());
            }
            return Ok(Self::Tcp { host: host.to_owned(), port });
        }
        let path = text.strip_prefix("unix://").or_else(|| text.strip_prefix("unix:")).unwrap_or(text);
        if path.is_empty() {
            return Err(Error::Invalid { what: "agent socket", value: text.to_owned(), want: "a path" });
        }
        Ok(Self::Unix(PathBuf::from(path)))
    }

    /// The `Host` header that goes with it.
    pub(super) fn host_header(&self) -> String {
        match self {
            Self::Unix(_) => "localhost".to_owned(),
            Self::Tcp { host, port } => authority(host, *port),
        }
    }
}

/// `host:port`, with brackets around an IPv6 address.
pub(super) fn authority(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "{}", path.display()),
            Self::Tcp { host, port } => write!(f, "tcp://{}", authority(host, *port)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_urls_are_told_apart() {
        for (text, want) in [
            ("/run/a.sock", "/run/a.sock"),
            ("unix:///run/a.sock", "/run/a.sock"),
            ("unix:a.sock", "a.sock"),
            ("rel/a.sock", "rel/a.sock"),
            ("tcp://127.0.0.1:8500", "tcp://127.0.0.1:8500"),
            ("http://localhost:8500/", "tcp://localhost:8500"),
            ("tcp://[::1]:8500", "tcp://[::1]:8500"),
        ] {
            assert_eq!(Address::parse(text).expect(text).to_string(), want);
        }
    }

    #[test]
    fn a_bad_address_says_what_was_wanted() {
        for text in
            ["tcp://localhost", "http://:80", "tcp://h:x", "tcp://h:0", "tcp://h:70000", "http://h:80/v1", ""]
        {
            let e = Address::parse(text).expect_err(text).to_string();
            assert!(e.contains("want"), "{e}");
        }
    }
}
