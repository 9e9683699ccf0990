//! `[[nodes]]`: who there is, how each is set up, and when it starts.

use super::error::{Fault, one_of};
use super::reader::{Reader, as_duration, value_fault};
use super::target::{Directory, Draw};
use super::tree::{Item, Value};
use crate::core::{Config, SettingValue, Settings};
use crate::model::{DURATION_WANT, NodeName, ServiceDefinition, ServiceName};
use crate::sim::scenario::service_without_check;
use crate::sim::world::instance;
use crate::sim::{Contact, HostId, NodeSpec};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

/// Hosts that a file may have: as many as a world can address.
pub(super) const NODES_MAX: u64 = 20_000;
const SERVICES_MAX: u64 = 1_000;
const NAME_WANT: &str = "1 to 128 letters, digits, '-', '_' or '.', starting with a letter or digit";
const START_WANT: &str = r#"a time such as "10s", "settled" or "never""#;
const JOIN_WANT: &str = r#"nodes, "spread", or addresses such as "10.0.0.9:7946""#;

/// When a node starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Start {
    /// At this time.
    At(Duration),
    /// At the beginning, knowing and known by all others that do.
    Settled,
    /// Not by itself.
    Never,
}

/// All nodes of a file.
#[derive(Debug, Default)]
pub(super) struct Nodes {
    pub(super) specs: Vec<NodeSpec>,
    pub(super) starts: Vec<Start>,
    pub(super) directory: Directory,
}

/// Reads every `[[nodes]]`. Whom they join is read when all have names.
pub(super) fn nodes(readers: Vec<Reader<'_>>, seed: u64) -> Result<Nodes, Fault> {
    let mut nodes = Nodes::default();
    let mut joins = Vec::new();
    for mut reader in readers {
        let first = nodes.specs.len();
        group(&mut reader, &mut nodes)?;
        joins.push((first..nodes.specs.len(), reader.item("join"), reader.path_of("join")));
        reader.finish()?;
    }
    for (number, (range, item, path)) in (0_u64..).zip(joins) {
        let draw = Draw { seed, part: "file joins", index: number };
        for host in range.map(HostId) {
            nodes.specs[host.index()].join = contacts(&nodes.directory, host, item, &path, draw)?;
        }
    }
    Ok(nodes)
}

fn group(reader: &mut Reader<'_>, nodes: &mut Nodes) -> Result<(), Fault> {
    let config = config(reader)?;
    let tags = tags(reader)?;
    let services = services(reader)?;
    let names = names(reader, &nodes.directory)?;
    let starts = starts(reader, names.len())?;
    for (name, start) in names.into_iter().zip(starts) {
        if start == Start::Settled && nodes.directory.contains(name.as_str()) {
            return Err(
                reader.fault("start", format!("a time: there is another {name} that knows the cluster"))
            );
        }
        let host = HostId(nodes.specs.len());
        nodes.directory.add(name.as_str(), host);
        nodes.starts.push(start);
        nodes.specs.push(NodeSpec {
            name,
            config: config.clone(),
            tags: tags.clone(),
            services: services.clone(),
            join: Vec::new(),
            keys: Vec::new(),
        });
    }
    if nodes.specs.len() as u64 > NODES_MAX {
        return Err(reader.fault("count", format!("at most {NODES_MAX} nodes in all")));
    }
    Ok(())
}

