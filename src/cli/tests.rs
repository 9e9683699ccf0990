//! The commands as typed, against a small agent: what they print, and how they end.

use super::{Exit, run};
use crate::client::testing::FakeAgent;
use serde_json::{Value, json};
use std::io::{self, Write};

/// Types a command at `agent`; answers exit, standard output and standard error.
fn shoal(agent: &FakeAgent, line: &[&str]) -> (Exit, String, String) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let socket = agent.socket();
    let socket = socket.to_str().expect("a plain path");
    // The socket goes first among the flags, as what follows `--` is not ours.
    let mut words = vec!["shoal", line[0], "--socket", socket];
    words.extend(&line[1..]);
    let exit = run(words, &mut out, &mut err);
    (exit, String::from_utf8(out).expect("text"), String::from_utf8(err).expect("text"))
}

fn answer(agent: &FakeAgent, line: &[&str]) -> String {
    let (exit, out, err) = shoal(agent, line);
    assert_eq!((exit, err.as_str()), (Exit::Done, ""), "{line:?} printed {out}");
    out
}

fn answer_json(agent: &FakeAgent, line: &[&str]) -> Value {
    serde_json::from_str(&answer(agent, &[line, &["--format", "json"]].concat())).expect("JSON")
}

fn refused(agent: &FakeAgent, line: &[&str]) -> (Exit, String) {
    let (exit, out, err) = shoal(agent, line);
    assert_eq!(out, "", "{line:?} has no answer");
    (exit, err)
}

#[test]
fn a_service_is_registered_resolved_and_deregistered() {
    let agent = FakeAgent::start();
    assert_eq!(answer(&agent, &["register", "web", "http://10.0.0.7:8080"]), "web\n");
    assert_eq!(
        answer(&agent, &["register", "web", "--id", "web-2", "--port", "8081", "--tag", "v2"]),
        "web-2\n"
    );
    assert_eq!(answer(&agent, &["resolve", "web"]), "10.0.0.7:8080\n10.0.0.1:8081\n");
    assert_eq!(answer(&agent, &["deregister", "web"]), "deregistered web\n");
    assert_eq!(answer(&agent, &["deregister", "web-2", "-q"]), "");
    assert_eq!(refused(&agent, &["resolve", "web"]).0, Exit::No);
}

#[test]
fn a_registration_is_sent_as_consul_wants_it() {
    let agent = FakeAgent::start();
    let line = "register web --port 80 --address 10.0.0.7 --tag a --tag b --meta k=v --weight 5 --check-ttl 1m30s \
                --check-http http://10.0.0.7/health --interval 5s --timeout 2s";
    let told = answer_json(&agent, &line.split_whitespace().collect::<Vec<_>>());
    assert_eq!(told, json!({"id": "web", "service": "web", "status": "passing"}));
    let body = agent.with(|state| state.services["web"].clone());
    assert_eq!(body["Tags"], json!(["a", "b"]));
    assert_eq!(body["Meta"], json!({"k": "v"}));
    assert_eq!(body["Weights"], json!({"Passing": 5, "Warning": 5}));
    assert_eq!(
        body["Checks"],
        json!([
            {"CheckID": "service:web", "TTL": "1m30s", "Status": "passing"},
            {"HTTP": "http://10.0.0.7/health", "Interval": "5s", "Timeout": "2s"},
        ])
    );
}

#[test]
fn the_call_is_the_first_heartbeat_unless_it_says_otherwise() {
    let agent = FakeAgent::start();
    let status = |agent: &FakeAgent| agent.with(|state| state.checks["service:web"]["Status"].clone());
    answer(&agent, &["register", "web", "--check-ttl", "10s", "--status", "critical"]);
    assert_eq!(status(&agent), "critical");
    answer(&agent, &["register", "web", "--check-ttl", "10s"]);
    assert_eq!(status(&agent), "passing");
    answer(&agent, &["heartbeat", "web", "--status", "warning", "--note", "slow"]);
    assert_eq!(status(&agent), "warning");
}

