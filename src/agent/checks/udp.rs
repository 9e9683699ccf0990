//! Checks by a datagram.
//!
//! Owns what silence means: nobody has to answer an empty datagram, so only a refusal is bad news.

use super::net::Endpoint;
use super::{Context, Fault, Finding};
use crate::model::Probe;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use tokio::net::UdpSocket;

/// Sends an empty datagram and waits for an answer, a refusal, or the end of the timeout.
pub(super) async fn run(address: &str, probe: &Probe, context: &Context) -> Finding {
    let mut is_sent = false;
    let asked = tokio::time::timeout(probe.timeout, ask(address, context, &mut is_sent)).await;
    match asked {
        Ok(Err(fault)) => Finding::critical(fault),
        Err(_) if !is_sent => {
            Finding::critical(format!("dial udp {address}: {}", Fault::timeout(probe.timeout)))
        }
        Ok(Ok(())) | Err(_) => Finding::passing(format!("UDP connect {address}: Success")),
    }
}

async fn ask(address: &str, context: &Context, is_sent: &mut bool) -> Result<(), Fault> {
    let found = Endpoint::parse(address)?.addresses(context).await;
    let found = found.map_err(|fault| Fault::new(format!("dial udp: {fault}")))?;
    let peer = found[0];
    let any: SocketAddr =
        if peer.is_ipv4() { (Ipv4Addr::UNSPECIFIED, 0).into() } else { (Ipv6Addr::UNSPECIFIED, 0).into() };
    let failed = |what: &str, error: &std::io::Error| Fault::at(format_args!("{what} udp {peer}"), error);
    let socket = UdpSocket::bind(any).await.map_err(|e| failed("dial", &e))?;
    // A connected socket hears of a port that is closed.
    socket.connect(peer).await.map_err(|e| failed("dial", &e))?;
    socket.send(&[]).await.map_err(|e| failed("write", &e))?;
    *is_sent = true;
    socket.recv(&mut [0; 1]).await.map_err(|e| failed("read", &e))?;
    Ok(())
}
