//! What a stranger makes up: frames that are well formed, about members that are there and such that
//! are not.

use super::super::input::Input;
use super::sealed::KEYS;
use super::{OURS, PEER, instance, service};
use crate::fuzzing::addr;
use crate::model::{CheckStatus, Entry, Generation, KeyMaterial, NodeId, NodeKey, NodeName, Version};
use crate::wire::frame::{
    Accusation, Answer, Ask, Body, Charge, Digest, Epoch, Head, Item, JoinRequest, Liveness, MemberUpdate,
    NameClaim, Page, Record, Row, RowTable, SwimFrame, SwimMessage, Want,
};
use crate::wire::keyring::{SharedKey, SharedKeyring, SharedStamp};
use crate::wire::{Frame, record};
use bytes::Bytes;
use std::net::SocketAddr;

pub(super) fn any_status(input: &mut Input<'_>) -> CheckStatus {
    [CheckStatus::Passing, CheckStatus::Warning, CheckStatus::Critical][input.below(3)]
}

pub(super) fn any_addr(input: &mut Input<'_>) -> SocketAddr {
    addr(u16::from(input.byte() % 32))
}

pub(super) fn any_name(input: &mut Input<'_>) -> NodeName {
    let name = match input.byte() % 32 {
        0 => OURS.0.to_owned(),
        1 => PEER.0.to_owned(),
        n => format!("ghost{n}"),
    };
    NodeName::new(name).expect("is a name")
}

fn any_key(input: &mut Input<'_>) -> NodeKey {
    any_name(input).key()
}

/// Around those that are in use, and at the ends.
fn any_number(input: &mut Input<'_>) -> u64 {
    match input.byte() {
        255 => u64::MAX,
        254 => Generation::MAX.0,
        n if n < 32 => u64::from(n),
        n => 960 + u64::from(n),
    }
}

fn any_epoch(input: &mut Input<'_>) -> Epoch {
    let epoch = Epoch::first_of(Generation(any_number(input)));
    if input.flip() { epoch } else { epoch.next() }
}

fn any_head(input: &mut Input<'_>) -> Head {
    Head {
        owner: any_key(input),
        generation: Generation(any_number(input)),
        version: Version(any_number(input)),
        digest: any_number(input),
    }
}

fn any_item(input: &mut Input<'_>) -> Item {
    let id = instance(input.byte() % 64);
    let body = match input.byte() % 4 {
        0 => Body::Deleted,
        1 => Body::Large(any_number(input) as u32),
        2 => Body::Bytes(Bytes::copy_from_slice(input.bytes())),
        _ => Body::Bytes(Bytes::from(record::encode(&Entry::Service(service(&id, "lie"))))),
    };
    let kind = [1, 1, 0, 2, 9][input.below(5)];
    let id = if kind == 0 { String::new() } else { id.to_string() };
    Item { version: Version(any_number(input)), kind, id, body }
}

fn any_update(input: &mut Input<'_>) -> MemberUpdate {
    let states = [Liveness::Alive, Liveness::Suspect, Liveness::Down, Liveness::Left];
    MemberUpdate {
        key: any_key(input),
        epoch: any_epoch(input),
        incarnation: any_number(input) as u16,
        state: states[input.below(4)],
        addr: any_addr(input),
    }
}

fn any_page(input: &mut Input<'_>) -> Page {
    Page {
        owner: any_key(input),
        generation: Generation(any_number(input)),
        from: Version(any_number(input)),
        survivors: (0..input.below(3)).map(|_| any_number(input)).collect(),
        items: (0..input.below(4)).map(|_| any_item(input)).collect(),
        next: input.flip().then(|| Version(any_number(input))),
        complete_to: Version(any_number(input)),
    }
}

fn any_table(input: &mut Input<'_>) -> RowTable {
    RowTable {
        generation: Generation(any_number(input)),
        complete_to: Version(any_number(input)),
        newest: Version(any_number(input)),
        digest: any_number(input),
    }
}

