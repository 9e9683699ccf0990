use super::Exit;
use super::args::{self, Common, Definition};
use super::failure::Failure;
use super::output::Output;
use super::suggest::did_you_mean;
use super::wrap;
use crate::client::{Client, Error};
use crate::model::CheckStatus;
use std::ffi::OsString;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::MissedTickBehavior;

/// Flags of `shoal heartbeat`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "ID-or-NAME is tried as the id of an instance of this host, as the id of a check, and as the\n\
    name of a service, all of whose TTL checks are meant.\n\n\
    With -- CMD: registers the service unless it is registered, runs CMD, beats while it lives,\n\
    hands it SIGINT, SIGTERM and SIGHUP, deregisters the service when it ends, and exits with its\n\
    exit code (128+n when signal n ended it, 127 when there is no such command). At the first SIGINT\n\
    or SIGTERM the service is drained: in maintenance, so that nobody is sent to it any more, and\n\
    --drain later the signal goes on to CMD. A second signal goes there at once.\n\n\
    Examples:\n  shoal heartbeat web\n  shoal heartbeat web --status warning --note 'disk 91% full'\n  \
    shoal heartbeat web --port 8080 -- python3 -m http.server 8080\n  \
    shoal heartbeat web --port 8080 --drain 5s -- ./serve"
)]
pub struct Heartbeat {
    /// An instance, a check, or a service of this host
    #[arg(value_name = "ID-or-NAME")]
    pub(super) target: String,

    /// What to report
    #[arg(long, value_parser = args::status(), default_value = "passing")]
    pub(super) status: CheckStatus,

    /// Remark for people, shown with the check
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub(super) note: String,

    /// Repeat until stopped [default with -- CMD: a third of the TTL]
    #[arg(long, value_name = "DURATION", value_parser = args::duration)]
    pub(super) every: Option<Duration>,

    /// With -- CMD: register with this TTL [default: 10s]
    #[arg(long, value_name = "DURATION", value_parser = args::duration)]
    pub(super) ttl: Option<Duration>,

    /// With -- CMD: time between the end of being resolved and the signal that ends CMD [default: 0s]
    #[arg(long, value_name = "DURATION", value_parser = args::duration)]
    pub(super) drain: Option<Duration>,

    #[command(flatten)]
    pub(super) definition: Definition,

    #[command(flatten)]
    pub(super) common: Common,

    /// The command to run and its arguments
    #[arg(last = true, value_name = "CMD")]
    pub(super) command: Vec<OsString>,
}

pub(super) async fn heartbeat(args: Heartbeat, output: &mut Output<'_>) -> Result<Exit, Failure> {
    let client = args.common.client(output)?;
    if !args.command.is_empty() {
        let signals = wrap::signals().map_err(|e| Failure::no(format!("cannot watch for signals: {e}")))?;
        return wrap::run_command(args, &client, signals, output).await;
    }
    if args.definition.is_given()
        || args.definition.id.is_some()
        || args.ttl.is_some()
        || args.drain.is_some()
    {
        return Err(Failure::usage(
            "a heartbeat registers nothing, so --id, --port, --ttl, --drain and the like want a command: ... -- CMD",
        ));
    }
    match client.heartbeat(&args.target, args.status, &args.note).await {
        Ok(_) => {}
        Err(e) if e.is_unknown() => return Err(unknown(&client, &args.target).await?),
        Err(e) => return Err(e.into()),
    }
    match args.every {
        None => Ok(Exit::Done),
        Some(every) => repeat(&args, &client, every, output).await,
    }
}

async fn repeat(
    args: &Heartbeat,
    client: &Client,
    every: Duration,
    output: &mut Output<'_>,
) -> Result<Exit, Failure> {
    let listen = |kind| signal(kind).map_err(|e| Failure::no(format!("cannot watch for signals: {e}")));
    let (mut interrupt, mut terminate) = (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The first tick is at once, and that heartbeat has been sent.
    ticks.tick().await;
    let mut cut_off = false;
    loop {
        let beat = async {
            ticks.tick().await;
            client.heartbeat(&args.target, args.status, &args.note).await
        };
        let beaten = tokio::select! {
            beaten = beat => beaten,
            _ = interrupt.recv() => return Ok(Exit::Done),
            _ = terminate.recv() => return Ok(Exit::Done),
        };
        match beaten {
            Ok(_) => {
                if std::mem::take(&mut cut_off) {
                    output.note("the agent is back");
                }
            }
            Err(e) if e.is_unreachable() => {
                if !std::mem::replace(&mut cut_off, true) {
                    output.note(format_args!(
                        "{e}; trying again every {}",
                        crate::client::format_duration(every)
                    ));
                }
            }
            Err(e) if e.is_unknown() => return Err(unknown(client, &args.target).await?),
            Err(e) => return Err(e.into()),
        }
    }
}

/// Says what there is instead of a TTL check of `target`.
async fn unknown(client: &Client, target: &str) -> Result<Failure, Error> {
    let services = client.local_services().await?;
    let here = services.iter().any(|(id, s)| id == target || s.name.eq_ignore_ascii_case(target));
    if here {
        return Ok(Failure::no(format!(
            "{target} has no TTL check to keep alive: register it with --check-ttl DURATION"
        )));
    }
    let checks = client.local_checks().await?;
    let ttl = checks.iter().filter(|(_, check)| check.kind == "ttl").map(|(id, _)| id.as_str());
    let names = services.iter().flat_map(|(id, service)| [id.as_str(), service.name.as_str()]);
    let near = did_you_mean(target, names.chain(ttl));
    Ok(Failure::no(format!("no instance, check or service of this host is called {target:?}{near}")))
}
