//! What readers of one agent wait for, over its Unix socket.
//!
//! - *one reader*: the time of `GET /v1/health/service/web?passing` with ten instances, on one
//!   connection that is kept.
//! - *sixteen readers*: how many of these are answered in a second on sixteen connections.
//! - *blocked queries*: ten thousand requests wait for a thousand services. What each costs in
//!   resident memory, how long it takes from a change of one service until those who wait for it
//!   have their answers, and that nobody else has one.
//! - *etcd*, where it is installed: a range read of ten keys through its JSON gateway, the same two
//!   ways, on a server of its own in the same run. It reads from a store that would be linearizable,
//!   asked here for a serializable read; so what it does is more, and what is compared is what a
//!   reader on a host waits for.
//!
//! Run with `cargo bench --bench reads`; `SECONDS=1 BLOCKED=1000` makes a quick run of it. Agent and
//! readers share the machine's processors. The agent is the `shoal` binary of the same build.

#![allow(clippy::print_stdout, clippy::disallowed_methods, reason = "a bench reads clocks and prints")]
#![allow(missing_docs)]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const INSTANCES: usize = 10;
const CONNECTIONS: usize = 16;
const SERVICES: usize = 1_000;
const QUERY: &str = "GET /v1/health/service/web?passing HTTP/1.1\r\nHost: localhost\r\n\r\n";

fn number(name: &str, default: usize) -> usize {
    let given = std::env::var(name).ok();
    given.map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name}={text}: want a number")))
}

// ---- what is measured

/// A process that ends with this value.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn poll<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "{what} did not come in 20 s");
        std::thread::yield_now();
    }
}

fn start_agent(dir: &Path) -> (Server, PathBuf) {
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
        .stdout(Stdio::null())
        .spawn()
        .expect("the agent starts");
    poll("the agent's socket", || UnixStream::connect(&socket).ok());
    (Server(child), socket)
}

fn resident_kb(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the process lives");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("Linux tells it");
    line.split_whitespace().nth(1).and_then(|kb| kb.parse().ok()).expect("a number of kB")
}

// ---- a client that costs little

