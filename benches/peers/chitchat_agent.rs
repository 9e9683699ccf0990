//! An agent made of the library Chitchat: this program, started again with other arguments.
//!
//! It gossips once a second with three others, which is what its makers run it with, in the version of
//! its messages that is smaller, and has their failure detector with its defaults. What it comes to
//! believe it prints, a line each: `alive n7`, `failed n7`, `changed n7`. A line to its control port
//! sets its key.

use crate::beliefs::Status;
use crate::system::{Seat, Subject};
use chitchat::transport::UdpTransport;
use chitchat::{
    ChitchatConfig, ChitchatHandle, ChitchatId, FailureDetectorConfig, ProtocolVersion, spawn_chitchat,
};
use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;

/// The version in `Cargo.toml`.
pub(crate) const VERSION: &str = "chitchat 0.13";
/// As the first argument it makes this program an agent.
pub(crate) const AGENT: &str = "chitchat-agent";
const KEY: &str = "spread";

pub(crate) fn flags(command: &mut Command, seat: &Seat, other: Option<&Seat>) {
    command.args([AGENT.to_owned(), format!("n{}", seat.number), seat.address(), seat.rpc_address()]);
    command.args(other.map(Seat::address));
}

/// What a line that an agent printed says.
pub(crate) fn read_line(line: &str) -> Option<(Subject, Status)> {
    let (told, name) = line.split_once(' ')?;
    let status = match told {
        "alive" => Status::Alive,
        "failed" => Status::Failed,
        "changed" => Status::Changed,
        _ => return None,
    };
    Some((Subject::Number(name.strip_prefix('n')?.parse().ok()?), status))
}

/// Sets the key of the agent at `seat`, and returns when it is set there.
pub(crate) fn change(seat: &Seat, number: usize) {
    let mut control = TcpStream::connect(seat.rpc_address()).expect("the agent listens");
    control.write_all(format!("{number}\n").as_bytes()).expect("the agent listens");
    control.read_exact(&mut [0]).expect("the agent answers");
}

/// Runs an agent, if this process was started to be one; then it does not return.
pub(crate) fn run_if_asked() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_none_or(|first| first != AGENT) {
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(run(&arguments[1..]));
}

async fn run(arguments: &[String]) {
    let [name, gossip, control, seeds @ ..] = arguments else { panic!("want NAME GOSSIP CONTROL [SEED]") };
    let address: SocketAddr = gossip.parse().expect("an address");
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970");
    let config = ChitchatConfig {
        chitchat_id: ChitchatId::new(name.clone(), since_epoch.as_secs(), address),
        cluster_id: "peers".to_owned(),
        gossip_interval: Duration::from_secs(1),
        listen_addr: address,
        seed_nodes: seeds.to_vec(),
        failure_detector_config: FailureDetectorConfig::default(),
        marked_for_deletion_grace_period: Duration::from_secs(3_600),
        catchup_callback: None,
        extra_liveness_predicate: None,
        protocol_version: ProtocolVersion::V1,
    };
    let agent = spawn_chitchat(config, Vec::new(), &UdpTransport).await.expect("the agent starts");
    let listener = TcpListener::bind(control).await.expect("the control port is free");
    tell_changes(&agent).await;
    tokio::select! {
        () = tell_members(&agent) => (),
        () = obey(&agent, listener) => (),
    }
}

async fn tell_changes(agent: &ChitchatHandle) {
    let own = agent.chitchat_id().node_id.to_string();
    let tell = move |event: chitchat::KeyChangeEvent<'_>| {
        if *event.node.node_id != *own {
            println!("changed {}", event.node.node_id);
        }
    };
    agent.with_chitchat(|state| state.subscribe_event(KEY, tell.clone()).forever()).await;
}

/// Who comes and goes among the living.
async fn tell_members(agent: &ChitchatHandle) {
    let mut living = agent.with_chitchat(|state| state.live_nodes_watcher()).await;
    let mut before = BTreeSet::new();
    loop {
        let now: BTreeSet<String> =
            living.borrow_and_update().keys().map(|id| id.node_id.to_string()).collect();
        now.difference(&before).for_each(|name| println!("alive {name}"));
        before.difference(&now).for_each(|name| println!("failed {name}"));
        before = now;
        if living.changed().await.is_err() {
            return;
        }
    }
}

/// One line of the control port after the other.
async fn obey(agent: &ChitchatHandle, listener: TcpListener) {
    let own = agent.chitchat_id().node_id.to_string();
    loop {
        let Ok((stream, _)) = listener.accept().await else { return };
        let mut stream = BufReader::new(stream);
        let mut line = String::new();
        if stream.read_line(&mut line).await.is_ok_and(|n| n > 0) {
            agent.with_chitchat(|state| state.self_node_state().set(KEY, line.trim())).await;
            println!("changed {own}");
            stream.write_all(b"k").await.ok();
        }
    }
}
