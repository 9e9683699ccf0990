//! Templates of the agent's own configuration, with the real binary.

#![allow(clippy::disallowed_methods, reason = "real processes live in real time")]

#[path = "support/agent_process.rs"]
mod support;

use nix::sys::signal::Signal;
use std::fs;
use std::time::Duration;
use support::{Agent, PATIENCE, Place, finish, poll};

const WEB: &str = "{% for i in service('web') %}\n{{ i.endpoint }}\n{% endfor %}\n";

struct World {
    place: Place,
}

impl World {
    fn new() -> Self {
        Self { place: Place::new() }
    }

    fn path(&self, name: &str) -> String {
        self.place.path(name).display().to_string()
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect("is written");
    }

    fn becomes(&self, name: &str, text: &str, agent: &Agent) {
        let mut last = String::new();
        let found = poll(PATIENCE, || {
            last = fs::read_to_string(self.path(name)).unwrap_or_default();
            (last == text).then_some(())
        });
        assert!(found.is_some(), "{name} says {last:?}, want {text:?}\n{}", agent.log());
    }

    /// One entry; `more` are further lines of it.
    fn entry(&self, template: &str, out: &str, more: &str) -> String {
        let (template, out) = (self.path(template), self.path(out));
        format!("[[template]]\ntemplate = {template:?}\nout = {out:?}\n{more}\n")
    }

    fn start(&self) -> Agent {
        self.place.start("one", &["--config", &self.path("shoal.toml")])
    }
}

fn register(agent: &Agent, id: &str, port: u16) {
    let body = format!(r#"{{"Name": "web", "ID": "{id}", "Address": "10.0.0.5", "Port": {port}}}"#);
    assert_eq!(agent.put("/v1/agent/service/register", &body).status, 200);
}

fn metric(agent: &Agent, name: &str, wanted: impl Fn(f64) -> bool) {
    let mut text = String::new();
    let found = poll(PATIENCE, || {
        text = agent.get("/metrics").body;
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name} ")))?;
        line.parse().ok().filter(|value| wanted(*value)).map(drop)
    });
    let shown: Vec<&str> = text.lines().filter(|line| line.starts_with("shoal_template")).collect();
    assert!(found.is_some(), "{name} in {shown:?}\n{}", agent.log());
}

#[test]
fn an_agent_keeps_several_files_and_one_that_fails_holds_up_no_other() {
    let world = World::new();
    world.write("web.j2", WEB);
    world.write("count.j2", "{{ service('web')|length }}\n");
    world.write("bad.j2", "{{ service('web')[0].adress }}\n");
    world.write("bad", "good\n");
    let runs = world.path("runs");
    let exec = format!(
        "exec = 'echo run >> {runs}'\nverify = 'test -s {{}} || test ! -e $SHOAL_OUT'\ndebounce = '10ms'"
    );
    let slow = "exec = 'sleep 300'";
    let text = world.entry("web.j2", "web", &exec)
        + &world.entry("count.j2", "count", slow)
        + &world.entry("bad.j2", "bad", "debounce = '10ms'");
    world.write("shoal.toml", &text);
    let mut agent = world.start();
    world.becomes("count", "0\n", &agent);
    // The second one hangs in its command now; the others go on.
    register(&agent, "a", 80);
    world.becomes("web", "10.0.0.5:80\n", &agent);
    register(&agent, "b", 81);
    world.becomes("web", "10.0.0.5:80\n10.0.0.5:81\n", &agent);
    metric(&agent, "shoal_templates", |n| n == 3.0);
    metric(&agent, "shoal_templates_failing", |n| n == 1.0);
    metric(&agent, "shoal_template_failures_total", |n| n >= 2.0);
    metric(&agent, "shoal_template_writes_total", |n| n >= 3.0);
    assert!(agent.log().contains("bad.j2:1: ") && agent.log().contains("adress"), "{}", agent.log());
    assert_eq!(fs::read_to_string(world.path("bad")).expect("is there"), "good\n");
    assert!(agent.get("/v1/agent/self").body.contains("DebugConfig"));
    assert!(!agent.get("/v1/agent/self").body.contains("sleep 300"), "commands are not for every reader");
    // It ends in time though a command hangs, and writes nothing because it leaves.
    agent.signal(Signal::SIGTERM);
    assert_eq!(agent.exit_code(Duration::from_secs(8)), 0, "{}", agent.log());
    assert_eq!(fs::read_to_string(world.path("web")).expect("is there"), "10.0.0.5:80\n10.0.0.5:81\n");
    let left: Vec<String> = fs::read_dir(world.place.path(""))
        .expect("a directory")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .filter(|name| name.ends_with(".new"))
        .collect();
    assert!(left.is_empty(), "half-made files: {left:?}");
}

