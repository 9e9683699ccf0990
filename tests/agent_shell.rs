//! Agents inside this process: what a program that embeds them relies on.

#![allow(clippy::disallowed_methods, reason = "real processes live in real time")]

use shoal::agent::{AgentArgs, AgentConfig, ApiParts, Ended, Running, Shell, StartError, Wiring};
use shoal::api::request::{Request, RequestError};
use shoal::api::{Api, Context, Limits, StaticInfo};
use shoal::model::{
    InstanceId, LocalCommand, LocalError, ServiceDefinition, ServiceName, ServiceRecord, Weights,
};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

fn config(dir: &Path, node: &str) -> AgentConfig {
    let args = AgentArgs {
        node: Some(node.to_owned()),
        bind: Some("127.0.0.1:0".to_owned()),
        profile: Some("local".to_owned()),
        socket: Some(dir.join(format!("{node}.sock"))),
        data_dir: Some(dir.join(node)),
        ..AgentArgs::default()
    };
    AgentConfig::load(&args).expect("is valid")
}

fn start(config: AgentConfig) -> Result<Running, StartError> {
    let runtime = &Handle::current();
    Shell::start(config, Wiring { runtime, api, log: None, interference: None })
}

fn api(parts: ApiParts) -> Api {
    let info = StaticInfo {
        node: parts.node,
        node_id: parts.node_id,
        datacenter: parts.cluster,
        agent_version: String::new(),
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

async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), future).await.expect("in time")
}

async fn change(agent: &Running, command: LocalCommand) -> Result<(), RequestError> {
    let (reply, answer) = oneshot::channel();
    agent.requests().send(Request::Local(command, reply)).await.expect("the loop runs");
    within(answer).await.expect("is answered")
}

fn web() -> InstanceId {
    InstanceId::new("web").expect("is valid")
}

fn register_web() -> LocalCommand {
    let service = ServiceRecord {
        id: web(),
        name: ServiceName::new("web").expect("is valid"),
        tags: Vec::new(),
        address: String::new(),
        tagged_addresses: BTreeMap::new(),
        port: 8080,
        socket_path: String::new(),
        meta: BTreeMap::new(),
        weights: Weights::default(),
        enable_tag_override: false,
        extensions: BTreeMap::new(),
    };
    let definition = Box::new(ServiceDefinition { service, checks: Vec::new() });
    LocalCommand::RegisterService { definition, replace_existing_checks: false }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_was_answered_outlives_the_run_and_everything_it_held_is_free_again() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut agent = start(config(dir.path(), "one")).expect("starts");
    assert_ne!(agent.gossip_addr().port(), 0);
    change(&agent, register_web()).await.expect("is durable");
    agent.abort();
    assert_eq!(within(agent.wait()).await, Ended::Aborted);

    let mut again = start(config(dir.path(), "one")).expect("the directory and the socket are free");
    change(&again, LocalCommand::DeregisterService(web())).await.expect("was there");
    let twice = change(&again, LocalCommand::DeregisterService(web())).await;
    assert_eq!(twice, Err(RequestError::Local(LocalError::UnknownService("web".to_owned()))));
    again.stop();
    assert_eq!(within(again.wait()).await, Ended::Left);
    assert_eq!(within(again.wait()).await, Ended::Left, "it stays so");
    assert!(!dir.path().join("one.sock").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn several_agents_live_in_one_process_and_a_dropped_one_ends() {
    let dir = tempfile::tempdir().expect("a directory");
    let one = start(config(dir.path(), "one")).expect("starts");
    let mut two = start(config(dir.path(), "two")).expect("starts");
    assert_ne!(one.gossip_addr(), two.gossip_addr());
    let taken = start(config(dir.path(), "one"));
    assert!(matches!(taken, Err(StartError::DataDir(_))), "{taken:?}");
    drop(one);
    let free = async {
        while start(config(dir.path(), "one")).is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    within(free).await;
    two.stop();
    assert_eq!(within(two.wait()).await, Ended::Left);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_join_that_cannot_work_is_refused_with_the_reason() {
    let dir = tempfile::tempdir().expect("a directory");
    let agent = start(config(dir.path(), "one")).expect("starts");
    let join = async |addr: &str| {
        let (reply, answer) = oneshot::channel();
        agent.requests().send(Request::Join(vec![addr.to_owned()], reply)).await.expect("the loop runs");
        within(answer).await.expect("is answered").expect_err("cannot work").to_string()
    };
    assert_eq!(join("a b").await, "address \"a b\": want HOST[:PORT]");
    assert!(join("no-such-host.invalid").await.starts_with("no-such-host.invalid:7946: "));
    assert!(join(&agent.gossip_addr().to_string()).await.contains("this agent's own"));
}
