"""Proof that committed runs are whole: every listed new photo in one row, every file as it was committed.

The rows are counted in DuckDB, which spills to disk, and files are read piece by piece: memory does not grow with the
night. A file's bytes are proven by the digest in its name; those that compaction wrote carry none, so there the log's
size and rows, and then the rows and keys of each run, are what is proven.
"""

import datetime
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import pyarrow.parquet as pq

from tagger.errors import StorageUnavailable
from tagger.printable import printable
from tagger.storage import Root, outages_told
from tagger.tables.log import LoggedFile, TableLog
from tagger.tables.query import ask, connect, stream_keys, stream_photos
from tagger.tables.schema import PARTITION

_PART = re.compile(r"part-(?P<run_id>.+)-\d+-(?P<digest>[0-9a-f]{16})\.parquet")
_PIECE_BYTES = 8 * 2**20
_MEMORY_MB = 128
_NO_ROWS = {"tagged": 0, "rejected": 0}

_RECORDS = """
SELECT run_id, count(*) AS records, any_value(new) AS new, any_value(tagged) AS tagged, any_value(rejected) AS rejected
FROM runs WHERE date = $date GROUP BY run_id ORDER BY min(finished_at), run_id
"""

_ROWS = """
SELECT run_id, sum(tagged)::BIGINT AS tagged, sum(rejected)::BIGINT AS rejected FROM (
    SELECT run_id, count(*) AS tagged, 0 AS rejected FROM tags_log WHERE date = $date GROUP BY run_id
    UNION ALL SELECT run_id, 0, count(*) FROM rejects_log WHERE date = $date GROUP BY run_id)
GROUP BY run_id ORDER BY run_id
"""

_SEEN = """
SELECT (SELECT count(*) FROM tags WHERE date = $date) AS tagged,
       (SELECT count(*) FROM rejects WHERE date = $date) AS rejected
"""

_DOUBLED = """
SELECT run_id, count(*) AS doubled, count(*) FILTER (tagged > 0 AND rejected > 0) AS on_both_sides,
       min(image_key, 3) AS first
FROM (
    SELECT run_id, image_key, sum(tagged) AS tagged, sum(rejected) AS rejected FROM (
        SELECT run_id, image_key, 1 AS tagged, 0 AS rejected FROM tags_keys
        UNION ALL SELECT run_id, image_key, 0, 1 FROM rejects_keys)
    GROUP BY run_id, image_key HAVING count(*) > 1)
GROUP BY run_id
"""


_COMMITTED = """
SELECT run_id, row_number() OVER (ORDER BY run_id) AS run, $date IS NULL OR date = $date AS is_asked_for,
       dense_rank() OVER (ORDER BY model_name, model_version, config_digest) AS answers
FROM runs ORDER BY run_id
"""

# Numbers for runs, and nothing but numbers from the aggregates: so DuckDB can spill what it holds.
_AGAIN = """
SELECT before, run, count(*) AS photos, min(image_key, 3) AS first
FROM (
    SELECT image_key, min(run) AS before, max(run) AS run
    FROM photos WHERE run IS NOT NULL GROUP BY image_key, etag, answers
    HAVING min(run) < max(run) AND bool_or(is_asked_for))
GROUP BY before, run ORDER BY run, before
"""


@dataclass(frozen=True)
class Finding:
    """One statement about a run or a file. `info` is worth knowing and breaks no promise."""

    subject: str
    verdict: Literal["ok", "info", "wrong"]
    text: str

    @property
    def is_ok(self) -> bool:
        """Whether nothing is broken."""
        return self.verdict != "wrong"

    def as_text(self) -> str:
        """The finding as one line, deceptive characters of keys by number; what is wrong stands out."""
        word = self.verdict.upper() if self.verdict == "wrong" else self.verdict
        return printable(f"{word:<5} {self.subject}: {self.text}")


def verify(root: Root, date: datetime.date) -> list[Finding]:
    """What there is to say about a date; see `Proof.of` and `Proof.across`."""
    proof = Proof(root)
    return [*proof.of(date), *proof.across(date)]


