//! The commands: those that ask a running agent, and the one that simulates clusters of them.
//!
//! Owns their flags, what they print and their exit codes. Never talks to the agent except
//! through [`crate::client`], like any other user of it, knows the protocol only as
//! [`crate::sim`] runs it, and never prints except to the writers it is given;
//! `top` alone takes the terminal.
//!
//! With `--format json` every command that lists something prints one JSON array, and every
//! command that tells of one thing one JSON object; each command's help names the fields. Fields
//! may be added, never renamed.

mod args;
mod checks;
mod command_run;
mod debounce;
mod doctor;
mod failure;
mod heartbeat;
mod keyring;
mod members;
mod monitor;
mod node;
mod output;
mod register;
mod render;
mod resolve;
mod rtt;
mod services;
mod shell;
mod simulate;
mod suggest;
mod table;
mod target;
#[cfg(test)]
mod tests;
mod top;
mod watch;
mod wrap;

use clap::{CommandFactory, Parser, Subcommand};
use failure::Failure;
use output::Output;
use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// 0: done.
    Done,
    /// 1: the answer is no (an unknown id, nothing healthy), or the agent could not do it.
    No,
    /// 2: wrong use or configuration.
    Usage,
    /// 3: no agent at the socket.
    NoAgent,
    /// The status of the command that `heartbeat` ran.
    Command(u8),
}

impl Exit {
    /// The process's exit code.
    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::No => 1,
            Self::Usage => 2,
            Self::NoAgent => 3,
            Self::Command(code) => code,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// The commands. A program flattens this into a subcommand enum of its own to add to them.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Register a service instance on this host
    Register(register::Register),
    /// Take a service instance of this host out of the directory
    Deregister(register::Deregister),
    /// Keep a TTL check of this host alive, or run a command registered while it lives
    Heartbeat(heartbeat::Heartbeat),
    /// List every service, or every instance of one
    Services(services::Services),
    /// Print where a service answers, nearest first
    Resolve(resolve::Resolve),
    /// List the nodes of the cluster
    Members(members::Members),
    /// Print the round-trip time to a node, or between two
    Rtt(rtt::Rtt),
    /// List the checks of the cluster, or of one service
    Checks(checks::Checks),
    /// Print changes as they happen, one JSON object per line
    Watch(watch::Watch),
    /// Show the cluster live on the whole terminal
    Top(top::Top),
    /// Keep files written from templates as the table changes
    Render(render::Render),
    /// Join a cluster through one of its agents
    Join(members::Join),
    /// Leave the cluster and end the agent
    Leave(members::Leave),
    /// Take a failed node for one that left
    ForceLeave(members::ForceLeave),
    /// Take a node or an instance out of service, or back in
    Maintenance(node::Maintenance),
    /// Look for what is wrong, and say what to do
    Doctor(doctor::Doctor),
    /// Show the agent's own state
    Info(node::Info),
    /// Print the agent's counters in Prometheus' text format
    Metrics(node::Metrics),
    /// Print the agent's log as it is written
    Monitor(monitor::Monitor),
    /// Make the agent read its service files, tags, log level and keyring again
    Reload(node::Reload),
    /// Make a key for the cluster's gossip
    Keygen(keyring::Keygen),
    /// List and change the keys that the cluster's gossip is sealed with
    Keyring(keyring::Keyring),
    /// Run scenarios of whole clusters in virtual time, and say what came of them
    Simulate(simulate::Simulate),
    /// Print a completion script for a shell
    Completions(shell::Completions),
    /// Print the manual page
    Man(shell::Man),
}

#[derive(Parser)]
#[command(name = "shoal", version, about = "A service directory with no servers", propagate_version = true)]
struct Commands {
    #[command(subcommand)]
    command: Command,
}

/// Parses `args` (the program's name first) as one of the commands, and executes it.
pub fn run<I, T>(args: I, out: &mut dyn Write, err: &mut dyn Write) -> Exit
where
    I: IntoIterator<Item = T>,
    T: Into<OsString> + Clone,
{
    match Commands::try_parse_from(args) {
        Ok(parsed) => execute(parsed.command, Commands::command(), out, err),
        Err(error) => report_parse_error(&error, out, err),
    }
}

/// Prints what the argument parser has to say: help and version are answers, the rest is wrong
/// use.
pub fn report_parse_error<'a>(error: &clap::Error, out: &'a mut dyn Write, err: &'a mut dyn Write) -> Exit {
    let (writer, exit) = if error.use_stderr() { (err, Exit::Usage) } else { (out, Exit::Done) };
    // Nobody is left to tell when this fails.
    writer.write_all(error.render().to_string().as_bytes()).and_then(|()| writer.flush()).ok();
    exit
}

/// Executes a command. `program` describes the whole program, for completions and the manual.
pub fn execute(command: Command, program: clap::Command, out: &mut dyn Write, err: &mut dyn Write) -> Exit {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            writeln!(err, "shoal: the system gives no event queue: {error}").ok();
            return Exit::No;
        }
    };
    let mut output = Output::new(out, err);
    let done = runtime.block_on(dispatch(command, program, &mut output));
    // A call that is still resolving a host name must not hold up the end.
    runtime.shutdown_background();
    match done.and_then(|exit| output.flush().map(|()| exit)) {
        Ok(exit) => exit,
        // Whoever read the answer has seen enough.
        Err(Failure::Closed) => Exit::Done,
        Err(Failure::Told { exit, message }) => {
            output.error(&message);
            exit
        }
    }
}

async fn dispatch(
    command: Command,
    program: clap::Command,
    output: &mut Output<'_>,
) -> Result<Exit, Failure> {
    match command {
        Command::Register(args) => register::register(args, output).await,
        Command::Deregister(args) => register::deregister(args, output).await,
        Command::Heartbeat(args) => heartbeat::heartbeat(args, output).await,
        Command::Services(args) => services::services(args, output).await,
        Command::Resolve(args) => resolve::resolve(args, output).await,
        Command::Members(args) => members::members(args, output).await,
        Command::Rtt(args) => rtt::rtt(args, output).await,
        Command::Checks(args) => checks::checks(args, output).await,
        Command::Watch(args) => watch::watch(args, output).await,
        Command::Top(args) => top::top(args, output).await,
        Command::Render(args) => render::render(args, output).await,
        Command::Join(args) => members::join(args, output).await,
        Command::Leave(args) => members::leave(args, output).await,
        Command::ForceLeave(args) => members::force_leave(args, output).await,
        Command::Maintenance(args) => node::maintenance(args, output).await,
        Command::Doctor(args) => doctor::doctor(args, output).await,
        Command::Info(args) => node::info(args, output).await,
        Command::Metrics(args) => node::metrics(args, output).await,
        Command::Monitor(args) => monitor::monitor(args, output).await,
        Command::Reload(args) => node::reload(args, output).await,
        Command::Keygen(args) => keyring::keygen(&args, output),
        Command::Keyring(args) => keyring::keyring(args, output).await,
        Command::Simulate(args) => simulate::simulate(&args, output),
        Command::Completions(args) => shell::completions(&args, program, output),
        Command::Man(args) => shell::man(&args, program, output),
    }
}
