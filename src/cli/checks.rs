use super::Exit;
use super::args::{self, Common};
use super::failure::Failure;
use super::output::Output;
use super::suggest::did_you_mean;
use crate::client::{Check, Query};
use crate::model::CheckStatus;
use serde::Serialize;

/// Flags of `shoal checks`.
#[derive(Debug, clap::Args)]
#[command(after_help = "JSON fields: node, id, name, service, service_id, status, type, notes, output.\n\
    Exit code 1: no service is named NAME, or a check is as bad as --fail-on says.")]
pub struct Checks {
    /// Only checks of this service
    name: Option<String>,

    /// Only checks in this state
    #[arg(long, value_parser = args::status())]
    status: Option<CheckStatus>,

    /// Exit with code 1 when a listed check is this bad or worse
    #[arg(long, value_name = "STATUS", value_parser = args::status())]
    fail_on: Option<CheckStatus>,

    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Serialize)]
struct Row<'a> {
    node: &'a str,
    id: &'a str,
    name: &'a str,
    service: &'a str,
    service_id: &'a str,
    status: CheckStatus,
    r#type: &'a str,
    notes: &'a str,
    output: &'a str,
}

impl<'a> From<&'a Check> for Row<'a> {
    fn from(check: &'a Check) -> Self {
        Self {
            node: &check.node,
            id: &check.id,
            name: &check.name,
            service: &check.service_name,
            service_id: &check.service_id,
            status: check.status,
            r#type: &check.kind,
            notes: &check.notes,
            output: &check.output,
        }
    }
}

pub(super) async fn checks(args: Checks, output: &mut Output<'_>) -> Result<Exit, Failure> {
    let client = args.common.client(output)?;
    let mut checks = match &args.name {
        Some(name) => client.service_checks(name).await?,
        None => client.checks().await?,
    };
    if let Some(name) = &args.name
        && checks.is_empty()
        && client.health(name, &Query::default()).await?.is_empty()
    {
        let known = client.services().await?;
        let near = did_you_mean(name, known.keys().map(String::as_str));
        return Err(Failure::no(format!("no service is named {name:?}{near}")));
    }
    checks.retain(|check| args.status.is_none_or(|status| check.status == status));
    let rows: Vec<Row<'_>> = checks.iter().map(Row::from).collect();
    let empty = match (&args.name, args.status) {
        (_, Some(status)) => format!("no check is {status}"),
        (Some(name), None) => format!("{name} has no checks, so it counts as passing while its nodes live"),
        (None, None) => "there are no checks".to_owned(),
    };
    output.list(
        &rows,
        &["NODE", "CHECK", "SERVICE", "STATUS", "OUTPUT"],
        |row| {
            let told = if row.output.is_empty() { row.notes } else { row.output };
            [row.node, row.id, row.service, row.status.as_str(), told].map(str::to_owned).to_vec()
        },
        &empty,
    )?;
    let failed = args.fail_on.is_some_and(|bad| checks.iter().any(|check| check.status >= bad));
    Ok(if failed { Exit::No } else { Exit::Done })
}
