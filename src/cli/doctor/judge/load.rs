//! Whether the agent gets to run, and may open what it needs.

use super::super::finding::{Finding, Report, Severity};
use super::{Facts, show_span, times};

/// Stalls that are told as more than a remark: so many, and so many an hour.
const STALLS: u64 = 10;
const STALLS_AN_HOUR: u64 = 6;
/// Or one this long.
const STALL_LONG_MS: u64 = 5_000;

pub(super) fn judge(facts: &Facts, report: &mut Report) {
    let before = report.findings.len();
    let e = &facts.examination;
    let p = &e.process;
    let load = match (p.load_milli, p.processors) {
        (Some(load), Some(cpus)) => format!("load {:.2} on {cpus} processors", load as f64 / 1_000.0),
        _ => "load unknown".to_owned(),
    };
    if p.stalls > 0 {
        let hours = (p.uptime_ms / 3_600_000).max(1);
        let often = p.stalls >= STALLS && p.stalls / hours >= STALLS_AN_HOUR;
        let severity =
            if often || p.stall_longest_ms >= STALL_LONG_MS { Severity::Warning } else { Severity::Note };
        report.add(
            Finding::new("stalls", severity, &e.node)
                .seen(format!(
                    "{} in {} the agent did not run when it should have, the longest {} late; {load}",
                    times(p.stalls),
                    show_span(p.uptime_ms),
                    show_span(p.stall_longest_ms)
                ))
                .means(
                    "the host is short of processors, swaps, or was suspended: the agent answers probes late and \
                     doubts others without a cause",
                )
                .remedy(
                    "`vmstat 1` (r, si, so, st) shows which; give the agent its share: `systemctl set-property \
                     shoal CPUWeight=1000`, and in containers a CPU limit of one or none",
                ),
        );
    }
    if p.local_health > 0 {
        report.add(
            Finding::new("local_health", Severity::Warning, &e.node)
                .seen(format!("the agent doubts itself (health {} of 2); {load}", p.local_health))
                .means(
                    "its own probes went unanswered lately, or others suspected it: it waits longer before it \
                     suspects anybody",
                )
                .remedy("again in a minute; if it stays, something else that is found here is the reason, or the network loses datagrams"),
        );
    }
    if let (Some(files), Some(max)) = (p.files, p.files_max)
        && files.saturating_mul(10) >= max.saturating_mul(8)
    {
        report.add(
            Finding::new("file_descriptors", Severity::Warning, &e.node)
                .seen(format!("{files} of {max} file descriptors are in use"))
                .means("soon the agent takes no more connections from clients")
                .remedy("LimitNOFILE=65536 in the unit (`systemctl edit shoal`), or fewer clients that wait"),
        );
    }
    let files = match (p.files, p.files_max) {
        (Some(files), Some(max)) => format!("{files} of {max} file descriptors in use"),
        _ => "file descriptors unknown".to_owned(),
    };
    report.pass_since(before, "load", format!("up for {}, {load}, {files}", show_span(p.uptime_ms)));
}

#[cfg(test)]
mod tests {
    use super::super::testing::{found, names};
    use super::*;

    fn stalls(n: u64, longest: u64) -> impl FnOnce(&mut Facts) {
        move |facts| {
            let process = &mut facts.examination.process;
            (process.stalls, process.stall_longest_ms) = (n, longest);
        }
    }

    #[test]
    fn some_stalls_are_a_remark_and_many_or_long_ones_a_warning() {
        assert_eq!(found(judge, stalls(2, 400))[0].severity, Severity::Note);
        assert_eq!(found(judge, stalls(12, 400))[0].severity, Severity::Warning);
        assert_eq!(found(judge, stalls(1, 9_000))[0].severity, Severity::Warning);
        assert!(
            found(judge, stalls(1, 9_000))[0].seen.contains("the longest 9s late; load 0.50 on 2 processors")
        );
    }

    #[test]
    fn doubts_and_descriptors_are_warned_of() {
        assert_eq!(names(judge, |f| f.examination.process.local_health = 1), ["local_health"]);
        assert_eq!(names(judge, |f| f.examination.process.files = Some(900)), ["file_descriptors"]);
        assert!(names(judge, |f| f.examination.process.files = None).is_empty());
    }
}
