//! How soon each kind of check shows what became of its target.

use super::process::quantile;
use super::support::{Agent, Place, poll};
use super::targets::{Identity, Manner, Speaks, Target};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

/// A change that takes longer than this did not happen.
const PATIENCE: Duration = Duration::from_secs(10);
/// What is to stay as it is is watched for this long: more than two runs.
const WATCHED: Duration = Duration::from_millis(2_600);

/// What changes the target of one check.
enum Lever {
    Server(Target),
    /// A script that does what a file says.
    Script(PathBuf),
}

struct Kind {
    name: &'static str,
    lever: Lever,
    fields: Value,
    manners: Vec<Manner>,
    /// Silence says nothing about whether a datagram was received.
    silence_is_fine: bool,
}

impl Kind {
    fn turn(&self, manner: Manner) {
        match &self.lever {
            Lever::Server(target) => target.turn(manner),
            Lever::Script(file) => {
                let does = match manner {
                    Manner::Good => "exit 0",
                    Manner::Slow => "sleep 0.5; exit 0",
                    Manner::Hanging => "sleep 60",
                    Manner::Resetting => "kill -9 $$",
                    Manner::Gone => "exec /no/such/program",
                    Manner::BadCertificate => "exit 2",
                };
                let new = file.with_extension("new");
                std::fs::write(&new, does).expect("writes");
                std::fs::rename(&new, file).expect("renames");
            }
        }
    }
}

fn kinds(runtime: &Runtime, identity: &Identity, place: &Place) -> Vec<Kind> {
    use Manner::{BadCertificate, Gone, Hanging, Resetting, Slow};
    let start = |speaks, tls| runtime.block_on(Target::start(speaks, tls));
    let plain = || vec![Slow, Hanging, Resetting, Gone];
    let sealed = || vec![Slow, Hanging, Resetting, Gone, BadCertificate];
    let server = |name, speaks, tls: bool, fields: &dyn Fn(String) -> Value| {
        let target = start(speaks, tls.then_some(identity));
        let fields = fields(format!("localhost:{}", target.addr.port()));
        Kind {
            name,
            lever: Lever::Server(target),
            fields,
            manners: if tls { sealed() } else { plain() },
            silence_is_fine: false,
        }
    };
    let script = place.path("does");
    std::fs::write(&script, "exit 0").expect("writes");
    let args = ["/bin/sh".to_owned(), script.display().to_string()];
    let mut all = vec![
        server("HTTP", Speaks::Http, false, &|at| json!({"HTTP": format!("http://{at}/")})),
        server(
            "HTTP, 3 failures, 2 successes",
            Speaks::Http,
            false,
            &|at| json!({"HTTP": format!("http://{at}/"), "FailuresBeforeCritical": 3, "SuccessBeforePassing": 2}),
        ),
        server("HTTPS", Speaks::Http, true, &|at| json!({"HTTP": format!("https://{at}/")})),
        server("gRPC", Speaks::Grpc, false, &|at| json!({"GRPC": at})),
        server("gRPC, TLS", Speaks::Grpc, true, &|at| json!({"GRPC": at, "GRPCUseTLS": true})),
        server("H2PING", Speaks::Http2, false, &|at| json!({"H2PING": at, "H2PingUseTLS": false})),
        server("H2PING, TLS", Speaks::Http2, true, &|at| json!({"H2PING": at})),
        Kind {
            name: "script",
            lever: Lever::Script(script),
            fields: json!({"Args": args}),
            manners: sealed(),
            silence_is_fine: false,
        },
    ];
    // A connection is all that these want, and a silent server gives one.
    let mut tcp = server("TCP", Speaks::Tcp, false, &|at| json!({"TCP": at}));
    tcp.manners = vec![Gone];
    let mut tcp_tls = server("TCP, TLS", Speaks::Tcp, true, &|at| json!({"TCP": at, "TCPUseTLS": true}));
    tcp_tls.manners = vec![Slow, Hanging, Resetting, Gone, BadCertificate];
    let mut udp =
        server("UDP", Speaks::Udp, false, &|at| json!({"UDP": at.replace("localhost", "127.0.0.1")}));
    udp.manners = vec![Slow, Hanging, Gone];
    udp.silence_is_fine = true;
    all.extend([tcp, tcp_tls, udp]);
    all
}

