//! Checks that one real agent carries out, against real servers that turn bad in every way.
//!
//! - *kinds*: for each kind of check, from the moment its target changes until the agent shows another
//!   status. With an interval of a second and a timeout of a second, one second is the most for a target
//!   that refuses, two for one that is silent. A user feels it as requests that go to a dead instance.
//! - *many*: 2,000 HTTP checks every ten seconds: processor and memory of the agent, and how much later
//!   than ten seconds after the last answer the next request arrives.
//! - *heartbeats*: 100,000 a minute over the Unix socket: processor of the agent.
//!
//! Run with `cargo bench --bench checks`, all of it or the parts that are named (`-- kinds`). `ROUNDS`,
//! `CHECKS` and `SECONDS` change the size. Servers and agent share the machine: lateness includes what
//! the servers cost.

#![allow(clippy::print_stdout, clippy::disallowed_methods, reason = "a bench reads clocks and prints")]
#![allow(missing_docs)]

mod heartbeats;
mod kinds;
mod many;
mod process;
#[path = "../../tests/support/agent_process.rs"]
mod support;
mod targets;

use std::os::unix::process::CommandExt as _;
use targets::Identity;

/// Where the agent finds the one authority that it trusts.
const TRUST: &str = "SSL_CERT_FILE";
const TRUSTED_KEY: &str = "BENCH_CHECKS_IDENTITY";

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Starts this program again, in an environment in which what it starts trusts one certificate of its
/// own.
fn with_trust() -> Identity {
    if let Ok(dir) = std::env::var(TRUSTED_KEY) {
        return Identity::load(dir.as_ref());
    }
    let dir = std::env::temp_dir().join(format!("shoal-bench-checks-{}", std::process::id()));
    std::fs::create_dir_all(&dir).expect("a temporary directory");
    Identity::new().save(&dir);
    let failed = std::process::Command::new(std::env::current_exe().expect("this program"))
        .args(std::env::args_os().skip(1))
        .env(TRUST, dir.join("certificate.pem"))
        .env(TRUSTED_KEY, &dir)
        .exec();
    panic!("cannot start again: {failed}");
}

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    let is_wanted = |part: &str| wanted.is_empty() || wanted.iter().any(|w| w == part);
    let identity = with_trust();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    if is_wanted("kinds") {
        kinds::measure(&runtime, &identity, number("ROUNDS", 3));
    }
    if is_wanted("many") {
        many::measure(&runtime, number("CHECKS", 2_000), number("SECONDS", 60));
    }
    if is_wanted("heartbeats") {
        heartbeats::measure(number("CHECKS", 2_000), number("SECONDS", 30));
    }
    if let Ok(dir) = std::env::var(TRUSTED_KEY) {
        std::fs::remove_dir_all(dir).ok();
    }
}
