use super::Exit;
use super::args::Common;
use super::failure::Failure;
use super::output::Output;
use super::services::{Selection, nothing_found};
use super::table::on_one_line;
use crate::client::{Check, Endpoint, Health, Instance};
use crate::model::CheckStatus;
use serde::Serialize;
use std::collections::BTreeMap;

/// Most unhealthy instances that are explained one by one.
const EXPLAINED_MAX: usize = 5;
/// Most characters of a check's output in an explanation.
const REASON_CHARS_MAX: usize = 120;

/// Flags of `shoal resolve`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Prints address:port, one per line: instances that pass before those that warn, the nearest\n\
    first among them. Instances that are critical, in maintenance or on failed nodes are left out.\n\
    JSON fields: address, port, node, id, tags, meta, weight, status.\n\
    Exit code 1: the service is unknown, or nothing of it is healthy; standard error says which."
)]
pub struct Resolve {
    /// Name of the service
    name: String,

    #[command(flatten)]
    selection: Selection,

    /// Nearest to this node first
    #[arg(long, value_name = "NODE", default_value = "_agent", hide_default_value = true)]
    near: String,

    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Serialize)]
struct EndpointRow<'a> {
    address: &'a str,
    port: u16,
    node: &'a str,
    id: &'a str,
    tags: &'a [String],
    meta: &'a BTreeMap<String, String>,
    weight: u32,
    status: Health,
}

pub(super) async fn resolve(args: Resolve, output: &mut Output<'_>) -> Result<Exit, Failure> {
    let client = args.common.client(output)?;
    let query = args.selection.query(Some(args.near));
    let found = client.health(&args.name, &query).await?;
    let endpoints = Endpoint::usable(&found);
    if output.is_json() {
        let rows: Vec<EndpointRow<'_>> = endpoints
            .iter()
            .map(|e| EndpointRow {
                address: &e.address,
                port: e.port,
                node: &e.node,
                id: &e.id,
                tags: &e.tags,
                meta: &e.meta,
                weight: e.weight,
                status: e.health,
            })
            .collect();
        output.json(&rows)?;
    } else {
        for endpoint in &endpoints {
            output.line(endpoint)?;
        }
    }
    if !endpoints.is_empty() {
        return Ok(Exit::Done);
    }
    if found.is_empty() {
        return Err(nothing_found(&client, &args.name, &query).await?);
    }
    Err(Failure::no(why_none_is_healthy(&args.name, &found)))
}

fn why_none_is_healthy(name: &str, instances: &[Instance]) -> String {
    let mut lines = vec![match instances {
        [_] => format!("the only instance of {name} is not healthy:"),
        _ => format!("none of the {} instances of {name} is healthy:", instances.len()),
    }];
    for instance in instances.iter().take(EXPLAINED_MAX) {
        let critical = instance.checks.iter().filter(|check| check.status == CheckStatus::Critical);
        let reasons: Vec<String> = critical.map(reason).collect();
        lines.push(format!("  {} on {}: {}", instance.service.id, instance.node.name, reasons.join(", ")));
    }
    if instances.len() > EXPLAINED_MAX {
        lines.push(format!("  and {} more", instances.len() - EXPLAINED_MAX));
    }
    lines.join("\n")
}

fn reason(check: &Check) -> String {
    let why = on_one_line(if check.is_maintenance() { &check.notes } else { &check.output });
    if why.is_empty() {
        return format!("{} is critical", check.id);
    }
    let why: String = why.chars().take(REASON_CHARS_MAX).collect();
    format!("{} is critical ({why})", check.id)
}
