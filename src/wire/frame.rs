//! The frames: what one agent says to another.
//!
//! A frame is a kind byte, a two-byte length and a body. Frames of unknown kind are skipped, and
//! bytes after the known fields of a body are ignored, so that old and new agents talk.

use super::codec::{self, Malformed, fixed64};
use super::coordinate::PackedCoordinate;
use super::exam::Exam;
use super::keyring::SharedKeyring;
use super::kind::*;
use crate::model::{EntryKey, Generation, Incarnation, NodeId, NodeKey, NodeName, UserEvent, Version};
use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::net::SocketAddr;

pub use super::accusation::{Accusation, Charge};

/// Tells every life of a node's membership apart: its generation in the upper 48 bits, how often
/// it had to renew itself inside that generation in the lower 16.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Epoch(#[serde(with = "fixed64")] pub u64);

impl Epoch {
    /// The first epoch of a generation.
    pub const fn first_of(generation: Generation) -> Self {
        Self(generation.0 << 16)
    }

    /// The generation it belongs to.
    pub const fn generation(self) -> Generation {
        Generation(self.0 >> 16)
    }

    /// The epoch after this one.
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// Whether its generation is one a node may have.
    pub const fn is_plausible(self) -> bool {
        self.generation().0 <= Generation::MAX.0
    }
}

/// State of a member in an update, as in SWIM.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Liveness {
    /// Answers.
    Alive,
    /// A probe failed.
    Suspect,
    /// Did not refute.
    Down,
    /// Went, or was made to go, on purpose.
    Left,
}

impl Liveness {
    /// Alive or suspect.
    pub const fn is_live(self) -> bool {
        matches!(self, Self::Alive | Self::Suspect)
    }
}

/// One member's state, as rumoured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberUpdate {
    /// Whom it is about.
    pub key: NodeKey,
    /// Which life of it.
    pub epoch: Epoch,
    /// Which state counter of that life.
    pub incarnation: Incarnation,
    /// What is said of it.
    pub state: Liveness,
    /// Where it receives.
    pub addr: SocketAddr,
}

/// A SWIM message between two members (Das et al. 2002, section 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SwimFrame {
    /// Sender.
    pub from: NodeKey,
    /// Sender's life.
    pub from_epoch: Epoch,
    /// Sender's incarnation.
    pub from_incarnation: Incarnation,
    /// Receiver.
    pub to: NodeKey,
    /// The receiver's life that is meant; messages to an earlier life are ignored.
    pub to_epoch: Epoch,
    /// The sender's advertised address, when it is not where the datagram comes from.
    pub from_addr: Option<SocketAddr>,
    /// What is said.
    pub message: SwimMessage,
}

/// Another member named inside a SWIM message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Third {
    /// Who.
    pub key: NodeKey,
    /// Which life.
    pub epoch: Epoch,
    /// Where.
    pub addr: SocketAddr,
}

/// What a SWIM frame says. Numbers match an answer to its probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SwimMessage {
    /// Are you there?
    Ping(u8),
    /// Yes.
    Ack(u8),
    /// Please probe that member for me.
    PingRequest(Third, u8),
    /// A probe on behalf of that member.
    IndirectPing(Third, u8),
    /// The answer to it, for that member.
    IndirectAck(Third, u8),
    /// That member answered you through me.
    ForwardedAck(Third, u8),
    /// Only what comes along with it matters.
    Gossip,
    /// I hold you for failed.
    TurnUndead,
}

/// Says to a member that asked for help with a probe: I am here, but your target is silent so far
/// (Dadgar et al. 2018, "LHA Probe").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nack {
    /// Who was asked.
    pub from: NodeKey,
    /// The asker's life that is meant.
    pub to_epoch: Epoch,
    /// Who is silent.
    pub target: NodeKey,
    /// The number of the request.
    pub number: u8,
}

