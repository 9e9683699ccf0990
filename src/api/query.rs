//! Query strings: what the parameters of a request mean.
//!
//! Values are looked up by exact name; of several the first counts, except where all do. A flag is
//! on when its name is there at all.

use super::duration;
use super::reply::Failure;
use http::{HeaderMap, StatusCode};
use percent_encoding::percent_decode_str;
use std::time::Duration;

/// The parameters of one request, decoded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    /// Splits and decodes a query string. Undecodable text is answered as Consul does: 500, empty.
    pub(super) fn parse(raw: &str) -> Result<Self, Failure> {
        let mut pairs = Vec::new();
        for part in raw.split('&').filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let bad = || Failure::new(StatusCode::INTERNAL_SERVER_ERROR, "");
            pairs.push((decode(name, true).ok_or_else(bad)?, decode(value, true).ok_or_else(bad)?));
        }
        Ok(Self(pairs))
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(n, _)| n == name)
    }

    /// The first value; empty when the parameter has none or is not there.
    pub(super) fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(n, _)| n == name).map_or("", |(_, v)| v)
    }

    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(n, _)| n == name).map(|(_, v)| v.as_str())
    }
}

/// Decodes `%XX`, and `+` as a space in query strings; `None` for what is not UTF-8 or not `%XX`.
pub(super) fn decode(text: &str, plus_is_space: bool) -> Option<String> {
    let text = if plus_is_space { text.replace('+', " ") } else { text.to_owned() };
    let bytes = text.as_bytes();
    let broken = bytes.iter().enumerate().any(|(i, b)| {
        *b == b'%' && !bytes.get(i + 1..i + 3).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit))
    });
    if broken {
        return None;
    }
    percent_decode_str(&text).decode_utf8().ok().map(|text| text.into_owned())
}

/// The spellings of a boolean that Go accepts.
pub(super) fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}

/// Refuses namespaces and partitions other than the default, in the query or the headers.
pub(super) fn check_tenancy(query: &Query, headers: &HeaderMap) -> Result<(), Failure> {
    let kinds = [
        ("ns", "X-Consul-Namespace", "Namespaces are a Consul Enterprise feature"),
        ("partition", "X-Consul-Partition", "Partitions are a Consul Enterprise feature"),
    ];
    for (parameter, header, why) in kinds {
        if !matches!(query.get(parameter), "" | "default") {
            return Err(Failure::bad(format!("Invalid query parameter: {parameter:?} - {why}")));
        }
        let value = headers.get(header).map(|v| v.to_str().unwrap_or("?"));
        if !matches!(value, None | Some("" | "default")) {
            return Err(Failure::bad(format!("Invalid header: {header:?} - {why}")));
        }
    }
    Ok(())
}

/// Refuses datacenters other than this one.
pub(super) fn check_datacenter(query: &Query, datacenter: &str) -> Result<(), Failure> {
    let wanted = if query.has("datacenter") { query.get("datacenter") } else { query.get("dc") };
    if wanted.is_empty() || wanted == datacenter {
        return Ok(());
    }
    Err(Failure::new(StatusCode::INTERNAL_SERVER_ERROR, "No path to datacenter"))
}

/// How long a blocked query may wait: what is used when the caller names nothing, and the most.
#[derive(Debug, Clone, Copy)]
pub(super) struct WaitLimits {
    pub(super) default: Duration,
    pub(super) max: Duration,
}

/// What every read of catalog and health accepts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ReadOptions {
    /// The index the caller knows; 0: answer now.
    pub(super) index: u64,
    /// How long to wait for another.
    pub(super) wait: Duration,
    /// The caller asked for the agent's cache and wants to be told about it.
    pub(super) cached: bool,
    pub(super) tags: Vec<String>,
    pub(super) node_meta: Vec<(String, String)>,
    /// Sort by distance to this node (`_agent`: this one); empty: do not.
    pub(super) near: String,
    /// A peering partner, of which there are none here.
    pub(super) peer: String,
    pub(super) filter: String,
}

impl ReadOptions {
    pub(super) fn parse(
        query: &Query,
        headers: &HeaderMap,
        datacenter: &str,
        limits: WaitLimits,
    ) -> Result<Self, Failure> {
        let (index, wait) = parse_blocking(query, limits)?;
        let consistent = query.has("consistent");
        for (name, other) in [("stale", consistent), ("cached", consistent)] {
            if other && query.has(name) {
                let text = format!("Cannot specify ?{name} with ?consistent, conflicting semantics.");
                return Err(Failure::bad(text));
            }
        }
        let max_stale = query.get("max_stale");
        if !max_stale.is_empty() && duration::parse(max_stale).is_err() {
            return Err(Failure::bad(format!("Invalid max_stale value {max_stale:?}")));
        }
        let cached = query.has("cached");
        if cached {
            check_cache_control(headers)?;
        }
        check_tenancy(query, headers)?;
        check_datacenter(query, datacenter)?;
        let node_meta = query
            .all("node-meta")
            .map(|pair| {
                let (key, value) = pair.split_once(':').unwrap_or((pair, ""));
                (key.to_owned(), value.to_owned())
            })
            .collect();
        Ok(Self {
            index,
            wait,
            cached,
            tags: query.all("tag").map(str::to_lowercase).collect(),
            node_meta,
            near: query.get("near").to_owned(),
            peer: query.get("peer").to_owned(),
            filter: query.get("filter").to_owned(),
        })
    }
}

