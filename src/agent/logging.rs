//! Log lines: to standard error, and to whoever reads the log through the API.
//!
//! Owns the subscriber of a process that runs one agent, and the handle that changes its level.
//! An agent inside a larger program (a test, a demonstration) uses that program's subscriber.

use super::config::LogFormat;
use crate::api::{LogFeed, LogStyle};
use std::io::{self, IsTerminal, Write};
use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::filter::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Context, Filter, Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Registry, reload};

/// Changes the level of what is logged, and hands out the log.
#[derive(Debug, Clone)]
pub struct LogControl {
    filter: reload::Handle<EnvFilter, Registry>,
    feed: LogFeed,
}

impl LogControl {
    /// Makes standard error the place of this process's log lines. `None` when the process has a
    /// subscriber already.
    pub fn install(level: &str, format: LogFormat) -> Option<Self> {
        let (filter, handle) = reload::Layer::new(filter(level));
        let feed = LogFeed::default();
        let lines =
            tracing_subscriber::fmt::layer().with_writer(io::stderr).with_ansi(io::stderr().is_terminal());
        let lines = match format {
            LogFormat::Text => lines.with_filter(filter).boxed(),
            LogFormat::Json => lines.json().flatten_event(true).with_filter(filter).boxed(),
        };
        let installed = tracing_subscriber::registry().with(lines).with(tails(&feed)).try_init();
        if installed.is_ok() && format == LogFormat::Json {
            std::panic::set_hook(Box::new(log_panic));
        }
        installed.is_ok().then_some(Self { filter: handle, feed })
    }

    /// Where the log can be read.
    pub(super) fn feed(&self) -> LogFeed {
        self.feed.clone()
    }

    /// Logs at another level from now on.
    pub(super) fn set(&self, level: &str) {
        if let Err(error) = self.filter.reload(filter(level)) {
            tracing::warn!(%error, "the log level could not be changed");
        }
    }
}

/// Instead of words of its own between the lines.
fn log_panic(panic: &std::panic::PanicHookInfo<'_>) {
    let payload = panic.payload();
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    let place = panic.location().map(ToString::to_string);
    tracing::error!(panic = text, place, "a thread panicked");
}

fn filter(level: &str) -> EnvFilter {
    // The configuration checked it.
    EnvFilter::try_new(level).unwrap_or_else(|_| EnvFilter::new("info"))
}

/// The layers that write for readers of the log; they cost nothing while there are none.
fn tails<S>(feed: &LogFeed) -> Vec<Box<dyn Layer<S> + Send + Sync>>
where
    S: Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a>,
{
    let tail = |style| Tail { feed: feed.clone(), style };
    let lines = |style| tracing_subscriber::fmt::layer().with_ansi(false).with_writer(tail(style));
    vec![
        lines(LogStyle::Text).with_filter(tail(LogStyle::Text)).boxed(),
        lines(LogStyle::Json).json().flatten_event(true).with_filter(tail(LogStyle::Json)).boxed(),
    ]
}

/// Writes lines of one style to the feed, and says which are wanted at present.
#[derive(Clone)]
struct Tail {
    feed: LogFeed,
    style: LogStyle,
}

impl Tail {
    fn wants(&self, meta: &Metadata<'_>) -> bool {
        self.feed.wanted(self.style).is_some_and(|wanted| *meta.level() <= wanted)
    }
}

impl<S> Filter<S> for Tail {
    fn enabled(&self, meta: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        self.wants(meta)
    }

    // Asked anew whenever a reader comes or goes.
    fn callsite_enabled(&self, meta: &'static Metadata<'static>) -> Interest {
        if self.wants(meta) { Interest::always() } else { Interest::never() }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.feed.wanted(self.style).map_or(LevelFilter::OFF, LevelFilter::from_level))
    }
}

/// One line on its way to the feed.
struct Line<'a> {
    tail: &'a Tail,
    level: Level,
    bytes: Vec<u8>,
}

impl Write for Line<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Line<'_> {
    fn drop(&mut self) {
        if !self.bytes.is_empty() {
            self.tail.feed.publish(self.level, self.tail.style, &self.bytes);
        }
    }
}

impl<'a> MakeWriter<'a> for Tail {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line { tail: self, level: Level::INFO, bytes: Vec::new() }
    }

    fn make_writer_for(&'a self, meta: &Metadata<'_>) -> Line<'a> {
        Line { tail: self, level: *meta.level(), bytes: Vec::new() }
    }
}
