//! Whether members are reached, and reach this host.

use super::super::finding::{Finding, Report, Severity};
use super::{Facts, count, show_ms, show_span};
use crate::model::LinkFacts;

/// An agent hears somebody every second or so.
const SILENCE_MS: u64 = 15_000;

pub(super) fn judge(facts: &Facts, report: &mut Report) {
    let before = report.findings.len();
    let e = &facts.examination;
    let heard = e.since_heard_ms.map_or("nothing".to_owned(), |ms| format!("the last {} ago", show_span(ms)));
    if e.others > 0 && e.since_heard_ms.is_none_or(|ms| ms > SILENCE_MS) {
        report.add(
            Finding::new("isolated", Severity::Critical, &e.node)
                .seen(format!("{} known, and no datagram of any: {heard}", count(e.others, "other member")))
                .means("this host is cut off: its answers are as old as that, and others hold it for failed")
                .remedy(format!(
                    "look whether the network is up (`ip addr`, `ip route get {}`) and whether a firewall lets UDP \
                     to {} in (`nft list ruleset`)",
                    first_ip(facts),
                    e.bound
                )),
        );
    }
    for link in e.links.iter().filter(|link| link.small.rtt_us.is_none()) {
        report.add(unanswered(facts, link));
    }
    let times: Vec<u64> = e.links.iter().filter_map(|link| link.small.rtt_us).collect();
    let seen = match (times.iter().min(), times.iter().max()) {
        (Some(least), Some(most)) => {
            let (least, most) = (show_ms(*least), show_ms(*most));
            format!("{} of {} answered, in {least} to {most}", times.len(), count(e.links.len(), "member"))
        }
        _ if e.others == 0 => "this node is alone: no other member is known".to_owned(),
        _ => "nobody was asked".to_owned(),
    };
    report.pass_since(before, "reach", seen);
}

/// An address to try.
fn first_ip(facts: &Facts) -> String {
    let other = facts.members.iter().find(|member| member.name != facts.examination.node);
    other.map_or_else(|| "ADDRESS".to_owned(), |member| split(&member.address).0)
}

/// IP address and port.
fn split(address: &str) -> (String, String) {
    let (ip, port) = address.rsplit_once(':').unwrap_or((address, "7946"));
    (ip.trim_matches(['[', ']']).to_owned(), port.to_owned())
}

fn unanswered(facts: &Facts, link: &LinkFacts) -> Finding {
    let own = &facts.examination.node;
    let (ip, port) = split(&link.address);
    let (own_ip, own_port) = split(&facts.examination.advertised);
    let asked = format!("six datagrams to {} at {}, none answered", link.node, link.address);
    let allow = |from: &str, port: &str| {
        format!(
            "`nft add rule inet filter input ip saddr {from} udp dport {port} accept`, and the like in between"
        )
    };
    match (link.small.arrived, link.status.as_str()) {
        (Some(false), _) => Finding::new("link_broken_there", Severity::Critical, format!("{own} -> {}", link.node))
            .seen(format!("{asked}; {} says, through others, that none arrived", link.node))
            .means(format!("datagrams from this host to {} get lost: a link that works in one direction at most", link.node))
            .remedy(format!("on {} let UDP in: {}", link.node, allow(&own_ip, &port))),
        (Some(true), _) => Finding::new("link_broken_back", Severity::Critical, format!("{} -> {own}", link.node))
            .seen(format!("{asked}; {} says, through others, that they arrived", link.node))
            .means(format!("datagrams from {} to this host get lost: the link works in one direction", link.node))
            .remedy(format!("on this host let UDP in: {}", allow(&ip, &own_port))),
        (None, "failed") => Finding::new("member_failed", Severity::Warning, &link.node)
            .seen(format!("{asked}, and nobody else hears of it"))
            .means("its agent or its host is down, or cut off from everybody")
            .remedy(format!(
                "on that host: `systemctl status shoal`; if it does not come back: `shoal force-leave {}`",
                link.node
            )),
        (None, status) => Finding::new("member_silent", Severity::Warning, &link.node)
            .seen(format!("{asked}; held for {status}, and others could not say whether they arrived"))
            .means("it may have failed a moment ago, or stand still, or run a version that knows no examinations")
            .remedy(format!("again in ten seconds: `shoal doctor --node {}`", link.node)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{found, names};
    use super::*;
    use crate::model::TripFacts;

    fn silent(arrived: Option<bool>, status: &'static str) -> impl FnOnce(&mut Facts) {
        move |facts| {
            let link = &mut facts.examination.links[0];
            link.small = TripFacts { rtt_us: None, arrived };
            link.status = status.to_owned();
        }
    }

    #[test]
    fn the_direction_that_is_broken_is_named_with_what_to_open_where() {
        let there = &found(judge, silent(Some(false), "alive"))[0];
        assert_eq!((there.name, there.about.as_str()), ("link_broken_there", "n1 -> n2"));
        assert!(
            there.remedy.starts_with("on n2 let UDP in")
                && there.remedy.contains("saddr 10.0.0.1 udp dport 7946")
        );
        let back = &found(judge, silent(Some(true), "failed"))[0];
        assert_eq!((back.name, back.about.as_str()), ("link_broken_back", "n2 -> n1"));
        assert!(back.remedy.contains("saddr 10.0.0.2"), "{}", back.remedy);
    }

    #[test]
    fn a_member_of_which_nobody_hears_has_failed_or_is_silent() {
        let failed = &found(judge, silent(None, "failed"))[0];
        assert_eq!((failed.name, failed.severity), ("member_failed", Severity::Warning));
        assert!(failed.remedy.contains("shoal force-leave n2"));
        assert_eq!(names(judge, silent(None, "alive")), ["member_silent"]);
    }

    #[test]
    fn who_hears_nobody_is_isolated_and_who_is_alone_is_not() {
        assert_eq!(names(judge, |f| f.examination.since_heard_ms = Some(20_000)), ["isolated"]);
        assert_eq!(names(judge, |f| f.examination.since_heard_ms = None), ["isolated"]);
        let alone = |f: &mut Facts| {
            f.examination.since_heard_ms = None;
            f.examination.others = 0;
            f.examination.links.clear();
        };
        assert!(names(judge, alone).is_empty());
    }
}
