//! An agent in the process of a bench.

use clap::Parser;
use shoal::agent::{self, AgentArgs, ApiParts};
use shoal::api::{Api, Context, Limits, MoreMetrics, StaticInfo};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::{Duration, Instant};

#[derive(Parser)]
struct Flags {
    #[command(flatten)]
    agent: AgentArgs,
}

fn router(parts: ApiParts) -> Api {
    let info = StaticInfo {
        node: parts.node,
        node_id: parts.node_id,
        datacenter: parts.cluster,
        agent_version: env!("CARGO_PKG_VERSION").to_owned(),
        started_unix_ms: parts.started_unix_ms,
        limits: Limits::default(),
        script_checks: false,
        settings: serde_json::Value::Null,
        config: parts.config,
    };
    Api::new(Context {
        view: parts.view,
        requests: parts.requests,
        info,
        more_metrics: MoreMetrics::default(),
        logs: parts.logs,
        access: parts.access,
    })
}

/// Starts an agent that keeps nothing, which runs until the process ends; its socket, once it listens, and what
/// answers there.
pub(crate) fn start(dir: &Path, more: &[&str]) -> (PathBuf, Api) {
    let socket = dir.join("agent.sock");
    let flags = ["agent", "--node", "n1", "--bind", "127.0.0.1:0", "--no-persist", "--log-level", "warn"];
    let socket_flag = ["--socket".to_owned(), socket.display().to_string()];
    let all = flags.iter().chain(more).map(|flag| (*flag).to_owned()).chain(socket_flag);
    let args = Flags::parse_from(all).agent;
    let (give, given) = mpsc::channel();
    std::thread::spawn(move || {
        let router = |parts| {
            let api = router(parts);
            // Nobody listens any more if the agent came too late.
            give.send(api.clone()).ok();
            api
        };
        agent::run(&args, router, &mut std::io::sink(), &mut std::io::stderr())
    });
    let deadline = Instant::now() + Duration::from_secs(20);
    while UnixStream::connect(&socket).is_err() {
        assert!(Instant::now() < deadline, "the agent listens within 20 s");
        std::thread::sleep(Duration::from_millis(1));
    }
    (socket, given.recv().expect("the agent made its API"))
}
