//! A member that hears what the cluster says, and keeps it.
//!
//! It is a real one, with the cluster's key, on a socket of this process: what it was sent and what it
//! sent is what somebody on the network could have recorded of it.

use shoal::core::{Agent, Config, Event, Identity, Keyring, Settings};
use shoal::model::{Generation, Instant as Moment, KeyMaterial, LocalState, NodeId, NodeName};
use std::collections::BTreeMap;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

/// Its name, which no agent has.
pub(crate) const NAME: &str = "ear";
/// What it keeps.
const HEARD_MAX: usize = 50_000;

fn member(addr: SocketAddr, via: SocketAddr, settings: Settings, key: Option<&KeyMaterial>) -> Agent {
    let unix_ms = SystemTime::UNIX_EPOCH.elapsed().expect("after 1970").as_millis();
    let identity = Identity {
        cluster: "shoal".to_owned(),
        name: NodeName::new(NAME).expect("is a name"),
        id: NodeId::from_random(7),
        addr,
        generation: Generation::for_new_run(None, u64::try_from(unix_ms).expect("fits")),
        tags: BTreeMap::new(),
    };
    let config = Config::new(settings).expect("is valid");
    let (local, now) = (LocalState::default(), Moment::START);
    match key.and_then(|key| Keyring::new(std::slice::from_ref(key))) {
        Some(ring) => Agent::sealed(identity, config, local, vec![via], (ring, rand::random()), 7, now),
        None => Agent::new(identity, config, local, vec![via], 7, now),
    }
}

/// Is a member until told to stop, leaves, and gives what it was told and told others.
pub(crate) fn listen(
    via: SocketAddr,
    settings: Settings,
    key: Option<&KeyMaterial>,
    stop: &AtomicBool,
) -> Vec<Vec<u8>> {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("binds");
    socket.set_read_timeout(Some(Duration::from_millis(2))).expect("is set");
    let started = Instant::now();
    let now = || Moment::START + started.elapsed();
    let mut agent = member(socket.local_addr().expect("is bound"), via, settings, key);
    let (mut heard, mut buffer) = (Vec::new(), [0; 65_536]);
    let mut keep = |bytes: &[u8]| {
        if heard.len() < HEARD_MAX {
            heard.push(bytes.to_vec());
        }
    };
    let mut gone = false;
    while !gone {
        if stop.load(Ordering::Relaxed) {
            agent.leave(now());
        }
        if let Ok((length, from)) = socket.recv_from(&mut buffer) {
            keep(&buffer[..length]);
            agent.handle_datagram(from, &buffer[..length], now());
        }
        if agent.poll_timeout().is_some_and(|(at, _)| at <= now()) {
            agent.handle_timeout(now());
        }
        while let Some(out) = agent.poll_datagram() {
            keep(&out.bytes);
            socket.send_to(&out.bytes, out.to).ok();
        }
        while let Some(event) = agent.poll_event() {
            gone |= matches!(event, Event::Left { .. });
        }
    }
    heard
}
