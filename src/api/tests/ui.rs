//! The dashboard's files: that they are all there, are what they say, and name nobody else.

use super::world::{Answer, World};
use crate::api::Limits;
use crate::api::access::{Access, Allowed, Caller, Rules, Token};
use crate::api::ui::files;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

async fn get(world: &World, target: &str, headers: &[(&'static str, &str)]) -> Answer {
    let mut request = World::request("GET", target, "");
    for (name, value) in headers {
        request.headers_mut().append(*name, value.parse().expect("a value"));
    }
    world.send(request).await
}

fn text(body: &[u8]) -> &str {
    std::str::from_utf8(body).expect("the files are text")
}

#[tokio::test]
async fn every_file_is_served_as_what_it_is_and_forbids_everything_else() {
    let world = World::new();
    for (name, body) in files() {
        let answer = get(&world, &format!("/ui/{name}"), &[]).await;
        assert_eq!((answer.status, answer.body.as_bytes()), (200, body), "{name}");
        let kind = match name.rsplit_once('.').expect("a kind").1 {
            "html" => "text/html; charset=utf-8",
            "css" => "text/css; charset=utf-8",
            "js" => "text/javascript; charset=utf-8",
            "svg" => "image/svg+xml",
            other => panic!("{name}: what is {other}?"),
        };
        assert_eq!(answer.header("content-type"), kind, "{name}");
        assert_eq!(answer.header("content-length"), body.len().to_string(), "{name}");
    }
    let page = get(&world, "/ui/", &[]).await;
    assert_eq!(page.body, get(&world, "/ui/index.html", &[]).await.body);
    for target in ["/ui/", "/ui/main.js", "/ui/nope.js", "/ui"] {
        let answer = get(&world, target, &[]).await;
        let policy = answer.header("content-security-policy");
        for part in
            ["default-src 'self'", "base-uri 'none'", "frame-ancestors 'none'", "trusted-types 'none'"]
        {
            assert!(policy.contains(part), "{target}: {policy}");
        }
        assert!(!policy.contains("unsafe"), "{target}: {policy}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{target}");
        assert_eq!(answer.header("referrer-policy"), "no-referrer", "{target}");
    }
}

#[tokio::test]
async fn who_has_a_file_is_told_so_until_it_differs() {
    let world = World::new();
    let first = get(&world, "/ui/main.js", &[]).await;
    let tag = first.header("etag");
    assert!(tag.starts_with('"') && tag.len() == 18, "{tag}");
    assert_eq!(first.header("cache-control"), "no-cache");
    for known in [tag.to_owned(), format!("W/{tag}"), format!("\"other\", {tag}"), "*".to_owned()] {
        let again = get(&world, "/ui/main.js", &[("if-none-match", &known)]).await;
        assert_eq!((again.status, again.body.as_str()), (304, ""), "{known}");
        assert_eq!(again.header("etag"), tag);
        assert!(again.header("content-security-policy").contains("default-src 'self'"));
    }
    for other in ["\"other\"", "", tag.trim_matches('"')] {
        assert_eq!(get(&world, "/ui/main.js", &[("if-none-match", other)]).await.status, 200, "{other}");
    }
    assert_ne!(get(&world, "/ui/", &[]).await.header("etag"), tag);
}

#[tokio::test]
async fn what_is_not_there_is_said_and_nothing_outside_is_reached() {
    let world = World::new();
    for name in ["nope.js", "../ui.rs", "%2e%2e/ui.rs", "index.html/", "INDEX.HTML", "/etc/passwd"] {
        let answer = get(&world, &format!("/ui/{name}"), &[]).await;
        assert_eq!(answer.status, 404, "{name}");
        assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8");
    }
    assert_eq!(world.put("/ui/main.js", "").await.status, 405);
    let mut head = World::request("HEAD", "/ui/main.js", "");
    head.headers_mut().insert("host", "localhost".parse().expect("a value"));
    let head = world.send(head).await;
    assert_eq!((head.status, head.body.as_str()), (200, ""));
}

#[tokio::test]
async fn a_browser_is_sent_to_the_dashboard_and_a_program_is_greeted() {
    let world = World::new();
    let browser = [("accept", "text/html,application/xhtml+xml,*/*;q=0.8")];
    for (target, headers) in [("/", &browser[..]), ("/ui", &[]), ("/ui", &browser[..])] {
        let answer = get(&world, target, headers).await;
        assert_eq!((answer.status, answer.header("location")), (302, "/ui/"), "{target}");
    }
    for headers in [&[][..], &[("accept", "*/*")], &[("accept", "application/json")]] {
        let answer = get(&world, "/", headers).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, "Shoal Agent"));
    }
}

