//! What keys mean.

use super::model::{Key, Tab};
use crossterm::event::{Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

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
