//! TCP, plain and with TLS.

use super::targets::{Identity, answering_with_tls, gone, hanging, resetting};
use super::*;

fn plain(address: impl ToString) -> ProbeTarget {
    ProbeTarget::Tcp { address: address.to_string(), tls: None }
}

fn with_tls(address: impl ToString, tls: ProbeTls) -> ProbeTarget {
    ProbeTarget::Tcp { address: address.to_string(), tls: Some(tls) }
}

#[tokio::test]
async fn who_takes_connections_is_passing() {
    let addr = hanging().await;
    let wanted = format!("TCP connect {addr}: Success");
    assert_finding(&found(plain(addr)).await, CheckStatus::Passing, &wanted);
    let named = format!("localhost:{}", addr.port());
    assert_eq!(found(plain(named)).await.status, CheckStatus::Passing);
    let in_brackets = format!("[127.0.0.1]:{}", addr.port());
    assert_eq!(found(plain(in_brackets)).await.status, CheckStatus::Passing);
}

#[tokio::test]
async fn who_is_gone_is_critical() {
    let addr = gone().await;
    let wanted = format!("dial tcp {addr}: connect: connection refused");
    assert_finding(&found(plain(addr)).await, CheckStatus::Critical, &wanted);
}

#[tokio::test]
async fn what_is_no_address_is_named() {
    let wanted = r#"address "nothing": want host:port"#;
    assert_finding(&found(plain("nothing")).await, CheckStatus::Critical, wanted);
    // Reserved for names that there are not (RFC 6761), and too long for any.
    let absent = format!("{}.invalid:1", "x".repeat(64));
    assert_critical(&found(plain(absent)).await, "dial tcp: lookup xxx");
}

#[tokio::test]
async fn certificates_count() {
    let identity = Identity::new();
    let addr = answering_with_tls(&identity, "").await;
    let wanted = format!("TCP+TLS connect {addr}: Success");
    let skips = found(with_tls(addr, any_certificate())).await;
    assert_finding(&skips, CheckStatus::Passing, &wanted);

    let unknown = probe(with_tls(addr, certificate_of("good.example")), PATIENCE);
    let nobody = Context { roots: super::super::tls::Roots::of(Vec::new()), ..Context::new() };
    assert_critical(&run(&unknown, &nobody).await, "tls: invalid peer certificate: UnknownIssuer");
    assert_finding(&run(&unknown, &identity.trusted()).await, CheckStatus::Passing, &wanted);

    let other = probe(with_tls(addr, certificate_of("other.example")), PATIENCE);
    assert_critical(&run(&other, &identity.trusted()).await, "not valid for name \"other.example\"");
    let address = probe(with_tls(addr, ProbeTls::default()), PATIENCE);
    assert_critical(&run(&address, &identity.trusted()).await, "tls: invalid peer certificate");
}

#[tokio::test]
async fn the_certificates_of_the_system_can_be_read() {
    let addr = answering_with_tls(&Identity::new(), "").await;
    let finding = found(with_tls(addr, certificate_of("good.example"))).await;
    assert_critical(&finding, "tls: invalid peer certificate");
}

#[tokio::test]
async fn a_handshake_has_to_be_answered_in_time() {
    let addr = hanging().await;
    let wanted = format!("dial tcp {addr}: i/o timeout (200ms)");
    assert_finding(&timed_out(with_tls(addr, any_certificate())).await, CheckStatus::Critical, &wanted);
    let reset = found(with_tls(resetting().await, any_certificate())).await;
    assert_critical(&reset, "tls: connection reset by peer");
}
