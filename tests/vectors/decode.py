#!/usr/bin/env python3
"""A reader of the protocol that knows docs/protocol.md and none of the agent's code.

Reads the test vectors beside it and holds what it understands against what they say. Nothing but
Python's standard library. Exit code 0: it understood everything as it was meant.
"""

import hashlib
import ipaddress
import json
import math
import pathlib
import sys

from gcm_siv import opened, sealed
from xxh3 import MASK, rotl, xxh3

DATAGRAM_BYTES_MAX = 1400


class Malformed(Exception):
    pass


class Dropped(Exception):
    pass


# ---- section 4: values


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, n):
        if self.at + n > len(self.data):
            raise Malformed("ends early")
        self.at += n
        return self.data[self.at - n : self.at]


def u8(r):
    return r.take(1)[0]


def boolean(r):
    byte = u8(r)
    if byte > 1:
        raise Malformed("no bool")
    return byte == 1


def varint(bits):
    def read(r):
        first = u8(r)
        size = {251: 2, 252: 4, 253: 8}.get(first, 0)
        if first > 253:
            raise Malformed("no varint")
        value = int.from_bytes(r.take(size), "little") if size else first
        if value >> bits:
            raise Malformed("too large")
        return value

    return read


u16, u32, u64 = varint(16), varint(32), varint(64)


def fixed64(r):
    return f"{int.from_bytes(r.take(8), 'little'):016x}"


def fixed(n):
    return lambda r: r.take(n).hex()


def raw(r):
    return r.take(u64(r)).hex()


def string(r):
    try:
        return r.take(u64(r)).decode()
    except UnicodeDecodeError as e:
        raise Malformed(str(e)) from e


def option(one):
    return lambda r: one(r) if boolean(r) else None


def listing(one):
    return lambda r: [one(r) for _ in range(u64(r))]


def mapping(key, value):
    def read(r):
        return {str(key(r)): value(r) for _ in range(u64(r))}

    return read


def struct(**fields):
    return lambda r: {name: read(r) for name, read in fields.items()}


def variant(*cases):
    """Cases in the order of their numbers, each a name and its fields."""

    def read(r):
        number = u32(r)
        if number >= len(cases):
            raise Malformed("unknown variant")
        name, fields = cases[number]
        return {"is": name, **{field: one(r) for field, one in fields.items()}}

    return read


def word(*words):
    def read(r):
        number = u32(r)
        if number >= len(words):
            raise Malformed("unknown variant")
        return words[number]

    return read


def addr(r):
    kind = u32(r)
    if kind > 1:
        raise Malformed("no address")
    ip = ipaddress.ip_address(r.take(16 if kind else 4))
    return f"[{ip}]:{u16(r)}" if kind else f"{ip}:{u16(r)}"


def epoch(r):
    value = int.from_bytes(r.take(8), "little")
    return {"generation": value >> 16, "renewal": value & 0xFFFF}


def uuid(r):
    text = r.take(16).hex()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


# ---- section 5: frames

