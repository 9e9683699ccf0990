//! Following the table: the agent's event stream, kept alive across restarts of the agent.
//!
//! Owns the connection of one watch, and when to make it again. Never keeps a copy of the table.

mod events;

pub use events::{Change, ChangeKind, Snapshot, WatchEvent, WatchedCheck, WatchedInstance, WatchedMember};

use super::calls::encode;
use super::sse;
use super::{Client, Error};
use futures_util::Stream;
use hyper::body::{Body, Incoming};
use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

/// How long the agent may take to begin its answer.
const OPEN_TIMEOUT: Duration = Duration::from_secs(30);
/// First wait before connecting again; doubles up to [`RETRY_PAUSE_MAX`].
const RETRY_PAUSE_MIN: Duration = Duration::from_millis(50);
/// Longest wait before connecting again: a restarted agent is noticed within this time.
const RETRY_PAUSE_MAX: Duration = Duration::from_secs(2);

const _: () = assert!(RETRY_PAUSE_MIN.as_millis() < RETRY_PAUSE_MAX.as_millis());

/// A stream of changes: first a snapshot, then what happens after it.
///
/// A watch ends only when the agent refuses it. When the connection breaks it says so
/// ([`WatchEvent::Interrupted`]), connects again and continues after the last event it saw; when
/// too much was missed for that, a new snapshot comes. It is a [`Stream`], and dropping the
/// future of [`Watch::next`] loses nothing.
///
/// ```no_run
/// # async fn example() -> Result<(), shoal::client::Error> {
/// use shoal::client::{Client, WatchEvent};
///
/// let mut changes = Client::connect_default()?.watch("cart").await?;
/// while let Some(event) = changes.next().await {
///     match event? {
///         WatchEvent::Snapshot(all) => println!("{} instances", all.instances.len()),
///         WatchEvent::Change(change) => println!("{:?}", change.kind),
///         _ => {}
///     }
/// }
/// # Ok(())
/// # }
/// ```
pub struct Watch {
    client: Client,
    path: String,
    state: State,
    parser: sse::Parser,
    ready: VecDeque<WatchEvent>,
    last_id: Option<String>,
    /// Index of the last event delivered; a resumed stream may repeat up to it.
    last_index: u64,
    resumed_at: u64,
    pause: Duration,
    interrupted: bool,
}

type Opening = Pin<Box<dyn Future<Output = Result<Incoming, Error>> + Send>>;

enum State {
    Opening(Opening),
    Reading(Incoming),
    Pausing(Pin<Box<tokio::time::Sleep>>),
    Ended,
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch")
            .field("path", &self.path)
            .field("last_id", &self.last_id)
            .finish_non_exhaustive()
    }
}

impl Watch {
    pub(super) async fn open(client: Client, service: Option<&str>) -> Result<Self, Error> {
        let path = match service {
            Some(service) => format!("/v1/shoal/watch?service={}", encode(service)),
            None => "/v1/shoal/watch".to_owned(),
        };
        let body = client.transport.open_stream(path.clone(), None, OPEN_TIMEOUT).await?;
        Ok(Self {
            client,
            path,
            state: State::Reading(body),
            parser: sse::Parser::default(),
            ready: VecDeque::new(),
            last_id: None,
            last_index: 0,
            resumed_at: 0,
            pause: RETRY_PAUSE_MIN,
            interrupted: false,
        })
    }

    /// The next event. `None` only after an error that ended the watch.
    pub async fn next(&mut self) -> Option<Result<WatchEvent, Error>> {
        poll_fn(|cx| self.poll_watch(cx)).await
    }

