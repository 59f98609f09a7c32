"""Damaged photos made from good ones: changes of bytes, and changes of the parts that a format is made of.

Every function takes a photo, a second one to borrow from, and the source of randomness; the same three give the same
bytes again. A part-wise change keeps lengths and checksums true, so that it reaches the code behind those checks.
"""

import random
import re
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass

from tagger.picture.header import picture_format

MOST_BYTES = 200_000
"""Mutants are cut here, since repeated copying would let them grow without end."""

_JPEG_SEGMENT = re.compile(rb"(?=\xff[\xc0-\xcf\xd8-\xfe])")
_NUMBERS = (
    0,
    1,
    2,
    7,
    8,
    15,
    16,
    17,
    127,
    128,
    255,
    256,
    4096,
    32767,
    32768,
    65535,
    2**24,
    2**31 - 1,
    2**31,
    2**32 - 1,
)
_STEPS = (1, 1, 1, 2, 3, 5)

Mutation = Callable[[bytes, bytes, random.Random], bytes]


def mutated(photo: bytes, other: bytes, rng: random.Random) -> bytes:
    """One to five mutations, one after the other; at most MOST_BYTES."""
    for _ in range(rng.choice(_STEPS)):
        photo = rng.choice(_MUTATIONS)(photo or b"\0", other, rng)[:MOST_BYTES]
    return photo


def flip_bits(photo: bytes, other: bytes, rng: random.Random) -> bytes:
    """Up to eight single bits anywhere."""
    changed = bytearray(photo)
    for _ in range(rng.randint(1, 8)):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def set_number(photo: bytes, other: bytes, rng: random.Random) -> bytes:
    """An awkward number of one, two or four bytes, half the time near the beginning, where headers are."""
    width, order = rng.choice((1, 2, 4)), rng.choice(("big", "little"))
    number = rng.choice(_NUMBERS) % 2 ** (8 * width)
    place = rng.randrange(min(len(photo), rng.choice((128, len(photo)))))
    return photo[:place] + number.to_bytes(width, order) + photo[place + width :]


def cut_end(photo: bytes, other: bytes, rng: random.Random) -> bytes:
    """The first part alone."""
    return photo[: rng.randrange(len(photo))]


def cut_piece(photo: bytes, other: bytes, rng: random.Random) -> bytes:
    """A run of bytes is missing."""
    start = rng.randrange(len(photo))
    return photo[:start] + photo[start + rng.choice((1, 2, 16, 256, 4096)) :]


def repeat_piece(photo: bytes, other: bytes, rng: random.Random) -> bytes:
    """A run of bytes stands there several times."""
    start, length = rng.randrange(len(photo)), rng.choice((1, 16, 256, 1024))
    return photo[:start] + photo[start : start + length] * rng.choice((2, 3, 20)) + photo[start + length :]


def insert_noise(photo: bytes, other: bytes, rng: random.Random) -> bytes:
    """Random bytes, or zeros, in between."""
    place, length = rng.randrange(len(photo) + 1), rng.choice((1, 2, 4, 64, 1000))
    noise = rng.choice((bytes(length), rng.randbytes(length)))
    return photo[:place] + noise + photo[place:]


def splice(photo: bytes, other: bytes, rng: random.Random) -> bytes:
    """The beginning of one and the end of the other."""
    return photo[: rng.randrange(len(photo))] + other[rng.randrange(len(other) + 1) :]


def change_parts(photo: bytes, other: bytes, rng: random.Random) -> bytes:
    """Segments, chunks or boxes dropped, doubled, swapped, borrowed or damaged inside; any other file is spliced."""
    container = _CONTAINERS.get(picture_format(photo) or "")
    if container is None:
        return splice(photo, other, rng)
    parts = container.cut(photo)
    first, second = rng.randrange(len(parts)), rng.randrange(len(parts))
    borrowed = container.cut(other) if picture_format(other) == picture_format(photo) else parts
    change = rng.randrange(5)
    if change == 0:
        del parts[first]
    elif change == 1:
        parts[first:first] = [parts[second]] * rng.choice((1, 2, 50))
    elif change == 2:
        parts[first], parts[second] = parts[second], parts[first]
    elif change == 3:
        parts[first] = rng.choice(borrowed)
    else:
        parts[first] = rng.choice(_INSIDE)(parts[first] or b"\0", rng.choice(borrowed), rng)
    return container.join(parts)


