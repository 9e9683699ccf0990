//! Who receives at an address: cookies, and limits for those who have not shown it.
//!
//! A datagram's source can be anything its sender writes there. So before an agent sends much to an
//! address that no member is known at, or takes a life at that address for granted, it sends a
//! cookie there, which is smaller than what it was sent, and goes on when the cookie comes back (as
//! QUIC's Retry does, RFC 9000, section 8.1, and DTLS). Cookies are made from a secret and the
//! address: nothing is kept of those who do not answer. Every table here is bounded.

use crate::core::bucket::{Bucket, Rate};
use crate::model::Instant;
use crate::wire::seal::CookieKey;
use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// A cookie is good in the span it was made in and the next.
const SPAN: Duration = Duration::from_secs(10);
/// How long a proof counts.
const PROVEN_FOR: Duration = Duration::from_secs(60);
/// Addresses that are remembered for having proved it.
const PROVEN_MAX: usize = 1_024;
/// Addresses that were sent something lately: only their challenges are answered.
const CONTACTS_MAX: usize = 1_024;
/// Sources whose wishes are counted.
const SOURCES_MAX: usize = 1_024;
/// Wishes of one source.
const WISHES: Rate = Rate { at_once: 400.0, per_s: 200.0 };
/// Wishes of all addresses of a host together that have shown that they receive: as many agents as start on one
/// host, and no more than costs nothing.
const WISHES_OF_PROVEN: Rate = Rate { at_once: 8_000.0, per_s: 2_000.0 };

pub(crate) struct Proofs {
    cookies: CookieKey,
    proven: BTreeMap<SocketAddr, Instant>,
    proven_order: VecDeque<(SocketAddr, Instant)>,
    contacts: VecDeque<SocketAddr>,
    sources: BTreeMap<Source, Bucket>,
    sources_order: VecDeque<Source>,
    /// Challenges that were sent.
    pub(crate) challenges: u64,
}

/// Whose wishes are counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Source {
    /// All of a host that have shown nothing.
    Host(IpAddr),
    /// All of a host that have shown that they receive.
    ProvenHost(IpAddr),
    /// One that has shown that it receives. Fifty agents that start on one host are fifty.
    Proven(SocketAddr),
}

impl Source {
    const fn rate(self) -> Rate {
        match self {
            Self::Host(_) | Self::Proven(_) => WISHES,
            Self::ProvenHost(_) => WISHES_OF_PROVEN,
        }
    }
}

/// The host at `addr`, whichever port it speaks from: an IPv4 address, or the IPv6 network that a host is given.
fn host(addr: SocketAddr) -> IpAddr {
    match addr.ip() {
        IpAddr::V4(ip) => IpAddr::V4(ip),
        IpAddr::V6(ip) => IpAddr::V6((u128::from(ip) >> 64 << 64).into()),
    }
}

impl Proofs {
    pub(crate) fn new(secret: &[u8; 32]) -> Self {
        Self {
            cookies: CookieKey::new(secret),
            proven: BTreeMap::new(),
            proven_order: VecDeque::new(),
            contacts: VecDeque::new(),
            sources: BTreeMap::new(),
            sources_order: VecDeque::new(),
            challenges: 0,
        }
    }

    fn span(now: Instant) -> u64 {
        now.as_nanos() / u64::try_from(SPAN.as_nanos()).unwrap_or(u64::MAX)
    }

    /// What somebody who receives at `addr` can show.
    pub(crate) fn cookie(&mut self, addr: SocketAddr, now: Instant) -> u64 {
        self.challenges += 1;
        self.cookies.cookie(addr, Self::span(now))
    }

    /// A cookie came back from `addr`; says whether it is one for that address.
    pub(crate) fn show(&mut self, addr: SocketAddr, cookie: u64, now: Instant) -> bool {
        let span = Self::span(now);
        let good = [span, span.saturating_sub(1)].iter().any(|s| self.cookies.cookie(addr, *s) == cookie);
        if good {
            self.proven_order.push_back((addr, now));
            self.proven.insert(addr, now);
            while self.proven.len() > PROVEN_MAX || self.proven_order.len() > 2 * PROVEN_MAX {
                let Some((oldest, at)) = self.proven_order.pop_front() else { break };
                if self.proven.get(&oldest) == Some(&at) {
                    self.proven.remove(&oldest);
                }
            }
        }
        good
    }

    pub(crate) fn is_proven(&self, addr: SocketAddr, now: Instant) -> bool {
        self.proven.get(&addr).is_some_and(|at| now.since(*at) < PROVEN_FOR)
    }

    /// Something is sent there.
    pub(crate) fn note_contact(&mut self, addr: SocketAddr) {
        if self.contacts.back() == Some(&addr) {
            return;
        }
        if self.contacts.len() >= CONTACTS_MAX {
            self.contacts.pop_front();
        }
        self.contacts.push_back(addr);
    }

