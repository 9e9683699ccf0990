use super::{
    CheckDefinition, CheckId, CheckStatus, EntryKey, InstanceId, Instant, LocalChecks, ServiceDefinition,
    ServiceRecord,
};
use imbl::{OrdMap, OrdSet};
use std::sync::Arc;

/// A check of this host with its present state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalCheck {
    /// As registered.
    pub definition: Arc<CheckDefinition>,
    /// As last decided.
    pub status: CheckStatus,
    /// Output of the last result, at most [`OUTPUT_BYTES_MAX`](super::OUTPUT_BYTES_MAX) bytes and a remark.
    pub output: Arc<str>,
    /// When a TTL check expires; `None` for other kinds and once expired.
    pub deadline: Option<Instant>,
    /// Since when it has been critical without a break; `None` while it is not.
    pub critical_since: Option<Instant>,
}

impl LocalCheck {
    /// When its instance is to be removed, if the check stays critical until then.
    pub fn reap_at(&self) -> Option<Instant> {
        let after = self.definition.deregister_critical_after?;
        self.definition.service_id.as_ref()?;
        Some(self.critical_since? + after)
    }

    /// When the next thing happens to it by the clock alone.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.deadline.into_iter().chain(self.reap_at()).min()
    }
}

/// What is registered on this host. Cheap to clone (the maps share structure), so that a change
/// can be tried on a copy, made durable, and only then applied.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LocalState {
    /// Service instances by id.
    pub services: OrdMap<InstanceId, Arc<ServiceRecord>>,
    /// Checks by id, those of services and those of the node.
    pub checks: LocalChecks,
    /// Which of them stand in definition files. The next reading of the files decides about these;
    /// the others are the callers'.
    pub from_files: OrdSet<EntryKey>,
}

/// What the definition files say, all of them together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FileDefinitions {
    /// Instances with their checks; no two have the same id.
    pub services: Vec<ServiceDefinition>,
    /// Checks of the node, and of instances that stand elsewhere.
    pub checks: Vec<CheckDefinition>,
}

/// A change that a caller on this host asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LocalCommand {
    /// Adds an instance or replaces the one with the same id.
    RegisterService {
        /// The instance and its checks.
        definition: Box<ServiceDefinition>,
        /// Drop checks of the instance that are not in the definition.
        replace_existing_checks: bool,
    },
    /// Makes what came from definition files what these say: adds, replaces and removes, and leaves
    /// alone what is as it was.
    TakeFiles(Arc<FileDefinitions>),
    /// Removes an instance and its checks.
    DeregisterService(InstanceId),
    /// Adds a check or replaces the one with the same id, keeping its status and output.
    RegisterCheck(Box<CheckDefinition>),
    /// Removes a check.
    DeregisterCheck(CheckId),
    /// A heartbeat: the result of a TTL check.
    UpdateCheck {
        /// Which check.
        id: CheckId,
        /// Its new status.
        status: CheckStatus,
        /// Its new output; cut as [`truncate_output`](super::truncate_output) does.
        output: String,
    },
    /// Takes an instance out of service, or back in, without deregistering it.
    ServiceMaintenance {
        /// Which instance.
        id: InstanceId,
        /// On or off.
        enable: bool,
        /// For people; a default text when empty.
        reason: String,
    },
    /// The same for everything on the node.
    NodeMaintenance {
        /// On or off.
        enable: bool,
        /// For people; a default text when empty.
        reason: String,
    },
}

/// Why a [`LocalCommand`] was refused; nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LocalError {
    /// No instance has this id.
    #[error("unknown service id {0:?}")]
    UnknownService(String),
    /// No check has this id.
    #[error("unknown check id {0:?}")]
    UnknownCheck(String),
    /// A heartbeat for a check that is not a TTL check.
    #[error("check {0:?} is not a TTL check")]
    NotTtl(CheckId),
    /// A record would be larger than may be spread.
    #[error("{what} takes {bytes} bytes: want at most {max} (max_record_bytes)")]
    RecordTooLarge {
        /// Which record.
        what: String,
        /// Its size on the wire.
        bytes: usize,
        /// The limit (`max_record_bytes`).
        max: usize,
    },
    /// This node already has as many services and checks as it may.
    #[error("this node already has {have} services and checks: want at most {max} (max_entries_per_node)")]
    TooManyEntries {
        /// What it has.
        have: usize,
        /// What it may have.
        max: usize,
    },
    /// The agent is leaving or has left.
    #[error("the agent is leaving the cluster")]
    Leaving,
}
