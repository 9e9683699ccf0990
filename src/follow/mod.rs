//! Following the table: what is done when something of it changes.
//!
//! Owns when to act on what keeps changing ([`debounce`]), the commands that users give to be run then
//! ([`command_run`]), and the files that are kept as their templates say ([`render`]). Asks an agent like
//! any other program, through [`crate::client`]; never prints, and never decides how what went wrong is
//! told: commands print it, the agent logs it.

pub(crate) mod command_run;
pub(crate) mod debounce;
pub(crate) mod render;
