//! Checks by the health protocol of gRPC (`grpc.health.v1.Health/Check`).
//!
//! Owns the one call and what its answers mean. Never watches: each run asks anew.

use super::connection::{Connection, Versions};
use super::net::Endpoint;
use super::{Context, Fault, Finding, fault};
use crate::model::{Probe, ProbeTls, show_duration};
use std::error::Error;
use std::sync::Arc;
use tokio::sync::Mutex;
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

/// The most bytes of an answer; a real one has two.
const ANSWER_BYTES_MAX: usize = 16 << 10;

/// Asks `address` how `service` is; an empty one stands for the server as a whole.
pub(super) async fn run(
    address: &str,
    service: &str,
    with_tls: Option<&ProbeTls>,
    probe: &Probe,
    context: &Context,
) -> Finding {
    let target = if service.is_empty() { address.to_owned() } else { format!("{address}/{service}") };
    let asked = tokio::time::timeout(probe.timeout, ask(address, service, with_tls, context)).await;
    let asked = asked.unwrap_or_else(|_| {
        let text = format!("no answer within {}", show_duration(probe.timeout));
        Err(Status::deadline_exceeded(text))
    });
    match asked {
        Ok(ServingStatus::Serving) => Finding::passing(format!("gRPC check {target}: success")),
        Ok(status) => Finding::critical(format!("gRPC {target} serving status: {}", status.as_str_name())),
        Err(status) => Finding::critical(text_of(&status)),
    }
}

async fn ask(
    address: &str,
    service: &str,
    with_tls: Option<&ProbeTls>,
    context: &Context,
) -> Result<ServingStatus, Status> {
    let unreachable = |fault: Fault| {
        let text = format!("connection error: desc = \"transport: Error while dialing: {fault}\"");
        Status::unavailable(text)
    };
    let endpoint = Endpoint::parse(address).map_err(unreachable)?;
    let connection = Connection::open(&endpoint, with_tls, Versions::Two, context).await;
    let connection = Arc::new(Mutex::new(connection.map_err(unreachable)?));
    let scheme = if with_tls.is_some() { "https" } else { "http" };
    let origin = format!("{scheme}://{}", endpoint.authority()).parse();
    let origin =
        origin.map_err(|_| unreachable(Fault::new(format!("address {address:?}: want host:port"))))?;
    let send = tower::service_fn(|request| {
        let connection = Arc::clone(&connection);
        async move { connection.lock().await.send(request).await }
    });
    let mut client = HealthClient::with_origin(send, origin).max_decoding_message_size(ANSWER_BYTES_MAX);
    let answer = client.check(HealthCheckRequest { service: service.to_owned() }).await?;
    Ok(answer.into_inner().status())
}

/// As the clients of Go write it.
fn text_of(status: &Status) -> String {
    let code: Code = status.code();
    let cause = status.source().map(fault::reason);
    let message = match cause {
        // Then the message says no more than that the transport failed.
        Some(cause) => cause,
        None => status.message().to_owned(),
    };
    format!("rpc error: code = {code:?} desc = {message}")
}
