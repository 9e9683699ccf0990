//! From the `host:port` of a target to a connection.
//!
//! Owns the lookup of names, anew for each run, and the order in which addresses are tried. Never
//! knows what the connection is for.

use super::{Context, Fault};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

/// Lookups that may be under way at once. The system's resolver cannot be called off: with a name
/// server that is silent, a lookup occupies a thread for longer than its run lasts.
const LOOKUPS_MAX: usize = 16;

/// Addresses of one name that are tried.
const ADDRESSES_MAX: usize = 8;

/// How long an address is given until the next one is tried beside it (RFC 8305, section 5).
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// The bound on lookups that are under way.
#[derive(Debug)]
pub(super) struct Lookups(Arc<Semaphore>);

impl Default for Lookups {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(LOOKUPS_MAX)))
    }
}

/// Where a target listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Endpoint {
    /// A name or an address, without brackets.
    pub(super) host: String,
    /// Its port.
    pub(super) port: u16,
}

impl Endpoint {
    /// Reads `host:port`. An address of version 6 stands in brackets, one of version 4 may; no host
    /// means this one.
    pub(super) fn parse(address: &str) -> Result<Self, Fault> {
        let refused = || Fault::new(format!("address {address:?}: want host:port"));
        let (host, port) = address.rsplit_once(':').ok_or_else(refused)?;
        let port = port.parse().map_err(|_| refused())?;
        let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
        if bare.is_none() && host.contains([':', '[', ']']) {
            return Err(refused());
        }
        let host = match bare.unwrap_or(host) {
            "" => "localhost",
            host => host,
        };
        Ok(Self { host: host.to_owned(), port })
    }

    /// As it stands in a URL.
    pub(super) fn authority(&self) -> String {
        let (host, port) = (&self.host, self.port);
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
    }

    /// All its addresses, in the system's order of preference; at least one.
    pub(super) async fn addresses(&self, context: &Context) -> Result<Vec<SocketAddr>, Fault> {
        if let Ok(ip) = self.host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(ip, self.port)]);
        }
        let failed = |why: &str| Fault::new(format!("lookup {}: {why}", self.host));
        let permit = Arc::clone(&context.lookups.0).acquire_owned().await;
        let permit = permit.map_err(|_| failed("the agent is ending"))?;
        let target = (self.host.clone(), self.port);
        let lookup = tokio::task::spawn_blocking(move || {
            let found = target.to_socket_addrs().map(|found| found.take(ADDRESSES_MAX).collect::<Vec<_>>());
            // Kept until the resolver has returned, and not just until the run is over.
            drop(permit);
            found
        });
        match lookup.await {
            Ok(Ok(found)) if found.is_empty() => Err(failed("no such host")),
            Ok(Ok(found)) => Ok(found),
            Ok(Err(error)) => {
                let text = error.to_string();
                Err(failed(text.strip_prefix("failed to lookup address information: ").unwrap_or(&text)))
            }
            Err(_) => Err(failed("the agent is ending")),
        }
    }

    /// A connection to the first of its addresses that takes one; with none, what the first said.
    pub(super) async fn connect(&self, context: &Context) -> Result<TcpStream, Fault> {
        let found =
            self.addresses(context).await.map_err(|fault| Fault::new(format!("dial tcp: {fault}")))?;
        let stream = connect_first(&found)
            .await
            .map_err(|(address, error)| Fault::at(format_args!("dial tcp {address}: connect"), &error))?;
        // HTTP/2 says little at a time, and each of it would wait 40 ms for an acknowledgement. A
        // connection that cannot do without is only slower.
        let _ = stream.set_nodelay(true);
        Ok(stream)
    }
}