#[test]
fn what_the_agent_refuses_is_shown() {
    let agent = FakeAgent::start();
    let (exit, err) = refused(&agent, &["register", "web", "--check-grpc", "10.0.0.7:50051"]);
    assert_eq!(exit, Exit::Usage);
    assert_eq!(err, "shoal: Invalid check: gRPC checks are not built in\n");
}

#[test]
fn wrong_use_ends_with_2_and_asks_nothing() {
    let agent = FakeAgent::start();
    for line in [
        "register",
        "register web http://10.0.0.7:8080 --port 80",
        "register web grpc://10.0.0.7",
        "register web --check-ttl 10",
        "register web --check-ttl 0s",
        "register web --status critical",
        "register web --interval 5s",
        "register web --meta k",
        "register web --port 70000",
        "heartbeat web --status sick",
        "heartbeat web --port 80",
        "members --status gone",
        "services --near n1",
        "watch --count 0",
        "watch --debounce 1s",
        "render only-one",
        "render a - --once --verify true",
        "render a b --once --interval 1s",
        "top --format json",
        "join",
        "maintenance perhaps",
        "frobnicate",
        "services --format yaml",
    ] {
        let (exit, err) = refused(&agent, &line.split_whitespace().collect::<Vec<_>>());
        assert_eq!(exit, Exit::Usage, "{line}: {err}");
        assert!(!err.is_empty(), "{line}");
    }
    assert_eq!(agent.asked(""), 0);
    let (exit, _, err) = shoal(&agent, &["services", "--socket", "tcp://nowhere"]);
    assert_eq!(exit, Exit::Usage, "{err}");
}

#[test]
fn without_an_agent_every_command_ends_with_3_and_says_where_and_how() {
    let mut agent = FakeAgent::start();
    agent.stop();
    for line in [
        "register web",
        "deregister web",
        "heartbeat web",
        "heartbeat web --every 1s",
        "heartbeat web -- /bin/true",
        "services",
        "services web",
        "resolve web",
        "members",
        "checks",
        "checks web",
        "watch",
        "render /dev/null /dev/null",
        "top --once",
        "join 10.0.0.2",
        "leave",
        "force-leave n2",
        "maintenance on",
        "info",
        "metrics",
        "rtt n2",
        "reload",
    ] {
        let (exit, err) = refused(&agent, &line.split_whitespace().collect::<Vec<_>>());
        assert_eq!(exit, Exit::NoAgent, "{line}: {err}");
        assert!(
            err.contains(agent.socket().to_str().expect("plain")) && err.contains("shoal agent"),
            "{err}"
        );
    }
}

#[test]
fn an_unknown_id_gets_a_near_one_suggested() {
    let agent = FakeAgent::start();
    for id in ["web-1", "web-2"] {
        answer(&agent, &["register", "web", "--id", id, "--check-ttl", "10s"]);
    }
    answer(&agent, &["register", "db"]);
    for (line, want) in [
        ("deregister wbe-1", "did you mean \"web-1\"?"),
        ("deregister web", "its instances on this host are web-1, web-2"),
        ("deregister orders", "no instance of this host has the id \"orders\"\n"),
        ("maintenance on --service wep-2", "did you mean \"web-2\"?"),
        ("heartbeat wb-1", "did you mean \"web-1\"?"),
        ("heartbeat db", "no TTL check"),
        ("services wbe", "did you mean \"web\"?"),
        ("resolve we", "did you mean \"web\"?"),
        ("checks wbe", "did you mean \"web\"?"),
        ("force-leave n3", "did you mean \"n1\"?"),
        ("services web --node n9", "none of web's 2 instances matches --node n9"),
    ] {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (exit, err) = refused(&agent, &words);
        assert_eq!(exit, Exit::No, "{line}: {err}");
        assert!(err.contains(want), "{line}: {err}");
    }
}

