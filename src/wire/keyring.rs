//! The keyring as it travels and as it is kept: values only. What wins over what is decided by
//! `core::keyring`.

use crate::model::{KEY_BYTES, KeyMaterial, NodeKey};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// See [`crate::model::Stamp`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SharedStamp {
    /// One more than any that its writer had seen.
    pub counter: u64,
    /// Who wrote it.
    pub node: NodeKey,
}

/// One key's entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SharedKey {
    /// The key's id.
    pub id: u32,
    /// When it was installed or removed.
    pub stamp: SharedStamp,
    /// The key; `None` once it was removed.
    pub material: Option<KeyMaterial>,
}

/// A keyring.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SharedKeyring {
    /// Entries in the order of their ids.
    pub keys: Vec<SharedKey>,
    /// What is sealed with.
    pub primary: KeyMaterial,
    /// When that was decided.
    pub primary_stamp: SharedStamp,
    /// Removals up to this counter may have been forgotten: what was installed before and is not
    /// listed was removed.
    pub floor: u64,
}

impl Serialize for KeyMaterial {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        self.bytes().serialize(s)
    }
}

impl<'de> Deserialize<'de> for KeyMaterial {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        <[u8; KEY_BYTES]>::deserialize(d).map(Self::from_bytes)
    }
}
