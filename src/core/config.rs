//! The protocol's constants, checked: a [`Config`] that exists is valid.

mod derived;
mod keys;

pub use derived::Effective;
pub use keys::SettingValue;

use crate::wire::seal::SEAL_BYTES;
use std::time::Duration;

/// Why a configuration was refused. Names the key, the value, and what was wanted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key} = {value}: want {want}")]
pub struct ConfigError {
    /// The key as in the configuration file.
    pub key: &'static str,
    /// The value as understood.
    pub value: String,
    /// What would have been accepted.
    pub want: String,
}

/// Timing and limits before they are checked; see [`Config::new`]. Every field is a key of the
/// configuration file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Time between two probes of ours (SWIM's protocol period).
    pub probe_interval: Duration,
    /// Wait for a direct answer before others are asked to probe.
    pub probe_timeout: Duration,
    /// Members asked to probe in our stead.
    pub indirect_probes: usize,
    /// The unit of patience with a suspect is `suspicion_mult * max(1, log10(n)) * probe_interval`.
    pub suspicion_mult: u32,
    /// A suspect that only one member accuses has this many units of patience to refute (Lifeguard's
    /// beta). An agent that hears nobody at all believes it for as long that the fault is its own.
    pub suspicion_stretch: u32,
    /// A suspect that a full crowd accuses has this long to refute; a third of it when the kernels of
    /// all of them say that nobody listens there.
    pub suspicion_min: Duration,
    /// Accusers beyond the first that make a full crowd, or everybody else in a smaller cluster
    /// (Lifeguard's K). With `c` of `k` there, the time to refute is
    /// `max - (max - min) * ln(c + 1) / ln(k + 1)`.
    pub suspicion_confirmations: u32,
    /// Members that probe a suspect themselves as soon as they hear of it, chosen by rendezvous
    /// hash.
    pub witnesses: usize,
    /// How far a node may doubt itself (Lifeguard's S): its probe interval and its waits are up to
    /// one more than this times as long. Small groups that are cut off together have to find out in
    /// time, and false verdicts are kept away by other means, so it is less than Lifeguard's 8.
    pub health_max: u32,
    /// A member that failed a second time, its process alive, is shown as failed until it was
    /// reachable for this long without a suspicion; twice as long after the next failure, and so on.
    /// 0 shows every return at once.
    pub hold_min: Duration,
    /// The longest such time. Ten of it without a failure, and the member's past is forgotten.
    pub hold_max: Duration,
    /// A check of this host that became worse for the fourth time is told to others as it was at its
    /// worst until it was better for this long; twice as long after the next time, and so on. 0 tells
    /// every return at once.
    pub check_hold_min: Duration,
    /// The longest such time. Ten of it without becoming worse, and the check's past is forgotten.
    pub check_hold_max: Duration,
    /// Failed and left members are remembered for this long.
    pub reap_after: Duration,
    /// Members that each eager round goes to.
    pub gossip_fanout: usize,
    /// The most gossip bytes per second, averaged over a second.
    pub gossip_bytes_per_s_max: usize,
    /// Largest datagram in bytes, header included.
    pub max_datagram_bytes: usize,
    /// Largest record in bytes.
    pub max_record_bytes: usize,
    /// Services and checks that one node may have.
    pub max_entries_per_node: usize,
    /// Members that may be known, failed and left ones included.
    pub max_members: usize,
    /// Rumours that may wait to be spread; what is shed is repaired by anti-entropy.
    pub max_rumours: usize,
    /// How long our table must be at rest before a peer's differing digest is looked into.
    pub sync_after: Duration,
    /// Time between two attempts to reach a failed member or an unanswered join address.
    pub heal_interval: Duration,
    /// Longest time that leaving may take.
    pub leave_timeout: Duration,
    /// Peers that must confirm before a leaver goes (fewer in smaller clusters).
    pub leave_acks: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self::lan()
    }
}

