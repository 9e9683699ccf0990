//! Many checks on one agent: what they cost and how punctual they are.

use super::process::{Line, cpu, quantile, resident_mb};
use super::support::Place;
use serde_json::json;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

const INTERVAL: Duration = Duration::from_secs(10);

/// When each check was last answered, and how late each request but the first was.
#[derive(Default)]
struct Arrivals {
    answered: HashMap<String, Instant>,
    late_ms: Vec<f64>,
}

async fn serve(listener: TcpListener, arrivals: Arc<Mutex<Arrivals>>) {
    while let Ok((mut stream, _)) = listener.accept().await {
        let came = Instant::now();
        let arrivals = Arc::clone(&arrivals);
        tokio::spawn(async move {
            let mut head = [0; 1_024];
            let read = stream.read(&mut head).await.unwrap_or(0);
            let path = String::from_utf8_lossy(&head[..read]).split(' ').nth(1).unwrap_or("").to_owned();
            let _ =
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await;
            let mut arrivals = arrivals.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(last) = arrivals.answered.insert(path, Instant::now()) {
                let late = came.saturating_duration_since(last).saturating_sub(INTERVAL);
                arrivals.late_ms.push(late.as_secs_f64() * 1e3);
            }
        });
    }
}

pub(crate) fn measure(runtime: &Runtime, checks: u64, seconds: u64) {
    let arrivals = Arc::new(Mutex::new(Arrivals::default()));
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a free port");
    let addr = listener.local_addr().expect("is bound");
    runtime.spawn(serve(listener, Arc::clone(&arrivals)));
    let place = Place::new();
    let agent = place.start("one", &[]);
    let pid = agent.pid().as_raw();
    let before = resident_mb(pid);
    let mut line = Line::open(agent.socket());
    for n in 0..checks {
        let check = json!({"HTTP": format!("http://{addr}/{n}"), "Interval": "10s", "Timeout": "1s"});
        let body = json!({"Name": "web", "ID": format!("web-{n}"), "Check": check}).to_string();
        assert_eq!(line.put("/v1/agent/service/register", &body), 200);
    }
    // Each has run once, and the registrations are over and done with.
    std::thread::sleep(INTERVAL + Duration::from_secs(2));
    arrivals.lock().unwrap_or_else(PoisonError::into_inner).late_ms.clear();
    let (start, spent) = (Instant::now(), cpu(pid));
    std::thread::sleep(Duration::from_secs(seconds));
    let share = (cpu(pid) - spent).as_secs_f64() / start.elapsed().as_secs_f64() * 100.0;
    let mut late = std::mem::take(&mut arrivals.lock().unwrap_or_else(PoisonError::into_inner).late_ms);
    late.sort_by(f64::total_cmp);
    println!("{checks} HTTP checks every 10 s, {seconds} s: {} runs", late.len());
    println!("- processor: {share:.2} % of a core");
    println!("- memory: {:.1} MB resident, {before:.1} MB without checks", resident_mb(pid));
    let at = |share| quantile(&late, share);
    println!("- late: median {:.1} ms, p99 {:.1} ms, most {:.1} ms\n", at(0.5), at(0.99), at(1.0));
}
