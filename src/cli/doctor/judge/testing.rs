//! Facts of a host where all is well, to be spoilt by tests.

use super::super::finding::{Finding, Report};
use super::Facts;
use crate::client::Member;
use crate::model::{DiskFacts, Examination, LinkFacts, ProcessFacts, SocketFacts, TripFacts};
use serde_json::json;

pub(super) fn member(n: u8, status: &str) -> Member {
    let member = json!({"name": format!("n{n}"), "address": format!("10.0.0.{n}:7946"), "status": status,
        "id": format!("id-{n}"), "version": "0.1.0", "tags": {}, "rtt_ms": 0.5});
    serde_json::from_value(member).expect("a member")
}

pub(super) fn link(n: u8) -> LinkFacts {
    let answered = TripFacts { rtt_us: Some(400 + u64::from(n)), arrived: Some(true) };
    LinkFacts {
        node: format!("n{n}"),
        address: format!("10.0.0.{n}:7946"),
        status: "alive".to_owned(),
        small: answered,
        large: answered,
        saw: Some("10.0.0.1:7946".to_owned()),
        skew_ms: Some(3),
    }
}

/// n1 of three, sealed.
pub(super) fn well() -> Facts {
    let examination = Examination {
        node: "n1".to_owned(),
        node_id: "id-1".to_owned(),
        cluster: "shoal".to_owned(),
        version: "0.1.0".to_owned(),
        advertised: "10.0.0.1:7946".to_owned(),
        bound: "10.0.0.1:7946".to_owned(),
        sealed: true,
        others: 2,
        since_heard_ms: Some(300),
        process: ProcessFacts {
            uptime_ms: 3_600_000,
            load_milli: Some(500),
            processors: Some(2),
            files: Some(20),
            files_max: Some(1_024),
            ..ProcessFacts::default()
        },
        socket: SocketFacts {
            receive_buffer: Some(8 << 20),
            send_buffer: Some(8 << 20),
            buffer_wanted: 4 << 20,
            receive_buffer_max: Some(4 << 20),
            drops: Some(0),
            sends_failed: 0,
            datagram_max: 1_400,
        },
        disk: Some(DiskFacts {
            path: "/var/lib/shoal".to_owned(),
            free: Some(10 << 30),
            free_files: Some(1_000_000),
            ..DiskFacts::default()
        }),
        links: vec![link(2), link(3)],
        ..Examination::default()
    };
    Facts {
        examination,
        members: (1..=3).map(|n| member(n, "alive")).collect(),
        keys: Vec::new(),
        socket: Some(super::SocketFile { path: "/run/shoal/agent.sock".to_owned(), mode: 0o600 }),
    }
}

/// What one family finds in `well`, spoilt.
pub(super) fn found(family: fn(&Facts, &mut Report), spoil: impl FnOnce(&mut Facts)) -> Vec<Finding> {
    let mut facts = well();
    spoil(&mut facts);
    let mut report = Report::default();
    family(&facts, &mut report);
    for finding in &report.findings {
        assert!(
            !finding.seen.is_empty() && !finding.means.is_empty() && !finding.remedy.is_empty(),
            "{finding:?}"
        );
    }
    report.findings
}

/// The names of that.
pub(super) fn names(family: fn(&Facts, &mut Report), spoil: impl FnOnce(&mut Facts)) -> Vec<&'static str> {
    found(family, spoil).into_iter().map(|finding| finding.name).collect()
}

#[test]
fn where_all_is_well_nothing_is_found_and_everything_is_said_to_be_well() {
    let report = super::judge(&well());
    assert!(report.findings.is_empty() && report.is_well(), "{:#?}", report.findings);
    let passed: Vec<&str> = report.passed.iter().map(|p| p.what).collect();
    for family in [
        "reach",
        "size",
        "address",
        "names",
        "keys",
        "strangers",
        "clock",
        "buffers",
        "load",
        "disk",
        "socket",
        "versions",
    ] {
        assert!(passed.contains(&family), "{family} in {passed:?}");
    }
}
