//! `shoal demo`: a small shop on five agents in one process, with failures to watch.
//!
//! Owns the agents, the services behind them, the shoppers, and what is told of all that. The agents are
//! those that ship: real UDP sockets on loopback, real Unix sockets and data in a temporary directory. What
//! no production agent has is [`agent::Interference`](crate::agent::Interference), through which their
//! datagrams get lost and they stand still. Looks at the cluster only through the agents' API, like any
//! other user.
//!
//! ```text
//!   script, keys ─► stage ─► agents, services, network
//!                     │            │
//!                     ▼            ▼
//!   view, plain ◄─ board ◄─ observers (one for each agent), shoppers
//! ```
//!
//! `board` is a pure model; so is what it compares with, `truth`.

mod agents;
mod args;
mod board;
mod network;
mod observer;
mod plain;
mod sales;
mod script;
mod service;
mod shop;
mod shoppers;
mod stage;
mod story;
mod truth;
mod view;

pub use args::DemoArgs;

use crate::agent::ApiParts;
use crate::api::Api;
use script::Step;
use shop::HOSTS;
use stage::Stage;
use std::io::{self, IsTerminal, Write, stdin, stdout};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Threads for shoppers, services and observers; agents have their own.
const THREADS: usize = 2;
/// Wrong use, as of other commands.
const EXIT_WRONG_USE: u8 = 2;

/// How the demonstration ended.
enum Ended {
    Well,
    /// A step failed, or a signal came before the end of a story.
    Badly,
}

/// Runs the demonstration until it ends or somebody ends it. `api` makes the API of each agent. Takes the
/// terminal where there is one, unless text is wanted.
pub fn run<F>(args: &DemoArgs, api: F, out: &mut dyn Write, err: &mut dyn Write) -> ExitCode
where
    F: Fn(ApiParts) -> Api + Clone + Send + 'static,
{
    let complain = |err: &mut dyn Write, error: &str| {
        // The last word when even standard error is gone is the exit code.
        writeln!(err, "shoal: {error}").ok();
    };
    let steps = match args.script.as_deref().map(script::parse).transpose() {
        Ok(steps) => steps,
        Err(error) => {
            complain(err, &format!("--script: {error}"));
            return ExitCode::from(EXIT_WRONG_USE);
        }
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(THREADS).enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            complain(err, &format!("the system gives no event queue: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let ended = runtime.block_on(play(args, steps, api, out));
    runtime.shutdown_background();
    match ended {
        Ok(Ended::Well) => ExitCode::SUCCESS,
        Ok(Ended::Badly) => ExitCode::FAILURE,
        Err(error) => {
            complain(err, &error);
            ExitCode::FAILURE
        }
    }
}

async fn play<F>(
    args: &DemoArgs,
    steps: Option<Vec<Step>>,
    api: F,
    out: &mut dyn Write,
) -> Result<Ended, String>
where
    F: Fn(ApiParts) -> Api + Clone + Send + 'static,
{
    // Before anything is bound or written, so that no signal leaves something behind.
    let mut signals = Signals::install().map_err(|e| format!("cannot watch for signals: {e}"))?;
    let profile = if args.profile == "local" { "local" } else { "lan" };
    let mut stage = Stage::new(profile, api)?;
    let opened = tokio::select! {
        opened = stage.open() => opened.map(|()| true),
        () = signals.next() => Ok(false),
    };
    let plain = args.plain || !stdout().is_terminal() || !stdin().is_terminal();
    let ended = if opened != Ok(true) {
        opened.map(|_| Ended::Badly)
    } else if plain {
        let steps = steps.unwrap_or_else(|| script::parse(script::STORY).expect("the story is a script"));
        tokio::select! {
            told = plain::tell(&mut stage, steps, out) => finished(told),
            () = signals.next() => Ok(Ended::Badly),
        }
    } else {
        view::show(&mut stage, steps.unwrap_or_default(), &mut signals)
            .await
            .map(|()| Ended::Well)
            .map_err(|e| format!("the terminal cannot be used for a full screen: {e}"))
    };
    stage.close().await;
    ended
}

fn finished(told: io::Result<bool>) -> Result<Ended, String> {
    match told {
        Ok(true) => Ok(Ended::Well),
        Ok(false) => Ok(Ended::Badly),
        // Whoever read along has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Ended::Well),
        Err(error) => Err(format!("the story cannot be written: {error}")),
    }
}

/// What to try from another terminal.
fn commands(sockets: &[PathBuf; HOSTS], http: Option<SocketAddr>) -> Vec<String> {
    let [first, .., last] = sockets;
    let (first, last) = (first.display(), last.display());
    let mut commands = vec![
        format!("shoal members --socket {first}"),
        format!("shoal resolve cart --socket {last}"),
        format!("shoal watch --socket {first}"),
        format!("shoal top --socket {first}"),
        format!("shoal doctor --socket {first}"),
    ];
    commands.extend(http.map(|http| format!("http://{http}/ui/ in a browser")));
    commands
}

/// The signals that end it.
struct Signals([Signal; 3]);

impl Signals {
    fn install() -> io::Result<Self> {
        Ok(Self([
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
            signal(SignalKind::hangup())?,
        ]))
    }

    /// Returns when one came.
    async fn next(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}
