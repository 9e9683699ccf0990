use super::{CheckId, Extensions, InstanceId, Probe};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// The most output of a check that is kept, in bytes.
pub const OUTPUT_BYTES_MAX: usize = 4096;

/// Health of an instance or a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CheckStatus {
    /// All is well.
    Passing,
    /// Still serving, with reservations.
    Warning,
    /// Not to be used.
    Critical,
}

impl CheckStatus {
    /// The word for it, in lower case.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Passing => "passing",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }

    /// The status a word stands for.
    pub fn from_word(word: &str) -> Option<Self> {
        match word {
            "passing" => Some(Self::Passing),
            "warning" => Some(Self::Warning),
            "critical" => Some(Self::Critical),
            _ => None,
        }
    }
}

impl fmt::Display for CheckStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A check, as every agent knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckRecord {
    /// Unique on its node.
    pub id: CheckId,
    /// For people.
    pub name: String,
    /// The instance it belongs to; `None` for a check of the node.
    pub service_id: Option<InstanceId>,
    /// Health as last decided.
    pub status: CheckStatus,
    /// Fixed remark from the registration.
    pub notes: String,
    /// Output that came with the last change of status. Output alone is never spread.
    pub output: String,
    /// The kind's word (`ttl`, `http`, ...); empty for none.
    pub kind: String,
    /// Interval as the caller gave it, for display; empty for none.
    pub interval: String,
    /// Timeout as the caller gave it, for display; empty for none.
    pub timeout: String,
    /// Fields of newer versions.
    pub extensions: Extensions,
}

/// How a check gets its results.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckKind {
    /// By heartbeats; critical when none came for `ttl`.
    Ttl {
        /// Longest time between two heartbeats; more than zero.
        ttl: Duration,
    },
    /// Set while the node or an instance is in maintenance; always critical.
    Maintenance,
    /// By the agent itself.
    Probe(Arc<Probe>),
}

impl CheckKind {
    /// The kind's word, as it stands in [`CheckRecord::kind`].
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Ttl { .. } => "ttl",
            Self::Maintenance => "maintenance",
            Self::Probe(probe) => probe.target.as_str(),
        }
    }
}

/// A check as its own agent keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckDefinition {
    /// Unique on the node.
    pub id: CheckId,
    /// For people.
    pub name: String,
    /// Fixed remark.
    pub notes: String,
    /// The instance it belongs to; `None` for a check of the node.
    pub service_id: Option<InstanceId>,
    /// How it gets its results.
    pub kind: CheckKind,
    /// Status when first registered, if the caller gave one; critical otherwise.
    pub initial_status: Option<CheckStatus>,
    /// Interval as the caller gave it, for display; empty for none.
    pub interval: String,
    /// Timeout as the caller gave it, for display; empty for none.
    pub timeout: String,
    /// Deregister the instance when the check has been critical for this long.
    pub deregister_critical_after: Option<Duration>,
}

/// Cuts check output to [`OUTPUT_BYTES_MAX`] bytes at a character boundary and says so at the end.
pub fn truncate_output(output: &str) -> String {
    if output.len() <= OUTPUT_BYTES_MAX {
        return output.to_owned();
    }
    let mut end = OUTPUT_BYTES_MAX;
    while !output.is_char_boundary(end) {
        end -= 1;
    }
    format!("{} ... (captured {end} of {} bytes)", &output[..end], output.len())
}
