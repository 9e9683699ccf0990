//! Which membership runs: Shoal's, or one that it is compared with.

use crate::core::Membership;

/// A variant of membership, as files and flags name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Mode {
    /// What ships.
    #[default]
    Shoal,
    /// SWIM with suspicion and Lifeguard's additions, spread by gossip at a fixed tick; see
    /// [`Membership::Lifeguard`].
    Lifeguard,
    /// SWIM with suspicion and nothing else; see [`Membership::Swim`].
    Swim,
    /// The library as it comes, with the configuration that it recommends; no catalog.
    Foca,
}

impl Mode {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Shoal, Self::Lifeguard, Self::Swim, Self::Foca];

    /// Its word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Shoal => "shoal",
            Self::Lifeguard => "lifeguard",
            Self::Swim => "swim",
            Self::Foca => "foca",
        }
    }

    /// The mode called so.
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.word() == word)
    }

    /// What an agent has to be told; `None` where it is no agent that runs.
    pub(crate) const fn membership(self) -> Option<Membership> {
        match self {
            Self::Shoal => Some(Membership::Shoal),
            Self::Lifeguard => Some(Membership::Lifeguard),
            Self::Swim => Some(Membership::Swim),
            Self::Foca => None,
        }
    }
}
