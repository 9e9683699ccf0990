//! Registrations: from a request body to a definition that may be applied.
//!
//! Owns the rules of what a service and a check may be, in the order in which callers of this
//! dialect get to hear of them. Asks nobody: a definition that exists is valid; whether there is
//! room for it is the agent's business.

mod check;
pub(crate) mod file;
mod service;
mod target;

pub(super) use check::{check_registration, check_update};
pub(super) use service::service_registration;

use super::json::{Json, Misread};
use super::reply::Failure;

/// Parses a body, or says why not in the words of the dialect.
fn parse(body: &[u8]) -> Result<Json, Failure> {
    Json::parse(body).map_err(decode_failed)
}

fn decode_failed(why: Misread) -> Failure {
    Failure::bad(format!("Request decode failed: {why}"))
}
