//! `shoal simulate` as a process: what it prints, what it writes, how it ends, and that it goes on
//! where it was stopped.

#![allow(clippy::disallowed_methods, reason = "real processes live in real time")]

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

const CRASH: &str = r#"
about = "Three nodes, one of which dies."
lasts = "40s"

[known]
detected_full_p99 = "as the others say"

[grid]
n = [3, 5]

[[nodes]]
count = "$n"
start = "settled"
services = 1

[[faults]]
at = "10s"
do = "power_off"
nodes = "n2"

[expect]
converged_within = "25s"
false_failures = 0
detected_full_p99 = ["> 1s", "< 20s"]
"#;

struct Dir(tempfile::TempDir);

impl Dir {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary directory"))
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        std::fs::write(&path, text).expect("the directory can be written");
        path.to_string_lossy().into_owned()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_shoal"));
    command.arg("simulate").args(args).stdin(Stdio::null());
    command
}

fn run(args: &[&str]) -> (i32, String, String) {
    let Output { status, stdout, stderr } = command(args).output().expect("the binary runs");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (status.code().expect("it ended by itself"), text(stdout), text(stderr))
}

/// An outcome without the real time that it took.
fn outcome(text: &str) -> Value {
    let mut value: Value = serde_json::from_str(text).expect("JSON");
    value["wall_s"] = Value::Null;
    value
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

#[test]
fn a_file_that_keeps_its_word_is_told_as_a_table_or_as_json() {
    let dir = Dir::new();
    let file = dir.file("crash.toml", CRASH);
    let (code, out, err) = run(&[&file, "--seeds", "3", "-q"]);
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    assert!(out.starts_with("crash: 2 points, seeds 1 to 3; "), "{out}");
    assert!(
        out.contains("detected_full_p99") && out.contains("known  detected_full_p99: as the others say"),
        "{out}"
    );
    assert!(out.ends_with("6 runs kept all that is expected\n"), "{out}");

    let (code, one, _) = run(&[&file, "--seeds", "3", "--format", "json", "--jobs", "1"]);
    assert_eq!(code, 0);
    let (_, many, _) = run(&[&file, "--seeds", "3", "--format", "json", "--jobs", "4"]);
    assert_eq!(outcome(&one), outcome(&many), "results do not depend on the number of threads");
    assert_eq!(outcome(&one)["runs"].as_array().map(Vec::len), Some(6));
    assert_eq!(outcome(&one)["ok"], true);
}

#[test]
fn what_cannot_be_is_refused_with_file_line_key_value_and_want() {
    let dir = Dir::new();
    let file = dir.file("wrong.toml", "lasts = \"40s\"\n[[nodes]]\ncount = 3\n[network]\nloss = 1.5\n");
    let (code, out, err) = run(&[&file]);
    assert_eq!((code, out.as_str()), (2, ""));
    assert_eq!(err, format!("shoal: {file}:5: network.loss = 1.5: want a share from 0 to 1, such as 0.05\n"));
    let missing = dir.path("missing.toml");
    let (code, _, err) = run(&[&missing.to_string_lossy()]);
    assert!(code == 2 && err.contains("cannot read") && err.contains("missing.toml"), "{code} {err}");
    let good = dir.file("crash.toml", CRASH);
    let (code, _, err) = run(&[&good, "--set", "m=3"]);
    assert!(code == 2 && err.contains("--set m=3: want a parameter: one of n"), "{code} {err}");
    let (code, _, err) = run(&[&good, "--set", "n=2"]);
    assert!(code == 2 && err.contains("nodes = \"n2\": want a node or group that exists"), "{code} {err}");
    let (code, _, err) = run(&[&good, "--mode", "raft"]);
    assert!(code == 2 && err.contains("raft"), "{code} {err}");
}

#[test]
fn an_expectation_that_does_not_hold_is_told_with_a_line_that_repeats_the_run() {
    let dir = Dir::new();
    let file = dir.file("hasty one.toml", &CRASH.replace("\"< 20s\"", "\"< 2s\""));
    let (code, out, _) = run(&[&file, "--seed", "7", "--set", "n=5"]);
    assert_eq!(code, 1, "{out}");
    let failure =
        out.lines().find(|line| line.contains("detected_full_p99 is ")).expect("the failure is told");
    assert!(failure.ends_with("want less than 2"), "{failure}");
    let replay = out.lines().find_map(|line| line.trim().strip_prefix("replay: ")).expect("so is the line");
    assert_eq!(replay, format!("shoal simulate '{file}' --seed 7 --set n=5"));
    let program = env!("CARGO_BIN_EXE_shoal");
    let pasted = format!("shoal() {{ '{program}' \"$@\"; }}; {replay}");
    let again = Command::new("sh").args(["-c", &pasted]).output().expect("a shell");
    assert_eq!(again.status.code(), Some(1));
    let again = String::from_utf8(again.stdout).expect("text");
    assert!(again.lines().any(|line| line == failure), "{again}");
}

#[test]
fn reports_and_the_log_of_a_run_are_written() {
    let dir = Dir::new();
    let file = dir.file("crash.toml", CRASH);
    let out = dir.path("a/b");
    let (code, told, _) = run(&[&file, "--out", &out.to_string_lossy(), "--format", "json", "-q"]);
    assert_eq!(code, 0);
    let written = out.join("crash");
    assert_eq!(read(&written.join("report.json")), told, "the same as is printed");
    let page = read(&written.join("report.html"));
    assert!(
        page.trim_start().starts_with("<!") && page.contains("<svg") && page.trim_end().ends_with("</html>")
    );
    let events = read(&written.join("events.jsonl"));
    let events: Vec<Value> = events.lines().map(|l| serde_json::from_str(l).expect("JSON")).collect();
    assert_eq!(events[0]["what"], "power off n2");
    assert_eq!(events[0]["at_s"], 10.0);
    let failed = events.iter().filter(|e| e["subject"] == "n2" && e["to"] == "failed").count();
    assert_eq!(failed, 2, "both of the others came to know");
    assert_eq!(read(&written.join("runs.jsonl")).lines().count(), 2);
    let strays = std::fs::read_dir(&written).expect("it is there").count();
    assert_eq!(strays, 4, "nothing half written is left behind");
}

#[test]
fn a_call_that_was_killed_goes_on_where_it_stopped() {
    let dir = Dir::new();
    let file = dir.file("crash.toml", &CRASH.replace("[3, 5]", "[20, 40]"));
    let out = dir.path("out");
    let runs = out.join("crash/runs.jsonl");
    let out = out.to_string_lossy().into_owned();
    let args = [&file, "--seeds", "30", "--jobs", "1", "--out", &out, "--format", "json"];
    let mut first = command(&args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it runs");
    let began = Instant::now();
    while std::fs::read_to_string(&runs).map_or(0, |text| text.lines().count()) < 3 {
        assert!(began.elapsed() < PATIENCE, "no run was finished");
        assert!(first.try_wait().expect("a child").is_none(), "it was too quick to be killed");
        std::thread::sleep(Duration::from_millis(5));
    }
    first.kill().expect("it can be killed");
    first.wait().expect("it ends");
    // As if the last line had been cut while it was written.
    let kept = read(&runs);
    let whole = kept.rfind('\n').map_or(0, |at| at + 1);
    let finished = kept[..whole].lines().count();
    std::fs::write(&runs, format!("{}{{\"key\":\"torn", &kept[..whole])).expect("written");
    let (code, resumed, err) = run(&args);
    assert_eq!(code, 0, "{err}");
    assert!(err.contains(&format!("{finished} finished runs were found and are not repeated")), "{err}");
    assert_eq!(read(&runs).lines().count(), 60, "each run once");

    let (_, again, err) = run(&args);
    assert!(err.contains("60 finished runs were found"), "{err}");
    assert_eq!(outcome(&again), outcome(&resumed));
    let (_, fresh, err) = run(&[&args[..], &["--fresh"]].concat());
    assert!(!err.contains("were found"), "{err}");
    let figures = |text: &str| -> Vec<Value> {
        let runs = outcome(text)["runs"].as_array().expect("a list").clone();
        runs.into_iter().map(|run| run["figures"].clone()).collect()
    };
    assert_eq!(figures(&fresh), figures(&resumed), "what is taken up is what would be run");
}

#[test]
fn ten_seeds_of_the_swarm_are_one_command_and_a_closed_pipe_is_no_error() {
    let swarm = concat!(env!("CARGO_MANIFEST_DIR"), "/simulations/swarm.toml");
    let mut child = command(&[swarm, "--seeds", "10"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    drop(child.stdout.take());
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
}

#[test]
fn what_each_variant_does_is_told_beside_the_others() {
    let dir = Dir::new();
    let text = r#"
about = "Some of thirty are blocked for a while, over and over."
lasts = "60s"
modes = ["shoal", "lifeguard", "swim"]

[[nodes]]
count = 30
start = "settled"

[[faults]]
at = "5s"
do = "block"
nodes = { pick = 6 }
for = "16s"
repeat = { pause = "200ms", until = "50s" }
"#;
    let file = dir.file("modes.toml", text);
    let (code, told, _) = run(&[&file, "--format", "json", "-q"]);
    assert_eq!(code, 0, "{told}");
    let report: Value = serde_json::from_str(&told).expect("JSON");
    let figure = |mode: &str, name: &str| {
        let of = report["modes"].as_array().expect("a list").iter().find(|m| m["mode"] == mode);
        of.expect("each variant is there")["figures"][name]["median"].as_f64()
    };
    for name in
        ["silenced_first_p50", "silenced_full_p99", "datagrams_per_node_s_mean", "bytes_per_node_s_mean"]
    {
        let [shoal, lifeguard, swim] = ["shoal", "lifeguard", "swim"].map(|mode| figure(mode, name));
        assert!(shoal.is_some() && lifeguard.is_some() && swim.is_some(), "{name}");
        assert!(
            lifeguard != swim && shoal != swim && shoal != lifeguard,
            "{name} is the same in two of them"
        );
    }
    let first = |mode| figure(mode, "silenced_first_p50").expect("somebody was failed");
    assert!(first("shoal") * 1.5 < first("swim"), "{} and {}", first("shoal"), first("swim"));
}