/// Of keys that may be in use, and with few writers, so that stamps meet.
fn any_keyring(input: &mut Input<'_>) -> SharedKeyring {
    let stamp = |input: &mut Input<'_>| SharedStamp {
        counter: u64::from(input.byte()),
        node: NodeKey(u64::from(input.byte() % 4)),
    };
    let key = |input: &mut Input<'_>| KeyMaterial::from_bytes([input.byte() % KEYS; 32]);
    let keys = (0..input.below(16)).map(|_| {
        let material = key(input);
        let id = if input.flip() { material.id().0 } else { u32::from(input.byte()) };
        SharedKey { id, stamp: stamp(input), material: input.flip().then_some(material) }
    });
    let keys = keys.collect();
    let (primary, primary_stamp) = (key(input), stamp(input));
    SharedKeyring { keys, primary, primary_stamp, floor: u64::from(input.byte()) }
}

/// A frame that is well formed, and about somebody.
pub(super) fn lie(input: &mut Input<'_>) -> Frame {
    match input.byte() % 14 {
        0 => Frame::Members((0..=input.below(8)).map(|_| any_update(input)).collect()),
        1 => Frame::Heads((0..=input.below(4)).map(|_| any_head(input)).collect()),
        2 => {
            let records =
                (0..=input.below(4)).map(|_| Record { head: any_head(input), item: any_item(input) });
            Frame::Records(records.collect())
        }
        3 => Frame::Root(Digest(any_number(input))),
        4 => Frame::Join(JoinRequest {
            name: any_name(input),
            id: NodeId::from_random(u128::from(any_number(input))),
            epoch: any_epoch(input),
            incarnation: 0,
            addr: any_addr(input),
            name_checked: input.flip(),
        }),
        5 => Frame::DownNotice(any_key(input), any_epoch(input)),
        6 => Frame::NameClaim(NameClaim {
            name: any_name(input),
            epoch: any_epoch(input),
            started: Generation(any_number(input)),
            addr: any_addr(input),
            joined: input.flip(),
        }),
        7 => Frame::Ask(
            u32::from(input.byte()),
            match input.byte() % 5 {
                0 => Ask::Buckets,
                1 => Ask::Rows { bucket: input.byte(), part: Some(input.byte()), after: None },
                2 => Ask::Records(vec![Want {
                    owner: any_key(input),
                    generation: Generation(any_number(input)),
                    have: Version(any_number(input)),
                    cursor: None,
                }]),
                3 => Ask::Range { after: input.flip().then(|| any_key(input)), until: any_key(input) },
                _ => Ask::Parts { bucket: input.byte() },
            },
        ),
        8 => {
            let answer = match input.byte() % 3 {
                0 => Answer::Records((0..=input.below(2)).map(|_| any_page(input)).collect()),
                1 => Answer::Digests(vec![Digest(any_number(input)); input.below(70)]),
                _ => {
                    let rows = (0..=input.below(4)).map(|_| {
                        let (key, table) = (any_key(input), Some(any_table(input)));
                        Row { key, member: None, table }
                    });
                    Answer::Rows { rows: rows.collect(), more: false }
                }
            };
            Frame::Answer(u32::from(input.byte()), answer)
        }
        9 => Frame::Leave(Record { head: any_head(input), item: any_item(input) }),
        10 => Frame::LeaveAck(any_key(input), Generation(any_number(input))),
        11 => {
            let accusations = (0..=input.below(6)).map(|_| {
                let u = any_update(input);
                let accuser = any_key(input);
                let refused = input.flip();
                Accusation { subject: u.key, epoch: u.epoch, incarnation: u.incarnation, accuser, refused }
            });
            Frame::Accusations(Charge::group(&accusations.collect::<Vec<_>>()))
        }
        12 => Frame::Keyring(any_keyring(input)),
        _ => {
            let (from, from_epoch) = (any_key(input), any_epoch(input));
            let number = input.byte();
            let message = match input.byte() % 4 {
                0 => SwimMessage::Ping(number),
                1 => SwimMessage::Ack(number),
                2 => SwimMessage::Gossip,
                _ => SwimMessage::TurnUndead,
            };
            Frame::Swim(SwimFrame {
                from,
                from_epoch,
                from_incarnation: u16::from(input.byte()),
                to: any_key(input),
                to_epoch: any_epoch(input),
                from_addr: input.flip().then(|| any_addr(input)),
                message,
            })
        }
    }
}
