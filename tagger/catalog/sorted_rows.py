"""Rows of photos that come in any order, sorted once by key and kept as small Parquet files, for many readers at once.

`<folder>/00000.parquet` and so on hold the rows in order; `index.json`, written last, names the first key of each file
and says from what the rows were made. Files and index never change; other rows belong into another folder.
"""

import bisect
import io
import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tagger.catalog.listing import KeyRange, ranges_between
from tagger.errors import BadInput, StorageUnavailable
from tagger.storage import Root

FILE_ROWS = 65_536
"""Some 5 MB: a reader holds one file at a time, and a range is made of whole files."""

_BATCH_ROWS = 8_192
_SORT_MEMORY = "1GB"
_SORT_THREADS = 4
_INDEX = "index.json"


@dataclass(frozen=True)
class SortedRows:
    """Rows sorted by the UTF-8 bytes of `image_key`, each key once. Picklable: only the folder's URI travels."""

    folder: Root

    def is_made_from(self, source: dict[str, str]) -> bool:
        """Whether the folder holds what `sort_rows` made of this source."""
        try:
            return bool(self._index()["source"] == source)
        except FileNotFoundError:
            return False

    def ranges(self, wanted: int) -> list[KeyRange]:
        """Ranges of about as many rows each, `wanted` or fewer."""
        firsts = [first for first, _ in self._index()["files"]]
        groups = min(wanted, len(firsts))
        return ranges_between([firsts[len(firsts) * group // groups] for group in range(1, groups)])

    def batches(self, part: KeyRange, after: str = "") -> Iterator[pa.RecordBatch]:
        """The range's rows with keys greater than `after`, in order, a few thousand at once."""
        firsts = [first for first, _ in self._index()["files"]]
        begin = max(bisect.bisect_right(firsts, max(part.start, after)) - 1, 0)
        end = bisect.bisect_left(firsts, part.end) if part.end else len(firsts)
        for number in range(begin, end):
            file = pq.ParquetFile(pa.BufferReader(self.folder.read_bytes(_file_name(number))))
            for batch in file.iter_batches(_BATCH_ROWS):
                yield _within(batch, part, after)

    def count(self) -> int:
        """How many rows there are."""
        return sum(rows for _, rows in self._index()["files"])

    def _index(self) -> Any:
        return json.loads(self.folder.read_bytes(_INDEX))


@contextmanager
def sorting() -> Iterator[tuple[duckdb.DuckDBPyConnection, Path]]:
    """DuckDB that sorts within 1 GB and spills what is more, and a folder for files, gone after the block.

    Both lie where TMPDIR says, which needs room for the unsorted files and for the rows once more. DuckDB reaches
    nothing outside the folder. StorageUnavailable where that room is missing.
    """
    with tempfile.TemporaryDirectory(prefix="tagger-sort-") as folder:
        spill: dict[str, Any] = {
            "memory_limit": _SORT_MEMORY,
            "temp_directory": f"{folder}/spill",
            "threads": _SORT_THREADS,
        }
        with duckdb.connect(config=spill) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            connection.execute("SET preserve_insertion_order = false")
            connection.execute("SET enable_progress_bar = false")
            connection.execute(f"SET allowed_directories = [{quoted(folder)}]")
            connection.execute("SET enable_external_access = false")
            connection.execute("SET lock_configuration = true")
            try:
                yield connection, Path(folder)
            except duckdb.Error as error:
                if not lacks_space(error):
                    raise
                reason = " ".join(str(error).split("\n\n")[0].split())
                raise StorageUnavailable(f"{folder} has too little space to sort in: {reason} Set TMPDIR.") from error


def lacks_space(error: duckdb.Error) -> bool:
    """Whether DuckDB could not spill to its folder."""
    is_full = isinstance(error, duckdb.IOException) and "No space left" in str(error)
    return is_full or isinstance(error, duckdb.OutOfMemoryException)


def sort_rows(rows: duckdb.DuckDBPyRelation, folder: Root, source: dict[str, str], file_rows: int = FILE_ROWS) -> None:
    """Write the rows, sorted by their column `image_key` and each key once, as a folder that `SortedRows` reads.

    source: what the rows were made from, with its "uri". file_rows: of a file, rounded up to DuckDB's vectors of 2,048.
    Holds one file in memory. duckdb.Error where a row cannot be read; BadInput where a column of one is empty.
    """
    reader: Any = rows.order("image_key").to_arrow_reader(file_rows)
    files: list[tuple[str, int]] = []
    last = None
    for batch in reader:
        table = pa.Table.from_batches([batch])
        _check_filled(table, source)
        once = _once(table, last)
        if once.num_rows:
            first, last = (once["image_key"][row].as_py() for row in (0, -1))
            folder.write_bytes(_file_name(len(files)), _as_parquet(once))
            files.append((first, once.num_rows))
    folder.write_bytes(_INDEX, json.dumps({"source": source, "files": files}).encode())


def quoted(text: str) -> str:
    """The text as SQL."""
    return "'" + text.replace("'", "''") + "'"


def _check_filled(table: pa.Table, source: dict[str, str]) -> None:
    for name in table.column_names:
        if table[name].null_count:
            key = table["image_key"].filter(pc.is_null(table[name]))[0].as_py()
            raise BadInput(f"{source['uri']}: {name} of {key!r} is empty. Correct that row, or make the list again.")


def _as_parquet(table: pa.Table) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    return buffer.getvalue()


def _once(table: pa.Table, last: str | None) -> pa.Table:
    """The rows whose key is not that of the row before."""
    keys = table["image_key"].combine_chunks()
    before = pa.concat_arrays([pa.array([last], keys.type), keys[:-1]])
    return table.filter(pc.fill_null(pc.not_equal(keys, before), True))


def _within(batch: pa.RecordBatch, part: KeyRange, after: str) -> pa.RecordBatch:
    keys = batch["image_key"]
    is_wanted = pc.and_(pc.greater(keys, after), pc.greater_equal(keys, part.start))
    return batch.filter(pc.and_(is_wanted, pc.less(keys, part.end)) if part.end else is_wanted)


def _file_name(number: int) -> str:
    return f"{number:05d}.parquet"
