"""AES-256-GCM-SIV (RFC 8452). Slow, plain, and not safe from who measures time."""


def _sbox():
    box, p, q = [0] * 256, 1, 1
    while True:
        p ^= ((p << 1) ^ (0x1B if p & 0x80 else 0)) & 0xFF
        q ^= q << 1
        q ^= q << 2
        q ^= q << 4
        q &= 0xFF
        if q & 0x80:
            q ^= 0x09
        turned = [((q << n) | (q >> (8 - n))) & 0xFF for n in range(1, 5)]
        box[p] = q ^ turned[0] ^ turned[1] ^ turned[2] ^ turned[3] ^ 0x63
        if p == 1:
            box[0] = 0x63
            return box


SBOX = _sbox()


def double(x):
    return ((x << 1) ^ (0x1B if x & 0x80 else 0)) & 0xFF


class Aes256:
    def __init__(self, key):
        words = [list(key[i : i + 4]) for i in range(0, 32, 4)]
        rcon = 1
        for i in range(8, 60):
            word = list(words[i - 1])
            if i % 8 == 0:
                word = [SBOX[b] for b in word[1:] + word[:1]]
                word[0] ^= rcon
                rcon = double(rcon)
            elif i % 8 == 4:
                word = [SBOX[b] for b in word]
            words.append([a ^ b for a, b in zip(word, words[i - 8])])
        self.keys = [sum(words[i : i + 4], []) for i in range(0, 60, 4)]

    def block(self, data):
        state = [a ^ b for a, b in zip(data, self.keys[0])]
        for turn in range(1, 15):
            state = [SBOX[state[(i + 4 * (i % 4)) % 16]] for i in range(16)]
            if turn < 14:
                mixed = []
                for c in range(0, 16, 4):
                    a = state[c : c + 4]
                    every = a[0] ^ a[1] ^ a[2] ^ a[3]
                    mixed += [a[i] ^ every ^ double(a[i] ^ a[(i + 1) % 4]) for i in range(4)]
                state = mixed
            state = [a ^ b for a, b in zip(state, self.keys[turn])]
        return bytes(state)


POLYNOMIAL = (1 << 128) | (1 << 127) | (1 << 126) | (1 << 121) | 1


def dot(a, b):
    """a * b * x^-128 in POLYVAL's field."""
    product = 0
    for i in range(128):
        if b >> i & 1:
            product ^= a << i
    for _ in range(128):
        if product & 1:
            product ^= POLYNOMIAL
        product >>= 1
    return product


def padded(data):
    return data + bytes(-len(data) % 16)


def polyval(h, data):
    total = 0
    for at in range(0, len(data), 16):
        total = dot(total ^ int.from_bytes(data[at : at + 16], "little"), h)
    return total


class Seal:
    """One datagram's keys, which follow from the key and its nonce."""

    def __init__(self, key, nonce):
        outer = Aes256(key)
        derived = [outer.block(n.to_bytes(4, "little") + nonce)[:8] for n in range(6)]
        self.h = int.from_bytes(b"".join(derived[:2]), "little")
        self.aes = Aes256(b"".join(derived[2:]))
        self.nonce = nonce

    def tag(self, aad, plain):
        lengths = (8 * len(aad)).to_bytes(8, "little") + (8 * len(plain)).to_bytes(8, "little")
        s = polyval(self.h, padded(aad) + padded(plain) + lengths).to_bytes(16, "little")
        s = bytearray(a ^ b for a, b in zip(s, self.nonce + bytes(4)))
        s[15] &= 0x7F
        return self.aes.block(bytes(s))

    def streamed(self, tag, text):
        counter, out = int.from_bytes(tag[:4], "little"), bytearray()
        rest = tag[4:15] + bytes([tag[15] | 0x80])
        for at in range(0, len(text), 16):
            count = (counter + at // 16) & 0xFFFFFFFF
            stream = self.aes.block(count.to_bytes(4, "little") + rest)
            out += bytes(a ^ b for a, b in zip(text[at : at + 16], stream))
        return bytes(out)


def opened(key, nonce, aad, sealed):
    """The plaintext, or None if the seal is broken."""
    if len(sealed) < 16:
        return None
    seal, tag = Seal(key, nonce), sealed[-16:]
    plain = seal.streamed(tag, sealed[:-16])
    return plain if seal.tag(aad, plain) == tag else None


def sealed(key, nonce, aad, plain):
    seal = Seal(key, nonce)
    tag = seal.tag(aad, plain)
    return seal.streamed(tag, plain) + tag
