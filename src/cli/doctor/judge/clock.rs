//! Wall clocks. The protocol lives by another; people who compare logs do not.

use super::super::finding::{Finding, Report, Severity};
use super::{Facts, show_span, times};

/// Clocks that are kept in step are within a fraction of this.
const SKEW_MS: u64 = 2_000;
/// A clock that was set longer ago than this is history.
const RECENT_MS: u64 = 3_600_000;

const MEANS: &str = "membership and records do not depend on it, but times in logs and events cannot be compared, and \
    certificates may be taken for invalid";
const REMEDY: &str =
    "keep it in step: `timedatectl set-ntp true`, then `timedatectl timesync-status` or `chronyc tracking`";

pub(super) fn judge(facts: &Facts, report: &mut Report) {
    let before = report.findings.len();
    let e = &facts.examination;
    let skews: Vec<(&str, i64)> =
        e.links.iter().filter_map(|link| Some((link.node.as_str(), link.skew_ms?))).collect();
    let off = |skew: i64| skew.unsigned_abs() >= SKEW_MS;
    let wrong: Vec<&(&str, i64)> = skews.iter().filter(|(_, skew)| off(*skew)).collect();
    // Where most differ from this host alike, it is this host that is wrong.
    if wrong.len() >= 2 && wrong.len() * 2 > skews.len() {
        let typical = median(wrong.iter().map(|(_, skew)| *skew).collect());
        report.add(
            Finding::new("clock_skew", Severity::Warning, &e.node)
                .seen(format!(
                    "{} of {} members: {}",
                    wrong.len(),
                    skews.len(),
                    ahead(typical, "their clocks")
                ))
                .means(MEANS)
                .remedy(format!("on this host {REMEDY}")),
        );
    } else {
        for (node, skew) in wrong {
            report.add(
                Finding::new("clock_skew", Severity::Warning, *node)
                    .seen(ahead(*skew, "its clock"))
                    .means(MEANS)
                    .remedy(format!("on {node} {REMEDY}")),
            );
        }
    }
    let process = &e.process;
    if let Some(ago) = process.clock_jump_ago_ms.filter(|_| process.clock_jumps > 0) {
        let severity = if ago < RECENT_MS { Severity::Warning } else { Severity::Note };
        let way = if process.clock_jump_ms < 0 { "back" } else { "ahead" };
        report.add(
            Finding::new("clock_jumped", severity, &e.node)
                .seen(format!(
                    "set {} while the agent ran, the last time {} {way}, {} ago",
                    times(process.clock_jumps),
                    show_span(process.clock_jump_ms.unsigned_abs()),
                    show_span(ago)
                ))
                .means("somebody or something sets the clock in steps instead of keeping it in step")
                .remedy(format!("on this host {REMEDY}")),
        );
    }
    let most = skews.iter().map(|(_, skew)| skew.unsigned_abs()).max();
    let seen = most.map_or("no member told its clock".to_owned(), |most| {
        format!("wall clocks of {} members are within {}", skews.len(), show_span(most))
    });
    report.pass_since(before, "clock", seen);
}

fn median(mut values: Vec<i64>) -> i64 {
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or(0)
}

fn ahead(skew: i64, whose: &str) -> String {
    let by = show_span(skew.unsigned_abs());
    let verb = if whose.starts_with("their") { "are" } else { "is" };
    format!("{whose} {verb} {by} {} this host's", if skew < 0 { "behind" } else { "ahead of" })
}

#[cfg(test)]
mod tests {
    use super::super::testing::{found, link};
    use super::*;

    fn skewed(skews: &'static [i64]) -> impl FnOnce(&mut Facts) {
        move |facts| {
            let links =
                (2..).zip(skews).map(|(n, skew)| crate::model::LinkFacts { skew_ms: Some(*skew), ..link(n) });
            facts.examination.links = links.collect();
        }
    }

    #[test]
    fn one_that_is_off_is_named_and_where_most_are_it_is_this_host() {
        let one = found(judge, skewed(&[5, -90_000, 12, 3]));
        assert_eq!((one.len(), one[0].about.as_str()), (1, "n3"));
        assert_eq!(one[0].seen, "its clock is 1m30s behind this host's");
        let most = found(judge, skewed(&[30_000, 30_010, 5]));
        assert_eq!((most.len(), most[0].about.as_str()), (1, "n1"));
        assert!(most[0].seen.starts_with("2 of 3 members: their clocks are 30s ahead"), "{}", most[0].seen);
        assert!(found(judge, skewed(&[1_900, -1_900])).is_empty());
        // Of two, either may be wrong: what is seen is said.
        assert_eq!(found(judge, skewed(&[60_000]))[0].about, "n2");
    }

    #[test]
    fn a_clock_that_was_set_is_a_warning_for_an_hour() {
        let set = |ago| {
            move |facts: &mut Facts| {
                let process = &mut facts.examination.process;
                (process.clock_jumps, process.clock_jump_ms, process.clock_jump_ago_ms) =
                    (2, -3_000, Some(ago));
            }
        };
        let recent = found(judge, set(60_000));
        assert_eq!((recent[0].name, recent[0].severity), ("clock_jumped", Severity::Warning));
        assert!(recent[0].seen.contains("3s back, 1m0s ago"), "{}", recent[0].seen);
        assert_eq!(found(judge, set(7_200_000))[0].severity, Severity::Note);
    }
}
