//! What comes of judging: findings, and what was looked at and is well.

use serde::Serialize;

/// How bad a finding is. Ordered from best to worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Severity {
    /// Good to know; nothing has to be done.
    Note,
    /// Works, or will stop working.
    Warning,
    /// Does not work.
    Critical,
}

impl Severity {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// Something that was found. `docs/doctor.md` has a section for each name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    pub(super) name: &'static str,
    pub(super) severity: Severity,
    /// Whom it is about: a node, an address, a file.
    pub(super) about: String,
    /// What was seen, with its figures.
    pub(super) seen: String,
    /// What that means.
    pub(super) means: String,
    /// What to do.
    #[serde(rename = "do")]
    pub(super) remedy: String,
}

impl Finding {
    pub(super) fn new(name: &'static str, severity: Severity, about: impl Into<String>) -> Self {
        let about = about.into();
        Self { name, severity, about, seen: String::new(), means: String::new(), remedy: String::new() }
    }

    pub(super) fn seen(mut self, text: impl Into<String>) -> Self {
        self.seen = text.into();
        self
    }

    pub(super) fn means(mut self, text: impl Into<String>) -> Self {
        self.means = text.into();
        self
    }

    pub(super) fn remedy(mut self, text: impl Into<String>) -> Self {
        self.remedy = text.into();
        self
    }
}

/// Something that was looked at and is well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Passed {
    pub(super) what: &'static str,
    pub(super) seen: String,
}

/// Everything that was judged.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(super) struct Report {
    /// The worst first.
    pub(super) findings: Vec<Finding>,
    pub(super) passed: Vec<Passed>,
}

impl Report {
    pub(super) fn add(&mut self, finding: Finding) {
        self.findings.push(finding);
    }

    /// `what` is well, unless something else was found since there were `before` findings.
    pub(super) fn pass_since(&mut self, before: usize, what: &'static str, seen: impl Into<String>) {
        if self.findings[before.min(self.findings.len())..].iter().all(|f| f.severity == Severity::Note) {
            self.passed.push(Passed { what, seen: seen.into() });
        }
    }

    pub(super) fn sort(&mut self) {
        self.findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    }

    /// Nothing has to be done.
    pub(super) fn is_well(&self) -> bool {
        self.findings.iter().all(|finding| finding.severity == Severity::Note)
    }
}
