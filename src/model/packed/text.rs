//! Numbers and texts one after the other in a run of bytes.
//!
//! Numbers take seven bits a byte, low ones first. A text that also stands in the id of its record,
//! as the name of a service mostly does, is told by where.

/// Texts shorter than this cost as much by reference as written out.
const REFERRED_BYTES_MIN: usize = 3;

/// Appends to a packed record whose id is `id`.
pub(super) struct Writer<'a> {
    id: &'a str,
    out: Vec<u8>,
}

impl<'a> Writer<'a> {
    pub(super) fn after(id: &'a str, out: Vec<u8>) -> Self {
        Self { id, out }
    }

    pub(super) fn number(&mut self, mut n: usize) {
        while n >= 0x80 {
            self.out.push(n as u8 | 0x80);
            n >>= 7;
        }
        self.out.push(n as u8);
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len());
        self.out.extend_from_slice(bytes);
    }

    pub(super) fn text(&mut self, text: &str) {
        let referred = if text.len() < REFERRED_BYTES_MIN { None } else { self.id.find(text) };
        match referred {
            Some(at) => {
                self.number(text.len() << 1 | 1);
                self.number(at);
            }
            None => {
                self.number(text.len() << 1);
                self.out.extend_from_slice(text.as_bytes());
            }
        }
    }

    pub(super) fn finish(self) -> Vec<u8> {
        self.out
    }
}

/// Reads what a [`Writer`] wrote.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    id: &'a [u8],
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(id: &'a [u8], rest: &'a [u8]) -> Self {
        Self { id, rest }
    }

    pub(super) fn number(&mut self) -> usize {
        let (mut n, mut shift) = (0, 0);
        loop {
            let (byte, rest) = self.rest.split_first().expect("a packed record is whole");
            self.rest = rest;
            n |= usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return n;
            }
            shift += 7;
        }
    }

    pub(super) fn bytes(&mut self) -> &'a [u8] {
        let length = self.number();
        self.take(length)
    }

    pub(super) fn text(&mut self) -> &'a str {
        let tagged = self.number();
        let length = tagged >> 1;
        let bytes = if tagged & 1 == 1 {
            let at = self.number();
            &self.id[at..at + length]
        } else {
            self.take(length)
        };
        utf8(bytes)
    }

    /// A port or a weight.
    pub(super) fn short(&mut self) -> u16 {
        u16::try_from(self.number()).expect("it was packed from one")
    }

    fn take(&mut self, length: usize) -> &'a [u8] {
        let (bytes, rest) = self.rest.split_at(length);
        self.rest = rest;
        bytes
    }
}

pub(super) fn utf8(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("it was packed from text")
}
