"""XXH3-64 (xxHash 0.8), with its default secret and a seed. Slow and plain."""

SECRET = bytes.fromhex(
    "b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671f"
    "cb79e64eccc0e578825ad07dccff7221b8084674f743248ee03590e6813a264c"
    "3c2852bb91c300cb88d0658b1b532ea371644897a20df94e3819ef46a9deacd8"
    "a8fa763fe39c343ff9dcbbc7c70b4f1d8a51e04bcdb45931c89f7ec9d9787364"
    "eac5ac8334d3ebc3c581a0fffa1363eb170ddd51b7f0da49d316552629d4689e"
    "2b16be587d47a1fc8ff8b8d17ad031ce45cb3a8f95160428afd7fbcabb4b407e"
)
MASK = (1 << 64) - 1
P32_1, P32_2, P32_3 = 0x9E3779B1, 0x85EBCA77, 0xC2B2AE3D
P64_1, P64_2, P64_3 = 0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9
P64_4, P64_5 = 0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5
MX1, MX2 = 0x165667919E3779F9, 0x9FB21C651E98DF25


def r32(b, at):
    return int.from_bytes(b[at : at + 4], "little")


def r64(b, at):
    return int.from_bytes(b[at : at + 8], "little")


def rotl(x, n):
    return ((x << n) | (x >> (64 - n))) & MASK


def swap(x, size):
    return int.from_bytes(x.to_bytes(size, "little"), "big")


def fold(a, b):
    product = a * b
    return (product & MASK) ^ (product >> 64)


def avalanche(h):
    h ^= h >> 37
    h = (h * MX1) & MASK
    return h ^ (h >> 32)


def avalanche64(h):
    h ^= h >> 33
    h = (h * P64_2) & MASK
    h ^= h >> 29
    h = (h * P64_3) & MASK
    return h ^ (h >> 32)


def mix16(data, at, secret, sat, seed):
    low = r64(data, at) ^ ((r64(secret, sat) + seed) & MASK)
    high = r64(data, at + 8) ^ ((r64(secret, sat + 8) - seed) & MASK)
    return fold(low, high)


def short(data, seed):
    n, s = len(data), SECRET
    if n == 0:
        return avalanche64(seed ^ r64(s, 56) ^ r64(s, 64))
    if n <= 3:
        combined = (data[0] << 16) | (data[n >> 1] << 24) | data[n - 1] | (n << 8)
        return avalanche64(combined ^ (((r32(s, 0) ^ r32(s, 4)) + seed) & MASK))
    if n <= 8:
        seed ^= swap(seed & 0xFFFFFFFF, 4) << 32
        flip = ((r64(s, 8) ^ r64(s, 16)) - seed) & MASK
        h = ((r32(data, n - 4) + (r32(data, 0) << 32)) & MASK) ^ flip
        h ^= rotl(h, 49) ^ rotl(h, 24)
        h = (h * MX2) & MASK
        h ^= (h >> 35) + n
        h = (h * MX2) & MASK
        return h ^ (h >> 28)
    low = r64(data, 0) ^ (((r64(s, 24) ^ r64(s, 32)) + seed) & MASK)
    high = r64(data, n - 8) ^ (((r64(s, 40) ^ r64(s, 48)) - seed) & MASK)
    return avalanche((n + swap(low, 8) + high + fold(low, high)) & MASK)


def middle(data, seed):
    n = len(data)
    acc = n * P64_1
    if n <= 128:
        for i in range((n - 1) // 32, -1, -1):
            acc += mix16(data, 16 * i, SECRET, 32 * i, seed)
            acc += mix16(data, n - 16 * (i + 1), SECRET, 32 * i + 16, seed)
        return avalanche(acc & MASK)
    for i in range(8):
        acc += mix16(data, 16 * i, SECRET, 16 * i, seed)
    acc = avalanche(acc & MASK)
    for i in range(8, n // 16):
        acc += mix16(data, 16 * i, SECRET, 16 * (i - 8) + 3, seed)
    acc += mix16(data, n - 16, SECRET, 136 - 17, seed)
    return avalanche(acc & MASK)


def accumulate(acc, data, at, secret, sat):
    for i in range(8):
        value = r64(data, at + 8 * i)
        keyed = value ^ r64(secret, sat + 8 * i)
        acc[i ^ 1] = (acc[i ^ 1] + value) & MASK
        acc[i] = (acc[i] + (keyed & 0xFFFFFFFF) * (keyed >> 32)) & MASK


def long(data, seed):
    n = len(data)
    secret = b"".join(
        ((r64(SECRET, at) + (seed if at % 16 == 0 else -seed)) & MASK).to_bytes(8, "little")
        for at in range(0, 192, 8)
    )
    acc = [P32_3, P64_1, P64_2, P64_3, P64_4, P32_2, P64_5, P32_1]
    blocks = (n - 1) // 1024
    for block in range(blocks):
        for stripe in range(16):
            accumulate(acc, data, 1024 * block + 64 * stripe, secret, 8 * stripe)
        for i in range(8):
            acc[i] = ((acc[i] ^ (acc[i] >> 47) ^ r64(secret, 128 + 8 * i)) * P32_1) & MASK
    for stripe in range((n - 1 - 1024 * blocks) // 64):
        accumulate(acc, data, 1024 * blocks + 64 * stripe, secret, 8 * stripe)
    accumulate(acc, data, n - 64, secret, 192 - 64 - 7)
    result = n * P64_1
    for i in range(4):
        result += fold(acc[2 * i] ^ r64(secret, 11 + 16 * i), acc[2 * i + 1] ^ r64(secret, 19 + 16 * i))
    return avalanche(result & MASK)


def xxh3(data, seed=0):
    if len(data) <= 16:
        return short(data, seed)
    return middle(data, seed) if len(data) <= 240 else long(data, seed)
