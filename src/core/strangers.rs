//! Whose datagrams are not taken in, by address and reason: for who looks for a fault.

use crate::model::{Instant, NodeName};
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// Addresses and reasons that are remembered.
const STRANGERS_MAX: usize = 64;

/// Somebody whose datagrams are dropped, or who wants a name that another has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stranger {
    /// Where the datagrams come from, they say.
    pub addr: SocketAddr,
    /// The word for the reason: that of a [`Dropped`](crate::wire::Dropped), or `name_taken`.
    pub why: &'static str,
    /// The name that is wanted, where that is the reason.
    pub name: Option<NodeName>,
    /// How often.
    pub count: u64,
    /// The last time.
    pub at: Instant,
}

#[derive(Debug, Default)]
pub(crate) struct Strangers {
    known: BTreeMap<(SocketAddr, &'static str), Stranger>,
}

impl Strangers {
    pub(crate) fn note(
        &mut self,
        addr: SocketAddr,
        why: &'static str,
        name: Option<&NodeName>,
        now: Instant,
    ) {
        if let Some(known) = self.known.get_mut(&(addr, why)) {
            known.count += 1;
            known.at = now;
            return;
        }
        if self.known.len() >= STRANGERS_MAX
            && let Some(oldest) = self.known.iter().min_by_key(|(_, s)| s.at).map(|(key, _)| *key)
        {
            self.known.remove(&oldest);
        }
        let stranger = Stranger { addr, why, name: name.cloned(), count: 1, at: now };
        self.known.insert((addr, why), stranger);
    }

    /// In the order of their addresses.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Stranger> {
        self.known.values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn so_many_strangers_are_remembered_and_the_longest_silent_one_goes() {
        let mut strangers = Strangers::default();
        let addr = |n: u16| SocketAddr::from(([10, 0, 0, 1], n));
        for n in 1..1_000 {
            strangers.note(addr(n), "forged", None, Instant::START + Duration::from_secs(u64::from(n)));
            strangers.note(addr(1), "forged", None, Instant::START + Duration::from_secs(u64::from(n)));
        }
        assert_eq!(strangers.known.len(), STRANGERS_MAX);
        let first = strangers.iter().next().expect("is there");
        assert_eq!((first.addr, first.count), (addr(1), 1_000));
    }
}
