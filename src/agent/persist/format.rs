//! The bytes of the state file.
//!
//! ```text
//! magic "SHOALST\n" | format version u32 | payload length u64 | payload | XXH3-128 of all before
//! ```
//!
//! Integers are little-endian; the payload is bincode 2 (varint). Owns the frame and the only two
//! functions that name bincode here. Reading is total: any bytes give a value or a [`Damage`].

use serde::Serialize;
use serde::de::DeserializeOwned;
use xxhash_rust::xxh3::xxh3_128;

const MAGIC: [u8; 8] = *b"SHOALST\n";
/// Raised whenever the payload's types change. Version 1 did not have the node's name and the two lists
/// of what came from definition files, which are at the end.
const FORMAT_VERSION: u32 = 2;
const SHORT_VERSION: u32 = 1;
/// An empty name and two empty lists.
const LACKING: [u8; 3] = [0; 3];
const HEADER_BYTES: usize = 8 + 4 + 8;
const CHECKSUM_BYTES: usize = 16;
/// The largest file that is read; 20,000 registrations of the greatest size stay far below.
pub(super) const FILE_BYTES_MAX: u64 = PAYLOAD_BYTES_MAX as u64;
const PAYLOAD_BYTES_MAX: usize = 1 << 30;

/// Why bytes are not a state file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Damage {
    #[error("it does not start as a state file does")]
    NotAStateFile,
    #[error("its format version is {0}, this agent reads {FORMAT_VERSION}")]
    OtherVersion(u32),
    #[error("it has {have} bytes where {want} were written")]
    Length { have: usize, want: u64 },
    #[error("its checksum does not match")]
    Checksum,
    #[error("it cannot be decoded: {0}")]
    Payload(String),
    #[error("it has {0} bytes, more than any state file")]
    TooLarge(u64),
}

/// The file that holds `value`.
pub(super) fn encode(value: &impl Serialize) -> Result<Vec<u8>, String> {
    Ok(file_of(&to_bytes(value)?))
}

/// The file that holds the value with this payload.
pub(super) fn file_of(payload: &[u8]) -> Vec<u8> {
    around(FORMAT_VERSION, payload)
}

/// Header and checksum around a payload.
pub(super) fn around(version: u32, payload: &[u8]) -> Vec<u8> {
    let mut file = Vec::with_capacity(HEADER_BYTES + payload.len() + CHECKSUM_BYTES);
    file.extend_from_slice(&MAGIC);
    file.extend_from_slice(&version.to_le_bytes());
    file.extend_from_slice(&(payload.len() as u64).to_le_bytes());
    file.extend_from_slice(payload);
    let checksum = xxh3_128(&file);
    file.extend_from_slice(&checksum.to_le_bytes());
    file
}

/// The value that `file` holds.
pub(super) fn decode<T: DeserializeOwned>(file: &[u8]) -> Result<T, Damage> {
    let (magic, rest) = file.split_first_chunk::<8>().ok_or(Damage::NotAStateFile)?;
    if *magic != MAGIC {
        return Err(Damage::NotAStateFile);
    }
    let short = Damage::Length { have: file.len(), want: (HEADER_BYTES + CHECKSUM_BYTES) as u64 };
    let (version, rest) = rest.split_first_chunk::<4>().ok_or_else(|| short.clone())?;
    let (length, rest) = rest.split_first_chunk::<8>().ok_or_else(|| short.clone())?;
    let (body, checksum) = file.split_last_chunk::<CHECKSUM_BYTES>().ok_or(short)?;
    let want = u64::from_le_bytes(*length).saturating_add((HEADER_BYTES + CHECKSUM_BYTES) as u64);
    if file.len() as u64 != want {
        return Err(Damage::Length { have: file.len(), want });
    }
    if xxh3_128(body) != u128::from_le_bytes(*checksum) {
        return Err(Damage::Checksum);
    }
    // Only now, so that a flipped bit in the version is not taken for another version.
    let version = u32::from_le_bytes(*version);
    let payload = &rest[..rest.len() - CHECKSUM_BYTES];
    match version {
        FORMAT_VERSION => from_bytes(payload),
        SHORT_VERSION => from_bytes(&[payload, &LACKING].concat()),
        other => Err(Damage::OtherVersion(other)),
    }
}

const fn bincode_config() -> bincode::config::Configuration<
    bincode::config::LittleEndian,
    bincode::config::Varint,
    bincode::config::Limit<PAYLOAD_BYTES_MAX>,
> {
    bincode::config::standard().with_limit::<PAYLOAD_BYTES_MAX>()
}

/// A value as it stands in a payload. Those of a tuple or a struct stand one behind the other.
pub(super) fn to_bytes(value: &impl Serialize) -> Result<Vec<u8>, String> {
    bincode::serde::encode_to_vec(value, bincode_config()).map_err(|e| e.to_string())
}

fn from_bytes<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Damage> {
    let (value, read) = bincode::serde::decode_from_slice(bytes, bincode_config())
        .map_err(|e| Damage::Payload(e.to_string()))?;
    if read == bytes.len() { Ok(value) } else { Err(Damage::Payload("bytes are left over".to_owned())) }
}
