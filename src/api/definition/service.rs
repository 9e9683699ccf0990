//! Services: the fields they may have and what is refused.

use super::check::RawCheck;
use super::{decode_failed, parse};
use crate::api::json::{Field, Json, Misread, Object};
use crate::api::reply::Failure;
use crate::model::{
    CheckDefinition, Extensions, InstanceId, ServiceDefinition, ServiceName, ServiceRecord, TaggedAddress,
    Weights,
};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Most pairs of metadata.
const META_PAIRS_MAX: usize = 64;
/// Longest key of metadata, in bytes.
const META_KEY_BYTES_MAX: usize = 128;
/// Longest value of metadata, in bytes.
const META_VALUE_BYTES_MAX: usize = 512;
/// Most checks that may come with one registration.
const CHECKS_MAX: usize = 1_000;

const SERVICE: &[Field] = &[
    &["Name"],
    &["ID"],
    &["Tags"],
    &["Address"],
    &["TaggedAddresses", "tagged_addresses"],
    &["Meta"],
    &["Port"],
    &["SocketPath", "socket_path"],
    &["Check"],
    &["Checks"],
    &["Weights"],
    &["EnableTagOverride", "enable_tag_override"],
    &["Token"],
    &["Kind"],
    &["Proxy"],
    &["Connect"],
    &["Locality"],
];
const ADDRESS: &[Field] = &[&["Address"], &["Port"]];
const WEIGHTS: &[Field] = &[&["Passing"], &["Warning"]];

/// A service as the caller sent it.
pub(super) struct RawService {
    name: String,
    id: String,
    tags: Vec<String>,
    address: String,
    tagged_addresses: BTreeMap<String, (String, i64)>,
    meta: BTreeMap<String, String>,
    port: i64,
    socket_path: String,
    weights: Option<(i64, i64)>,
    enable_tag_override: bool,
    wants_mesh: bool,
    check: Option<RawCheck>,
    checks: Vec<RawCheck>,
}

impl RawService {
    pub(super) fn read(value: &Json) -> Result<Self, Misread> {
        let object = Object::read(value, "", SERVICE)?;
        let mut tagged_addresses = BTreeMap::new();
        for (tag, value) in object.entries("TaggedAddresses")? {
            let path = format!("{}.{tag}", object.path("TaggedAddresses"));
            if *value == Json::Null {
                continue;
            }
            let address = Object::read(value, &path, ADDRESS)?;
            tagged_addresses.insert(tag.clone(), (address.text("Address")?, address.int("Port")?));
        }
        let weights = match object.get("Weights") {
            None => None,
            Some(value) => {
                let weights = Object::read(value, &object.path("Weights"), WEIGHTS)?;
                Some((weights.int("Passing")?, weights.int("Warning")?))
            }
        };
        let check = match object.get("Check") {
            None => None,
            Some(value) => Some(RawCheck::read(value, &object.path("Check"))?),
        };
        let checks = object
            .list("Checks")?
            .iter()
            .filter(|value| **value != Json::Null)
            .map(|value| RawCheck::read(value, &object.path("Checks")))
            .collect::<Result<_, _>>()?;
        object.text("Token")?;
        let blank = |field: &str| object.get(field).is_none_or(Json::is_blank);
        Ok(Self {
            name: object.text("Name")?,
            id: object.text("ID")?,
            tags: object.texts("Tags")?,
            address: object.text("Address")?,
            tagged_addresses,
            meta: object.pairs("Meta")?,
            port: object.int("Port")?,
            socket_path: object.text("SocketPath")?,
            weights,
            enable_tag_override: object.flag("EnableTagOverride")?,
            wants_mesh: !(object.text("Kind")?.is_empty() && blank("Proxy") && blank("Connect")),
            check: check.filter(|check| !check.is_empty()),
            checks,
        })
    }
}

/// The body of `agent/service/register`.
pub(in crate::api) fn service_registration(body: &[u8]) -> Result<ServiceDefinition, Failure> {
    let raw = RawService::read(&parse(body)?).map_err(decode_failed)?;
    define(raw)
}

pub(super) fn define(raw: RawService) -> Result<ServiceDefinition, Failure> {
    if raw.name.is_empty() {
        return Err(Failure::bad("Missing service name"));
    }
    if matches!(raw.address.as_str(), "0.0.0.0" | "::" | "[::]") {
        return Err(Failure::bad("Invalid service address"));
    }
    let weights = weights(raw.weights)?;
    meta(&raw.meta)?;
    let checks: Vec<RawCheck> = raw.check.into_iter().chain(raw.checks).collect();
    if checks.len() > CHECKS_MAX {
        return Err(Failure::bad(format!(
            "Invalid check: {} checks: want at most {CHECKS_MAX}",
            checks.len()
        )));
    }
    for check in &checks {
        check.validate()?;
    }
    for check in &checks {
        check.initial_status(BAD_STATUS)?;
    }
    if raw.wants_mesh {
        return Err(Failure::bad("Connect is not supported"));
    }
    for check in &checks {
        check.refuse_other_kinds()?;
    }
    let port = port(raw.port, "Port")?;
    let name = ServiceName::new(&raw.name).map_err(|e| Failure::bad(format!("Invalid {e}")))?;
    let id = if raw.id.is_empty() { &raw.name } else { &raw.id };
    let id = InstanceId::new(id).map_err(|e| Failure::bad(format!("Invalid {e}")))?;
    let tagged_addresses = tagged_addresses(raw.tagged_addresses, &raw.address, port)?;
    let checks = check_definitions(checks, &name, &id)?;
    let service = ServiceRecord {
        id,
        name,
        tags: raw.tags,
        address: raw.address,
        tagged_addresses,
        port,
        socket_path: raw.socket_path,
        meta: raw.meta,
        weights,
        enable_tag_override: raw.enable_tag_override,
        extensions: Extensions::new(),
    };
    Ok(ServiceDefinition { service, checks })
}

