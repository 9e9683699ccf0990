//! One reader of one agent.

use crate::{in_process, taken};
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;

const WARM: usize = 1_000;
const READS: usize = 10_000;
const INSTANCES: usize = 10;

/// One request and its whole answer, on a connection that is kept; takes no memory.
fn ask(stream: &mut UnixStream, request: &[u8], buffer: &mut [u8]) -> usize {
    stream.write_all(request).expect("is sent");
    let (mut have, mut whole) = (0, None);
    while whole.is_none_or(|whole| have < whole) {
        let read = stream.read(&mut buffer[have..]).expect("the agent answers");
        assert!(read > 0, "the agent closed");
        have += read;
        whole = whole.or_else(|| whole_length(&buffer[..have]));
    }
    assert!(buffer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&buffer[..have]));
    have
}

fn whole_length(bytes: &[u8]) -> Option<usize> {
    let end = bytes.windows(4).position(|w| w == b"\r\n\r\n")? + 4;
    let head = std::str::from_utf8(&bytes[..end]).expect("a head is text");
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("content-length").then(|| value.parse::<usize>().expect("a number"))
    });
    Some(end + length.expect("answers tell their length"))
}

fn count(stream: &mut UnixStream, what: &str, request: &str) {
    let mut buffer = vec![0; 256 << 10];
    let request = request.as_bytes();
    for _ in 0..WARM {
        ask(stream, request, &mut buffer);
    }
    let before = taken();
    let mut bytes = 0;
    for _ in 0..READS {
        bytes += ask(stream, request, &mut buffer);
    }
    let after = taken();
    println!(
        "reads, {what}: {:.2} allocations and {:.0} bytes of memory for an answer of {} bytes",
        (after.0 - before.0) as f64 / READS as f64,
        (after.1 - before.1) as f64 / READS as f64,
        bytes / READS
    );
}

pub(crate) fn measure() {
    let dir = tempfile::tempdir().expect("a directory");
    let (socket, _api) = in_process::start(dir.path(), &[]);
    let mut stream = UnixStream::connect(&socket).expect("the agent listens");
    let mut buffer = vec![0; 64 << 10];
    for n in 0..INSTANCES {
        let body = format!(
            r#"{{"Name":"web","ID":"web-{n}","Address":"10.0.0.7","Port":{},"Tags":["v2"]}}"#,
            8_000 + n
        );
        let head = format!(
            "PUT /v1/agent/service/register HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        ask(&mut stream, format!("{head}{body}").as_bytes(), &mut buffer);
    }
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    count(&mut stream, "the healthy instances of a service", &get("/v1/health/service/web?passing"));
    count(&mut stream, "the services", &get("/v1/catalog/services"));
    count(&mut stream, "the members", &get("/v1/agent/members"));
}