impl Settings {
    /// For hosts within a few milliseconds of each other.
    pub const fn lan() -> Self {
        Self {
            probe_interval: Duration::from_secs(1),
            probe_timeout: Duration::from_millis(500),
            indirect_probes: 3,
            suspicion_mult: 4,
            suspicion_stretch: 6,
            suspicion_min: Duration::from_secs(2),
            suspicion_confirmations: 3,
            witnesses: 6,
            health_max: 2,
            hold_min: Duration::from_secs(30),
            hold_max: Duration::from_secs(120),
            check_hold_min: Duration::from_secs(5),
            check_hold_max: Duration::from_secs(60),
            reap_after: Duration::from_secs(72 * 3600),
            gossip_fanout: 3,
            gossip_bytes_per_s_max: 1_000_000,
            max_datagram_bytes: 1_400,
            max_record_bytes: 16 * 1024,
            max_entries_per_node: 50_000,
            max_members: 20_000,
            max_rumours: 100_000,
            sync_after: Duration::from_millis(500),
            heal_interval: Duration::from_secs(3),
            leave_timeout: Duration::from_secs(4),
            leave_acks: 3,
        }
    }

    /// For hosts on different continents.
    pub const fn wan() -> Self {
        Self {
            probe_interval: Duration::from_secs(3),
            probe_timeout: Duration::from_millis(1_500),
            suspicion_mult: 5,
            suspicion_min: Duration::from_secs(6),
            hold_min: Duration::from_secs(60),
            hold_max: Duration::from_secs(240),
            sync_after: Duration::from_secs(2),
            ..Self::lan()
        }
    }

    /// For agents on one machine.
    pub const fn local() -> Self {
        Self {
            probe_interval: Duration::from_millis(500),
            probe_timeout: Duration::from_millis(100),
            suspicion_mult: 3,
            suspicion_min: Duration::from_secs(1),
            hold_min: Duration::from_secs(15),
            hold_max: Duration::from_secs(60),
            sync_after: Duration::from_millis(250),
            ..Self::lan()
        }
    }
}

/// Smallest datagram that carries every fixed-size frame.
pub const DATAGRAM_BYTES_MIN: usize = 1_200;
/// Largest datagram: what UDP over IPv4 can carry.
pub const DATAGRAM_BYTES_MAX: usize = 65_507;
/// Largest record that chunked pulls can carry.
pub const RECORD_BYTES_MAX: usize = 16 * 1024;

/// How members are watched. Agents that ship use [`Self::Shoal`]; the others leave out what it adds
/// and are there to measure against, in simulations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Membership {
    /// SWIM with suspicion (Das, Gupta, Motivala 2002), spread by gossip at a fixed tick, as
    /// memberlist does it. Whoever hears of a suspicion times it himself.
    Swim,
    /// The same with Lifeguard's three extensions (Dadgar, Phillips, Currey 2018): agents that doubt
    /// themselves probe slower, suspicions are the shorter the more members accuse, and whoever
    /// talks to a suspect tells it.
    Lifeguard,
    /// Everything.
    #[default]
    Shoal,
}

/// Checked timing and limits.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Config {
    settings: Settings,
    membership: Membership,
    sealed: bool,
}

impl std::ops::Deref for Config {
    type Target = Settings;
    fn deref(&self) -> &Settings {
        &self.settings
    }
}

/// Time between two rounds of gossip where it ticks: memberlist's default.
const GOSSIP_TICK: Duration = Duration::from_millis(200);
/// The worst that a node thinks of itself in [`Membership::Lifeguard`], as in its paper.
const LIFEGUARD_HEALTH_MAX: u32 = 8;
/// Probe intervals of its own, as long as they are at present, without any datagram after which an agent thinks that it cannot hear.
const DEAF_INTERVALS: u32 = 2;
/// Round trips that a direct answer may take before others are asked; a fifth of `probe_timeout`
/// at least, all of it at most.
const ROUND_TRIPS: u32 = 4;

