//! Who may do what with a real agent: the kernel's word on the Unix socket, token and host over TCP.

#![allow(clippy::disallowed_methods, reason = "real processes live in real time")]

#[path = "support/agent_process.rs"]
mod agent_process;

use agent_process::{Agent, Answer, PATIENCE, Place, poll};
use nix::sys::signal::Signal;
use std::io::Write;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

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
    let addr = tcp(&agent);
    let bearer = bearer(TOKEN);
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

/// Where the API is served over TCP.
fn tcp(agent: &Agent) -> String {
    let line = agent.printed.iter().find_map(|l| l.strip_prefix("http"));
    line.expect("is printed").trim().trim_start_matches("http://").to_owned()
}

fn bearer(token: &str) -> String {
    format!("authorization: Bearer {token}\r\n")
}

fn keep_secret(path: &Path, text: &str) {
    std::fs::write(path, format!("{text}\n")).expect("writes");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).expect("is set");
}

#[test]
fn rules_that_are_read_again_hold_for_the_next_request_and_a_bad_file_changes_none() {
    let place = Place::new();
    let me = nix::unistd::getuid().as_raw();
    let nobody = me.wrapping_add(1);
    let config = place.path("rules.toml");
    let write = |text: String| std::fs::write(&config, text).expect("writes");
    let register = |agent: &Agent, name: &str| {
        agent.put("/v1/agent/service/register", &format!("{{\"Name\": \"{name}\"}}")).status
    };
    write(format!("[access.register]\nweb = [{me}]\n"));
    let agent = place.start("a", &["--config", &config.display().to_string()]);
    assert_eq!((register(&agent, "web"), register(&agent, "db")), (200, 403));

    write(format!("[access.register]\ndb = [{me}]\n\"*\" = [{nobody}]\n"));
    assert_eq!(agent.put("/v1/agent/reload", "").status, 200);
    assert_eq!((register(&agent, "web"), register(&agent, "db")), (403, 200));
    let refused = agent.put("/v1/agent/service/deregister/web", "");
    assert!(refused.body.contains("access.register.\"*\" allows"), "{refused:?}");

    // What is in the files is taken as a whole or not at all, and it is said what is wrong.
    write(format!(
        "log_level = \"trace\"\n[access]\nread = [\"no-such-user\"]\nregister = {{web = [{me}]}}\n"
    ));
    let refused = agent.put("/v1/agent/reload", "");
    assert_eq!(refused.status, 500, "{refused:?}");
    for word in ["rules.toml", "access.read", "no-such-user", "want a list of users of this host"] {
        assert!(refused.body.contains(word), "no {word} in {refused:?}");
    }
    assert_eq!((register(&agent, "web"), register(&agent, "db")), (403, 200));
    agent.signal(Signal::SIGHUP);
    let told = |text: &str, times: usize| {
        let found = poll(PATIENCE, || (agent.log().matches(text).count() >= times).then_some(()));
        assert!(found.is_some(), "not {times} times {text}:\n{}", agent.log());
    };
    told("the configuration was not changed", 2);
    assert_eq!(register(&agent, "web"), 403);

    // Whoever shuts himself out can read the rules again by signal, as the agent's user.
    write(format!("[access]\nadminister = [{nobody}]\n"));
    assert_eq!(agent.put("/v1/agent/reload", "").status, 200);
    assert_eq!((register(&agent, "web"), agent.put("/v1/agent/reload", "").status), (200, 403));
    write(String::new());
    agent.signal(Signal::SIGHUP);
    let done = poll(PATIENCE, || (agent.put("/v1/agent/reload", "").status == 200).then_some(()));
    assert!(done.is_some(), "{}", agent.log());
    told("who may use the API was changed rules=true token=false http_hosts=false", 3);
}

#[test]
fn a_token_that_is_read_again_is_wanted_of_the_next_request() {
    let place = Place::new();
    let (token, config) = (place.path("token"), place.path("agent.toml"));
    keep_secret(&token, TOKEN);
    let configured = |more: &str| {
        let text = format!("http = \"127.0.0.1:0\"\n{more}");
        std::fs::write(&config, text).expect("writes");
    };
    let file = format!("http_token_file = {:?}\n", token.display().to_string());
    configured(&file);
    let agent = place.start("a", &["--config", &config.display().to_string()]);
    let addr = tcp(&agent);
    let status = |host: &str, token: &str| ask_over_tcp(&addr, host, &bearer(token)).status;
    let other = "another-token-of-this-test";
    assert_eq!((status(&addr, TOKEN), status(&addr, other)), (200, 403));
    assert_eq!(status("agent.example", TOKEN), 403);

    keep_secret(&token, other);
    configured(&format!("{file}http_hosts = [\"agent.example\"]\n"));
    assert_eq!(agent.put("/v1/agent/reload", "").status, 200);
    assert_eq!((status(&addr, TOKEN), status("agent.example", other)), (403, 200));

    // A token that others could read is none: the last one stays.
    std::fs::write(&token, "a-third-token-of-this-test\n").expect("writes");
    std::fs::set_permissions(&token, std::fs::Permissions::from_mode(0o644)).expect("is set");
    let refused = agent.put("/v1/agent/reload", "");
    assert_eq!(refused.status, 500, "{refused:?}");
    for word in ["agent.toml", "http_token_file", "want a file that others cannot read"] {
        assert!(refused.body.contains(word), "no {word} in {refused:?}");
    }
    assert_eq!((status(&addr, other), status(&addr, "a-third-token-of-this-test")), (200, 403));
    let known = [agent.log(), agent.get("/v1/agent/self").body, refused.body];
    for secret in [TOKEN, other, "a-third-token-of-this-test"] {
        assert!(known.iter().all(|text| !text.contains(secret)), "{secret} is told");
    }
    // Only this host reaches the address, so that the token can be given up.
    configured("");
    assert_eq!(agent.put("/v1/agent/reload", "").status, 200);
    assert_eq!(ask_over_tcp(&addr, &addr, "").status, 200);
}
