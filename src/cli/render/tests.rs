use super::*;
use crate::client::testing::FakeAgent;
use clap::Parser;
use serde_json::json;
use std::fs;
use tokio::sync::mpsc;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    render: Render,
}

/// An agent, a directory, and what is typed there.
struct World {
    agent: FakeAgent,
    directory: tempfile::TempDir,
}

impl World {
    fn new(template: &str) -> Self {
        let world = Self { agent: FakeAgent::start(), directory: tempfile::tempdir().expect("a directory") };
        world.write("in", template);
        world.web(&["10.0.0.5", "10.0.0.6"]);
        world
    }

    /// Instances of web on other nodes; the last one is critical.
    fn web(&self, addresses: &[&str]) {
        let instance = |at: usize, address: &str| {
            let status = if at + 1 == addresses.len() { "critical" } else { "passing" };
            json!({"Node": {"Node": "n2", "Address": "10.0.0.2"},
                "Service": {"ID": format!("w{at}"), "Service": "web", "Address": address, "Port": 80},
                "Checks": [{"CheckID": "c", "Status": status}]})
        };
        let instances = addresses.iter().enumerate().map(|(at, address)| instance(at, address)).collect();
        self.agent.with(|state| state.elsewhere = instances);
    }

    fn path(&self, name: &str) -> String {
        self.directory.path().join(name).display().to_string()
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect("is written");
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    async fn run(
        &self,
        line: &[&str],
        signals: UnboundedReceiver<Signal>,
    ) -> (Result<Exit, Failure>, String) {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut output = Output::new(&mut out, &mut err);
        let args = Line::try_parse_from([&["render"], line].concat()).expect("valid flags").render;
        let client = Client::connect(self.agent.socket()).expect("a path");
        let exit = keep_rendered(args, client, signals, &mut output).await;
        (exit, String::from_utf8([out, err].concat()).expect("text"))
    }

    async fn once(&self, more: &[&str]) -> (Exit, String) {
        let (input, out) = (self.path("in"), self.path("out"));
        let line = [&[input.as_str(), out.as_str(), "--once"], more].concat();
        let (exit, told) = self.run(&line, mpsc::unbounded_channel().1).await;
        (exit.expect("the agent answers"), told)
    }

    async fn until(&self, name: &str, text: &str) {
        while self.read(name) != text {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

const WEB: &str = "{% for i in service('web') %}\n{{ i.endpoint }} {{ i.weight }}\n{% endfor %}\n";

#[tokio::test]
async fn a_file_is_written_when_its_content_changes_and_then_the_command_runs() {
    let world = World::new(WEB);
    let exec = format!("echo run >> {}", world.path("runs"));
    for _ in 0..2 {
        assert_eq!(world.once(&["--exec", &exec]).await.0, Exit::Done);
        assert_eq!((world.read("out").as_str(), world.read("runs").as_str()), ("10.0.0.5:80 1\n", "run\n"));
    }
    world.web(&["10.0.0.5", "10.0.0.6", "10.0.0.7"]);
    assert_eq!(world.once(&["--exec", &exec]).await.0, Exit::Done);
    assert_eq!(world.read("out"), "10.0.0.5:80 1\n10.0.0.6:80 1\n");
    assert_eq!(world.read("runs"), "run\nrun\n");
}

#[tokio::test]
async fn what_is_not_good_replaces_nothing_and_ends_with_1() {
    let world = World::new("one\n{{ service('web')[0].adress }}\n");
    world.write("out", "good");
    let exec = format!("echo run >> {}", world.path("runs"));
    let (exit, told) = world.once(&["--exec", &exec]).await;
    assert!(exit == Exit::No && told.contains("in:2: ") && told.contains("adress"), "{told}");
    world.write("in", WEB);
    let verify = "test \"$SHOAL_FILE\" = {} && grep -q 10.0.0.5 {} && exit 4";
    let (exit, told) = world.once(&["--exec", &exec, "--verify", verify]).await;
    assert!(exit == Exit::No && told.contains("--verify failed: exit code 4"), "{told}");
    let (exit, told) = world.once(&["--verify", "sleep 300", "--timeout", "50ms"]).await;
    assert!(exit == Exit::No && told.contains("more than 50ms"), "{told}");
    assert_eq!((world.read("out").as_str(), world.read("runs").as_str()), ("good", ""));
    let left = fs::read_dir(world.directory.path()).expect("a directory").count();
    assert_eq!(left, 2, "template and file, nothing else");
    let (exit, told) = world.once(&["--verify", "test -s {}", "--exec", "exit 5"]).await;
    assert!(exit == Exit::No && told.contains("--exec failed: exit code 5"), "{told}");
    assert_eq!(world.read("out"), "10.0.0.5:80 1\n");
}

#[tokio::test]
async fn a_template_without_an_end_is_too_large() {
    let world = World::new("");
    let (exit, told) = world.run(&["/dev/zero", "-", "--once"], mpsc::unbounded_channel().1).await;
    assert_eq!(exit.expect("the agent answers"), Exit::No);
    assert!(told.contains("/dev/zero: cannot be read: it is too large"), "{told}");
}

#[tokio::test]
async fn templates_ask_about_what_answers_named() {
    let world = World::new(
        "{% for s in services() %}{{ s.name }}={{ service(s.name, all=true)|length }} {% endfor %}\
         {% for n in nodes() %}{{ n.name }}@{{ n.address }}{% endfor %} \
         {% for m in members() %}{{ m.name }}:{{ m.status }}:{{ m.rtt_ms }} {% endfor %}",
    );
    let input = world.path("in");
    let (exit, told) = world.run(&[&input, "-", "--once"], mpsc::unbounded_channel().1).await;
    assert_eq!(exit.expect("renders"), Exit::Done);
    assert_eq!(told, "web=2 n1@10.0.0.1 n1:alive:None n2:failed:0.42 ");
}

#[tokio::test]
async fn changes_that_matter_render_again_over_a_restart_until_a_signal() {
    let mut world = World::new(WEB);
    let change = |index: u64, service: &str| {
        let data = json!({"index": index, "kind": "instance-changed", "service": service});
        format!("id: {index}\nevent: change\ndata: {data}\n\n")
    };
    world.agent.with(|state| {
        state.watches = vec![(change(1, "other"), false), (change(2, "web"), false)];
    });
    let (signal, signals) = mpsc::unbounded_channel();
    let (input, out, socket) = (world.path("in"), world.path("out"), world.agent.socket());
    let line = ["render", &input, &out, "--debounce", "5ms"];
    let args = Line::try_parse_from(line).expect("valid flags").render;
    let (mut told, mut err) = (Vec::new(), Vec::new());
    let mut output = Output::new(&mut told, &mut err);
    let client = Client::connect(socket).expect("a path");
    let keeping = keep_rendered(args, client, signals, &mut output);
    let operating = async {
        world.until("out", "10.0.0.5:80 1\n").await;
        let asked = world.agent.asked("GET /v1/health/service/web");
        // The new stream tells of a change of web; what the agent knows changed meanwhile.
        world.web(&["10.0.0.8", "10.0.0.6"]);
        world.agent.restart();
        world.until("out", "10.0.0.8:80 1\n").await;
        assert!(asked <= 2, "a service that no template asks about is no reason to ask: {asked}");
        world.write("in", "now {{ service('web')|length }}");
        signal.send(Signal::SIGHUP).expect("it listens");
        world.until("out", "now 1").await;
        // While the agent is away nothing tells when it is time, so it has to be tried.
        world.agent.stop();
        world.write("in", "back {{ service('web')|length }}");
        signal.send(Signal::SIGHUP).expect("it listens");
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(world.read("out"), "now 1");
        world.agent.restart();
        world.until("out", "back 1").await;
        signal.send(Signal::SIGTERM).expect("it listens");
    };
    let (exit, ()) = tokio::join!(keeping, operating);
    assert_eq!(exit.expect("ends well"), Exit::Done);
    assert!(String::from_utf8_lossy(&err).contains("the agent is back"));
}

/// The worked examples, with what the documentation says comes of them.
#[tokio::test]
async fn the_examples_render() {
    let world = World::new("");
    world.web(&["10.0.0.5", "2001:db8::7", "10.0.0.6"]);
    for (name, wanted) in [
        (
            "haproxy.cfg.j2",
            ["server n2-w0 10.0.0.5:80 check weight 1", "server n2-w1 [2001:db8::7]:80 check weight 1"],
        ),
        ("nginx-upstreams.conf.j2", ["server 10.0.0.5:80 weight=1;", "server [2001:db8::7]:80 weight=1;"]),
    ] {
        let example = format!("{}/docs/examples/{name}", env!("CARGO_MANIFEST_DIR"));
        let (exit, told) = world.run(&[&example, "-", "--once"], mpsc::unbounded_channel().1).await;
        assert_eq!(exit.expect("renders"), Exit::Done, "{told}");
        for line in wanted {
            assert!(told.lines().any(|text| text.trim() == line), "{name}: no {line} in\n{told}");
        }
    }
}

#[test]
fn files_are_named_as_two_words_or_as_pairs() {
    let told = |words: &[&str]| {
        let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
        pairs(&words).ok().map(|pairs| {
            let text = |pair: Pair| format!("{} to {}", pair.template.display(), pair.out.display());
            pairs.into_iter().map(text).collect::<Vec<_>>().join(", ")
        })
    };
    assert_eq!(told(&["a", "b"]).as_deref(), Some("a to b"));
    assert_eq!(told(&["a:b"]).as_deref(), Some("a to b"));
    assert_eq!(told(&["a:b", "c:d"]).as_deref(), Some("a to b, c to d"));
    for wrong in [["a"].as_slice(), &["a", "b", "c"], &["a:b", "c:d", "e"], &["a:x", "b:x"], &[":a"]] {
        assert_eq!(told(wrong), None, "{wrong:?}");
    }
}
