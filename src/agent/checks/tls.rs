//! TLS on a target's connection.
//!
//! Owns whom this host trusts and how a server is known. Never keeps a session: each run is to find
//! out whether a new client would get through.

use super::net::Endpoint;
use super::{Context, Fault};
use crate::model::ProbeTls;
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio::sync::OnceCell;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// A connection on which TLS is spoken.
pub(super) type Secured = TlsStream<TcpStream>;

/// The name of HTTP/2 in a handshake (RFC 7540, section 3.1).
pub(super) const H2: &[u8] = b"h2";

/// The name of HTTP/1.1 in a handshake (RFC 7301, section 6).
pub(super) const HTTP_1_1: &[u8] = b"http/1.1";

/// The certificates that are trusted.
#[derive(Debug, Default)]
pub(super) struct Roots(OnceCell<Arc<RootCertStore>>);

impl Roots {
    /// Those that the system trusts, read when first asked for.
    async fn get(&self) -> Arc<RootCertStore> {
        let read = || async {
            // A runtime that ends reads nothing any more.
            let read = tokio::task::spawn_blocking(of_system).await;
            read.unwrap_or_else(|_| Arc::new(RootCertStore::empty()))
        };
        Arc::clone(self.0.get_or_init(read).await)
    }

    /// Just these.
    #[cfg(test)]
    pub(super) fn of(certificates: Vec<CertificateDer<'static>>) -> Self {
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(certificates);
        Self(OnceCell::new_with(Some(Arc::new(store))))
    }
}

fn of_system() -> Arc<RootCertStore> {
    let found = rustls_native_certs::load_native_certs();
    let mut store = RootCertStore::empty();
    let (added, ignored) = store.add_parsable_certificates(found.certs);
    for error in &found.errors {
        tracing::debug!(%error, "trusted certificates cannot be read");
    }
    if added == 0 {
        tracing::warn!("this host trusts no certificate; checks over TLS fail unless they skip verification");
    }
    tracing::debug!(added, ignored, "read the certificates that this host trusts");
    Arc::new(store)
}

/// A connection to `endpoint` with a handshake that offers `protocols`, the preferred one first.
pub(super) async fn connect(
    endpoint: &Endpoint,
    tls: &ProbeTls,
    protocols: &[&[u8]],
    context: &Context,
) -> Result<Secured, Fault> {
    let failed = |error: &(dyn std::error::Error + 'static)| Fault::at("tls", error);
    let wanted = if tls.server_name.is_empty() { &endpoint.host } else { &tls.server_name };
    let name = ServerName::try_from(wanted.clone())
        .map_err(|_| Fault::new(format!("tls: server name {wanted:?}: want a host name or an address")))?;
    let stream = endpoint.connect(context).await?;
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider));
    let builder = builder.with_safe_default_protocol_versions().map_err(|e| failed(&e))?;
    let builder = if tls.skips_verification {
        builder.dangerous().with_custom_certificate_verifier(Arc::new(TakesAny(provider)))
    } else {
        builder.with_root_certificates(context.roots.get().await)
    };
    let mut config = builder.with_no_client_auth();
    config.resumption = Resumption::disabled();
    config.alpn_protocols = protocols.iter().map(|p| p.to_vec()).collect();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await.map_err(|e| failed(&e))
}

/// Whether both sides agreed on HTTP/2.
pub(super) fn speaks_h2(stream: &Secured) -> bool {
    stream.get_ref().1.alpn_protocol() == Some(H2)
}

/// Takes any certificate. Signatures are not looked at either: who may present any certificate can
/// sign with any key, and a certificate that is too old to be read would fail the check.
#[derive(Debug)]
struct TakesAny(Arc<CryptoProvider>);

impl ServerCertVerifier for TakesAny {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
