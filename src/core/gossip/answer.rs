//! Answers to questions of a repair, from what is known here and nothing else: whoever asks is not
//! remembered, any question may be asked twice, and an answer always fits into one datagram.

use crate::core::catalog::{Catalog, Owner};
use crate::core::digest::Tree;
use crate::core::swim::Peers;
use crate::model::{Generation, NodeKey, PackedEntry, Version};
use crate::wire::frame::{Answer, Ask, Body, Item, MemberUpdate, Page, Row, RowMember, Want};
use crate::wire::{codec, record};

/// Wants looked at in one question.
const WANTS_MAX: usize = 32;
/// Bytes of an answer that are not items: numbers, lengths, one page's own fields.
const PAGE_BYTES: usize = 40;
/// Bytes of an answer's own frame.
const ANSWER_BYTES: usize = 16;

/// What the answers are made from.
pub(crate) struct Known<'a> {
    pub(crate) tree: &'a Tree,
    pub(crate) peers: &'a Peers,
    pub(crate) own: MemberUpdate,
    pub(crate) catalog: &'a Catalog,
}

impl Known<'_> {
    /// The row of a node, as it stands here.
    pub(crate) fn row(&self, key: NodeKey) -> Row {
        let update = if key == self.own.key { Some(self.own) } else { self.peers.as_update(key) };
        let member = update.map(|u| RowMember {
            epoch: u.epoch,
            incarnation: u.incarnation,
            state: u.state,
            addr: u.addr,
        });
        Row { key, member, table: self.catalog.table(key) }
    }

    /// The answer to `ask` in at most `room` bytes.
    pub(crate) fn answer(&self, ask: &Ask, room: usize) -> Answer {
        let room = room.saturating_sub(ANSWER_BYTES);
        match ask {
            Ask::Buckets => Answer::Digests(self.tree.buckets()),
            Ask::Parts { bucket } => Answer::Digests(self.tree.parts(*bucket).to_vec()),
            Ask::Rows { bucket, part, after } => self.rows(self.tree.keys(*bucket, *part, *after), room),
            Ask::Range { after, until } => self.rows(self.tree.keys_between(*after, *until), room),
            Ask::Records(wants) => self.records(wants, room),
            Ask::Chunk { owner, generation, version, offset } => {
                self.chunk(*owner, *generation, *version, *offset, room)
            }
        }
    }

    fn rows(&self, keys: impl Iterator<Item = NodeKey>, mut room: usize) -> Answer {
        let mut rows = Vec::new();
        for key in keys {
            let row = self.row(key);
            let bytes = codec::encode(&row).len();
            if bytes > room {
                return Answer::Rows { rows, more: true };
            }
            room -= bytes;
            rows.push(row);
        }
        Answer::Rows { rows, more: false }
    }

    fn records(&self, wants: &[Want], mut room: usize) -> Answer {
        let mut pages = Vec::new();
        for want in wants.iter().take(WANTS_MAX) {
            let Some(left) = room.checked_sub(PAGE_BYTES) else { break };
            let page = match self.catalog.owner(want.owner) {
                Some(owner) => page(owner, want, left),
                None => Page {
                    owner: want.owner,
                    generation: Generation(0),
                    from: Version(0),
                    survivors: Vec::new(),
                    items: Vec::new(),
                    next: None,
                    complete_to: Version(0),
                },
            };
            let empty = page.items.is_empty() && page.survivors.is_empty();
            if page.next.is_some() && empty && !pages.is_empty() {
                break;
            }
            room = room.saturating_sub(codec::encode(&page).len());
            let full = page.next.is_some();
            pages.push(page);
            if full {
                break;
            }
        }
        Answer::Records(pages)
    }

    fn chunk(
        &self,
        owner: NodeKey,
        generation: Generation,
        version: Version,
        offset: u32,
        room: usize,
    ) -> Answer {
        let gone = Answer::Chunk { total: 0, bytes: bytes::Bytes::new() };
        let Some(table) = self.catalog.owner(owner).filter(|o| o.generation() == generation) else {
            return gone;
        };
        let Some((at, entry)) = table.after(Version(version.0.saturating_sub(1))).next() else { return gone };
        let (Some(body), true) = (record::body(entry), at == version) else { return gone };
        let start = (offset as usize).min(body.len());
        let end = (start + room).min(body.len());
        let total = u32::try_from(body.len()).expect("a body is at most max_record_bytes");
        Answer::Chunk { total, bytes: body.slice(start..end) }
    }
}

/// The next page of `owner`'s table for `want`, in at most `room` bytes of items.
///
/// The versions up to what the asker has are told as survivors, and only if some deletion among
/// them is not remembered any more; those after it as items.
fn page(owner: &Owner, want: &Want, mut room: usize) -> Page {
    let have = if want.generation == owner.generation() { want.have } else { Version(0) };
    let start = match want.cursor {
        Some(cursor) => cursor,
        None if owner.forgotten_to() > have && have > Version(0) => Version(0),
        None => have,
    };
    let mut page = Page {
        owner: want.owner,
        generation: owner.generation(),
        from: start,
        survivors: Vec::new(),
        items: Vec::new(),
        next: None,
        complete_to: owner.complete_to(),
    };
    let mut cursor = start;
    if start < have {
        cursor = survivors(owner, &mut page.survivors, start, have, &mut room);
        if cursor < have {
            page.next = Some(cursor);
            return page;
        }
    }
    for (version, entry) in owner.after(cursor) {
        let item = item(version, entry, room, page.items.is_empty() && page.survivors.is_empty());
        let bytes = codec::encode(&item).len();
        if bytes > room {
            page.next = Some(cursor);
            return page;
        }
        room -= bytes;
        cursor = item.version;
        page.items.push(item);
    }
    page
}

/// An entry for a page. One that does not even fit into a page of its own is only announced.
fn item(version: Version, entry: &PackedEntry, room: usize, first: bool) -> Item {
    let (kind, id) = (entry.kind(), entry.id().to_owned());
    let mut item = Item { version, kind, id, body: Body::Deleted };
    if let Some(body) = record::body(entry) {
        let total = u32::try_from(body.len()).expect("a body is at most max_record_bytes");
        item.body = Body::Bytes(body);
        if first && codec::encode(&item).len() > room {
            item.body = Body::Large(total);
        }
    }
    item
}

/// Lists the live writes in `(from, have]`; says how far it got.
fn survivors(owner: &Owner, gaps: &mut Vec<u64>, from: Version, have: Version, room: &mut usize) -> Version {
    // The most that one gap takes in the variable-length encoding.
    const GAP_BYTES: usize = 9;
    let mut last = from;
    for version in owner.live_versions(from, have) {
        if *room < GAP_BYTES + PAGE_BYTES {
            return last;
        }
        *room -= GAP_BYTES;
        gaps.push(version.0 - last.0);
        last = version;
    }
    have
}