/// Where the sender of a probe or an answer is in the network. It travels beside a SWIM frame, which
/// says who that is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum CoordinateMessage {
    /// Tell me where you are, in the answer to this probe.
    Wanted,
    /// I am here.
    Told(PackedCoordinate),
}

/// Where an owner's table stands: `digest` is that of its live entries after write `version`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Whose table.
    pub owner: NodeKey,
    /// Which run of it.
    pub generation: Generation,
    /// Its last write.
    pub version: Version,
    /// Digest of the owner's live entries after that write.
    #[serde(with = "fixed64")]
    pub digest: u64,
}

/// One write of an owner: an entry's new body, or its deletion.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The owner's table after this very write.
    pub head: Head,
    /// What was written.
    pub item: Item,
}

/// An entry inside a record or a page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// When the owner wrote it.
    pub version: Version,
    /// Kind of the entry, see [`super::record::key_parts`].
    pub kind: u8,
    /// Id of the entry.
    pub id: String,
    /// What it holds now.
    pub body: Body,
}

/// What an entry holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Body {
    /// Nothing: it was deleted.
    Deleted,
    /// These bytes.
    Bytes(#[serde(with = "raw_bytes")] Bytes),
    /// Too many bytes for this datagram; to be fetched in chunks.
    Large(u32),
}

impl Item {
    /// The entry's key.
    pub fn key(&self) -> Result<EntryKey, Malformed> {
        super::record::key_from_parts(self.kind, &self.id)
    }
}

/// A wish to take part, sent to an address of which only the address may be known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinRequest {
    /// Who wishes.
    pub name: NodeName,
    /// Its identifier.
    pub id: NodeId,
    /// Its present life.
    pub epoch: Epoch,
    /// Its incarnation.
    pub incarnation: Incarnation,
    /// Where it receives.
    pub addr: SocketAddr,
    /// It looked for the node that holds its name, and nobody answered there.
    pub name_checked: bool,
}

/// The answer to a [`JoinRequest`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum JoinReply {
    /// You are a member now; pull the tables from me.
    Welcome {
        /// Who answers.
        from: NodeKey,
    },
    /// Another node is known by your name; ask it whether it lives.
    NameHeld {
        /// Where it is.
        holder: SocketAddr,
        /// Its life.
        epoch: Epoch,
    },
    /// An equal or later life of you is known to have ended; come back with a later one.
    Remembered {
        /// The life that is remembered.
        epoch: Epoch,
    },
}

/// A claim to a node name, exchanged by two nodes that both use it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NameClaim {
    /// The name.
    pub name: NodeName,
    /// The claimant's present life.
    pub epoch: Epoch,
    /// The generation the claimant's run started with.
    pub started: Generation,
    /// Where the claimant receives.
    pub addr: SocketAddr,
    /// The claimant already takes part in a cluster.
    pub joined: bool,
}

/// One node in a list of rows: its membership and where its table stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// Whose row.
    pub key: NodeKey,
    /// Its membership, when it is a member.
    pub member: Option<RowMember>,
    /// Its table, when it has one.
    pub table: Option<RowTable>,
}

/// See [`Row`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowMember {
    /// Its life.
    pub epoch: Epoch,
    /// Its incarnation.
    pub incarnation: Incarnation,
    /// Its state.
    pub state: Liveness,
    /// Its address.
    pub addr: SocketAddr,
}

/// See [`Row`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowTable {
    /// The run that wrote it.
    pub generation: Generation,
    /// Everything up to this write is known here.
    pub complete_to: Version,
    /// The last write of which anything is known here.
    pub newest: Version,
    /// Digest of the live entries.
    #[serde(with = "fixed64")]
    pub digest: u64,
}

