//! What pages say beside their commands: flags, paths, log lines, metrics, links. Each is looked for
//! where it must be, so that a page cannot outlive what it tells of.

use super::pages::{Page, root};
use super::support::{Place, finish};
use regex::Regex;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

fn regex(text: &str) -> Regex {
    Regex::new(text).expect("the expression is right")
}

fn read(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

fn help(command: &[String]) -> String {
    let args: Vec<String> = command.iter().cloned().chain(["--help".to_owned()]).collect();
    let said = finish(&args);
    assert_eq!(said.code, Some(0), "{args:?}: {}", said.err);
    said.out.lines().map(|l| format!("{}\n", l.trim_end())).collect()
}

/// The commands that a help text lists.
fn subcommands(help: &str) -> Vec<String> {
    let (_, listed) = help.split_once("\nCommands:\n").unwrap_or_default();
    let names = listed.lines().take_while(|l| l.starts_with("  ")).filter(|l| !l.starts_with("   "));
    names.filter_map(|l| l.split_whitespace().next()).filter(|n| *n != "help").map(str::to_owned).collect()
}

/// Every command with its help, in the order of the table of commands.
fn commands() -> Vec<(Vec<String>, String)> {
    let mut found = Vec::new();
    let mut waiting = vec![Vec::new()];
    while let Some(command) = waiting.pop() {
        let text = help(&command);
        for name in subcommands(&text).into_iter().rev() {
            waiting.push(command.iter().cloned().chain([name]).collect());
        }
        found.push((command, text));
    }
    found
}

#[test]
fn the_page_of_commands_is_what_the_commands_say_of_themselves() {
    const PAGE: &str = "docs/cli.md";
    let found = read(PAGE);
    let (before, _) = found.split_once("\n## `shoal").expect("it has a section for each command");
    let mut page = before.to_owned();
    for (command, text) in commands() {
        let name = ["shoal".to_owned()].into_iter().chain(command).collect::<Vec<_>>().join(" ");
        page.push_str(&format!("\n## `{name}`\n\n```text\n{}\n```\n", text.trim_end()));
    }
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(root().join(PAGE), &page).expect("the page can be written");
        return;
    }
    assert!(
        found == page,
        "{PAGE} is not what `shoal COMMAND --help` prints: \
         UPDATE_DOCS=1 cargo test --test docs the_page_of_commands writes it anew"
    );
}

