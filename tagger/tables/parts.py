"""Table files: rows of one run streamed into Parquet files of sensible size, written once under a name that binds
their content, and not part of any table until they are committed."""

import datetime
import hashlib
import io
import re
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tagger.errors import BadInput
from tagger.storage import Root
from tagger.tables.schema import PARTITION

TARGET_BYTES = 128 * 2**20
"""A file is closed when it reaches this size: large enough to scan fast, small enough to hold in memory."""

ROW_GROUP_ROWS = 32_768
"""Rows of `tags` take some 350 bytes compressed, so a row group is about 12 MB."""

_RUN_ID = re.compile(r"[A-Za-z0-9._-]+")
_PATH = re.compile(rf"{PARTITION}=\d{{4}}-\d\d-\d\d/part-{_RUN_ID.pattern}-\d+-[0-9a-f]{{16}}\.parquet")


@dataclass(frozen=True)
class DataFile:
    """One written table file. `path` is relative to the table's folder. first_key, last_key: the least and the greatest
    image key in it; None in a table without such keys, and in plans of older versions.

    BadInput for any other path: Delta Lake would take an absolute one, of another bucket too, into the table.
    """

    path: str
    size_bytes: int
    rows: int
    first_key: str | None = None
    last_key: str | None = None

    def __post_init__(self) -> None:
        if not _PATH.fullmatch(self.path):
            raise BadInput(
                f"'{self.path}' is no table file of ours ({PARTITION}=YYYY-MM-DD/part-RUN-N-DIGEST.parquet). The run's "
                "commit.json is damaged or forged: look at who can write to work/, remove the run's folder, run again."
            )

    @property
    def partition(self) -> str:
        """The date in the path, ISO 8601."""
        return self.path.split("/")[0].removeprefix(f"{PARTITION}=")


class PartWriter:
    """Streams one run's rows into files of one table.

    The bytes depend on the rows and on the way they were handed in alone: written again, the same rows get the same
    names, and other rows get other names. So no file is ever replaced by other bytes, which would break the table.
    """

    def __init__(
        self, table: Root, schema: pa.Schema, run_id: str, date: datetime.date, target_bytes: int = TARGET_BYTES
    ) -> None:
        if not _RUN_ID.fullmatch(run_id):
            raise ValueError(f"run id {run_id!r} must consist of letters, digits, '.', '_' and '-': it names files")
        self._table = table
        self._schema = pa.schema([field for field in schema if field.name != PARTITION])
        self._run_id = run_id
        self._folder = f"{PARTITION}={date.isoformat()}"
        self._target_bytes = target_bytes
        self._waiting: list[pa.Table] = []
        self._buffer = io.BytesIO()
        self._writer: pq.ParquetWriter | None = None
        self._rows = 0
        self._keys: tuple[str, ...] = ()
        self._files: list[DataFile] = []

    def add(self, rows: pa.Table) -> None:
        """Take rows in the table's schema; columns may come in any order."""
        self._waiting.append(rows.select(self._schema.names).cast(self._schema))
        if sum(map(len, self._waiting)) >= ROW_GROUP_ROWS:
            self._write_row_group()
            if self._buffer.tell() >= self._target_bytes:
                self._put()

    def close(self) -> list[DataFile]:
        """Write what is left. Returns all files, in the order of the rows; none for no rows."""
        self._write_row_group()
        self._put()
        return self._files

    def _write_row_group(self) -> None:
        rows = pa.concat_tables(self._waiting) if self._waiting else self._schema.empty_table()
        self._waiting = []
        if not len(rows):
            return
        if self._writer is None:
            self._writer = pq.ParquetWriter(self._buffer, self._schema, compression="zstd")
        self._writer.write_table(rows, row_group_size=len(rows))
        self._rows += len(rows)
        if "image_key" in rows.schema.names:
            ends = pc.min_max(rows["image_key"]).as_py()
            keys = (*self._keys, ends["min"], ends["max"])
            self._keys = min(keys), max(keys)

    def _put(self) -> None:
        if self._writer is None:
            return
        self._writer.close()
        data = self._buffer.getvalue()
        digest = hashlib.sha256(data).hexdigest()[:16]
        path = f"{self._folder}/part-{self._run_id}-{len(self._files)}-{digest}.parquet"
        self._table.write_bytes(path, data)
        self._files.append(DataFile(path, len(data), self._rows, *self._keys))
        self._buffer, self._writer, self._rows, self._keys = io.BytesIO(), None, 0, ()
