use super::Exit;
use crate::client::Error;
use std::io;

/// Why a command did not do what was asked.
#[derive(Debug)]
pub(super) enum Failure {
    /// The reader of the answer went away; not an error.
    Closed,
    /// Something to tell the caller.
    Told {
        /// How the command ends.
        exit: Exit,
        /// For people, without the program's name.
        message: String,
    },
}

impl Failure {
    /// The answer is no.
    pub(super) fn no(message: impl Into<String>) -> Self {
        Self::Told { exit: Exit::No, message: message.into() }
    }

    /// It was called wrongly.
    pub(super) fn usage(message: impl Into<String>) -> Self {
        Self::Told { exit: Exit::Usage, message: message.into() }
    }
}

impl From<io::Error> for Failure {
    /// Of writing the answer.
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::Closed;
        }
        Self::no(format!("cannot write the answer: {error}"))
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let exit = match &error {
            Error::NoAgent { .. } => Exit::NoAgent,
            Error::Invalid { .. } | Error::Api { status: 400, .. } => Exit::Usage,
            Error::Api { .. } | Error::Protocol { .. } | Error::Io { .. } | Error::Timeout { .. } => Exit::No,
        };
        let hint = match &error {
            Error::NoAgent { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                "\nthe socket is another user's: run this as that user, or set socket_group and socket_mode in the \
                 agent's configuration"
            }
            Error::NoAgent { .. } => {
                "\nstart one on this host with `shoal agent`, or name another socket with --socket or $SHOAL_SOCKET"
            }
            Error::Protocol { .. } => "\nis this the socket of a shoal agent?",
            Error::Api { .. } | Error::Io { .. } | Error::Timeout { .. } | Error::Invalid { .. } => "",
        };
        Self::Told { exit, message: format!("{error}{hint}") }
    }
}