impl Config {
    /// Checks `settings`; the error names the first key that cannot be.
    pub fn new(settings: Settings) -> Result<Self, ConfigError> {
        let s = &settings;
        let ms = Duration::from_millis;
        let hour = Duration::from_secs(3_600);
        duration("probe_interval", s.probe_interval, ms(10), hour)?;
        duration("probe_timeout", s.probe_timeout, ms(1), hour)?;
        if s.probe_timeout >= s.probe_interval {
            return Err(ConfigError {
                key: "probe_timeout",
                value: format!("{:?}", s.probe_timeout),
                want: format!("less than probe_interval ({:?})", s.probe_interval),
            });
        }
        duration("reap_after", s.reap_after, Duration::from_secs(10), hour * 24 * 365)?;
        duration("sync_after", s.sync_after, ms(10), hour)?;
        duration("heal_interval", s.heal_interval, ms(100), hour)?;
        duration("leave_timeout", s.leave_timeout, ms(10), ms(4_500))?;
        number("indirect_probes", s.indirect_probes, 1, 16)?;
        number("suspicion_mult", s.suspicion_mult as usize, 1, 100)?;
        number("suspicion_stretch", s.suspicion_stretch as usize, 1, 100)?;
        duration("suspicion_min", s.suspicion_min, ms(10), hour)?;
        number("suspicion_confirmations", s.suspicion_confirmations as usize, 1, 16)?;
        number("witnesses", s.witnesses, 1, 64)?;
        number("health_max", s.health_max as usize, 0, 100)?;
        duration("hold_min", s.hold_min, ms(0), hour)?;
        duration("hold_max", s.hold_max, s.hold_min, hour * 24)?;
        duration("check_hold_min", s.check_hold_min, ms(0), hour)?;
        duration("check_hold_max", s.check_hold_max, s.check_hold_min, hour * 24)?;
        number("gossip_fanout", s.gossip_fanout, 1, 16)?;
        number("gossip_bytes_per_s_max", s.gossip_bytes_per_s_max, 10_000, 1 << 32)?;
        number("max_datagram_bytes", s.max_datagram_bytes, DATAGRAM_BYTES_MIN, DATAGRAM_BYTES_MAX)?;
        number("max_record_bytes", s.max_record_bytes, 256, RECORD_BYTES_MAX)?;
        number("max_entries_per_node", s.max_entries_per_node, 1, 1 << 20)?;
        number("max_members", s.max_members, 2, 1 << 20)?;
        number("max_rumours", s.max_rumours, 64, 1 << 22)?;
        number("leave_acks", s.leave_acks, 1, 16)?;
        Ok(Self { settings, membership: Membership::Shoal, sealed: false })
    }

    /// The same with another way of watching members.
    #[must_use]
    pub fn with_membership(self, membership: Membership) -> Self {
        Self { membership, ..self }
    }

    /// The same for an agent that seals its datagrams.
    #[must_use]
    pub(crate) fn sealed(self) -> Self {
        Self { sealed: true, ..self }
    }

    /// The most bytes of a datagram before it is sealed, if it is.
    pub(crate) fn plain_bytes_max(&self) -> usize {
        self.max_datagram_bytes - if self.sealed { SEAL_BYTES } else { 0 }
    }

    /// How members are watched.
    pub const fn membership(&self) -> Membership {
        self.membership
    }

    /// Is everything on that Shoal adds to SWIM?
    pub(crate) fn is_complete(&self) -> bool {
        self.membership == Membership::Shoal
    }

    /// The time between rounds of gossip, where they do not follow the news.
    pub(crate) fn gossip_tick(&self) -> Option<Duration> {
        (!self.is_complete()).then_some(GOSSIP_TICK)
    }

    /// Is a `Down` that others report held against the member first?
    pub(crate) fn verifies_downs(&self) -> bool {
        self.is_complete()
    }

    /// Do suspicions travel with the names of those who raise them?
    pub(crate) fn names_accusers(&self) -> bool {
        self.membership != Membership::Swim
    }

    /// Accusers beyond the first that bring a suspicion down to its shortest time.
    pub(crate) fn confirmations(&self) -> u32 {
        if self.names_accusers() { self.suspicion_confirmations } else { 0 }
    }

