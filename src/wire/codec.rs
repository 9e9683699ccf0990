//! The one place that names bincode: values to bytes and back, always with a limit.
//!
//! Bincode 2, little endian, variable-length integers. Decoding never allocates more than
//! [`DECODE_BYTES_MAX`] and never panics. Trailing bytes are allowed where a newer version may
//! have appended fields.

use bincode::config::{Configuration, Limit, LittleEndian, Varint};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The most memory that decoding one value may claim.
pub const DECODE_BYTES_MAX: usize = 64 * 1024;

const CONFIG: Configuration<LittleEndian, Varint, Limit<DECODE_BYTES_MAX>> =
    bincode::config::standard().with_limit::<DECODE_BYTES_MAX>();

/// Bytes that are no such value: truncated, over the limit, or plainly something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed bytes")]
pub struct Malformed;

/// Appends `value` to `out`.
pub fn encode_into<T: Serialize>(value: &T, out: &mut Vec<u8>) {
    bincode::serde::encode_into_std_write(value, out, bincode::config::standard())
        .expect("a wire type always encodes into memory");
}

/// `value` as bytes.
pub fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    let mut out = Vec::new();
    encode_into(value, &mut out);
    out
}

/// Reads one value from the start of `bytes`; what follows it is a newer version's and ignored.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Malformed> {
    bincode::serde::decode_from_slice(bytes, CONFIG).map(|(value, _)| value).map_err(|_| Malformed)
}

/// An eight-byte hash or key: written as it is, since a variable-length form would take nine.
pub mod fixed64 {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    /// For `#[serde(with)]`.
    pub fn serialize<S: Serializer>(v: &u64, s: S) -> Result<S::Ok, S::Error> {
        v.to_le_bytes().serialize(s)
    }

    /// For `#[serde(with)]`.
    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<u64, D::Error> {
        <[u8; 8]>::deserialize(d).map(u64::from_le_bytes)
    }
}
