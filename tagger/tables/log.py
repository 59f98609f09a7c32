"""What a table's Delta log says of files and runs: which files the table holds, which any version of it ever named,
and whose transactions are in."""

import datetime
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq

from tagger.storage import Root, outages_told
from tagger.tables.schema import PARTITION
from tagger.tables.store import Tables

_NAMING = ("add", "remove")
"""The actions of the Delta protocol that name a data file."""


@dataclass(frozen=True)
class LoggedFile:
    """One file of a table. path: relative to the table's folder. rows: null where the log does not tell."""

    path: str
    date: datetime.date
    size_bytes: int
    rows: int | None


class TableLog:
    """The log of one table as it was when this was made. A table without any commit has no files and no runs."""

    def __init__(self, root: Root, name: str) -> None:
        self.name = name
        self.place = root.child("tables", name)
        self._delta = Tables(root).delta(name)

    @cached_property
    def files(self) -> list[LoggedFile]:
        """The files that the table holds, ordered by path."""
        if self._delta is None:
            return []
        columns = ["path", f"partition.{PARTITION}", "size_bytes", "num_records"]
        actions = pa.table(self._delta.get_add_actions(flatten=True)).select(columns).to_pydict()
        return sorted((LoggedFile(*values) for values in zip(*actions.values(), strict=True)), key=lambda f: f.path)

    @cached_property
    def ever_named(self) -> frozenset[str]:
        """Paths that any version of the table names, as added or as removed; read now, from all that the log holds.

        A reader of an older version needs its files, so whatever stands here may not be deleted.
        """
        with outages_told(self.place):
            logs = [stored.key for stored in self.place.list_objects("_delta_log/")]
            return frozenset(path for key in logs for path in _named_in(key, self.place))

    def has(self, run_id: str) -> bool:
        """Whether the run's transaction is in."""
        return self._delta is not None and self._delta.transaction_version(run_id) is not None


def _named_in(key: str, place: Root) -> Iterator[str]:
    """Paths in one commit (JSON lines) or one checkpoint (Parquet); the log escapes them as URIs."""
    if key.endswith(".json"):
        actions = [json.loads(line) for line in place.read_bytes(key).splitlines()]
        yield from (unquote(action[kind]["path"]) for action in actions for kind in _NAMING if kind in action)
    elif key.endswith(".parquet"):
        columns = [f"{kind}.path" for kind in _NAMING]
        rows = pq.ParquetFile(pa.BufferReader(place.read_bytes(key))).read(columns=columns)
        named = (entry["path"] for column in rows.columns for entry in column.to_pylist() if entry)
        yield from (unquote(path) for path in named if path is not None)