    /// How long, in a cluster of `live` members, an agent that hears nobody blames itself for it. Of
    /// two, one is as likely as the other.
    pub(crate) fn isolation_timeout(&self, live: usize) -> Duration {
        let units = if live > 2 { self.suspicion_stretch } else { self.suspicion_stretch.min(2) };
        self.suspicion_timeout(live) * units
    }

    /// After this time without any datagram an agent thinks that it cannot hear.
    pub(crate) fn deaf_after(&self) -> Duration {
        self.probe_interval * DEAF_INTERVALS
    }

    /// The wait for a direct answer of a member with this round-trip time before others are asked.
    pub(crate) fn direct_wait(&self, rtt: Option<Duration>) -> Duration {
        let timeout = self.probe_timeout;
        rtt.map_or(timeout, |rtt| (rtt * ROUND_TRIPS).clamp(timeout / 5, timeout))
    }

    /// How much a node may doubt itself; 0 where it never does.
    pub(crate) fn health_max(&self) -> u32 {
        match self.membership {
            Membership::Swim => 0,
            Membership::Lifeguard => LIFEGUARD_HEALTH_MAX,
            Membership::Shoal => self.settings.health_max,
        }
    }

    /// Do members that probe for others say so when they hear nothing?
    pub(crate) fn sends_nacks(&self) -> bool {
        self.health_max() > 0
    }

    /// When such a member says so: while the asker, were it in the best of health, still waits.
    pub(crate) fn nack_after(&self) -> Duration {
        let waits = self.probe_timeout.min(self.probe_interval.saturating_sub(self.probe_timeout));
        waits.mul_f64(0.8)
    }

    /// Is a suspect told of it by whoever talks to it?
    pub(crate) fn tells_suspects(&self) -> bool {
        self.membership != Membership::Swim
    }

    /// Does time in which this agent did not run count for nobody?
    pub(crate) fn forgives_stalls(&self) -> bool {
        self.is_complete()
    }

    /// The unit of patience with a suspect in a cluster of `live` members.
    pub fn suspicion_timeout(&self, live: usize) -> Duration {
        let scale = (live.max(1) as f64).log10().max(1.0);
        self.probe_interval.mul_f64(f64::from(self.suspicion_mult) * scale)
    }

    /// How often a rumour is sent in a cluster of `live` members: `4 * ceil(log10(n + 1))`, at
    /// least 12. Fewer lose rumours in small clusters.
    pub fn transmissions(&self, live: usize) -> u32 {
        let log = ((live + 1) as f64).log10().ceil() as u32;
        (4 * log).max(12)
    }
}

fn duration(key: &'static str, v: Duration, min: Duration, max: Duration) -> Result<(), ConfigError> {
    if v >= min && v <= max {
        return Ok(());
    }
    Err(ConfigError { key, value: format!("{v:?}"), want: format!("{min:?} to {max:?}") })
}

fn number(key: &'static str, v: usize, min: usize, max: usize) -> Result<(), ConfigError> {
    if v >= min && v <= max {
        return Ok(());
    }
    Err(ConfigError { key, value: v.to_string(), want: format!("{min} to {max}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_passes_its_own_validation() {
        for s in [Settings::lan(), Settings::wan(), Settings::local()] {
            Config::new(s).expect("a preset is valid");
        }
    }

    #[test]
    fn errors_name_key_value_and_want() {
        let s = Settings { probe_timeout: Duration::from_secs(2), ..Settings::lan() };
        let e = Config::new(s).expect_err("timeout over interval").to_string();
        assert_eq!(e, "probe_timeout = 2s: want less than probe_interval (1s)");
        let s = Settings { gossip_fanout: 0, ..Settings::lan() };
        let e = Config::new(s).expect_err("no fanout").to_string();
        assert_eq!(e, "gossip_fanout = 0: want 1 to 16");
    }

    #[test]
    fn small_clusters_still_send_each_rumour_twelve_times() {
        let c = Config::default();
        assert_eq!(c.transmissions(2), 12);
        assert_eq!(c.transmissions(100), 12);
        assert_eq!(c.transmissions(1_000), 16);
        assert_eq!(c.transmissions(10_000), 20);
    }
}
