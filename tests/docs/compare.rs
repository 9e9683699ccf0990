//! Whether what was printed is what a page says.
//!
//! Compared line by line. In what a page says a line `...` stands for any number of lines, and `...`
//! inside a line for anything. What differs from run to run is the same to this comparison: amounts of
//! white space, times and how long things take, rates, dates, identifiers, numbers of six digits and more.

use regex::Regex;
use std::sync::LazyLock;

fn regex(text: &str) -> Regex {
    Regex::new(text).expect("the expression is right")
}

static CHANGING: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    [
        (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?( ?(Z|[+-]\d\d:?\d\d|UTC))*", "TIME"),
        (r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", "UUID"),
        (r"\b[0-9a-f]{16,}\b", "HEX"),
        // Ids of keys; some are eight digits by chance.
        (r"\b[0-9a-f]{8}\b", "NUMBER"),
        (r"\b\d+(\.\d+)?(ns|us|µs|ms|s|m|h)( \d+(\.\d+)?(ns|us|µs|ms|s|m|h))*\b", "-"),
        (r"\b\d+(\.\d+)?[kMG]?B/s", "RATE"),
        (r"\b\d{6,}\b", "NUMBER"),
    ]
    .map(|(text, with)| (regex(text), with))
    .into()
});

/// A line without what differs from run to run.
pub(crate) fn plain(line: &str) -> String {
    let mut line = line.to_owned();
    for (what, with) in CHANGING.iter() {
        line = what.replace_all(&line, *with).into_owned();
    }
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn line_matches(wanted: &str, line: &str) -> bool {
    let parts: Vec<String> = wanted.split("...").map(plain).collect();
    let line = plain(line);
    let [first, middle @ .., last] = &parts[..] else { return parts.first().is_some_and(|one| *one == line) };
    let Some(mut rest) = line.strip_prefix(first.as_str()) else { return false };
    for part in middle {
        let Some(at) = rest.find(part.as_str()) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last.as_str())
}

fn lines_match(wanted: &[&str], lines: &[&str]) -> bool {
    match wanted.split_first() {
        None => lines.is_empty(),
        Some((&"...", wanted)) => (0..=lines.len()).any(|n| lines_match(wanted, &lines[n..])),
        Some((one, wanted)) => lines
            .split_first()
            .is_some_and(|(line, lines)| line_matches(one, line) && lines_match(wanted, lines)),
    }
}

/// Whether a page that says `wanted` tells the truth about `printed`.
pub(crate) fn matches(wanted: &str, printed: &str) -> bool {
    let full = |line: &&str| !line.is_empty();
    let wanted: Vec<&str> = wanted.lines().map(str::trim).filter(full).collect();
    let printed: Vec<&str> = printed.lines().map(str::trim).filter(full).collect();
    lines_match(&wanted, &printed)
}

#[test]
fn what_differs_from_run_to_run_is_the_same() {
    assert!(matches("a  127.0.0.1:7946  alive  217us  -\n", "a 127.0.0.1:7946   alive   1.3ms  -"));
    assert!(matches("at 2026-01-01T10:00:00Z\n...\nend", "at 2026-11-26T12:04:16.123456Z\nx\ny\nend\n"));
    assert!(matches("key 66687aad of 3", "key 12345abc of 3") && matches("key 66687aad", "key 12345678"));
    assert!(matches("{... \"n\": 1764158400000, ...}", "{\"id\": 7, \"n\": 1764158400001, \"x\": []}"));
    assert!(!matches("a alive", "a failed") && !matches("web 1", "web 2") && !matches("a\nb", "a"));
    assert!(!matches("decade 5", "facade 5") && !matches("8080", "8081"), "not everything is an identifier");
}
