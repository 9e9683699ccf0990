//! `agent/monitor`: the agent's log as a stream, for whoever wants more or other lines than those
//! that go to standard error.
//!
//! Owns the readers' queues, each bounded. Whoever logs never waits: a reader whose queue is full
//! loses lines, is told how many in their place, and they are counted. Formats nothing; lines come
//! finished from [`LogFeed::publish`].

use super::reply::{Failure, Outcome, Reply, text};
use super::route::Call;
use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderValue};
use std::convert::Infallible;
use std::fmt;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::mpsc;
use tracing::Level;

/// Lines that wait for one reader; then it loses some.
const LINES_MAX: usize = 512;
/// Readers at one time; then 429.
const READERS_MAX: usize = 16;

/// How a line is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogStyle {
    /// For people.
    Text,
    /// One JSON object.
    Json,
}

struct Reader {
    number: u64,
    level: Level,
    style: LogStyle,
    lines: mpsc::Sender<Bytes>,
    /// Lines lost since it was last told.
    lost: Arc<AtomicU64>,
}

#[derive(Default)]
struct Inner {
    readers: Mutex<Vec<Reader>>,
    /// The lowest level that anybody reads in each style, as [`rank`] counts; 0: nobody reads.
    levels: [AtomicU8; 2],
    numbers: AtomicU64,
    lost: AtomicU64,
}

/// The log's way to its readers. Cheap to clone; whoever logs and the API share it.
#[derive(Clone, Default)]
pub struct LogFeed(Arc<Inner>);

impl fmt::Debug for LogFeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogFeed").field("lost", &self.lost()).finish_non_exhaustive()
    }
}

/// 1 for errors only, 5 for everything.
fn rank(level: Level) -> u8 {
    match level {
        Level::ERROR => 1,
        Level::WARN => 2,
        Level::INFO => 3,
        Level::DEBUG => 4,
        Level::TRACE => 5,
    }
}

impl LogFeed {
    fn level_of(&self, style: LogStyle) -> &AtomicU8 {
        match style {
            LogStyle::Text => &self.0.levels[0],
            LogStyle::Json => &self.0.levels[1],
        }
    }

    /// The most detailed level that anybody reads in this style at present; `None`: nobody reads.
    pub fn wanted(&self, style: LogStyle) -> Option<Level> {
        match self.level_of(style).load(Ordering::Relaxed) {
            0 => None,
            1 => Some(Level::ERROR),
            2 => Some(Level::WARN),
            3 => Some(Level::INFO),
            4 => Some(Level::DEBUG),
            _ => Some(Level::TRACE),
        }
    }

