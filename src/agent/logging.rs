//! Log lines to standard error.
//!
//! Owns the subscriber of a process that runs one agent, and the handle that changes its level.
//! An agent inside a larger program (a test, a demonstration) uses that program's subscriber.

use super::config::LogFormat;
use std::io::IsTerminal;
use tracing_subscriber::filter::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Registry, reload};

/// Changes the level of what is logged.
#[derive(Debug, Clone)]
pub struct LogControl {
    filter: reload::Handle<EnvFilter, Registry>,
}

impl LogControl {
    /// Makes standard error the place of this process's log lines. `None` when the process has a
    /// subscriber already.
    pub fn install(level: &str, format: LogFormat) -> Option<Self> {
        let (filter, handle) = reload::Layer::new(filter(level));
        let lines = tracing_subscriber::fmt::layer()
            .with_writer(std::io::stderr)
            .with_ansi(std::io::stderr().is_terminal());
        let installed = match format {
            LogFormat::Text => tracing_subscriber::registry().with(filter).with(lines).try_init(),
            LogFormat::Json => {
                let lines = lines.json().flatten_event(true);
                tracing_subscriber::registry().with(filter).with(lines).try_init()
            }
        };
        installed.is_ok().then_some(Self { filter: handle })
    }

    /// Logs at another level from now on.
    pub(super) fn set(&self, level: &str) {
        if let Err(error) = self.filter.reload(filter(level)) {
            tracing::warn!(%error, "the log level could not be changed");
        }
    }
}

fn filter(level: &str) -> EnvFilter {
    // The configuration checked it.
    EnvFilter::try_new(level).unwrap_or_else(|_| EnvFilter::new("info"))
}
