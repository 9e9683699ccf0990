//! The demonstration on the whole terminal.

mod draw;
mod keys;

use super::Signals;
use super::script::Step;
use super::shop::{HOSTS, Host};
use super::stage::Stage;
use super::story::Story;
use crate::agent::ApiParts;
use crate::api::Api;
use crate::screen::Screen;
use crossterm::event::EventStream;
use futures_util::StreamExt;
use keys::Key;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use tokio::time::Instant;

/// However much happens, it is drawn this often at most; keys are answered at once.
const FRAME: Duration = Duration::from_millis(100);

/// What is looked at.
#[derive(Debug)]
pub(super) struct View {
    selected: Host,
    /// The first screen is shown.
    help: bool,
    profile: &'static str,
    sockets: [PathBuf; HOSTS],
    http: Option<SocketAddr>,
}

impl View {
    /// Acts on a key as far as it concerns what is looked at; whether that was all of it.
    fn press(&mut self, key: Key) -> bool {
        if self.help {
            self.help = false;
            return true;
        }
        match key {
            Key::Help => self.help = true,
            Key::Select(host) => self.selected = host,
            Key::Move(by) => {
                let at = self.selected.index().saturating_add_signed(by).min(HOSTS - 1);
                self.selected = Host::all().nth(at).unwrap_or(self.selected);
            }
            _ => return false,
        }
        true
    }
}

/// Shows the shop until it is quit. `steps` are done meanwhile.
pub(super) async fn show<F>(stage: &mut Stage<F>, steps: Vec<Step>, signals: &mut Signals) -> io::Result<()>
where
    F: Fn(ApiParts) -> Api + Clone + Send + 'static,
{
    let mut screen = Screen::open()?;
    let mut typed = EventStream::new();
    let mut view = View {
        selected: Host::all().next().expect("there are hosts"),
        // Whoever brings a script wants to see what it does.
        help: steps.is_empty(),
        profile: stage.profile(),
        sockets: stage.sockets(),
        http: stage.http(),
    };
    let mut story = Story::new(steps);
    let mut frame = Instant::now();
    loop {
        if Instant::now() >= frame {
            let now = stage.now();
            screen.draw(|frame| draw::draw(frame, &stage.board, &view, now))?;
            frame = Instant::now() + FRAME;
        }
        story.go_on(stage).await;
        tokio::select! {
            event = typed.next() => {
                // The terminal went away.
                let Some(Ok(event)) = event else { return Ok(()) };
                // A resized terminal is drawn anew.
                frame = Instant::now();
                let Some(key) = keys::meaning(&event) else { continue };
                if key == Key::Quit {
                    return Ok(());
                }
                if !view.press(key) && let Some(act) = keys::act(key, view.selected, &stage.board) {
                    stage.act(&act).await;
                }
            }
            () = signals.next() => return Ok(()),
            () = stage.next(frame) => {}
        }
    }
}