/// Tries `addresses` in their order, each a moment after the one before or as soon as that has
/// failed: an address that drops what is sent to it must not use up the time of the others.
async fn connect_first(addresses: &[SocketAddr]) -> Result<TcpStream, (SocketAddr, io::Error)> {
    let mut left = addresses.iter().copied();
    let mut trying = FuturesUnordered::new();
    let mut first_failure: Option<(SocketAddr, io::Error)> = None;
    loop {
        if let Some(address) = left.next() {
            trying.push(async move { (address, TcpStream::connect(address).await) });
        }
        let more = left.len() > 0;
        tokio::select! {
            Some((address, connected)) = trying.next() => match connected {
                Ok(stream) => return Ok(stream),
                Err(error) if address == addresses[0] => first_failure = Some((address, error)),
                Err(error) => first_failure = first_failure.or(Some((address, error))),
            },
            () = tokio::time::sleep(ATTEMPT_DELAY), if more => {}
        }
        if !more && trying.is_empty() {
            let nothing =
                || (SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0), io::ErrorKind::NotFound.into());
            return Err(first_failure.unwrap_or_else(nothing));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(address: &str) -> Option<(String, u16)> {
        Endpoint::parse(address).ok().map(|e| (e.host, e.port))
    }

    #[test]
    fn addresses_are_read_with_and_without_brackets() {
        let wanted = |host: &str, port| Some((host.to_owned(), port));
        assert_eq!(parsed("db:5432"), wanted("db", 5432));
        assert_eq!(parsed("127.0.0.1:1"), wanted("127.0.0.1", 1));
        assert_eq!(parsed("[127.0.0.1]:1"), wanted("127.0.0.1", 1));
        assert_eq!(parsed("[::1]:1"), wanted("::1", 1));
        assert_eq!(parsed(":1"), wanted("localhost", 1));
        for wrong in ["", "db", "db:", "db:x", "db:70000", "::1", "::1:1", "[::1:1", "::1]:1"] {
            assert_eq!(parsed(wrong), None, "{wrong}");
        }
        let authority = |address| Endpoint::parse(address).expect("is one").authority();
        assert_eq!(authority("[127.0.0.1]:1"), "127.0.0.1:1");
        assert_eq!(authority("[::1]:1"), "[::1]:1");
        let fault = Endpoint::parse("db").expect_err("has no port");
        assert_eq!(fault.to_string(), r#"address "db": want host:port"#);
    }

    async fn closed_port() -> SocketAddr {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("binds");
        listener.local_addr().expect("is bound")
    }

    #[tokio::test]
    async fn the_first_address_that_answers_is_taken() {
        let open = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("binds");
        let addr = open.local_addr().expect("is bound");
        let closed = closed_port().await;
        let stream = connect_first(&[closed, closed, addr]).await.expect("connects");
        assert_eq!(stream.peer_addr().expect("is connected"), addr);
        let (address, error) = connect_first(&[closed]).await.expect_err("is closed");
        assert_eq!((address, error.kind()), (closed, io::ErrorKind::ConnectionRefused));
    }

    #[tokio::test]
    async fn an_address_that_is_silent_does_not_keep_the_next_one_waiting() {
        // A listener whose queue is full drops further connections without a word.
        let full = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("opens");
        full.bind(&"127.0.0.1:0".parse::<SocketAddr>().expect("parses").into()).expect("binds");
        full.listen(0).expect("listens");
        let silent = full.local_addr().expect("is bound").as_socket().expect("is an address");
        let mut filling = Vec::new();
        while let Ok(Ok(stream)) =
            tokio::time::timeout(Duration::from_millis(100), TcpStream::connect(silent)).await
        {
            filling.push(stream);
        }
        let open = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("binds");
        let addr = open.local_addr().expect("is bound");
        let connected = tokio::time::timeout(Duration::from_secs(5), connect_first(&[silent, addr])).await;
        let stream = connected.expect("in time").expect("connects");
        assert_eq!(stream.peer_addr().expect("is connected"), addr);
    }

    #[tokio::test]
    async fn so_many_names_are_looked_up_at_one_time() {
        let context = Context::new();
        let all = u32::try_from(LOOKUPS_MAX).expect("small");
        let places = Arc::clone(&context.lookups.0).acquire_many_owned(all).await.expect("is open");
        let name = Endpoint::parse("localhost:1").expect("is one");
        let waits = tokio::time::timeout(Duration::from_millis(50), name.addresses(&context)).await;
        assert!(waits.is_err(), "{waits:?}");
        drop(places);
        name.addresses(&context).await.expect("is known");
    }
}
