//! What Shoal's agents show of changes: the event stream of each, read by one thread.
//!
//! Asking fifty agents in turn takes longer than a change takes to be everywhere, and keeps the
//! processors from those who spread it. A stream is opened once and costs an agent one write for each
//! change. On two processors that were busy with other things too, the thread that reads them all
//! waited a tenth of a millisecond for one on average, and a change was everywhere one or two
//! milliseconds later for being watched: so much more for each further set of streams.

use crate::beliefs::{Event, Status};
use crate::system::Seat;
use serde_json::Value;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;
use tokio::task::JoinSet;

/// Longer than fifty agents take to begin, on a busy machine.
const OPEN_PATIENCE: Duration = Duration::from_secs(30);
/// Of HTTP 1.0, so that the stream comes as it is and not in chunks.
const REQUEST: &[u8] = b"GET /v1/shoal/watch HTTP/1.0\r\nAccept: text/event-stream\r\n\r\n";

/// All agents' streams. They end with the agents: those are to be dropped first.
pub(crate) struct Streams {
    reader: Option<JoinHandle<()>>,
}

impl Streams {
    /// Returns when every agent said what it knows already: whatever comes to be known after that is
    /// told to `to_us`.
    pub(crate) fn open(seats: &[Seat], to_us: &Sender<Event>) -> Self {
        let (ready, opened) = mpsc::channel();
        let sockets: Vec<PathBuf> = seats.iter().map(Seat::socket).collect();
        let to_us = to_us.clone();
        let reader = std::thread::spawn(move || read_all(sockets, &to_us, &ready));
        for _ in seats {
            opened.recv_timeout(OPEN_PATIENCE).expect("all agents open their streams");
        }
        Self { reader: Some(reader) }
    }
}

impl Drop for Streams {
    fn drop(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.join().ok();
        }
    }
}

fn read_all(sockets: Vec<PathBuf>, to_us: &Sender<Event>, ready: &Sender<()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build();
    runtime.expect("a runtime for streams").block_on(async {
        let mut readers = JoinSet::new();
        for (observer, socket) in sockets.into_iter().enumerate() {
            let (to_us, ready) = (to_us.clone(), ready.clone());
            readers.spawn(async move {
                if let Err(e) = read(observer, &socket, &to_us, &ready).await {
                    eprintln!("stream of agent {observer}: {e}");
                }
            });
        }
        readers.join_all().await;
    });
}

async fn read(observer: usize, socket: &Path, to_us: &Sender<Event>, ready: &Sender<()>) -> io::Result<()> {
    let mut stream = UnixStream::connect(socket).await?;
    stream.write_all(REQUEST).await?;
    let mut lines = BufReader::new(stream).lines();
    let mut begun = false;
    while let Some(line) = lines.next_line().await? {
        let at = Instant::now();
        let Some(data) = line.strip_prefix("data:") else { continue };
        if !begun {
            // The snapshot.
            begun = true;
            ready.send(()).ok();
        } else if let Some(subject) = new_instance(data) {
            // Nobody listens any more when the cluster ends.
            to_us.send(Event { at, observer, subject, status: Status::Changed }).ok();
        }
    }
    Ok(())
}

/// On whose agent an instance is new, if that is what an event tells:
/// `{.., "kind": "instance-added", "node": "n7"}`.
fn new_instance(data: &str) -> Option<usize> {
    let change: Value = serde_json::from_str(data).ok()?;
    if change["kind"] != "instance-added" {
        return None;
    }
    change["node"].as_str()?.strip_prefix('n')?.parse().ok()
}