#[tokio::test]
async fn the_files_need_no_right_but_the_right_host() {
    let rules = Rules { read: Some(Allowed::default()), ..Rules::default() };
    let token = Token::new("0123456789abcdef");
    let world = World::with(Limits::default(), Arc::new(Access::new(rules, token, Vec::new())));
    let ask = async |target: &str, host: &str| {
        let mut request = World::request("GET", target, "");
        request.extensions_mut().insert(Caller::Tcp(([127, 0, 0, 1], 9).into()));
        request.headers_mut().insert("host", host.parse().expect("a value"));
        request.headers_mut().insert("accept", "text/html".parse().expect("a value"));
        world.send(request).await.status
    };
    assert_eq!(ask("/ui/", "localhost:8500").await, 200);
    assert_eq!(ask("/ui/main.js", "127.0.0.1").await, 200);
    assert_eq!(ask("/ui", "localhost").await, 302);
    assert_eq!(ask("/", "localhost").await, 302);
    assert_eq!(ask("/v1/shoal/status", "localhost").await, 403);
    for target in ["/ui/", "/ui/main.js", "/ui", "/"] {
        assert_eq!(ask(target, "evil.example").await, 403, "{target}");
    }
}

/// Names in quotes, or in the brackets of `url()`.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split(['"', '\'', '(', ')', '`'])
}

#[test]
fn no_file_names_another_host() {
    // Names of formats, which nobody asks.
    const NAMES: [&str; 1] = ["http://www.w3.org/2000/svg"];
    for (name, body) in files() {
        for word in quoted(text(body)).filter(|word| !NAMES.contains(word)) {
            assert!(!word.contains("://"), "{name} names {word}");
            assert!(!word.starts_with("//") || word.contains(' '), "{name} names {word}");
            assert!(!word.starts_with("data:"), "{name} names {word}");
        }
    }
}

#[test]
fn no_file_makes_markup_of_text_or_code_of_strings() {
    const BANNED: [&str; 9] = [
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "new Function",
        "DOMParser",
        "srcdoc",
        "javascript:",
    ];
    for (name, body) in files() {
        for word in BANNED {
            assert!(!text(body).contains(word), "{name} has {word}");
        }
    }
    let page = files().find(|(name, _)| *name == "index.html").map(|(_, body)| text(body)).expect("is there");
    for inline in [" style=", " onclick=", " onload=", "<style", "<script>"] {
        assert!(!page.contains(inline), "the policy forbids {inline}");
    }
}

#[test]
fn every_file_that_is_named_exists_and_every_one_that_exists_is_named() {
    let there: BTreeSet<&str> = files().map(|(name, _)| name).collect();
    let mut named = BTreeSet::from(["index.html"]);
    for (name, body) in files() {
        for word in quoted(text(body)) {
            let file = word.strip_prefix("./").unwrap_or(word);
            let is_file = [".js", ".css", ".svg", ".html"].iter().any(|kind| file.ends_with(kind));
            if is_file && !file.contains(char::is_whitespace) {
                assert!(there.contains(file), "{name} names {file}");
                named.insert(file);
            }
        }
    }
    assert_eq!(named, there, "a file that nothing names is not needed");
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/api/ui");
    let on_disk: BTreeSet<String> = std::fs::read_dir(dir)
        .expect("is there")
        .map(|entry| entry.expect("is readable").file_name().to_string_lossy().into_owned())
        .collect();
    assert_eq!(on_disk, there.into_iter().map(str::to_owned).collect());
}

#[test]
fn what_a_browser_loads_is_small() {
    let bytes: usize = files().map(|(_, body)| body.len()).sum();
    assert!(bytes < 200_000, "{bytes} bytes");
    for (name, body) in files() {
        assert!(text(body).lines().count() < 400, "{name} wants splitting");
    }
}
