//! What a frame says, as JSON with the names and types of `docs/protocol.md`.
//!
//! Keys and digests are 16 hex digits, bytes are hex, a life is its generation and its renewal, an
//! absent value is null, and a variant is an object whose `is` is its name there.

use serde_json::{Value, json};
use shoal::model::{CheckRecord, Entry, NodeKey, NodeRecord, ServiceRecord};
use shoal::wire::Frame;
use shoal::wire::exam::Exam;
use shoal::wire::frame::{
    Answer, Ask, Body, Charge, CoordinateMessage, Digest, Epoch, Head, Item, JoinReply, Liveness,
    MemberUpdate, Page, Record, Row, SwimMessage, Third, Want,
};
use shoal::wire::keyring::{SharedKeyring, SharedStamp};

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn key(key: NodeKey) -> Value {
    json!(format!("{:016x}", key.0))
}

fn digest(digest: Digest) -> Value {
    number(digest.0)
}

fn number(number: u64) -> Value {
    json!(format!("{number:016x}"))
}

fn epoch(epoch: Epoch) -> Value {
    json!({"generation": epoch.generation().0, "renewal": epoch.0 & 0xffff})
}

const fn state(state: Liveness) -> &'static str {
    match state {
        Liveness::Alive => "alive",
        Liveness::Suspect => "suspect",
        Liveness::Down => "down",
        Liveness::Left => "left",
    }
}

fn list<T>(values: &[T], one: impl Fn(&T) -> Value) -> Value {
    Value::Array(values.iter().map(one).collect())
}

fn third(t: &Third) -> Value {
    json!({"key": key(t.key), "epoch": epoch(t.epoch), "addr": t.addr.to_string()})
}

fn message(m: &SwimMessage) -> Value {
    match m {
        SwimMessage::Ping(n) => json!({"is": "ping", "number": n}),
        SwimMessage::Ack(n) => json!({"is": "ack", "number": n}),
        SwimMessage::PingRequest(t, n) => json!({"is": "ping_request", "target": third(t), "number": n}),
        SwimMessage::IndirectPing(t, n) => json!({"is": "indirect_ping", "origin": third(t), "number": n}),
        SwimMessage::IndirectAck(t, n) => json!({"is": "indirect_ack", "origin": third(t), "number": n}),
        SwimMessage::ForwardedAck(t, n) => json!({"is": "forwarded_ack", "target": third(t), "number": n}),
        SwimMessage::Gossip => json!({"is": "gossip"}),
        SwimMessage::TurnUndead => json!({"is": "turn_undead"}),
    }
}

fn update(u: &MemberUpdate) -> Value {
    json!({
        "key": key(u.key), "epoch": epoch(u.epoch), "incarnation": u.incarnation,
        "state": state(u.state), "addr": u.addr.to_string(),
    })
}

fn head(h: &Head) -> Value {
    json!({"owner": key(h.owner), "generation": h.generation.0, "version": h.version.0, "digest": number(h.digest)})
}

fn body(b: &Body) -> Value {
    match b {
        Body::Deleted => json!({"is": "deleted"}),
        Body::Bytes(bytes) => json!({"is": "bytes", "bytes": hex(bytes)}),
        Body::Large(total) => json!({"is": "large", "total": total}),
    }
}

fn item(i: &Item) -> Value {
    json!({"version": i.version.0, "kind": i.kind, "id": i.id, "body": body(&i.body)})
}

fn record(r: &Record) -> Value {
    json!({"head": head(&r.head), "item": item(&r.item)})
}

fn charge(c: &Charge) -> Value {
    json!({
        "subject": key(c.subject), "epoch": epoch(c.epoch), "incarnation": c.incarnation,
        "accusers": list(&c.accusers, |(by, refused)| json!({"key": key(*by), "refused": refused})),
    })
}

fn want(w: &Want) -> Value {
    json!({
        "owner": key(w.owner), "generation": w.generation.0, "have": w.have.0,
        "cursor": w.cursor.map(|v| v.0),
    })
}

