//! `shoal agent` and `shoal config check` as processes.
//!
//! Owns signals, what is printed, what systemd is told, and exit codes: 0 the agent left, 1 it was
//! cut short or broke, 2 wrong use (which includes a socket, a port, a directory or a name that
//! somebody else has).

use super::args::AgentArgs;
use super::config::AgentConfig;
use super::driver::Ended;
use super::error::StartError;
use super::logging::LogControl;
use super::shell::{ApiParts, Running, Shell, Wiring};
use crate::api::Api;
use crate::api::request::Request;
use sd_notify::NotifyState;
use std::io::Write;
use std::process::ExitCode;
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

/// Wrong use or configuration.
const EXIT_WRONG_USE: u8 = 2;
/// Threads that answer the API. Answers come from memory: two keep a slow one from holding up
/// the next.
const API_THREADS: usize = 2;

/// Runs an agent until it is told to end. `api` makes the API. `out` gets what to paste
/// elsewhere, `err` what went wrong before there was a log; neither may be a lock on a standard
/// stream, because log lines need it.
pub fn run<F>(args: &AgentArgs, api: F, out: &mut dyn Write, err: &mut dyn Write) -> ExitCode
where
    F: FnOnce(ApiParts) -> Api,
{
    match start_and_wait(args, api, out) {
        Ok(code) => code,
        Err(error) => {
            complain(err, &error);
            ExitCode::from(EXIT_WRONG_USE)
        }
    }
}

/// Checks the configuration and writes the one in effect to `out`, as a file that says the same, and
/// as remarks which services and checks the files define.
pub fn config_check(args: &AgentArgs, out: &mut dyn Write, err: &mut dyn Write) -> ExitCode {
    match AgentConfig::load(args) {
        Ok(config) => {
            // A closed pipe is the reader's choice.
            let _ = write!(out, "{}", config.to_toml());
            for line in config.definitions().lines() {
                let _ = writeln!(out, "# {line}");
            }
            ExitCode::SUCCESS
        }
        Err(fault) => {
            complain(err, &fault);
            ExitCode::from(EXIT_WRONG_USE)
        }
    }
}

/// The last word when even standard error is gone is the exit code.
fn complain(err: &mut dyn Write, error: &dyn std::fmt::Display) {
    let _ = writeln!(err, "shoal: error: {error}");
}

fn start_and_wait<F>(args: &AgentArgs, api: F, out: &mut dyn Write) -> Result<ExitCode, StartError>
where
    F: FnOnce(ApiParts) -> Api,
{
    let config = AgentConfig::load(args)?;
    let log = LogControl::install(config.log_level(), config.log_format());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(API_THREADS)
        .thread_name("shoal-api")
        .enable_all()
        .build()?;
    // Before anything is bound, so that no signal finds the default action and leaves a socket
    // file behind.
    let signals = Signals::install(&runtime)?;
    let cluster = config.cluster().to_owned();
    let mut running =
        Shell::start(config, Wiring { runtime: runtime.handle(), api, log, interference: None })?;
    tell(&[NotifyState::Ready]);
    // Readers of this output may be gone already; the agent is wanted all the same.
    let _ = greet(out, &running, &cluster);
    let ended = runtime.block_on(signals.watch(&mut running));
    runtime.shutdown_background();
    Ok(match ended {
        Ended::Left => ExitCode::SUCCESS,
        Ended::NameTaken { .. } => ExitCode::from(EXIT_WRONG_USE),
        Ended::Aborted | Ended::Crashed => ExitCode::FAILURE,
    })
}

/// What somebody who starts an agent by hand wants to know.
fn greet(out: &mut dyn Write, running: &Running, cluster: &str) -> std::io::Result<()> {
    writeln!(out, "node    {} of cluster {cluster}", running.node())?;
    writeln!(out, "gossip  {}", running.gossip_addr())?;
    writeln!(out, "socket  {}", running.socket().display())?;
    if let Some(http) = running.http() {
        writeln!(out, "http    http://{http}")?;
    }
    if let Some(dns) = running.dns() {
        writeln!(out, "dns     {dns}")?;
    }
    let join = format!("shoal agent --join {}", running.join_addr());
    if running.join_addr().ip().is_loopback() {
        // Elsewhere can only be on this host, where these are taken.
        let own = "--node NAME --bind 127.0.0.1:0 --socket PATH --data-dir DIR";
        writeln!(out, "join    {join} {own}")?;
    } else {
        writeln!(out, "join    {join}")?;
    }
    out.flush()
}

/// Tells systemd, if it started this process.
fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(%error, "systemd could not be told the agent's state");
    }
}

/// The signals that an agent knows.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    fn install(runtime: &Runtime) -> std::io::Result<Self> {
        let _inside = runtime.enter();
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Passes signals on until the agent has ended.
    async fn watch(mut self, running: &mut Running) -> Ended {
        let mut asked_to_leave = false;
        loop {
            tokio::select! {
                ended = running.wait() => return ended,
                _ = self.interrupt.recv() => {}
                _ = self.terminate.recv() => {}
                _ = self.hangup.recv() => {
                    reload(running).await;
                    continue;
                }
            }
            if asked_to_leave {
                tracing::warn!("told twice to end: ending without leaving the cluster");
                running.abort();
            } else {
                asked_to_leave = true;
                tell(&[NotifyState::Stopping]);
                running.stop();
            }
        }
    }
}

/// Hands the wish on; the loop logs how it went.
async fn reload(running: &Running) {
    let (reply, _) = oneshot::channel();
    let _ = running.requests().send(Request::Reload(reply)).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_configuration_is_told_and_exits_with_2() {
        let args = AgentArgs { bind: Some("nowhere".to_owned()), no_persist: true, ..AgentArgs::default() };
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let code = config_check(&args, &mut out, &mut err);
        assert_eq!(format!("{code:?}"), format!("{:?}", ExitCode::from(2)));
        let said = String::from_utf8(err).expect("is text");
        assert!(said.starts_with("shoal: error: command line or environment: bind = \"nowhere\""), "{said}");
        assert!(out.is_empty());
    }

    #[test]
    fn a_good_configuration_is_shown_as_a_file() {
        let args = AgentArgs { node: Some("n1".to_owned()), no_persist: true, ..AgentArgs::default() };
        let (mut out, mut err) = (Vec::new(), Vec::new());
        config_check(&args, &mut out, &mut err);
        let shown: toml::Table = String::from_utf8(out).expect("is text").parse().expect("is TOML");
        assert_eq!(shown["node"].as_str(), Some("n1"));
        assert_eq!(shown["probe_interval"].as_str(), Some("1s"));
        assert!(err.is_empty());
    }
}
