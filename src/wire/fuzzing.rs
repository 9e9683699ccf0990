//! What must hold for any bytes of a datagram. See [`crate::fuzzing`].

use super::datagram::{ClusterHash, DatagramBuilder, open};
use super::frame::{Answer, Body, FRAME_OVERHEAD_BYTES, Frame, Item};
use super::record;
use bytes::Bytes;

const DATAGRAM_BYTES_MAX: usize = 1_400;
/// What a frame's length can say.
const BODY_BYTES_MAX: usize = u16::MAX as usize;

/// Opens `data`, and a datagram of `cluster` with `data` for its frames.
pub(crate) fn datagram(data: &[u8], cluster: &str) {
    let cluster = ClusterHash::of(cluster);
    let mut whole = DatagramBuilder::new(cluster, DATAGRAM_BYTES_MAX).finish();
    whole.extend(data);
    for bytes in [data, &whole] {
        let Ok(frames) = open(bytes, cluster, DATAGRAM_BYTES_MAX) else { continue };
        for frame in frames.flatten() {
            comes_back(&frame);
            for item in items(&frame) {
                keeps_its_bytes(item);
            }
        }
    }
}

/// Decodes one frame.
pub(crate) fn frame(kind: u8, body: &[u8]) {
    if body.len() <= BODY_BYTES_MAX
        && let Ok(Some(frame)) = Frame::decode(kind, body)
    {
        comes_back(&frame);
        items(&frame).for_each(keeps_its_bytes);
    }
}

fn comes_back(frame: &Frame) {
    let mut bytes = Vec::new();
    frame.encode_into(&mut bytes);
    let again = Frame::decode(bytes[0], &bytes[FRAME_OVERHEAD_BYTES..]);
    assert_eq!(again.as_ref(), Ok(&Some(frame.clone())), "a {} frame changed on its way", frame.kind());
}

fn items(frame: &Frame) -> impl Iterator<Item = &Item> {
    let (records, pages) = match frame {
        Frame::Records(records) => (records.as_slice(), [].as_slice()),
        Frame::Leave(record) => (std::slice::from_ref(record), [].as_slice()),
        Frame::Answer(_, Answer::Records(pages)) => ([].as_slice(), pages.as_slice()),
        _ => ([].as_slice(), [].as_slice()),
    };
    records.iter().map(|r| &r.item).chain(pages.iter().flat_map(|p| &p.items))
}

/// A relay passes on what the owner wrote, or does not take it.
fn keeps_its_bytes(item: &Item) {
    let (Ok(key), Body::Bytes(body)) = (item.key(), &item.body) else { return };
    let Ok(packed) = record::pack(&key, body) else { return };
    assert_eq!(record::body(&packed), Some(Bytes::clone(body)), "the bytes of {key:?} changed");
    assert_eq!(packed.key(), key);
    assert_eq!(record::unpack(&packed), record::decode(&key, body));
}
