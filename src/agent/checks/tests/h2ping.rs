//! Pings of HTTP/2.

use super::targets::{Identity, answering, gone, hanging, resetting, serve};
use super::*;
use std::net::SocketAddr;
use tokio::io::{AsyncRead, AsyncWrite};

fn target(address: impl ToString, tls: Option<ProbeTls>) -> ProbeTarget {
    ProbeTarget::H2Ping { address: address.to_string(), tls }
}

/// Answers pings; there is nothing else to ask for.
async fn answer_pings<S: AsyncRead + AsyncWrite + Unpin>(stream: S) {
    let Ok(mut connection) = h2::server::handshake(stream).await else { return };
    while let Some(Ok(_)) = connection.accept().await {}
}

async fn with_tls(identity: &Identity) -> SocketAddr {
    let acceptor = identity.acceptor(&[b"h2"]);
    serve(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            if let Ok(stream) = acceptor.accept(stream).await {
                answer_pings(stream).await;
            }
        }
    })
    .await
}

#[tokio::test]
async fn who_answers_is_passing() {
    let plain = serve(answer_pings).await;
    let wanted = "HTTP2 ping was successful";
    assert_finding(&found(target(plain, None)).await, CheckStatus::Passing, wanted);

    let identity = Identity::new();
    let addr = with_tls(&identity).await;
    let any = found(target(addr, Some(any_certificate()))).await;
    assert_finding(&any, CheckStatus::Passing, wanted);
    let known = probe(target(addr, Some(certificate_of("good.example"))), PATIENCE);
    assert_finding(&run(&known, &identity.trusted()).await, CheckStatus::Passing, wanted);
    let unknown = found(target(addr, Some(certificate_of("good.example")))).await;
    assert_critical(&unknown, &format!("Failed to dial to {addr}: tls: invalid peer certificate"));
}

#[tokio::test]
async fn who_does_not_is_critical() {
    let addr = gone().await;
    let wanted = format!("Failed to dial to {addr}: dial tcp {addr}: connect: connection refused");
    assert_finding(&found(target(addr, None)).await, CheckStatus::Critical, &wanted);
    let wanted = "HTTP2 ping failed: i/o timeout (200ms)";
    assert_finding(&timed_out(target(hanging().await, None)).await, CheckStatus::Critical, wanted);
    assert_critical(&found(target(resetting().await, None)).await, "HTTP2 ping failed: ");
    let old = answering("HTTP/1.1 400 Bad Request\r\n\r\n").await;
    assert_critical(&found(target(old, None)).await, "HTTP2 ping failed: ");
}
