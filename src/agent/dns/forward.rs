//! Asking other name servers.
//!
//! One after the other, each with its time, from a port and with a number that cannot be guessed
//! (RFC 5452). An answer that says that the server could not answer counts as none.

use super::Shared;
use crate::dns::{Transport, is_answer_to};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

const MESSAGE_BYTES_MAX: usize = 65_535;

/// What the first recursor says that answers, with the number of `message`; `None` if none does.
/// `transport` is how the client can be answered: over TCP answers that were cut are fetched whole.
pub(super) async fn ask(shared: &Shared, message: &[u8], transport: Transport) -> Option<Vec<u8>> {
    let own_number = message.get(..2)?.to_vec();
    let mut question = message.to_vec();
    for recursor in &shared.options.recursors {
        question[..2].copy_from_slice(&rand::random::<u16>().to_be_bytes());
        let asked = one(*recursor, &question, transport);
        let error = match tokio::time::timeout(shared.options.recursor_timeout, asked).await {
            Ok(Ok(mut answer)) => {
                answer[..2].copy_from_slice(&own_number);
                // Recursion is available: this is one.
                answer[3] |= 0x80;
                return Some(answer);
            }
            Ok(Err(error)) => error,
            Err(_) => io::ErrorKind::TimedOut.into(),
        };
        shared.metrics.recursor_failed();
        tracing::debug!(%recursor, %error, "a recursor did not answer");
    }
    None
}

async fn one(recursor: SocketAddr, question: &[u8], transport: Transport) -> io::Result<Vec<u8>> {
    let answer = over_udp(recursor, question).await?;
    let cut = answer[2] & 0x02 != 0;
    if cut && transport == Transport::Tcp {
        return over_tcp(recursor, question).await;
    }
    Ok(answer)
}

async fn over_udp(recursor: SocketAddr, question: &[u8]) -> io::Result<Vec<u8>> {
    let own: SocketAddr = match recursor {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(own).await?;
    socket.connect(recursor).await?;
    socket.send(question).await?;
    let mut buffer = vec![0; MESSAGE_BYTES_MAX];
    loop {
        let length = socket.recv(&mut buffer).await?;
        let answer = &buffer[..length];
        if is_answer_to(answer, question) {
            return Ok(answer.to_vec());
        }
        // An answer with this number that does not help is the last word of this server; anything
        // else is not from it.
        if length >= 12 && answer[..2] == question[..2] && answer[2] & 0x80 != 0 && answer[3] & 0x0f != 0 {
            return Err(io::Error::other(format!("it answered with code {}", answer[3] & 0x0f)));
        }
    }
}

async fn over_tcp(recursor: SocketAddr, question: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(recursor).await?;
    let length = u16::try_from(question.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    stream.write_all(&[&length.to_be_bytes(), question].concat()).await?;
    let mut answer = vec![0; usize::from(stream.read_u16().await?)];
    stream.read_exact(&mut answer).await?;
    if is_answer_to(&answer, question) {
        return Ok(answer);
    }
    Err(io::Error::other("it answered something else"))
}
