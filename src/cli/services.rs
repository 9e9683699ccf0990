use super::Exit;
use super::args::Common;
use super::failure::Failure;
use super::output::Output;
use super::suggest::did_you_mean;
use crate::client::{Client, Endpoint, Health, Instance, Query};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Which instances are meant.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Selection {
    /// Only instances whose every check passes (a warning is too much)
    #[arg(long)]
    pub(super) passing: bool,

    /// Only instances with this tag; repeatable, all must be there
    #[arg(long = "tag", value_name = "TAG")]
    pub(super) tags: Vec<String>,

    /// Only instances on this node
    #[arg(long)]
    pub(super) node: Option<String>,
}

impl Selection {
    pub(super) fn query(&self, near: Option<String>) -> Query {
        Query { passing: self.passing, tags: self.tags.clone(), node: self.node.clone(), near }
    }
}

/// Flags of `shoal services`.
#[derive(Debug, clap::Args)]
#[command(after_help = "JSON fields without NAME: service, instances, passing, warning, critical, tags.\n\
    JSON fields with NAME: node, id, service, address, port, tags, meta, weight, status (passing,\n\
    warning, critical or maintenance), checks (each: id, name, status, output).\n\
    Exit code 1: no instance of NAME is known, or none is left after the filters.")]
pub struct Services {
    /// List the instances of this service
    name: Option<String>,

    #[command(flatten)]
    selection: Selection,

    /// Nearest to this node first; _agent is the node that is asked
    #[arg(long, value_name = "NODE", requires = "name")]
    near: Option<String>,

    #[command(flatten)]
    common: Common,
}

pub(super) async fn services(args: Services, output: &mut Output<'_>) -> Result<Exit, Failure> {
    let client = args.common.client(output)?;
    let query = args.selection.query(args.near);
    match args.name {
        Some(name) => instances(&client, &name, &query, output).await,
        None => summary(&client, &query, output).await,
    }
}

#[derive(Debug, Serialize)]
struct ServiceRow {
    service: String,
    instances: usize,
    passing: usize,
    warning: usize,
    critical: usize,
    tags: BTreeSet<String>,
}

async fn summary(client: &Client, query: &Query, output: &mut Output<'_>) -> Result<Exit, Failure> {
    let mut rows = Vec::new();
    for name in client.services().await?.into_keys() {
        let instances = client.health(&name, query).await?;
        // A name whose last instance went between the two questions is no service any more.
        if instances.is_empty() {
            continue;
        }
        let count = |wanted: &[Health]| instances.iter().filter(|i| wanted.contains(&i.health())).count();
        rows.push(ServiceRow {
            instances: instances.len(),
            passing: count(&[Health::Passing]),
            warning: count(&[Health::Warning]),
            critical: count(&[Health::Critical, Health::Maintenance]),
            tags: instances.iter().flat_map(|i| i.service.tags.iter().cloned()).collect(),
            service: name,
        });
    }
    let filtered = *query != Query::default();
    let empty = if filtered { "no instance matches the filters" } else { "no services are registered" };
    output.list(
        &rows,
        &["SERVICE", "INSTANCES", "PASSING", "WARNING", "CRITICAL", "TAGS"],
        |row| {
            let tags: Vec<&str> = row.tags.iter().map(String::as_str).collect();
            let mut cells = vec![row.service.clone()];
            cells.extend([row.instances, row.passing, row.warning, row.critical].map(|n| n.to_string()));
            cells.push(tags.join(","));
            cells
        },
        empty,
    )?;
    Ok(Exit::Done)
}

#[derive(Debug, Serialize)]
struct InstanceRow<'a> {
    node: &'a str,
    id: &'a str,
    service: &'a str,
    address: &'a str,
    port: u16,
    tags: &'a [String],
    meta: &'a BTreeMap<String, String>,
    weight: u32,
    status: Health,
    checks: Vec<CheckRow<'a>>,
}

#[derive(Debug, Serialize)]
struct CheckRow<'a> {
    id: &'a str,
    name: &'a str,
    status: &'a str,
    output: &'a str,
}

impl<'a> From<&'a Instance> for InstanceRow<'a> {
    fn from(instance: &'a Instance) -> Self {
        let service = &instance.service;
        let checks = instance.checks.iter();
        Self {
            node: &instance.node.name,
            id: &service.id,
            service: &service.name,
            address: instance.address(),
            port: service.port,
            tags: &service.tags,
            meta: &service.meta,
            weight: service.weights.passing,
            status: instance.health(),
            checks: checks
                .map(|c| CheckRow { id: &c.id, name: &c.name, status: c.status.as_str(), output: &c.output })
                .collect(),
        }
    }
}

async fn instances(
    client: &Client,
    name: &str,
    query: &Query,
    output: &mut Output<'_>,
) -> Result<Exit, Failure> {
    let found = client.health(name, query).await?;
    if found.is_empty() {
        if output.is_json() {
            output.json(&found.iter().map(InstanceRow::from).collect::<Vec<_>>())?;
        }
        return Err(nothing_found(client, name, query).await?);
    }
    let rows: Vec<InstanceRow<'_>> = found.iter().map(InstanceRow::from).collect();
    output.list(
        &rows,
        &["NODE", "ID", "ADDRESS", "STATUS", "TAGS"],
        |row| {
            let address = Endpoint::join(row.address, row.port);
            vec![row.node.to_owned(), row.id.to_owned(), address, row.status.to_string(), row.tags.join(",")]
        },
        "there are no instances",
    )?;
    Ok(Exit::Done)
}

/// Why `query` finds no instance of `name`.
pub(super) async fn nothing_found(client: &Client, name: &str, query: &Query) -> Result<Failure, Failure> {
    let all = client.health(name, &Query::default()).await?;
    if all.is_empty() {
        let known = client.services().await?;
        let near = did_you_mean(name, known.keys().map(String::as_str));
        return Ok(Failure::no(format!("no service is named {name:?}{near}")));
    }
    let mut filters = Vec::new();
    if query.passing {
        filters.push("--passing".to_owned());
    }
    filters.extend(query.tags.iter().map(|tag| format!("--tag {tag}")));
    filters.extend(query.node.iter().map(|node| format!("--node {node}")));
    let (count, filters) = (all.len(), filters.join(" "));
    Ok(Failure::no(format!("none of {name}'s {count} instances matches {filters}")))
}
