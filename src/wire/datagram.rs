//! The datagram: header, cluster hash, frames. One kind, one port, a fixed largest size.
//!
//! ```text
//!  0      2     3         7             19               27
//!  +------+-----+---------+-------------+----------------+---------+---------+ - - +-----+
//!  | "Sh" | ver | key id  |    nonce    |  cluster hash  | frame   | frame   |     | tag |
//!  +------+-----+---------+-------------+----------------+---------+---------+ - - +-----+
//!  |<----- authenticated, with the cluster's name ------>|<- sealed when key id is not 0 ->
//! ```
//!
//! All integers are little endian. Key id 0 means that the body is plain; nonce and tag are not there
//! then (the nonce is zero). The hash is readable, so that another cluster's datagrams are told from
//! forged ones, and cost nothing.
//! Every bound is checked before a byte is interpreted, and nothing here panics on any input.

use super::codec::Malformed;
use super::frame::{FRAME_OVERHEAD_BYTES, Frame};
use super::seal::NONCE_BYTES;
use crate::model::KeyId;

const MAGIC: [u8; 2] = *b"Sh";
/// The version of the datagram's layout.
pub const PROTOCOL_VERSION: u8 = 1;
/// Bytes before the first frame.
pub const HEADER_BYTES: usize = 27;

/// Names a cluster on the wire: XXH3-64 of its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClusterHash(u64);

impl ClusterHash {
    /// The hash of a cluster's name.
    pub fn of(name: &str) -> Self {
        Self(xxhash_rust::xxh3::xxh3_64(name.as_bytes()))
    }
}

/// Why a datagram was dropped; each is counted under its word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Dropped {
    /// Longer than this agent accepts.
    #[error("oversize")]
    Oversize,
    /// Too short, wrong magic, or a frame that does not fit.
    #[error("malformed")]
    Malformed,
    /// A layout of another version.
    #[error("version")]
    Version,
    /// Sealed with a key that is not known here.
    #[error("unknown_key")]
    UnknownKey,
    /// Another cluster's.
    #[error("other_cluster")]
    OtherCluster,
    /// Not sealed, where keys are in use.
    #[error("unsealed")]
    Unsealed,
    /// Sealed with a known key, it says, but not so, or changed on its way.
    #[error("forged")]
    Forged,
    /// Came before: a copy of the network's, or somebody's who records and repeats.
    #[error("replayed")]
    Replayed,
}

impl Dropped {
    /// The word it is counted under.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Oversize => "oversize",
            Self::Malformed => "malformed",
            Self::Version => "version",
            Self::UnknownKey => "unknown_key",
            Self::OtherCluster => "other_cluster",
            Self::Unsealed => "unsealed",
            Self::Forged => "forged",
            Self::Replayed => "replayed",
        }
    }
}

/// Writes frames into one datagram as long as they fit.
#[derive(Debug)]
pub struct DatagramBuilder {
    bytes: Vec<u8>,
    max: usize,
    frames: usize,
}

impl DatagramBuilder {
    /// An empty datagram of at most `max` bytes.
    pub fn new(cluster: ClusterHash, max: usize) -> Self {
        Self::reusing(Vec::with_capacity(256), cluster, max)
    }

    /// The same in a buffer whose content is of no use any more.
    pub fn reusing(buffer: Vec<u8>, cluster: ClusterHash, max: usize) -> Self {
        let mut bytes = buffer;
        bytes.clear();
        bytes.extend(MAGIC);
        bytes.push(PROTOCOL_VERSION);
        bytes.extend([0; 16]);
        bytes.extend(cluster.0.to_le_bytes());
        debug_assert_eq!(bytes.len(), HEADER_BYTES);
        Self { bytes, max, frames: 0 }
    }

    /// Bytes that a frame's body may still take.
    pub fn room(&self) -> usize {
        self.max.saturating_sub(self.bytes.len() + FRAME_OVERHEAD_BYTES)
    }

    /// Adds `frame` if it fits; says whether it did.
    pub fn push(&mut self, frame: &Frame) -> bool {
        let before = self.bytes.len();
        frame.encode_into(&mut self.bytes);
        if self.bytes.len() > self.max {
            self.bytes.truncate(before);
            return false;
        }
        self.frames += 1;
        true
    }

    /// Whether no frame was added.
    pub fn is_empty(&self) -> bool {
        self.frames == 0
    }

    /// The finished datagram.
    pub fn finish(self) -> Vec<u8> {
        self.bytes
    }
}

/// The header of a datagram that may concern this agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// What it says it is sealed with; `None`: it is plain.
    pub key: Option<KeyId>,
    /// Its nonce; twelve zeros when it is plain.
    pub nonce: [u8; NONCE_BYTES],
}

/// Checks size, magic, version and cluster of `bytes`, in this order, and tells the rest of the header
/// and what follows it.
pub fn read(bytes: &[u8], cluster: ClusterHash, max: usize) -> Result<(Header, &[u8]), Dropped> {
    if bytes.len() > max {
        return Err(Dropped::Oversize);
    }
    let Some((header, rest)) = bytes.split_first_chunk::<HEADER_BYTES>() else {
        return Err(Dropped::Malformed);
    };
    let [m0, m1, version, k0, k1, k2, k3, rest_of_header @ ..] = header;
    if [*m0, *m1] != MAGIC {
        return Err(Dropped::Malformed);
    }
    if *version != PROTOCOL_VERSION {
        return Err(Dropped::Version);
    }
    let (nonce, hash) = rest_of_header.split_at(NONCE_BYTES);
    if *hash != cluster.0.to_le_bytes() {
        return Err(Dropped::OtherCluster);
    }
    let key = u32::from_le_bytes([*k0, *k1, *k2, *k3]);
    let nonce = nonce.try_into().map_err(|_| Dropped::Malformed)?;
    Ok((Header { key: (key != 0).then_some(KeyId(key)), nonce }, rest))
}

/// The frames of a datagram that passed all checks of the header.
#[derive(Debug)]
pub struct Frames<'a> {
    rest: &'a [u8],
}

/// The frames of a plain datagram.
pub fn open(bytes: &[u8], cluster: ClusterHash, max: usize) -> Result<Frames<'_>, Dropped> {
    match read(bytes, cluster, max)? {
        (Header { key: None, .. }, body) => Ok(Frames::new(body)),
        (Header { key: Some(_), .. }, _) => Err(Dropped::UnknownKey),
    }
}

impl Iterator for Frames<'_> {
    type Item = Result<Frame, Malformed>;

    /// The next known frame; unknown kinds are skipped. After an error there is no more.
    fn next(&mut self) -> Option<Self::Item> {
        while !self.rest.is_empty() {
            let Some(([kind, low, high], rest)) = self.rest.split_first_chunk::<FRAME_OVERHEAD_BYTES>()
            else {
                return self.fail();
            };
            let length = usize::from(u16::from_le_bytes([*low, *high]));
            let Some((body, rest)) = rest.split_at_checked(length) else {
                return self.fail();
            };
            self.rest = rest;
            match Frame::decode(*kind, body) {
                Ok(Some(frame)) => return Some(Ok(frame)),
                Ok(None) => {}
                Err(Malformed) => return self.fail(),
            }
        }
        None
    }
}

impl<'a> Frames<'a> {
    /// Of what follows the header.
    pub const fn new(body: &'a [u8]) -> Self {
        Self { rest: body }
    }

    fn fail(&mut self) -> Option<Result<Frame, Malformed>> {
        self.rest = &[];
        Some(Err(Malformed))
    }
}
