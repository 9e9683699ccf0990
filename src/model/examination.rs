//! What an agent finds when it looks at itself, its host and the way to others: the answer of
//! `/v1/shoal/doctor`, on both sides of the socket. Says what was seen; what that means is for who reads
//! it to judge.

use serde::{Deserialize, Serialize};

/// Everything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Examination {
    /// Name of this node.
    pub node: String,
    /// Its identifier.
    pub node_id: String,
    /// The cluster's name.
    pub cluster: String,
    /// Version of the agent.
    pub version: String,
    /// `ip:port` that others are told.
    pub advertised: String,
    /// `ip:port` where gossip is received.
    pub bound: String,
    /// Gossip is sealed.
    pub sealed: bool,
    /// What is to be done about a key that is missing here.
    pub key_advice: Option<String>,
    /// Members beside this one that were known when it was asked.
    pub others: usize,
    /// Milliseconds since anything was heard from another; `None`: nothing ever was.
    pub since_heard_ms: Option<u64>,
    /// The process.
    pub process: ProcessFacts,
    /// Its gossip socket.
    pub socket: SocketFacts,
    /// Where it keeps its state; `None`: in memory.
    pub disk: Option<DiskFacts>,
    /// The ways to members that were tried.
    pub links: Vec<LinkFacts>,
    /// Whose datagrams are not taken in. Their sources can be forged.
    pub strangers: Vec<StrangerFacts>,
}

/// See [`Examination::process`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ProcessFacts {
    /// Its number.
    pub pid: u32,
    /// How long it runs, in milliseconds.
    pub uptime_ms: u64,
    /// What its wall clock shows, in milliseconds since 1970.
    pub unix_ms: u64,
    /// Times that the wall clock was set while it ran.
    pub clock_jumps: u64,
    /// By how many milliseconds the last time; negative: back.
    pub clock_jump_ms: i64,
    /// How many milliseconds ago that was.
    pub clock_jump_ago_ms: Option<u64>,
    /// Times that it did not run though it should have.
    pub stalls: u64,
    /// The longest such time, in milliseconds.
    pub stall_longest_ms: u64,
    /// How much it doubts itself; 0: not at all.
    pub local_health: u64,
    /// Processes that wait for a processor, over the last minute and in thousandths.
    pub load_milli: Option<u64>,
    /// Processors.
    pub processors: Option<u64>,
    /// Open file descriptors.
    pub files: Option<u64>,
    /// How many it may have.
    pub files_max: Option<u64>,
}

/// See [`Examination::socket`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SocketFacts {
    /// Bytes that may wait to be received, as the kernel counts them (twice what was granted).
    pub receive_buffer: Option<u64>,
    /// Bytes that may wait to be sent, as the kernel counts them.
    pub send_buffer: Option<u64>,
    /// What was asked for, for each.
    pub buffer_wanted: u64,
    /// `net.core.rmem_max`.
    pub receive_buffer_max: Option<u64>,
    /// Datagrams that the kernel dropped since they found no room.
    pub drops: Option<u64>,
    /// Sends that failed.
    pub sends_failed: u64,
    /// The largest datagram that is sent and accepted, in bytes.
    pub datagram_max: u64,
}

/// See [`Examination::disk`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DiskFacts {
    /// The directory.
    pub path: String,
    /// Why it cannot be written to, if so.
    pub error: Option<String>,
    /// Free bytes for the agent's user.
    pub free: Option<u64>,
    /// Files that can still be made.
    pub free_files: Option<u64>,
    /// Writes of the state that failed.
    pub writes_failed: u64,
}

/// How datagrams of one size fared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TripFacts {
    /// Microseconds until the answer; `None`: there was none.
    pub rtt_us: Option<u64>,
    /// Whether they arrived there, as far as anybody could say.
    pub arrived: Option<bool>,
}

/// The way to one member and back.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LinkFacts {
    /// Its name.
    pub node: String,
    /// Where it was asked.
    pub address: String,
    /// What was believed of it then: `alive`, `suspect`, `failed`.
    pub status: String,
    /// Small datagrams.
    pub small: TripFacts,
    /// Datagrams of the largest size.
    pub large: TripFacts,
    /// Where this agent's datagrams come from, as seen there.
    pub saw: Option<String>,
    /// By how many milliseconds the wall clock there is ahead.
    pub skew_ms: Option<i64>,
}

/// Somebody whose datagrams are not taken in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct StrangerFacts {
    /// Where they come from, they say.
    pub address: String,
    /// The word for the reason, as in `shoal_datagrams_dropped_total`, or `name_taken`.
    pub why: String,
    /// The name that is wanted, where that is the reason.
    pub name: Option<String>,
    /// How often.
    pub count: u64,
    /// Milliseconds since the last time.
    pub ago_ms: u64,
}
