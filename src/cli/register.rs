use super::Exit;
use super::args::{self, Common, Definition};
use super::failure::Failure;
use super::output::Output;
use super::suggest::did_you_mean;
use super::target::{self, Target};
use crate::client::{CheckSpec, Client, Query, Service};
use crate::model::CheckStatus;
use serde_json::json;
use std::time::Duration;

/// Flags of `shoal register`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Prints the id. With --format json: an object with id, service and status.\n\
    Registering an id again replaces it. With --check-ttl the call itself counts as the first\n\
    heartbeat, so the instance starts passing; keep it so with `shoal heartbeat`.\n\n\
    Examples:\n  shoal register web http://10.0.0.7:8080 --check-http http://10.0.0.7:8080/health\n  \
    shoal register cart --port 7001 --tag v2 --check-ttl 10s")]
pub struct Register {
    /// Name of the service
    name: String,

    /// Address and port, as SCHEME://HOST[:PORT] or HOST:PORT
    #[arg(value_parser = target::parse, conflicts_with_all = ["address", "port"])]
    url: Option<Target>,

    #[command(flatten)]
    definition: Definition,

    /// Check by heartbeats: critical when none came for this long
    #[arg(long, value_name = "DURATION", value_parser = args::duration)]
    check_ttl: Option<Duration>,

    /// Check by a GET that must answer 2xx; repeatable
    #[arg(long, value_name = "URL")]
    check_http: Vec<String>,

    /// Check by connecting; repeatable
    #[arg(long, value_name = "HOST:PORT")]
    check_tcp: Vec<String>,

    /// Check by gRPC's health protocol; repeatable
    #[arg(long, value_name = "HOST:PORT[/SERVICE]")]
    check_grpc: Vec<String>,

    /// Check by a shell command: 0 passes, 1 warns, anything else is critical; repeatable
    #[arg(long, value_name = "COMMAND")]
    check_script: Vec<String>,

    /// Time between two runs of a check [default: 10s]
    #[arg(long, value_name = "DURATION", value_parser = args::duration)]
    interval: Option<Duration>,

    /// How long one run of a check may take
    #[arg(long, value_name = "DURATION", value_parser = args::duration)]
    timeout: Option<Duration>,

    /// State that the checks start with [default: passing with --check-ttl, critical otherwise]
    #[arg(long, value_parser = args::status())]
    status: Option<CheckStatus>,

    #[command(flatten)]
    common: Common,
}

impl Register {
    fn checks(&self) -> Vec<CheckSpec> {
        let http = self.check_http.iter().map(CheckSpec::http);
        let tcp = self.check_tcp.iter().map(CheckSpec::tcp);
        let grpc = self.check_grpc.iter().map(CheckSpec::grpc);
        let script = self.check_script.iter().map(CheckSpec::script);
        let timed = |check: CheckSpec| {
            let check = self.interval.map_or(check.clone(), |interval| check.interval(interval));
            self.timeout.map_or(check.clone(), |timeout| check.timeout(timeout))
        };
        http.chain(tcp).chain(grpc).chain(script).map(timed).collect()
    }
}

pub(super) async fn register(args: Register, output: &mut Output<'_>) -> Result<Exit, Failure> {
    let client = args.common.client(output)?;
    let checks = args.checks();
    if checks.is_empty() && (args.interval.is_some() || args.timeout.is_some()) {
        return Err(Failure::usage("--interval and --timeout want a check: --check-http, --check-tcp, ..."));
    }
    if checks.is_empty() && args.check_ttl.is_none() && args.status.is_some() {
        return Err(Failure::usage(
            "--status wants a check to hold it: --check-ttl DURATION, --check-http URL, ...",
        ));
    }
    let mut definition = args.definition;
    if let Some(target) = args.url {
        definition.address = Some(target.address);
        definition.port = Some(target.port);
    }
    let mut service = definition.service(&args.name);
    if let Some(ttl) = args.check_ttl {
        service = service.ttl(ttl);
    }
    if let Some(status) = args.status {
        service = service.status(status);
    }
    let bare = checks.is_empty() && args.check_ttl.is_none();
    service = checks.into_iter().fold(service, Service::check);
    let registration = client.register(service).await?;
    if output.is_json() {
        let first =
            if bare || args.check_ttl.is_some() { CheckStatus::Passing } else { CheckStatus::Critical };
        let status = args.status.unwrap_or(first);
        output.json(&json!({"id": registration.id(), "service": args.name, "status": status}))?;
    } else {
        output.line(registration.id())?;
    }
    Ok(Exit::Done)
}

/// Flags of `shoal deregister`.
#[derive(Debug, clap::Args)]
pub struct Deregister {
    /// Id of the instance, as `shoal register` printed it
    id: String,

    #[command(flatten)]
    common: Common,
}

pub(super) async fn deregister(args: Deregister, output: &mut Output<'_>) -> Result<Exit, Failure> {
    let client = args.common.client(output)?;
    match client.deregister(&args.id).await {
        Ok(()) => {
            output.done(format_args!("deregistered {}", args.id))?;
            Ok(Exit::Done)
        }
        Err(e) if e.is_unknown() => Err(unknown_instance(&client, &args.id).await?),
        Err(e) => Err(e.into()),
    }
}

/// Says what there is instead of an instance `id` on this host.
pub(super) async fn unknown_instance(client: &Client, id: &str) -> Result<Failure, Failure> {
    let services = client.local_services().await?;
    let named: Vec<&str> =
        services.iter().filter(|(_, s)| s.name.eq_ignore_ascii_case(id)).map(|(id, _)| id.as_str()).collect();
    if !named.is_empty() {
        return Ok(Failure::no(format!(
            "{id:?} is a service; its instances on this host are {}",
            named.join(", ")
        )));
    }
    let elsewhere = client.health(id, &Query::default()).await?;
    if let Some(first) = elsewhere.first() {
        let node = &first.node.name;
        return Ok(Failure::no(format!(
            "{id:?} is a service of other hosts: deregister its instances there ({node})"
        )));
    }
    let near = did_you_mean(id, services.keys().map(String::as_str));
    Ok(Failure::no(format!("no instance of this host has the id {id:?}{near}")))
}
