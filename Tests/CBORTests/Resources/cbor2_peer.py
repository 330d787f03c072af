"""The other side of the differential test: what cbor2 makes of the same data.

    cbor2_peer.py recode          one item in hexadecimal a line; writes each as cbor2 encodes it canonically
    cbor2_peer.py generate SEED N writes N lines: a random item as cbor2 encodes it by default, and canonically
    cbor2_peer.py numbers         one typed array in hexadecimal a line; writes its numbers as exact hexadecimal floats
                                  or integers
"""

import random
import struct
import sys

import cbor2

FORMATS = {
    69: "H", 70: "I", 71: "Q", 72: "b", 77: "h", 78: "i", 79: "q", 84: "e", 85: "f", 86: "d",
}


def recode():
    for line in sys.stdin:
        value = cbor2.loads(bytes.fromhex(line))
        print(cbor2.dumps(value, canonical=True).hex())


def numbers():
    for line in sys.stdin:
        value = cbor2.loads(bytes.fromhex(line))
        if isinstance(value, cbor2.CBORTag):
            code = FORMATS[value.tag]
            found = struct.unpack("<%d%s" % (len(value.value) // struct.calcsize(code), code), value.value)
        else:
            found = value
        print(" ".join(x.hex() if isinstance(x, float) else str(x) for x in found))


def scalar(source):
    kind = source.randrange(9)
    if kind == 0:
        return source.getrandbits(64) >> source.randrange(64)
    if kind == 1:
        return -1 - (source.getrandbits(63) >> source.randrange(63))
    if kind == 2:
        return bytes(source.randrange(256) for _ in range(source.randrange(source.choice([5, 30, 300]))))
    if kind == 3:
        return "".join(source.choice("abcé漢🎭\"\\\n ") for _ in range(source.randrange(source.choice([5, 30, 300]))))
    if kind == 4:
        return source.choice([True, False, None, cbor2.undefined])
    if kind == 5:
        return source.choice([0.0, -0.0, float("inf"), float("-inf"), float("nan"), 65504.0, 2.0**-24, 1e300])
    if kind == 6:
        return source.randrange(-4000, 4000) / 16
    if kind == 7:
        return cbor2.CBORTag(60000 + source.getrandbits(30), source.randrange(100))
    return source.uniform(-1e9, 1e9)


def item(source, depth):
    if depth == 0 or source.random() < 0.4:
        return scalar(source)
    count = source.randrange(source.choice([3, 8, 30]))
    if source.random() < 0.5:
        return [item(source, depth - 1) for _ in range(count)]
    if source.random() < 0.5:
        return {"".join(source.choice("abcxyz") for _ in range(source.randrange(20))): item(source, depth - 1)
                for _ in range(count)}
    return {source.getrandbits(64) >> source.randrange(64): item(source, depth - 1) for _ in range(count)}


def generate(seed, count):
    source = random.Random(seed)
    for _ in range(count):
        value = item(source, 2)
        print(cbor2.dumps(value).hex(), cbor2.dumps(value, canonical=True).hex())


if sys.argv[1] == "recode":
    recode()
elif sys.argv[1] == "numbers":
    numbers()
else:
    generate(int(sys.argv[2]), int(sys.argv[3]))
