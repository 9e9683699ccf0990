//! The whole terminal, for the views that take it.
//!
//! Owns taking the terminal and giving it back however a view ends (by a key, an error or a panic), and
//! what all views share of their look. Knows nothing of what is shown.

mod layout;
mod style;
mod terminal;

pub(crate) use layout::{take_bottom, take_top};
pub(crate) use style::{bold, dim, of_member, of_status};
pub(crate) use terminal::{Screen, as_text};
