use super::*;
use crate::agent::AgentArgs;
use crate::model::{CheckKind, CheckStatus, ProbeTarget, ServiceDefinition};
use std::path::PathBuf;
use std::time::Duration;

/// Files in a directory of their own, read in the order of their names.
fn read(files: &[(&str, &str)], more: AgentArgs) -> Result<(AgentConfig, PathBuf), ConfigFault> {
    let dir = tempfile::tempdir().expect("a directory");
    for (name, text) in files {
        std::fs::write(dir.path().join(name), text).expect("writes");
    }
    let path = dir.path().to_owned();
    let args =
        AgentArgs { node: Some("n1".to_owned()), no_persist: true, config_dirs: vec![path.clone()], ..more };
    Ok((AgentConfig::load(&args)?, path))
}

fn services(files: &[(&str, &str)]) -> Vec<ServiceDefinition> {
    let args = AgentArgs { enable_local_script_checks: true, ..AgentArgs::default() };
    let (config, _) = read(files, args).expect("is valid");
    config.definitions().files().services.clone()
}

fn fault(name: &str, text: &str) -> String {
    read(&[(name, text)], AgentArgs::default()).expect_err("is refused").to_string()
}

const TOML: &str = r#"
[[service]]
id = "web-1"
name = "web"
port = 8080
address = "10.0.0.7"
tags = ["a", "b"]
meta = { version = "1" }
weights = { passing = 10, warning = 1 }
tagged_addresses = { wan = { address = "198.51.100.1", port = 80 } }
enable_tag_override = true
[[service.checks]]
http = "http://10.0.0.7:8080/health"
method = "POST"
header = { "X-Probe" = ["1"] }
interval = "10s"
timeout = "2s"
failures_before_critical = 3
deregister_critical_service_after = "90m"
[[service.checks]]
ttl = "15s"
status = "passing"

[[check]]
name = "disk"
args = ["/bin/true"]
interval = "30s"
"#;

const JSON: &str = r#"{
  "services": [{
    "id": "web-1", "name": "web", "port": 8080, "address": "10.0.0.7", "tags": ["a", "b"],
    "meta": {"version": "1"}, "weights": {"passing": 10, "warning": 1},
    "tagged_addresses": {"wan": {"address": "198.51.100.1", "port": 80}},
    "enable_tag_override": true,
    "checks": [
      {"http": "http://10.0.0.7:8080/health", "method": "POST", "header": {"X-Probe": ["1"]},
       "interval": "10s", "timeout": "2s", "failures_before_critical": 3,
       "deregister_critical_service_after": "90m"},
      {"ttl": "15s", "status": "passing"}
    ]
  }],
  "check": {"name": "disk", "args": ["/bin/true"], "interval": "30s"}
}"#;

#[test]
fn toml_and_json_say_the_same() {
    let (toml, json) = (services(&[("a.toml", TOML)]), services(&[("a.json", JSON)]));
    assert_eq!(toml, json);
    let [web] = toml.as_slice() else { panic!("one service: {toml:?}") };
    assert_eq!((web.service.id.as_str(), web.service.port), ("web-1", 8080));
    assert_eq!(web.service.weights.passing, 10);
    assert_eq!(web.service.tagged_addresses["wan"].port, 80);
    assert_eq!(web.service.tagged_addresses["lan_ipv4"].address, "10.0.0.7");
    let [http, ttl] = web.checks.as_slice() else { panic!("two checks") };
    assert_eq!(http.id.as_str(), "service:web-1:1");
    assert_eq!(http.deregister_critical_after, Some(Duration::from_secs(5_400)));
    assert_eq!(ttl.kind, CheckKind::Ttl { ttl: Duration::from_secs(15) });
    assert_eq!(ttl.initial_status, Some(CheckStatus::Passing));
}