fn status(agent: &Agent, id: &str) -> String {
    let checks = agent.get("/v1/agent/checks").json();
    checks[id]["Status"].as_str().unwrap_or_default().to_owned()
}

/// Turns the target and waits until the check says `wanted`.
fn until(agent: &Agent, kind: &Kind, manner: Manner, wanted: &str) -> f64 {
    let start = Instant::now();
    kind.turn(manner);
    let seen = poll(PATIENCE, || (status(agent, kind.name) == wanted).then_some(()));
    assert!(seen.is_some(), "{} is {} and not {wanted} when {manner:?}", kind.name, status(agent, kind.name));
    start.elapsed().as_secs_f64()
}

/// A line of the table: times until it was noticed, and until it was noticed that all is well again.
type Row = (String, &'static str, Vec<f64>, Vec<f64>);

fn go_through(agent: &Agent, kind: &Kind, rounds: u64) -> Vec<Row> {
    until(agent, kind, Manner::Good, "passing");
    kind.manners
        .iter()
        .map(|manner| {
            let stays = *manner == Manner::Slow || (*manner == Manner::Hanging && kind.silence_is_fine);
            let (mut fell, mut rose) = (Vec::new(), Vec::new());
            for _ in 0..rounds {
                if stays {
                    kind.turn(*manner);
                    let changed = poll(WATCHED, || (status(agent, kind.name) != "passing").then_some(()));
                    assert!(changed.is_none(), "{} fell when {manner:?}", kind.name);
                } else {
                    fell.push(until(agent, kind, *manner, "critical"));
                }
                rose.push(until(agent, kind, Manner::Good, "passing"));
            }
            let verdict = if stays { "stays passing" } else { "critical" };
            (format!("{manner:?}"), verdict, fell, rose)
        })
        .collect()
}

fn shown(times: &mut [f64]) -> String {
    times.sort_by(f64::total_cmp);
    match times.last() {
        None => "-".to_owned(),
        Some(most) => format!("{:.2} / {most:.2}", quantile(times, 0.5)),
    }
}

pub(crate) fn measure(runtime: &Runtime, identity: &Identity, rounds: u64) {
    let place = Place::new();
    let agent = place.start("one", &["--enable-script-checks"]);
    let kinds = kinds(runtime, identity, &place);
    for kind in &kinds {
        let mut body = kind.fields.clone();
        for (key, value) in [("ID", kind.name), ("Name", kind.name), ("Interval", "1s"), ("Timeout", "1s")] {
            body[key] = json!(value);
        }
        let answer = agent.put("/v1/agent/check/register", &body.to_string());
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    println!("Interval 1 s, timeout 1 s, {rounds} rounds; seconds, median / most.\n");
    println!("| check | the target is | verdict | after | passing again after |");
    println!("|---|---|---|---|---|");
    let agent = &agent;
    let rows: Vec<(&str, Vec<Row>)> = std::thread::scope(|scope| {
        let running: Vec<_> = kinds
            .iter()
            .map(|kind| (kind.name, scope.spawn(move || go_through(agent, kind, rounds))))
            .collect();
        running.into_iter().map(|(name, run)| (name, run.join().expect("goes through"))).collect()
    });
    for (name, rows) in rows {
        for (manner, verdict, mut fell, mut rose) in rows {
            let (fell, rose) = (shown(&mut fell), shown(&mut rose));
            println!("| {name} | {manner} | {verdict} | {fell} | {rose} |");
        }
    }
    let zombies = children(agent.pid().as_raw()).into_iter().filter(|state| *state == 'Z').count();
    println!("\nZombies among the agent's children: {zombies}\n");
}

/// The states of a process's children.
fn children(parent: i32) -> Vec<char> {
    let entries = std::fs::read_dir("/proc").expect("lists");
    entries
        .filter_map(|entry| std::fs::read_to_string(entry.ok()?.path().join("stat")).ok())
        .filter_map(|stat| {
            let rest = stat.rsplit(") ").next()?;
            let mut fields = rest.split(' ');
            let state = fields.next()?.chars().next()?;
            (fields.next()?.parse::<i32>().ok()? == parent).then_some(state)
        })
        .collect()
}