#[test]
fn nothing_healthy_is_told_apart_from_nothing_known() {
    let agent = FakeAgent::start();
    answer(&agent, &["register", "web", "--port", "80", "--check-ttl", "10s"]);
    let sick = ["heartbeat", "web", "--status", "critical", "--note", "disk\nfull"];
    answer(&agent, &sick);
    let (exit, err) = refused(&agent, &["resolve", "web"]);
    assert_eq!(exit, Exit::No);
    assert_eq!(
        err,
        "shoal: the only instance of web is not healthy:\n  web on n1: service:web is critical (disk full)\n"
    );
    let (exit, out, err) = shoal(&agent, &["resolve", "nope", "--format", "json"]);
    assert_eq!((exit, out.as_str()), (Exit::No, "[]\n"));
    assert!(err.contains("no service is named \"nope\""), "{err}");
    answer(&agent, &["heartbeat", "web", "--status", "warning"]);
    assert_eq!(answer(&agent, &["resolve", "web"]), "10.0.0.1:80\n");
}

#[test]
fn passing_instances_come_before_warning_ones_and_ipv6_has_brackets() {
    let agent = FakeAgent::start();
    let instance = |id: &str, address: &str, status: &str| {
        json!({"Node": {"Node": "n2", "Address": "10.0.0.2"},
            "Service": {"ID": id, "Service": "web", "Address": address, "Port": 80},
            "Checks": [{"CheckID": "c", "Status": status}]})
    };
    agent.with(|state| {
        state.elsewhere = vec![
            instance("a", "10.0.0.5", "warning"),
            instance("b", "10.0.0.6", "critical"),
            instance("c", "2001:db8::7", "passing"),
        ];
    });
    assert_eq!(answer(&agent, &["resolve", "web"]), "[2001:db8::7]:80\n10.0.0.5:80\n");
    assert_eq!(agent.asked("GET /v1/health/service/web?near=_agent"), 1);
    let rows = answer_json(&agent, &["resolve", "web", "--passing", "--tag", "v2"]);
    assert_eq!((&rows[0]["id"], &rows[0]["status"]), (&json!("c"), &json!("passing")));
    assert_eq!(agent.asked("GET /v1/health/service/web?passing=true&tag=v2&near=_agent"), 1);
}

#[test]
fn lists_are_tables_for_people_and_arrays_for_programs() {
    let agent = FakeAgent::start();
    let (exit, out, err) = shoal(&agent, &["services"]);
    assert_eq!((exit, out.as_str(), err.as_str()), (Exit::Done, "", "shoal: no services are registered\n"));
    assert_eq!(answer(&agent, &["services", "-q"]), "");
    assert_eq!(answer_json(&agent, &["services"]), json!([]));

    answer(&agent, &["register", "web", "--port", "80", "--tag", "v2", "--check-ttl", "10s"]);
    let want = "SERVICE  INSTANCES  PASSING  WARNING  CRITICAL  TAGS\n\
                web      1          1        0        0         v2\n";
    assert_eq!(answer(&agent, &["services"]), want);
    let want = "NODE  ID   ADDRESS      STATUS   TAGS\nn1    web  10.0.0.1:80  passing  v2\n";
    assert_eq!(answer(&agent, &["services", "web"]), want);
    let rows = answer_json(&agent, &["services", "web"]);
    assert_eq!(
        rows[0]["checks"],
        json!([{"id": "service:web", "name": "check", "status": "passing", "output": ""}])
    );

    let want = "NAME  ADDRESS        STATUS  RTT    TAGS\n\
                n1    10.0.0.1:7946  alive   -      rack=r1\n\
                n2    10.0.0.2:7946  failed  420us  -\n";
    assert_eq!(answer(&agent, &["members"]), want);
    let rows = answer_json(&agent, &["members", "--status", "alive"]);
    let want = json!([{"name": "n1", "address": "10.0.0.1:7946", "status": "alive",
        "tags": {"rack": "r1"}, "rtt_ms": null}]);
    assert_eq!(rows, want);

    let want = "NODE  CHECK        SERVICE  STATUS   OUTPUT\nn1    service:web  web      passing  -\n";
    assert_eq!(answer(&agent, &["checks", "web"]), want);
    assert_eq!(answer_json(&agent, &["checks"])[0]["service_id"], "web");
    assert_eq!(shoal(&agent, &["checks", "--fail-on", "passing"]).0, Exit::No);
    answer(&agent, &["checks", "--fail-on", "warning"]);
}