/// Every field that definition files of this dialect may have, in both of its spellings.
#[test]
fn every_field_of_a_real_definition_is_taken() {
    let check = |fields: &str| {
        let text = format!(r#"{{"service": {{"name": "s", "check": {{{fields}}}}}}}"#);
        services(&[("s.json", &text)]).remove(0).checks.remove(0)
    };
    let every = r#""id": "c", "name": "n", "notes": "why", "token": "t", "status": "warning",
        "timeout": "3s", "output_max_size": 100, "success_before_passing": 2,
        "failures_before_warning": 1, "failures_before_critical": 3, "tls_server_name": "x",
        "tls_skip_verify": true, "deregister_critical_service_after": "2m""#;
    let kinds = [
        (
            r#""http": "https://h/", "method": "PUT", "header": {"A": ["b"]}, "body": "x", "disable_redirects": true, "interval": "5s""#,
            "http",
        ),
        (r#""tcp": "h:1", "tcp_use_tls": true, "interval": "5s""#, "tcp"),
        (r#""udp": "h:1", "interval": "5s""#, "udp"),
        (r#""grpc": "h:1/svc", "grpc_use_tls": true, "interval": "5s""#, "grpc"),
        (r#""h2ping": "h:1", "h2ping_use_tls": false, "interval": "5s""#, "h2ping"),
        (r#""args": ["/bin/true", "-x"], "shell": "", "interval": "5s""#, "script"),
        (r#""script_args": ["/bin/true"], "interval": "5s""#, "script"),
        (r#""ttl": "5s""#, "ttl"),
        (r#""alias_service": "other""#, "alias"),
        (r#""alias_node": "n2""#, "alias"),
        (r#""AliasNode": "n2", "AliasService": "other""#, "alias"),
        (r#""HTTP": "http://h/", "Interval": "5s""#, "http"),
    ];
    for (kind, word) in kinds {
        let found = check(&format!("{every}, {kind}"));
        assert_eq!(found.kind.as_str(), word, "{kind}");
        assert_eq!((found.id.as_str(), found.name.as_str(), found.notes.as_str()), ("c", "n", "why"));
        assert_eq!(found.initial_status, Some(CheckStatus::Warning));
        assert_eq!(found.deregister_critical_after, Some(Duration::from_secs(120)));
        if let CheckKind::Probe(probe) = &found.kind {
            assert_eq!((probe.interval.as_secs(), probe.timeout.as_secs()), (5, 3), "{kind}");
            assert_eq!((probe.successes_before_passing, probe.failures_before_critical), (2, 3));
            assert_eq!(probe.output_bytes_max, 100);
            if let ProbeTarget::Http(http) = &probe.target {
                assert_eq!(http.tls.server_name, "x");
            }
        }
    }
    let service = r#"{"service": {"id": "i", "name": "s", "tags": ["t"], "address": "h", "port": 1,
        "socket_path": "/run/s", "meta": {"k": "v"}, "kind": "", "token": "t", "enable_tag_override": true,
        "tagged_addresses": {"lan": {"address": "10.0.0.1", "port": 2}}, "weights": {"passing": 2, "warning": 1},
        "proxy": null, "connect": {}, "locality": null, "check": null, "checks": []}}"#;
    assert_eq!(services(&[("s.json", service)])[0].service.socket_path, "/run/s");
}

#[test]
fn whatever_is_wrong_names_the_file_the_definition_and_the_key() {
    let table = [
        (
            "a.toml",
            "\n[[service]]\nname = \"web\"\nport = \"80\"",
            "a.toml:2: service \"web\": Port is a string: want a whole number",
        ),
        (
            "a.toml",
            "[[service]]\nname = \"a\"\n\n[[service]]\nport = 1",
            "a.toml:4: service: Missing service name",
        ),
        ("a.toml", "[[service]]\nname = \"a\"\nprot = 1", "a.toml:1: service \"a\": unknown key prot"),
        (
            "a.toml",
            "[[service]]\nname = \"a\"\n[[service.checks]]\ninterval = \"soon\"",
            "service \"a\": Checks.Interval: invalid duration \"soon\": want a duration",
        ),
        (
            "a.toml",
            "[[check]]\nname = \"c\"\nhttp = \"http://h/\"",
            "a.toml:1: check \"c\": Invalid check: Interval must be > 0",
        ),
        (
            "a.toml",
            "[[check]]\nname = \"c\"\ndocker_container_id = \"x\"\ninterval = \"1s\"",
            "Docker checks are not supported",
        ),
        (
            "a.toml",
            "[service]\nname = \"a\"\nport = 70000",
            "a.toml:1: service \"a\": Invalid Port 70000: want 0 to 65535",
        ),
        ("a.toml", "service = 7", "a.toml:1: service: number 7: want an object"),
        (
            "a.json",
            "{\"service\": {\"name\": \"a\", \"connect\": {\"native\": true}}}",
            "a.json: service \"a\": Connect is not supported",
        ),
        ("a.json", "{\"service\": ", "a.json: EOF while parsing"),
        ("a.json", "{} {}", "a.json: trailing characters"),
        ("a.json", "[]", "a.json: want an object with service"),
        (
            "a.json",
            "{\"server\": true}",
            "a.json: unknown key server = Bool(true): want service, services, check or checks",
        ),
        (
            "a.toml",
            "[[check]]\nname = \"c\"\nargs = [\"/bin/true\"]\ninterval = \"1s\"",
            "a.toml:1: check \"c\": Args: scripts are disabled on this agent: want enable_local_script_checks",
        ),
    ];
    for (name, text, want) in table {
        let said = fault(name, text);
        assert!(said.contains(want), "{text}\n{said}\n{want}");
        assert!(said.contains(name), "{said}");
    }
}

#[test]
fn no_two_definitions_have_the_same_id() {
    let twice = [("a.toml", "[[service]]\nname = \"web\""), ("b.json", "{\"service\": {\"name\": \"web\"}}")];
    let said = read(&twice, AgentArgs::default()).expect_err("is refused").to_string();
    assert!(
        said.contains("b.json: service \"web\": service \"web\" is defined at ")
            && said.contains("a.toml:1 already"),
        "{said}"
    );
    let checks = [(
        "a.toml",
        "[[service]]\nname = \"web\"\ncheck = { ttl = \"5s\" }\n[[check]]\nname = \"service:web\"\nttl = \"5s\"",
    )];
    let said = read(&checks, AgentArgs::default()).expect_err("is refused").to_string();
    assert!(said.contains("check \"service:web\" is defined at "), "{said}");
}

#[test]
fn definitions_stand_beside_settings_and_are_named_by_place() {
    let text = "log_level = \"warn\"\n\n[[service]]\nname = \"web\"\n";
    let (config, dir) =
        read(&[("a.toml", text), ("notes.txt", "not read")], AgentArgs::default()).expect("valid");
    assert_eq!(config.log_level(), "warn");
    let lines: Vec<String> = config.definitions().lines().collect();
    assert_eq!(lines, [format!("service \"web\" ({}:3)", dir.join("a.toml").display())]);
}
