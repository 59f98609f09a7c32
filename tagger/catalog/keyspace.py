"""Where to cut a key space so that its parts can be listed at once: a few small requests, and no list of the keys.

A storage lists keys in the order of their UTF-8 bytes and can start after any text, there or not. So one request of one
key tells which character follows next after a common prefix: ask for the first key after prefix and next character.
Nothing is assumed about slashes, alphabets or lengths. Cuts divide the space whatever keys there are or come; only how
alike the parts are depends on what was seen.
"""

import bisect
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import accumulate, islice

from tagger.errors import BadInput
from tagger.storage import Root, StoredObject

_PAGE_KEYS = 1000
"""What one request lists: a part with fewer keys is not worth a cut."""

_THREADS = 8

_LEAST_TRIES = 4
"""The UTF-8 form of a character has at most four bytes: so many pieces may come one from another before two differ."""

_ALL = 0x110000
_WIDTHS = ((0x80, 1), (0x800, 0x40), (0x1_0000, 0x1000), (_ALL, 0x4_0000))
"""Below each bound, how many characters share the first byte of their UTF-8 form. A further byte divides by 64."""

_GAPS = (range(0xD800, 0xE000), range(0xFFFE, 0x1_0000))
"""Surrogates, which UTF-8 lacks, and two numbers without a character, which some servers cannot answer about."""


@dataclass(frozen=True)
class _Part:
    """Keys from `start` to the next part's.

    All, but for a few, begin with `prefix` and go on with a character of [low, low + width), a cell of as many
    characters as share some bytes of their UTF-8 form. share: the part's share of all keys, if siblings were alike.
    """

    start: str
    prefix: str
    share: float
    low: int = 0
    width: int = _ALL

    @property
    def high(self) -> int:
        """The first character beyond the cell."""
        return (self.low // self.width + 1) * self.width


def key_cuts(root: Root, prefix: str, wanted: int, page_keys: int = _PAGE_KEYS) -> list[str]:
    """Texts, in key order, that cut the keys that begin with `prefix` into about `wanted` parts of similar size.

    None where there are fewer than `page_keys`, which is at least 2. Takes 2 to 10 requests a part, most of them of a
    single key, and a few hundred more where an alphabet is large.
    """
    parts = [_Part("", prefix, 1.0)]
    tried = 0
    with ThreadPoolExecutor(_THREADS) as pool:
        while tried < max(wanted, _LEAST_TRIES) and len(parts) < 2 * wanted:
            large = sorted((p for p in parts if p.share * wanted >= 2), key=lambda p: -p.share)[:_THREADS]
            if not large:
                break
            inside = dict(zip(large, pool.map(partial(_cut, root, page_keys), large), strict=True))
            parts = [smaller for part in parts for smaller in inside.get(part, [part])]
            tried += len(large)
    return _joined(parts, wanted)


def increasing(photos: Iterable[StoredObject], where: str) -> Iterator[StoredObject]:
    """The photos without keys that repeat the one before. BadInput for a key that is less.

    Directory buckets list in an order of their own, and cannot be compared with sorted answers in one pass.
    """
    last, previous = b"", ""
    for photo in photos:
        name = os.fsencode(photo.key)
        if name < last:
            raise BadInput(
                f"{where} is not listed in the order of its keys: {photo.key!r} comes after {previous!r}. "
                "Take the photos from an S3 inventory or from a file of keys instead."
            )
        if name != last:
            yield photo
        last, previous = name, photo.key


def _cut(root: Root, page_keys: int, part: _Part) -> list[_Part]:
    """The part in pieces; as it is, with nothing left to share, where one page holds it."""
    after = part.prefix + chr(part.low) if part.low else ""
    end = "" if part.width == _ALL else part.prefix + _first_from(part.high)
    listed = increasing(root.list_objects(part.prefix, after, end=end), root.uri)
    page = [found.key for found in islice(listed, page_keys)]
    if len(page) < page_keys:
        return [replace(part, share=0.0)]
    base = _common_prefix(root, part, page) if part.width == _ALL else part.prefix
    cells = list(_cells(root, part, base, page[-1])) or [replace(part, share=0.0)]
    starts = [part.start, *(cell.start for cell in cells[1:])]
    share = part.share / len(cells)
    return [replace(cell, start=start, share=share) for cell, start in zip(cells, starts, strict=True)]


def _common_prefix(root: Root, part: _Part, page: list[str]) -> str:
    """What all keys with the part's prefix begin with, from its first page and a bisection over the length."""
    known, common = len(part.prefix), os.path.commonprefix([page[0], page[-1]])

    def is_more(length: int) -> bool:
        beyond = common[: length - 1] + _first_from(ord(common[length - 1]) + 1)
        return root.first_key(part.prefix, beyond) is not None

    lengths = range(known + 1, len(common) + 1)
    return common[: known + bisect.bisect_left(lengths, True, key=is_more)]


def _cells(root: Root, part: _Part, base: str, key: str | None) -> Iterator[_Part]:
    """The cells in which keys follow on `base`, from the one that holds `key`; the page before it showed the others."""
    least, most = part.low, part.high
    while key is not None and least <= (low := ord(key[len(base) :][:1] or "\0")) < most:
        width = part.width // 64 if part.width < _ALL else next(w for bound, w in _WIDTHS if low < bound)
        cell = _Part(base + chr(low), base, 0.0, low, width)
        yield cell if width > 1 else _Part(cell.start, cell.start, 0.0)
        least = cell.high
        key = root.first_key(base, base + _first_from(least)) if least < most else None


def _first_from(character: int) -> str:
    """The first character from a number on that text can hold and XML can name."""
    ends = (gap.stop for gap in _GAPS if character in gap)
    return chr(min(next(ends, character), _ALL - 1))


def _joined(parts: list[_Part], wanted: int) -> list[str]:
    """The starts that divide the shares into `wanted` equal sums, more or less."""
    total = sum(part.share for part in parts)
    if not total:
        return []
    middles = (so_far - part.share / 2 for so_far, part in zip(accumulate(p.share for p in parts), parts, strict=True))
    groups = [min(int(middle / total * wanted), wanted - 1) for middle in middles]
    return [part.start for part, before, group in zip(parts[1:], groups, groups[1:], strict=False) if group != before]
