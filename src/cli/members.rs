use super::Exit;
use super::args::Common;
use super::failure::Failure;
use super::output::Output;
use super::suggest::did_you_mean;
use crate::client::{Error, format_duration};
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// Flags of `shoal members`.
#[derive(Debug, clap::Args)]
#[command(after_help = "JSON fields: name, address, status, tags, rtt_ms (null until measured).")]
pub struct Members {
    /// Only members in this state
    #[arg(long, value_parser = ["alive", "suspect", "failed", "left"])]
    status: Option<String>,

    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Serialize)]
struct Row {
    name: String,
    address: String,
    status: &'static str,
    tags: BTreeMap<String, String>,
    rtt_ms: Option<f64>,
}

pub(super) async fn members(args: Members, output: &mut Output<'_>) -> Result<Exit, Failure> {
    let client = args.common.client(output)?;
    let mut rows: Vec<Row> = client
        .members()
        .await?
        .into_iter()
        .map(|member| Row {
            name: member.name,
            address: member.address,
            status: member.status.as_str(),
            tags: member.tags,
            rtt_ms: member.rtt.map(|rtt| rtt.as_secs_f64() * 1_000.0),
        })
        .collect();
    rows.retain(|row| args.status.as_deref().is_none_or(|status| row.status == status));
    rows.sort_by(|a, b| a.name.cmp(&b.name));
    output.list(
        &rows,
        &["NAME", "ADDRESS", "STATUS", "RTT", "TAGS"],
        |row| {
            let tags: Vec<String> = row.tags.iter().map(|(key, value)| format!("{key}={value}")).collect();
            let rtt = row.rtt_ms.map(short_millis).unwrap_or_default();
            vec![row.name.clone(), row.address.clone(), row.status.to_owned(), rtt, tags.join(",")]
        },
        &args.status.map_or("there are no members".to_owned(), |status| format!("no member is {status}")),
    )?;
    Ok(Exit::Done)
}

/// Milliseconds to three digits.
pub(super) fn short_millis(millis: f64) -> String {
    let micros = Duration::from_secs_f64((millis / 1_000.0).clamp(0.0, 86_400.0)).as_micros();
    let unit = 10_u128.pow(micros.checked_ilog10().unwrap_or(0).saturating_sub(2));
    let rounded = u64::try_from(micros / unit * unit).unwrap_or(u64::MAX);
    format_duration(Duration::from_micros(rounded))
}

/// Flags of `shoal join`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Exit code 1: none of the addresses answered.")]
pub struct Join {
    /// An agent of the cluster, an IP address or a DNS name
    #[arg(required = true, value_name = "ADDR[:PORT]")]
    addresses: Vec<String>,

    #[command(flatten)]
    common: Common,
}

pub(super) async fn join(args: Join, output: &mut Output<'_>) -> Result<Exit, Failure> {
    let client = args.common.client(output)?;
    let mut joined = false;
    for address in &args.addresses {
        match client.join(address).await {
            Ok(()) => {
                joined = true;
                output.done(format_args!("joined through {address}"))?;
            }
            Err(e @ Error::Api { .. }) => output.error(format_args!("{address}: {e}")),
            Err(e) => return Err(e.into()),
        }
    }
    // One agent that answers is enough: it tells of all the others.
    Ok(if joined { Exit::Done } else { Exit::No })
}

/// Flags of `shoal leave`.
#[derive(Debug, clap::Args)]
pub struct Leave {
    #[command(flatten)]
    common: Common,
}

pub(super) async fn leave(args: Leave, output: &mut Output<'_>) -> Result<Exit, Failure> {
    args.common.client(output)?.leave().await?;
    output.done("the agent has left its cluster")?;
    Ok(Exit::Done)
}

/// Flags of `shoal force-leave`.
#[derive(Debug, clap::Args)]
pub struct ForceLeave {
    /// Name of the failed node
    node: String,

    /// Forget it as well
    #[arg(long)]
    prune: bool,

    #[command(flatten)]
    common: Common,
}

pub(super) async fn force_leave(args: ForceLeave, output: &mut Output<'_>) -> Result<Exit, Failure> {
    let client = args.common.client(output)?;
    match client.force_leave(&args.node, args.prune).await {
        Ok(()) => {
            output.done(format_args!("{} now counts as left", args.node))?;
            Ok(Exit::Done)
        }
        Err(Error::Api { message, .. }) => {
            let members = client.members().await?;
            let names = members.iter().map(|member| member.name.as_str());
            let known = names.clone().any(|name| name.eq_ignore_ascii_case(&args.node));
            let near = if known { String::new() } else { did_you_mean(&args.node, names) };
            Err(Failure::no(format!("{message}{near}")))
        }
        Err(e) => Err(e.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip_times_are_short() {
        let table =
            [(0.0, "0s"), (0.0427, "42us"), (0.4217, "421us"), (1.2345, "1.23ms"), (123.456, "123ms")];
        for (millis, want) in table {
            assert_eq!(short_millis(millis), want);
        }
    }
}