def change_tiff_entry(photo: bytes, other: bytes, rng: random.Random) -> bytes:
    """Tag, type, count or value of one entry of the first directory of a TIFF; any other file gets a number set."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(photo[:4])
    start = struct.unpack_from(f"{order}I", photo, 4)[0] if order and len(photo) >= 8 else len(photo)
    if not order or start + 2 > len(photo):
        return set_number(photo, other, rng)
    entries = struct.unpack_from(f"{order}H", photo, start)[0]
    offset, kind = rng.choice(((0, "H"), (2, "H"), (4, "I"), (8, "I"), (8, "I")))
    place = start + 2 + 12 * rng.randrange(max(1, entries)) + offset
    number = rng.choice((*_NUMBERS, start, len(photo), len(photo) - 1, *range(254, 280), *range(320, 325)))
    value = struct.pack(f"{order}{kind}", number % 2 ** (8 * struct.calcsize(kind)))
    return photo[:place] + value + photo[place + len(value) :]


@dataclass(frozen=True)
class _Container:
    """A format made of parts. join: inverse of cut, with lengths and checksums made true."""

    cut: Callable[[bytes], list[bytes]]
    join: Callable[[list[bytes]], bytes]


def _jpeg_cut(photo: bytes) -> list[bytes]:
    """At every marker; lengths stay inside the parts, true as long as a part is."""
    return _JPEG_SEGMENT.split(photo)


def _png_cut(photo: bytes) -> list[bytes]:
    parts, place = [], 8
    while place < len(photo):
        length = int.from_bytes(photo[place : place + 4], "big")
        parts.append(photo[place + 4 : place + 8 + length])
        place += 12 + length
    return parts or [b""]


def _png_join(parts: list[bytes]) -> bytes:
    chunks = (struct.pack(">I", max(0, len(p) - 4)) + p + struct.pack(">I", zlib.crc32(p)) for p in parts)
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def _webp_cut(photo: bytes) -> list[bytes]:
    parts, place = [], 12
    while place < len(photo):
        length = int.from_bytes(photo[place + 4 : place + 8], "little")
        parts.append(photo[place : place + 4] + photo[place + 8 : place + 8 + length])
        place += 8 + length + length % 2
    return parts or [b""]


def _webp_join(parts: list[bytes]) -> bytes:
    chunks = (p[:4] + struct.pack("<I", max(0, len(p) - 4)) + p[4:] + bytes(len(p) % 2) for p in parts)
    body = b"WEBP" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _boxes_cut(photo: bytes) -> list[bytes]:
    parts, place = [], 0
    while place < len(photo):
        length = max(8, int.from_bytes(photo[place : place + 4], "big"))
        parts.append(photo[place + 4 : place + length])
        place += length
    return parts or [b""]


def _boxes_join(parts: list[bytes]) -> bytes:
    return b"".join(struct.pack(">I", len(part) + 4) + part for part in parts)


_CONTAINERS = {
    "JPEG": _Container(_jpeg_cut, b"".join),
    "PNG": _Container(_png_cut, _png_join),
    "WebP": _Container(_webp_cut, _webp_join),
    "AVIF": _Container(_boxes_cut, _boxes_join),
}
_INSIDE: tuple[Mutation, ...] = (flip_bits, set_number, cut_end, cut_piece, repeat_piece, insert_noise, splice)
_MUTATIONS: tuple[Mutation, ...] = (*_INSIDE, change_parts, change_parts, change_parts, change_tiff_entry)
