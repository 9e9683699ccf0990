//! Which hosts something is about: names, ranges, named groups, and draws from the seed.
//!
//! ```toml
//! nodes = "n3"                                   # a name
//! nodes = "n3..n7"                               # those five
//! nodes = "web*"                                 # every name that begins so
//! nodes = "all"
//! nodes = ["n1", "n3..n7", "twin#2"]             # the second host that bears the name twin
//! nodes = { pick = 4 }                           # four drawn from the seed
//! nodes = { share = 0.01, of = "n1..n99" }       # a hundredth of those, at least one
//! nodes = { of = "all", except = "victims" }     # all but those of a group
//! ```

use super::error::{Fault, one_of};
use super::reader::{Reader, value_fault};
use super::tree::{Item, Value};
use crate::sim::{HostId, seed};
use rand::RngExt as _;
use rand::rngs::SmallRng;
use std::collections::BTreeMap;

const TARGET_WANT: &str = "a node, a range such as n3..n7, a group, a list of these, or { pick = 4 }";

/// The nodes of a file by name, and its groups.
#[derive(Debug, Default)]
pub(super) struct Directory {
    /// In the order in which the file names them; a name may stand on several hosts.
    names: Vec<(String, HostId)>,
    by_name: BTreeMap<String, Vec<HostId>>,
    groups: BTreeMap<String, Vec<HostId>>,
}

/// What draws are made from: the seed, the part of the file, and its number there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Draw {
    pub(super) seed: u64,
    pub(super) part: &'static str,
    pub(super) index: u64,
}

impl Directory {
    pub(super) fn add(&mut self, name: &str, host: HostId) {
        self.names.push((name.to_owned(), host));
        self.by_name.entry(name.to_owned()).or_default().push(host);
    }

    pub(super) fn contains(&self, name: &str) -> bool {
        self.by_name.contains_key(name)
    }

    pub(super) fn len(&self) -> usize {
        self.names.len()
    }

    pub(super) fn name_of(&self, host: HostId) -> &str {
        let found = self.names.iter().find(|(_, h)| *h == host);
        found.map_or("", |(name, _)| name.as_str())
    }

    /// Reads `[groups]`: each may use those before it.
    pub(super) fn read_groups(&mut self, reader: &mut Reader<'_>, seed: u64) -> Result<(), Fault> {
        for (number, (name, item)) in (0_u64..).zip(reader.free()) {
            if self.by_name.contains_key(name) || name == "all" {
                return Err(reader.fault(name, "a group whose name is not that of a node"));
            }
            let draw = Draw { seed, part: "file groups", index: number };
            let hosts = self.hosts(item, &reader.path_of(name), draw)?;
            self.groups.insert(name.to_owned(), hosts);
        }
        Ok(())
    }

    /// The hosts that `item` means, in rising order, each once.
    pub(super) fn hosts(&self, item: &Item, path: &str, draw: Draw) -> Result<Vec<HostId>, Fault> {
        let mut hosts = match &item.value {
            Value::Text(word) => self.word(word, item, path)?,
            Value::List(list) => {
                let mut all = Vec::new();
                for item in list {
                    all.extend(self.hosts(item, path, draw)?);
                }
                all
            }
            Value::Table(table) => self.drawn(&mut Reader::new(table, path), item, path, draw)?,
            Value::Integer(_) | Value::Float(_) | Value::Flag(_) | Value::Other(_) => {
                return Err(value_fault(path, item.line, &item.value, TARGET_WANT));
            }
        };
        hosts.sort_unstable();
        hosts.dedup();
        // `[]` and `{ pick = 0 }` say in so many words that it befalls nobody.
        let meant = match &item.value {
            Value::List(list) => list.is_empty(),
            Value::Table(table) => table.get("pick").is_some_and(|pick| pick.value == Value::Integer(0)),
            _ => false,
        };
        if hosts.is_empty() && !meant {
            return Err(value_fault(path, item.line, &item.value, "at least one node"));
        }
        Ok(hosts)
    }

    /// The one host that `item` means.
    pub(super) fn host(&self, item: &Item, path: &str, draw: Draw) -> Result<HostId, Fault> {
        match self.hosts(item, path, draw)?.as_slice() {
            [host] => Ok(*host),
            hosts => {
                let want = format!("one node, not {}", hosts.len());
                Err(value_fault(path, item.line, &item.value, want))
            }
        }
    }

