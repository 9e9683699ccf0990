//! Datagrams.

use super::*;
use tokio::net::UdpSocket;

fn target(address: impl ToString) -> ProbeTarget {
    ProbeTarget::Udp { address: address.to_string() }
}

#[tokio::test]
async fn an_answer_is_passing_at_once() {
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("binds");
    let addr = socket.local_addr().expect("is bound");
    tokio::spawn(async move {
        let (_, from) = socket.recv_from(&mut [0; 16]).await.expect("receives");
        socket.send_to(b"here", from).await.expect("sends");
    });
    let wanted = format!("UDP connect {addr}: Success");
    assert_finding(&found(target(addr)).await, CheckStatus::Passing, &wanted);
}

#[tokio::test]
async fn silence_is_passing_when_the_time_is_up() {
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("binds");
    let addr = socket.local_addr().expect("is bound");
    let wanted = format!("UDP connect {addr}: Success");
    assert_finding(&timed_out(target(addr)).await, CheckStatus::Passing, &wanted);
}

#[tokio::test]
async fn a_refusal_is_critical() {
    let addr = UdpSocket::bind("127.0.0.1:0").await.expect("binds").local_addr().expect("is bound");
    let wanted = format!("read udp {addr}: connection refused");
    assert_finding(&found(target(addr)).await, CheckStatus::Critical, &wanted);
    assert_critical(&found(target("nothing")).await, "want host:port");
}