fn names(reader: &mut Reader<'_>, taken: &Directory) -> Result<Vec<NodeName>, Fault> {
    let count = reader.whole("count", 0, NODES_MAX)?;
    let name = reader.text("name")?;
    let node_name = |text: &str| NodeName::new(text).ok();
    if let Some(item) = reader.item("names") {
        let Value::List(list) = &item.value else { return Err(reader.fault("names", "a list of names")) };
        if count.is_some() || name.is_some() {
            return Err(reader.fault("names", "either names, or count with name"));
        }
        let named = list.iter().map(|item| {
            let found = item.as_text().and_then(node_name);
            found.ok_or_else(|| value_fault(&reader.path_of("names"), item.line, &item.value, NAME_WANT))
        });
        return named.collect();
    }
    let Some(count) = count else {
        // One node, called just so; another may bear the same name.
        let single = name.map(node_name);
        return match single {
            Some(Some(name)) => Ok(vec![name]),
            Some(None) => Err(reader.fault("name", NAME_WANT)),
            None => Err(reader.fault("count", "how many nodes, or the name of one")),
        };
    };
    let prefix = name.unwrap_or("n");
    let numbered = (0..).map(|number| format!("{prefix}{number}")).filter(|name| !taken.contains(name));
    let named = numbered.take(usize::try_from(count).unwrap_or(usize::MAX));
    named.map(|name| node_name(&name).ok_or_else(|| reader.fault("name", NAME_WANT))).collect()
}

fn config(reader: &mut Reader<'_>) -> Result<Config, Fault> {
    let mut settings = match reader.word("profile", &["lan", "wan", "local"])? {
        Some("wan") => Settings::wan(),
        Some("local") => Settings::local(),
        Some(_) | None => Settings::lan(),
    };
    let path = reader.path_of("settings");
    let item = reader.item("settings");
    if let Some(mut keys) = item.map(|item| Reader::of_item(item, path.clone())).transpose()? {
        for (key, item) in keys.free() {
            let path = format!("{path}.{key}");
            let value = setting(&settings, key, item, &path)?;
            settings.set(key, value).map_err(|e| value_fault(&path, item.line, &item.value, e.want))?;
        }
    }
    Config::new(settings).map_err(|e| {
        let line = item.map_or(1, |item| match &item.value {
            Value::Table(table) => table.get(e.key).map_or(item.line, |item| item.line),
            _ => item.line,
        });
        // The value as understood: it may be a preset's that another key does not fit.
        let value = Value::Other(e.value);
        value_fault(&format!("{path}.{}", e.key), line, &value, e.want)
    })
}

fn setting(settings: &Settings, key: &str, item: &Item, path: &str) -> Result<SettingValue, Fault> {
    let wrong = |want: &str| value_fault(path, item.line, &item.value, want);
    match (settings.get(key), &item.value) {
        (Some(SettingValue::Duration(_)), value) => {
            as_duration(value).map(SettingValue::Duration).ok_or_else(|| wrong(DURATION_WANT))
        }
        (Some(SettingValue::Number(_)), Value::Integer(n)) if *n >= 0 => {
            Ok(SettingValue::Number(n.unsigned_abs()))
        }
        (Some(SettingValue::Number(_)), _) => Err(wrong("a whole number")),
        (None, _) => Err(wrong(&format!("a setting: {}", one_of(key, Settings::KEYS.iter().copied())))),
    }
}

fn tags(reader: &mut Reader<'_>) -> Result<BTreeMap<String, String>, Fault> {
    let Some(mut table) = reader.table("tags")? else { return Ok(BTreeMap::new()) };
    text_table(&mut table)
}

/// A table of texts, as node tags are.
pub(super) fn text_table(table: &mut Reader<'_>) -> Result<BTreeMap<String, String>, Fault> {
    let pairs = table.free().map(|(key, item)| match item.as_text() {
        Some(text) => Ok((key.to_owned(), text.to_owned())),
        None => Err(table.fault(key, "a text")),
    });
    pairs.collect()
}

