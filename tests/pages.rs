//! Manual pages and completions: every command and every flag that the program has is in them.

#![allow(clippy::disallowed_methods, reason = "real processes live in real time")]

#[path = "support/agent_process.rs"]
mod support;

use std::collections::BTreeSet;
use std::fs;
use std::process::Stdio;
use support::shoal;

fn said(words: &[&str]) -> String {
    let output = shoal().args(words).stderr(Stdio::inherit()).output().expect("the binary starts");
    assert!(output.status.success(), "{words:?}: {}", output.status);
    String::from_utf8(output.stdout).expect("text")
}

/// The commands below this one, as its help lists them.
fn commands_of(help: &str) -> Vec<String> {
    let Some((_, list)) = help.split_once("\nCommands:\n") else { return Vec::new() };
    let names =
        list.lines().take_while(|line| !line.is_empty()).filter_map(|line| line.split_whitespace().next());
    names.filter(|name| *name != "help").map(str::to_owned).collect()
}

/// Long flags that its help lists, each at the beginning of a line, perhaps after a short one.
fn flags_of(help: &str) -> BTreeSet<String> {
    let named = |line: &str| {
        let line = line.trim_start();
        let long = line.split(", ").find(|part| part.starts_with("--")).filter(|_| line.starts_with('-'))?;
        let end = long.find(|c: char| !c.is_ascii_lowercase() && c != '-').unwrap_or(long.len());
        // What is within an explanation that was broken into lines goes on in another way.
        let after = long[end..].chars().next();
        (end > 2 && matches!(after, None | Some(' ' | '=' | '['))).then(|| long[..end].to_owned())
    };
    help.lines().filter_map(named).collect()
}

/// Every command, by its words, with its help.
fn tree() -> Vec<(Vec<String>, String)> {
    let mut found: Vec<(Vec<String>, String)> = vec![(Vec::new(), said(&["--help"]))];
    let mut at = 0;
    while let Some((words, help)) = found.get(at).cloned() {
        for name in commands_of(&help) {
            let words: Vec<String> = words.iter().cloned().chain([name]).collect();
            let line: Vec<&str> = words.iter().map(String::as_str).chain(["--help"]).collect();
            let help = said(&line);
            found.push((words, help));
        }
        at += 1;
    }
    found
}

#[test]
fn there_is_a_page_for_every_command_with_all_of_its_flags() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    said(&["man", "--dir", directory.path().to_str().expect("plain")]);
    let tree = tree();
    assert!(tree.len() > 30, "commands are found: {}", tree.len());
    let mut wanted = BTreeSet::new();
    for (words, help) in &tree {
        let name: String =
            ["shoal"].into_iter().chain(words.iter().map(String::as_str)).collect::<Vec<_>>().join("-");
        let page = fs::read_to_string(directory.path().join(format!("{name}.1")));
        // A hyphen is written with a backslash.
        let page = page.unwrap_or_else(|e| panic!("{name}.1: {e}")).replace("\\-", "-");
        for part in [".TH ", ".SH NAME", ".SH SYNOPSIS"] {
            assert!(page.contains(part), "{name}.1 has no {part}");
        }
        for flag in flags_of(help) {
            assert!(page.contains(&flag), "{name}.1 does not tell {flag}");
        }
        wanted.insert(format!("{name}.1"));
    }
    let pages = fs::read_dir(directory.path()).expect("a directory");
    let pages: BTreeSet<String> =
        pages.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    let stale: Vec<&String> = pages.difference(&wanted).filter(|page| !page.contains("-help")).collect();
    assert!(stale.is_empty(), "pages of commands that are not there: {stale:?}");
}

#[test]
fn completions_of_every_shell_know_every_command_and_flag() {
    let tree = tree();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = said(&["completions", shell]);
        for (words, help) in &tree {
            if let Some(name) = words.last() {
                assert!(script.contains(name.as_str()), "{shell} does not know {words:?}");
            }
            for flag in flags_of(help) {
                // fish has flags without their dashes.
                let known = script.contains(&flag)
                    || script.contains(&format!("-l {}", flag.trim_start_matches('-')));
                assert!(known, "{shell} does not know {flag} of {words:?}");
            }
        }
    }
}