/// A question of a repair; answered from what the asked one knows, without remembering the asker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ask {
    /// The digests of all buckets.
    Buckets,
    /// The digests of the parts of one bucket.
    Parts {
        /// Which bucket.
        bucket: u8,
    },
    /// The rows of one bucket, or of one of its parts, after a key.
    Rows {
        /// Which bucket.
        bucket: u8,
        /// Which part of it; `None`: all of it.
        part: Option<u8>,
        /// Where to go on; `None` for the start.
        after: Option<NodeKey>,
    },
    /// What is missing of some owners' tables.
    Records(Vec<Want>),
    /// A piece of a large body.
    Chunk {
        /// Whose table.
        owner: NodeKey,
        /// Which run.
        generation: Generation,
        /// Which write.
        version: Version,
        /// Where the piece starts, in bytes.
        offset: u32,
    },
    /// The rows of all nodes in a range of keys: for who has nothing to compare.
    Range {
        /// Rows after this key; `None`: from the first.
        after: Option<NodeKey>,
        /// The last key that is meant.
        until: NodeKey,
    },
}

/// What is wanted of one owner's table: everything after `have`, going on after `cursor`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Want {
    /// Whose table.
    pub owner: NodeKey,
    /// The run that the asker knows; another run at the answerer means everything is sent.
    pub generation: Generation,
    /// The asker has everything up to here.
    pub have: Version,
    /// Where the last page ended; `None` at the start.
    pub cursor: Option<Version>,
}

/// The answer to an [`Ask`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// Digest of each bucket, or of each part of the one that was asked about, in order.
    Digests(Vec<Digest>),
    /// Rows in key order.
    Rows {
        /// The rows.
        rows: Vec<Row>,
        /// There are more after the last one.
        more: bool,
    },
    /// Pages for the first `pages.len()` wants; ask again for the others.
    Records(Vec<Page>),
    /// A piece of a body; empty when the write is not there any more.
    Chunk {
        /// Length of the whole body, in bytes.
        total: u32,
        /// The piece.
        #[serde(with = "raw_bytes")]
        bytes: Bytes,
    },
}

/// A digest in a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digest(#[serde(with = "fixed64")] pub u64);

/// A part of one owner's table, in order of version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    /// Whose table.
    pub owner: NodeKey,
    /// The run that wrote it; zero when the answerer knows nothing of the owner.
    pub generation: Generation,
    /// Where this page starts: it lists every write after this one that still stands.
    pub from: Version,
    /// Those of them that the asker has already, each as its distance from the one before.
    pub survivors: Vec<u64>,
    /// Those that it lacks, and deletions that are still remembered, oldest first.
    pub items: Vec<Item>,
    /// Where the next page goes on; `None` when this was the last.
    pub next: Option<Version>,
    /// Everything up to here is known to the answerer.
    pub complete_to: Version,
}

/// One thing said in a datagram.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// A probe or its answer.
    Swim(SwimFrame),
    /// Rumours about members.
    Members(Vec<MemberUpdate>),
    /// Rumours about catalog entries.
    Records(Vec<Record>),
    /// Rumours that an owner's table moved on, without the entries.
    Heads(Vec<Head>),
    /// Digest of everything the sender knows.
    Root(Digest),
    /// See [`JoinRequest`].
    Join(JoinRequest),
    /// See [`JoinReply`].
    JoinReply(JoinReply),
    /// I hold this life of yours for failed.
    DownNotice(NodeKey, Epoch),
    /// See [`NameClaim`].
    NameClaim(NameClaim),
    /// A question of a repair, with its number.
    Ask(u32, Ask),
    /// The answer to the question of that number.
    Answer(u32, Answer),
    /// My `left` record: please confirm that you have it.
    Leave(Record),
    /// I have your `left` record of that generation.
    LeaveAck(NodeKey, Generation),
    /// Rumours about who suspects whom.
    Accusations(Vec<Charge>),
    /// See [`Nack`].
    Nack(Nack),
    /// See [`CoordinateMessage`].
    Coordinate(CoordinateMessage),
    /// How old each record of the frame before is, in microseconds since its owner wrote it; see
    /// [`AGE_UNKNOWN`].
    Ages(Vec<u32>),
    /// The cluster's keyring, as far as the sender knows. Only ever inside a sealed datagram.
    Keyring(SharedKeyring),
    /// Digest of the sender's keyring.
    KeyringDigest(Digest),
    /// Who receives at your address would know this cookie: repeat it, then ask again.
    Challenge(Digest),
    /// The cookie of a challenge, and the address that the sender says is its own: the cookie may have
    /// been sent there or to where this datagram comes from.
    Echo(Digest, SocketAddr),
    /// This datagram is meant for that node; whoever else gets it takes it for a copy gone astray.
    For(NodeKey),
    /// An event that was fired, and its age as in [`Frame::Ages`].
    UserEvent(UserEvent, u32),
    /// See [`Exam`].
    Exam(Exam),
    /// So many bytes of nothing, to fill a datagram.
    Padding(u16),
}

