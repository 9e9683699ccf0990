//! Checks by a TCP connection, with a TLS handshake if wanted.
//!
//! Owns what counts as connected. Never sends anything of its own.

use super::net::Endpoint;
use super::{Context, Fault, Finding, tls};
use crate::model::{Probe, ProbeTls};
use tokio::io::AsyncWriteExt;

/// Connects and hangs up.
pub(super) async fn run(
    address: &str,
    with_tls: Option<&ProbeTls>,
    probe: &Probe,
    context: &Context,
) -> Finding {
    let connected = tokio::time::timeout(probe.timeout, async {
        let endpoint = Endpoint::parse(address)?;
        match with_tls {
            None => endpoint.connect(context).await.map(drop),
            Some(with_tls) => {
                let mut stream = tls::connect(&endpoint, with_tls, &[], context).await?;
                // The server has a handshake behind it and logs an error when nobody says goodbye.
                let _ = stream.shutdown().await;
                Ok(())
            }
        }
    });
    match connected.await {
        Ok(Ok(())) => {
            let what = if with_tls.is_some() { "TCP+TLS" } else { "TCP" };
            Finding::passing(format!("{what} connect {address}: Success"))
        }
        Ok(Err(fault)) => Finding::critical(fault),
        Err(_) => Finding::critical(format!("dial tcp {address}: {}", Fault::timeout(probe.timeout))),
    }
}
