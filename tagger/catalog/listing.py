"""What the shop has in its storage: photos in the order of their keys, by parts of the key space."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from tagger.storage import Root, StoredObject


@dataclass(frozen=True)
class KeyRange:
    """A part of the key space: keys >= start and < end, by UTF-8 bytes; empty end: no upper bound."""

    start: str = ""
    end: str = ""


class Listing(Protocol):
    """A source of photos. Implementations are picklable: ranges are listed where they are planned."""

    def ranges(self, wanted: int) -> list[KeyRange]:
        """About `wanted` disjoint ranges in key order, which cover every key."""

    def photos(self, part: KeyRange, after: str = "") -> Iterator[StoredObject]:
        """Photos of a range with keys greater than `after`, streamed, in key order, each once."""


@dataclass(frozen=True)
class StorageListing:
    """Objects below `images` whose key starts with `prefix`, as storage lists them."""

    images: Root
    prefix: str = ""

    def ranges(self, wanted: int) -> list[KeyRange]:
        """One range."""
        return [KeyRange(self.prefix)]

    def photos(self, part: KeyRange, after: str = "") -> Iterator[StoredObject]:
        """As the protocol says."""
        for found in self.images.list_objects(self.prefix, after):
            if part.end and found.key >= part.end:
                return
            if found.key >= part.start:
                yield found