#[test]
fn a_reload_takes_up_changed_templates_and_a_changed_list() {
    let world = World::new();
    world.write("one.j2", "one {{ services()|length }}\n");
    world.write("two.j2", "two {{ services()|length }}\n");
    world.write("shoal.toml", &world.entry("one.j2", "one", ""));
    let agent = world.start();
    world.becomes("one", "one 0\n", &agent);
    world.write("one.j2", "new {{ services()|length }}\n");
    world.write("shoal.toml", &(world.entry("one.j2", "one", "") + &world.entry("two.j2", "two", "")));
    assert_eq!(agent.put("/v1/agent/reload", "").status, 200);
    world.becomes("one", "new 0\n", &agent);
    world.becomes("two", "two 0\n", &agent);
    assert!(!agent.log().contains("need a restart"), "{}", agent.log());
    world.write("shoal.toml", &world.entry("two.j2", "one", ""));
    assert_eq!(agent.put("/v1/agent/reload", "").status, 200);
    world.becomes("one", "two 0\n", &agent);
    metric(&agent, "shoal_templates", |n| n == 1.0);
    register(&agent, "a", 80);
    world.becomes("one", "two 1\n", &agent);
    assert_eq!(
        fs::read_to_string(world.path("two")).expect("is there"),
        "two 0\n",
        "nobody keeps it any more"
    );
    // A list that is wrong changes nothing.
    world.write("shoal.toml", &world.entry("two.j2", "one", "interval = 'soon'"));
    let refused = agent.put("/v1/agent/reload", "");
    assert!(
        refused.status == 500 && refused.body.contains("interval = \"soon\": want a duration"),
        "{refused:?}"
    );
    metric(&agent, "shoal_templates", |n| n == 1.0);
}

#[test]
fn the_configuration_that_is_shown_has_the_templates_and_reads_back() {
    let world = World::new();
    let more = "verify = 'true {}'\nexec = 'echo \"x\"'\ninterval = '5m'";
    world.write("shoal.toml", &world.entry("one.j2", "one", more));
    let check = |file: &str| {
        let ended = finish(
            &["config", "check", "--node", "n", "--no-persist", "--config", &world.path(file)]
                .map(str::to_owned),
        );
        assert_eq!(ended.code, Some(0), "{}", ended.err);
        ended.out
    };
    let shown = check("shoal.toml");
    assert!(shown.contains("[[template]]") && shown.contains("interval = \"5m\""), "{shown}");
    world.write("again.toml", &shown.replace("no_persist = true\n", ""));
    assert_eq!(check("again.toml"), shown);
}

#[test]
fn no_file_loses_what_is_elsewhere_because_the_agent_begins_anew() {
    let (world, other) = (World::new(), Place::new());
    world.write("web.j2", WEB);
    let history =
        format!("debounce = '1ms'\nexec = 'wc -l <{} >>{}'", world.path("web"), world.path("history"));
    let peer = other.start("two", &[]);
    let join = format!("join = {:?}\n", peer.gossip());
    world.write("shoal.toml", &(join + &world.entry("web.j2", "web", &history)));
    let mut agent = world.start();
    register(&peer, "a", 80);
    world.becomes("web", "10.0.0.5:80\n", &agent);
    agent.get_until("/v1/shoal/status", |status| status["catching_up"] == false);
    world.write("history", "");
    for port in [81, 82, 83] {
        agent.kill();
        agent = world.start();
        register(&peer, &format!("p{port}"), port);
        let wanted: String = (80..=port).map(|port| format!("10.0.0.5:{port}\n")).collect();
        world.becomes("web", &wanted, &agent);
    }
    let counts = fs::read_to_string(world.path("history")).expect("is there");
    let counts: Vec<u32> = counts.lines().map(|line| line.trim().parse().expect("a number")).collect();
    assert!(counts.is_sorted() && counts.first().is_some_and(|least| *least > 0), "{counts:?}");
}
