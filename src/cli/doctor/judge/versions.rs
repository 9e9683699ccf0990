//! Which versions of the agent live together.

use super::super::finding::{Finding, Report, Severity};
use super::Facts;
use std::collections::BTreeMap;

/// Names that are listed of one version.
const NAMES_MAX: usize = 5;

pub(super) fn judge(facts: &Facts, report: &mut Report) {
    let before = report.findings.len();
    let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for member in facts.members.iter().filter(|m| m.status.is_live() && !m.version.is_empty()) {
        versions.entry(&member.version).or_default().push(&member.name);
    }
    if versions.len() > 1 {
        let each = versions.iter().map(|(version, names)| {
            let more = if names.len() > NAMES_MAX { ", ..." } else { "" };
            let shown = names.iter().take(NAMES_MAX).copied().collect::<Vec<_>>().join(", ");
            format!("{version}: {} ({shown}{more})", names.len())
        });
        report.add(
            Finding::new("versions_mixed", Severity::Note, &facts.examination.cluster)
                .seen(each.collect::<Vec<_>>().join("; "))
                .means("well for the time of an upgrade; what a later version adds works where all have it")
                .remedy("finish the upgrade"),
        );
    }
    let seen = versions
        .keys()
        .next()
        .map_or("unknown".to_owned(), |version| format!("all live members run {version}"));
    if versions.len() < 2 {
        report.pass_since(before, "versions", seen);
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::found;
    use super::*;

    #[test]
    fn a_mix_is_a_note_with_who_runs_what() {
        let mixed = found(judge, |facts| facts.members[1].version = "0.2.0".to_owned());
        assert_eq!((mixed[0].name, mixed[0].severity), ("versions_mixed", Severity::Note));
        assert_eq!(mixed[0].seen, "0.1.0: 2 (n1, n3); 0.2.0: 1 (n2)");
    }
}
