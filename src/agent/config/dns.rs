//! The DNS server in the agent's configuration.

use super::{ConfigFault, RawConfig, address};
use crate::dns::{Options, ServiceTtl, Soa, Zone};
use crate::model::{DURATION_WANT, parse_duration, show_duration};
use std::net::SocketAddr;
use std::time::Duration;

/// Its keys.
pub(super) const KEYS: &[&str] = &[
    "dns",
    "dns_domain",
    "dns_alt_domain",
    "dns_recursors",
    "dns_recursor_timeout",
    "dns_only_passing",
    "dns_node_ttl",
    "dns_service_ttl",
    "dns_a_record_limit",
    "dns_udp_answer_limit",
    "dns_enable_truncate",
    "dns_node_meta_txt",
    "dns_soa_refresh",
    "dns_soa_retry",
    "dns_soa_expire",
    "dns_soa_min_ttl",
];

/// The port of recursors when none is written.
const PORT: u16 = 53;
/// The longest time that a record may be kept (RFC 2181, 8).
const TTL_MAX: u64 = i32::MAX as u64;
const TTL_WANT: &str = r#"whole seconds up to 68 years, such as "5s" or "1m""#;
const ZONE_WANT: &str = "a domain name of at most 63 characters, such as \"consul\", not below arpa";
const RECURSORS_WANT: &str = "ADDR[:PORT] with an IP address, such as 10.0.0.2 (or a list of them)";
const SERVICE_TTL_WANT: &str =
    r#"a table of service names, prefixes such as "web*", or "*", each with whole seconds such as "5s""#;

/// Where DNS is served and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DnsConfig {
    pub(super) addr: Option<SocketAddr>,
    pub(super) options: Options,
}

impl DnsConfig {
    pub(super) fn from_raw(raw: &RawConfig) -> Result<Self, ConfigFault> {
        let want = "an address of this host with a port, such as 127.0.0.1:8600";
        let addr =
            raw.parsed("dns", want, |s| s.parse().ok().filter(|a: &SocketAddr| !a.ip().is_unspecified()))?;
        let plain = Options::default();
        let recursors = recursors(raw)?;
        if addr.is_some_and(|own| recursors.contains(&own)) {
            return Err(raw.fault("dns_recursors", "other servers than this agent's own (dns)"));
        }
        let timeout = raw.parsed("dns_recursor_timeout", DURATION_WANT, parse_duration)?;
        let timeout = timeout.unwrap_or(plain.recursor_timeout);
        if !(Duration::from_millis(1)..=Duration::from_secs(60)).contains(&timeout) {
            return Err(raw.fault("dns_recursor_timeout", "1ms to 1m"));
        }
        let options = Options {
            zone: raw.parsed("dns_domain", ZONE_WANT, Zone::new)?.unwrap_or(plain.zone),
            alt_zone: raw.parsed("dns_alt_domain", ZONE_WANT, Zone::new)?,
            only_passing: raw.flag_or("dns_only_passing", plain.only_passing)?,
            node_ttl: ttl(raw, "dns_node_ttl", plain.node_ttl)?,
            service_ttl: service_ttl(raw)?,
            a_record_limit: count(raw, "dns_a_record_limit", plain.a_record_limit)?,
            udp_answer_limit: count(raw, "dns_udp_answer_limit", plain.udp_answer_limit)?,
            enable_truncate: raw.flag_or("dns_enable_truncate", plain.enable_truncate)?,
            node_meta_txt: raw.flag_or("dns_node_meta_txt", plain.node_meta_txt)?,
            soa: Soa {
                refresh: ttl(raw, "dns_soa_refresh", plain.soa.refresh)?,
                retry: ttl(raw, "dns_soa_retry", plain.soa.retry)?,
                expire: ttl(raw, "dns_soa_expire", plain.soa.expire)?,
                minimum: ttl(raw, "dns_soa_min_ttl", plain.soa.minimum)?,
            },
            recursors,
            recursor_timeout: timeout,
        };
        if options.udp_answer_limit == 0 {
            return Err(raw.fault("dns_udp_answer_limit", "1 or more"));
        }
        Ok(Self { addr, options })
    }

