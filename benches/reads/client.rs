//! Readers that cost little, and what they measured.

#![allow(dead_code, reason = "each bench uses its own part")]

use std::fmt;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

pub(crate) const INSTANCES: usize = 10;
pub(crate) const CONNECTIONS: usize = 16;
pub(crate) const QUERY: &str = "GET /v1/health/service/web?passing HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// A process that ends with this value.
pub(crate) struct Server(pub(crate) Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) fn poll<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "{what} did not come in 20 s");
        std::thread::yield_now();
    }
}

/// An address of loopback that nobody has, for UDP and TCP.
pub(crate) fn free_udp_addr() -> SocketAddr {
    let taken = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port");
    UdpSocket::bind(taken).expect("the same port is free for UDP");
    taken
}

/// An agent that keeps nothing, with `more` flags.
pub(crate) fn start_agent(dir: &Path, more: &[&str]) -> (Server, PathBuf) {
    let socket = dir.join("agent.sock");
    let child = Command::new(env!("CARGO_BIN_EXE_shoal"))
        .args([
            "agent",
            "--node",
            "n1",
            "--bind",
            "127.0.0.1:0",
            "--no-persist",
            "--log-level",
            "warn",
            "--socket",
        ])
        .arg(&socket)
        .args(more)
        .stdout(Stdio::null())
        .spawn()
        .expect("the agent starts");
    poll("the agent's socket", || UnixStream::connect(&socket).ok());
    (Server(child), socket)
}

/// Reads one answer into `buffer`; gives its length.
pub(crate) fn read_answer(stream: &mut impl Read, buffer: &mut Vec<u8>) -> usize {
    let mut have = 0;
    loop {
        if let Some(whole) = whole_length(&buffer[..have])
            && have >= whole
        {
            assert!(buffer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&buffer[..have]));
            return whole;
        }
        if have == buffer.len() {
            buffer.resize(buffer.len() * 2, 0);
        }
        match stream.read(&mut buffer[have..]).expect("the server answers") {
            0 => panic!("the server closed: {}", String::from_utf8_lossy(&buffer[..have])),
            n => have += n,
        }
    }
}

/// Length of head and body, once they are told or have ended.
pub(crate) fn whole_length(bytes: &[u8]) -> Option<usize> {
    let end = bytes.windows(4).take(2_048).position(|w| w == b"\r\n\r\n")? + 4;
    let head = std::str::from_utf8(&bytes[..end]).expect("a head is text");
    if head.to_ascii_lowercase().contains("transfer-encoding: chunked") {
        return bytes[end..].ends_with(b"0\r\n\r\n").then_some(bytes.len());
    }
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().expect("a number"))
    });
    Some(end + length.expect("answers tell their length"))
}

pub(crate) fn call(socket: &Path, request: &str) -> String {
    let mut stream = UnixStream::connect(socket).expect("the agent listens");
    stream.write_all(request.as_bytes()).expect("is sent");
    let mut buffer = vec![0; 16 << 10];
    let length = read_answer(&mut stream, &mut buffer);
    String::from_utf8_lossy(&buffer[..length]).into_owned()
}

pub(crate) fn register(socket: &Path, name: &str, id: &str, port: usize) {
    let body = format!(
        "{{\"Name\":\"{name}\",\"ID\":\"{id}\",\"Address\":\"10.0.0.{}\",\"Port\":{port},\"Tags\":[\"production\",\"v2\"],\
         \"Meta\":{{\"zone\":\"eu-1a\"}},\"Check\":{{\"TTL\":\"600s\",\"Status\":\"passing\"}}}}",
        // Another one each: DNS tells the same address once.
        1 + port % 250
    );
    let length = body.len();
    call(
        socket,
        &format!(
            "PUT /v1/agent/service/register HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n{body}"
        ),
    );
}

pub(crate) fn quantile(sorted: &[Duration], q: f64) -> Duration {
    sorted[((sorted.len() - 1) as f64 * q) as usize]
}

pub(crate) fn us(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

/// What one reader waits for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Waits {
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
    pub(crate) answers: usize,
}

impl Waits {
    pub(crate) fn of(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        Self { p50: quantile(&times, 0.5), p99: quantile(&times, 0.99), answers: times.len() }
    }
}

impl fmt::Display for Waits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "p50 {:.1} us, p99 {:.1} us, {} answers", us(self.p50), us(self.p99), self.answers)
    }
}

/// Asks one after the other on one connection.
pub(crate) fn one_reader<S: Read + Write>(mut stream: S, query: &[u8], seconds: usize) -> Waits {
    let mut buffer = vec![0; 64 << 10];
    let mut times = Vec::new();
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(seconds as u64) {
        let start = Instant::now();
        stream.write_all(query).expect("is sent");
        read_answer(&mut stream, &mut buffer);
        times.push(start.elapsed());
    }
    Waits::of(times)
}

/// Two threads of readers, with half of the connections each: answers in a second.
pub(crate) fn many_readers<S, F>(connect: F, query: &'static [u8], seconds: usize) -> f64
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    F: Fn() -> S + Send + Sync,
{
    let answered = Arc::new(AtomicU64::new(0));
    let begin = Instant::now();
    let until = begin + Duration::from_secs(seconds as u64);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let runtime =
                    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("builds");
                runtime.block_on(async {
                    let mut readers = tokio::task::JoinSet::new();
                    for _ in 0..CONNECTIONS / 2 {
                        let mut stream = connect();
                        let answered = Arc::clone(&answered);
                        readers.spawn(async move {
                            let mut buffer = vec![0; 64 << 10];
                            while Instant::now() < until {
                                stream.write_all(query).await.expect("is sent");
                                let mut have = 0;
                                let mut whole = usize::MAX;
                                while have < whole {
                                    let n = stream.read(&mut buffer[have..]).await.expect("it answers");
                                    assert!(n > 0, "the server closed");
                                    have += n;
                                    if have == buffer.len() {
                                        buffer.resize(2 * have, 0);
                                    }
                                    if whole == usize::MAX {
                                        whole = whole_length(&buffer[..have]).unwrap_or(usize::MAX);
                                    }
                                }
                                answered.fetch_add(1, Ordering::Relaxed);
                            }
                        });
                    }
                    while readers.join_next().await.is_some() {}
                });
            });
        }
    });
    answered.load(Ordering::Relaxed) as f64 / begin.elapsed().as_secs_f64()
}

/// Sixteen and one connection to a Unix socket.
pub(crate) fn read_over(socket: &Path, query: &'static [u8], seconds: usize) -> (Waits, f64) {
    let stream = UnixStream::connect(socket).expect("it listens");
    let waits = one_reader(stream, query, seconds);
    let connect = || {
        let stream = UnixStream::connect(socket).expect("it listens");
        stream.set_nonblocking(true).expect("is set");
        tokio::net::UnixStream::from_std(stream).expect("inside a runtime")
    };
    (waits, many_readers(connect, query, seconds))
}
