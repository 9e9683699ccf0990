//! Events that people and programs fire for whoever listens, cluster-wide and best-effort.

use super::{NodeId, NodeName};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Bytes that an event's name and payload may have together.
pub const USER_EVENT_BYTES_MAX: usize = 512;
/// Bytes that an event's three filters may have together.
pub const USER_EVENT_FILTER_BYTES_MAX: usize = 256;

/// The most memory that one filter may take when compiled.
pub const USER_EVENT_REGEX_BYTES_MAX: usize = 256 << 10;

/// Tells every event apart: a version-4 UUID (RFC 9562).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct UserEventId(pub [u8; 16]);

impl UserEventId {
    /// From 128 random bits.
    pub fn from_random(bits: u128) -> Self {
        Self(NodeId::from_random(bits).0)
    }

    /// Both halves of the UUID, exclusive-or: the number that Consul's dialect waits by.
    pub fn folded(self) -> u64 {
        let bits = u128::from_be_bytes(self.0);
        let (high, low) = ((bits >> 64) as u64, bits as u64);
        high ^ low
    }
}

impl fmt::Display for UserEventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        NodeId(self.0).fmt(f)
    }
}

impl fmt::Debug for UserEventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// What is to be said, and to whom. Filters are regular expressions; empty ones match everything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserEventContent {
    /// What listeners know it by.
    pub name: String,
    /// Whatever the listeners understand.
    pub payload: Vec<u8>,
    /// Nodes that deliver it, by name.
    pub node_filter: String,
    /// Nodes that deliver it, by the names of services on them.
    pub service_filter: String,
    /// Of these services only those that have such a tag.
    pub tag_filter: String,
}

impl UserEventContent {
    /// Whether it is small enough to be spread.
    pub fn check(&self) -> Result<(), UserEventError> {
        let bytes = self.name.len() + self.payload.len();
        if bytes > USER_EVENT_BYTES_MAX {
            return Err(UserEventError::TooLarge { bytes });
        }
        let bytes = self.node_filter.len() + self.service_filter.len() + self.tag_filter.len();
        if bytes > USER_EVENT_FILTER_BYTES_MAX {
            return Err(UserEventError::FiltersTooLarge { bytes });
        }
        if self.name.is_empty() { Err(UserEventError::NoName) } else { Ok(()) }
    }
}

/// An event on its way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserEvent {
    /// Which one.
    pub id: UserEventId,
    /// The node that fired it.
    pub from: NodeName,
    /// What it says.
    pub content: UserEventContent,
}

/// Why an event was not fired.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UserEventError {
    /// It has no name.
    #[error("an event without a name: want one")]
    NoName,
    /// Name and payload are too long.
    #[error("user event of {bytes} bytes: want at most {USER_EVENT_BYTES_MAX} of name and payload together")]
    TooLarge {
        /// Their length together.
        bytes: usize,
    },
    /// The filters are too long.
    #[error("filters of {bytes} bytes: want at most {USER_EVENT_FILTER_BYTES_MAX} together")]
    FiltersTooLarge {
        /// Their length together.
        bytes: usize,
    },
    /// As many events as this agent tells apart went by within a minute.
    #[error("{known} events within a minute: want at most {known}; try again later")]
    TooMany {
        /// How many it tells apart.
        known: usize,
    },
    /// The agent is leaving or has left.
    #[error("the agent is leaving the cluster")]
    Leaving,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folded_id_is_what_clients_compute_from_the_text() {
        let id = UserEventId(*b"\x2f\xcc\xb4\xe2\xc0\x29\x43\x45\x84\xe3\x2b\xc4\x85\xb9\x82\x52");
        let text = id.to_string();
        assert_eq!(text, "2fccb4e2-c029-4345-84e3-2bc485b98252");
        let half = |parts: &[&str]| u64::from_str_radix(&parts.concat(), 16).expect("hexadecimal");
        let high = half(&[&text[0..8], &text[9..13], &text[14..18]]);
        let low = half(&[&text[19..23], &text[24..36]]);
        assert_eq!(id.folded(), high ^ low);
    }

    #[test]
    fn what_is_too_large_is_refused_with_its_size() {
        let event = |name: &str, payload: usize, filter: usize| UserEventContent {
            name: name.to_owned(),
            payload: vec![0; payload],
            node_filter: "x".repeat(filter),
            service_filter: String::new(),
            tag_filter: String::new(),
        };
        assert_eq!(event("ab", 510, 256).check(), Ok(()));
        assert_eq!(event("ab", 511, 0).check(), Err(UserEventError::TooLarge { bytes: 513 }));
        assert_eq!(event("ab", 0, 257).check(), Err(UserEventError::FiltersTooLarge { bytes: 257 }));
        assert_eq!(event("", 0, 0).check(), Err(UserEventError::NoName));
    }
}