    /// Where DNS is served, over UDP and TCP, if it is.
    pub const fn addr(&self) -> Option<SocketAddr> {
        self.addr
    }

    /// How.
    pub const fn options(&self) -> &Options {
        &self.options
    }

    /// The file that says the same.
    pub(super) fn show(&self, table: &mut toml::Table) {
        let Options { soa, .. } = &self.options;
        let o = &self.options;
        let seconds = |s: u32| toml::Value::from(show_duration(Duration::from_secs(s.into())));
        let number = |n: usize| toml::Value::Integer(n.try_into().unwrap_or(i64::MAX));
        let mut put = |key: &str, value: toml::Value| {
            table.insert(key.to_owned(), value);
        };
        if let Some(addr) = self.addr {
            put("dns", addr.to_string().into());
        }
        put("dns_domain", o.zone.as_str().into());
        if let Some(zone) = &o.alt_zone {
            put("dns_alt_domain", zone.as_str().into());
        }
        put("dns_recursors", o.recursors.iter().map(ToString::to_string).collect::<Vec<_>>().into());
        put("dns_recursor_timeout", show_duration(o.recursor_timeout).into());
        put("dns_only_passing", o.only_passing.into());
        put("dns_node_ttl", seconds(o.node_ttl));
        let ttls: toml::Table = o.service_ttl.patterns().map(|(name, s)| (name, seconds(s))).collect();
        put("dns_service_ttl", ttls.into());
        put("dns_a_record_limit", number(o.a_record_limit));
        put("dns_udp_answer_limit", number(o.udp_answer_limit));
        put("dns_enable_truncate", o.enable_truncate.into());
        put("dns_node_meta_txt", o.node_meta_txt.into());
        put("dns_soa_refresh", seconds(soa.refresh));
        put("dns_soa_retry", seconds(soa.retry));
        put("dns_soa_expire", seconds(soa.expire));
        put("dns_soa_min_ttl", seconds(soa.minimum));
    }
}

fn seconds(text: &str) -> Option<u32> {
    let duration = parse_duration(text)?;
    let whole = duration.subsec_nanos() == 0 && duration.as_secs() <= TTL_MAX;
    whole.then(|| u32::try_from(duration.as_secs()).ok()).flatten()
}

fn ttl(raw: &RawConfig, key: &str, default: u32) -> Result<u32, ConfigFault> {
    Ok(raw.parsed(key, TTL_WANT, seconds)?.unwrap_or(default))
}

fn count(raw: &RawConfig, key: &str, default: usize) -> Result<usize, ConfigFault> {
    let Some(n) = raw.number(key)? else { return Ok(default) };
    usize::try_from(n).map_err(|_| raw.fault(key, "a smaller number"))
}

fn recursors(raw: &RawConfig) -> Result<Vec<SocketAddr>, ConfigFault> {
    let parse = |text: &String| {
        let addr = address::with_port(text, PORT).filter(|a| !a.ip().is_unspecified() && a.port() != 0);
        addr.ok_or_else(|| raw.fault("dns_recursors", RECURSORS_WANT))
    };
    raw.texts("dns_recursors", RECURSORS_WANT)?.iter().map(parse).collect()
}

fn service_ttl(raw: &RawConfig) -> Result<ServiceTtl, ConfigFault> {
    let fault = || raw.fault("dns_service_ttl", SERVICE_TTL_WANT);
    let Some(table) = raw.table("dns_service_ttl", SERVICE_TTL_WANT)? else {
        return Ok(ServiceTtl::default());
    };
    let mut patterns = Vec::with_capacity(table.len());
    for (name, value) in table {
        let star = name.strip_suffix('*').unwrap_or(name);
        let seconds = value.as_str().and_then(seconds).filter(|_| !name.is_empty() && !star.contains('*'));
        patterns.push((name.clone(), seconds.ok_or_else(fault)?));
    }
    Ok(ServiceTtl::new(patterns))
}

#[cfg(test)]
pub(super) fn defaults() -> toml::Table {
    let mut table = toml::Table::new();
    DnsConfig { addr: None, options: Options::default() }.show(&mut table);
    table
}