/// An age that is not known, or is over an hour.
pub const AGE_UNKNOWN: u32 = u32::MAX;

/// Bytes that a frame takes besides its body.
pub const FRAME_OVERHEAD_BYTES: usize = 3;

impl Frame {
    /// The kind's word, for counters and logs.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Swim(_) => "swim",
            Self::Members(_) => "members",
            Self::Records(_) => "records",
            Self::Heads(_) => "heads",
            Self::Root(_) => "root",
            Self::Join(_) => "join",
            Self::JoinReply(_) => "join_reply",
            Self::DownNotice(..) => "down_notice",
            Self::NameClaim(_) => "name_claim",
            Self::Ask(..) => "ask",
            Self::Answer(..) => "answer",
            Self::Leave(_) => "leave",
            Self::LeaveAck(..) => "leave_ack",
            Self::Accusations(_) => "accusations",
            Self::Nack(_) => "nack",
            Self::Coordinate(_) => "coordinate",
            Self::Ages(_) => "ages",
            Self::Keyring(_) => "keyring",
            Self::KeyringDigest(_) => "keyring_digest",
            Self::Challenge(_) => "challenge",
            Self::Echo(..) => "echo",
            Self::For(_) => "for",
            Self::UserEvent(..) => "user_event",
            Self::Exam(_) => "exam",
            Self::Padding(_) => "padding",
        }
    }

    /// Appends kind, length and body to `out`.
    ///
    /// # Panics
    /// When the body is over 65,535 bytes; callers bound what they put in.
    pub fn encode_into(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend([0; FRAME_OVERHEAD_BYTES]);
        let kind = match self {
            Self::Swim(b) => put(SWIM, b, out),
            Self::Members(b) => put(MEMBERS, b, out),
            Self::Records(b) => put(RECORDS, b, out),
            Self::Heads(b) => put(HEADS, b, out),
            Self::Root(b) => put(ROOT, b, out),
            Self::Join(b) => put(JOIN, b, out),
            Self::JoinReply(b) => put(JOIN_REPLY, b, out),
            Self::DownNotice(key, epoch) => put(DOWN_NOTICE, &(key, epoch), out),
            Self::NameClaim(b) => put(NAME_CLAIM, b, out),
            Self::Ask(id, b) => put(ASK, &(id, b), out),
            Self::Answer(id, b) => put(ANSWER, &(id, b), out),
            Self::Leave(b) => put(LEAVE, b, out),
            Self::LeaveAck(key, generation) => put(LEAVE_ACK, &(key, generation), out),
            Self::Accusations(b) => put(ACCUSATIONS, b, out),
            Self::Nack(b) => put(NACK, b, out),
            Self::Coordinate(b) => put(COORDINATE, b, out),
            Self::Ages(b) => put(AGES, b, out),
            Self::Keyring(b) => put(KEYRING, b, out),
            Self::KeyringDigest(b) => put(KEYRING_DIGEST, b, out),
            Self::Challenge(b) => put(CHALLENGE, b, out),
            Self::Echo(cookie, addr) => put(ECHO, &(cookie, addr), out),
            Self::For(b) => put(FOR, b, out),
            Self::UserEvent(event, age) => put(USER_EVENT, &(event, age), out),
            Self::Exam(b) => put(EXAM, b, out),
            Self::Padding(bytes) => {
                out.resize(out.len() + usize::from(*bytes), 0);
                PADDING
            }
        };
        let length = out.len() - start - FRAME_OVERHEAD_BYTES;
        let length = u16::try_from(length).expect("a frame's body is bounded by the datagram");
        out[start] = kind;
        out[start + 1..start + 3].copy_from_slice(&length.to_le_bytes());
    }

    /// The frame of `kind` with this body; `None` for a kind this version does not know.
    pub fn decode(kind: u8, body: &[u8]) -> Result<Option<Self>, Malformed> {
        Ok(Some(match kind {
            SWIM => Self::Swim(codec::decode(body)?),
            MEMBERS => Self::Members(codec::decode(body)?),
            RECORDS => Self::Records(codec::decode(body)?),
            HEADS => Self::Heads(codec::decode(body)?),
            ROOT => Self::Root(codec::decode(body)?),
            JOIN => Self::Join(codec::decode(body)?),
            JOIN_REPLY => Self::JoinReply(codec::decode(body)?),
            DOWN_NOTICE => {
                let (key, epoch) = codec::decode(body)?;
                Self::DownNotice(key, epoch)
            }
            NAME_CLAIM => Self::NameClaim(codec::decode(body)?),
            ASK => {
                let (id, ask) = codec::decode(body)?;
                Self::Ask(id, ask)
            }
            ANSWER => {
                let (id, answer) = codec::decode(body)?;
                Self::Answer(id, answer)
            }
            LEAVE => Self::Leave(codec::decode(body)?),
            LEAVE_ACK => {
                let (key, generation) = codec::decode(body)?;
                Self::LeaveAck(key, generation)
            }
            ACCUSATIONS => Self::Accusations(codec::decode(body)?),
            NACK => Self::Nack(codec::decode(body)?),
            COORDINATE => Self::Coordinate(codec::decode(body)?),
            AGES => Self::Ages(codec::decode(body)?),
            KEYRING => Self::Keyring(codec::decode(body)?),
            KEYRING_DIGEST => Self::KeyringDigest(codec::decode(body)?),
            CHALLENGE => Self::Challenge(codec::decode(body)?),
            ECHO => {
                let (cookie, addr) = codec::decode(body)?;
                Self::Echo(cookie, addr)
            }
            FOR => Self::For(codec::decode(body)?),
            USER_EVENT => {
                let (event, age) = codec::decode(body)?;
                Self::UserEvent(event, age)
            }
            EXAM => Self::Exam(codec::decode(body)?),
            PADDING => Self::Padding(u16::try_from(body.len()).map_err(|_| Malformed)?),
            _ => return Ok(None),
        }))
    }
}

fn put<T: Serialize>(kind: u8, body: &T, out: &mut Vec<u8>) -> u8 {
    codec::encode_into(body, out);
    kind
}

impl Serialize for NodeKey {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        fixed64::serialize(&self.0, s)
    }
}

impl<'de> Deserialize<'de> for NodeKey {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        fixed64::deserialize(d).map(NodeKey)
    }
}

mod raw_bytes {
    use bytes::Bytes;
    use serde::{Deserializer, Serializer, de};
    use std::fmt;

    pub(super) fn serialize<S: Serializer>(v: &Bytes, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_bytes(v)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Bytes, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Bytes;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes")
            }
            fn visit_bytes<E: de::Error>(self, v: &[u8]) -> Result<Bytes, E> {
                Ok(Bytes::copy_from_slice(v))
            }
            fn visit_byte_buf<E: de::Error>(self, v: Vec<u8>) -> Result<Bytes, E> {
                Ok(Bytes::from(v))
            }
        }
        d.deserialize_byte_buf(Visitor)
    }
}
