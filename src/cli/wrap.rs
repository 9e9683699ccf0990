//! `heartbeat ID-or-NAME -- CMD`: a command that is in the directory for as long as it lives.
//!
//! Owns the child process, its signals and its heartbeats. Whatever the agent does meanwhile,
//! the command is left to run and its exit status is the answer.

use super::Exit;
use super::failure::Failure;
use super::heartbeat::Heartbeat;
use super::output::Output;
use crate::client::{Client, Error, Service, ServiceInstance};
use crate::model::CheckStatus;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, getpgrp, tcgetpgrp};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::pin::{Pin, pin};
use std::process::ExitStatus;
use std::time::Duration;
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, Sleep};

/// TTL of a registration made for a command, unless it names another.
const TTL: Duration = Duration::from_secs(10);
/// Heartbeats in one TTL: one may come late and one may be lost.
const BEATS_PER_TTL: u32 = 3;
/// The command is told to end at the latest this much after its time for draining.
const DRAIN_CALL_MAX: Duration = Duration::from_secs(2);
/// Shells answer these for a command that is not there, and one that cannot be run.
const NOT_FOUND: u8 = 127;
const NOT_EXECUTABLE: u8 = 126;

/// The signals that are handed on, as they arrive.
pub(super) fn signals() -> io::Result<mpsc::UnboundedReceiver<Signal>> {
    let (sender, receiver) = mpsc::unbounded_channel();
    let kinds = [
        (SignalKind::interrupt(), Signal::SIGINT),
        (SignalKind::terminate(), Signal::SIGTERM),
        (SignalKind::hangup(), Signal::SIGHUP),
    ];
    for (kind, number) in kinds {
        let (mut arrivals, sender) = (signal(kind)?, sender.clone());
        tokio::spawn(async move { while arrivals.recv().await.is_some() && sender.send(number).is_ok() {} });
    }
    Ok(receiver)
}

/// What is kept alive, and how.
struct Kept {
    client: Client,
    id: String,
    checks: Vec<String>,
    /// How to register it again, where this command registered it.
    service: Option<Service>,
    status: CheckStatus,
    note: String,
    every: Duration,
    drain: Duration,
}

impl Kept {
    async fn beat(&self) -> Result<(), Error> {
        match self.beat_once().await {
            // An agent that lost its state forgot the registration with it.
            Err(e) if e.is_unknown() => match &self.service {
                Some(service) => {
                    self.client.register(service.clone()).await?;
                    self.beat_once().await
                }
                None => Err(e),
            },
            beaten => beaten,
        }
    }

    async fn beat_once(&self) -> Result<(), Error> {
        for check in &self.checks {
            self.client.heartbeat_check(check, self.status, &self.note).await?;
        }
        Ok(())
    }

    /// Takes the instance out of service. An agent that does not answer holds nobody up.
    async fn begin_drain(&self, output: &mut Output<'_>) {
        let maintenance = self.client.service_maintenance(&self.id, true, "the command is being stopped");
        match tokio::time::timeout(DRAIN_CALL_MAX, maintenance).await {
            Ok(Ok(())) => {}
            Ok(Err(e)) if e.is_unknown() => {}
            Ok(Err(e)) => output.note(format_args!("{} cannot be drained: {e}", self.id)),
            Err(_) => output.note(format_args!("{} cannot be drained: the agent does not answer", self.id)),
        }
    }

