"""The manifest: every photo that a run must answer for, written while the listing goes on.

`work/<run_id>/manifest/` holds
    ranges.json                the parts of the key space, cut once; each is listed and compared by itself
    00003-00000.parquet ...    the shards of range 3 in key order, each written once
    00003.json                 range 3 is done: its shards, and what its listing showed
    complete.json              all ranges are done; names all shards
Units of work are slices of shards, so work begins with the first shard. A shard says how far its range was listed, so
that a range that was interrupted goes on behind its last shard.
"""

import io
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, astuple, dataclass, fields, replace
from functools import lru_cache
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from tagger.catalog.listing import KeyRange
from tagger.errors import DateLocked
from tagger.storage import Root, StoredObject, open_root
from tagger.tables.schema import TAGS

SHARD = pa.schema([TAGS.field(name) for name in ("image_key", "etag", "size_bytes", "last_modified")])

_STAND = b"stand"


class Shard(NamedTuple):
    """A shard's name, `<range>-<number>`, and how many photos it holds."""

    name: str
    photos: int

    def units(self, unit_size: int) -> Iterator["WorkUnit"]:
        """The units of work in it, in order. A name tells what is in a unit, so that one of another size is another."""
        for start in range(0, self.photos, unit_size):
            end = min(start + unit_size, self.photos)
            yield WorkUnit(f"{self.name}-{start:05d}-{end:05d}", self.name, start, end - start)


@dataclass(frozen=True)
class WorkUnit:
    """Photos [start, start + count) of a shard; `name` is also that of its staged file."""

    name: str
    shard: str
    start: int
    count: int


@dataclass(frozen=True)
class Counts:
    """What the listing showed, besides the new photos.

    vanished: answered keys that are no longer listed; null where the listing was not a full one.
    older_answers: photos whose answers are of an older model or of other settings, and that stay as they are.
    unreadable_names: files whose names are not UTF-8; no table can hold them.
    """

    listed: int = 0
    vanished: int | None = 0
    older_answers: int = 0
    unreadable_names: int = 0


def summed(counts: Iterable[Counts], is_full: bool) -> Counts:
    """The counts of all ranges.

    is_full: every photo was listed, so that an answered key that was not listed has vanished.
    """
    columns = list(zip(*(astuple(each) for each in counts), strict=True)) or [()] * len(fields(Counts))
    total = Counts(*(sum(column) for column in columns))
    return total if is_full else replace(total, vanished=None)


@dataclass(frozen=True)
class Stand:
    """How far a range is planned: its listing up to the key `through`, with what was counted until there."""

    through: str = ""
    counts: Counts = Counts()


@dataclass(frozen=True)
class Manifest:
    """A complete manifest. shards: in order. unit_size: photos in a unit at most."""

    shards: tuple[Shard, ...]
    unit_size: int
    counts: Counts

    @property
    def new(self) -> int:
        """Photos that the run must answer for."""
        return sum(shard.photos for shard in self.shards)

    def units(self) -> Iterator[WorkUnit]:
        """The units of work, in order."""
        for shard in self.shards:
            yield from shard.units(self.unit_size)


def range_name(number: int) -> str:
    """The name of a range, which its shards' names begin with."""
    return f"{number:05d}"


def save_ranges(root: Root, run_id: str, ranges: Iterable[KeyRange]) -> None:
    """Write how the key space is cut, unless that stands there: shards are of the ranges of one cut."""
    told = json.dumps([[part.start, part.end] for part in ranges])
    root.create_once(_key(run_id, "ranges.json"), told.encode(errors="surrogatepass"))


def load_ranges(root: Root, run_id: str) -> list[KeyRange] | None:
    """How the key space is cut; none where the run died before that was decided."""
    told = _read(root, run_id, "ranges.json")
    return None if told is None else [KeyRange(*part) for part in json.loads(told)]


def write_shard(root: Root, run_id: str, name: str, photos: Sequence[StoredObject], stand: Stand) -> Shard:
    """Write photos, in key order, as a shard that never changes. DateLocked where another process wrote it."""
    columns = zip(*((p.key, p.etag, p.size_bytes, p.last_modified) for p in photos), strict=True)
    schema = SHARD.with_metadata({_STAND: json.dumps(asdict(stand)).encode()})
    rows = pa.table([pa.array(c, f.type) for c, f in zip(columns, schema, strict=True)], schema)
    buffer = io.BytesIO()
    pq.write_table(rows, buffer)
    if not root.create_once(_key(run_id, f"{name}.parquet"), buffer.getvalue()):
        raise DateLocked(f"Another process plans run {run_id} at this moment. Wait for it, or start the command again.")
    return Shard(name, len(photos))