    fn poll_watch(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<WatchEvent, Error>>> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Poll::Ready(Some(Ok(event)));
            }
            match &mut self.state {
                State::Ended => return Poll::Ready(None),
                State::Pausing(sleep) => {
                    ready!(sleep.as_mut().poll(cx));
                    self.state = State::Opening(self.reopen());
                }
                State::Opening(opening) => match ready!(opening.as_mut().poll(cx)) {
                    Ok(body) => {
                        self.parser = sse::Parser::default();
                        self.resumed_at = self.last_index;
                        self.state = State::Reading(body);
                        if std::mem::take(&mut self.interrupted) {
                            self.ready.push_back(WatchEvent::Resumed);
                        }
                    }
                    Err(error) if may_pass(&error) => self.interrupt(error),
                    Err(error) => {
                        self.state = State::Ended;
                        return Poll::Ready(Some(Err(error)));
                    }
                },
                State::Reading(body) => match ready!(Pin::new(body).poll_frame(cx)) {
                    Some(Ok(frame)) => {
                        if let Ok(data) = frame.into_data() {
                            self.take(&data);
                        }
                    }
                    Some(Err(error)) => self.interrupt(self.broken(io::Error::other(error))),
                    None => self.interrupt(self.broken(io::ErrorKind::UnexpectedEof.into())),
                },
            }
        }
    }

    fn take(&mut self, bytes: &[u8]) {
        if self.parser.feed(bytes).is_err() {
            return self.restart("an event is too large");
        }
        while let Some(event) = self.parser.poll_event() {
            let taken = match event.name.as_str() {
                "snapshot" => Snapshot::parse(&event.data).map(|snapshot| {
                    self.last_index = snapshot.index;
                    // What comes after a snapshot was not seen before, whatever its index.
                    self.resumed_at = 0;
                    self.ready.push_back(WatchEvent::Snapshot(snapshot));
                }),
                "change" => Change::parse(&event.data).map(|change| {
                    if change.index > self.resumed_at {
                        self.last_index = change.index;
                        self.ready.push_back(WatchEvent::Change(Box::new(change)));
                    }
                }),
                // Too slow: the agent dropped changes, so only a snapshot helps.
                "gone" => {
                    self.last_id = None;
                    self.state = self.pausing();
                    return;
                }
                name => {
                    let data = serde_json::from_str(&event.data)
                        .unwrap_or_else(|_| serde_json::Value::String(event.data.clone()));
                    self.ready.push_back(WatchEvent::Other { event: name.to_owned(), data });
                    Ok(())
                }
            };
            if let Err(problem) = taken {
                return self.restart(&format!("{} event: {problem}", event.name));
            }
            self.last_id = event.id.or(self.last_id.take());
            self.pause = RETRY_PAUSE_MIN;
        }
    }

    /// After something that was not understood, only a snapshot brings certainty.
    fn restart(&mut self, problem: &str) {
        self.last_id = None;
        let request = format!("GET {}", self.path);
        self.interrupt(Error::Protocol { request, problem: problem.to_owned() });
    }

    fn interrupt(&mut self, error: Error) {
        if !std::mem::replace(&mut self.interrupted, true) {
            self.ready.push_back(WatchEvent::Interrupted(error));
        }
        self.state = self.pausing();
    }

    fn pausing(&mut self) -> State {
        let pause = self.pause;
        self.pause = (pause * 2).min(RETRY_PAUSE_MAX);
        State::Pausing(Box::pin(tokio::time::sleep(pause)))
    }

    fn reopen(&self) -> Opening {
        let (client, path, last_id) = (self.client.clone(), self.path.clone(), self.last_id.clone());
        Box::pin(async move { client.transport.open_stream(path, last_id.as_deref(), OPEN_TIMEOUT).await })
    }

    fn broken(&self, source: io::Error) -> Error {
        Error::Io { request: format!("GET {}", self.path), source }
    }
}

/// A refusal that says the same tomorrow ends the watch; the rest may pass, as when the agent
/// restarts.
fn may_pass(error: &Error) -> bool {
    match error {
        Error::Api { status, .. } => *status == 429 || *status >= 500,
        Error::Invalid { .. } => false,
        Error::NoAgent { .. } | Error::Protocol { .. } | Error::Io { .. } | Error::Timeout { .. } => true,
    }
}

impl Stream for Watch {
    type Item = Result<WatchEvent, Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_watch(cx)
    }
}
