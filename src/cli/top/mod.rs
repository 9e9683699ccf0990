//! `top`: a live view of the cluster on the whole terminal.
//!
//! Owns the terminal while it runs, unlike any other command, and gives it back however it ends:
//! by a key, a signal, an error or a panic. What is shown is a pure function of a model
//! ([`draw`]), which news and keys change ([`model`]).

mod draw;
mod feed;
mod keys;
mod model;
#[cfg(test)]
mod testing;

use super::Exit;
use super::args::{self, Common};
use super::failure::Failure;
use super::output::Output;
use super::table::on_one_line;
use super::wrap;
use crate::client::{Client, WatchEvent};
use crate::screen::{Screen, as_text};
use crossterm::event::EventStream;
use feed::ChecksWanted;
use futures_util::StreamExt;
use model::Model;
use std::io::{IsTerminal, stdin, stdout};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval};

/// However much changes, it is drawn this often at most; keys are answered at once.
const FRAME: Duration = Duration::from_millis(100);

/// Flags of `shoal top`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Members, services, checks and events of the cluster, worst first, with the agent's rates and its\n\
    own health. Keys: q or Ctrl-C quits; 1 to 4 or Tab choose the view; s sorts by the next column,\n\
    r turns the order around; arrows, PageUp, PageDown, Home and End scroll.\n\n\
    Counts of the first lines: members by state; health is 0 (good) to 2 (poor), by which the agent\n\
    stretches its own deadlines; rates are of the agent asked, over the last interval.\n\n\
    Examples:\n  shoal top\n  shoal top --interval 5s --socket /run/shoal/agent.sock\n  shoal top --once"
)]
pub struct Top {
    /// Time between two questions to the agent
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = args::duration)]
    interval: Duration,

    /// Print the view once, as text of 80 by 24, and end
    #[arg(long)]
    once: bool,

    #[command(flatten)]
    common: Common,
}

pub(super) async fn top(args: Top, output: &mut Output<'_>) -> Result<Exit, Failure> {
    let client = args.common.client(output)?;
    if output.is_json() {
        return Err(Failure::usage(
            "--format json: top is for people; want shoal members, services, checks, info or watch",
        ));
    }
    if args.once {
        return print_once(&client, output).await;
    }
    if !stdout().is_terminal() || !stdin().is_terminal() {
        return Err(Failure::usage("top wants a terminal: give --once to print the view as text"));
    }
    // The first answers come before the screen is taken, so that their errors are read.
    let mut model = Model::new();
    let began = Instant::now();
    model.take_polled(feed::poll_once(&client, began, true).await?);
    let events = client.watch_all().await?;
    let signals = wrap::signals().map_err(|e| Failure::no(format!("cannot watch for signals: {e}")))?;
    let screen = Screen::open()
        .map_err(|e| Failure::no(format!("the terminal cannot be used for a full screen: {e}")))?;
    show(model, began, args.interval, &client, events, signals, screen).await
}

async fn print_once(client: &Client, output: &mut Output<'_>) -> Result<Exit, Failure> {
    let mut model = Model::new();
    let mut events = client.watch_all().await?;
    // Which instances there are stands in the snapshot, the first thing that is told.
    if let Some(event) = events.next().await {
        model.take_event(&event?);
    }
    model.take_polled(feed::poll_once(client, Instant::now(), true).await?);
    let picture = as_text(80, 24, |frame| {
        draw::draw(frame, &model);
    });
    for line in picture {
        output.line(line)?;
    }
    Ok(Exit::Done)
}

async fn show(
    mut model: Model,
    began: Instant,
    every: Duration,
    client: &Client,
    mut events: crate::client::Watch,
    mut signals: mpsc::UnboundedReceiver<nix::sys::signal::Signal>,
    mut screen: Screen,
) -> Result<Exit, Failure> {
    let wanted: ChecksWanted = Arc::new(AtomicBool::new(false));
    let (answer, mut answers) = mpsc::channel(1);
    // Ends with the receiver, at its next answer, or with the runtime.
    tokio::spawn(feed::poll(client.clone(), began, every, Arc::clone(&wanted), answer));
    let mut typed = EventStream::new();
    let mut frames = interval(FRAME);
    frames.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let draw = |screen: &mut Screen, model: &mut Model| {
        model.now = began.elapsed();
        model.page = screen
            .draw(|frame| draw::draw(frame, model))
            .map_err(|e| Failure::no(format!("the terminal cannot be written to: {e}")))?;
        Ok::<(), Failure>(())
    };
    let mut stale = true;
    loop {
        tokio::select! {
            key = typed.next() => {
                // The terminal went away.
                let Some(Ok(event)) = key else { return Ok(Exit::Done) };
                if let Some(key) = keys::meaning(&event)
                    && !model.press(key)
                {
                    return Ok(Exit::Done);
                }
                draw(&mut screen, &mut model)?;
            }
            Some(_) = signals.recv() => return Ok(Exit::Done),
            event = events.next() => {
                let Some(event) = event else { return Ok(Exit::No) };
                model.now = began.elapsed();
                let event: WatchEvent = event?;
                if model.take_event(&event) {
                    wanted.store(true, Ordering::Relaxed);
                }
                stale = true;
            }
            Some(polled) = answers.recv() => {
                match polled {
                    Ok(polled) => model.take_polled(polled),
                    Err(error) => model.trouble = Some(on_one_line(&error.to_string())),
                }
                stale = true;
            }
            _ = frames.tick(), if stale => {
                draw(&mut screen, &mut model)?;
                stale = false;
            }
        }
    }
}
