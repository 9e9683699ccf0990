//! What is wrong with a scenario file, in words that name file, line, key, value and want.

use strsim::damerau_levenshtein;

/// Why a scenario file was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}{}: {fault}", line.map(|line| format!(":{line}")).unwrap_or_default())]
pub struct FileError {
    /// The file.
    pub file: String,
    /// The line, from 1.
    pub line: Option<usize>,
    /// What is wrong there.
    pub fault: FileFault,
}

/// What is wrong at one place of a scenario file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FileFault {
    /// It is not TOML.
    #[error("{0}")]
    Syntax(String),
    /// A value is not what its key wants, or does not fit the rest of the file.
    #[error("{key} = {value}: want {want}")]
    Value {
        /// The key with the tables that it is in.
        key: String,
        /// The value as written, shortened.
        value: String,
        /// What would have been accepted.
        want: String,
    },
    /// A key that means nothing here.
    #[error("unknown key {key} = {value}: want {want}")]
    UnknownKey {
        /// The key as written.
        key: String,
        /// Its value, shortened.
        value: String,
        /// The keys that it may have been meant to be.
        want: String,
    },
    /// A key that must be there.
    #[error("{key} is not set: want {want}")]
    Missing {
        /// The key.
        key: String,
        /// What would have been accepted.
        want: String,
    },
}

/// A [`FileError`] before anybody said which file it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) line: Option<usize>,
    pub(super) fault: FileFault,
}

impl Fault {
    pub(super) fn in_file(self, file: &str) -> FileError {
        FileError { file: file.to_owned(), line: self.line, fault: self.fault }
    }
}

/// The candidates that `word` may have been meant to be: the nearest first, three at most.
pub(super) fn near<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let wanted = word.to_ascii_lowercase().replace('-', "_");
    let mut near: Vec<(usize, &str)> = candidates
        .into_iter()
        .map(|candidate| {
            let part = wanted.len() >= 4 && (candidate.contains(&wanted) || wanted.contains(candidate));
            (if part { 1 } else { damerau_levenshtein(&wanted, candidate) }, candidate)
        })
        .filter(|(slips, candidate)| *slips <= 1 + candidate.len() / 4)
        .collect();
    near.sort_unstable();
    near.dedup();
    near.into_iter().take(3).map(|(_, candidate)| candidate).collect()
}

/// `one of a, b, c`, or if some are near to `word`, ` (did you mean a?)`.
pub(super) fn one_of<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    let candidates: Vec<&str> = candidates.into_iter().collect();
    let all = candidates.join(", ");
    let near = near(word, candidates);
    if near.is_empty() {
        return format!("one of {all}");
    }
    format!("one of {all} (did you mean {}?)", near.join(" or "))
}