/// `index` and `wait`, which are checked even when the query does not block.
pub(super) fn parse_blocking(query: &Query, limits: WaitLimits) -> Result<(u64, Duration), Failure> {
    let wait = match query.get("wait") {
        "" => 0,
        text => duration::parse(text).map_err(|_| Failure::bad("Invalid wait time"))?,
    };
    let index = match query.get("index") {
        "" => 0,
        text => text.parse().map_err(|_| Failure::bad("Invalid index"))?,
    };
    let wait = if wait <= 0 { limits.default } else { duration::to_std(wait) };
    Ok((index, wait.min(limits.max)))
}

fn check_cache_control(headers: &HeaderMap) -> Result<(), Failure> {
    let invalid = || Failure::bad("Invalid Cache-Control header.");
    for value in headers.get_all(http::header::CACHE_CONTROL) {
        let value = value.to_str().map_err(|_| invalid())?;
        for directive in value.split(',') {
            let Some((name, seconds)) = directive.trim().split_once('=') else { continue };
            if matches!(name, "max-age" | "stale-if-error") && seconds.parse::<u64>().is_err() {
                return Err(invalid());
            }
        }
    }
    Ok(())
}

/// `passing`: bare or true: only instances all of whose checks pass.
pub(super) fn parse_passing(query: &Query) -> Result<bool, Failure> {
    if !query.has("passing") {
        return Ok(false);
    }
    match query.get("passing") {
        "" => Ok(true),
        text => parse_bool(text).ok_or_else(|| Failure::bad("Invalid value for ?passing")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: WaitLimits =
        WaitLimits { default: Duration::from_secs(300), max: Duration::from_secs(600) };

    fn options(raw: &str) -> Result<ReadOptions, (u16, String)> {
        let told = |f: Failure| (f.status.as_u16(), f.text);
        let query = Query::parse(raw).map_err(told)?;
        ReadOptions::parse(&query, &HeaderMap::new(), "dc1", LIMITS).map_err(told)
    }

    #[test]
    fn what_clients_send_is_understood() {
        let got = options(
            "dc=dc1&stale&index=7&wait=525s&tag=Prom&tag=a+b&node-meta=rack%3Ar1&near=_agent&unknown=1",
        )
        .expect("valid");
        assert_eq!((got.index, got.wait), (7, Duration::from_secs(525)));
        assert_eq!(got.tags, ["prom", "a b"]);
        assert_eq!(got.node_meta, [("rack".to_owned(), "r1".to_owned())]);
        let got = options("index=0&dc=&consistent=").expect("valid");
        assert_eq!((got.index, got.wait), (0, Duration::from_secs(300)));
        assert_eq!(options("wait=700s").expect("valid").wait, Duration::from_secs(600));
        assert_eq!(options("wait=-1s").expect("valid").wait, Duration::from_secs(300));
        assert_eq!(options("ns=default").map(|o| o.index), Ok(0));
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_the_words_clients_know() {
        let cases = [
            ("wait=60", 400, "Invalid wait time"),
            ("index=x", 400, "Invalid index"),
            ("index=-1", 400, "Invalid index"),
            ("stale&consistent", 400, "Cannot specify ?stale with ?consistent, conflicting semantics."),
            ("cached&consistent", 400, "Cannot specify ?cached with ?consistent, conflicting semantics."),
            ("max_stale=x", 400, "Invalid max_stale value \"x\""),
            ("dc=mars", 500, "No path to datacenter"),
            ("dc=DC1", 500, "No path to datacenter"),
            ("dc=dc1&datacenter=mars", 500, "No path to datacenter"),
            ("ns=x", 400, "Invalid query parameter: \"ns\" - Namespaces are a Consul Enterprise feature"),
            (
                "partition=x",
                400,
                "Invalid query parameter: \"partition\" - Partitions are a Consul Enterprise feature",
            ),
            ("tag=%zz", 500, ""),
            ("tag=%ff", 500, ""),
            ("tag=%4", 500, ""),
        ];
        for (raw, status, text) in cases {
            assert_eq!(options(raw), Err((status, text.to_owned())), "{raw}");
        }
    }

    #[test]
    fn passing_may_be_bare_or_valued() {
        for (raw, want) in [
            ("", Some(false)),
            ("passing", Some(true)),
            ("passing=", Some(true)),
            ("passing=1", Some(true)),
            ("passing=true", Some(true)),
            ("passing=false", Some(false)),
            ("passing=maybe", None),
        ] {
            let query = Query::parse(raw).expect("decodable");
            assert_eq!(parse_passing(&query).ok(), want, "{raw}");
        }
    }
}