key, digest, generation, version, incarnation = fixed64, fixed64, u64, u64, u16
state = word("alive", "suspect", "down", "left")
third = struct(key=key, epoch=epoch, addr=addr)
swim_message = variant(
    ("ping", {"number": u8}),
    ("ack", {"number": u8}),
    ("ping_request", {"target": third, "number": u8}),
    ("indirect_ping", {"origin": third, "number": u8}),
    ("indirect_ack", {"origin": third, "number": u8}),
    ("forwarded_ack", {"target": third, "number": u8}),
    ("gossip", {}),
    ("turn_undead", {}),
)
swim = struct(
    **{"from": key},
    from_epoch=epoch,
    from_incarnation=incarnation,
    to=key,
    to_epoch=epoch,
    from_addr=option(addr),
    message=swim_message,
)
member_update = struct(key=key, epoch=epoch, incarnation=incarnation, state=state, addr=addr)
charge = struct(
    subject=key, epoch=epoch, incarnation=incarnation, accusers=listing(struct(key=key, refused=boolean))
)
nack = struct(**{"from": key}, to_epoch=epoch, target=key, number=u8)
join = struct(name=string, id=uuid, epoch=epoch, incarnation=incarnation, addr=addr, name_checked=boolean)
join_reply = variant(
    ("welcome", {"from": key}), ("name_held", {"holder": addr, "epoch": epoch}), ("remembered", {"epoch": epoch})
)
name_claim = struct(name=string, epoch=epoch, started=generation, addr=addr, joined=boolean)
head = struct(owner=key, generation=generation, version=version, digest=digest)
body = variant(("deleted", {}), ("bytes", {"bytes": raw}), ("large", {"total": u32}))
item = struct(version=version, kind=u8, id=string, body=body)
record = struct(head=head, item=item)
want = struct(owner=key, generation=generation, have=version, cursor=option(version))
ask = variant(
    ("buckets", {}),
    ("parts", {"bucket": u8}),
    ("rows", {"bucket": u8, "part": option(u8), "after": option(key)}),
    ("records", {"wants": listing(want)}),
    ("chunk", {"owner": key, "generation": generation, "version": version, "offset": u32}),
    ("range", {"after": option(key), "until": key}),
)
row_member = struct(epoch=epoch, incarnation=incarnation, state=state, addr=addr)
row_table = struct(generation=generation, complete_to=version, newest=version, digest=digest)
row = struct(key=key, member=option(row_member), table=option(row_table))
page = struct(
    owner=key,
    generation=generation,
    **{"from": version},
    survivors=listing(u64),
    items=listing(item),
    next=option(version),
    complete_to=version,
)
answer = variant(
    ("digests", {"digests": listing(digest)}),
    ("rows", {"rows": listing(row), "more": boolean}),
    ("records", {"pages": listing(page)}),
    ("chunk", {"total": u32, "bytes": raw}),
)
stamp = struct(counter=u64, node=key)
key_entry = struct(id=lambda r: f"{u32(r):08x}", stamp=stamp, material=option(fixed(32)))
keyring = struct(keys=listing(key_entry), primary=fixed(32), primary_stamp=stamp, floor=u64)
user_event = struct(
    id=fixed(16),
    **{"from": string},
    name=string,
    payload=raw,
    node_filter=string,
    service_filter=string,
    tag_filter=string,
    age_us=u32,
)


def coordinate(r):
    what = variant(("wanted", {}), ("told", {}))(r)
    if what["is"] == "told":
        packed = r.take(22)
        unit = 1 << packed[0]
        number = lambda at, signed: int.from_bytes(packed[at : at + 2], "little", signed=signed) * unit
        if packed[0] > 9 or packed[21] > 192:
            raise Malformed("no coordinate")
        what["vec_us"] = [number(at, True) for at in range(1, 17, 2)]
        what["height_us"] = max(10, number(17, False))
        what["adjustment_us"] = number(19, True)
        what["error_128ths"] = packed[21]
    return what


exam = variant(
    ("question", {"number": u32, "from": key, "to": key}),
    ("answer", {"number": u32, "from": key, "saw": addr, "unix_ms": u64}),
    ("inquiry", {"number": u32, "asker": key, "to": key, "about": key}),
    ("report", {"number": u32, "asker": key, "about": key, "arrived": u8}),
)

FRAMES = {
    1: ("swim", swim),
    2: ("members", listing(member_update)),
    3: ("records", listing(record)),
    4: ("heads", listing(head)),
    5: ("root", digest),
    6: ("join", join),
    7: ("join_reply", join_reply),
    8: ("down_notice", struct(key=key, epoch=epoch)),
    9: ("name_claim", name_claim),
    10: ("ask", struct(number=u32, ask=ask)),
    11: ("answer", struct(number=u32, answer=answer)),
    12: ("leave", record),
    13: ("leave_ack", struct(by=key, generation=generation)),
    14: ("accusations", listing(charge)),
    15: ("nack", nack),
    17: ("coordinate", coordinate),
    18: ("ages", listing(u32)),
    19: ("keyring", keyring),
    20: ("keyring_digest", digest),
    21: ("challenge", digest),
    22: ("echo", struct(cookie=digest, addr=addr)),
    23: ("for", key),
    24: ("user_event", user_event),
    25: ("exam", exam),
    26: ("padding", lambda r: len(r.data)),
}


def frames(data):
    said, r = [], Reader(data)
    while r.at < len(data):
        kind, length = u8(r), int.from_bytes(r.take(2), "little")
        inside = Reader(r.take(length))
        if kind in FRAMES:
            name, read = FRAMES[kind]
            said.append({"kind": name, "says": read(inside)})
    return said


# ---- section 6: bodies of records

