//! The thread that writes the state file, so that no disk ever holds up the protocol.
//!
//! Owns the [`DataDir`] while the agent runs. One write at a time: what happens meanwhile is the
//! loop's to collect, and shares the next write.

use super::encoder::Encoder;
use super::{Author, DataDir, DataDirError, STATE};
use crate::agent::clock::Moment;
use crate::core::Keyring;
use crate::model::LocalState;
use std::net::SocketAddr;
use std::thread::JoinHandle;
use tokio::sync::mpsc;

/// A state to be made durable. Sharing structure with the agent's own, it is cheap to make; it is
/// encoded on the writer's thread.
#[derive(Debug)]
pub(in crate::agent) struct WriteRequest {
    pub(in crate::agent) author: Author,
    pub(in crate::agent) local: LocalState,
    pub(in crate::agent) address_book: Vec<SocketAddr>,
    pub(in crate::agent) moment: Moment,
    pub(in crate::agent) keyring: Option<Keyring>,
}

fn save(dir: &DataDir, encoder: &mut Encoder, request: &WriteRequest) -> Result<(), DataDirError> {
    let payload = encoder.payload(request).map_err(|error| dir.not_encoded(STATE, error))?;
    dir.save_payload(&payload)
}

/// The loop's end of the writer.
#[derive(Debug)]
pub(in crate::agent) struct StateWriter {
    requests: Option<std::sync::mpsc::SyncSender<WriteRequest>>,
    results: mpsc::Receiver<Result<(), String>>,
    thread: Option<JoinHandle<()>>,
    busy: bool,
}

impl StateWriter {
    /// Starts the thread.
    pub(in crate::agent) fn start(dir: DataDir) -> std::io::Result<Self> {
        let mut kept: Option<Keyring> = None;
        let (requests, inbox) = std::sync::mpsc::sync_channel::<WriteRequest>(1);
        let (outbox, results) = mpsc::channel(1);
        let thread = std::thread::Builder::new().name("shoal-state".to_owned()).spawn(move || {
            let mut encoder = Encoder::new();
            while let Ok(request) = inbox.recv() {
                let ring = request.keyring.clone().filter(|ring| kept.as_ref() != Some(ring));
                let saved = ring.as_ref().map_or(Ok(()), |ring| dir.save_keyring(ring));
                if saved.is_ok() && ring.is_some() {
                    kept = ring;
                }
                let result = saved.and_then(|()| save(&dir, &mut encoder, &request));
                if outbox.blocking_send(result.map_err(|e| e.to_string())).is_err() {
                    return;
                }
            }
        })?;
        Ok(Self { requests: Some(requests), results, thread: Some(thread), busy: false })
    }

    /// Whether a write is under way, the result of which was not taken yet.
    pub(in crate::agent) const fn is_busy(&self) -> bool {
        self.busy
    }

    /// Starts a write. Only when none is under way.
    pub(in crate::agent) fn begin(&mut self, request: WriteRequest) {
        debug_assert!(!self.busy, "one write at a time");
        self.busy = true;
        // A writer that is gone (it panicked) shows as a closed channel of results.
        if let Some(requests) = &self.requests {
            let _ = requests.try_send(request);
        }
    }

    /// Waits for the result of the write under way; for ever when there is none. May be dropped
    /// and called again.
    pub(in crate::agent) async fn finished(&mut self) -> Result<(), String> {
        if !self.busy {
            return std::future::pending().await;
        }
        let result = self.results.recv().await;
        self.busy = false;
        result.unwrap_or_else(|| Err("the thread that writes the state file has died".to_owned()))
    }
}

impl Drop for StateWriter {
    /// Ends the thread and with it the lock on the directory, so that whoever waited for the
    /// agent to end can start it again.
    fn drop(&mut self) {
        self.requests = None;
        self.results.close();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
