"""The manifest: every photo that a run must answer for, written before the first one is touched.

`work/<run_id>/manifest/<shard>.parquet` hold the keys in order, each written once; `complete.json`, written last, names
them and the counts. Units of work are slices of shards. A run without `complete.json` has no manifest.
"""

import io
import itertools
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from functools import lru_cache

import pyarrow as pa
import pyarrow.parquet as pq

from tagger.storage import Root, StoredObject, open_root
from tagger.tables.schema import TAGS

SHARD_PHOTOS = 16_384
"""About 2 MB of keys: a node reads a shard once and works through its units."""

SHARD = pa.schema([TAGS.field(name) for name in ("image_key", "etag", "size_bytes", "last_modified")])


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

    listed: int
    vanished: int | None
    older_answers: int
    unreadable_names: int


@dataclass(frozen=True)
class Manifest:
    """A complete manifest. shards: (name, photos), in order. unit_size: photos in a unit at most."""

    shards: tuple[tuple[str, int], ...]
    unit_size: int
    counts: Counts

    @property
    def new(self) -> int:
        """Photos that the run must answer for."""
        return sum(count for _, count in self.shards)

    def units(self) -> Iterator[WorkUnit]:
        """The units of work, in order."""
        for shard, count in self.shards:
            for number, start in enumerate(range(0, count, self.unit_size)):
                yield WorkUnit(f"{shard}-{number:05d}", shard, start, min(self.unit_size, count - start))


def write_shards(
    root: Root, run_id: str, photos: Iterable[StoredObject], shard_photos: int = SHARD_PHOTOS
) -> tuple[tuple[str, int], ...]:
    """Write the photos, in order, as shards. Holds one shard in memory. Returns (name, photos) of each."""
    written: list[tuple[str, int]] = []
    source = iter(photos)
    while rows := list(itertools.islice(source, shard_photos)):
        name = f"{len(written):05d}"
        columns = zip(*((p.key, p.etag, p.size_bytes, p.last_modified) for p in rows), strict=True)
        buffer = io.BytesIO()
        pq.write_table(pa.table([pa.array(c, f.type) for c, f in zip(columns, SHARD, strict=True)], SHARD), buffer)
        root.write_bytes(_shard_key(run_id, name), buffer.getvalue())
        written.append((name, len(rows)))
    return tuple(written)


def save_manifest(root: Root, run_id: str, manifest: Manifest) -> None:
    """The final marker: from now on the manifest is complete and never changes."""
    root.write_bytes(_marker_key(run_id), json.dumps(asdict(manifest) | {"new": manifest.new}, indent=1).encode())


def load_manifest(root: Root, run_id: str) -> Manifest | None:
    """A run's complete manifest; none where the run died before it was."""
    try:
        told = json.loads(root.read_bytes(_marker_key(run_id)))
    except FileNotFoundError:
        return None
    shards = tuple((str(name), int(count)) for name, count in told["shards"])
    return Manifest(shards, told["unit_size"], Counts(**told["counts"]))


def read_photos(root: Root, run_id: str, unit: WorkUnit) -> list[StoredObject]:
    """The photos of a unit, as listed."""
    rows = _read_shard(root.uri, run_id, unit.shard).slice(unit.start, unit.count)
    return [StoredObject(*values) for values in zip(*(column.to_pylist() for column in rows.columns), strict=True)]


@lru_cache(maxsize=2)
def _read_shard(uri: str, run_id: str, name: str) -> pa.Table:
    """Cached, since a process takes unit after unit of the same shard, and a shard never changes."""
    return pq.read_table(pa.BufferReader(open_root(uri).read_bytes(_shard_key(run_id, name))), columns=SHARD.names)


def _shard_key(run_id: str, name: str) -> str:
    return f"work/{run_id}/manifest/{name}.parquet"


def _marker_key(run_id: str) -> str:
    return f"work/{run_id}/manifest/complete.json"