extensions = mapping(u16, raw)
status = lambda r: {0: "passing", 1: "warning"}.get(u8(r), "critical")
RECORDS = {
    0: struct(
        name=string,
        id=uuid,
        addr=addr,
        tags=mapping(string, string),
        agent_version=string,
        left=boolean,
        extensions=extensions,
    ),
    1: struct(
        name=string,
        tags=listing(string),
        address=string,
        tagged_addresses=mapping(string, struct(address=string, port=u16)),
        port=u16,
        socket_path=string,
        meta=mapping(string, string),
        weights=struct(passing=u16, warning=u16),
        enable_tag_override=boolean,
        extensions=extensions,
    ),
    2: struct(
        name=string,
        service_id=option(string),
        status=status,
        notes=string,
        output=string,
        kind=string,
        interval=string,
        timeout=string,
        extensions=extensions,
    ),
}


# ---- sections 2, 3 and 7: datagrams


def key_id(material):
    return int.from_bytes(hashlib.sha256(material).digest()[:4], "big") or 1


def read_datagram(data, cluster, material):
    """The frames, or Dropped with the word it is counted under."""
    if len(data) > DATAGRAM_BYTES_MAX:
        raise Dropped("oversize")
    if len(data) < 27 or data[:2] != b"Sh":
        raise Dropped("malformed")
    if data[2] != 1:
        raise Dropped("version")
    if int.from_bytes(data[19:27], "little") != xxh3(cluster.encode()):
        raise Dropped("other_cluster")
    sealed_with, inside = int.from_bytes(data[3:7], "little"), data[27:]
    if material is None and sealed_with:
        raise Dropped("unknown_key")
    if material is not None:
        if not sealed_with:
            raise Dropped("unsealed")
        if sealed_with != key_id(material):
            raise Dropped("unknown_key")
        inside = opened(material, data[7:19], data[:27] + cluster.encode(), inside)
        if inside is None:
            raise Dropped("forged")
    try:
        return frames(inside)
    except Malformed as e:
        raise Dropped("malformed") from e


# ---- sections 13 to 15 and 18: what all must compute alike


def row_digest(key, member, table):
    if member and member["state"] == "left":
        return 0
    parts = int(key, 16).to_bytes(8, "little")
    if member:
        life = member["generation"] << 16 | member["renewal"]
        parts += life.to_bytes(8, "little") + (b"\x02" if member["state"] == "down" else b"\x01")
    parts = parts.ljust(17, b"\0")
    if table:
        parts += table["generation"].to_bytes(8, "little") + int(table["digest"], 16).to_bytes(8, "little")
    return xxh3(parts.ljust(41, b"\0"))


def entry_digest(owner, version, kind, name, contents):
    parts = xxh3(name.encode(), owner ^ kind), version, xxh3(contents)
    return xxh3(b"".join(part.to_bytes(8, "little") for part in parts))


def table_digest(owner, entries):
    """Of entries by (kind, id): version and body."""
    return sum(entry_digest(owner, v, k[0], k[1], b) for k, (v, b) in entries.items()) & MASK


def rank(subject, member, incarnation):
    x = subject ^ rotl(member, 21) ^ (incarnation * 0x9E3779B97F4A7C15 & MASK)
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9 & MASK
    x = (x ^ (x >> 27)) * 0x94D049BB133111EB & MASK
    return x ^ (x >> 31)


# Defaults of docs/configuration.md: suspicion_mult, suspicion_stretch, confirmations, then seconds.
PROFILES = {"lan": (4, 6, 3, 2.0, 1.0), "wan": (5, 6, 3, 6.0, 3.0), "local": (3, 6, 3, 1.0, 0.5)}


def wait(profile, live, accusers):
    mult, stretch, confirmations, shortest, interval = PROFILES[profile]
    unit = mult * max(1.0, math.log10(live)) * interval
    k = min(confirmations, live - 2)
    if k == 0:
        return unit
    low, high = min(shortest, unit), stretch * unit
    if accusers > k:
        return low
    return high - (high - low) * math.log(accusers) / math.log(k + 1)


def keyring_digest(ring):
    primary = bytes.fromhex(ring["primary"])
    entries = [(key_id(primary), ring["primary_stamp"], True)]
    entries += [(int(e["id"], 16), e["stamp"], e["material"] is not None) for e in ring["keys"]]
    out = b""
    for number, when, there in entries:
        out += number.to_bytes(4, "little") + when["counter"].to_bytes(8, "little")
        out += int(when["node"], 16).to_bytes(8, "little") + bytes([there])
    return xxh3(out + ring["floor"].to_bytes(8, "little"))


