//! Following the agent's log.

use super::{Client, Error};
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use std::io;
use std::time::Duration;

/// How long the agent may take to begin its answer.
const OPEN_TIMEOUT: Duration = Duration::from_secs(30);

/// The agent's log as it is written. It ends with the agent.
#[derive(Debug)]
pub struct Log {
    body: Incoming,
    path: String,
}

impl Client {
    /// The agent's log from now on, at this level (`trace`, `debug`, `info`, `warn` or `error`)
    /// and everything more important; `json`: one object per line.
    pub async fn monitor(&self, level: &str, json: bool) -> Result<Log, Error> {
        let style = if json { "&logjson=true" } else { "" };
        let path = format!("/v1/agent/monitor?loglevel={}{style}", super::calls::encode(level));
        let body = self.transport.open_stream(path.clone(), None, OPEN_TIMEOUT).await?;
        Ok(Log { body, path })
    }
}

impl Log {
    /// The next lines, or a part of one; `None` when the agent ended.
    pub async fn next(&mut self) -> Option<Result<Bytes, Error>> {
        loop {
            match self.body.frame().await? {
                Ok(frame) => {
                    if let Ok(bytes) = frame.into_data() {
                        return Some(Ok(bytes));
                    }
                }
                Err(e) => {
                    let request = format!("GET {}", self.path);
                    return Some(Err(Error::Io { request, source: io::Error::other(e) }));
                }
            }
        }
    }
}
