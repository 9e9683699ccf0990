//! A set of hosts in a bit each.

use crate::sim::HostId;

/// Some of a world's hosts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct HostSet {
    words: Vec<u64>,
    count: usize,
}

impl HostSet {
    pub(crate) const fn len(&self) -> usize {
        self.count
    }

    /// Adds the host; says whether it is new.
    pub(crate) fn insert(&mut self, host: HostId) -> bool {
        let (word, bit) = Self::place(host);
        if self.words.len() <= word {
            self.words.resize(word + 1, 0);
        }
        let new = self.words[word] & bit == 0;
        self.words[word] |= bit;
        self.count += usize::from(new);
        new
    }

    /// Takes the host out; says whether it was in.
    pub(crate) fn remove(&mut self, host: HostId) -> bool {
        let (word, bit) = Self::place(host);
        let Some(word) = self.words.get_mut(word).filter(|w| **w & bit != 0) else { return false };
        *word &= !bit;
        self.count -= 1;
        true
    }

    const fn place(host: HostId) -> (usize, u64) {
        (host.index() / 64, 1 << (host.index() % 64))
    }
}

impl FromIterator<HostId> for HostSet {
    fn from_iter<T: IntoIterator<Item = HostId>>(hosts: T) -> Self {
        let mut set = Self::default();
        for host in hosts {
            set.insert(host);
        }
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_in_once_and_out_once() {
        let mut set: HostSet = [3, 64, 3, 1_000].map(HostId).into_iter().collect();
        assert_eq!(set.len(), 3);
        assert!(set.remove(HostId(64)) && !set.remove(HostId(64)) && !set.remove(HostId(5_000)));
        assert!(set.insert(HostId(65)) && !set.insert(HostId(3)));
        assert_eq!(set.len(), 3);
    }
}
