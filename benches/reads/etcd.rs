//! etcd's range reads, by its JSON gateway.

use crate::client::{INSTANCES, Server, Waits, many_readers, one_reader, poll};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};

fn free_addr() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port")
}

fn base64(text: &str) -> String {
    use base64::Engine as _;
    base64::prelude::BASE64_STANDARD.encode(text)
}

fn post(addr: SocketAddr, path: &str, body: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nHost: {addr}\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

/// A range read of ten keys with `value`: what one reader waits for, and answers in a second to sixteen.
/// `None` where it is not installed.
pub(crate) fn etcd(dir: &Path, value: &str, seconds: usize) -> Option<(Waits, f64)> {
    let (client, peer) = (free_addr(), free_addr());
    let urls = [format!("http://{client}"), format!("http://{peer}")];
    let child = Command::new("etcd")
        .args(["--name", "bench", "--log-level", "error", "--data-dir"])
        .arg(dir.join("etcd"))
        .args(["--listen-client-urls", &urls[0], "--advertise-client-urls", &urls[0]])
        .args(["--listen-peer-urls", &urls[1], "--initial-advertise-peer-urls", &urls[1]])
        .args(["--initial-cluster", &format!("bench={}", urls[1])])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let _server = Server(child.ok()?);
    let stream = poll("etcd's port", || TcpStream::connect(client).ok());
    stream.set_nodelay(true).expect("is set");
    let mut buffer = vec![0; 64 << 10];
    for n in 0..INSTANCES {
        let body = format!("{{\"key\":\"{}\",\"value\":\"{}\"}}", base64(&format!("web/{n}")), base64(value));
        let request = post(client, "/v3/kv/put", &body);
        // It listens before it serves.
        poll("etcd's service", || {
            let mut stream = TcpStream::connect(client).ok()?;
            stream.write_all(request.as_bytes()).ok()?;
            let n = stream.read(&mut buffer).ok()?;
            buffer[..n].starts_with(b"HTTP/1.1 200").then_some(())
        });
    }
    let range = format!(
        "{{\"key\":\"{}\",\"range_end\":\"{}\",\"serializable\":true}}",
        base64("web/"),
        base64("web0")
    );
    let query: &'static str = Box::leak(post(client, "/v3/kv/range", &range).into_boxed_str());
    let waits = one_reader(stream, query.as_bytes(), seconds);
    let connect = || {
        let stream = TcpStream::connect(client).expect("it listens");
        stream.set_nonblocking(true).and_then(|()| stream.set_nodelay(true)).expect("is set");
        tokio::net::TcpStream::from_std(stream).expect("inside a runtime")
    };
    Some((waits, many_readers(connect, query.as_bytes(), seconds)))
}
