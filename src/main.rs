//! The `shoal` program: puts the agent and the commands that ask it under one roof.

use clap::{CommandFactory, Parser, Subcommand};
use std::io::{BufWriter, stderr, stdout};
use std::process::ExitCode;

use shoal::agent::{self, ApiParts, args::AgentArgs};
use shoal::api::{Api, Context, Limits, MoreMetrics, StaticInfo};
use shoal::demo::{self, DemoArgs};

#[derive(Parser)]
#[command(name = "shoal", version, about = "A service directory with no servers", propagate_version = true)]
struct Shoal {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run this host's agent
    Agent(AgentArgs),

    /// Watch a small shop on five agents in one process, and break it
    Demo(DemoArgs),

    /// Look at the agent's configuration
    #[command(subcommand)]
    Config(ConfigCommand),

    #[command(flatten)]
    Ask(shoal::cli::Command),
}

#[derive(Subcommand)]
enum ConfigCommand {
    /// Validate the configuration and print what is in effect
    Check(AgentArgs),
}

fn main() -> ExitCode {
    let (mut out, mut err) = (stdout(), stderr());
    match Shoal::try_parse().map(|shoal| shoal.command) {
        Ok(Command::Agent(args)) => agent::run(&args, router, &mut out, &mut err),
        Ok(Command::Demo(args)) => demo::run(&args, router, &mut out, &mut err),
        Ok(Command::Config(ConfigCommand::Check(args))) => agent::config_check(&args, &mut out, &mut err),
        Ok(Command::Ask(command)) => {
            // Standard output alone would make a system call of every line of a table.
            shoal::cli::execute(command, Shoal::command(), &mut BufWriter::new(out), &mut err).into()
        }
        Err(error) => shoal::cli::report_parse_error(&error, &mut out, &mut err).into(),
    }
}

/// Puts the API on top of what the agent publishes.
fn router(parts: ApiParts) -> Api {
    let info = StaticInfo {
        node: parts.node,
        node_id: parts.node_id,
        datacenter: parts.cluster,
        agent_version: env!("CARGO_PKG_VERSION").to_owned(),
        started_unix_ms: parts.started_unix_ms,
        limits: Limits::default(),
        script_checks: parts.config["enable_script_checks"] == true,
        settings: settings(&parts.config),
        config: parts.config,
    };
    let more_metrics = parts.dns.map(|dns| MoreMetrics::new(move |out| dns.expose(out))).unwrap_or_default();
    Api::new(Context {
        view: parts.view,
        requests: parts.requests,
        info,
        more_metrics,
        logs: parts.logs,
        access: parts.access,
    })
}

/// The profile and the constants of timing and limits, of all that was configured.
fn settings(config: &serde_json::Value) -> serde_json::Value {
    let wanted = |key: &str| key == "profile" || shoal::core::Settings::KEYS.contains(&key);
    let all = config.as_object().into_iter().flatten();
    all.filter(|(key, _)| wanted(key)).map(|(key, value)| (key.clone(), value.clone())).collect()
}
