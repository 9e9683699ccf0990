//! Agents inside the process of a test.

#![allow(dead_code, reason = "each test target uses its own part")]

use shoal::agent::{AgentArgs, AgentConfig, ApiParts, Interference, Running, Shell, Wiring};
use shoal::api::{Api, Context, Limits, StaticInfo};
use std::path::Path;
use std::sync::Arc;
use tokio::runtime::Handle;

/// Starts an agent whose socket is `NODE.sock` in `dir`, and which joins through `join`.
pub(crate) fn start(
    dir: &Path,
    node: &str,
    join: &[String],
    runtime: &Handle,
    interference: Option<Arc<dyn Interference>>,
) -> Running {
    let args = AgentArgs {
        node: Some(node.to_owned()),
        bind: Some("127.0.0.1:0".to_owned()),
        profile: Some("local".to_owned()),
        socket: Some(dir.join(format!("{node}.sock"))),
        join: join.to_vec(),
        no_persist: true,
        ..AgentArgs::default()
    };
    let config = AgentConfig::load(&args).expect("is valid");
    Shell::start(config, Wiring { runtime, api, log: None, interference }).expect("starts")
}

fn api(parts: ApiParts) -> Api {
    let info = StaticInfo {
        node: parts.node,
        node_id: parts.node_id,
        datacenter: parts.cluster,
        agent_version: env!("CARGO_PKG_VERSION").to_owned(),
        started_unix_ms: parts.started_unix_ms,
        limits: Limits::default(),
        config: parts.config,
        script_checks: false,
        settings: serde_json::Value::Null,
    };
    Api::new(Context {
        view: parts.view,
        requests: parts.requests,
        info,
        more_metrics: Default::default(),
        logs: parts.logs,
        access: parts.access,
    })
}