def written_shards(root: Root, run_id: str, number: int) -> tuple[list[Shard], Stand]:
    """The shards of a range that are there, and how far the range is planned by them."""
    prefix = _key(run_id, f"{range_name(number)}-")
    shards, stand = [], Stand()
    for found in root.list_objects(prefix):
        name = found.key[len(_key(run_id, "")) :].removesuffix(".parquet")
        file = pq.ParquetFile(pa.BufferReader(root.read_bytes(found.key)))
        told = json.loads(file.schema_arrow.metadata[_STAND])
        shards.append(Shard(name, file.metadata.num_rows))
        stand = Stand(told["through"], Counts(**told["counts"]))
    return shards, stand


def save_range(root: Root, run_id: str, number: int, shards: Iterable[Shard], counts: Counts) -> None:
    """A range's marker: it is planned to its end."""
    told = {"shards": list(shards), "counts": asdict(counts)}
    root.write_bytes(_key(run_id, f"{range_name(number)}.json"), json.dumps(told).encode())


def load_range(root: Root, run_id: str, number: int) -> tuple[list[Shard], Counts] | None:
    """What `save_range` wrote; none where the range is not planned to its end."""
    told = _read(root, run_id, f"{range_name(number)}.json")
    if told is None:
        return None
    values = json.loads(told)
    return [Shard(*shard) for shard in values["shards"]], Counts(**values["counts"])


def complete(root: Root, run_id: str, unit_size: int, is_full: bool) -> Manifest:
    """The manifest of a run all of whose ranges are planned, saved: from now on it never changes. DateLocked where
    another command has removed the run meanwhile."""
    cut = load_ranges(root, run_id)
    if cut is None:
        raise DateLocked(f"Another command ended run {run_id}, or gave it up. Start the command again.")
    ranges = [load_range(root, run_id, number) for number in range(len(cut))]
    planned = [found for found in ranges if found is not None]
    if len(planned) < len(ranges):
        raise ValueError(f"{run_id}: {len(ranges) - len(planned)} ranges are not planned yet")
    told = summed((counts for _, counts in planned), is_full)
    manifest = Manifest(tuple(shard for shards, _ in planned for shard in shards), unit_size, told)
    values = asdict(manifest) | {"new": manifest.new}
    root.write_bytes(_key(run_id, "complete.json"), json.dumps(values, indent=1).encode())
    return manifest


def load_manifest(root: Root, run_id: str) -> Manifest | None:
    """A run's complete manifest; none where the run died before it was."""
    told = _read(root, run_id, "complete.json")
    if told is None:
        return None
    values = json.loads(told)
    shards = tuple(Shard(*shard) for shard in values["shards"])
    return Manifest(shards, values["unit_size"], Counts(**values["counts"]))


def read_photos(root: Root, run_id: str, unit: WorkUnit) -> list[StoredObject]:
    """The photos of a unit, as listed."""
    columns = (column.to_pylist() for column in read_rows(root, run_id, unit).columns)
    return [StoredObject(*values) for values in zip(*columns, strict=True)]


def read_rows(root: Root, run_id: str, unit: WorkUnit) -> pa.Table:
    """The photos of a unit, in the schema SHARD."""
    return _read_shard(root.uri, run_id, unit.shard).slice(unit.start, unit.count)


@lru_cache(maxsize=2)
def _read_shard(uri: str, run_id: str, name: str) -> pa.Table:
    """Cached, since a process takes unit after unit of the same shard, and a shard never changes."""
    data = open_root(uri).read_bytes(_key(run_id, f"{name}.parquet"))
    return pq.read_table(pa.BufferReader(data), columns=SHARD.names)


def _read(root: Root, run_id: str, name: str) -> bytes | None:
    try:
        return root.read_bytes(_key(run_id, name))
    except FileNotFoundError:
        return None


def _key(run_id: str, name: str) -> str:
    return f"work/{run_id}/manifest/{name}"