/// A number of instances without a check, or `{ count, name, ttl }`.
fn services(reader: &mut Reader<'_>) -> Result<Vec<ServiceDefinition>, Fault> {
    let path = reader.path_of("services");
    let Some(item) = reader.item("services") else { return Ok(Vec::new()) };
    let (count, name, ttl) = match &item.value {
        Value::Integer(n) if (0..=i64::try_from(SERVICES_MAX).unwrap_or(0)).contains(n) => {
            (n.unsigned_abs(), "web".to_owned(), None)
        }
        Value::Table(table) => {
            let mut keys = Reader::new(table, path);
            let count = keys.whole("count", 0, SERVICES_MAX)?.unwrap_or(1);
            let name = keys.text("name")?.unwrap_or("web").to_owned();
            if ServiceName::new(&name).is_err() || name.contains(char::is_whitespace) {
                return Err(keys.fault("name", "a service name, such as web"));
            }
            let ttl = keys.duration("ttl")?;
            keys.finish()?;
            (count, name, ttl)
        }
        _ => {
            let want = format!("a number from 0 to {SERVICES_MAX}, or {{ count, name, ttl }}");
            return Err(reader.fault("services", want));
        }
    };
    let one = |number| {
        let id = format!("{name}-{number}");
        ttl.map_or_else(|| service_without_check(&id, &name), |ttl| instance(&id, &name, Some(ttl)))
    };
    Ok((0..count).map(one).collect())
}

fn starts(reader: &mut Reader<'_>, count: usize) -> Result<Vec<Start>, Fault> {
    let first = match reader.item("start") {
        None => Start::At(Duration::ZERO),
        Some(item) => match (item.as_text(), as_duration(&item.value)) {
            (_, Some(at)) => Start::At(at),
            (Some("settled"), None) => Start::Settled,
            (Some("never"), None) => Start::Never,
            (_, None) => return Err(reader.fault("start", START_WANT)),
        },
    };
    let apart = match (reader.duration("apart")?, reader.duration("ramp")?) {
        (Some(_), Some(_)) => return Err(reader.fault("ramp", "either apart or ramp")),
        (Some(apart), None) => Some(("apart", apart)),
        (None, Some(ramp)) => {
            let gaps = u32::try_from(count.saturating_sub(1).max(1)).unwrap_or(u32::MAX);
            Some(("ramp", ramp / gaps))
        }
        (None, None) => None,
    };
    match (first, apart) {
        (Start::At(at), apart) => {
            let apart = apart.map_or(Duration::ZERO, |(_, apart)| apart);
            let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
            Ok((0..count).map(|n| Start::At(at + apart * number(n))).collect())
        }
        (Start::Settled | Start::Never, Some((key, _))) => {
            Err(reader.fault(key, "a start at a time: these do not start one after the other"))
        }
        (other, None) => Ok(vec![other; count]),
    }
}

fn contacts(
    directory: &Directory,
    host: HostId,
    item: Option<&Item>,
    path: &str,
    draw: Draw,
) -> Result<Vec<Contact>, Fault> {
    let others = |hosts: Vec<HostId>| {
        hosts.into_iter().filter(|other| *other != host).map(Contact::Host).collect::<Vec<_>>()
    };
    let Some(item) = item else {
        // The first joins the second, so that it finds the others again after a restart.
        let contact = HostId(usize::from(host.index() == 0));
        return Ok(if contact.index() < directory.len() { vec![Contact::Host(contact)] } else { Vec::new() });
    };
    if item.as_text() == Some("spread") {
        let number = host.index();
        let before = [0, number / 2, number.saturating_sub(1)].into_iter().filter(|n| *n < number);
        let mut hosts: Vec<HostId> = before.map(HostId).collect();
        hosts.dedup();
        return Ok(others(hosts));
    }
    let list = match &item.value {
        Value::List(list) => list.as_slice(),
        _ => std::slice::from_ref(item),
    };
    let mut contacts = Vec::new();
    for item in list {
        match item.as_text().and_then(|text| text.parse::<SocketAddr>().ok()) {
            Some(addr) => contacts.push(Contact::Addr(addr)),
            None if item.as_text().is_some_and(|text| text.contains(':')) => {
                return Err(value_fault(path, item.line, &item.value, JOIN_WANT));
            }
            None => contacts.extend(others(directory.hosts(item, path, draw)?)),
        }
    }
    Ok(contacts)
}
