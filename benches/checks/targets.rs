//! Servers whose manners can be changed while they run.

use base64::Engine as _;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream, UdpSocket};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

/// How a target behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    Good,
    /// In time, but late.
    Slow,
    /// Takes the connection and says nothing.
    Hanging,
    /// Cuts the connection.
    Resetting,
    /// Nobody listens.
    Gone,
    /// Shows a certificate that nobody trusts.
    BadCertificate,
}

/// What a target speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Speaks {
    Http,
    Tcp,
    Grpc,
    Http2,
    Udp,
}

/// A key with its certificate, both as DER.
#[derive(Clone)]
pub(crate) struct Identity {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

impl Identity {
    pub(crate) fn new() -> Self {
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(["localhost".to_owned()]).expect("is generated");
        Self { certificate: cert.der().to_vec(), key: signing_key.serialize_der() }
    }

    /// Leaves it in `dir`, the certificate as `certificate.pem` as well.
    pub(crate) fn save(&self, dir: &Path) {
        let text = base64::engine::general_purpose::STANDARD.encode(&self.certificate);
        let lines: Vec<&str> =
            text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).expect("is ASCII")).collect();
        let pem = format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"));
        for (name, bytes) in
            [("certificate.pem", pem.as_bytes()), ("certificate", &self.certificate), ("key", &self.key)]
        {
            std::fs::write(dir.join(name), bytes).expect("writes");
        }
    }

    pub(crate) fn load(dir: &Path) -> Self {
        let read = |name: &str| std::fs::read(dir.join(name)).expect("was written");
        Self { certificate: read("certificate"), key: read("key") }
    }

    fn acceptor(&self, h2: bool) -> TlsAcceptor {
        let certificate = CertificateDer::from(self.certificate.clone());
        let key = PrivateKeyDer::try_from(self.key.clone()).expect("is a key");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("are supported")
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .expect("belong together");
        if h2 {
            config.alpn_protocols = vec![b"h2".to_vec()];
        }
        TlsAcceptor::from(Arc::new(config))
    }
}

/// A server in this process.
pub(crate) struct Target {
    pub(crate) addr: SocketAddr,
    manner: watch::Sender<Manner>,
}

impl Target {
    /// `tls`: the trusted identity, for a server that speaks it.
    pub(crate) async fn start(speaks: Speaks, tls: Option<&Identity>) -> Self {
        let (manner, now) = watch::channel(Manner::Good);
        let addr;
        if speaks == Speaks::Udp {
            let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a free port");
            addr = socket.local_addr().expect("is bound");
            tokio::spawn(echo(socket, now));
        } else {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
            addr = listener.local_addr().expect("is bound");
            let h2 = matches!(speaks, Speaks::Grpc | Speaks::Http2);
            let good = tls.map(|identity| identity.acceptor(h2));
            let bad = tls.map(|_| Identity::new().acceptor(h2));
            tokio::spawn(listen(listener, speaks, good, bad, now));
        }
        Self { addr, manner }
    }

    pub(crate) fn turn(&self, manner: Manner) {
        self.manner.send_replace(manner);
    }
}

fn bind_again(addr: SocketAddr) -> TcpListener {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_reuseaddr(true).expect("is set");
    socket.bind(addr).expect("the port was ours");
    socket.listen(1_024).expect("listens")
}

async fn listen(
    listener: TcpListener,
    speaks: Speaks,
    good: Option<TlsAcceptor>,
    bad: Option<TlsAcceptor>,
    mut now: watch::Receiver<Manner>,
) {
    let addr = listener.local_addr().expect("is bound");
    let mut listener = Some(listener);
    loop {
        let manner = *now.borrow_and_update();
        if manner == Manner::Gone {
            listener = None;
            if now.changed().await.is_err() {
                return;
            }
            continue;
        }
        let taken = listener.get_or_insert_with(|| bind_again(addr));
        tokio::select! {
            changed = now.changed() => if changed.is_err() { return },
            accepted = taken.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                let acceptor = if manner == Manner::BadCertificate { bad.clone() } else { good.clone() };
                tokio::spawn(take(stream, speaks, acceptor, manner));
            }
        }
    }
}

async fn take(stream: TcpStream, speaks: Speaks, acceptor: Option<TlsAcceptor>, manner: Manner) {
    match manner {
        Manner::Hanging => {
            tokio::time::sleep(Duration::from_secs(30)).await;
            return;
        }
        Manner::Resetting => {
            socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).expect("is set");
            return;
        }
        Manner::Slow => tokio::time::sleep(Duration::from_millis(500)).await,
        Manner::Good | Manner::Gone | Manner::BadCertificate => {}
    }
    match acceptor {
        None => answer(stream, speaks).await,
        Some(acceptor) => {
            if let Ok(stream) = acceptor.accept(stream).await {
                answer(stream, speaks).await;
            }
        }
    }
}

async fn answer<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(mut stream: S, speaks: Speaks) {
    match speaks {
        Speaks::Http => {
            let mut head = [0; 2_048];
            let _ = stream.read(&mut head).await;
            let _ = stream
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok")
                .await;
            let _ = stream.shutdown().await;
        }
        Speaks::Tcp => {
            let _ = stream.read(&mut [0; 1]).await;
        }
        Speaks::Grpc | Speaks::Http2 => {
            let (_, health) = tonic_health::server::health_reporter();
            let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            let _ = builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(health)).await;
        }
        Speaks::Udp => {}
    }
}

async fn echo(socket: UdpSocket, mut now: watch::Receiver<Manner>) {
    let addr = socket.local_addr().expect("is bound");
    let mut socket = Some(socket);
    let mut bytes = [0; 2_048];
    loop {
        let manner = *now.borrow_and_update();
        if manner == Manner::Gone {
            socket = None;
            if now.changed().await.is_err() {
                return;
            }
            continue;
        }
        if socket.is_none() {
            socket = Some(UdpSocket::bind(addr).await.expect("the port was ours"));
        }
        let Some(bound) = &socket else { continue };
        tokio::select! {
            changed = now.changed() => if changed.is_err() { return },
            received = bound.recv_from(&mut bytes) => {
                let Ok((length, from)) = received else { continue };
                if manner == Manner::Slow {
                    tokio::time::sleep(Duration::from_millis(500)).await;
                }
                if manner != Manner::Hanging {
                    let _ = bound.send_to(&bytes[..length], from).await;
                }
            }
        }
    }
}
