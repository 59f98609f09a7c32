"""How fast a bucket is listed in 1, 2 and 4 ranges at once, and what sorting a large inventory takes.

python -m benchmarks.listing [--images s3://bucket/prefix] [--photos 20000] [--rows 10000000] [--rounds 3]

Objects of one byte that the prefix lacks are made first. Ranges are listed by one process each, as Ray's tasks do.
The inventory is synthetic, of Parquet files in no order, and is sorted by a process of its own, whose memory is told.
"""

import argparse
import datetime
import hashlib
import json
import os
import platform
import resource
import statistics
import subprocess
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import duckdb

from tagger import __version__
from tagger.catalog.inventory import InventoryListing
from tagger.catalog.keyspace import key_cuts
from tagger.catalog.listing import KeyRange, StorageListing, ranges_between
from tagger.storage import open_root

_RANGES = (1, 2, 4)
_FILE_ROWS = 1_000_000
_FIELDS = "bucket key size last_modified_date e_tag"
_SPAWN = get_context("spawn")

# Keys of 56 characters in random order, as many different etags: nothing that sorts or packs itself.
_ROWS = """
COPY (SELECT 'shop' AS bucket, format('images/{:02x}/{}.jpg', n % 256, md5(n::VARCHAR)) AS key, n % 900000 AS size,
             TIMESTAMP '2026-11-22' - INTERVAL (n % 1000000) SECOND AS last_modified_date, md5((-n)::VARCHAR) AS e_tag
      FROM range($first, $last) AS r(n) ORDER BY hash(n)) TO '$file' (FORMAT parquet)
"""


def make_photos(images: str, count: int) -> None:
    """Objects under keys such as "shop/0017/000017042.jpg", where there are fewer."""
    root = open_root(images)
    there = {found.key for found in root.list_objects()}
    missing = {f"shop/{number // 1000:04d}/{number:09d}.jpg" for number in range(count)} - there
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda key: root.write_bytes(key, b"1"), sorted(missing)))


def count_photos(listing: StorageListing, part: KeyRange) -> int:
    """Photos in a range."""
    return sum(1 for _ in listing.photos(part))


def list_ranges(pool: ProcessPoolExecutor, images: str, wanted: int) -> tuple[int, float]:
    """Photos listed and the seconds it took, the search for the cuts among them; each range by another process."""
    started = time.perf_counter()
    listing = StorageListing(open_root(images))
    ranges = ranges_between(key_cuts(listing.images, "", wanted) if wanted > 1 else [])
    total = sum(pool.map(count_photos, [listing] * len(ranges), ranges))
    return total, time.perf_counter() - started


def time_listing(images: str, count: int, rounds: int) -> list[list[str]]:
    """Rows of the table. The cases take turns, so that other load meets all of them."""
    make_photos(images, count)
    taken: dict[int, list[float]] = {n: [] for n in _RANGES}
    with ProcessPoolExecutor(max(_RANGES), mp_context=_SPAWN) as pool:
        list_ranges(pool, images, max(_RANGES))
        for _ in range(rounds):
            for n in _RANGES:
                listed, seconds = list_ranges(pool, images, n)
                assert listed >= count, (listed, count)
                taken[n].append(seconds)
    alone = statistics.median(taken[1])
    return [_row(f"list, {n} ranges", count, taken[n], alone) for n in _RANGES]


def make_inventory(folder: Path, rows: int) -> str:
    """A synthetic inventory. Returns its manifest's path."""
    place = folder / "lists" / "shop" / "nightly"
    (place / "data").mkdir(parents=True)
    (place / "day").mkdir()
    files = []
    duckdb.execute("SET enable_progress_bar = false")
    for first in range(0, rows, _FILE_ROWS):
        file = place / "data" / f"{first}.parquet"
        last = min(first + _FILE_ROWS, rows)
        duckdb.sql(_ROWS.replace("$first", f"{first}").replace("$last", f"{last}").replace("$file", f"{file}"))
        digest = hashlib.md5(file.read_bytes(), usedforsecurity=False).hexdigest()
        files.append({"key": file.name, "MD5checksum": digest})
    schema = "".join(f"optional binary {field} (STRING); " for field in _FIELDS.split())
    told = {"sourceBucket": "shop", "fileFormat": "Parquet", "fileSchema": schema, "files": files}
    (place / "day" / "manifest.json").write_text(json.dumps(told))
    return str(place / "day" / "manifest.json")


def sort_inventory(manifest: str, into: str) -> tuple[float, float, int]:
    """Seconds, this process's highest memory in GB, and rows."""
    started = time.perf_counter()
    listing = InventoryListing.prepare(manifest, open_root("s3://shop/images"), "", open_root(into))
    seconds = time.perf_counter() - started
    return seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, listing.rows.count()


def time_sorting(rows: int) -> list[list[str]]:
    """Rows of the table: one run, and the listing of what it made."""
    with tempfile.TemporaryDirectory() as folder:
        manifest, into = make_inventory(Path(folder), rows), f"{folder}/sorted"
        with ProcessPoolExecutor(1, mp_context=_SPAWN) as pool:
            seconds, memory, count = pool.submit(sort_inventory, manifest, into).result()
        assert count == rows, (count, rows)
        listing = InventoryListing.prepare(manifest, open_root("s3://shop/images"), "", open_root(into))
        started = time.perf_counter()
        assert sum(1 for _ in listing.photos(KeyRange())) == rows
        read = time.perf_counter() - started
    sort = _row("sort an inventory", rows, [seconds], seconds)
    return [[*sort[:-1], f"{memory:.2f} GB"], [*_row("read it in order", rows, [read], read)[:-1], ""]]


def _row(case: str, count: int, taken: list[float], alone: float) -> list[str]:
    middle = statistics.median(taken)
    spread = f"{min(taken):.2f} to {max(taken):.2f}"
    return [case, f"{count}", f"{middle:.2f}", spread, f"{count / middle:.0f}", f"{alone / middle:.2f}"]


def main() -> None:
    """Time what is asked for and print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", default="")
    parser.add_argument("--photos", type=int, default=20_000)
    parser.add_argument("--rows", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    table = time_listing(arguments.images, arguments.photos, arguments.rounds) if arguments.images else []
    table += time_sorting(arguments.rows) if arguments.rows else []
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    load = f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} CPUs"
    versions = f"tagger {__version__} {commit}, duckdb {duckdb.__version__}"
    print(f"{datetime.date.today()} {platform.machine()} {load}, {versions}")
    print("| case | keys | s, median | s, spread | keys/s | to one range; memory |\n|---|---|---|---|---|---|")
    print("\n".join(f"| {' | '.join(row)} |" for row in table))


if __name__ == "__main__":
    main()
