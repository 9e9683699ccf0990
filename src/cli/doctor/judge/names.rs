//! Names and identifiers that two nodes claim.

use super::super::finding::{Finding, Report, Severity};
use super::{Facts, show_span, times};
use std::collections::BTreeMap;

/// Who tried longer ago has given up.
const RECENT_MS: u64 = 600_000;

pub(super) fn judge(facts: &Facts, report: &mut Report) {
    let before = report.findings.len();
    let strangers = facts.examination.strangers.iter();
    for rival in strangers.filter(|s| s.why == "name_taken" && s.ago_ms < RECENT_MS) {
        let name = rival.name.clone().unwrap_or_default();
        let holder = facts.members.iter().find(|m| m.name.eq_ignore_ascii_case(&name));
        // Who moved to another address asks for its own name, and has it by now.
        let Some(holder) = holder.filter(|m| m.status.is_live() && m.address != rival.address) else {
            continue;
        };
        report.add(
            Finding::new("name_taken", Severity::Warning, &name)
                .seen(format!(
                    "a node at {} wants the name {name:?}, which the one at {} has; asked {}, last {} ago",
                    rival.address,
                    holder.address,
                    times(rival.count),
                    show_span(rival.ago_ms)
                ))
                .means("two hosts have one node name (often a cloned host): the second one is not let in and ends")
                .remedy(format!("on the host at {} start the agent with --node NAME, another name", rival.address)),
        );
    }
    let mut by_id: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for member in facts.members.iter().filter(|m| m.status.is_live() && !m.id.is_empty()) {
        by_id.entry(&member.id).or_default().push(&member.name);
    }
    for (id, names) in by_id.into_iter().filter(|(_, names)| names.len() > 1) {
        report.add(
            Finding::new("identifier_clash", Severity::Warning, names.join(", "))
                .seen(format!("{} have the node identifier {id}", names.join(" and ")))
                .means("a data directory was copied from one host to another: tools that go by identifiers mix them up")
                .remedy(
                    "on all of them but one: stop the agent, move its data directory away, start it, and register \
                     what runs there",
                ),
        );
    }
    let live = facts.members.iter().filter(|m| m.status.is_live()).count();
    report.pass_since(before, "names", format!("{live} names and identifiers, each of one node"));
}

#[cfg(test)]
mod tests {
    use super::super::testing::{found, names};
    use super::*;
    use crate::model::StrangerFacts;

    fn rival(address: &'static str, ago_ms: u64) -> impl FnOnce(&mut Facts) {
        move |facts| {
            let name = Some("n2".to_owned());
            let (address, why) = (address.to_owned(), "name_taken".to_owned());
            facts.examination.strangers.push(StrangerFacts { address, why, name, count: 2, ago_ms });
        }
    }

    #[test]
    fn a_second_node_of_a_name_is_named_with_the_first() {
        let taken = &found(judge, rival("10.0.0.9:7946", 1_000))[0];
        assert!(
            taken.seen.contains("10.0.0.9:7946") && taken.seen.contains("10.0.0.2:7946"),
            "{}",
            taken.seen
        );
        assert!(taken.remedy.contains("10.0.0.9:7946"));
        assert!(names(judge, rival("10.0.0.2:7946", 1_000)).is_empty(), "it has moved");
        assert!(names(judge, rival("10.0.0.9:7946", 3_600_000)).is_empty(), "it has given up");
    }

    #[test]
    fn copied_data_directories_are_seen_by_their_identifiers() {
        let clash = found(judge, |facts| facts.members[2].id = "id-2".to_owned());
        assert_eq!((clash[0].name, clash[0].about.as_str()), ("identifier_clash", "n2, n3"));
    }
}
