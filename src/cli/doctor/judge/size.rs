//! Whether datagrams of the largest size get through.

use super::super::finding::{Finding, Report, Severity};
use super::{Facts, count};

/// Headers of IPv4 and UDP, which `ping` has none of.
const HEADERS: u64 = 28;

pub(super) fn judge(facts: &Facts, report: &mut Report) {
    let before = report.findings.len();
    let e = &facts.examination;
    let max = e.socket.datagram_max;
    let reached = || e.links.iter().filter(|link| link.small.rtt_us.is_some());
    for link in reached().filter(|link| link.large.rtt_us.is_none()) {
        let (name, about, way) = match link.large.arrived {
            Some(false) => ("large_lost_there", format!("{} -> {}", e.node, link.node), "on the way there"),
            Some(true) => ("large_lost_back", format!("{} -> {}", link.node, e.node), "on the way back"),
            None => ("large_lost", format!("{} <-> {}", e.node, link.node), "on the way there or back"),
        };
        let ip = link.address.rsplit_once(':').map_or(link.address.as_str(), |(ip, _)| ip);
        report.add(
            Finding::new(name, Severity::Critical, about)
                .seen(format!(
                    "small datagrams are answered, three of {max} bytes were not: they get lost {way} ({})",
                    link.address
                ))
                .means(
                    "something in between carries smaller packets only (a tunnel or an overlay network) and drops \
                     fragments: members look alive, but records and repairs do not arrive",
                )
                .remedy(format!(
                    "find the size: `ping -M do -s {} {ip}` and smaller; then raise the MTU there, or set \
                     max_datagram_bytes on all hosts to what gets through less {HEADERS} (at least 1200)",
                    max.saturating_sub(8)
                )),
        );
    }
    let seen = match reached().count() {
        0 => "nobody to try it with".to_owned(),
        n => format!("datagrams of {max} bytes get through to {} and back", count(n, "member")),
    };
    report.pass_since(before, "size", seen);
}

#[cfg(test)]
mod tests {
    use super::super::testing::{found, names};
    use super::*;
    use crate::model::TripFacts;

    fn narrow(arrived: Option<bool>) -> impl FnOnce(&mut Facts) {
        move |facts| facts.examination.links[1].large = TripFacts { rtt_us: None, arrived }
    }

    #[test]
    fn the_direction_is_named_as_far_as_it_is_known() {
        let there = &found(judge, narrow(Some(false)))[0];
        assert_eq!((there.name, there.about.as_str()), ("large_lost_there", "n1 -> n3"));
        assert!(there.remedy.contains("`ping -M do -s 1392 10.0.0.3`") && there.seen.contains("1400 bytes"));
        assert_eq!(found(judge, narrow(Some(true)))[0].about, "n3 -> n1");
        assert_eq!(names(judge, narrow(None)), ["large_lost"]);
    }

    #[test]
    fn where_nothing_gets_through_size_is_not_the_question() {
        let dead = |facts: &mut Facts| {
            facts.examination.links[0].small = TripFacts::default();
            facts.examination.links[0].large = TripFacts::default();
        };
        assert!(names(judge, dead).is_empty());
    }
}