class Proof:
    """The tables of a root as they were when this was made."""

    def __init__(self, root: Root) -> None:
        self._root = root
        self._connection = connect(root, _MEMORY_MB)
        self._logs = [TableLog(root, name) for name in ("tags", "rejects", "runs")]

    def dates(self) -> list[datetime.date]:
        """All dates of which a table holds a file, oldest first."""
        return sorted({file.date for log in self._logs for file in log.files})

    def of(self, date: datetime.date) -> list[Finding]:
        """What there is to say about a date: its files, then its runs. All is well where every finding is ok; none
        means no run. Where a file is not whole, the runs cannot be read and are left out."""
        found = [finding for log in self._logs for finding in _verify_files(log, date)]
        if all(finding.is_ok for finding in found):
            found += self._runs(date)
        return found

    def across(self, date: datetime.date | None) -> Iterator[Finding]:
        """Photos of a date, or of all dates, that more than one committed run tagged with the same model and settings:
        worth knowing, since `tag.retag=all` wants that and a run's record does not tell it."""
        try:
            runs = ask(self._connection, self._root, _COMMITTED, {"date": date})
            stream_photos(self._connection, self._root, runs)
            found = self._ask(_AGAIN)
        except StorageUnavailable as error:  # or a file of another date is damaged, which a proof of that date tells
            yield Finding("tags", "info", f"whether a photo was tagged in more than one run is not known: {error}")
            return
        for again in found:
            before, run_id = (runs["run_id"][again[name] - 1].as_py() for name in ("before", "run"))
            told = f"{again['photos']} photos were tagged by {before} too, with the same model and settings"
            yield Finding(run_id, "info", f"{told}, as tag.retag=all does: {', '.join(again['first'])}")

    def _runs(self, date: datetime.date) -> Iterator[Finding]:
        """The ledgers of a date's runs: records against rows, rows against views."""
        stream_keys(self._connection, self._root, date)
        records, rows = self._by_run(_RECORDS, date=date), self._by_run(_ROWS, date=date)
        doubled = self._by_run(_DOUBLED)
        for run_id, record in records.items():
            yield from _verify_ledger(run_id, record, rows.get(run_id, _NO_ROWS))
            yield _verify_keys(run_id, doubled.get(run_id))
            missing = [log.name for log in self._logs if not log.has(run_id)]
            text = f"its transaction is not in {', '.join(missing)}" if missing else "its transactions are in"
            yield Finding(run_id, "wrong" if missing else "ok", text)
        for run_id, of_run in rows.items():
            if run_id not in records:
                told = f"{of_run['tagged']} tagged and {of_run['rejected']} rejected rows"
                yield Finding(run_id, "info", f"not committed: {told} that no view shows")
        if records or rows:
            yield self._views(date, [of_run for run_id, of_run in rows.items() if run_id in records])

    def _views(self, date: datetime.date, committed: list[dict[str, int]]) -> Finding:
        """The views show the rows of the date's committed runs and no others."""
        [seen] = self._ask(_SEEN, date=date)
        due = {kind: sum(of_run[kind] for of_run in committed) for kind in seen}
        text = f"tags shows {seen['tagged']} rows, rejects {seen['rejected']}"
        wanted = f"; the committed runs have {due['tagged']} and {due['rejected']}"
        return Finding("views", "ok", text) if seen == due else Finding("views", "wrong", text + wanted)

    def _by_run(self, sql: str, **values: datetime.date) -> dict[str, dict[str, Any]]:
        return {row["run_id"]: row for row in self._ask(sql, **values)}

    def _ask(self, sql: str, **values: datetime.date) -> list[dict[str, Any]]:
        return list(ask(self._connection, self._root, sql, values).to_pylist())


def _verify_ledger(run_id: str, record: dict[str, Any], rows: dict[str, int]) -> Iterator[Finding]:
    """What a run's record says, against its rows."""
    tagged, rejected = rows["tagged"], rows["rejected"]
    is_whole = record["new"] == tagged + rejected
    text = f"{record['new']} new = {tagged} tagged + {rejected} rejected"
    yield Finding(run_id, "ok" if is_whole else "wrong", text)
    is_told = (record["records"], record["tagged"], record["rejected"]) == (1, tagged, rejected)
    text = f"its record says {record['tagged']} tagged, {record['rejected']} rejected"
    again = "" if record["records"] == 1 else f", and stands in runs {record['records']} times"
    yield Finding(run_id, "ok" if is_told else "wrong", text + again)


def _verify_keys(run_id: str, of_run: dict[str, Any] | None) -> Finding:
    """No photo in two rows of a run, be they tags or rejects."""
    if of_run is None:
        return Finding(run_id, "ok", "no photo in more than one row")
    both = f", {of_run['on_both_sides']} of them tagged and rejected" if of_run["on_both_sides"] else ""
    text = f"{of_run['doubled']} photos in more than one row{both}: {', '.join(of_run['first'])}"
    return Finding(run_id, "wrong", text)


def _verify_files(log: TableLog, date: datetime.date) -> Iterator[Finding]:
    """Every file that the table holds, then what lies beside them and belongs to no version of the table."""
    stored = list(log.place.list_objects(f"{PARTITION}={date.isoformat()}/"))
    for file in log.files:
        if file.date == date:
            yield _verify_file(log, file)
    strangers = [found for found in stored if found.key not in log.ever_named]
    if strangers:
        size, first = sum(found.size_bytes for found in strangers), strangers[0].key
        told = f"{len(strangers)} files ({size} bytes) that no version of the table names, first {first}"
        yield Finding(log.name, "info", f"{told}: of a run at work, or left over")


def _verify_file(log: TableLog, file: LoggedFile) -> Finding:
    """A file's bytes against the digest in its name, and against the log's size and rows."""
    subject = f"{log.name}/{file.path}"
    part = _PART.search(file.path)
    try:
        size_bytes, digest = _digest(log.place, file.path)
        if (part and digest != part["digest"]) or size_bytes != file.size_bytes:
            return Finding(subject, "wrong", "its bytes are not those that were committed")
        rows = _rows(log.place, file.path)
    except FileNotFoundError:
        return Finding(subject, "wrong", "the log names this file, and it is gone")
    except ValueError as error:
        return Finding(subject, "wrong", f"it is no readable Parquet file: {error}")
    if file.rows is not None and rows != file.rows:
        return Finding(subject, "wrong", f"it has {rows} rows; the log says {file.rows}")
    return Finding(subject, "ok", f"{rows} rows, {size_bytes} bytes" + (", digest as committed" if part else ""))


def _digest(place: Root, path: str) -> tuple[int, str]:
    """Size of a file in bytes, and its digest as it stands in file names."""
    filesystem, base = place.arrow()
    digest, size_bytes = hashlib.sha256(), 0
    with outages_told(place), filesystem.open_input_stream(f"{base}/{path}") as stream:
        while piece := stream.read(_PIECE_BYTES):
            digest.update(piece)
            size_bytes += len(piece)
    return size_bytes, digest.hexdigest()[:16]


def _rows(place: Root, path: str) -> int:
    """Rows by the file's footer. ValueError where it is no Parquet file."""
    filesystem, base = place.arrow()
    with outages_told(place), filesystem.open_input_file(f"{base}/{path}") as file:
        return int(pq.ParquetFile(file).metadata.num_rows)
