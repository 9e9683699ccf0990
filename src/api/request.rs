//! What the API asks of the agent's loop. Reads never come this way: they are answered from the view.

use crate::model::{
    Examination, KeyringCommand, KeyringError, LocalCommand, LocalError, NodeName, UserEvent,
    UserEventContent, UserEventError,
};
use std::sync::Arc;
use tokio::sync::oneshot;

/// Why the agent refused or failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// The change itself was refused.
    #[error(transparent)]
    Local(#[from] LocalError),
    /// The state file could not be written; nothing was changed.
    #[error("could not save the change: {0}; nothing was changed")]
    NotDurable(String),
    /// No address answered in time, or none could be resolved.
    #[error("{0}")]
    Join(String),
    /// See [`crate::model::MemberStatus`]; the text says why.
    #[error("{0}")]
    ForceLeave(String),
    /// An event was not fired.
    #[error(transparent)]
    Fire(#[from] UserEventError),
    /// A reload was refused; the text names file and key.
    #[error("{0}")]
    Reload(String),
    /// A change of the keyring was refused.
    #[error(transparent)]
    Keyring(#[from] KeyringError),
    /// What was changed already could not be saved.
    #[error("it is changed, but could not be saved: {0}; a restart may undo it")]
    NotKept(String),
    /// As much as may be is asked for already.
    #[error("{0}; ask again in a moment")]
    Busy(&'static str),
    /// The agent is on its way out.
    #[error("the agent is shutting down")]
    ShuttingDown,
}

/// Where an answer goes.
pub type Reply<T> = oneshot::Sender<Result<T, RequestError>>;

/// One request to the agent's loop.
#[derive(Debug)]
pub enum Request {
    /// A change of this host's registrations. Answered when it is durable and visible locally.
    Local(LocalCommand, Reply<()>),
    /// Join through these `HOST[:PORT]`s; answers the number of live members once one answered.
    Join(Vec<String>, Reply<usize>),
    /// Leave gracefully; answered when enough peers know, after which the process ends.
    Leave(Reply<()>),
    /// Make a failed member `left`; `prune` forgets it.
    ForceLeave {
        /// Whom.
        node: NodeName,
        /// Forget it as well.
        prune: bool,
        /// Answer.
        reply: Reply<()>,
    },
    /// A change of the cluster's keyring. Answered when it is durable on this host.
    Keyring(KeyringCommand, Reply<()>),
    /// Fire an event; answered with it once it is on its way.
    Fire(Box<UserEventContent>, Reply<Arc<UserEvent>>),
    /// Look at this agent, its host and the way to these members, or to some.
    Examine(Vec<NodeName>, Reply<Box<Examination>>),
    /// Re-read configuration files.
    Reload(Reply<()>),
}
