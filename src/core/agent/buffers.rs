//! Memory that goes round: datagrams are built in buffers of datagrams that were sent before, so that an agent at
//! rest takes none.

use super::Agent;

/// Buffers kept for later. A round of gossip at its busiest sends about as many at once.
const SPARE_MAX: usize = 32;

/// Buffers of datagrams that were sent.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    spare: Vec<Vec<u8>>,
}

impl Buffers {
    /// An empty buffer with room for `room` bytes.
    pub(super) fn take(&mut self, room: usize) -> Vec<u8> {
        self.spare.pop().unwrap_or_else(|| Vec::with_capacity(room))
    }

    /// Keeps a buffer with room for `room` bytes, unless there are enough. Others are not of our making.
    fn give(&mut self, mut buffer: Vec<u8>, room: usize) {
        if self.spare.len() < SPARE_MAX && buffer.capacity() >= room {
            buffer.clear();
            self.spare.push(buffer);
        }
    }
}

impl Agent {
    /// Takes back the bytes of an [`Outgoing`](super::Outgoing) that was sent, to use them again. Optional: who
    /// keeps them only makes the agent take new ones.
    pub fn recycle(&mut self, bytes: Vec<u8>) {
        self.buffers.give(bytes, self.config.max_datagram_bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_come_round_and_no_more_than_enough_are_kept() {
        let mut buffers = Buffers::default();
        let mut first = buffers.take(100);
        first.extend([1; 100]);
        let at = first.as_ptr();
        buffers.give(first, 100);
        let again = buffers.take(100);
        assert!(again.is_empty() && again.as_ptr() == at);
        buffers.give(vec![1], 100);
        assert!(buffers.spare.is_empty(), "one that is too small is let go");
        (0..SPARE_MAX + 5).for_each(|_| buffers.give(Vec::with_capacity(100), 100));
        assert_eq!(buffers.spare.len(), SPARE_MAX);
    }
}
