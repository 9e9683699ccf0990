//! The Markdown files of the repository and the fenced blocks in them.
//!
//! A block's first word is its language; what follows tells this harness how to treat it and is not
//! shown to readers. `sh` blocks are run, unless they say why not:
//!
//! | after ```` ```sh ```` | means |
//! |---|---|
//! | nothing | run in the page's shell; has to end with exit code 0 |
//! | `host=NAME` | run in the shell of that host, which has addresses, files and a home of its own |
//! | `exit=N` | has to end with that exit code |
//! | `until` | run again until it prints what the next block says, as a reader would who looks twice |
//! | `forever` | left running until the page ends |
//! | `needs=A,B` | runs only where these programs were promised (`.ci/docs`) |
//! | `not-run: WHY` | never run; WHY begins with one of [`REASONS`] |
//!
//! A `text` block right after an `sh` block is what it prints: see [`super::compare`]. `python` blocks
//! are programs that need `python3`. `toml config` blocks are configuration files: they are checked. A
//! comment `<!-- needs: A B -->` says it for all blocks of a page, and `<!-- with: shoal agent -->` has that
//! running from its beginning, with its socket where commands look for it.

use std::path::{Path, PathBuf};

/// What cannot be run here, in the first words of why.
pub(crate) const REASONS: &[&str] = &[
    "needs a terminal",
    "needs root",
    "needs systemd",
    "needs Docker",
    "needs the network",
    "needs another program",
    "installs",
    "builds",
    "takes hours",
];

/// Languages in which commands could hide.
const SHELLS: &[&str] = &["bash", "console", "shell", "shell-session", "zsh", "terminal"];

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Block {
    /// Where it begins, from 1.
    pub(crate) line: usize,
    pub(crate) language: String,
    /// The words after the language.
    pub(crate) words: Vec<String>,
    /// What stands after `not-run:`.
    pub(crate) not_run: Option<String>,
    pub(crate) text: String,
    /// What the `text` block right after it says.
    pub(crate) prints: Option<String>,
}

impl Block {
    pub(crate) fn has(&self, word: &str) -> bool {
        self.words.iter().any(|w| w == word)
    }

    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        self.words.iter().find_map(|w| w.strip_prefix(name)?.strip_prefix('='))
    }

    pub(crate) fn is_run(&self) -> bool {
        let is_program = matches!(self.language.as_str(), "sh" | "python");
        (is_program || self.is_configuration()) && self.not_run.is_none()
    }

    /// A file for `shoal agent --config`.
    pub(crate) fn is_configuration(&self) -> bool {
        self.language == "toml" && self.has("config")
    }

    /// Programs beside bash, the usual tools of a shell and `shoal` itself.
    pub(crate) fn needs(&self) -> Vec<&str> {
        let named = self.value("needs").into_iter().flat_map(|list| list.split(','));
        let python = (self.language == "python").then_some("python3");
        named.chain(python).collect()
    }
}

#[derive(Debug)]
pub(crate) struct Page {
    /// From the root of the repository.
    pub(crate) name: String,
    pub(crate) text: String,
    pub(crate) needs: Vec<String>,
    /// What runs before the first block.
    pub(crate) with: Option<String>,
    pub(crate) blocks: Vec<Block>,
}

impl Page {
    pub(crate) fn parse(name: &str, text: &str) -> Self {
        let comment = |mark: &str| {
            text.lines().find_map(|l| l.strip_prefix("<!-- ")?.strip_prefix(mark)?.strip_suffix("-->"))
        };
        let needs = comment("needs:").unwrap_or_default().split_whitespace().map(str::to_owned).collect();
        let with = comment("with:").map(|command| command.trim().to_owned());
        Self { name: name.to_owned(), text: text.to_owned(), needs, with, blocks: blocks(text) }
    }

    /// Every Markdown file that belongs to the repository, in the order of names.
    pub(crate) fn all() -> Vec<Self> {
        let root = root();
        let mut files = Vec::new();
        find(&root, &mut files);
        files.sort();
        let page = |path: PathBuf| {
            let name = path.strip_prefix(&root).expect("it was found there").display().to_string();
            Self::parse(&name, &std::fs::read_to_string(&path).expect("a page is UTF-8"))
        };
        files.into_iter().map(page).collect()
    }

    /// What is wrong with the blocks themselves.
    pub(crate) fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        for block in &self.blocks {
            let mut fault = |what: &str| faults.push(format!("{}:{}: {what}", self.name, block.line));
            if SHELLS.contains(&block.language.as_str()) {
                fault(
                    "commands stand in ```sh blocks, which are run; what they print in a ```text block after",
                );
            }
            let shows_prompt = block.text.lines().any(|line| line.starts_with("$ "));
            if block.language != "sh" && shows_prompt {
                fault(
                    "a command after a prompt: put it into a ```sh block, and its output into a ```text block",
                );
            }
            if block.language != "sh" {
                continue;
            }
            if let Some(why) = &block.not_run
                && !REASONS.iter().any(|reason| why.starts_with(reason))
            {
                fault(&format!("not-run: {why}: want a reason that begins with one of {REASONS:?}"));
            }
            let known = ["until", "forever"];
            let named = ["host", "exit", "needs"];
            for word in &block.words {
                let name = word.split_once('=').map(|(name, _)| name);
                if !known.contains(&word.as_str()) && !name.is_some_and(|name| named.contains(&name)) {
                    fault(&format!(
                        "```sh {word}: want one of {known:?}, {named:?} with a value, or not-run: WHY"
                    ));
                }
            }
            if block.has("until") && block.prints.is_none() {
                fault("```sh until: want a ```text block after it");
            }
            if block.text.lines().any(|line| line.starts_with("$ ")) {
                fault("a command is written without a prompt, so that it can be pasted");
            }
        }
        faults
    }
}

pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn find(dir: &Path, out: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).expect("the repository is readable") {
        let path = entry.expect("the repository is readable").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let other = name.starts_with("target") || name == ".git" || name == "corpus" || name == "out";
        if path.is_dir() && !path.is_symlink() && !other {
            find(&path, out);
        } else if path.extension().is_some_and(|e| e == "md") {
            out.push(path);
        }
    }
}

fn blocks(text: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut lines = text.lines().enumerate().peekable();
    // Whether only empty lines came since the last block.
    let mut adjacent = false;
    while let Some((at, line)) = lines.next() {
        let Some(info) = line.trim_start().strip_prefix("```") else {
            adjacent &= line.trim().is_empty();
            continue;
        };
        let indent = line.len() - line.trim_start().len();
        let mut inside = String::new();
        for (_, line) in lines.by_ref() {
            if line.trim_start().starts_with("```") {
                break;
            }
            inside.push_str(line.get(indent..).unwrap_or_else(|| line.trim_start()));
            inside.push('\n');
        }
        let (info, not_run) = match info.split_once("not-run:") {
            Some((info, why)) => (info, Some(why.trim().to_owned())),
            None => (info, None),
        };
        let mut words = info.split_whitespace().map(str::to_owned);
        let language = words.next().unwrap_or_default();
        if adjacent
            && language == "text"
            && let Some(last) = blocks.last_mut().filter(|b| b.is_run())
        {
            last.prints = Some(inside);
            adjacent = false;
            continue;
        }
        let block =
            Block { line: at + 1, language, words: words.collect(), not_run, text: inside, prints: None };
        blocks.push(block);
        adjacent = true;
    }
    blocks
}
