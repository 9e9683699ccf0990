//! What is counted, and the text that Prometheus reads.
//!
//! One table has every metric with its kind, labels, unit and meaning; whoever writes a figure names it, and
//! the table says the rest, so that no figure is told without its help. Names follow Prometheus' customs: base
//! units, the unit last, `_total` for what only rises. No label has values that others can invent.

use super::Durations;
use std::fmt::{Display, Write as _};

/// What a metric's values do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Rises, from the start of the process.
    Counter,
    /// Is what it is at present.
    Gauge,
    /// Counts how often a value was how large.
    Histogram,
}

impl Kind {
    /// The word of the text format.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// One metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// What its values do.
    pub kind: Kind,
    /// Names of its labels, beside `le` of histograms.
    pub labels: &'static [&'static str],
    /// What one is: seconds, bytes, or a word for things.
    pub unit: &'static str,
    /// What it means.
    pub help: &'static str,
}

const fn counter(name: &'static str, unit: &'static str, help: &'static str) -> Metric {
    Metric { name, kind: Kind::Counter, labels: &[], unit, help }
}

const fn gauge(name: &'static str, unit: &'static str, help: &'static str) -> Metric {
    Metric { name, kind: Kind::Gauge, labels: &[], unit, help }
}

const fn histogram(name: &'static str, help: &'static str) -> Metric {
    Metric { name, kind: Kind::Histogram, labels: &[], unit: "seconds", help }
}

impl Metric {
    const fn by(self, labels: &'static [&'static str]) -> Self {
        Self { labels, ..self }
    }
}

