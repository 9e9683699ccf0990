//! What is kept of output while it comes in.
//!
//! Owns the bound on memory: no more is kept than is shown, however much comes. Never decides when
//! to stop reading.

use crate::model::captured_output;

/// The beginning of some output, and how much of it there was.
#[derive(Debug)]
pub(super) struct Capture {
    kept: Vec<u8>,
    bytes_max: usize,
    total: u64,
    is_all: bool,
}

impl Capture {
    /// For output of which `bytes_max` bytes are kept.
    pub(super) const fn new(bytes_max: usize) -> Self {
        Self { kept: Vec::new(), bytes_max, total: 0, is_all: false }
    }

    /// More of it.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        let room = self.bytes_max - self.kept.len();
        self.kept.extend_from_slice(&bytes[..bytes.len().min(room)]);
        self.total += bytes.len() as u64;
    }

    /// There is no more of it.
    pub(super) const fn end(&mut self) {
        self.is_all = true;
    }

    /// Bytes that came in.
    pub(super) const fn total(&self) -> u64 {
        self.total
    }

    /// As it is shown: what is no UTF-8 is replaced, and what is missing is told.
    pub(super) fn text(&self) -> String {
        let mut kept = self.kept.as_slice();
        if self.total > kept.len() as u64
            && let Err(error) = std::str::from_utf8(kept)
            && error.error_len().is_none()
        {
            // Half a character at the cut is no mistake of the target's.
            kept = &kept[..error.valid_up_to()];
        }
        captured_output(&String::from_utf8_lossy(kept), self.total, self.is_all, self.bytes_max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beginning_is_kept_and_the_rest_counted() {
        let mut capture = Capture::new(5);
        for _ in 0..1000 {
            capture.push("aé".as_bytes());
        }
        capture.end();
        assert!(capture.kept.capacity() < 64);
        assert_eq!(capture.text(), "aéa ... (captured 4 of 3000 bytes)");
    }

    #[test]
    fn what_is_short_and_whole_stays_as_it_is() {
        let mut capture = Capture::new(5);
        capture.push(b"ab\xff");
        capture.end();
        assert_eq!(capture.text(), "ab\u{fffd}");
    }

    #[test]
    fn what_broke_off_says_so() {
        let mut capture = Capture::new(5);
        capture.push(b"ab");
        assert_eq!(capture.text(), "ab ... (captured 2 of more than 2 bytes)");
    }
}