fn ask(a: &Ask) -> Value {
    match a {
        Ask::Buckets => json!({"is": "buckets"}),
        Ask::Parts { bucket } => json!({"is": "parts", "bucket": bucket}),
        Ask::Rows { bucket, part, after } => {
            json!({"is": "rows", "bucket": bucket, "part": part, "after": after.map(key)})
        }
        Ask::Records(wants) => json!({"is": "records", "wants": list(wants, want)}),
        Ask::Chunk { owner, generation, version, offset } => json!({
            "is": "chunk", "owner": key(*owner), "generation": generation.0, "version": version.0,
            "offset": offset,
        }),
        Ask::Range { after, until } => {
            json!({"is": "range", "after": after.map(key), "until": key(*until)})
        }
    }
}

fn row(r: &Row) -> Value {
    json!({
        "key": key(r.key),
        "member": r.member.map(|m| json!({
            "epoch": epoch(m.epoch), "incarnation": m.incarnation, "state": state(m.state),
            "addr": m.addr.to_string(),
        })),
        "table": r.table.map(|t| json!({
            "generation": t.generation.0, "complete_to": t.complete_to.0, "newest": t.newest.0,
            "digest": number(t.digest),
        })),
    })
}

fn page(p: &Page) -> Value {
    json!({
        "owner": key(p.owner), "generation": p.generation.0, "from": p.from.0, "survivors": p.survivors,
        "items": list(&p.items, item), "next": p.next.map(|v| v.0), "complete_to": p.complete_to.0,
    })
}

fn answer(a: &Answer) -> Value {
    match a {
        Answer::Digests(digests) => json!({"is": "digests", "digests": list(digests, |d| digest(*d))}),
        Answer::Rows { rows, more } => json!({"is": "rows", "rows": list(rows, row), "more": more}),
        Answer::Records(pages) => json!({"is": "records", "pages": list(pages, page)}),
        Answer::Chunk { total, bytes } => json!({"is": "chunk", "total": total, "bytes": hex(bytes)}),
    }
}

fn join_reply(reply: &JoinReply) -> Value {
    match reply {
        JoinReply::Welcome { from } => json!({"is": "welcome", "from": key(*from)}),
        JoinReply::NameHeld { holder, epoch: of } => {
            json!({"is": "name_held", "holder": holder.to_string(), "epoch": epoch(*of)})
        }
        JoinReply::Remembered { epoch: of } => json!({"is": "remembered", "epoch": epoch(*of)}),
    }
}

fn stamp(s: SharedStamp) -> Value {
    json!({"counter": s.counter, "node": key(s.node)})
}

fn keyring(k: &SharedKeyring) -> Value {
    json!({
        "keys": list(&k.keys, |one| json!({
            "id": format!("{:08x}", one.id), "stamp": stamp(one.stamp),
            "material": one.material.as_ref().map(|m| hex(m.bytes())),
        })),
        "primary": hex(k.primary.bytes()), "primary_stamp": stamp(k.primary_stamp), "floor": k.floor,
    })
}

fn coordinate(message: &CoordinateMessage) -> Value {
    match message {
        CoordinateMessage::Wanted => json!({"is": "wanted"}),
        CoordinateMessage::Told(packed) => {
            let c = packed.unpack().expect("the vectors hold coordinates within bounds");
            // In seconds, to the microsecond: what is packed is in whole ones or coarser.
            let micros = |s: f64| (s * 1e6).round() as i64;
            json!({
                "is": "told", "vec_us": c.vec().map(micros), "height_us": micros(c.height()),
                "adjustment_us": micros(c.adjustment()), "error_128ths": (c.error() * 128.0).round() as u8,
            })
        }
    }
}

fn exam(e: &Exam) -> Value {
    match *e {
        Exam::Question { number, from, to } => {
            json!({"is": "question", "number": number, "from": key(from), "to": key(to)})
        }
        Exam::Answer { number, from, saw, unix_ms } => json!({
            "is": "answer", "number": number, "from": key(from), "saw": saw.to_string(), "unix_ms": unix_ms,
        }),
        Exam::Inquiry { number, asker, to, about } => json!({
            "is": "inquiry", "number": number, "asker": key(asker), "to": key(to), "about": key(about),
        }),
        Exam::Report { number, asker, about, arrived } => json!({
            "is": "report", "number": number, "asker": key(asker), "about": key(about), "arrived": arrived,
        }),
    }
}

