//! The health protocol of gRPC, against the server of tonic.

use super::targets::{Identity, answering, gone, hanging, resetting, serve};
use super::*;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use std::net::SocketAddr;
use tokio::io::{AsyncRead, AsyncWrite};
use tonic_health::ServingStatus;
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_health::server::health_reporter;

fn target(address: impl ToString, service: &str, tls: Option<ProbeTls>) -> ProbeTarget {
    ProbeTarget::Grpc { address: address.to_string(), service: service.to_owned(), tls }
}

async fn answer<S, H>(stream: S, health: HealthServer<H>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    H: Health,
{
    let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
    let _ = builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(health)).await;
}

/// Serves `up`, and knows that `down` is not served.
async fn server(identity: Option<&Identity>) -> SocketAddr {
    let (reporter, health) = health_reporter();
    reporter.set_service_status("up", ServingStatus::Serving).await;
    reporter.set_service_status("down", ServingStatus::NotServing).await;
    let acceptor = identity.map(|identity| identity.acceptor(&[b"h2"]));
    serve(move |stream| {
        let (acceptor, health) = (acceptor.clone(), health.clone());
        async move {
            match acceptor {
                None => answer(stream, health).await,
                Some(acceptor) => {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        answer(stream, health).await;
                    }
                }
            }
        }
    })
    .await
}

#[tokio::test]
async fn what_is_served_is_passing() {
    let addr = server(None).await;
    let whole = found(target(addr, "", None)).await;
    assert_finding(&whole, CheckStatus::Passing, &format!("gRPC check {addr}: success"));
    let up = found(target(addr, "up", None)).await;
    assert_finding(&up, CheckStatus::Passing, &format!("gRPC check {addr}/up: success"));
    let named = format!("localhost:{}", addr.port());
    assert_eq!(found(target(named, "", None)).await.status, CheckStatus::Passing);
}

#[tokio::test]
async fn what_is_not_served_is_critical() {
    let addr = server(None).await;
    let down = found(target(addr, "down", None)).await;
    assert_finding(&down, CheckStatus::Critical, &format!("gRPC {addr}/down serving status: NOT_SERVING"));
    let unknown = found(target(addr, "unknown", None)).await;
    assert_critical(&unknown, "rpc error: code = NotFound desc = ");
}

#[tokio::test]
async fn over_tls_certificates_count() {
    let identity = Identity::new();
    let addr = server(Some(&identity)).await;
    let any = found(target(addr, "up", Some(any_certificate()))).await;
    assert_finding(&any, CheckStatus::Passing, &format!("gRPC check {addr}/up: success"));
    let known = probe(target(addr, "", Some(certificate_of("good.example"))), PATIENCE);
    assert_eq!(run(&known, &identity.trusted()).await.status, CheckStatus::Passing);
    assert_critical(&run(&known, &Context::new()).await, "tls: invalid peer certificate");
}

#[tokio::test]
async fn who_does_not_speak_it_is_critical() {
    let addr = gone().await;
    let wanted = format!(
        "rpc error: code = Unavailable desc = connection error: desc = \
         \"transport: Error while dialing: dial tcp {addr}: connect: connection refused\""
    );
    assert_finding(&found(target(addr, "", None)).await, CheckStatus::Critical, &wanted);
    let wanted = "rpc error: code = DeadlineExceeded desc = no answer within 200ms";
    let silent = timed_out(target(hanging().await, "", None)).await;
    assert_finding(&silent, CheckStatus::Critical, wanted);
    let reset = found(target(resetting().await, "", None)).await;
    assert_critical(&reset, "rpc error: code = ");
    let old = answering("HTTP/1.1 400 Bad Request\r\n\r\n").await;
    assert_critical(&found(target(old, "", None)).await, "rpc error: code = ");
}
