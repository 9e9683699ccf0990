#!/usr/bin/env python3
"""A member of a cluster, in a few lines of Python: joins, answers probes, announces an instance, leaves.

Made from docs/protocol.md, as decode.py is. It does what a member must, and none of what it may: it probes
nobody, relays nothing, and changes no keys.

    member.py AGENT OWN [KEY-FILE]        both ADDR:PORT, IPv4
"""

import base64
import ipaddress
import os
import signal
import socket
import sys
import time

from decode import Dropped, entry_digest, key_id, node_key, read_datagram
from gcm_siv import sealed
from xxh3 import MASK, xxh3

# ---- section 4: values


def varint(n):
    if n < 251:
        return bytes([n])
    size, mark = (2, 251) if n < 1 << 16 else (4, 252) if n < 1 << 32 else (8, 253)
    return bytes([mark]) + n.to_bytes(size, "little")


def fixed64(n):
    return n.to_bytes(8, "little")


def text(s):
    return varint(len(s.encode())) + s.encode()


def addr(at):
    return b"\0" + ipaddress.ip_address(at[0]).packed + varint(at[1])


def parsed(at):
    ip, port = at.rsplit(":", 1)
    return ip, int(port)


def life(epoch):
    return epoch["generation"] << 16 | epoch["renewal"]


# ---- section 5: frames


def frame(kind, body):
    return bytes([kind]) + len(body).to_bytes(2, "little") + body


class Member:
    def __init__(self, agent, own, name, cluster, material):
        self.agent, self.own, self.name, self.cluster = agent, own, name, cluster
        self.material = material
        self.key = node_key(name)
        self.generation = int(time.time() * 1000)
        self.epoch = self.generation << 16
        self.incarnation, self.version, self.joined, self.left = 0, 0, False, False
        self.entries = {}
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(own)
        self.socket.settimeout(0.1)

    def send(self, to, *frames):
        # Sections 2 and 3.
        number, nonce = (key_id(self.material), os.urandom(12)) if self.material else (0, bytes(12))
        header = b"Sh\x01" + number.to_bytes(4, "little") + nonce + fixed64(xxh3(self.cluster.encode()))
        body = b"".join(frames)
        if self.material:
            body = sealed(self.material, nonce, header + self.cluster.encode(), body)
        self.socket.sendto(header + body, to)

    # ---- section 9: joining

    def join(self):
        body = text(self.name) + bytes(16) + fixed64(self.epoch) + varint(self.incarnation)
        return frame(6, body + addr(self.own) + b"\0")

    # ---- sections 6 and 14: a table

    def write(self, kind, name, contents):
        """One write of this node's table, as a record."""
        self.version += 1
        self.entries[kind, name] = self.version, contents
        digest = sum(entry_digest(self.key, v, k, n, b) for (k, n), (v, b) in self.entries.items()) & MASK
        head = fixed64(self.key) + varint(self.generation) + varint(self.version) + fixed64(digest)
        item = varint(self.version) + bytes([kind]) + text(name)
        return head + item + b"\1" + varint(len(contents)) + contents

    def node(self, left):
        body = text(self.name) + bytes(16) + addr(self.own) + varint(0)
        return self.write(0, "", body + text("python") + bytes([left]) + varint(0))

    def service(self, name, port):
        body = text(name) + varint(0) + text("") + varint(0) + varint(port) + text("") + varint(0)
        return self.write(1, name, body + varint(1) + varint(1) + b"\0" + varint(0))

    # ---- section 12: probes

    def swim(self, to, to_epoch, message):
        body = fixed64(self.key) + fixed64(self.epoch) + varint(self.incarnation)
        body += fixed64(to) + fixed64(to_epoch) + b"\1" + addr(self.own)
        return frame(1, body + message)

    def handle(self, source, said):
        for one in said:
            kind, says = one["kind"], one["says"]
            if kind == "challenge":
                again = [] if self.joined else [self.join()]
                self.send(source, frame(22, fixed64(int(says, 16)) + addr(self.own)), *again)
            elif kind == "join_reply" and says["is"] == "welcome" and not self.joined:
                self.joined = True
                records = [self.node(False), self.service("from-python", 7)]
                self.send(source, frame(3, varint(len(records)) + b"".join(records)))
                print(f"joined as {self.name}", flush=True)
            elif kind == "swim" and says["message"]["is"] == "ping" and int(says["to"], 16) == self.key:
                ack = b"\1" + bytes([says["message"]["number"]])
                self.send(source, self.swim(int(says["from"], 16), life(says["from_epoch"]), ack))
            elif kind == "leave_ack":
                self.left = True

    def run(self):
        begun = asked = 0.0
        leave, stop = None, []
        signal.signal(signal.SIGTERM, lambda *_: stop.append(True))
        while not self.left:
            now = time.monotonic()
            begun = begun or now
            if not self.joined and now - asked > 0.4:
                asked = now
                self.send(self.agent, self.join())
            if not self.joined and now - begun > 30:
                sys.exit("nobody let this node in")
            if stop and now - asked > 0.15:
                # Section 17: the same record until it is confirmed.
                self.entries = {} if leave is None else self.entries
                leave = leave or frame(12, self.node(True))
                asked = now
                self.send(self.agent, leave)
            try:
                data, source = self.socket.recvfrom(2048)
                self.handle(source, read_datagram(data, self.cluster, self.material))
            except (TimeoutError, Dropped):
                pass
        print("left", flush=True)


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    first_key = open(sys.argv[3]).readline() if len(sys.argv) > 3 else ""
    material = base64.b64decode(first_key) or None
    Member(parsed(sys.argv[1]), parsed(sys.argv[2]), "python", "shoal", material).run()
