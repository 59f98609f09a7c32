"""Proof that a date's committed runs are whole: every listed new photo in one row, every file as it was committed."""

import datetime
import hashlib
import io
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq

from tagger.storage import Root
from tagger.tables.schema import COMMITTED
from tagger.tables.store import Tables

_PART = re.compile(r"part-(?P<run_id>.+)-\d+-(?P<digest>[0-9a-f]{16})\.parquet")


@dataclass(frozen=True)
class Finding:
    """One statement about a run or a file. is_ok: whether it is as promised."""

    subject: str
    is_ok: bool
    text: str


def verify(root: Root, date: datetime.date) -> list[Finding]:
    """What there is to say about a date: its files, then its runs. All is well where every finding is ok; none means
    no run. Where a file is not whole, the runs cannot be read and are left out."""
    tables = Tables(root)
    found = [
        _verify_file(root.child("tables", name), name, path)
        for name in ("tags", "rejects", "runs")
        for path in _files(tables, name, date)
    ]
    if not all(finding.is_ok for finding in found):
        return found
    runs = tables.dataset("runs").to_table(filter=(pc.field("date") == date) & (pc.field("status") == COMMITTED))
    return [*found, *(finding for run in runs.to_pylist() for finding in _verify_run(tables, run))]


def _verify_run(tables: Tables, run: dict[str, Any]) -> Iterator[Finding]:
    """The ledger of one run: its record against its rows."""
    run_id = run["run_id"]
    tags, rejects = (_keys(tables, name, run) for name in ("tags", "rejects"))
    tagged, rejected = tags.total(), rejects.total()
    is_whole = run["new"] == tagged + rejected
    yield Finding(run_id, is_whole, f"{run['new']} new = {tagged} tagged + {rejected} rejected")
    is_told = (run["tagged"], run["rejected"]) == (tagged, rejected)
    yield Finding(run_id, is_told, f"its record says {run['tagged']} tagged, {run['rejected']} rejected")
    doubled = [key for key, count in (tags + rejects).items() if count > 1]
    yield Finding(run_id, not doubled, f"{len(doubled)} photos in more than one row {doubled[:3] or ''}".rstrip())


def _keys(tables: Tables, name: str, run: dict[str, Any]) -> Counter[str]:
    keys: Counter[str] = Counter()
    of_run = (pc.field("date") == run["date"]) & (pc.field("run_id") == run["run_id"])
    for batch in tables.dataset(name).to_batches(columns=["image_key"], filter=of_run):
        keys.update(batch["image_key"].to_pylist())
    return keys


def _files(tables: Tables, name: str, date: datetime.date) -> list[str]:
    """The table's files of a date, as the log names them; none for a table that does not exist yet."""
    files = getattr(tables.dataset(name), "files", [])
    return sorted(path for path in files if f"date={date.isoformat()}/" in path)


def _verify_file(table: Root, name: str, path: str) -> Finding:
    """A file's bytes against the digest in its name; compaction's files carry none and are only read."""
    subject = f"{name}/{path}"
    try:
        data = table.read_bytes(path)
    except FileNotFoundError:
        return Finding(subject, False, "the log names this file, and it is gone")
    part = _PART.search(path)
    if part and hashlib.sha256(data).hexdigest()[:16] != part["digest"]:
        return Finding(subject, False, "its bytes are not those that were committed")
    try:
        rows = pq.ParquetFile(io.BytesIO(data)).metadata.num_rows
    except (OSError, ValueError) as error:
        return Finding(subject, False, f"it is no readable Parquet file: {error}")
    return Finding(subject, True, f"{rows} rows, {len(data)} bytes" + (", digest as committed" if part else ""))
