use super::{Coordinate, Generation, NodeKey};
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

/// Counter inside one generation that only its owner raises, to refute a suspicion
/// (SWIM, Das et al. 2002, section 4.2).
pub type Incarnation = u16;

/// What this agent believes of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MemberStatus {
    /// It answers probes, or nobody has said otherwise.
    Alive,
    /// A probe failed; it has time to refute.
    Suspect,
    /// It did not refute in time. Its instances are critical until they are reaped.
    Failed,
    /// It said that it goes. Its instances are gone.
    Left,
}

impl MemberStatus {
    /// The word for it, in lower case.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Alive => "alive",
            Self::Suspect => "suspect",
            Self::Failed => "failed",
            Self::Left => "left",
        }
    }

    /// Alive or suspect: its instances count.
    pub const fn is_live(self) -> bool {
        matches!(self, Self::Alive | Self::Suspect)
    }
}

impl fmt::Display for MemberStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One member as this agent sees it. Name, tags and the rest are in its
/// [`NodeRecord`](super::NodeRecord), which travels with the catalog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Stands for the node's name.
    pub key: NodeKey,
    /// The run of the node that is meant.
    pub generation: Generation,
    /// Of that run.
    pub incarnation: Incarnation,
    /// What is believed of it.
    pub status: MemberStatus,
    /// Where it receives datagrams.
    pub addr: SocketAddr,
    /// Smoothed round-trip time of our own probes, once measured.
    pub rtt: Option<Duration>,
    /// Where it is in the network, once it has told and knows it itself.
    pub coordinate: Option<Coordinate>,
    /// It is reachable, but is shown as failed for a while since it kept coming and going.
    pub held: bool,
}
