//! Things to ask.

use super::super::tls::Roots;
use super::Context;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// Serves each connection with `serve`, as long as the runtime lasts.
pub(super) async fn serve<F, S>(mut serve: S) -> SocketAddr
where
    S: FnMut(TcpStream) -> F + Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let addr = listener.local_addr().expect("is bound");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    addr
}

/// Takes connections and never says anything.
pub(super) async fn hanging() -> SocketAddr {
    serve(|stream| async move {
        std::future::pending::<()>().await;
        drop(stream);
    })
    .await
}

/// Takes connections and resets them when something was said.
pub(super) async fn resetting() -> SocketAddr {
    serve(|mut stream| async move {
        let _ = stream.read(&mut [0; 1]).await;
        socket2::SockRef::from(&stream).set_linger(Some(std::time::Duration::ZERO)).expect("is set");
    })
    .await
}

/// Nobody is there.
pub(super) async fn gone() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.expect("binds").local_addr().expect("is bound")
}

/// Reads the head of a request; empty when the other side hung up.
pub(super) async fn head<S: AsyncRead + Unpin>(stream: &mut S) -> String {
    let mut text = Vec::new();
    while !text.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => text.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8(text).expect("is text")
}

/// Answers each request with `answer` and hangs up.
pub(super) async fn answering(answer: &'static str) -> SocketAddr {
    serve(move |mut stream| async move {
        head(&mut stream).await;
        let _ = stream.write_all(answer.as_bytes()).await;
    })
    .await
}

/// A server's certificate for `good.example`, signed by itself.
pub(super) struct Identity {
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
}

impl Identity {
    pub(super) fn new() -> Self {
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(["good.example".to_owned()]).expect("is made");
        let key = PrivateKeyDer::try_from(signing_key.serialize_der()).expect("is a key");
        Self { certificate: cert.der().clone(), key }
    }

    /// A context that trusts it.
    pub(super) fn trusted(&self) -> Context {
        Context { roots: Roots::of(vec![self.certificate.clone()]), ..Context::new() }
    }

    /// Speaks TLS with it.
    pub(super) fn acceptor(&self, protocols: &[&[u8]]) -> TlsAcceptor {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(provider);
        let builder = builder.with_safe_default_protocol_versions().expect("are known");
        let chain = vec![self.certificate.clone()];
        let mut config =
            builder.with_no_client_auth().with_single_cert(chain, self.key.clone_key()).expect("fits");
        config.alpn_protocols = protocols.iter().map(|p| p.to_vec()).collect();
        TlsAcceptor::from(Arc::new(config))
    }
}

/// Answers each request over TLS with `answer` and hangs up.
pub(super) async fn answering_with_tls(identity: &Identity, answer: &'static str) -> SocketAddr {
    let acceptor = identity.acceptor(&[]);
    serve(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(mut stream) = acceptor.accept(stream).await else { return };
            head(&mut stream).await;
            let _ = stream.write_all(answer.as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    })
    .await
}