const BAD_STATUS: &str = "Status for checks must 'passing', 'warning', 'critical'";

fn check_definitions(
    checks: Vec<RawCheck>,
    name: &ServiceName,
    id: &InstanceId,
) -> Result<Vec<CheckDefinition>, Failure> {
    let alone = checks.len() == 1;
    checks
        .into_iter()
        .zip(1..)
        .map(|(check, position)| {
            // Callers build these ids themselves to send heartbeats.
            let check_id = match check.id() {
                "" if alone => format!("service:{id}"),
                "" => format!("service:{id}:{position}"),
                given => given.to_owned(),
            };
            let status = check.initial_status(BAD_STATUS)?;
            check.define(check_id, || format!("Service '{name}' check"), Some(id.clone()), status, "")
        })
        .collect()
}

fn port(port: i64, what: &str) -> Result<u16, Failure> {
    u16::try_from(port).map_err(|_| Failure::bad(format!("Invalid {what} {port}: want 0 to 65535")))
}

fn weights(weights: Option<(i64, i64)>) -> Result<Weights, Failure> {
    let Some((passing, warning)) = weights else { return Ok(Weights::default()) };
    let why = if passing < 1 {
        "Passing must be greater than 0"
    } else if warning < 0 {
        "Warning must be greater or equal than 0"
    } else if let (Ok(passing), Ok(warning)) = (u16::try_from(passing), u16::try_from(warning)) {
        return Ok(Weights { passing, warning });
    } else {
        "DNS Weight must be between 0 and 65535"
    };
    Err(Failure::bad(format!("Invalid Weights: {why}")))
}

fn meta(meta: &BTreeMap<String, String>) -> Result<(), Failure> {
    let refuse = |why: String| Err(Failure::bad(format!("Invalid Service Meta: {why}")));
    if meta.len() > META_PAIRS_MAX {
        return refuse(format!("Node metadata cannot contain more than {META_PAIRS_MAX} key/value pairs"));
    }
    for (key, value) in meta {
        let legible = key.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
        let why = if key.is_empty() {
            "Key cannot be blank".to_owned()
        } else if !legible {
            "Key contains invalid characters".to_owned()
        } else if key.len() > META_KEY_BYTES_MAX {
            format!("Key is too long (limit: {META_KEY_BYTES_MAX} characters)")
        } else if key.starts_with("consul-") {
            "Key prefix 'consul-' is reserved for internal use".to_owned()
        } else if value.len() > META_VALUE_BYTES_MAX {
            format!("Value is too long (limit: {META_VALUE_BYTES_MAX} characters)")
        } else {
            continue;
        };
        return refuse(format!("Couldn't load metadata pair ('{key}', '{value}'): {why}"));
    }
    Ok(())
}

/// The addresses given, and the address itself under its family's tags when it is an IP address.
fn tagged_addresses(
    given: BTreeMap<String, (String, i64)>,
    address: &str,
    own_port: u16,
) -> Result<BTreeMap<String, TaggedAddress>, Failure> {
    let mut tagged = BTreeMap::new();
    for (tag, (address, number)) in given {
        let (family, fits) = match tag.as_str() {
            "lan_ipv4" | "wan_ipv4" => ("ipv4", address.parse::<Ipv4Addr>().is_ok()),
            "lan_ipv6" | "wan_ipv6" => ("ipv6", address.parse::<Ipv6Addr>().is_ok()),
            _ => ("", true),
        };
        if !fits {
            let text = format!("Service tagged address {tag:?} must be a valid {family} address");
            return Err(Failure::internal(text));
        }
        let port = port(number, "tagged address port")?;
        tagged.insert(tag, TaggedAddress { address, port });
    }
    let tags = match address.parse::<IpAddr>() {
        Ok(IpAddr::V4(_)) => ["lan_ipv4", "wan_ipv4"],
        Ok(IpAddr::V6(_)) => ["lan_ipv6", "wan_ipv6"],
        Err(_) => return Ok(tagged),
    };
    for tag in tags {
        let own = || TaggedAddress { address: address.to_owned(), port: own_port };
        tagged.entry(tag.to_owned()).or_insert_with(own);
    }
    Ok(tagged)
}
