"""What a night of many photos asks of time and memory, without downloading one: planning, and ledger to commit.

    plan     keys are made up, N of them; all but one in a hundred are answered in a committed table of the root; the
             ranges, cut as a night cuts them, are listed, compared with the answers and written as a manifest, as Ray
             tasks
    range    the same keys as one range, as those of a local folder are, compared in one process; nothing is written
    commit   N staged rows -> ledger, table files, commit; the units are made up of one unit's rows
    night    N small photos on this disk -> the first staged unit, and a whole night with the bundle of --model

python -m benchmarks.night_scale --case plan range commit --photos 100000 1000000 10000000 --work FOLDER
python -m benchmarks.night_scale --case night --photos 1000 10000 100000 --work FOLDER [--model fashion-24x20]

A table of a row for each number of photos: seconds, and the peak resident memory of the driver and of the largest of
Ray's workers, shared memory left out. Every row runs in a process of its own, with a Ray of its own, after its tables,
units or photos were made by another one; they are deleted after it.
"""

import argparse
import datetime
import io
import multiprocessing
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

import numpy as np
import psutil
import pyarrow as pa
from PIL import Image, ImageDraw

from tagger.catalog.listing import KeyRange
from tagger.cluster import connected
from tagger.config import Config, RayConfig, TagConfig
from tagger.storage import Root, StoredObject, open_root
from tagger.tables.record import RunRecord
from tagger.tables.schema import REJECTS, TAGS
from tagger.tables.store import Tables
from tagger.tables.units import Unit, write_unit
from tagger.tag import night
from tagger.tag.inspection import Inspection
from tagger.tag.ledger import check_ledger, staged_rows
from tagger.tag.manifest import Shard, Stand, complete, load_manifest, save_range, save_ranges, write_shard
from tagger.tag.plan import PlanJob, Survey
from tagger.tag.planning import Planning
from tagger.tag.progress import Worked
from tagger.tag.runs import RunIdentity
from tagger.tag.selection import ranges_of
from tagger.tag.watch import Known

DAY = datetime.date(2026, 11, 22)
NOON = datetime.datetime(2026, 11, 22, 12, tzinfo=datetime.UTC)
IDENTITY = RunIdentity(DAY, "m", "1", "c")
_ONE_NEW_IN = 100
_ROWS = 100_000
_CLASSES = {"type": ("Shirt", "Top", "Dress"), "color": ("White", "Cream", "Grey")}
_MAPS = {"color_cam": 64, "type_cam": 64, "product_mask": 128}


def key(number: int) -> str:
    """A key as shops have them, in the order of the numbers."""
    return f"{number // 1_000_000:03d}/{number // 1000 % 1000:03d}/{number % 1000:03d}-photo.jpg"


