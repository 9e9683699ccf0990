//! `doctor`: looks for what is wrong with an agent, its host and the way to others, and says what to do.
//!
//! Owns gathering the facts (from the agent, and of what this command sees of the host itself), and how
//! findings are told. What facts mean is judged by pure functions ([`judge`], [`offline`]).

mod finding;
mod judge;
mod offline;

use super::Exit;
use super::args::Common;
use super::failure::Failure;
use super::output::Output;
use super::table::on_one_line;
use crate::client::{Address, Client, Error};
use finding::{Finding, Report, Severity};
use judge::{Facts, SocketFile};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

/// An agent answers from memory, in milliseconds.
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// Columns that text for people takes.
const WIDTH: usize = 80;
/// In front of it.
const MARGIN: usize = 9;

/// Flags of `shoal doctor`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Asks the agent to look at itself, its host and the way to up to sixteen members, those in trouble\n\
    first, which takes two seconds. Every finding is told with what was seen, what it means and what to\n\
    do; docs/doctor.md has a section for each name. Without an agent it says what can be said of the\n\
    socket, the port and the configuration.\n\n\
    Exit code: 0 all is well (notes may be there); 1 something was found; 3 no agent at the socket.\n\n\
    With --format json: an object with node, cluster, version, examined, well, findings (name, severity,\n\
    about, seen, means, do) and passed (what, seen).\n\n\
    Examples:\n  shoal doctor\n  shoal doctor --node n2\n  shoal doctor --format json | jq -r '.findings[].name'"
)]
pub struct Doctor {
    /// Look at the way to this member only
    #[arg(long, value_name = "NAME")]
    node: Option<String>,

    /// The agent's configuration file, to be checked where no agent answers; repeatable
    #[arg(long = "config", value_name = "FILE")]
    config_files: Vec<PathBuf>,

    #[command(flatten)]
    common: Common,
}

pub(super) async fn doctor(args: Doctor, output: &mut Output<'_>) -> Result<Exit, Failure> {
    let client = args.common.client(output)?;
    // One that stands still is not waited for.
    match tokio::time::timeout(ANSWER_MAX, client.status()).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) if is_absent(&error) => {
            return without_agent(&args, &client, Some(&error), output).await;
        }
        Ok(Err(error)) => return Err(error.into()),
        Err(_) => return without_agent(&args, &client, None, output).await,
    }
    let examination = match client.examine(args.node.as_deref()).await {
        Ok(examination) => examination,
        Err(error) if is_absent(&error) => return without_agent(&args, &client, Some(&error), output).await,
        Err(error) => return Err(error.into()),
    };
    let facts = Facts {
        members: client.members().await?,
        // Not told over TCP, nor to who may not administer; the rest can be judged without.
        keys: client.keyring().await.unwrap_or_default(),
        socket: socket_file(&client),
        examination,
    };
    let report = judge::judge(&facts);
    let e = &facts.examination;
    let head = json!({"node": e.node, "cluster": e.cluster, "version": e.version, "examined": e.links.len()});
    let title = format!(
        "{} of cluster {}, version {}: the way to {} of {} other members was looked at",
        e.node,
        e.cluster,
        e.version,
        e.links.len(),
        e.others
    );
    tell(&report, head, &title, output)?;
    Ok(if report.is_well() { Exit::Done } else { Exit::No })
}

/// Nobody is there, or it has stopped answering.
const fn is_absent(error: &Error) -> bool {
    matches!(error, Error::NoAgent { .. } | Error::Timeout { .. })
}

async fn without_agent(
    args: &Doctor,
    client: &Client,
    error: Option<&Error>,
    output: &mut Output<'_>,
) -> Result<Exit, Failure> {
    let facts = offline::gather(client.address(), error, &args.config_files).await;
    let report = offline::judge(&facts);
    let head = json!({"node": null, "cluster": null, "version": null, "examined": 0});
    tell(&report, head, &format!("no agent at {}", client.address()), output)?;
    Ok(Exit::NoAgent)
}

fn socket_file(client: &Client) -> Option<SocketFile> {
    let Address::Unix(path) = client.address() else { return None };
    let mode = std::fs::metadata(path).ok()?.permissions().mode() & 0o7777;
    Some(SocketFile { path: path.display().to_string(), mode })
}

fn tell(report: &Report, mut head: Value, title: &str, output: &mut Output<'_>) -> Result<(), Failure> {
    if output.is_json() {
        head["well"] = json!(report.is_well());
        head["findings"] = json!(report.findings);
        head["passed"] = json!(report.passed);
        return output.json(&head);
    }
    output.line(on_one_line(title))?;
    for finding in &report.findings {
        output.line("")?;
        for line in lines(finding) {
            output.line(line)?;
        }
    }
    if output.is_quiet() {
        return Ok(());
    }
    output.line("")?;
    for passed in &report.passed {
        output.line(on_one_line(&format!("well: {}: {}", passed.what, passed.seen)))?;
    }
    let trouble = report.findings.iter().filter(|f| f.severity > Severity::Note).count();
    match trouble {
        0 if report.passed.is_empty() => Ok(()),
        0 => output.line("all is well"),
        1 => output.line("1 thing to look at"),
        n => output.line(format_args!("{n} things to look at")),
    }
}

/// A finding for people. What is to be done stays on one line, to be copied from.
fn lines(finding: &Finding) -> Vec<String> {
    let Finding { name, severity, about, .. } = finding;
    let mut lines = vec![on_one_line(&format!("{}: {name}: {about}", severity.as_str().to_uppercase()))];
    for (word, text) in [("seen", &finding.seen), ("means", &finding.means)] {
        for (n, part) in wrapped(&on_one_line(text), WIDTH - MARGIN).into_iter().enumerate() {
            let word = if n == 0 { word } else { "" };
            lines.push(format!("  {word:<5}  {part}"));
        }
    }
    lines.push(format!("  {:<5}  {}", "do", on_one_line(&finding.remedy)));
    lines
}

/// Lines of at most `width` characters, broken between words.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(last) if last.chars().count() + 1 + word.chars().count() <= width => {
                last.push(' ');
                last.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_reads_at_80_columns_and_its_remedy_can_be_copied() {
        let finding = Finding::new("clock_skew", Severity::Warning, "n2")
            .seen("its clock is 1m30s behind this host's, ".repeat(4))
            .means("logs\nlie")
            .remedy(format!("`{}`", "timedatectl ".repeat(12).trim_end()));
        let lines = lines(&finding);
        assert_eq!(lines[0], "WARNING: clock_skew: n2");
        assert!(
            lines[1].starts_with("  seen   its clock is") && lines[2].starts_with("         "),
            "{lines:#?}"
        );
        assert!(lines[..lines.len() - 1].iter().all(|line| line.chars().count() <= WIDTH), "{lines:#?}");
        assert_eq!(lines[lines.len() - 2], "  means  logs lie");
        assert!(lines.last().expect("has lines").ends_with("timedatectl`"));
    }
}
