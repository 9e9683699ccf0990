//! What the pages say is so: every command in them is run, every output compared, every log line,
//! metric, flag and link looked for. See `docs/README.md` on how to write a page that passes.

#![allow(clippy::disallowed_methods, reason = "real processes live in real time")]

#[path = "docs/compare.rs"]
mod compare;
#[path = "docs/pages.rs"]
mod pages;
#[path = "docs/session.rs"]
mod session;
#[path = "support/agent_process.rs"]
mod support;
#[path = "docs/truth.rs"]
mod truth;

use pages::Page;
use session::Session;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Pages run at one time: they wait more than they work.
const AT_ONCE: usize = 4;

#[test]
fn every_block_of_commands_is_run_or_says_why_not() {
    let pages = Page::all();
    for page in &pages {
        for block in &page.blocks {
            if let Some(why) = &block.not_run {
                println!("not run: {}:{}: {why}", page.name, block.line);
            }
        }
    }
    let faults: Vec<String> = pages.iter().flat_map(Page::faults).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// `SHOAL_DOCS_TOOLS` names the programs beyond those of a shell that blocks may need; without it,
/// blocks that need any are left to `.ci/docs`, which names and installs them all. `SHOAL_DOCS_PAGE`
/// runs one page alone.
#[test]
fn the_commands_of_the_pages_do_what_the_pages_say() {
    let list = |name: &str| -> Vec<String> {
        std::env::var(name).unwrap_or_default().split_whitespace().map(str::to_owned).collect()
    };
    let (tools, only) = (list("SHOAL_DOCS_TOOLS"), list("SHOAL_DOCS_PAGE"));
    let pages: Vec<Page> = Page::all()
        .into_iter()
        .filter(|page| only.is_empty() || only.contains(&page.name))
        .filter(|page| page.needs.iter().all(|need| tools.contains(need)))
        .collect();
    let (next, blocks) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let faults: Mutex<Vec<String>> = Mutex::default();
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(page) = pages.get(next.fetch_add(1, Ordering::Relaxed)) {
                    match Session::run(page, &tools) {
                        Ok(count) => {
                            blocks.fetch_add(count, Ordering::Relaxed);
                        }
                        Err(fault) => faults.lock().expect("no thread panics").push(fault),
                    }
                }
            });
        }
    });
    let faults = faults.into_inner().expect("no thread panics");
    assert!(faults.is_empty(), "{}", faults.join("\n======\n"));
    println!("{} blocks of {} pages", blocks.into_inner(), pages.len());
    assert!(!only.is_empty() || pages.len() > 10, "the pages are where they are looked for");
}

/// Of what needs more than a shell nothing is forgotten: `.ci/docs` promises it.
#[test]
fn what_blocks_need_is_installed_where_they_are_run() {
    let script = std::fs::read_to_string(pages::root().join(".ci/docs")).expect("is there");
    let promised = script.lines().find_map(|l| l.strip_prefix("tools=\"")?.strip_suffix('"'));
    let promised: Vec<&str> = promised.expect("it names its tools").split_whitespace().collect();
    for page in Page::all() {
        let of_blocks = page.blocks.iter().filter(|b| b.is_run()).flat_map(|b| b.needs());
        for need in page.needs.iter().map(String::as_str).chain(of_blocks) {
            assert!(promised.contains(&need), "{} needs {need}, which .ci/docs does not install", page.name);
        }
    }
}
