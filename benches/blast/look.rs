//! What agents believe of each other, and what they count.

use crate::ear;
use crate::support::Agent;
use std::collections::BTreeMap;

/// What one agent says of one member: status, generation and incarnation.
pub(crate) type Belief = (String, u64, u64);
/// What each agent says of each member.
pub(crate) type Beliefs = Vec<BTreeMap<String, Belief>>;

/// The ear is left out.
pub(crate) fn beliefs(agents: &[Agent]) -> Beliefs {
    let of = |agent: &Agent| {
        let members = agent.get("/v1/shoal/members").json();
        let text = |m: &serde_json::Value, key: &str| m[key].as_str().unwrap_or_default().to_owned();
        let number = |m: &serde_json::Value, key: &str| m[key].as_u64().unwrap_or_default();
        let list = members.as_array().into_iter().flatten();
        let each = list.map(|m| {
            (text(m, "name"), (text(m, "status"), number(m, "generation"), number(m, "incarnation")))
        });
        each.filter(|(name, _)| name != ear::NAME).collect()
    };
    agents.iter().map(of).collect()
}

pub(crate) fn all_alive(beliefs: &Beliefs) -> bool {
    beliefs.iter().all(|b| b.len() == beliefs.len() && b.values().all(|(status, ..)| status == "alive"))
}

/// Members that an agent takes for anything but alive, and such that it takes for an earlier self than
/// before; also whoever is missing or made up.
pub(crate) fn wrong(before: &Beliefs, now: &Beliefs) -> usize {
    let compare = |(before, now): (&BTreeMap<String, Belief>, &BTreeMap<String, Belief>)| {
        let names = before.keys().chain(now.keys().filter(|name| !before.contains_key(*name)));
        let bad = names.filter(|name| match (before.get(*name), now.get(*name)) {
            (Some(then), Some(now)) => now.0 != "alive" || (now.1, now.2) < (then.1, then.2),
            _ => true,
        });
        bad.count()
    };
    before.iter().zip(now).map(compare).sum()
}

/// An agent's counters of that sort, as its API tells them.
pub(crate) fn counters(agent: &Agent, wanted: impl Fn(&str) -> bool) -> BTreeMap<String, f64> {
    let metrics = agent.get("/metrics").body;
    let lines = metrics.lines().filter(|l| !l.starts_with('#')).filter_map(|l| l.rsplit_once(' '));
    lines.filter(|(n, _)| wanted(n)).map(|(n, v)| (n.to_owned(), v.parse().unwrap_or(0.0))).collect()
}
