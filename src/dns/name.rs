//! Domain names as bytes: the name that was asked for, and the names that answers are made of.
//!
//! Owns their bounds (RFC 1035, 2.3.4) and the way from text to labels. Knows nothing of what a name
//! stands for.

use domain::base::name::ToLabelIter;

/// The longest name in wire form, its root label included.
pub(super) const NAME_BYTES_MAX: usize = 255;
/// The longest label.
pub(super) const LABEL_BYTES_MAX: usize = 63;
/// No name has more labels than this.
const LABELS_MAX: usize = NAME_BYTES_MAX / 2;

/// A whole name in wire form, spelled as it was asked for.
#[derive(Clone, Copy)]
pub(super) struct QueryName {
    bytes: [u8; NAME_BYTES_MAX],
    len: u8,
    starts: [u8; LABELS_MAX],
    labels: u8,
}

impl QueryName {
    /// A parsed name; `None` for one that is longer than names may be.
    pub(super) fn new(name: &impl ToLabelIter) -> Option<Self> {
        let mut new = Self { bytes: [0; NAME_BYTES_MAX], len: 0, starts: [0; LABELS_MAX], labels: 0 };
        for label in name.iter_labels() {
            let (at, label) = (usize::from(new.len), label.as_slice());
            let place = new.bytes.get_mut(at..=at + label.len())?;
            place[0] = u8::try_from(label.len()).ok()?;
            place[1..].copy_from_slice(label);
            if !label.is_empty() {
                *new.starts.get_mut(usize::from(new.labels))? = new.len;
                new.labels += 1;
            }
            new.len = u8::try_from(at + 1 + label.len()).ok()?;
        }
        Some(new)
    }

    /// The same of a name in wire form; `None` if it is not one.
    pub(super) fn of_wire(wire: &[u8]) -> Option<Self> {
        Self::new(&domain::base::Name::from_slice(wire).ok()?)
    }

    /// Its bytes with the root label.
    pub(super) fn wire(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    /// How many labels it has, not counting the root.
    pub(super) fn labels(&self) -> usize {
        usize::from(self.labels)
    }

    /// The label at `index`, counted from the left.
    pub(super) fn label(&self, index: usize) -> &[u8] {
        let at = usize::from(self.starts[index]);
        let length = usize::from(self.bytes[at]);
        &self.bytes[at + 1..=at + length]
    }

    /// Where the label at `index` begins in [`QueryName::wire`]; the root label for the index after
    /// the last.
    pub(super) fn start(&self, index: usize) -> usize {
        if index < self.labels() { usize::from(self.starts[index]) } else { usize::from(self.len) - 1 }
    }

    /// How many labels stand left of `suffix` (in wire form with the root), if the name ends with it.
    pub(super) fn left_of(&self, suffix: &[u8]) -> Option<usize> {
        let at = usize::from(self.len).checked_sub(suffix.len())?;
        if !self.wire()[at..].eq_ignore_ascii_case(suffix) {
            return None;
        }
        (0..=self.labels()).find(|&index| self.start(index) == at)
    }
}

/// Appends labels for `text`, which has them between dots; `None` if one is empty or too long. The
/// root label is not written.
pub(super) fn push_labels(out: &mut Vec<u8>, text: &str) -> Option<()> {
    for label in text.split('.') {
        if label.is_empty() || label.len() > LABEL_BYTES_MAX {
            return None;
        }
        out.push(u8::try_from(label.len()).ok()?);
        out.extend_from_slice(label.as_bytes());
    }
    Some(())
}

/// A host name in wire form, with the root label; `None` if it cannot be one.
pub(super) fn host(text: &str) -> Option<Box<[u8]>> {
    let plausible = text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
    if !plausible {
        return None;
    }
    let mut wire = Vec::with_capacity(text.len() + 2);
    push_labels(&mut wire, text.strip_suffix('.').unwrap_or(text))?;
    wire.push(0);
    (wire.len() <= NAME_BYTES_MAX).then(|| wire.into_boxed_slice())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> QueryName {
        QueryName::of_wire(&host(text).expect("valid")).expect("valid")
    }

    #[test]
    fn a_name_is_read_label_by_label_and_keeps_its_spelling() {
        let name = name("WeB.service.Consul");
        assert_eq!(name.labels(), 3);
        assert_eq!(name.label(0), b"WeB");
        assert_eq!(name.label(2), b"Consul");
        assert_eq!(name.left_of(&host("consul").expect("valid")), Some(2));
        assert_eq!(name.left_of(&host("SERVICE.consul").expect("valid")), Some(1));
        assert_eq!(name.left_of(&host("sul").expect("valid")), None);
        assert_eq!(name.left_of(&host("a.web.service.consul").expect("valid")), None);
        assert_eq!(name.left_of(&[0]), Some(3));
        assert_eq!(QueryName::of_wire(&[0]).map(|n| n.labels()), Some(0));
    }

    #[test]
    fn what_cannot_be_a_name_is_none() {
        let long = ["x".repeat(63).as_str(); 4].join(".");
        for bad in ["", ".", "a..b", "a b", &"x".repeat(64), &long] {
            assert!(host(bad).is_none(), "{bad}");
        }
        assert!(host("foo.example.com.").is_some());
        assert!(QueryName::of_wire(&[1, b'a']).is_none());
    }
}
