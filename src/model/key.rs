use super::NodeKey;
use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::fmt;

/// Bytes of a key: AES-256.
pub const KEY_BYTES: usize = 32;
/// Keys that a keyring may hold at once.
pub const KEYS_MAX: usize = 8;
/// What a key looks like in text.
pub const KEY_WANT: &str = "a key of 32 bytes in base64, as `shoal keygen` prints it";

/// A key by name: the first four bytes of the SHA-256 of its bytes. Shown as eight hex digits; says
/// nothing of the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub u32);

impl KeyId {
    /// Reads eight hex digits.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.len() == 8 && text.bytes().all(|b| b.is_ascii_hexdigit());
        digits.then(|| u32::from_str_radix(text, 16).ok().map(Self)).flatten()
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{:08x}", self.0))
    }
}

/// A key that datagrams are sealed with. Never shown: what formats it gets its id.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyMaterial([u8; KEY_BYTES]);

impl KeyMaterial {
    /// A key of these bytes.
    pub const fn from_bytes(bytes: [u8; KEY_BYTES]) -> Self {
        Self(bytes)
    }

    /// Reads base64; `None` if it is no key of 32 bytes.
    pub fn parse(text: &str) -> Option<Self> {
        STANDARD.decode(text.trim()).ok()?.try_into().ok().map(Self)
    }

    /// As [`Self::parse`] reads it. The one way in which a key is written out.
    pub fn to_base64(&self) -> String {
        STANDARD.encode(self.0)
    }

    /// Its bytes.
    pub const fn bytes(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }

    /// Its name.
    pub fn id(&self) -> KeyId {
        let hash = digest::digest(&digest::SHA256, &self.0);
        let first = hash.as_ref().first_chunk::<4>().copied().unwrap_or_default();
        // Zero stands for "not sealed" in a datagram.
        KeyId(u32::from_be_bytes(first).max(1))
    }
}

impl fmt::Debug for KeyMaterial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyMaterial({})", self.id())
    }
}

/// A change of the cluster's keyring.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyringCommand {
    /// Accept this key from now on.
    Install(KeyMaterial),
    /// Seal with this key, which must be installed. `force`: also where live members lack it, which
    /// will not hear this node then.
    Use {
        /// Which one.
        id: KeyId,
        /// Whatever others have.
        force: bool,
    },
    /// Accept this key no more. `force`: also where live members seal with it still, which will not
    /// be heard then.
    Remove {
        /// Which one.
        id: KeyId,
        /// Whatever others use.
        force: bool,
    },
}

/// Why a keyring was not changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyringError {
    /// This agent was started without keys.
    #[error(
        "this agent gossips without encryption: start every agent of the cluster with --key-file first \
         (a running cluster cannot change over)"
    )]
    Plaintext,
    /// There is no such key.
    #[error("no key {0} is installed")]
    Unknown(KeyId),
    /// It is what this cluster seals with.
    #[error("key {0} is the primary one, which the cluster seals with: use another one first")]
    IsPrimary(KeyId),
    /// Another key has the same id.
    #[error("another key has the id {0} already: generate a new one")]
    SameId(KeyId),
    /// There are enough.
    #[error("the keyring holds {KEYS_MAX} keys already: remove one first")]
    Full,
    /// Others are not there yet.
    #[error(
        "key {id} is missing on {count} live members ({names}): wait until `keyring list` shows it on all, or force it"
    )]
    Missing {
        /// Which key.
        id: KeyId,
        /// On how many.
        count: usize,
        /// Some of them.
        names: String,
    },
    /// Others still need it.
    #[error(
        "key {id} is used by {count} live members ({names}): wait until `keyring list` shows that none uses it, or force it"
    )]
    InUse {
        /// Which key.
        id: KeyId,
        /// By how many.
        count: usize,
        /// Some of them.
        names: String,
    },
    /// The agent takes part in nothing any more.
    #[error("the agent is leaving")]
    Leaving,
}

/// Orders the changes of one entry of the keyring: the greater one wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stamp {
    /// One more than any that its writer had seen.
    pub counter: u64,
    /// Who wrote it.
    pub node: NodeKey,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_as_it_is_written_and_shown_by_its_id_alone() {
        let key = KeyMaterial::from_bytes([7; 32]);
        let text = key.to_base64();
        assert_eq!(KeyMaterial::parse(&format!(" {text}\n")), Some(key.clone()));
        let shown = format!("{key:?} {:?}", KeyringCommand::Install(key.clone()));
        assert!(shown.contains(&key.id().to_string()) && !shown.contains(&text), "{shown}");
        for wrong in ["", "abc", "AAAA", &text[1..], &format!("{text}AAAA")] {
            assert_eq!(KeyMaterial::parse(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn ids_are_eight_hex_digits() {
        let id = KeyMaterial::from_bytes([0; 32]).id();
        // SHA-256 of 32 zero bytes begins with 66687aad.
        assert_eq!(id.to_string(), "66687aad");
        assert_eq!(KeyId::parse("66687AAD"), Some(id));
        for wrong in ["", "66687aa", "66687aad0", "+6687aad", "g6687aad"] {
            assert_eq!(KeyId::parse(wrong), None, "{wrong:?}");
        }
    }
}
