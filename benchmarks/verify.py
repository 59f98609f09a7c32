"""What `tagger verify` costs on a large night: seconds and memory, by rows.

Writes the tables of one committed run (keys of 40 characters, 1 row in 100 a reject, the other columns of `tags` null:
verify reads keys and run ids alone, and every file's bytes) and proves them in a process of its own, whose peak memory
is compared with that of the same proof on an empty root.

python -m benchmarks.verify --rows 10000000 --work FOLDER
"""

import argparse
import datetime as dt
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

import tagger
from tagger.storage import Root, open_root
from tagger.tables.record import RunRecord
from tagger.tables.schema import REJECTS, TAGS
from tagger.tables.store import Tables
from tagger.tables.units import Unit

DAY = dt.date(2026, 11, 22)
RUN_ID = "20261122-0a1b2c3d-001"
UNIT_ROWS = 100_000
"""Rows handed over at once; as in a night, a file is closed at its target size."""

_PROOF = """
import datetime, resource, sys
from tagger.storage import open_root
from tagger.tag.verify import verify
found = verify(open_root(sys.argv[1]), datetime.date(2026, 11, 22))
assert all(finding.verdict == "ok" for finding in found), found
print(len(found), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def units(rows: int) -> Iterator[Unit]:
    """Units of rows whose keys are distinct; every hundredth is a reject."""
    for start in range(0, rows, UNIT_ROWS):
        numbers = np.arange(start, min(start + UNIT_ROWS, rows))
        is_reject = numbers % 100 == 0
        yield Unit(_rows(TAGS, numbers[~is_reject]), _rows(REJECTS, numbers[is_reject]))


def _rows(schema: pa.Schema, numbers: np.ndarray) -> pa.Table:
    keys = pa.array([f"{(n * 2654435761) % 2**32:08x}/product-{n:012d}-front.jpg" for n in numbers.tolist()])
    known = {"run_id": pa.repeat(RUN_ID, len(keys)), "date": pa.repeat(pa.scalar(DAY), len(keys)), "image_key": keys}
    return pa.table([known.get(f.name, pa.nulls(len(keys), f.type)) for f in schema], schema=schema)


def write_night(root: Root, rows: int) -> int:
    """Commit a run of so many rows; returns the number of its files."""
    tables, rejected, now = Tables(root), -(-rows // 100), dt.datetime.now(dt.UTC)
    files = tables.finalise(RUN_ID, DAY, units(rows))
    record = RunRecord(
        run_id=RUN_ID, date=DAY, started_at=now, finished_at=now, model_name="m", model_version="1", config_digest="c",
        code_version=tagger.__version__, listed=rows, new=rows, tagged=rows - rejected, rejected=rejected,
    )  # fmt: skip
    tables.commit_run(record, files.tags, files.rejects)
    return len(files.tags) + len(files.rejects)


def proof(root: Root) -> tuple[float, int]:
    """Seconds, start of the process included, and peak resident memory in MiB of a proof."""
    started = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", _PROOF, root.uri], capture_output=True, text=True, check=True)
    return time.perf_counter() - started, int(done.stdout.split()[1])


def main() -> None:
    """One table: an empty root, then the night."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rows", type=int, default=10_000_000)
    options.add_argument("--work", type=Path, help="Folder for the tables; else a temporary one.")
    arguments = options.parse_args()
    print(f"{platform.machine()}, Python {platform.python_version()}, tagger {tagger.__version__}, one run each")
    print("| rows | files | write s | verify s | peak MiB |\n| --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory(dir=arguments.work) as folder:
        for rows in (0, arguments.rows):
            root, started = open_root(f"{folder}/{rows}"), time.perf_counter()
            files = write_night(root, rows) if rows else 0
            written_s = time.perf_counter() - started
            seconds, peak_mib = proof(root)
            print(f"| {rows:,} | {files} | {written_s:.0f} | {seconds:.0f} | {peak_mib} |", flush=True)


if __name__ == "__main__":
    main()
