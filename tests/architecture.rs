//! The layers and their arrows, held against the source: a room names only the rooms below it, and
//! the protocol never names the outside world.

use std::fs;
use std::path::{Path, PathBuf};

/// Every room with the rooms that it may name.
const ARROWS: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("wire", &["model"]),
    ("core", &["model", "wire"]),
    ("view", &["model"]),
    ("api", &["model", "view"]),
    ("sim", &["model", "core"]),
    ("client", &["model"]),
    ("screen", &["model"]),
    ("cli", &["model", "client", "sim", "screen"]),
    ("dns", &["model", "view"]),
    ("agent", &["model", "wire", "core", "view", "api", "dns", "client"]),
    ("demo", &["model", "api", "client", "agent", "screen"]),
    ("fuzzing", &["model", "wire", "core", "api", "dns", "agent"]),
];

/// Rooms that are pure, and what none of them may name.
const PURE: &[&str] = &["model", "wire", "core", "dns", "sim"];
const OUTSIDE: &[&str] = &[
    "tokio",
    "std::fs",
    "std::thread",
    "UdpSocket",
    "TcpStream",
    "TcpListener",
    "UnixStream",
    "UnixListener",
    "std::time::Instant",
    "SystemTime",
    "rand::rng(",
    "thread_rng",
    "OsRng",
    "HashMap",
    "HashSet",
    "std::env::",
    "std::process",
];

/// Libraries that one place alone may name.
const ONLY_IN: &[(&str, &[&str])] = &[
    ("foca", &["core/swim/"]),
    ("bincode", &["wire/codec.rs", "agent/persist/"]),
    ("axum", &["api/", "agent/", "main.rs"]),
    ("domain", &["dns/"]),
    ("clap", &["cli/", "agent/args.rs", "demo/args.rs", "main.rs"]),
    ("plotters", &["sim/report/chart", "sim/report/palette.rs"]),
    ("minijinja", &["sim/report/html.rs", "cli/render/"]),
    ("ratatui", &["screen/", "cli/top/", "demo/view/"]),
    ("crossterm", &["cli/top/", "demo/view/"]),
    ("rustls", &["agent/checks/tls.rs"]),
    ("tokio_rustls", &["agent/checks/tls.rs"]),
    ("rustls_native_certs", &["agent/checks/tls.rs"]),
    ("h2", &["agent/checks/h2ping.rs"]),
    ("tonic", &["agent/checks/grpc.rs"]),
    ("tonic_health", &["agent/checks/grpc.rs"]),
    ("tower", &["agent/checks/grpc.rs"]),
    ("base64", &["agent/checks/http/", "api/event.rs", "model/key.rs"]),
    ("aws_lc_rs", &["agent/checks/tls.rs", "model/key.rs", "wire/seal.rs"]),
    ("subtle", &["api/access.rs"]),
];

fn sources(dir: &Path, out: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).expect("the source tree is readable") {
        let path = entry.expect("the source tree is readable").path();
        if path.is_dir() {
            sources(&path, out);
        } else if path.extension().is_some_and(|e| e == "rs") {
            out.push(path);
        }
    }
}

/// Each source file with its path inside `src` and its code: no comments, and no tests, which may
/// name whatever they need.
fn code() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    files.sort();
    assert!(files.len() > 30, "the source tree is where it is looked for");
    files
        .into_iter()
        .filter(|p| {
            !p.ends_with("tests.rs")
                && !p.ends_with("testing.rs")
                && !p.components().any(|c| c.as_os_str() == "tests")
        })
        .map(|path| {
            let text = fs::read_to_string(&path).expect("a source file is UTF-8");
            let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
            let lines: Vec<&str> = text.lines().map(|l| l.split("//").next().unwrap_or_default()).collect();
            let inside = path.strip_prefix(&root).expect("it was found there");
            (inside.to_string_lossy().into_owned(), lines.join("\n"))
        })
        .collect()
}

fn room_of(file: &str) -> &str {
    file.split('/').next().unwrap_or_default()
}

/// Whether `word` stands in `code` as a whole path or word.
fn names(code: &str, word: &str) -> bool {
    code.match_indices(word).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        let after = code[at + word.len()..].chars().next();
        let is_part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
        !is_part(before) && (word.ends_with([':', '(']) || !is_part(after))
    })
}

#[test]
fn every_room_names_only_the_rooms_below_it() {
    let mut wrong = Vec::new();
    for (file, code) in code() {
        let room = room_of(&file).to_owned();
        let Some((_, allowed)) = ARROWS.iter().find(|(r, _)| *r == room) else { continue };
        for (other, _) in ARROWS {
            if *other != room && !allowed.contains(other) && names(&code, &format!("crate::{other}")) {
                wrong.push(format!("{file} names crate::{other}"));
            }
        }
    }
    assert!(wrong.is_empty(), "arrows against the layers:\n{}", wrong.join("\n"));
}

#[test]
fn the_protocol_and_its_simulator_never_name_the_outside_world() {
    let mut wrong = Vec::new();
    for (file, code) in code() {
        if !PURE.contains(&room_of(&file)) {
            continue;
        }
        for word in OUTSIDE {
            if names(&code, word) {
                wrong.push(format!("{file} names {word}"));
            }
        }
    }
    assert!(wrong.is_empty(), "the outside world inside:\n{}", wrong.join("\n"));
}

#[test]
fn a_library_that_is_wrapped_is_named_in_its_wrapper_only() {
    let mut wrong = Vec::new();
    for (file, code) in code() {
        for (library, places) in ONLY_IN {
            let here = places.iter().any(|p| file.starts_with(p));
            if !here && names(&code, &format!("{library}::")) {
                wrong.push(format!("{file} names {library}"));
            }
        }
    }
    assert!(wrong.is_empty(), "outside their wrappers:\n{}", wrong.join("\n"));
}

#[test]
fn no_file_is_a_warehouse() {
    let long: Vec<String> = code()
        .into_iter()
        .filter(|(_, code)| code.lines().count() > 700)
        .map(|(file, code)| format!("{file}: {} lines", code.lines().count()))
        .collect();
    assert!(long.is_empty(), "split these:\n{}", long.join("\n"));
}

#[test]
fn every_bound_is_held_by_a_test_that_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("ARCHITECTURE.md")).expect("is there");
    let (_, bounds) = page.split_once("\n## Bounds\n").expect("has the section");
    let rows: Vec<&str> = bounds.lines().take_while(|l| !l.starts_with("## ")).collect();
    let rows = rows.into_iter().filter(|l| l.starts_with("| ")).skip(1);
    let mut files = Vec::new();
    for dir in ["src", "tests", "simulations"] {
        sources(&root.join(dir), &mut files);
    }
    let all: String = files.iter().map(|f| fs::read_to_string(f).expect("a source file is UTF-8")).collect();
    let mut missing = Vec::new();
    let mut count = 0;
    for row in rows {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").collect();
        let [what, _, _, tests] = cells[..] else { panic!("four cells in {row}") };
        for test in tests.split(',').map(|t| t.trim().trim_matches('`')) {
            count += 1;
            if !all.contains(&format!("fn {test}(")) {
                missing.push(format!("{what}: no test {test}"));
            }
        }
    }
    assert!(count > 40, "the table is where it is looked for: {count}");
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}