#[test]
fn the_agent_itself_is_asked_and_told() {
    let agent = FakeAgent::start();
    answer(&agent, &["register", "web"]);
    assert_eq!(answer(&agent, &["info"]), "cluster        shoal\nmembers.alive  1\nnode           n1\n");
    assert_eq!(answer_json(&agent, &["info"])["members"]["alive"], 1);
    assert_eq!(answer(&agent, &["metrics"]), "shoal_members 1\n");
    assert_eq!(answer(&agent, &["monitor", "--log-level", "warn"]), "a line\nanother\n");
    answer(&agent, &["monitor", "--json"]);
    assert_eq!(agent.asked("GET /v1/agent/monitor?loglevel=info&logjson=true"), 1);
    assert_eq!(answer(&agent, &["maintenance", "on", "--reason", "a b"]), "this node is in maintenance\n");
    assert_eq!(agent.asked("PUT /v1/agent/maintenance?enable=true&reason=a b"), 1);
    assert_eq!(answer(&agent, &["maintenance", "off", "--service", "web"]), "web is out of maintenance\n");
    assert_eq!(answer(&agent, &["force-leave", "n2", "--prune"]), "n2 now counts as left\n");
    assert_eq!(agent.asked("PUT /v1/agent/force-leave/n2?prune=true"), 1);
    assert_eq!(answer(&agent, &["leave", "-q"]), "");
    answer(&agent, &["reload"]);
}

#[test]
fn joining_succeeds_when_one_address_answers() {
    let agent = FakeAgent::start();
    let (exit, out, err) = shoal(&agent, &["join", "192.0.2.1:7946", "10.0.0.2"]);
    assert_eq!((exit, out.as_str()), (Exit::Done, "joined through 10.0.0.2\n"));
    assert_eq!(err, "shoal: 192.0.2.1:7946: nobody answered\n");
    assert_eq!(refused(&agent, &["join", "192.0.2.1:7946"]).0, Exit::No);
}

const CHANGES: &str = "id: 1\nevent: snapshot\ndata: {\"index\":1}\n\n\
    id: 2\nevent: change\ndata: {\"index\":2,\"kind\":\"instance\",\"instance\":{\"id\":\"web\"}}\n\n\
    id: 3\nevent: change\ndata: {\"index\":3,\"kind\":\"check\"}\n\n";

#[test]
fn a_watch_prints_one_json_line_for_each_change() {
    let agent = FakeAgent::start();
    agent.with(|state| state.watches = vec![(CHANGES.to_owned(), false); 2]);
    let out = answer(&agent, &["watch", "web", "--count", "2"]);
    let lines: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(lines.len(), 2);
    assert_eq!((&lines[0]["index"], &lines[0]["instance"]["id"]), (&json!(2), &json!("web")));
    assert_eq!(lines[1], json!({"index": 3, "kind": "check"}));
    assert_eq!(agent.asked("GET /v1/shoal/watch?service=web"), 1);
    let out = answer(&agent, &["watch", "--snapshot", "--count", "1"]);
    assert!(out.contains("\"kind\":\"snapshot\""), "{out}");
}