@dataclass(frozen=True)
class MadeUpListing:
    """`count` photos that are nowhere."""

    count: int

    def ranges(self, wanted: int) -> list[KeyRange]:
        """Equal parts."""
        cuts = [key(self.count * n // wanted) for n in range(1, wanted)]
        return [KeyRange(start, end) for start, end in zip(["", *cuts], [*cuts, ""], strict=True)]

    def photos(self, part: KeyRange, after: str = "") -> Iterator[StoredObject]:
        """In key order."""
        first, end = (self._number(bound) for bound in (part.start, part.end))
        for number in range(first, self.count if not part.end else end):
            yield StoredObject(key(number), "0123456789abcdef0123456789abcdef", 100_000, NOON)

    @staticmethod
    def _number(bound: str) -> int:
        digits = bound.removesuffix("-photo.jpg").replace("/", "")
        return int(digits) if digits else 0


class Memory:
    """Context manager: peak resident memory of this process and of the largest worker of its Ray, without what they
    share."""

    def __init__(self) -> None:
        self.driver = self.worker = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "Memory":
        self._thread.start()
        return self

    def __exit__(self, *told: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        here = psutil.Process()
        while not self._stop.wait(0.2):
            self.driver = max(self.driver, _own(here))
            self.worker = max([self.worker, *(_own(child, "ray::") for child in here.children(recursive=True))])


def _own(process: psutil.Process, begins: str = "") -> int:
    try:
        if not "".join(process.cmdline()).startswith(begins):
            return 0
        told = process.memory_info()
    except psutil.NoSuchProcess:
        return 0
    return int(told.rss - told.shared)


def answers(count: int) -> Iterator[Unit]:
    """Rows of `tags` for all but one in a hundred keys, many at once."""
    for start in range(0, count, _ROWS):
        numbers = [n for n in range(start, min(start + _ROWS, count)) if n % _ONE_NEW_IN]
        known = {
            "run_id": "r1", "date": DAY, "tagged_at": NOON, "etag": "0123456789abcdef0123456789abcdef", "type": "Shirt",
            "color": "White", "model_name": "m", "model_version": "1", "config_digest": "c", "needs_review": False,
        }  # fmt: skip
        columns = {
            name: pa.repeat(pa.scalar(value, TAGS.field(name).type), len(numbers)) for name, value in known.items()
        }
        columns["image_key"] = pa.array(map(key, numbers))
        rows = pa.table([columns.get(f.name, pa.nulls(len(numbers), f.type)) for f in TAGS], TAGS)
        yield Unit(rows, REJECTS.empty_table())


def record(run_id: str, tagged: int) -> RunRecord:
    """The record of a run that tagged everything."""
    return RunRecord(
        run_id=run_id, date=DAY, started_at=NOON, finished_at=NOON, model_name="m", model_version="1",
        config_digest="c", code_version="0", listed=tagged, new=tagged, tagged=tagged, rejected=0,
    )  # fmt: skip


def answered(root: Root, count: int) -> None:
    """A committed run that answers for all but one in a hundred photos."""
    tables = Tables(root)
    files = tables.finalise("r1", DAY, answers(count))
    tables.commit_run(record("r1", count - _new(count)), files.tags, files.rejects)


def _new(count: int) -> int:
    return -(-count // _ONE_NEW_IN)


def planned(root: Root, count: int, model: str) -> dict[str, float]:
    """Seconds to the first shard and to the complete manifest, of a Ray that runs already."""
    job = PlanJob(root, "r2", MadeUpListing(count), IDENTITY, TagConfig())
    ranges = ranges_of(job)
    started, first = time.monotonic(), 0.0
    with Planning(job, ranges, job.tag.list_tasks, worked=Worked(), patience_s=0.0) as planning:
        for _ in planning.waves(most=10**9):
            first = first or time.monotonic() - started
    manifest = complete(root, "r2", 256, is_full=True)
    took = time.monotonic() - started
    if (manifest.counts.listed, manifest.new) != (count, _new(count)):
        raise SystemExit(f"The manifest is wrong: {manifest.counts}, {manifest.new} new of {count}.")
    return {"first shard, s": first, "all, s": took}


def surveyed(root: Root, count: int, model: str) -> dict[str, float]:
    """Seconds until it is known of the first key, and of all, whether they are new."""
    keys = iter(Survey(PlanJob(root, "r2", MadeUpListing(count), IDENTITY, TagConfig()), KeyRange()))
    started, worked = time.monotonic(), time.process_time()
    new = next(keys) is not None
    first = time.monotonic() - started
    new += sum(photo is not None for photo in keys)
    if new != _new(count):
        raise SystemExit(f"{new} of {count} keys were found to be new.")
    took = time.monotonic() - started
    return {"first key, s": first, "all, s": took, "all, CPU s": time.process_time() - worked}


def committed(root: Root, count: int, model: str) -> dict[str, float]:
    """Seconds from the last staged unit to the committed run."""
    manifest = load_manifest(root, "r1")
    assert manifest is not None and manifest.new == count
    started = time.monotonic()
    inspection = Inspection("r1", IDENTITY, Known(_CLASSES), TagConfig())
    ledger = check_ledger(root, "r1", manifest, inspection)
    inspection.findings(root, ledger)
    checked, tables = time.monotonic(), Tables(root)
    files = tables.finalise("r1", DAY, staged_rows(root, "r1", manifest))
    written = time.monotonic()
    tables.commit_run(record("r1", ledger.tagged), files.tags, files.rejects)
    size = sum(file.size_bytes for file in files.tags) / 2**20
    told = {"ledger, s": checked - started, "files, s": written - checked, "commit, s": time.monotonic() - written}
    return told | {"files": float(len(files.tags)), "MiB": size}


def staged(root: Root, count: int) -> None:
    """A manifest of `count` photos, all of its units staged."""
    shard_photos, rows, rng = 16_384, full_rows(256), np.random.default_rng(0)
    save_ranges(root, "r1", [KeyRange()])
    shards = []
    for number, start in enumerate(range(0, count, shard_photos)):
        photos = list(MadeUpListing(min(start + shard_photos, count)).photos(KeyRange(key(start))))
        shard = write_shard(root, "r1", f"00000-{number:05d}", photos, Stand())
        for unit in shard.units(256):
            keys = [photo.key for photo in photos[unit.start : unit.start + unit.count]]
            write_unit(root, "r1", unit.name, with_keys(rows, keys, rng), REJECTS.empty_table())
        shards.append(shard)
    save_range(root, "r1", 0, [Shard(*shard) for shard in shards], Stand().counts)
    complete(root, "r1", 256, is_full=True)


def with_keys(rows: pa.Table, keys: list[str], rng: np.random.Generator) -> pa.Table:
    """The rows under other keys, and with other maps, which do not compress."""
    columns = {name: rows[name].slice(0, len(keys)) for name in rows.column_names} | {"image_key": pa.array(keys)}
    for name, size in _MAPS.items():
        columns[name] = pa.array([rng.bytes(size) for _ in keys], pa.binary())
    return pa.table(columns)


def full_rows(count: int) -> pa.Table:
    """Rows of `tags` in which nothing is null."""
    rng = np.random.default_rng(0)
    tops = {
        f"{name}_top3": [{"label": label, "p": p} for label, p in zip(labels, (0.6, 0.3, 0.1), strict=True)]
        for name, labels in _CLASSES.items()
    }
    known = {
        "run_id": "r1", "date": DAY, "tagged_at": NOON, "image_key": "", "etag": "0123456789abcdef0123456789abcdef",
        "size_bytes": 100_000, "last_modified": NOON, "format": "JPEG", "type": "Shirt", "color": "White",
        "pointing_hit": True, "needs_review": False, "review_reasons": [],
        "model_name": "m", "model_version": "1", "config_digest": "c", "dominant_rgb": [250, 250, 250],
        "type_confidence": 0.6, "color_confidence": 0.6, "focus_map": "class/post_bn", "engine": "e",
    }  # fmt: skip

    known |= tops

    def value(field: pa.Field) -> object:
        if field.name in _MAPS:
            return rng.bytes(_MAPS[field.name])
        if pa.types.is_floating(field.type):
            return float(rng.random())
        return int(rng.integers(100, 2000)) if pa.types.is_integer(field.type) else None

    return pa.Table.from_pylist([{f.name: known.get(f.name, value(f)) for f in TAGS} for _ in range(count)], TAGS)


def photographed(root: Root, count: int) -> None:
    """Small photos."""
    rng, images = np.random.default_rng(0), root.child("images")
    photos = [small_photo(rng) for _ in range(50)]
    for number in range(count):
        images.write_bytes(key(number), photos[number % len(photos)])


def tagged(root: Root, count: int, model: str) -> dict[str, float]:
    """Seconds to the first staged unit, of a whole night, and its rate."""
    config = Config(root=root.uri, model=model, date=DAY, tag=TagConfig(max_reject_share=0.0))
    first: SimpleQueue[float] = SimpleQueue()
    threading.Thread(target=_tell_first_unit, args=(Path(root.uri), first), daemon=True).start()
    summary = night.run(config)
    if summary.tagged != count:
        raise SystemExit(f"{summary.tagged} of {count} photos were tagged.")
    return {"first unit, s": first.get(), "night, s": summary.wall_s, "photos/s": summary.photos_per_s}


def _tell_first_unit(folder: Path, first: SimpleQueue[float]) -> None:
    started = time.monotonic()
    while not any(folder.glob("work/*/units/*.parquet")):
        time.sleep(0.2)
    first.put(time.monotonic() - started)


def small_photo(rng: np.random.Generator) -> bytes:
    """A JPEG of 64 x 64 px, a shape before a background."""
    picture = Image.new("RGB", (64, 64), (250, 250, 250))
    ImageDraw.Draw(picture).rectangle((12, 16, 52, 48), tuple(int(value) for value in rng.integers(0, 256, 3)))
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG")
    return buffer.getvalue()


CASES: dict[str, tuple[Callable[[Root, int], None], Callable[[Root, int, str], dict[str, float]]]] = {
    "plan": (answered, planned),
    "range": (answered, surveyed),
    "commit": (staged, committed),
    "night": (photographed, tagged),
}
"""What makes a case's files, and what is measured: the root, the number of photos, the model -> the row's figures."""


def main() -> None:
    """Run the cases for every number of photos, and print a table each."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--case", nargs="+", choices=CASES, default=list(CASES))
    options.add_argument("--photos", nargs="+", type=int, default=[10_000, 100_000, 1_000_000])
    options.add_argument("--model", default="fashion-24x20", help="A bundle's name or folder, for the case night.")
    options.add_argument("--work", type=Path, required=True, help="An empty folder with space: 600 bytes a photo.")
    arguments = options.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    for case in arguments.case:
        for number, count in enumerate(arguments.photos):
            row = measured(case, count, arguments)
            if not number:
                print(f"\n| {case}: {' | '.join(row)} |\n|{'---|' * len(row)}")
            print(f"| {' | '.join(f'{value:,.1f}'.removesuffix('.0') for value in row.values())} |", flush=True)


def measured(case: str, count: int, arguments: argparse.Namespace) -> dict[str, float]:
    """One row: what the case tells, and memory."""
    root = open_root(str(arguments.work / f"{case}-{count}"))
    shutil.rmtree(root.uri, ignore_errors=True)
    CASES[case][0](root, count)
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        told = pool.submit(alone, case, root, count, arguments.model).result()
    shutil.rmtree(root.uri, ignore_errors=True)
    return {"photos": float(count), **told}


def alone(case: str, root: Root, count: int, model: str) -> dict[str, float]:
    """The figures of a row, in a process that has done nothing else."""
    with connected(RayConfig(num_cpus=2)), Memory() as memory:
        told = CASES[case][1](root, count, model)
    return told | {"driver, MiB": memory.driver / 2**20, "worker, MiB": memory.worker / 2**20}


if __name__ == "__main__":
    main()
