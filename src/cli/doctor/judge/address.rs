//! Whether what others are told to send to is where this agent receives.

use super::super::finding::{Finding, Report, Severity};
use super::Facts;
use std::collections::BTreeSet;
use std::net::SocketAddr;

pub(super) fn judge(facts: &Facts, report: &mut Report) {
    let before = report.findings.len();
    let e = &facts.examination;
    let Ok(advertised) = e.advertised.parse::<SocketAddr>() else { return };
    let of = |text: &str| text.parse::<SocketAddr>().ok();
    let others = || facts.members.iter().filter(|m| m.name != e.node && m.status.is_live());
    let elsewhere: Vec<&str> = others()
        .filter(|m| of(&m.address).is_some_and(|addr| !addr.ip().is_loopback()))
        .map(|m| m.address.as_str())
        .collect();
    let remedy = |example: &str| {
        format!(
            "start the agent with --advertise ADDRESS:{}, the address at which other hosts reach this one{example}",
            advertised.port()
        )
    };
    if advertised.ip().is_unspecified() || (advertised.ip().is_loopback() && !elsewhere.is_empty()) {
        let example = elsewhere.first().map(|addr| format!(" (they are at addresses like {addr})"));
        report.add(
            Finding::new("advertise_unreachable", Severity::Critical, &e.node)
                .seen(format!("others are told {advertised}, and {} of them are on other hosts", elsewhere.len()))
                .means("datagrams to that address do not leave the host that sends them: nobody reaches this one")
                .remedy(remedy(&example.unwrap_or_default())),
        );
    }
    let on_loopback: Vec<&str> = others()
        .filter(|m| of(&m.address).is_some_and(|addr| addr.ip().is_loopback()))
        .map(|m| m.name.as_str())
        .collect();
    if !advertised.ip().is_loopback() && !on_loopback.is_empty() {
        let names = on_loopback.join(", ");
        report.add(
            Finding::new("member_on_loopback", Severity::Critical, &names)
                .seen(format!("{names} tell others a loopback address, and this host is at {advertised}"))
                .means("nobody on another host reaches them")
                .remedy(format!(
                    "on {names} start the agent with --bind or --advertise and an address of that host"
                )),
        );
    }
    let seen: BTreeSet<SocketAddr> = e.links.iter().filter_map(|link| of(link.saw.as_deref()?)).collect();
    let differs: Vec<&SocketAddr> =
        seen.iter().filter(|addr| **addr != advertised && !addr.ip().is_loopback()).collect();
    if !differs.is_empty() && !advertised.ip().is_loopback() {
        let list = differs.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let moved = differs.iter().all(|addr| addr.ip() == advertised.ip());
        let what = if moved { "another port" } else { "another address" };
        report.add(
            Finding::new("seen_elsewhere", Severity::Warning, &e.node)
                .seen(format!("datagrams of this agent come from {list}, others are told {advertised}"))
                .means(format!(
                    "address translation, or a second interface: answers work, but whether others reach this host at \
                     {advertised} by themselves depends on how {what} is mapped"
                ))
                .remedy(format!(
                    "see whether others reach it: on another host `shoal doctor --node {}`; if not, {}",
                    e.node,
                    remedy("")
                )),
        );
    }
    report.pass_since(before, "address", format!("others are told {advertised}, and see this agent there"));
}

#[cfg(test)]
mod tests {
    use super::super::testing::{found, names};
    use super::*;

    #[test]
    fn a_loopback_address_is_no_use_to_other_hosts_in_either_direction() {
        let own = found(judge, |facts| facts.examination.advertised = "127.0.0.1:7946".to_owned());
        assert_eq!((own[0].name, own[0].severity), ("advertise_unreachable", Severity::Critical));
        assert!(
            own[0].remedy.contains("--advertise ADDRESS:7946") && own[0].remedy.contains("10.0.0.2:7946")
        );
        let theirs = found(judge, |facts| facts.members[1].address = "127.0.0.1:7946".to_owned());
        assert_eq!((theirs[0].name, theirs[0].about.as_str()), ("member_on_loopback", "n2"));
    }

    #[test]
    fn all_on_one_host_are_well() {
        let local = |facts: &mut Facts| {
            facts.examination.advertised = "127.0.0.1:1001".to_owned();
            for (n, member) in facts.members.iter_mut().enumerate() {
                member.address = format!("127.0.0.1:{}", 1_001 + n);
            }
            for link in &mut facts.examination.links {
                link.saw = Some("127.0.0.1:1001".to_owned());
            }
        };
        assert!(names(judge, local).is_empty());
    }

    #[test]
    fn address_translation_is_seen_by_others() {
        let seen = found(judge, |facts| facts.examination.links[0].saw = Some("192.0.2.1:40000".to_owned()));
        assert_eq!((seen[0].name, seen[0].severity), ("seen_elsewhere", Severity::Warning));
        assert!(seen[0].seen.contains("192.0.2.1:40000"));
    }
}
