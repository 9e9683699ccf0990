//! The gossip socket's buffers, and what the kernel dropped for want of room.

use super::super::finding::{Finding, Report, Severity};
use super::{Facts, show_bytes};

/// In clusters of this size a burst is larger than what kernels grant by themselves.
const LARGE_CLUSTER: usize = 200;

pub(super) fn judge(facts: &Facts, report: &mut Report) {
    let before = report.findings.len();
    let e = &facts.examination;
    let socket = &e.socket;
    // The kernel counts its own overhead: it shows twice what it granted.
    let granted = socket.receive_buffer.map(|bytes| bytes / 2);
    let raise = format!(
        "`sysctl -w net.core.rmem_max={wanted} net.core.wmem_max={wanted}`, keep it in /etc/sysctl.d/shoal.conf, and \
         restart the agent",
        wanted = socket.buffer_wanted
    );
    let drops = socket.drops.unwrap_or(0);
    if drops > 0 {
        let room = granted.map_or("unknown".to_owned(), show_bytes);
        report.add(
            Finding::new("receive_buffer_overflow", Severity::Warning, &e.node)
                .seen(format!("the kernel dropped {drops} datagrams that found no room in {room}"))
                .means(
                    "the agent did not take them up in time (it stood still, or the host is overloaded), or they came \
                     in a burst larger than the buffer; what is lost is repaired, later",
                )
                .remedy(format!("if it goes on: {raise}; see also what is said of load")),
        );
    }
    if let Some(granted) = granted.filter(|granted| *granted < socket.buffer_wanted) {
        let matters = drops > 0 || e.others >= LARGE_CLUSTER;
        let max = socket.receive_buffer_max.map_or("unknown".to_owned(), |max| max.to_string());
        report.add(
            Finding::new(
                "receive_buffer_small",
                if matters { Severity::Warning } else { Severity::Note },
                &e.node,
            )
            .seen(format!(
                "{} granted for receiving, {} wanted (net.core.rmem_max = {max})",
                show_bytes(granted),
                show_bytes(socket.buffer_wanted)
            ))
            .means("bursts of a large cluster do not fit; small ones do")
            .remedy(raise),
        );
    }
    let room = granted.map_or("of unknown size".to_owned(), |granted| format!("of {}", show_bytes(granted)));
    report.pass_since(before, "buffers", format!("a receive buffer {room}, nothing dropped by the kernel"));
}

#[cfg(test)]
mod tests {
    use super::super::testing::{found, names};
    use super::*;

    #[test]
    fn a_small_buffer_is_a_note_until_it_matters() {
        let small = |facts: &mut Facts| facts.examination.socket.receive_buffer = Some(425_984);
        let note = &found(judge, small)[0];
        assert_eq!((note.name, note.severity), ("receive_buffer_small", Severity::Note));
        assert!(note.seen.starts_with("208 KiB granted for receiving, 4096 KiB wanted"), "{}", note.seen);
        assert!(note.remedy.contains("sysctl -w net.core.rmem_max=4194304"));
        let large = found(judge, |facts| {
            small(facts);
            facts.examination.others = 500;
        });
        assert_eq!(large[0].severity, Severity::Warning);
    }

    #[test]
    fn drops_are_a_warning_and_so_is_the_buffer_then() {
        let dropped = |facts: &mut Facts| {
            facts.examination.socket.drops = Some(12);
            facts.examination.socket.receive_buffer = Some(425_984);
        };
        let found = found(judge, dropped);
        assert!(found.iter().all(|f| f.severity == Severity::Warning));
        assert!(found[0].seen.contains("dropped 12 datagrams"));
        assert_eq!(names(judge, dropped), ["receive_buffer_overflow", "receive_buffer_small"]);
    }
}