# ---- the vectors

checked = 0


def same(name, found, wanted):
    global checked
    checked += 1
    if found != wanted:
        sys.exit(f"{name}:\n  read   {json.dumps(found)}\n  wanted {json.dumps(wanted)}")


def node_key(name):
    return xxh3(name.lower().encode())


def main():
    here = pathlib.Path(__file__).parent
    load = lambda name: json.loads((here / name).read_text())
    rings = []
    for vector in load("frames.json"):
        said = frames(bytes.fromhex(vector["hex"]))
        same(f"frame {vector['name']}", said, [vector["frame"]])
        rings += [f["says"] for f in said if f["kind"] == "keyring"]
    for vector in load("records.json"):
        said = RECORDS[vector["kind"]](Reader(bytes.fromhex(vector["hex"])))
        same(f"record {vector['name']}", said, vector["says"])
    for vector in load("datagrams.json"):
        material = vector["key"] and bytes.fromhex(vector["key"])
        try:
            found = {"frames": read_datagram(bytes.fromhex(vector["hex"]), vector["cluster"], material)}
        except Dropped as why:
            found = {"dropped": str(why)}
        wanted = {k: v for k, v in vector.items() if k in ("frames", "dropped")}
        same(f"datagram {vector['name']}", found, wanted)
        if material and "frames" in found:
            data, name = bytes.fromhex(vector["hex"]), vector["cluster"].encode()
            plain = opened(material, data[7:19], data[:27] + name, data[27:])
            again = sealed(material, data[7:19], data[:27] + name, plain)
            same(f"seal of {vector['name']}", again.hex(), data[27:].hex())
    hashes = load("hashes.json")
    for vector in hashes["node_names"]:
        same(f"name {vector['name']}", f"{node_key(vector['name']):016x}", vector["key"])
    for vector in hashes["clusters"]:
        header = b"Sh\x01" + bytes(16) + xxh3(vector["name"].encode()).to_bytes(8, "little")
        same(f"cluster {vector['name']}", header.hex(), vector["header"])
    for vector in hashes["keys"]:
        same("key id", f"{key_id(bytes.fromhex(vector['key'])):08x}", vector["id"])
    same("keyring", f"{keyring_digest(rings[0]):016x}", hashes["keyring_digest_of_the_frame"])
    digests = load("digests.json")
    for vector in digests["rows"]:
        found = row_digest(vector["key"], vector["member"], vector["table"])
        same("row", f"{found:016x}", vector["digest"])
    check_tree(digests["tree"])
    check_table(digests["table"])
    suspicion = load("suspicion.json")
    for vector in suspicion["waits"]:
        found = [round(wait(vector["profile"], vector["live"], a) * 1000) for a in range(1, 6)]
        same(f"wait {vector['profile']} {vector['live']}", found, vector["ms_with_1_to_5_accusers"])
    for vector in suspicion["ranks"]:
        found = rank(node_key(vector["subject"]), node_key(vector["member"]), vector["incarnation"])
        same("rank", f"{found:016x}", vector["rank"])
    print(f"{checked} vectors read as they were meant")


def check_tree(tree):
    buckets, parts = [0] * 64, [0] * 64
    for row in tree["rows"]:
        key, value = node_key(row["name"]), int(row["digest"], 16)
        buckets[key >> 58] += value
        if key >> 58 == 5:
            parts[key >> 52 & 63] += value
    shown = lambda values: [f"{value & MASK:016x}" for value in values]
    same("buckets", shown(buckets), tree["buckets"])
    same("parts", shown(parts), tree["parts_of_bucket_5"])
    same("root", shown([sum(buckets)])[0], tree["root"])


def check_table(table):
    owner, entries = int(table["owner"], 16), {}
    for write in table["writes"]:
        name = write["kind"], write["id"]
        entries.pop(name, None)
        if write["body"] is not None:
            entries[name] = write["version"], bytes.fromhex(write["body"])
        same(f"write {write['version']}", f"{table_digest(owner, entries):016x}", write["digest_after"])
    order = sorted(entries, key=lambda name: (name[0], name[1].encode()))
    again = {name: (number, entries[name][1]) for number, name in enumerate(order, 1)}
    found = {"version": len(again), "digest": f"{table_digest(owner, again):016x}"}
    same("an unchanged restart", found, table["after_an_unchanged_restart"])


if __name__ == "__main__":
    main()