    /// Hands a finished line, its newline included, to everybody who reads this level and style.
    pub fn publish(&self, level: Level, style: LogStyle, line: &[u8]) {
        if rank(level) > self.level_of(style).load(Ordering::Relaxed) {
            return;
        }
        let line = Bytes::copy_from_slice(line);
        let readers = self.0.readers.lock().unwrap_or_else(PoisonError::into_inner);
        for reader in readers.iter().filter(|r| r.style == style && level <= r.level) {
            if let Err(mpsc::error::TrySendError::Full(_)) = reader.lines.try_send(line.clone()) {
                reader.lost.fetch_add(1, Ordering::Relaxed);
                self.0.lost.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Lines that readers were too slow for, all together.
    pub fn lost(&self) -> u64 {
        self.0.lost.load(Ordering::Relaxed)
    }

    fn change(&self, change: impl FnOnce(&mut Vec<Reader>)) {
        let mut readers = self.0.readers.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut readers);
        for style in [LogStyle::Text, LogStyle::Json] {
            let lowest = readers.iter().filter(|r| r.style == style).map(|r| rank(r.level)).max();
            self.level_of(style).store(lowest.unwrap_or(0), Ordering::Relaxed);
        }
        drop(readers);
        // Places that log remember whether anybody cares.
        tracing::callsite::rebuild_interest_cache();
    }

    /// A reader of this level and everything more important.
    fn read(&self, level: Level, style: LogStyle) -> Option<Reading> {
        let (lines, received) = mpsc::channel(LINES_MAX);
        let lost = Arc::new(AtomicU64::new(0));
        let number = self.0.numbers.fetch_add(1, Ordering::Relaxed);
        let reader = Reader { number, level, style, lines, lost: Arc::clone(&lost) };
        let mut admitted = false;
        self.change(|readers| {
            if readers.len() < READERS_MAX {
                readers.push(reader);
                admitted = true;
            }
        });
        admitted.then(|| Reading { feed: self.clone(), number, style, lines: received, lost })
    }
}

/// One reader's end. Dropping it ends the reading.
struct Reading {
    feed: LogFeed,
    number: u64,
    style: LogStyle,
    lines: mpsc::Receiver<Bytes>,
    lost: Arc<AtomicU64>,
}

impl Reading {
    async fn next(&mut self) -> Option<Bytes> {
        match self.lost.swap(0, Ordering::Relaxed) {
            0 => self.lines.recv().await,
            lost => Some(Bytes::from(match self.style {
                LogStyle::Text => format!("{lost} lines were lost here: this reader was too slow\n"),
                LogStyle::Json => format!(
                    "{{\"level\":\"WARN\",\"message\":\"lines were lost here: this reader was too slow\",\"lost\":{lost}}}\n"
                ),
            })),
        }
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        let number = self.number;
        self.feed.change(|readers| readers.retain(|reader| reader.number != number));
    }
}

fn parse_level(word: &str) -> Result<Level, Failure> {
    match word.to_ascii_lowercase().as_str() {
        "trace" => Ok(Level::TRACE),
        "debug" => Ok(Level::DEBUG),
        "" | "info" => Ok(Level::INFO),
        "warn" => Ok(Level::WARN),
        "err" | "error" => Ok(Level::ERROR),
        _ => Err(Failure::bad(format!("Unknown log level: {word}"))),
    }
}

pub(super) fn stream(call: &Call) -> Outcome {
    let level = parse_level(call.query.get("loglevel"))?;
    let wants_json = call.query.has("logjson") && !matches!(call.query.get("logjson"), "0" | "false");
    let style = if wants_json { LogStyle::Json } else { LogStyle::Text };
    let Some(feed) = &call.app.logs else {
        let text = "agent/monitor is not supported: this agent is part of a program with a log of its own";
        return Err(Failure::new(StatusCode::NOT_IMPLEMENTED, text));
    };
    let reading = feed.read(level, style).ok_or_else(|| {
        let text = format!("Too many readers of the log: want at most {READERS_MAX}");
        Failure::new(StatusCode::TOO_MANY_REQUESTS, text)
    })?;
    let lines = stream::unfold(reading, |mut reading| async move {
        let line = reading.next().await?;
        Some((Ok::<Bytes, Infallible>(line), reading))
    });
    let mut reply: Reply = text(StatusCode::OK, "").map(|_: Body| Body::from_stream(lines));
    if wants_json {
        reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
    }
    super::reply::set_header(&mut reply, "x-accel-buffering", "no");
    Ok(reply)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_reader_gets_its_levels_and_a_slow_one_is_told_what_it_lost() {
        let feed = LogFeed::default();
        assert_eq!(feed.wanted(LogStyle::Text), None);
        feed.publish(Level::ERROR, LogStyle::Text, b"nobody reads\n");
        let mut info = feed.read(Level::INFO, LogStyle::Text).expect("there is room");
        let mut json = feed.read(Level::TRACE, LogStyle::Json).expect("there is room");
        assert_eq!(feed.wanted(LogStyle::Text), Some(Level::INFO));
        feed.publish(Level::WARN, LogStyle::Text, b"warned\n");
        feed.publish(Level::DEBUG, LogStyle::Text, b"too detailed\n");
        feed.publish(Level::TRACE, LogStyle::Json, b"{}\n");
        assert_eq!(info.next().await.as_deref(), Some(&b"warned\n"[..]));
        assert_eq!(json.next().await.as_deref(), Some(&b"{}\n"[..]));
        for n in 0..LINES_MAX + 7 {
            feed.publish(Level::INFO, LogStyle::Text, format!("line {n}\n").as_bytes());
        }
        assert_eq!(feed.lost(), 7);
        let told = info.next().await.expect("it goes on");
        assert!(told.starts_with(b"7 lines were lost"), "{told:?}");
        for n in 0..LINES_MAX {
            assert_eq!(info.next().await, Some(Bytes::from(format!("line {n}\n"))));
        }
        drop(info);
        assert_eq!((feed.wanted(LogStyle::Text), feed.wanted(LogStyle::Json)), (None, Some(Level::TRACE)));
    }

    #[test]
    fn readers_are_bounded() {
        let feed = LogFeed::default();
        let readers: Vec<Reading> = (0..READERS_MAX)
            .map(|_| feed.read(Level::INFO, LogStyle::Text).expect("there is room"))
            .collect();
        assert!(feed.read(Level::INFO, LogStyle::Text).is_none());
        drop(readers);
        assert!(feed.read(Level::INFO, LogStyle::Text).is_some());
    }
}
