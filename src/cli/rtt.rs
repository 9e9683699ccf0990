use super::Exit;
use super::args::Common;
use super::failure::Failure;
use super::members::short_millis;
use super::output::Output;
use super::suggest::did_you_mean;
use crate::client::{Client, Error};
use serde::Serialize;

/// Flags of `shoal rtt`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "A time is measured when the agent that is asked is one of the two and has probed the other, and\n\
    else estimated from the network coordinates of both.\n\
    JSON fields: a, b, rtt_ms, source (measured or estimated).\n\
    Exit code 1: a node is unknown, or nothing is known of the time between the two yet."
)]
pub struct Rtt {
    /// Name of a node
    node: String,

    /// Name of another one [default: the node that is asked]
    #[arg(value_name = "NODE", default_value = "_agent", hide_default_value = true)]
    other: String,

    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Serialize)]
struct Row {
    a: String,
    b: String,
    rtt_ms: f64,
    source: &'static str,
}

pub(super) async fn rtt(args: Rtt, output: &mut Output<'_>) -> Result<Exit, Failure> {
    let client = args.common.client(output)?;
    // With one node the way is from here to there.
    let (a, b) = match args.other.as_str() {
        "_agent" => (args.other, args.node),
        _ => (args.node, args.other),
    };
    let answer = match client.rtt(&a, &b).await {
        Err(e) if e.is_unknown() => return Err(unknown(&client, e, &[a, b]).await?),
        answer => answer?,
    };
    let Some(rtt) = answer.rtt else {
        let (a, b) = (answer.a, answer.b);
        return Err(Failure::no(format!(
            "nothing is known yet of the time between {a} and {b}: coordinates are learned by probes, \
             within minutes"
        )));
    };
    let source = if answer.measured { "measured" } else { "estimated" };
    let row = Row { a: answer.a, b: answer.b, rtt_ms: rtt.as_secs_f64() * 1_000.0, source };
    if output.is_json() {
        output.json(&row)?;
    } else {
        output.line(format_args!("{} to {}: {} ({source})", row.a, row.b, short_millis(row.rtt_ms)))?;
    }
    Ok(Exit::Done)
}

/// The agent's words, and which name may have been meant.
async fn unknown(client: &Client, error: Error, named: &[String]) -> Result<Failure, Failure> {
    let members = client.members().await?;
    let names = || members.iter().map(|member| member.name.as_str());
    let wrong = named.iter().find(|name| *name != "_agent" && !names().any(|n| n.eq_ignore_ascii_case(name)));
    let near = wrong.map(|name| did_you_mean(name, names())).unwrap_or_default();
    Ok(Failure::no(format!("{error}{near}")))
}
