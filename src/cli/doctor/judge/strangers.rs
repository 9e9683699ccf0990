//! Those whose datagrams are not taken in: other keys, other clusters, other versions.

use super::super::finding::{Finding, Report, Severity};
use super::{Facts, show_span};
use crate::model::StrangerFacts;

/// Who was silent for longer has stopped.
const RECENT_MS: u64 = 120_000;

pub(super) fn judge(facts: &Facts, report: &mut Report) {
    let before = report.findings.len();
    for stranger in &facts.examination.strangers {
        if let Some((name, means, remedy)) = meaning(facts, stranger) {
            let severity = if stranger.ago_ms < RECENT_MS { Severity::Warning } else { Severity::Note };
            let known = facts.members.iter().find(|m| m.address == stranger.address);
            let about = match known {
                Some(member) => format!("{} at {}", member.name, stranger.address),
                None => stranger.address.clone(),
            };
            report.add(
                Finding::new(name, severity, about)
                    .seen(format!(
                        "{} datagrams dropped ({}), the last {} ago",
                        stranger.count,
                        stranger.why,
                        show_span(stranger.ago_ms)
                    ))
                    .means(means)
                    .remedy(remedy),
            );
        }
    }
    report.pass_since(before, "strangers", "nobody sends datagrams that have to be dropped");
}

fn meaning(facts: &Facts, stranger: &StrangerFacts) -> Option<(&'static str, String, String)> {
    let (e, addr) = (&facts.examination, &stranger.address);
    let text = |s: &str| s.to_owned();
    Some(match stranger.why.as_str() {
        "unknown_key" if !e.sealed => (
            "sealed_elsewhere",
            text("that host seals its gossip, and this agent has no key: they cannot hear each other"),
            text("give this agent the cluster's key file (--key-file FILE, mode 0600) and restart it"),
        ),
        "unknown_key" => (
            "unknown_key",
            text("that host seals with a key that this agent does not have: another cluster's, or this one's after \
                a rotation that one of the two missed"),
            e.key_advice.clone().filter(|advice| advice.starts_with(addr.as_str())).unwrap_or_else(|| {
                format!("compare `shoal keyring list` on both hosts; on the one that lacks a key ({addr} or this): \
                    `shoal keyring install KEY`, or add it to the key file and `shoal reload`")
            }),
        ),
        "unsealed" => (
            "unsealed",
            text("that host does not seal its gossip, and this cluster does: it stays outside"),
            format!("start the agent at {addr} with the cluster's key file (--key-file FILE)"),
        ),
        "forged" => (
            "forged",
            text("they name a key of this cluster and are not sealed with it, or were changed on their way: another \
                cluster name with the same key, a broken network card, or somebody who tries"),
            format!("compare `shoal info` (cluster, encryption) at {addr} with this host's; if nobody of yours is there: \
                block it (`nft add rule inet filter input ip saddr {} drop`)", ip(addr)),
        ),
        "other_cluster" => (
            "other_cluster",
            format!("that host belongs to a cluster of another name than {:?}: nothing of it is merged", e.cluster),
            format!("if it should be here: `cluster = \"{}\"` in its configuration; else take this host's address out of \
                its join list", e.cluster),
        ),
        "version" => (
            "other_protocol",
            text("that host speaks another version of the protocol"),
            format!("bring the agents to one version: this one is {}", e.version),
        ),
        "oversize" => (
            "datagrams_too_large",
            format!("that host sends larger datagrams than this agent takes ({} bytes)", e.socket.datagram_max),
            text("set max_datagram_bytes to the same on all hosts, and restart the agents"),
        ),
        _ => return None,
    })
}

fn ip(address: &str) -> &str {
    address.rsplit_once(':').map_or(address, |(ip, _)| ip.trim_matches(['[', ']']))
}

#[cfg(test)]
mod tests {
    use super::super::testing::found;
    use super::*;

    fn stranger(why: &'static str, ago_ms: u64) -> impl FnOnce(&mut Facts) {
        move |facts| {
            facts.examination.strangers.push(StrangerFacts {
                address: "10.0.0.9:7946".to_owned(),
                why: why.to_owned(),
                count: 7,
                ago_ms,
                name: None,
            });
        }
    }

    #[test]
    fn each_reason_has_its_name_and_what_to_do() {
        for (why, name, to_do) in [
            ("unknown_key", "unknown_key", "shoal keyring install KEY"),
            ("unsealed", "unsealed", "start the agent at 10.0.0.9:7946"),
            ("forged", "forged", "ip saddr 10.0.0.9 drop"),
            ("other_cluster", "other_cluster", "cluster = \"shoal\""),
            ("version", "other_protocol", "this one is 0.1.0"),
            ("oversize", "datagrams_too_large", "max_datagram_bytes"),
        ] {
            let finding = &found(judge, stranger(why, 5_000))[0];
            assert_eq!((finding.name, finding.severity), (name, Severity::Warning));
            assert!(finding.remedy.contains(to_do), "{}", finding.remedy);
            assert_eq!(finding.seen, format!("7 datagrams dropped ({why}), the last 5s ago"));
        }
        assert!(found(judge, stranger("name_taken", 0)).is_empty(), "that is another family's");
    }

    #[test]
    fn what_has_stopped_is_a_note_and_a_member_is_named() {
        assert_eq!(found(judge, stranger("forged", 600_000))[0].severity, Severity::Note);
        let plain = found(judge, |facts| {
            stranger("unknown_key", 0)(facts);
            facts.examination.sealed = false;
            facts.examination.strangers[0].address = "10.0.0.2:7946".to_owned();
        });
        assert_eq!((plain[0].name, plain[0].about.as_str()), ("sealed_elsewhere", "n2 at 10.0.0.2:7946"));
    }
}
