//! `render`: the flags and the words of [`follow::render`](crate::follow::render).

use super::Exit;
use super::args::{self, Common};
use super::failure::Failure;
use super::output::Output;
use super::wrap;
use crate::client::Client;
use crate::follow::render::{self, Kept, Outcome, Pair, Plan, Report};
use nix::sys::signal::Signal;
use std::path::Path;
use std::time::Duration;
use tokio::sync::mpsc::UnboundedReceiver;

/// Flags of `shoal render`.
#[derive(Debug, clap::Args)]
#[command(after_help = "TEMPLATE is in minijinja's (Jinja2's) language, with these functions:\n\
    service(\"web\")  instances that pass or warn; all=true: every one, passing=true: none that warns,\n\
    \x20               tag=\"x\" or tag=[\"x\", \"y\"]: only with these tags, node=\"n1\": only there. Each has\n\
    \x20               service, id, node, address, port, endpoint (address:port), tags, meta, node_meta,\n\
    \x20               weight and health\n\
    services()      every service: name, tags\n\
    nodes()         live nodes: name, address, status, tags\n\
    members()       every node, failed ones too: name, address with port, status, tags, rtt_ms\n\
    env(\"NAME\", \"default\")\n\n\
    and beside the usual filters `host` ([::1] for ::1) and `word` (a/b as a_b). OUT - is standard output.\n\n\
    OUT is replaced in one step, with its mode and owner, and only when its content changes and --verify\n\
    agrees: a shell command in which {} and $SHOAL_FILE are the new file, $SHOAL_OUT the one to replace.\n\
    Otherwise the last good file stays, and the error is told. --exec runs when files were replaced.\n\
    SIGHUP renders again; SIGINT and SIGTERM end it with exit code 0.\n\
    Exit code with --once: 1 when something failed, a template or a command.\n\n\
    Examples:\n  shoal render upstreams.conf.j2 - --once\n  \
    shoal render haproxy.cfg.j2 /etc/haproxy/haproxy.cfg --verify 'haproxy -c -f {}' \\\n      \
    --exec 'systemctl reload haproxy'\n  \
    shoal render a.j2:/etc/a.conf b.j2:/etc/b.conf --exec 'systemctl reload ab'")]
pub struct Render {
    /// TEMPLATE OUT, or any number of TEMPLATE:OUT
    #[arg(required = true, value_name = "TEMPLATE OUT|TEMPLATE:OUT")]
    files: Vec<String>,

    /// Ask this command whether a new file is good
    #[arg(long, value_name = "CMD")]
    verify: Option<String>,

    /// Run this command when files were replaced
    #[arg(long, value_name = "CMD")]
    exec: Option<String>,

    /// Render once and end
    #[arg(long, conflicts_with_all = ["interval", "debounce", "max_wait"])]
    once: bool,

    /// Render when nothing changed for this long
    #[arg(long, value_name = "DURATION", default_value = "200ms", value_parser = args::duration)]
    debounce: Duration,

    /// Wait at most this long for that
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = args::duration)]
    max_wait: Duration,

    /// Render this often as well, for templates that change or show round-trip times
    #[arg(long, value_name = "DURATION", value_parser = args::duration)]
    interval: Option<Duration>,

    /// How long each run of a command may take before it is killed
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = args::duration)]
    timeout: Duration,

    #[command(flatten)]
    common: Common,
}

impl Render {
    fn plan(self) -> Result<Plan, Failure> {
        let plan = Plan {
            files: pairs(&self.files)?,
            verify: self.verify,
            exec: self.exec,
            debounce: self.debounce,
            max_wait: self.max_wait,
            interval: self.interval,
            timeout: self.timeout,
        };
        if plan.verify.is_some() && plan.files.iter().any(Pair::is_printed) {
            return Err(Failure::usage("--verify wants files to verify: OUT - is printed as it is rendered"));
        }
        Ok(plan)
    }
}

fn pairs(files: &[String]) -> Result<Vec<Pair>, Failure> {
    if let Some(pairs) = files.iter().map(|text| Pair::parse(text)).collect::<Option<Vec<Pair>>>() {
        if !Pair::are_apart(&pairs) {
            return Err(Failure::usage("two templates have the same OUT: want a file for each"));
        }
        return Ok(pairs);
    }
    match files {
        [template, out] => Ok(vec![Pair { template: template.into(), out: out.into() }]),
        _ => {
            let files = files.join(" ");
            Err(Failure::usage(format!("{files}: want TEMPLATE OUT, or pairs TEMPLATE:OUT")))
        }
    }
}

pub(super) async fn render(args: Render, output: &mut Output<'_>) -> Result<Exit, Failure> {
    let client = args.common.client(output)?;
    // Always, so that a run that is ended leaves no half-made file.
    let signals = wrap::signals().map_err(|e| Failure::no(format!("cannot watch for signals: {e}")))?;
    keep_rendered(args, client, signals, output).await
}

async fn keep_rendered(
    args: Render,
    client: Client,
    signals: UnboundedReceiver<Signal>,
    output: &mut Output<'_>,
) -> Result<Exit, Failure> {
    let once = args.once;
    let plan = args.plan()?;
    if once {
        return match render::once(plan, client, signals, output).await? {
            Outcome::Done => Ok(Exit::Done),
            // Whoever runs it once wants the files.
            Outcome::Failed | Outcome::Stopped | Outcome::TooEarly => Ok(Exit::No),
            Outcome::Unanswered(error) => Err(error.into()),
        };
    }
    Ok(match render::keep(plan, client, signals, output).await? {
        Kept::Stopped => Exit::Done,
        Kept::Over => Exit::No,
    })
}

impl Report for Output<'_> {
    type Stop = Failure;
    const CAPTURES: bool = false;

    fn printed(&mut self, text: &str) -> Result<(), Failure> {
        self.raw(text.as_bytes())?;
        self.flush()
    }

    fn wrote(&mut self, out: &Path) -> Result<(), Failure> {
        self.done(format_args!("wrote {}", out.display()))?;
        self.flush()
    }

    fn failed(&mut self, problem: &str) {
        self.error(problem);
    }

    fn remark(&mut self, text: &str) {
        self.note(text);
    }

    fn round_ended(&mut self, _: bool) {}
}

#[cfg(test)]
mod tests;
