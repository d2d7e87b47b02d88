"""Seeded damage to files: bytes flipped, cut, blocks overwritten, TIFF tags edited, lines of text changed.

Enters: whole files as bytes, a random generator. Leaves: damaged bytes. Next: `tests.benchmarks.fuzz`.
"""

from __future__ import annotations

import json
import random
import re
import struct
from collections.abc import Callable

ODD = (0, 1, 2, 3, 7, 8, 127, 255, 256, 32767, 65535, 65536, 2**31 - 1, 2**31, 2**32 - 1)
"""Values that parsers fall over."""
TOKENS = (
    "null", "true", ".inf", "-.inf", ".nan", "-1", "0", "1e309", "99999999999999999999", "2026-13-45", "''", "[]", "{}",
    "[1, 2", "{a: b", "!!python/object/apply:os.system [ls]", "!!binary aaaa", "&a [*a]", "*nothing", "? x", "\u2028",
    "0x1F", "1:30:00", "'\\ud800'", '"\\ud800"', "x" * 5000, "[" * 3000,
    "{a: &a [x, x, x, x, x, x, x, x, x, x], b: &b [*a, *a, *a, *a, *a, *a, *a, *a], "
    "c: &c [*b, *b, *b, *b, *b, *b, *b, *b], "
    "d: &d [*c, *c, *c, *c, *c, *c, *c, *c], e: &e [*d, *d, *d, *d, *d, *d, *d, *d], "
    "f: &f [*e, *e, *e, *e, *e, *e, *e, *e], "
    "g: &g [*f, *f, *f, *f, *f, *f, *f, *f], h: [*g, *g, *g, *g, *g, *g, *g, *g]}",
)  # fmt: skip
"""Texts that a setting's value may be replaced by; the last one grows a billionfold where aliases are written out."""


def flip(data: bytes, rng: random.Random) -> bytes:
    """One to 64 bytes anywhere."""
    return _flipped(data, rng, 0, len(data))


def flip_head(data: bytes, rng: random.Random) -> bytes:
    """One to 64 bytes among the first and last 4 KiB, where headers and directories lie."""
    if rng.random() < 0.5:
        return _flipped(data, rng, 0, min(len(data), 4096))
    return _flipped(data, rng, max(0, len(data) - 4096), len(data))


def cut(data: bytes, rng: random.Random) -> bytes:
    """The file ends early."""
    return data[: rng.randrange(len(data))]


def overwrite(data: bytes, rng: random.Random) -> bytes:
    """A block of zeros, ones or noise."""
    start, length = rng.randrange(len(data)), min(rng.choice((1, 16, 512, 4096, 65536)), len(data))
    block = rng.choice((bytes(length), b"\xff" * length, rng.randbytes(length)))
    return (data[:start] + block + data[start + length :])[: len(data)]


def remove(data: bytes, rng: random.Random) -> bytes:
    """A block is missing: everything behind it moves."""
    start = rng.randrange(len(data))
    return data[:start] + data[start + rng.choice((1, 2, 100, 4096)) :]


def tag(data: bytes, rng: random.Random) -> bytes:
    """One to three entries of a TIFF's directories: their number, type, count or value. Other files: `flip_head`."""
    places = _entries(data)
    if not places:
        return flip_head(data, rng)
    edited = bytearray(data)
    for _ in range(rng.randint(1, 3)):
        at, order, big = rng.choice(places)
        wide = "Q" if big else "I"
        part = rng.choice(("tag", "type", "count", "value", "value"))
        start, form = {"tag": (at, "H"), "type": (at + 2, "H"), "count": (at + 4, wide)}.get(
            part, (at + (12 if big else 8), rng.choice("HI"))
        )
        value = rng.choice(ODD) % (1 << 8 * struct.calcsize(f"{order}{form}"))
        struct.pack_into(order + form, edited, start, value)
    return bytes(edited)