#[test]
fn a_watch_runs_its_command_once_for_a_batch() {
    let agent = FakeAgent::start();
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("runs");
    let command = format!("echo \"$SHOAL_SERVICE $SHOAL_CHANGES $(wc -l)\" >> {}", file.display());
    agent.with(|state| state.watches = vec![(CHANGES.to_owned(), false)]);
    assert_eq!(answer(&agent, &["watch", "web", "-q", "--count", "2", "--exec", &command]), "");
    let runs = std::fs::read_to_string(&file).expect("it ran");
    assert_eq!(runs.split_whitespace().collect::<Vec<_>>(), ["web", "2", "2"]);
}

/// A reader that went away, as `head -1` does.
struct Closed;

impl Write for Closed {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::BrokenPipe.into())
    }
    fn flush(&mut self) -> io::Result<()> {
        Err(io::ErrorKind::BrokenPipe.into())
    }
}

#[test]
fn a_closed_pipe_is_no_error() {
    let agent = FakeAgent::start();
    answer(&agent, &["register", "web", "--port", "80"]);
    agent.with(|state| state.watches = vec![(CHANGES.to_owned(), false)]);
    let socket = agent.socket();
    let socket = socket.to_str().expect("plain");
    for command in ["services", "members", "watch", "info", "metrics"] {
        let exit = run(["shoal", command, "--socket", socket], &mut Closed, &mut Closed);
        assert_eq!(exit, Exit::Done, "{command}");
    }
    for line in [["shoal", "completions", "bash"].as_slice(), &["shoal", "man"], &["shoal", "--help"]] {
        assert_eq!(run(line, &mut Closed, &mut Closed), Exit::Done, "{line:?}");
    }
}

#[test]
fn help_completions_and_manual_name_every_command() {
    let printed = |line: &[&str]| {
        let mut out = Vec::new();
        assert_eq!(run(line, &mut out, &mut io::sink()), Exit::Done, "{line:?}");
        String::from_utf8(out).expect("text")
    };
    for line in [["shoal", "--help"].as_slice(), &["shoal", "completions", "bash"], &["shoal", "man"]] {
        let text = printed(line);
        // The manual's source writes a hyphen with a backslash.
        let text = text.replace('\\', "");
        for command in ["register", "heartbeat", "force-leave", "watch", "render", "top", "maintenance"] {
            assert!(text.contains(command), "{line:?} names {command}");
        }
    }
    assert!(printed(&["shoal", "man", "register"]).contains("check"));
    assert!(printed(&["shoal", "--version"]).contains(env!("CARGO_PKG_VERSION")));
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().to_str().expect("plain");
    printed(&["shoal", "man", "--dir", path]);
    assert!(directory.path().join("shoal-register.1").exists());
}

#[test]
fn the_flags_fit_together() {
    use clap::CommandFactory;
    super::Commands::command().debug_assert();
}

#[test]
fn a_round_trip_time_says_how_it_is_known() {
    let agent = FakeAgent::start();
    assert_eq!(answer(&agent, &["rtt", "n2"]), "n1 to n2: 420us (measured)\n");
    assert_eq!(agent.asked("GET /v1/shoal/rtt?a=_agent&b=n2"), 1);
    assert_eq!(answer(&agent, &["rtt", "n1", "n2"]), "n1 to n2: 12.3ms (estimated)\n");
    let told = answer_json(&agent, &["rtt", "n1", "n2"]);
    assert_eq!(told, json!({"a": "n1", "b": "n2", "rtt_ms": 12.3456, "source": "estimated"}));
    let (exit, err) = refused(&agent, &["rtt", "n4"]);
    assert_eq!(exit, Exit::No);
    assert!(err.contains("nothing is known yet of the time between n1 and n4"), "{err}");
    let (exit, err) = refused(&agent, &["rtt", "nope"]);
    assert_eq!((exit, err.contains("no node is named \"nope\"")), (Exit::No, true), "{err}");
    assert_eq!(refused(&agent, &["rtt"]).0, Exit::Usage);
}
