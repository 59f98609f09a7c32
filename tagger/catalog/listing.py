"""Where a night's photos come from: parts of the key space, each listed by whoever asks for it.

`Listing` is what all sources have in common; `StorageListing` asks the storage itself. A bucket's inventory is read in
`inventory.py`, a list that a person made in `keys_file.py`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

from tagger.catalog.keyspace import increasing, key_cuts
from tagger.storage import LocalRoot, Root, StoredObject


@dataclass(frozen=True)
class KeyRange:
    """A part of the key space: keys >= start and < end, by UTF-8 bytes; empty end: no upper bound."""

    start: str = ""
    end: str = ""


class Listing(Protocol):
    """A source of photos, ordered by key. Implementations are frozen and picklable: they are sent to Ray tasks."""

    def ranges(self, wanted: int) -> list[KeyRange]:
        """Disjoint ranges in key order that together hold every key, also one that comes later: 1 to `wanted`.

        Their sizes are alike as far as that is found out cheaply.
        """
        ...

    def photos(self, part: KeyRange, after: str = "") -> Iterator[StoredObject]:
        """The range's photos with keys greater than `after`, streamed, strictly increasing by the key's UTF-8 bytes."""
        ...


@dataclass(frozen=True)
class StorageListing:
    """The photos whose key begins with `prefix`, as the storage lists them now. A local folder is one range."""

    images: Root
    prefix: str = ""

    def ranges(self, wanted: int) -> list[KeyRange]:
        """See `Listing`. Each range of a bucket takes some small requests."""
        if wanted < 2 or isinstance(self.images, LocalRoot):
            return [KeyRange()]
        return ranges_between(key_cuts(self.images, self.prefix, wanted))

    def photos(self, part: KeyRange, after: str = "") -> Iterator[StoredObject]:
        """See `Listing`. BadInput where the storage lists keys in another order, or this node does not reach it."""
        if isinstance(self.images, LocalRoot):
            self.images.check()  # a folder that is on other nodes alone would be an empty one here
        return increasing(self.images.list_objects(self.prefix, after, part.start, part.end), self.images.uri)


def ranges_between(cuts: Sequence[str]) -> list[KeyRange]:
    """The whole key space, cut at each of the texts, which are in order."""
    return [KeyRange(start, end) for start, end in pairwise(["", *cuts, ""])]
