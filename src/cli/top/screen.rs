//! The terminal while the view has it, and its keys.

use super::draw::draw;
use super::model::{Key, Model, Tab};
use crossterm::event::{Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use ratatui::backend::TestBackend;
use ratatui::{DefaultTerminal, Terminal};
use std::io;

/// The whole terminal; it is as it was before when this is dropped, as by an error or a panic.
pub(super) struct Screen(DefaultTerminal);

impl Screen {
    pub(super) fn open() -> io::Result<Self> {
        match ratatui::try_init() {
            Ok(terminal) => Ok(Self(terminal)),
            Err(error) => {
                // Raw mode may be on already. That this fails too changes nothing.
                ratatui::try_restore().ok();
                Err(error)
            }
        }
    }

    pub(super) fn draw(&mut self, model: &mut Model) -> io::Result<()> {
        let mut page = 0;
        self.0.draw(|frame| page = draw(frame, model))?;
        model.page = page;
        Ok(())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // A terminal that went away cannot be restored, and does not have to be.
        ratatui::try_restore().ok();
        self.0.show_cursor().ok();
    }
}

/// What a key means here, if anything.
pub(super) fn meaning(event: &Event) -> Option<Key> {
    let Event::Key(KeyEvent { code, modifiers, kind, .. }) = event else { return None };
    if *kind == KeyEventKind::Release {
        return None;
    }
    if modifiers.contains(KeyModifiers::CONTROL) {
        return match code {
            KeyCode::Char('c' | 'd') => Some(Key::Quit),
            KeyCode::Char('f') => Some(Key::Page(1)),
            KeyCode::Char('b') => Some(Key::Page(-1)),
            _ => None,
        };
    }
    Some(match code {
        KeyCode::Char('q') | KeyCode::Esc => Key::Quit,
        KeyCode::Char('1' | 'm') => Key::Show(Tab::Members),
        KeyCode::Char('2' | 'v') => Key::Show(Tab::Services),
        KeyCode::Char('3' | 'c') => Key::Show(Tab::Checks),
        KeyCode::Char('4' | 'e') => Key::Show(Tab::Events),
        KeyCode::Tab | KeyCode::Right => Key::NextTab,
        KeyCode::BackTab | KeyCode::Left => Key::PreviousTab,
        KeyCode::Char('s') => Key::Sort,
        KeyCode::Char('r') => Key::Reverse,
        KeyCode::Down | KeyCode::Char('j') => Key::Move(1),
        KeyCode::Up | KeyCode::Char('k') => Key::Move(-1),
        KeyCode::PageDown | KeyCode::Char(' ') => Key::Page(1),
        KeyCode::PageUp => Key::Page(-1),
        KeyCode::Home | KeyCode::Char('g') => Key::Top,
        KeyCode::End | KeyCode::Char('G') => Key::Bottom,
        _ => return None,
    })
}

/// The view as lines of text, as it would look on a terminal of that size.
pub(super) fn as_text(model: &Model, width: u16, height: u16) -> Vec<String> {
    let Ok(mut terminal) = Terminal::new(TestBackend::new(width, height));
    let Ok(frame) = terminal.draw(|frame| {
        draw(frame, model);
    });
    let cells = frame.buffer.content().chunks(usize::from(width.max(1)));
    cells
        .map(|line| line.iter().map(ratatui::buffer::Cell::symbol).collect::<String>().trim_end().to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(code: KeyCode, modifiers: KeyModifiers) -> Option<Key> {
        meaning(&Event::Key(KeyEvent::new(code, modifiers)))
    }

    #[test]
    fn keys_mean_what_the_last_line_says() {
        for (code, want) in [
            (KeyCode::Char('q'), Key::Quit),
            (KeyCode::Char('2'), Key::Show(Tab::Services)),
            (KeyCode::Tab, Key::NextTab),
            (KeyCode::Char('s'), Key::Sort),
            (KeyCode::Char('r'), Key::Reverse),
            (KeyCode::Down, Key::Move(1)),
            (KeyCode::PageUp, Key::Page(-1)),
        ] {
            assert_eq!(key(code, KeyModifiers::NONE), Some(want), "{code:?}");
        }
        assert_eq!(key(KeyCode::Char('c'), KeyModifiers::CONTROL), Some(Key::Quit));
        assert_eq!(key(KeyCode::Char('z'), KeyModifiers::NONE), None);
        assert_eq!(meaning(&Event::Resize(1, 1)), None);
    }
}
