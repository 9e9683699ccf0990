//! Who may do what with a real agent: the kernel's word on the Unix socket, token and host over TCP.

#![allow(clippy::disallowed_methods, reason = "real processes live in real time")]

#[path = "support/agent_process.rs"]
mod agent_process;

use agent_process::{Answer, PATIENCE, Place};
use std::io::Write;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;

const TOKEN: &str = "a-token-of-this-test";

fn ask_over_tcp(addr: &str, host: &str, more: &str) -> Answer {
    let mut stream = TcpStream::connect(addr).expect("connects");
    stream.set_read_timeout(Some(PATIENCE)).expect("is set");
    let request = format!("GET /v1/agent/self HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n{more}\r\n");
    stream.write_all(request.as_bytes()).expect("the request is sent");
    Answer::read(stream)
}

#[test]
fn rules_know_the_user_at_the_socket_and_changes_are_logged_with_it() {
    let place = Place::new();
    let uid = nix::unistd::getuid();
    let config = place.path("rules.toml");
    let rules = format!(
        "[access]\nread = [{uid}]\nadminister = [{}]\n[access.register]\n\"web*\" = [{uid}]\n",
        uid.as_raw().wrapping_add(1)
    );
    std::fs::write(&config, rules).expect("writes");
    let agent = place.start("a", &["--config", &config.display().to_string()]);
    assert_eq!(agent.put("/v1/agent/service/register", r#"{"Name":"web"}"#).status, 200);
    let refused = agent.put("/v1/agent/service/register", r#"{"Name":"db"}"#);
    let me = format!("no rule of access.register covers it; uid {uid} (gid ");
    assert!(refused.status == 403 && refused.body.contains(&me), "{refused:?}");
    assert_eq!(agent.put("/v1/agent/leave", "").status, 403);
    let services = agent.get("/v1/agent/services").json();
    assert_eq!(services.as_object().map(serde_json::Map::len), Some(1), "{services}");
    let line = format!("changed over the API uid={uid} gid={}", nix::unistd::getgid());
    let pid = format!("pid={}", std::process::id());
    let log = agent.log();
    let noted = log.lines().any(|l| l.contains(&line) && l.contains(&pid) && l.contains("register service"));
    assert!(noted, "no line with {line} and {pid} in\n{log}");
}

#[test]
fn over_tcp_token_and_host_are_wanted_and_on_the_socket_neither() {
    let place = Place::new();
    let token = place.path("token");
    std::fs::write(&token, format!("{TOKEN}\n")).expect("writes");
    std::fs::set_permissions(&token, std::fs::Permissions::from_mode(0o600)).expect("is set");
    let agent =
        place.start("a", &["--http", "127.0.0.1:0", "--http-token-file", &token.display().to_string()]);
    let line = agent.printed.iter().find_map(|l| l.strip_prefix("http"));
    let addr = line.expect("is printed").trim().trim_start_matches("http://").to_owned();
    let bearer = format!("authorization: Bearer {TOKEN}\r\n");
    assert_eq!(ask_over_tcp(&addr, &addr, &bearer).status, 200);
    assert_eq!(ask_over_tcp(&addr, "localhost", &format!("x-consul-token: {TOKEN}\r\n")).status, 200);
    assert_eq!(ask_over_tcp(&addr, &addr, "").status, 403);
    assert_eq!(ask_over_tcp(&addr, "rebound.example", &bearer).status, 403);
    assert_eq!(agent.get("/v1/agent/self").status, 200);
    let members = |token: &str| {
        let mut command = agent_process::shoal();
        let said =
            command.args(["members", "--socket", &format!("tcp://{addr}")]).env("SHOAL_HTTP_TOKEN", token);
        said.output().expect("runs").status.code()
    };
    assert_eq!((members(TOKEN), members("another-token-than-this")), (Some(0), Some(1)));
    let metrics = agent.get("/metrics").body;
    assert!(metrics.contains("shoal_api_refused_total{by=\"token\"} 2\n"), "{metrics}");
    assert!(metrics.contains("shoal_api_refused_total{by=\"host\"} 1\n"), "{metrics}");
    let shown = agent.get("/v1/agent/self").body;
    assert!(!shown.contains(TOKEN) && !agent.log().contains(TOKEN), "the token is told");
}
