//! Why a target could not be asked, in the words that people know from Consul.
//!
//! Owns how an error of the system or of a client is put into words. Never decides what follows
//! from it: that it is critical is said where the finding is made.

use crate::model::show_duration;
use nix::errno::Errno;
use std::error::Error;
use std::time::Duration;

/// The text of a finding whose target could not be asked.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Fault(String);

impl Fault {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Something that was not done in time.
    pub(super) fn timeout(timeout: Duration) -> Self {
        Self(format!("i/o timeout ({})", show_duration(timeout)))
    }

    /// What was being done when `error` came.
    pub(super) fn at(what: impl std::fmt::Display, error: &(dyn Error + 'static)) -> Self {
        Self(format!("{what}: {}", reason(error)))
    }
}

/// An error with everything that led to it, outermost first; an error of the system in lower case
/// and without its number (`connection refused`).
pub(super) fn reason(error: &(dyn Error + 'static)) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let text = own_text(error);
        // Many errors already quote their source.
        if !parts.last().is_some_and(|last| last.contains(&text)) {
            parts.push(text);
        }
        next = error.source();
    }
    parts.join(": ")
}

fn own_text(error: &(dyn Error + 'static)) -> String {
    let number = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::raw_os_error);
    let Some(number) = number else { return error.to_string() };
    let text = Errno::from_raw(number).desc();
    let mut chars = text.chars();
    let first = chars.next().map(|c| c.to_ascii_lowercase());
    first.into_iter().chain(chars).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    #[test]
    fn a_systems_error_reads_as_in_consul() {
        let refused = io::Error::from_raw_os_error(nix::libc::ECONNREFUSED);
        let fault = Fault::at("dial tcp 127.0.0.1:1: connect", &refused);
        assert_eq!(fault.to_string(), "dial tcp 127.0.0.1:1: connect: connection refused");
        assert_eq!(Fault::timeout(Duration::from_secs(10)).to_string(), "i/o timeout (10s)");
    }

    #[test]
    fn a_reason_names_its_source_once() {
        let inner = io::Error::other("the disk is gone");
        assert_eq!(reason(&io::Error::other(inner)), "the disk is gone");
    }
}
