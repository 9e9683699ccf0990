//! Checks by a ping of HTTP/2 (RFC 9113, section 6.7).
//!
//! Owns the ping. Never makes a request.

use super::net::Endpoint;
use super::{Context, Fault, Finding, fault, tls};
use crate::model::{Probe, ProbeTls};
use h2::{Ping, client};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};

/// How long the goodbye of a connection that has answered may take.
const GOODBYE: Duration = Duration::from_millis(100);

/// Connects and waits for the answer to one ping.
pub(super) async fn run(
    address: &str,
    with_tls: Option<&ProbeTls>,
    probe: &Probe,
    context: &Context,
) -> Finding {
    let mut is_connected = false;
    let pinged = tokio::time::timeout(probe.timeout, async {
        let failed = |fault: Fault| Fault::new(format!("Failed to dial to {address}: {fault}"));
        let endpoint = Endpoint::parse(address).map_err(failed)?;
        match with_tls {
            None => {
                let stream = endpoint.connect(context).await.map_err(failed)?;
                is_connected = true;
                ping(stream).await
            }
            Some(with_tls) => {
                let stream = tls::connect(&endpoint, with_tls, &[tls::H2], context).await.map_err(failed)?;
                is_connected = true;
                ping(stream).await
            }
        }
    });
    match pinged.await {
        Ok(Ok(())) => Finding::passing("HTTP2 ping was successful"),
        Ok(Err(fault)) => Finding::critical(fault),
        Err(_) => {
            let what = if is_connected {
                "HTTP2 ping failed".to_owned()
            } else {
                format!("Failed to dial to {address}")
            };
            Finding::critical(format!("{what}: {}", Fault::timeout(probe.timeout)))
        }
    }
}

async fn ping<S: AsyncRead + AsyncWrite + Unpin>(stream: S) -> Result<(), Fault> {
    let failed = |error: h2::Error| Fault::new(format!("HTTP2 ping failed: {}", fault::reason(&error)));
    let (requests, mut connection) = client::handshake(stream).await.map_err(failed)?;
    let mut pings = connection.ping_pong().ok_or_else(|| Fault::new("HTTP2 ping failed: no ping left"))?;
    tokio::select! {
        answered = pings.ping(Ping::opaque()) => answered.map(drop).map_err(failed)?,
        ended = &mut connection => {
            ended.map_err(failed)?;
            return Err(Fault::new("HTTP2 ping failed: the connection was closed"));
        }
    }
    drop(requests);
    let _ = tokio::time::timeout(GOODBYE, connection).await;
    Ok(())
}
