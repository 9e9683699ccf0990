use super::{CheckId, Extensions, InstanceId, NodeName, Probe};
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

/// Whose health an alias check takes over.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Alias {
    /// The node; `None` for the one that has the check.
    pub node: Option<NodeName>,
    /// One of its instances; `None` for the node's own checks.
    pub service: Option<InstanceId>,
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
    /// From other checks: it is as the worst of them.
    Alias(Arc<Alias>),
}

impl CheckKind {
    /// The kind's word, as it stands in [`CheckRecord::kind`].
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Ttl { .. } => "ttl",
            Self::Maintenance => "maintenance",
            Self::Probe(probe) => probe.target.as_str(),
            Self::Alias(_) => "alias",
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
    captured_output(output, output.len() as u64, true, OUTPUT_BYTES_MAX)
}

/// The same for output of which only the beginning was kept while it came in: `kept` of `total`
/// bytes. `is_all` says that `total` is all there was, and not where reading stopped.
pub fn captured_output(kept: &str, total: u64, is_all: bool, bytes_max: usize) -> String {
    let total = total.max(kept.len() as u64);
    if total <= bytes_max as u64 && is_all {
        return kept.to_owned();
    }
    let mut end = kept.len().min(bytes_max);
    while !kept.is_char_boundary(end) {
        end -= 1;
    }
    let more = if is_all { "" } else { "more than " };
    format!("{} ... (captured {end} of {more}{total} bytes)", &kept[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_is_cut_between_characters_and_says_how_much_there_was() {
        assert_eq!(truncate_output("fine"), "fine");
        let long = "z".repeat(6000);
        let cut = truncate_output(&long);
        assert!(cut.ends_with("z ... (captured 4096 of 6000 bytes)"), "{cut}");
        assert_eq!(captured_output("aé", 3, true, 2), "a ... (captured 1 of 3 bytes)");
        assert_eq!(captured_output("ab", 900, true, 2), "ab ... (captured 2 of 900 bytes)");
        assert_eq!(captured_output("ab", 900, false, 2), "ab ... (captured 2 of more than 900 bytes)");
    }
}