/// All that `frame` says.
pub(crate) fn frame(frame: &Frame) -> Value {
    let says = match frame {
        Frame::Swim(s) => json!({
            "from": key(s.from), "from_epoch": epoch(s.from_epoch), "from_incarnation": s.from_incarnation,
            "to": key(s.to), "to_epoch": epoch(s.to_epoch), "from_addr": s.from_addr.map(|a| a.to_string()),
            "message": message(&s.message),
        }),
        Frame::Members(updates) => list(updates, update),
        Frame::Records(records) => list(records, record),
        Frame::Heads(heads) => list(heads, head),
        Frame::Root(d) | Frame::KeyringDigest(d) | Frame::Challenge(d) => digest(*d),
        Frame::Join(j) => json!({
            "name": j.name.as_str(), "id": j.id.to_string(), "epoch": epoch(j.epoch),
            "incarnation": j.incarnation, "addr": j.addr.to_string(), "name_checked": j.name_checked,
        }),
        Frame::JoinReply(reply) => join_reply(reply),
        Frame::DownNotice(of, life) => json!({"key": key(*of), "epoch": epoch(*life)}),
        Frame::NameClaim(c) => json!({
            "name": c.name.as_str(), "epoch": epoch(c.epoch), "started": c.started.0,
            "addr": c.addr.to_string(), "joined": c.joined,
        }),
        Frame::Ask(number, question) => json!({"number": number, "ask": ask(question)}),
        Frame::Answer(number, said) => json!({"number": number, "answer": answer(said)}),
        Frame::Leave(r) => record(r),
        Frame::LeaveAck(by, generation) => json!({"by": key(*by), "generation": generation.0}),
        Frame::Accusations(charges) => list(charges, charge),
        Frame::Nack(n) => json!({
            "from": key(n.from), "to_epoch": epoch(n.to_epoch), "target": key(n.target), "number": n.number,
        }),
        Frame::Coordinate(message) => coordinate(message),
        Frame::Ages(ages) => json!(ages),
        Frame::Keyring(ring) => keyring(ring),
        Frame::Echo(cookie, addr) => json!({"cookie": digest(*cookie), "addr": addr.to_string()}),
        Frame::For(node) => key(*node),
        Frame::UserEvent(event, age) => json!({
            "id": hex(&event.id.0), "from": event.from.as_str(), "name": event.content.name,
            "payload": hex(&event.content.payload), "node_filter": event.content.node_filter,
            "service_filter": event.content.service_filter, "tag_filter": event.content.tag_filter,
            "age_us": age,
        }),
        Frame::Exam(e) => exam(e),
        Frame::Padding(bytes) => json!(bytes),
    };
    json!({"kind": frame.kind(), "says": says})
}

fn extensions(e: &shoal::model::Extensions) -> Value {
    e.iter()
        .map(|(field, bytes)| (field.to_string(), json!(hex(bytes))))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

/// What a record's body says.
pub(crate) fn entry(entry: &Entry) -> Value {
    match entry {
        Entry::Node(NodeRecord { name, id, addr, tags, agent_version, left, extensions: more }) => json!({
            "name": name.as_str(), "id": id.to_string(), "addr": addr.to_string(), "tags": tags,
            "agent_version": agent_version, "left": left, "extensions": extensions(more),
        }),
        Entry::Service(s) => service(s),
        Entry::Check(c) => check(c),
    }
}

fn service(s: &ServiceRecord) -> Value {
    let tagged: serde_json::Map<String, Value> = s
        .tagged_addresses
        .iter()
        .map(|(tag, a)| (tag.clone(), json!({"address": a.address, "port": a.port})))
        .collect();
    json!({
        "name": s.name.as_str(), "tags": s.tags, "address": s.address, "tagged_addresses": tagged,
        "port": s.port, "socket_path": s.socket_path, "meta": s.meta,
        "weights": {"passing": s.weights.passing, "warning": s.weights.warning},
        "enable_tag_override": s.enable_tag_override, "extensions": extensions(&s.extensions),
    })
}

fn check(c: &CheckRecord) -> Value {
    json!({
        "name": c.name, "service_id": c.service_id.as_ref().map(|id| id.as_str()),
        "status": c.status.as_str(), "notes": c.notes, "output": c.output, "kind": c.kind,
        "interval": c.interval, "timeout": c.timeout, "extensions": extensions(&c.extensions),
    })
}
