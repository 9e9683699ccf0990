//! Ten thousand queries that wait.

use crate::client::{quantile, register, us, whole_length};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

pub(crate) const SERVICES: usize = 1_000;

fn resident_kb(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the process lives");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("Linux tells it");
    line.split_whitespace().nth(1).and_then(|kb| kb.parse().ok()).expect("a number of kB")
}

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

pub(crate) async fn blocked_queries(pid: u32, socket: PathBuf, blocked: usize) {
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
