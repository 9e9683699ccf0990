//! From addresses back to names.
//!
//! Made from a view by looking at all of it, which takes a while in a large cluster: who asks by
//! address decides when. What it says is compared with the present view before it is told.

use super::endpoints::{Name, node_labels};
use super::name;
use crate::view::{Folded, Instance, View};
use std::net::IpAddr;
use std::sync::Arc;

/// The label after a service's name.
const SERVICE: &[u8] = b"\x07service";

/// Nodes and instances by address.
#[derive(Debug, Default)]
pub struct Reverse {
    index: u64,
    nodes: Vec<(IpAddr, Folded)>,
    instances: Vec<(IpAddr, Arc<Instance>)>,
}

impl Reverse {
    /// All addresses of `view`.
    pub fn new(view: &View) -> Self {
        let mut nodes = Vec::with_capacity(view.node_count());
        let mut instances = Vec::new();
        for node in view.nodes() {
            nodes.push((node.record.addr.ip(), crate::view::fold(node.record.name.as_str())));
            for instance in node.instances.values() {
                if let Ok(ip) = instance.record.read().address.parse() {
                    instances.push((ip, Arc::clone(instance)));
                }
            }
        }
        // Stable: of several with one address the first by name stays the first.
        nodes.sort_by_key(|(ip, _)| *ip);
        instances.sort_by_key(|(ip, _)| *ip);
        Self { index: view.catalog_index(), nodes, instances }
    }

    /// Whether it says what `view` says.
    pub fn is_of(&self, view: &View) -> bool {
        self.index == view.catalog_index()
    }

    /// The name for an address: of the node that has it, else of the service of which an instance
    /// does.
    pub(super) fn name_of(&self, view: &View, ip: IpAddr) -> Option<Name> {
        let from = self.nodes.partition_point(|(at, _)| *at < ip);
        let nodes = self.nodes[from..].iter().take_while(|(at, _)| *at == ip);
        let still = |name: &Folded| view.node(name).filter(|node| node.record.addr.ip() == ip);
        let node = nodes.filter_map(|(_, name)| still(name)).next();
        if let Some(labels) = node.and_then(|node| node_labels(node.record.name.as_str())) {
            return Some(Name::InDatacenter(labels));
        }
        let from = self.instances.partition_point(|(at, _)| *at < ip);
        let instances = self.instances[from..].iter().take_while(|(at, _)| *at == ip);
        instances.filter_map(|(_, instance)| service_labels(view, instance, ip)).next()
    }
}

fn service_labels(view: &View, instance: &Instance, ip: IpAddr) -> Option<Name> {
    let present = view.node(&instance.node)?.instances.get(instance.record.id())?;
    let record = present.record.read();
    if record.address.parse() != Ok(ip) {
        return None;
    }
    let mut labels = Vec::new();
    name::push_labels(&mut labels, record.name)?;
    labels.extend_from_slice(SERVICE);
    // As long as a node's part of a name may be.
    (labels.len() <= super::endpoints::NODE_BYTES_MAX).then(|| Name::InDatacenter(labels.into_boxed_slice()))
}