/// Reads one answer into `buffer`; gives its length.
fn read_answer(stream: &mut impl Read, buffer: &mut Vec<u8>) -> usize {
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
fn whole_length(bytes: &[u8]) -> Option<usize> {
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

fn call(socket: &Path, request: &str) -> String {
    let mut stream = UnixStream::connect(socket).expect("the agent listens");
    stream.write_all(request.as_bytes()).expect("is sent");
    let mut buffer = vec![0; 16 << 10];
    let length = read_answer(&mut stream, &mut buffer);
    String::from_utf8_lossy(&buffer[..length]).into_owned()
}

fn register(socket: &Path, name: &str, id: &str, port: usize) {
    let body = format!(
        "{{\"Name\":\"{name}\",\"ID\":\"{id}\",\"Address\":\"10.0.0.7\",\"Port\":{port},\"Tags\":[\"production\",\"v2\"],\
         \"Meta\":{{\"zone\":\"eu-1a\"}},\"Check\":{{\"TTL\":\"600s\",\"Status\":\"passing\"}}}}"
    );
    let length = body.len();
    call(
        socket,
        &format!(
            "PUT /v1/agent/service/register HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n{body}"
        ),
    );
}

fn quantile(sorted: &[Duration], q: f64) -> Duration {
    sorted[((sorted.len() - 1) as f64 * q) as usize]
}

fn us(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

/// Asks one after the other on one connection.
fn one_reader<S: Read + Write>(what: &str, mut stream: S, query: &[u8], seconds: usize) {
    let mut buffer = vec![0; 64 << 10];
    let mut times = Vec::new();
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(seconds as u64) {
        let start = Instant::now();
        stream.write_all(query).expect("is sent");
        read_answer(&mut stream, &mut buffer);
        times.push(start.elapsed());
    }
    // The first ones find nothing written yet.
    times.sort_unstable();
    println!(
        "{what}, one reader: p50 {:.1} us, p99 {:.1} us, {} answers",
        us(quantile(&times, 0.5)),
        us(quantile(&times, 0.99)),
        times.len()
    );
}

/// Two threads of readers, with half of the connections each.
fn many_readers<S, F>(what: &str, connect: F, query: &'static [u8], seconds: usize)
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
    let rate = answered.load(Ordering::Relaxed) as f64 / begin.elapsed().as_secs_f64();
    println!("{what}, {CONNECTIONS} readers: {rate:.0} answers/s");
}

// ---- blocked queries

/// Waits for a service, again and again; tells each answer's time.
async fn wait_for(
    socket: PathBuf,
    service: usize,
    ready: Arc<AtomicUsize>,
    told: tokio::sync::mpsc::UnboundedSender<(usize, Instant)>,
) {
    let mut stream = tokio::net::UnixStream::connect(&socket).await.expect("the agent listens");
    let mut buffer = vec![0; 4 << 10];
    let mut index = 0_u64;
    loop {
        let query =
            format!("GET /v1/health/service/s{service}?index={index}&wait=10m HTTP/1.1\r\nHost: x\r\n\r\n");
        stream.write_all(query.as_bytes()).await.expect("is sent");
        if index > 0 {
            ready.fetch_add(1, Ordering::Relaxed);
        }
        let (mut have, mut whole) = (0, usize::MAX);
        while have < whole {
            if have == buffer.len() {
                buffer.resize(2 * have, 0);
            }
            let n = stream.read(&mut buffer[have..]).await.expect("it answers");
            assert!(n > 0, "the agent closed");
            have += n;
            whole = whole_length(&buffer[..have]).unwrap_or(usize::MAX);
        }
        if index > 0 {
            told.send((service, Instant::now())).expect("somebody listens");
        }
        let head = String::from_utf8_lossy(&buffer[..have]);
        let line = head.lines().find(|l| l.to_ascii_lowercase().starts_with("x-consul-index:"));
        index = line.and_then(|l| l.split(':').nth(1)?.trim().parse().ok()).expect("reads have an index");
    }
}

async fn blocked_queries(pid: u32, socket: PathBuf, blocked: usize) {
    let before = resident_kb(pid);
    let ready = Arc::new(AtomicUsize::new(0));
    let (told, mut tell) = tokio::sync::mpsc::unbounded_channel();
    for n in 0..blocked {
        tokio::spawn(wait_for(socket.clone(), n % SERVICES, Arc::clone(&ready), told.clone()));
        // As tools come in the life of an agent: not all in one moment, which would show what ten thousand
        // busy connections once took and not what waiting ones take.
        if n % 20 == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    while ready.load(Ordering::Relaxed) < blocked {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    let each = (resident_kb(pid) - before) as f64 / blocked as f64;
    let (mut times, mut strangers) = (Vec::new(), 0);
    let crowd = blocked / SERVICES;
    for round in 0..200 {
        let service = round * 37 % SERVICES;
        let (path, name) = (socket.clone(), format!("s{service}"));
        let start = Instant::now();
        let registered =
            tokio::task::spawn_blocking(move || register(&path, &name, &format!("{name}-1"), 1_000 + round));
        for _ in 0..crowd {
            let next = tokio::time::timeout(Duration::from_secs(5), tell.recv()).await;
            let (of, at) = next.expect("woken within 5 s").expect("readers live");
            strangers += usize::from(of != service);
            times.push(at - start);
        }
        registered.await.expect("no panic");
        tokio::time::sleep(Duration::from_millis(30)).await;
        while let Ok((of, _)) = tell.try_recv() {
            strangers += usize::from(of != service);
        }
    }
    times.sort_unstable();
    println!(
        "{blocked} blocked queries on {SERVICES} services: {each:.1} kB resident each; from the call that changes a \
         service to its waiters' answers p50 {:.2} ms, p99 {:.2} ms; {strangers} others were woken",
        us(quantile(&times, 0.5)) / 1e3,
        us(quantile(&times, 0.99)) / 1e3
    );
}

// ---- etcd

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

fn etcd(dir: &Path, value: &str, seconds: usize) {
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
    let Ok(child) = child else {
        println!("etcd is not installed (Debian: etcd-server): not compared");
        return;
    };
    let _server = Server(child);
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
    one_reader("etcd", stream, query.as_bytes(), seconds);
    let connect = || {
        let stream = TcpStream::connect(client).expect("it listens");
        stream.set_nonblocking(true).and_then(|()| stream.set_nodelay(true)).expect("is set");
        tokio::net::TcpStream::from_std(stream).expect("inside a runtime")
    };
    many_readers("etcd", connect, query.as_bytes(), seconds);
}

fn main() {
    let seconds = number("SECONDS", 5);
    let blocked = number("BLOCKED", 10_000);
    let dir = tempfile::tempdir().expect("a directory");
    let (agent, socket) = start_agent(dir.path());
    for n in 0..INSTANCES {
        register(&socket, "web", &format!("web-{n}"), 8_000 + n);
    }
    let answer = call(&socket, QUERY);
    println!("one answer has {INSTANCES} instances and {} bytes, head included", answer.len());
    let stream = UnixStream::connect(&socket).expect("the agent listens");
    one_reader("shoal", stream, QUERY.as_bytes(), seconds);
    let connect = || {
        let stream = UnixStream::connect(&socket).expect("the agent listens");
        stream.set_nonblocking(true).expect("is set");
        tokio::net::UnixStream::from_std(stream).expect("inside a runtime")
    };
    many_readers("shoal", connect, QUERY.as_bytes(), seconds);

    for n in 0..SERVICES {
        register(&socket, &format!("s{n}"), &format!("s{n}-0"), 9_000);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("builds");
    runtime.block_on(blocked_queries(agent.0.id(), socket, blocked));
    runtime.shutdown_background();
    drop(agent);
    // An instance as the agent tells it, so that as much is read.
    etcd(dir.path(), &answer[answer.len() - (answer.len() - 400) / INSTANCES..], seconds);
}