    async fn beat_for_ever(&self, remarks: mpsc::UnboundedSender<String>) -> Infallible {
        let mut ticks = tokio::time::interval(self.every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut failing = false;
        loop {
            ticks.tick().await;
            let remark = match self.beat().await {
                Ok(()) => std::mem::take(&mut failing).then(|| format!("{} is beating again", self.id)),
                Err(e) => {
                    let first = !std::mem::replace(&mut failing, true);
                    first.then(|| format!("no heartbeat of {} gets through: {e}; trying on", self.id))
                }
            };
            if let Some(remark) = remark {
                remarks.send(remark).ok();
            }
        }
    }
}

/// Runs the command registered and beating until it ends.
pub(super) async fn run_command(
    args: Heartbeat,
    client: &Client,
    mut signals: mpsc::UnboundedReceiver<Signal>,
    output: &mut Output<'_>,
) -> Result<Exit, Failure> {
    let (program, rest) = args.command.split_first().expect("a command was given");
    let mut command = Command::new(program);
    command.args(rest);
    let program = program.to_string_lossy().into_owned();
    let kept = prepare(args, client).await?;
    // Before the command starts, so that a registration that is refused starts nothing.
    if let Some(service) = &kept.service {
        client.register(service.clone()).await?;
    }
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(e) => {
            deregister(&kept, output).await;
            output.error(format_args!("cannot run {program}: {e}"));
            let code = if e.kind() == io::ErrorKind::NotFound { NOT_FOUND } else { NOT_EXECUTABLE };
            return Ok(Exit::Command(code));
        }
    };
    let (remark, mut remarks) = mpsc::unbounded_channel();
    let ended = {
        let mut beating = pin!(kept.beat_for_ever(remark));
        // The signal that is to follow when the time for draining is over.
        let mut draining: Option<(Signal, Pin<Box<Sleep>>)> = None;
        let mut drained = false;
        loop {
            let over = async {
                match &mut draining {
                    Some((signal, over)) => {
                        over.await;
                        *signal
                    }
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                ended = child.wait() => break ended,
                signal = over => {
                    draining = None;
                    forward(signal, &child);
                }
                Some(signal) = signals.recv() => {
                    let ends = matches!(signal, Signal::SIGINT | Signal::SIGTERM);
                    if ends && !std::mem::replace(&mut drained, true) {
                        kept.begin_drain(output).await;
                        draining = Some((signal, Box::pin(tokio::time::sleep(kept.drain))));
                    } else {
                        forward(signal, &child);
                    }
                }
                Some(remark) = remarks.recv() => output.note(remark),
                never = &mut beating => match never {},
            }
        }
    };
    deregister(&kept, output).await;
    let status = ended.map_err(|e| Failure::no(format!("lost track of {program}: {e}")))?;
    Ok(Exit::Command(exit_code(status)))
}

/// Finds what is to be kept alive, or describes it as it is to be registered.
async fn prepare(args: Heartbeat, client: &Client) -> Result<Kept, Failure> {
    let services = client.local_services().await?;
    let existing = find(&args, &services)?;
    let describes = args.definition.is_given() || args.ttl.is_some();
    let ttl = args.ttl.unwrap_or(TTL);
    let mut kept = Kept {
        client: client.clone(),
        id: String::new(),
        checks: Vec::new(),
        service: None,
        status: args.status,
        note: args.note,
        every: args.every.unwrap_or(ttl / BEATS_PER_TTL),
        drain: args.drain.unwrap_or_default(),
    };
    if let Some((id, _)) = existing
        && !describes
    {
        let checks = client.local_checks().await?;
        kept.checks = checks
            .into_iter()
            .filter(|(_, c)| c.service_id == id && c.kind == "ttl")
            .map(|(id, _)| id)
            .collect();
        if kept.checks.is_empty() {
            return Err(Failure::usage(format!(
                "{id} is registered without a TTL check: give --ttl DURATION to register it again with one"
            )));
        }
        id.clone_into(&mut kept.id);
        return Ok(kept);
    }
    let mut definition = args.definition;
    let name = match existing {
        Some((id, instance)) => {
            definition.id = Some(id.to_owned());
            instance.name.clone()
        }
        None => args.target,
    };
    let service = definition.service(&name).ttl(ttl).status(kept.status);
    service.instance_id().clone_into(&mut kept.id);
    kept.checks = vec![format!("service:{}", kept.id)];
    kept.service = Some(service);
    Ok(kept)
}

fn find<'a>(
    args: &Heartbeat,
    services: &'a BTreeMap<String, ServiceInstance>,
) -> Result<Option<(&'a str, &'a ServiceInstance)>, Failure> {
    let by_id = |id: &str| services.get_key_value(id).map(|(id, instance)| (id.as_str(), instance));
    if let Some(id) = &args.definition.id {
        return Ok(by_id(id));
    }
    if let Some(found) = by_id(&args.target) {
        return Ok(Some(found));
    }
    let mut named = services.iter().filter(|(_, s)| s.name.eq_ignore_ascii_case(&args.target));
    let first = named.next().map(|(id, instance)| (id.as_str(), instance));
    if named.next().is_some() {
        return Err(Failure::usage(format!(
            "this host has several instances of {}: say which one with --id, an unused id for a new one",
            args.target
        )));
    }
    Ok(first)
}

fn forward(signal: Signal, child: &Child) {
    // A Ctrl-C goes to everything in the terminal's foreground, so the command has it already,
    // and for many programs a second one means to drop everything.
    let from_terminal =
        signal == Signal::SIGINT && tcgetpgrp(io::stdin()).is_ok_and(|group| group == getpgrp());
    let pid = child.id().and_then(|id| i32::try_from(id).ok());
    if let (false, Some(pid)) = (from_terminal, pid) {
        // It may just have ended; then its exit is what comes next.
        kill(Pid::from_raw(pid), signal).ok();
    }
}

async fn deregister(kept: &Kept, output: &mut Output<'_>) {
    match kept.client.deregister(&kept.id).await {
        Ok(()) => {}
        Err(e) if e.is_unknown() => {}
        Err(e) => output.note(format_args!("{} stays registered until its TTL ends: {e}", kept.id)),
    }
}

