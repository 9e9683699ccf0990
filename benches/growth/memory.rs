//! One agent that knows many members, and what it keeps for them.

use crate::in_use;
use crate::owners::{Observer, Owner};

/// Instances on each member, in the second figure.
const INSTANCES: usize = 10;

/// What is kept, in bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Memory {
    pub(crate) members: usize,
    pub(crate) for_member: f64,
    pub(crate) instances: usize,
    pub(crate) for_instance: f64,
}

impl Memory {
    pub(crate) fn row(&self) -> String {
        let Self { members, for_member, instances, for_instance } = self;
        format!("| {members} | {for_member:.0} | {instances} | {for_instance:.0} |")
    }
}

/// What an agent keeps that knows so many members with `instances` each: protocol and view.
fn kept(members: usize, instances: usize) -> f64 {
    let before = in_use();
    let mut observer = Observer::new();
    for number in 0..members {
        let mut owner = Owner::new(number, instances, 100);
        observer.meet(&mut owner);
        observer.show(owner.key);
    }
    let after = in_use();
    drop(observer);
    after - before
}

pub(crate) fn measure(members: usize) -> Memory {
    // What is made once and kept for ever is made by then.
    kept(1, 1);
    let bare = kept(members, 0);
    let instances = members * INSTANCES;
    let for_instance = (kept(members, INSTANCES) - bare) / instances as f64;
    Memory { members, for_member: bare / members as f64, instances, for_instance }
}