/// Every metric, in the order in which people look for them.
pub const METRICS: &[Metric] = &[
    // This agent.
    gauge("shoal_agent_info", "1", "Who this agent is; always 1.").by(&["cluster", "node", "version"]),
    // Membership.
    gauge("shoal_members", "members", "Members by what this agent believes of them.").by(&["state"]),
    gauge("shoal_members_held", "members", "Members shown as failed, though reachable, since they keep coming and going."),
    counter("shoal_probes_sent_total", "probes", "Probes of members that were started."),
    counter("shoal_probes_failed_total", "probes", "Probes that nobody answered, directly or through others."),
    counter("shoal_suspicions_raised_total", "suspicions", "Times that a member became suspect here."),
    counter("shoal_suspicions_confirmed_total", "suspicions", "Times that a suspect was then held for failed here."),
    counter("shoal_suspicions_refuted_total", "suspicions", "Times that a suspect was heard to be alive."),
    counter("shoal_witness_checks_total", "checks", "Members pinged out of turn: suspects by their witnesses, and those at whose address nobody was said to listen."),
    counter("shoal_nacks_missed_total", "nacks", "Members that were asked to help with a probe and said nothing at all."),
    gauge("shoal_local_health", "points", "How much this agent doubts itself: 0 is not at all; its probes wait longer with each point."),
    counter("shoal_rejoins_total", "lives", "Times that this node took a new life because others held the old one for ended."),
    counter("shoal_watchdog_total", "starts", "Times that probing had to be started anew; anything but 0 is a bug."),
    counter("shoal_unreachable_reports_total", "reports", "Times that the network said that nobody listens at a member's address."),
    // The network.
    counter("shoal_datagrams_sent_total", "datagrams", "Datagrams sent."),
    counter("shoal_datagrams_sent_bytes_total", "bytes", "Bytes of datagrams sent."),
    counter("shoal_datagrams_received_total", "datagrams", "Datagrams received, dropped ones included."),
    counter("shoal_datagrams_received_bytes_total", "bytes", "Bytes of datagrams received, dropped ones included."),
    counter("shoal_datagrams_dropped_total", "datagrams", "Datagrams, or parts of them, that were dropped, by reason.").by(&["reason"]),
    counter("shoal_frames_sent_total", "frames", "Parts of datagrams sent, by what they are for. A datagram holds several.").by(&["kind"]),
    counter("shoal_frames_sent_bytes_total", "bytes", "Bytes of these parts, without the datagrams' headers and seals.").by(&["kind"]),
    counter("shoal_frames_received_total", "frames", "Parts of datagrams received, by what they are for.").by(&["kind"]),
    counter("shoal_frames_received_bytes_total", "bytes", "Bytes of these parts, without the datagrams' headers and seals.").by(&["kind"]),
    counter("shoal_challenges_total", "cookies", "Cookies sent to addresses that had not shown that they receive."),
    counter("shoal_socket_sends_failed_total", "datagrams", "Datagrams that the system did not take."),
    counter("shoal_socket_sends_retried_total", "datagrams", "Datagrams that the system took at a second try."),
    counter("shoal_socket_receives_failed_total", "calls", "Reads of the gossip socket that failed."),
    gauge("shoal_keys", "keys", "Keys that datagrams may be sealed with; 0 without encryption."),
    // Spreading and repairing.
    counter("shoal_rumours_queued_total", "rumours", "Rumours that were queued to be spread."),
    counter("shoal_rumours_sent_total", "rumours", "Times that a rumour was sent."),
    counter("shoal_rumours_shed_total", "rumours", "Rumours that did not fit into the queue; repair brings what they said."),
    gauge("shoal_rumours_waiting", "rumours", "Rumours that wait to be sent."),
    histogram("shoal_propagation_seconds", "Age of a change of another node when its rumour arrived here: the time that each agent on its way kept it, and half a round trip a hop. No two clocks are compared."),
    counter("shoal_sync_rounds_total", "rounds", "Repairs by anti-entropy that were started."),
    counter("shoal_sync_records_total", "records", "Records that a repair brought."),
    gauge("shoal_difference_age_seconds", "seconds", "Time since a peer's digest of the catalog last differed from this agent's; missing if it never did."),
    gauge("shoal_view_age_seconds", "seconds", "Time since anything was last heard from a peer: how old answers may be. Missing if nothing ever was."),
    gauge("shoal_coordinates_known", "members", "Members whose network coordinate is known."),
    counter("shoal_coordinate_updates_total", "steps", "Steps that this node's network coordinate made."),
    counter("shoal_coordinate_resets_total", "resets", "Times that this node's network coordinate ran away and began anew."),
    // The catalog, and what this host has in it.
    gauge("shoal_catalog_nodes", "nodes", "Nodes in the catalog."),
    gauge("shoal_catalog_services", "services", "Names of services in the catalog."),
    gauge("shoal_catalog_instances", "instances", "Instances of services in the catalog."),
    gauge("shoal_catalog_checks", "checks", "Checks in the catalog."),
    gauge("shoal_local_services", "instances", "Instances that are registered with this agent."),
    gauge("shoal_local_checks", "checks", "Checks that are registered with this agent, by status.").by(&["status"]),
    gauge("shoal_checks_scheduled", "checks", "Checks that this agent carries out itself."),
    gauge("shoal_checks_held", "checks", "Checks that others are told are worse than they are, since they keep changing."),
    counter("shoal_check_runs_total", "runs", "Runs of checks that were begun."),
    // The loop, and the disk.
    counter("shoal_loop_turns_total", "turns", "Turns of the protocol's loop."),
    histogram("shoal_loop_late_seconds", "How late the protocol's loop came to its timers."),
    counter("shoal_loop_stalls_total", "stalls", "Times that it came a quarter of a second late or more: this process did not run."),
    gauge("shoal_loop_stall_longest_seconds", "seconds", "The longest of these times."),
    counter("shoal_state_writes_total", "writes", "Writes of the state file."),
    counter("shoal_state_writes_failed_total", "writes", "Writes of the state file that failed; registrations are refused then."),
    gauge("shoal_templates", "templates", "Templates of the configuration whose files this agent keeps."),
    gauge("shoal_templates_failing", "templates", "Templates whose last round failed: their files are older than the table."),
    counter("shoal_template_writes_total", "files", "Files that were replaced by what their template said."),
    counter("shoal_template_failures_total", "failures", "Templates, verifications and commands that failed."),
    // Answering.
    counter("shoal_api_requests_total", "requests", "Requests that the API answered, by path and class of status. Those that wait count when they are answered, streams when they begin.").by(&["endpoint", "code"]),
    counter("shoal_api_refused_total", "requests", "Requests that were refused, by what refused them.").by(&["by"]),
    gauge("shoal_api_waiting_requests", "requests", "Blocking queries and streams that wait."),
    counter("shoal_log_lines_lost_total", "lines", "Log lines that readers of the log were too slow for."),
    counter("shoal_dns_requests_total", "questions", "DNS questions that were answered, by type and outcome.").by(&["type", "outcome"]),
    counter("shoal_dns_dropped_total", "messages", "DNS messages and connections without an answer, by reason.").by(&["reason"]),
    counter("shoal_dns_answers_cut_total", "answers", "DNS answers that did not fit whole."),
    counter("shoal_dns_recursor_failures_total", "answers", "Times that a recursor gave no answer of use."),
    counter("shoal_dns_recursions_refused_total", "questions", "Questions for a recursor that were one too many."),
    gauge("shoal_dns_tcp_connections", "connections", "DNS connections over TCP that are open."),
    // The process, under the names that Prometheus' own libraries use.
    counter("process_cpu_seconds_total", "seconds", "Processor time that this process took."),
    gauge("process_resident_memory_bytes", "bytes", "Memory that this process has in use."),
    gauge("process_open_fds", "files", "Open file descriptors."),
    gauge("process_max_fds", "files", "File descriptors that this process may open."),
    gauge("process_start_time_seconds", "seconds", "When this process started, since 1970."),
];

