use std::io;
use std::time::Duration;

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Nobody answers at the address, or this user may not ask.
    #[error("no agent at {path}: {source}")]
    NoAgent {
        /// The socket's path, or `tcp://HOST:PORT`.
        path: String,
        /// What connecting said.
        source: io::Error,
    },
    /// The agent refused; the message is its own.
    #[error("{message}")]
    Api {
        /// The HTTP status.
        status: u16,
        /// The agent's words; the request and status when it gave none.
        message: String,
    },
    /// The answer was not what this client understands.
    #[error("{request}: the answer is not understood: {problem}")]
    Protocol {
        /// Method and path.
        request: String,
        /// What was wrong with the answer.
        problem: String,
    },
    /// The connection broke, and asking again was not possible or did not help.
    #[error("{request}: {source}")]
    Io {
        /// Method and path.
        request: String,
        /// What broke.
        source: io::Error,
    },
    /// The agent accepted the request and did not answer in time.
    #[error("{request}: no answer from the agent at {path} within {}", super::format_duration(*.after))]
    Timeout {
        /// Method and path.
        request: String,
        /// The address that was asked.
        path: String,
        /// How long the client waited.
        after: Duration,
    },
    /// A value was refused before anything was asked.
    #[error("{what} {value:?}: want {want}")]
    Invalid {
        /// What the value was to be.
        what: &'static str,
        /// The value as given.
        value: String,
        /// What would have been accepted.
        want: &'static str,
    },
}

impl Error {
    /// The agent does not know the id that was named.
    pub fn is_unknown(&self) -> bool {
        matches!(self, Self::Api { status: 404, .. })
    }

    /// Nobody answered at the address, or the connection broke: asking again later may help.
    pub fn is_unreachable(&self) -> bool {
        matches!(self, Self::NoAgent { .. } | Self::Io { .. } | Self::Timeout { .. })
    }
}