    /// Whether a challenge from there can be the answer to something of ours. Answering others would
    /// prove to them what we did not want proven.
    pub(crate) fn is_contact(&self, addr: SocketAddr) -> bool {
        self.contacts.contains(&addr)
    }

    /// Counts a wish of whoever is at `addr`; says whether it may be looked at.
    pub(crate) fn admits(&mut self, addr: SocketAddr, now: Instant) -> bool {
        if self.is_proven(addr, now) {
            self.take(Source::Proven(addr), now) && self.take(Source::ProvenHost(host(addr)), now)
        } else {
            self.take(Source::Host(host(addr)), now)
        }
    }

    fn take(&mut self, source: Source, now: Instant) -> bool {
        if !self.sources.contains_key(&source) {
            if self.sources.len() >= SOURCES_MAX
                && let Some(oldest) = self.sources_order.pop_front()
            {
                self.sources.remove(&oldest);
            }
            self.sources_order.push_back(source);
        }
        self.sources.entry(source).or_insert(Bucket::new(source.rate(), now)).take(source.rate(), now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addr(n: u32) -> SocketAddr {
        SocketAddr::new(IpAddr::V4(n.into()), 7_946)
    }

    #[test]
    fn a_cookie_proves_one_address_for_a_while() {
        let mut proofs = Proofs::new(&[1; 32]);
        let now = Instant::START + Duration::from_secs(100);
        let cookie = proofs.cookie(addr(1), now);
        assert!(!proofs.show(addr(2), cookie, now));
        assert!(!proofs.is_proven(addr(1), now));
        assert!(!proofs.show(addr(1), cookie, now + 3 * SPAN));
        assert!(proofs.show(addr(1), cookie, now + SPAN));
        assert!(proofs.is_proven(addr(1), now + SPAN));
        assert!(!proofs.is_proven(addr(1), now + SPAN + PROVEN_FOR));
        assert!(!Proofs::new(&[2; 32]).show(addr(1), cookie, now));
    }

    #[test]
    fn one_source_is_slowed_down_and_others_are_not() {
        let mut proofs = Proofs::new(&[1; 32]);
        let now = Instant::START;
        let admitted = (0..10_000).filter(|_| proofs.admits(addr(1), now)).count();
        assert_eq!(admitted, WISHES.at_once as usize);
        assert!(proofs.admits(addr(2), now));
        assert!(proofs.admits(addr(1), now + Duration::from_secs(1)));
    }

    #[test]
    fn who_has_shown_that_it_receives_is_counted_by_itself() {
        let mut proofs = Proofs::new(&[1; 32]);
        let now = Instant::START + Duration::from_secs(100);
        let at = |port| SocketAddr::new(addr(1).ip(), port);
        while proofs.admits(at(1), now) {}
        assert!(!proofs.admits(at(2), now), "its host has used up what it may");
        let cookie = proofs.cookie(at(2), now);
        assert!(proofs.show(at(2), cookie, now));
        let admitted = (0..10_000).filter(|_| proofs.admits(at(2), now)).count();
        assert_eq!(admitted, WISHES.at_once as usize);
        assert!(!proofs.admits(at(3), now));
    }

    #[test]
    fn a_host_does_not_get_more_by_showing_ever_more_addresses() {
        let mut proofs = Proofs::new(&[1; 32]);
        let now = Instant::START + Duration::from_secs(100);
        let mut admitted = 0;
        for port in 1..200 {
            let at = SocketAddr::new(addr(1).ip(), port);
            let cookie = proofs.cookie(at, now);
            assert!(proofs.show(at, cookie, now));
            admitted += (0..1_000).filter(|_| proofs.admits(at, now)).count();
        }
        assert_eq!(admitted, WISHES_OF_PROVEN.at_once as usize);
    }

    #[test]
    fn no_table_grows_past_its_bound() {
        let mut proofs = Proofs::new(&[1; 32]);
        let now = Instant::START;
        for n in 0..10_000 {
            let cookie = proofs.cookie(addr(n), now);
            assert!(proofs.show(addr(n), cookie, now) && proofs.show(addr(n), cookie, now));
            proofs.note_contact(addr(n));
            proofs.admits(addr(n), now);
        }
        assert!(proofs.proven.len() <= PROVEN_MAX && proofs.proven_order.len() <= 2 * PROVEN_MAX);
        assert!(proofs.sources.len() <= SOURCES_MAX && proofs.sources_order.len() <= SOURCES_MAX);
        assert_eq!(proofs.contacts.len(), CONTACTS_MAX);
        assert!(proofs.is_proven(addr(9_999), now) && !proofs.is_proven(addr(1), now));
    }
}