/// Commands that stand in running text: `shoal services --passing`.
#[test]
fn commands_in_running_text_have_the_flags_that_they_are_given() {
    let commands: BTreeMap<String, String> =
        commands().into_iter().map(|(command, help)| (command.join(" "), help)).collect();
    let span = regex(r"`shoal ([^`\n]+)`");
    let flag = regex(r"(^|\s)(--?[a-z][a-z-]*)");
    let mut faults = Vec::new();
    for page in Page::all() {
        if page.name == "docs/cli.md" {
            continue;
        }
        for found in span.captures_iter(&page.text) {
            let said = &found[1];
            let own = said.split(" -- ").next().unwrap_or(said);
            let words: Vec<&str> = own.split_whitespace().take_while(|w| !w.starts_with('-')).collect();
            let command = (0..=words.len().min(2))
                .rev()
                .map(|n| words[..n].join(" "))
                .find(|c| commands.contains_key(c));
            // `shoal keyring list|install` and `shoal COMMAND --help` stand for several.
            let many = said.contains('|') || said.contains("COMMAND");
            let command = command.unwrap_or_default();
            if command.is_empty() && !words.is_empty() && !many {
                faults.push(format!("{}: `shoal {said}`: there is no such command", page.name));
                continue;
            }
            for given in flag.captures_iter(own).map(|c| c[2].to_owned()) {
                if !many && !commands[&command].contains(&given) {
                    faults.push(format!("{}: `shoal {said}`: {command} has no {given}", page.name));
                }
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Sections of a page by their headings of that depth, without the marks of code.
fn sections(text: &str, depth: usize) -> BTreeMap<String, String> {
    let mark = format!("{} ", "#".repeat(depth));
    let mut sections: BTreeMap<String, String> = BTreeMap::new();
    let mut current: Option<String> = None;
    for line in text.lines() {
        let is_heading = line.starts_with('#') && line.trim_start_matches('#').starts_with(' ');
        if let Some(heading) = line.strip_prefix(&mark) {
            current = Some(heading.replace('`', ""));
        } else if is_heading && line.find(' ').is_some_and(|marks| marks <= depth) {
            current = None;
        }
        if let Some(heading) = &current {
            sections.entry(heading.clone()).or_default().push_str(&format!("{line}\n"));
        }
    }
    sections
}

/// Properties that a schema names, those of objects inside it included.
fn properties(schema: &Value, out: &mut BTreeSet<String>) {
    if let Some(named) = schema["properties"].as_object() {
        for (name, inside) in named {
            out.insert(name.clone());
            properties(inside, out);
        }
    }
    for inside in ["items", "additionalProperties"] {
        if schema[inside].is_object() {
            properties(&schema[inside], out);
        }
    }
}

#[test]
fn the_page_of_the_api_names_every_path_parameter_and_field() {
    let api: Value = serde_json::from_str(&read("src/api/openapi.json")).expect("is JSON");
    let page = read("docs/api.md");
    let endpoints = sections(&page, 3);
    let shapes = sections(&page, 4);
    let common = sections(&page, 2).remove("Reading").expect("it has a section of what all reads accept");
    let mut faults = Vec::new();
    for (path, methods) in api["paths"].as_object().expect("has paths") {
        for (method, operation) in methods.as_object().expect("has methods") {
            let Some(parameters) = operation["responses"].get("200").map(|_| &operation["parameters"]) else {
                if !page.contains(&format!("`{path}`")) {
                    faults.push(format!("{method} {path} is not named among what is not there"));
                }
                continue;
            };
            let wanted = format!("{} {path}", method.to_uppercase());
            let section = endpoints.iter().find(|(heading, _)| heading.split(", ").any(|h| h == wanted));
            let Some((_, section)) = section else {
                faults.push(format!("no section `{wanted}`: a heading of depth three"));
                continue;
            };
            for parameter in parameters.as_array().into_iter().flatten() {
                let name = parameter["name"].as_str().expect("has a name");
                let told =
                    |text: &str| text.contains(&format!("`{name}`")) || text.contains(&format!("`?{name}"));
                if parameter["in"] == "query" && !told(section) && !told(&common) {
                    faults.push(format!("{wanted}: nothing is said of the parameter `{name}`"));
                }
            }
            if !section.contains("\n```sh") {
                faults.push(format!("{wanted}: no example"));
            }
        }
    }
    for (name, schema) in api["components"]["schemas"].as_object().expect("has schemas") {
        let mut fields = BTreeSet::new();
        properties(schema, &mut fields);
        if fields.is_empty() {
            continue;
        }
        let Some(section) = shapes.get(name) else {
            faults.push(format!("no section `{name}`: a heading of depth four"));
            continue;
        };
        for field in fields {
            if !regex(&format!(r"\b{field}\b")).is_match(section) {
                faults.push(format!("{name}: nothing is said of the field {field}"));
            }
        }
    }
    assert!(faults.is_empty(), "docs/api.md:\n{}", faults.join("\n"));
}

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

fn source() -> String {
    let mut files = Vec::new();
    sources(&root().join("src"), &mut files);
    files.sort();
    let all: String = files.iter().map(|f| fs::read_to_string(f).expect("a source file is UTF-8")).collect();
    // Texts over several lines are one.
    regex(r"\\\n\s*").replace_all(&all, "").into_owned()
}

/// What stands before the parenthesis that ends a macro's arguments.
fn arguments(text: &str) -> &str {
    let (mut depth, mut quoted, mut escaped) = (1, false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return &text[..at];
        }
    }
    text
}

/// A line of a `log` block: `LEVEL message field=value ...`.
#[test]
fn log_lines_that_pages_show_are_written_by_the_code() {
    let source = source();
    let begin = regex(r"tracing::(trace|debug|info|warn|error)!\(");
    let written: Vec<(String, &str)> = begin
        .captures_iter(&source)
        .map(|c| (c[1].to_uppercase(), arguments(&source[c.get(0).expect("is the whole").end()..])))
        .collect();
    // What is said of a damaged file is an argument of the place that says it.
    let handed_on = |message: &str| source.contains(&format!("\"{message}\""));
    let field = regex(r"([a-z_]+)=\S+");
    let mut faults = Vec::new();
    let mut count = 0;
    for page in Page::all() {
        for block in page.blocks.iter().filter(|b| b.language == "log") {
            for line in block.text.lines().filter(|l| !l.trim().is_empty()) {
                count += 1;
                let (level, said) = line.trim().split_once(' ').unwrap_or_default();
                let begin = field.find(said).map_or(said.len(), |m| m.start());
                let message = said[..begin].trim();
                let fields: Vec<String> =
                    field.captures_iter(&said[begin..]).map(|c| c[1].to_owned()).collect();
                let is_it = |(l, text): &(String, &str)| {
                    l == level
                        && (text.contains(&format!("\"{message}\""))
                            || text.contains("\"{lost}\"") && handed_on(message))
                        && fields.iter().all(|f| regex(&format!(r"\b{f}\b")).is_match(text))
                };
                if !written.iter().any(is_it) {
                    faults.push(format!("{}:{}: nothing logs {line:?}", page.name, block.line));
                }
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(count > 10, "the operating guide shows log lines");
}

#[test]
fn metrics_that_pages_name_are_exposed() {
    let place = Place::new();
    let agent = place.start("n1", &["--dns", "127.0.0.1:0"]);
    let exposed = agent.get("/metrics").body;
    let source = source();
    let metric = regex(r"\bshoal_[a-z0-9_]+\b");
    let mut faults = Vec::new();
    for page in Page::all() {
        let named: BTreeSet<&str> = metric.find_iter(&page.text).map(|m| m.as_str()).collect();
        for name in named {
            let bare =
                ["_bucket", "_sum", "_count"].iter().find_map(|s| name.strip_suffix(s)).unwrap_or(name);
            let there = |name: &str| {
                let word = regex(&format!(r"\b{name}\b"));
                word.is_match(&exposed) || word.is_match(&source)
            };
            // Names that end in an underscore are a family's beginning.
            let family = name.ends_with('_') && exposed.contains(name);
            if !family && !there(name) && !there(bare) {
                faults.push(format!("{}: no metric {name}", page.name));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// How GitHub names a heading's place.
fn anchor(heading: &str) -> String {
    let kept = heading.to_lowercase();
    let kept = kept.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[test]
fn links_lead_somewhere() {
    let link = regex(r"\]\(([^)\s]+)\)");
    let fence = regex(r"(?ms)^\s*```.*?^\s*```");
    let anchors = |text: &str| -> BTreeSet<String> {
        let text = fence.replace_all(text, "");
        let headings = text.lines().filter(|l| l.starts_with('#')).map(|l| l.trim_start_matches('#').trim());
        headings.map(anchor).collect()
    };
    let mut faults = Vec::new();
    for page in Page::all() {
        let text = fence.replace_all(&page.text, "").into_owned();
        let dir = root().join(&page.name).parent().expect("it is in a directory").to_owned();
        for to in link.captures_iter(&text).map(|c| c[1].to_owned()) {
            if to.contains("://") || to.starts_with("mailto:") {
                continue;
            }
            let (file, place) = to.split_once('#').unwrap_or((&to, ""));
            let target = if file.is_empty() { root().join(&page.name) } else { dir.join(file) };
            if !target.exists() {
                faults.push(format!("{}: {to}: there is no such file", page.name));
            } else if !place.is_empty() {
                let there = fs::read_to_string(&target).unwrap_or_default();
                if !anchors(&there).contains(place) {
                    faults.push(format!("{}: {to}: there is no such heading", page.name));
                }
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Examples in Rust stand on the crate's page as well, where they are compiled.
#[test]
fn examples_in_rust_are_compiled() {
    let source = read("src/lib.rs");
    for page in Page::all() {
        for block in page.blocks.iter().filter(|b| b.language.starts_with("rust")) {
            let lines = block.text.lines().map(|line| format!("//! {line}").trim_end().to_owned());
            let text = lines.collect::<Vec<_>>().join("\n");
            assert!(source.contains(&text), "{}:{}: not in src/lib.rs", page.name, block.line);
        }
    }
}

#[test]
fn every_page_is_on_the_map() {
    let map = read("docs/README.md");
    for page in Page::all() {
        if let Some(name) = page.name.strip_prefix("docs/").filter(|name| *name != "README.md") {
            assert!(map.contains(&format!("]({name})")), "docs/README.md does not link to {name}");
        }
    }
}