def text(data: bytes, rng: random.Random) -> bytes:
    """Lines of a YAML: a value replaced, a line dropped, doubled, indented otherwise, or bytes flipped."""
    lines = data.decode().splitlines()
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(lines))
        way = rng.randrange(6)
        if way <= 2:
            lines[at] = re.sub(r":\s.*$|:$", lambda _: f": {rng.choice(TOKENS)}", lines[at])
        elif way == 3:
            lines.insert(at, lines[rng.randrange(len(lines))])
        elif way == 4:
            lines[at] = " " * rng.randrange(5) + lines[at].lstrip()
        else:
            return flip("\n".join(lines).encode("utf-8", "surrogatepass"), rng)
    return "\n".join(lines).encode("utf-8", "surrogatepass")


def card(data: bytes, rng: random.Random) -> bytes:
    """One value of a JSON, however deep, replaced by an odd one; or bytes flipped, or the end cut."""
    if rng.random() < 0.3:
        return rng.choice((flip, cut))(data, rng)
    told = json.loads(data)
    holder, key = rng.choice(_leaves(told))
    holder[key] = rng.choice((None, True, -1, 0, 0.5, 3, 10**9, 1e308, "", "x" * 10000, [], {}, [[]], "\u0000", "1"))
    return json.dumps(told).encode()


def tensors(data: bytes, rng: random.Random) -> bytes:
    """A safetensors file: its header's length or a piece of the header; or any damage."""
    way, size = rng.randrange(4), int.from_bytes(data[:8], "little")
    if way == 0:
        return rng.choice((0, 1, size - 1, size + 1, 2**31, 2**40, 2**63, 2**64 - 1)).to_bytes(8, "little") + data[8:]
    if way == 1:
        head = data[8 : 8 + size].decode()
        number = rng.choice(list(re.finditer(r"\d+", head)))
        head = head[: number.start()] + str(rng.choice(ODD)) + head[number.end() :]
        return len(head).to_bytes(8, "little") + head.encode() + data[8 + size :]
    if way == 2:
        return _flipped(data, rng, 0, 8 + size)
    return rng.choice((flip, cut, overwrite))(data, rng)


SLIDE_WAYS: tuple[Callable[[bytes, random.Random], bytes], ...] = (flip, flip_head, cut, overwrite, remove, tag, tag)


def slide(data: bytes, rng: random.Random) -> bytes:
    """A slide file damaged in one of the ways above."""
    return rng.choice(SLIDE_WAYS)(data, rng)


def _flipped(data: bytes, rng: random.Random, start: int, stop: int) -> bytes:
    edited = bytearray(data)
    for _ in range(rng.choice((1, 2, 8, 64))):
        edited[rng.randrange(start, max(stop, start + 1))] ^= 1 << rng.randrange(8)
    return bytes(edited)


def _leaves(told: object) -> list[tuple[object, object]]:
    items = list(told.items() if isinstance(told, dict) else enumerate(told) if isinstance(told, list) else ())
    return [place for key, value in items for place in ((told, key), *_leaves(value))]


def _entries(data: bytes) -> list[tuple[int, str, bool]]:
    """Where each entry of the chained directories and their SubIFDs starts; none for what is no TIFF."""
    order = {b"II": "<", b"MM": ">"}.get(data[:2])
    if order is None or len(data) < 16:
        return []
    big = struct.unpack_from(order + "H", data, 2)[0] == 43
    start = struct.unpack_from(order + ("Q" if big else "I"), data, 8 if big else 4)[0]
    found: list[tuple[int, str, bool]] = []
    seen: set[int] = set()
    while start and start not in seen and start + 8 < len(data):
        seen.add(start)
        count = struct.unpack_from(order + ("Q" if big else "H"), data, start)[0]
        first, step = start + (8 if big else 2), 20 if big else 12
        if count > 512 or first + count * step + 8 > len(data):
            break
        found += [(first + i * step, order, big) for i in range(count)]
        start = struct.unpack_from(order + ("Q" if big else "I"), data, first + count * step)[0]
    return found
