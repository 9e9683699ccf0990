//! What keys mean.

use crate::demo::board::Board;
use crate::demo::script::{Act, Target};
use crate::demo::shop::Host;
use crossterm::event::{Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

/// A key, as far as it means something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    Quit,
    /// The first screen, or away from it.
    Help,
    Select(Host),
    Move(isize),
    Kill,
    Pause,
    Unplug,
    Partition,
    Drain,
    Crash,
    HealHost,
    HealAll,
    /// Any other.
    Other,
}

/// What a key means, if it is one.
pub(super) fn meaning(event: &Event) -> Option<Key> {
    let Event::Key(KeyEvent { code, modifiers, kind, .. }) = event else { return None };
    if *kind == KeyEventKind::Release {
        return None;
    }
    if modifiers.contains(KeyModifiers::CONTROL) {
        return Some(if matches!(code, KeyCode::Char('c' | 'd')) { Key::Quit } else { Key::Other });
    }
    Some(match code {
        KeyCode::Char('q') => Key::Quit,
        KeyCode::Char('?') | KeyCode::Esc | KeyCode::F(1) => Key::Help,
        KeyCode::Char(c @ '1'..='9') => {
            let number = c.to_digit(10).map_or(0, |n| n as usize);
            Host::all().nth(number.wrapping_sub(1)).map_or(Key::Other, Key::Select)
        }
        KeyCode::Up => Key::Move(-1),
        KeyCode::Down | KeyCode::Tab => Key::Move(1),
        KeyCode::Char('k') => Key::Kill,
        KeyCode::Char('p') => Key::Pause,
        KeyCode::Char('u') => Key::Unplug,
        KeyCode::Char('x') => Key::Partition,
        KeyCode::Char('d') => Key::Drain,
        KeyCode::Char('c') => Key::Crash,
        KeyCode::Char('r') => Key::HealHost,
        KeyCode::Char('h') => Key::HealAll,
        _ => Key::Other,
    })
}

/// What is done to the shop when `key` is pressed while `selected` is.
pub(super) fn act(key: Key, selected: Host, board: &Board) -> Option<Act> {
    let truth = board.truth();
    Some(match key {
        Key::Kill => Act::Kill(selected),
        Key::Pause => Act::Pause(selected),
        Key::Unplug => Act::Unplug(selected),
        Key::Partition => Act::Partition(vec![selected, selected.next()]),
        Key::Drain if truth.is_drained(Target::Host(selected)) => Act::Undrain(Target::Host(selected)),
        Key::Drain => Act::Drain(Target::Host(selected)),
        // The first that still runs; of none the board says why not.
        Key::Crash => {
            let running = selected.instances().find(|instance| !truth.is_crashed(*instance));
            Act::Crash(running.or_else(|| selected.instances().next())?)
        }
        Key::HealHost => Act::Heal(Some(selected)),
        Key::HealAll => Act::Heal(None),
        Key::Quit | Key::Help | Key::Select(_) | Key::Move(_) | Key::Other => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn keys_act_on_the_host_that_is_selected() {
        let key = |c| meaning(&Event::Key(KeyEvent::new(KeyCode::Char(c), KeyModifiers::NONE)));
        let mut board = Board::new(Duration::ZERO);
        let n5 = Host::named("n5").expect("is there");
        assert_eq!(key('5'), Some(Key::Select(n5)));
        assert_eq!(key('6'), Some(Key::Other));
        let done = |c, board: &Board| act(key(c).expect("means something"), n5, board).map(|a| a.to_string());
        assert_eq!(done('k', &board).as_deref(), Some("kill n5"));
        assert_eq!(done('x', &board).as_deref(), Some("cut off n5 and n1"));
        assert_eq!(done('c', &board).as_deref(), Some("crash cart-2"));
        assert_eq!(done('z', &board), None);
        assert_eq!(done('d', &board).as_deref(), Some("drain n5"));
        board.act(&Act::Drain(Target::Host(n5)), Duration::ZERO).expect("makes sense");
        assert_eq!(done('d', &board).as_deref(), Some("undrain n5"));
        let ctrl_c = Event::Key(KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL));
        assert_eq!((meaning(&ctrl_c), meaning(&Event::FocusLost)), (Some(Key::Quit), None));
    }
}