/// What the table says of a name.
pub fn metric(name: &str) -> Option<&'static Metric> {
    METRICS.iter().find(|metric| metric.name == name)
}

/// Metrics as Prometheus reads them: text, version 0.0.4. All values of one metric are written one after the
/// other.
#[derive(Debug, Default)]
pub struct Exposition {
    text: String,
    told: Option<&'static str>,
}

impl Exposition {
    /// The value of a metric without labels.
    pub fn value(&mut self, name: &str, value: impl Display) {
        self.begin(name);
        self.line(format_args!("{name} {value}"));
    }

    /// The value of a metric for these labels.
    pub fn labelled(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        self.begin(name);
        let pairs: Vec<String> =
            labels.iter().map(|(key, text)| format!("{key}=\"{}\"", escaped(text))).collect();
        self.line(format_args!("{name}{{{}}} {value}", pairs.join(",")));
    }

    /// A value whose name has its labels as they are written.
    pub fn series(&mut self, series: &str, value: impl Display) {
        self.begin(series.split('{').next().unwrap_or(series));
        self.line(format_args!("{series} {value}"));
    }

    /// A histogram.
    pub fn histogram(&mut self, name: &str, of: &Durations) {
        self.begin(name);
        let Durations { buckets, count, sum_us } = of;
        for (bound_us, up_to) in buckets {
            self.line(format_args!("{name}_bucket{{le=\"{}\"}} {up_to}", *bound_us as f64 / 1e6));
        }
        self.line(format_args!("{name}_bucket{{le=\"+Inf\"}} {count}"));
        self.line(format_args!("{name}_sum {}", *sum_us as f64 / 1e6));
        self.line(format_args!("{name}_count {count}"));
    }

    /// The text.
    pub fn into_text(self) -> String {
        self.text
    }

    fn begin(&mut self, name: &str) {
        let Some(Metric { name, kind, help, .. }) = metric(name) else {
            debug_assert!(false, "{name} is not in the table of metrics");
            return;
        };
        if self.told != Some(*name) {
            self.told = Some(*name);
            self.line(format_args!("# HELP {name} {help}\n# TYPE {name} {}", kind.as_str()));
        }
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.text, "{line}");
    }
}

/// A label's value as it may stand between quotes.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_customs() {
        for (at, metric) in METRICS.iter().enumerate() {
            let Metric { name, kind, unit, help, .. } = metric;
            assert!(METRICS[..at].iter().all(|other| other.name != *name), "{name} twice");
            assert!(name.starts_with("shoal_") || name.starts_with("process_"), "{name}");
            assert_eq!(*kind == Kind::Counter, name.ends_with("_total"), "{name}");
            for base in ["seconds", "bytes"] {
                let said = name.trim_end_matches("_total").ends_with(base);
                assert_eq!(*unit == base, said, "{name} is in {unit}");
            }
            assert!(help.ends_with('.') && !help.contains(['\n', '\\']), "{name}: {help}");
        }
    }

    #[test]
    fn a_metric_is_explained_once_before_its_values() {
        let mut out = Exposition::default();
        out.labelled("shoal_members", &[("state", "a\"b\\c\nd")], 1);
        out.series("shoal_members{state=\"left\"}", 2);
        out.value("shoal_view_age_seconds", 0.5);
        let of = Durations { buckets: vec![(1_000, 2), (2_500, 5)], count: 6, sum_us: 1_500_000 };
        out.histogram("shoal_propagation_seconds", &of);
        let text = out.into_text();
        assert!(text.starts_with(
            "# HELP shoal_members Members by what this agent believes of them.\n# TYPE shoal_members gauge\n\
             shoal_members{state=\"a\\\"b\\\\c\\nd\"} 1\nshoal_members{state=\"left\"} 2\n# HELP shoal_view_age_seconds"
        ), "{text}");
        for line in [
            "# TYPE shoal_propagation_seconds histogram",
            "shoal_propagation_seconds_bucket{le=\"0.0025\"} 5",
            "shoal_propagation_seconds_bucket{le=\"+Inf\"} 6",
            "shoal_propagation_seconds_sum 1.5",
            "shoal_propagation_seconds_count 6",
            "shoal_view_age_seconds 0.5",
        ] {
            assert!(text.lines().any(|l| l == line), "no {line} in\n{text}");
        }
    }
}
