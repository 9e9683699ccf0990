//! One look for all views. A colour is never all that tells a state: the word stands beside it.

use crate::model::{CheckStatus, MemberStatus};
use ratatui::style::{Color, Modifier, Style};

pub(crate) fn bold() -> Style {
    Style::new().add_modifier(Modifier::BOLD)
}

pub(crate) fn dim() -> Style {
    Style::new().add_modifier(Modifier::DIM)
}

pub(crate) fn of_status(status: CheckStatus) -> Style {
    match status {
        CheckStatus::Passing => Style::new().fg(Color::Green),
        CheckStatus::Warning => Style::new().fg(Color::Yellow),
        CheckStatus::Critical => Style::new().fg(Color::Red).add_modifier(Modifier::BOLD),
    }
}

pub(crate) fn of_member(status: MemberStatus) -> Style {
    match status {
        MemberStatus::Alive => of_status(CheckStatus::Passing),
        MemberStatus::Suspect => of_status(CheckStatus::Warning),
        MemberStatus::Failed => of_status(CheckStatus::Critical),
        MemberStatus::Left => dim(),
    }
}
