use serde::{Deserialize, Serialize};
use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

/// Why a name or an id was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} {value:?}: want {want}")]
pub struct NameError {
    /// What the value was to be: `node name`, `service name`, ...
    pub what: &'static str,
    /// The value as given, cut to 80 characters.
    pub value: String,
    /// What would have been accepted.
    pub want: &'static str,
}

impl NameError {
    /// What was to be `what` is `value`, which is not `want`.
    pub fn new(what: &'static str, value: &str, want: &'static str) -> Self {
        Self { what, value: value.chars().take(80).collect(), want }
    }
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $what:literal, $want:literal, $valid:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks `value` and keeps it; an error names the value and what was wanted.
            pub fn new(value: impl AsRef<str>) -> Result<Self, NameError> {
                let value = value.as_ref();
                let valid: fn(&str) -> bool = $valid;
                if valid(value) {
                    Ok(Self(Arc::from(value)))
                } else {
                    Err(NameError::new($what, value, $want))
                }
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;
            fn try_from(value: String) -> Result<Self, NameError> {
                Self::new(value)
            }
        }
        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.as_str().to_owned()
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }
        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
        impl std::str::FromStr for $name {
            type Err = NameError;
            fn from_str(value: &str) -> Result<Self, NameError> {
                Self::new(value)
            }
        }
    };
}

fn printable(s: &str, max: usize) -> bool {
    !s.is_empty() && s.len() <= max && !s.chars().any(char::is_control)
}

text_id!(
    /// A node's name, unique in its cluster. Compared without regard to ASCII case by
    /// [`NodeName::key`], shown as given.
    NodeName,
    "node name",
    "1 to 128 letters, digits, '-', '_' or '.', starting with a letter or digit",
    |s| s.len() <= 128
        && s.starts_with(|c: char| c.is_ascii_alphanumeric())
        && s.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
);
text_id!(
    /// The name of a service; its instances share it.
    ServiceName,
    "service name",
    "1 to 256 bytes without control characters",
    |s| printable(s, 256)
);
text_id!(
    /// One service instance, unique on its node.
    InstanceId,
    "service id",
    "1 to 256 bytes without control characters",
    |s| printable(s, 256)
);
text_id!(
    /// One check, unique on its node.
    CheckId,
    "check id",
    "1 to 512 bytes without control characters",
    |s| printable(s, 512)
);

impl NodeName {
    /// The key that stands for this name on the wire and in tables.
    pub fn key(&self) -> NodeKey {
        let lower = self.0.to_ascii_lowercase();
        NodeKey(xxhash_rust::xxh3::xxh3_64(lower.as_bytes()))
    }
}

/// A node's name as eight bytes: XXH3-64 of the name in ASCII lower case. What membership
/// compares, so that comparing costs a few bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeKey(pub u64);

impl fmt::Debug for NodeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// A node's identifier in UUID form, made once per data directory.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NodeId(pub [u8; 16]);

impl NodeId {
    /// A version-4 UUID (RFC 9562) from 128 random bits.
    pub fn from_random(bits: u128) -> Self {
        let mut b = bits.to_be_bytes();
        b[6] = (b[6] & 0x0f) | 0x40;
        b[8] = (b[8] & 0x3f) | 0x80;
        Self(b)
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, byte) in self.0.iter().enumerate() {
            if matches!(i, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// Tells two runs of one node apart: `max(persisted + 1, unix milliseconds at start)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Generation(pub u64);

impl Generation {
    /// The highest generation a node may have (about the year 6429 in milliseconds). What claims
    /// more is refused, so that nobody can push a name to the end of its number space.
    pub const MAX: Self = Self((1 << 47) - 1);

    /// The generation of a new run, from the last one persisted (if any) and the wall clock.
    pub fn for_new_run(persisted: Option<Self>, unix_millis: u64) -> Self {
        let next = persisted.map_or(1, |g| g.0.saturating_add(1));
        Self(next.max(unix_millis).min(Self::MAX.0))
    }
}

/// An owner's write counter inside one generation; the first write is 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Version(pub u64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn node_names_are_checked_and_errors_say_what_was_wanted() {
        assert!(NodeName::new("web-1.eu_west").is_ok());
        for bad in ["", "-x", "a b", "ä", &"x".repeat(129)] {
            let e = NodeName::new(bad).expect_err(bad);
            assert!(e.to_string().contains("node name"), "{e}");
        }
    }

    #[test]
    fn names_that_differ_only_in_case_share_a_key() {
        let a = NodeName::new("Web1").expect("valid");
        let b = NodeName::new("web1").expect("valid");
        assert_eq!(a.key(), b.key());
        assert_ne!(a, b);
    }

    #[test]
    fn a_generation_never_goes_back_whatever_the_clock_does() {
        let g = Generation::for_new_run(Some(Generation(1_000)), 10);
        assert_eq!(g, Generation(1_001));
        assert_eq!(Generation::for_new_run(Some(g), 5_000), Generation(5_000));
        assert_eq!(Generation::for_new_run(None, u64::MAX), Generation::MAX);
    }

    #[test]
    fn a_node_id_reads_as_a_version_4_uuid() {
        let id = NodeId::from_random(u128::MAX).to_string();
        assert_eq!(id, "ffffffff-ffff-4fff-bfff-ffffffffffff");
    }
}