    fn word(&self, word: &str, item: &Item, path: &str) -> Result<Vec<HostId>, Fault> {
        if word == "all" {
            return Ok(self.names.iter().map(|(_, host)| *host).collect());
        }
        if let Some(hosts) = self.groups.get(word).or_else(|| self.by_name.get(word)) {
            return Ok(hosts.clone());
        }
        if let Some(prefix) = word.strip_suffix('*') {
            let named = self.names.iter().filter(|(name, _)| name.starts_with(prefix));
            return Ok(named.map(|(_, host)| *host).collect());
        }
        if let Some((name, number)) = word.split_once('#')
            && let Some(hosts) = self.by_name.get(name)
        {
            let host = number.parse::<usize>().ok().and_then(|n| hosts.get(n.checked_sub(1)?));
            return host.map(|host| vec![*host]).ok_or_else(|| {
                let want = format!("{name}#1 to {name}#{}", hosts.len());
                value_fault(path, item.line, &item.value, want)
            });
        }
        if let Some(range) = range(word) {
            let mut hosts = Vec::new();
            for name in range {
                let Some(found) = self.by_name.get(&name) else {
                    let want = format!("nodes that exist: there is no {name}");
                    return Err(value_fault(path, item.line, &item.value, want));
                };
                hosts.extend(found);
            }
            return Ok(hosts);
        }
        // Of many nodes the first few say enough.
        let known = self.groups.keys().chain(self.by_name.keys()).map(String::as_str);
        let want = format!(
            "a node or group that exists: {}",
            one_of(word, ["all"].into_iter().chain(known.take(8)))
        );
        Err(value_fault(path, item.line, &item.value, want))
    }

    fn drawn(
        &self,
        reader: &mut Reader<'_>,
        item: &Item,
        path: &str,
        draw: Draw,
    ) -> Result<Vec<HostId>, Fault> {
        let mut pool: Vec<HostId> = match reader.item("of") {
            Some(of) => self.hosts(of, &format!("{path}.of"), draw)?,
            None => self.names.iter().map(|(_, host)| *host).collect(),
        };
        if let Some(except) = reader.item("except") {
            let except = self.hosts(except, &format!("{path}.except"), draw)?;
            pool.retain(|host| !except.contains(host));
        }
        let share = reader.share("share")?;
        let count = reader.whole("pick", 0, u64::from(u16::MAX))?;
        let count = match (count, share) {
            (Some(_), Some(_)) => return Err(reader.fault("share", "either pick or share")),
            (Some(count), None) => usize::try_from(count).unwrap_or(usize::MAX),
            (None, Some(share)) => ((pool.len() as f64 * share).round() as usize).max(1),
            (None, None) => {
                return if reader.has("of") || reader.has("except") {
                    Ok(pool)
                } else {
                    Err(value_fault(path, item.line, &item.value, "pick, share, of or except"))
                };
            }
        };
        if count > pool.len() {
            return Err(reader.fault("pick", format!("at most {}, which is how many there are", pool.len())));
        }
        Ok(pick(pool, count, &mut seed::stream(draw.seed, draw.part, draw.index)))
    }
}

/// `count` of `pool`, each set equally likely.
fn pick(mut pool: Vec<HostId>, count: usize, rng: &mut SmallRng) -> Vec<HostId> {
    for at in 0..count {
        let other = rng.random_range(at..pool.len());
        pool.swap(at, other);
    }
    pool.truncate(count);
    pool
}

/// `n3..n7` as the names that it stands for, both ends included.
fn range(word: &str) -> Option<impl Iterator<Item = String>> {
    let (first, last) = word.split_once("..")?;
    let (prefix, from) = numbered(first)?;
    let (other, to) = numbered(last)?;
    let prefix = prefix.to_owned();
    (prefix == other && from <= to).then(|| (from..=to).map(move |number| format!("{prefix}{number}")))
}

fn numbered(name: &str) -> Option<(&str, u32)> {
    let digits = name.bytes().rev().take_while(u8::is_ascii_digit).count();
    let (prefix, number) = name.split_at(name.len() - digits);
    Some((prefix, number.parse().ok()?))
}
