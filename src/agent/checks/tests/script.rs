//! Programs.

use super::*;
use nix::sys::signal::kill;
use nix::unistd::Pid;

pub(super) fn shell(script: &str) -> ProbeTarget {
    ProbeTarget::Script { args: ["sh", "-c", script].map(str::to_owned).to_vec() }
}

/// Whether a process is there and not just waiting for its parent to notice that it is not.
pub(super) fn is_alive(id: i32) -> bool {
    let state = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    let state = state.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
    kill(Pid::from_raw(id), None).is_ok() && state != Some('Z')
}

/// Whether a child of this process is there, dead or alive.
pub(super) fn is_ours(id: i32) -> bool {
    let state = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    let parent = state.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(1));
    parent.is_some_and(|parent| parent == std::process::id().to_string())
}

#[tokio::test]
async fn the_exit_code_decides() {
    assert_finding(&found(shell("echo fine")).await, CheckStatus::Passing, "fine\n");
    assert_finding(&found(shell("echo so so; exit 1")).await, CheckStatus::Warning, "so so\n");
    assert_finding(&found(shell("echo bad >&2; exit 2")).await, CheckStatus::Critical, "bad\n");
    assert_finding(&found(shell("kill -9 $$")).await, CheckStatus::Critical, "");
}

#[tokio::test]
async fn both_outputs_are_shown_in_order() {
    let finding = found(shell("echo 1; echo 2 >&2; echo 3; echo 4 >&2")).await;
    assert_finding(&finding, CheckStatus::Passing, "1\n2\n3\n4\n");
}

#[tokio::test]
async fn there_is_nothing_to_read_and_the_environment_is_that_of_the_agent() {
    assert_finding(&found(shell("cat; echo read")).await, CheckStatus::Passing, "read\n");
    let path = std::env::var("PATH").expect("is set");
    assert_finding(&found(shell("echo \"$PATH\"")).await, CheckStatus::Passing, &format!("{path}\n"));
}

#[tokio::test]
async fn a_program_that_is_not_there_is_named() {
    let args = |args: &[&str]| ProbeTarget::Script { args: args.iter().map(|&a| a.to_owned()).collect() };
    let finding = found(args(&["no-such-program"])).await;
    let wanted = "exec: \"no-such-program\": executable file not found in $PATH";
    assert_finding(&finding, CheckStatus::Critical, wanted);
    let finding = found(args(&["/no/such/program"])).await;
    let wanted = "exec: \"/no/such/program\": no such file or directory";
    assert_finding(&finding, CheckStatus::Critical, wanted);
    assert_critical(&found(args(&["/"])).await, "exec: \"/\": permission denied");
    assert_critical(&found(args(&[])).await, "want a program");
}

#[tokio::test]
async fn long_output_is_cut_and_counted() {
    let finding = found(shell("head -c 3000000 /dev/zero | tr '\\0' z; exit 1")).await;
    assert_eq!(finding.status, CheckStatus::Warning);
    assert!(finding.output.ends_with("zz ... (captured 4096 of 3000000 bytes)"), "{}", finding.output);
    let small = Probe { output_bytes_max: 3, ..probe(shell("echo ääh"), PATIENCE) };
    let finding = run(&small, &Context::new()).await;
    assert_finding(&finding, CheckStatus::Passing, "ä ... (captured 2 of 6 bytes)");
}

#[tokio::test]
async fn endless_output_ends_with_the_timeout() {
    let finding = timed_out(shell("exec yes")).await;
    assert_eq!(finding.status, CheckStatus::Critical);
    assert!(finding.output.starts_with("Timed out (200ms) running check\n\ny\ny\n"), "{}", finding.output);
    assert!(finding.output.len() < 5000);
}

#[tokio::test]
async fn at_the_timeout_the_program_and_all_it_started_are_killed() {
    // Neither gentle signals nor the end of the program itself help here.
    let script =
        "trap '' TERM INT HUP; (trap '' TERM; sleep 1000) & echo $$ $!; (sleep 1000 | sleep 1000); :";
    let finding = timed_out(shell(script)).await;
    let ids = finding.output.strip_prefix("Timed out (200ms) running check\n\n");
    let ids: Vec<i32> =
        ids.expect("is told").split_whitespace().map(|id| id.parse().expect("is a number")).collect();
    assert_eq!(ids.len(), 2);
    assert!(!is_ours(ids[0]), "was reaped");
    eventually("all are dead", || !ids.iter().any(|&id| is_alive(id))).await;
}

#[tokio::test]
async fn whoever_holds_the_output_is_waited_for() {
    let finding = timed_out(shell("sleep 1000 & echo $!")).await;
    let (told, id) = finding.output.trim_end().rsplit_once('\n').expect("has lines");
    assert_eq!(told, "Timed out (200ms) running check\n");
    let id: i32 = id.parse().expect("is a number");
    eventually("it is dead", || !is_alive(id)).await;
    // Who does not is let go, as a daemon that the program has started anew.
    let finding = found(shell("sleep 1000 >/dev/null 2>&1 & echo $!")).await;
    assert_eq!(finding.status, CheckStatus::Passing);
    let id: i32 = finding.output.trim_end().parse().expect("is a number");
    assert!(is_alive(id));
    kill(Pid::from_raw(id), nix::sys::signal::Signal::SIGKILL).expect("is there");
}

#[tokio::test]
async fn a_program_may_close_its_outputs_and_go_on() {
    let finding = found(shell("echo done; exec >&- 2>&-; sleep 0.2; exit 1")).await;
    assert_finding(&finding, CheckStatus::Warning, "done\n");
    let finding = timed_out(shell("echo done; exec >&- 2>&-; exec sleep 1000")).await;
    assert_finding(&finding, CheckStatus::Critical, "Timed out (200ms) running check\n\ndone\n");
}