fn exit_code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(1);
    u8::try_from(code).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::testing::FakeAgent;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        heartbeat: Heartbeat,
    }

    fn parse(line: &[&str]) -> Heartbeat {
        Line::try_parse_from([&["heartbeat"], line].concat()).expect("valid flags").heartbeat
    }

    async fn run(
        agent: &FakeAgent,
        line: &[&str],
        signals: mpsc::UnboundedReceiver<Signal>,
    ) -> (Exit, String) {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut output = Output::new(&mut out, &mut err);
        let client = Client::connect(agent.socket()).expect("a path");
        let exit = run_command(parse(line), &client, signals, &mut output).await.expect("runs");
        (exit, String::from_utf8(err).expect("text"))
    }

    fn no_signals() -> mpsc::UnboundedReceiver<Signal> {
        mpsc::unbounded_channel().1
    }

    #[tokio::test]
    async fn the_command_is_registered_while_it_lives_and_its_exit_code_is_the_answer() {
        let agent = FakeAgent::start();
        let line = ["web", "--port", "8080", "--every", "20ms", "--", "/bin/sh", "-c", "sleep 0.3; exit 7"];
        assert_eq!(run(&agent, &line, no_signals()).await, (Exit::Command(7), String::new()));
        let beats = agent.asked("PUT /v1/agent/check/update/service:web");
        assert!(beats >= 3, "{beats} beats");
        assert_eq!(agent.asked("PUT /v1/agent/service/deregister/web"), 1);
        assert_eq!(agent.with(|state| state.services.len()), 0);
    }

    #[tokio::test]
    async fn signals_reach_the_command() {
        let agent = FakeAgent::start();
        let (signal, signals) = mpsc::unbounded_channel();
        // Waits in the queue until the command runs; the shell may not have set its trap by then,
        // so the default action of the signal is what is looked for.
        signal.send(Signal::SIGTERM).expect("the receiver is alive");
        let (exit, _) = run(&agent, &["web", "--", "/bin/sleep", "30"], signals).await;
        assert_eq!(exit, Exit::Command(128 + 15));
        assert_eq!(agent.with(|state| state.services.len()), 0);
    }

    #[tokio::test]
    async fn at_the_first_signal_the_instance_is_drained_and_a_second_one_does_not_wait() {
        let agent = FakeAgent::start();
        let (signal, signals) = mpsc::unbounded_channel();
        signal.send(Signal::SIGTERM).expect("the receiver is alive");
        let started = tokio::time::Instant::now();
        let line = ["web", "--drain", "300ms", "--", "/bin/sleep", "30"];
        let (exit, _) = run(&agent, &line, signals).await;
        assert_eq!(exit, Exit::Command(128 + 15));
        assert!(started.elapsed() >= Duration::from_millis(300), "{:?}", started.elapsed());
        assert_eq!(agent.asked("PUT /v1/agent/service/maintenance/web?enable=true"), 1);
        assert_eq!(agent.with(|state| state.services.len()), 0);

        let (signal, signals) = mpsc::unbounded_channel();
        for _ in 0..2 {
            signal.send(Signal::SIGTERM).expect("the receiver is alive");
        }
        let line = ["web", "--drain", "1h", "--", "/bin/sleep", "30"];
        assert_eq!(run(&agent, &line, signals).await.0, Exit::Command(128 + 15));
    }

    #[tokio::test]
    async fn a_command_that_is_not_there_leaves_nothing_registered() {
        let agent = FakeAgent::start();
        let (exit, err) = run(&agent, &["web", "--", "/no/such/command"], no_signals()).await;
        assert_eq!(exit, Exit::Command(127));
        assert!(err.contains("/no/such/command"), "{err}");
        assert_eq!(agent.with(|state| state.services.len()), 0);
    }

    #[tokio::test]
    async fn an_agent_that_forgot_the_registration_is_told_again() {
        let agent = FakeAgent::start();
        let forget = async {
            while agent.asked("PUT /v1/agent/check/update/") < 3 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            agent.with(|state| {
                state.services.clear();
                state.checks.clear();
            });
            while agent.asked("PUT /v1/agent/service/register") < 2 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let line = ["web", "--every", "10ms", "--", "/bin/sh", "-c", "sleep 0.5"];
        let ((exit, _), ()) = tokio::join!(run(&agent, &line, no_signals()), forget);
        assert_eq!(exit, Exit::Command(0));
    }

    #[tokio::test]
    async fn what_is_registered_already_is_only_kept_alive() {
        let agent = FakeAgent::start();
        let client = Client::connect(agent.socket()).expect("a path");
        client.register(Service::new("web").id("web-7").ttl("5s")).await.expect("registers");
        let (exit, _) = run(&agent, &["web", "--", "/bin/true"], no_signals()).await;
        assert_eq!(exit, Exit::Command(0));
        assert_eq!(agent.asked("PUT /v1/agent/service/register"), 1);
        assert_eq!(agent.asked("PUT /v1/agent/service/deregister/web-7"), 1);
    }
}
