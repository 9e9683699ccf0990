//! The story as lines of text, for pipes and tests: it ends by itself.

use super::board::{Line, Tone};
use super::script::Step;
use super::shop::Host;
use super::stage::Stage;
use super::story::Story;
use crate::agent::ApiParts;
use crate::api::Api;
use std::io::{self, Write};
use std::time::Duration;
use tokio::time::Instant;

/// How often the board is looked at where nothing happens.
const TICK: Duration = Duration::from_millis(50);

/// Plays `steps`; whether all of it went well. Ends early when `out` is closed.
pub(super) async fn tell<F>(stage: &mut Stage<F>, steps: Vec<Step>, out: &mut dyn Write) -> io::Result<bool>
where
    F: Fn(ApiParts) -> Api + Clone + Send + 'static,
{
    welcome(stage, out)?;
    let mut story = Story::new(steps);
    let mut seen = 0;
    loop {
        let over = story.go_on(stage).await;
        let (lines, written) = stage.board.lines_after(seen);
        for line in lines {
            writeln!(out, "{}", text(line))?;
        }
        out.flush()?;
        seen = written;
        if over {
            break;
        }
        stage.next(Instant::now() + TICK).await;
    }
    let total = stage.board.sales.total();
    let all = total.ok + total.failed;
    writeln!(out, "{:>7}  the end: {all} requests, {} failed", clock(stage.now()), total.failed)?;
    out.flush()?;
    Ok(!story.failed && !stage.board.unsettled)
}

fn welcome<F>(stage: &Stage<F>, out: &mut dyn Write) -> io::Result<()>
where
    F: Fn(ApiParts) -> Api + Clone + Send + 'static,
{
    writeln!(out, "shoal demo: a shop on five agents in this process, profile {}", stage.profile())?;
    for (host, socket) in Host::all().zip(stage.sockets()) {
        let instances: Vec<&str> = host.instances().map(super::shop::Instance::id).collect();
        writeln!(out, "  {host}  {}  --socket {}", instances.join(" "), socket.display())?;
    }
    writeln!(out, "from another terminal, while it runs:")?;
    for line in super::commands(&stage.sockets(), stage.http()) {
        writeln!(out, "  {line}")?;
    }
    Ok(())
}

fn text(line: &Line) -> String {
    let indent = if line.tone == Tone::News { "  " } else { "" };
    format!("{:>7}  {indent}{}", clock(line.at), line.text)
}

/// Time since the start, as it stands before lines.
pub(super) fn clock(time: Duration) -> String {
    format!("{:.1}s", time.as_secs_f64())
}
