//! Which membership runs: Shoal's, or one that it is compared with.

/// A variant of membership, as files and flags name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Mode {
    /// What ships.
    #[default]
    Shoal,
    /// Shoal's with Lifeguard's additions to SWIM only.
    Lifeguard,
    /// SWIM with suspicion, and nothing else.
    Swim,
    /// The library as it comes.
    Foca,
}

impl Mode {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Shoal, Self::Lifeguard, Self::Swim, Self::Foca];
    /// Their words.
    pub const WORDS: [&'static str; 4] = ["shoal", "lifeguard", "swim", "foca"];

    /// Its word.
    pub const fn word(self) -> &'static str {
        Self::WORDS[self as usize]
    }

    /// The mode called so.
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.word() == word)
    }
}
