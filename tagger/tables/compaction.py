"""Fewer and larger files: the small files of one date rewritten together, row by row the same.

Delta keeps the transactions of the runs whose files are rewritten, so a compacted run is still in and is not committed
again. The old files stay for readers of earlier versions.
"""

import datetime
from collections import defaultdict
from dataclasses import dataclass

from deltalake import WriterProperties
from deltalake.exceptions import CommitFailedError, DeltaError

from tagger.errors import StorageUnavailable
from tagger.storage import Root, outages_told
from tagger.tables.log import TableLog
from tagger.tables.parts import ROW_GROUP_ROWS, TARGET_BYTES
from tagger.tables.schema import PARTITION, SCHEMAS
from tagger.tables.store import Tables, log_error


@dataclass(frozen=True)
class Compacted:
    """What was gained in one table on one date."""

    date: datetime.date
    table: str
    files_before: int
    files_after: int
    bytes_before: int
    bytes_after: int


def compactable_dates(root: Root) -> list[datetime.date]:
    """Dates on which some table has two files that fit into one, oldest first."""
    return sorted({date for name in SCHEMAS for date, sizes in _sizes(root, name).items() if _may_gain(sizes)})


def compact(root: Root, date: datetime.date) -> list[Compacted]:
    """Rewrite a date's small files, table by table; what a table gained, of those that gained. The caller holds the
    date's lease. StorageUnavailable where another writer gets in the way again and again."""
    return [gain for name in SCHEMAS if (gain := _compact(root, name, date)) is not None]


def _compact(root: Root, name: str, date: datetime.date) -> Compacted | None:
    before, table, where = _sizes(root, name)[date], Tables(root).delta(name), root.child("tables", name).uri
    if table is None or not _may_gain(before):
        return None
    try:
        with outages_told(root):
            table.optimize.compact(
                partition_filters=[(PARTITION, "=", date.isoformat())],
                target_size=TARGET_BYTES,
                max_concurrent_tasks=1,
                writer_properties=WriterProperties(compression="ZSTD", max_row_group_size=ROW_GROUP_ROWS),
            )
    except CommitFailedError as error:
        raise StorageUnavailable(f"{where} refused the compaction of {date}: {error}. Try again later.") from error
    except DeltaError as error:
        raise log_error(error, where) from error
    after = _sizes(root, name)[date]
    return Compacted(date, name, len(before), len(after), sum(before), sum(after)) if after != before else None


def _sizes(root: Root, name: str) -> defaultdict[datetime.date, list[int]]:
    """Sizes of the table's files in bytes, by date."""
    sizes: defaultdict[datetime.date, list[int]] = defaultdict(list)
    for file in TableLog(root, name).files:
        sizes[file.date].append(file.size_bytes)
    return sizes


def _may_gain(sizes: list[int]) -> bool:
    return len(sizes) > 1 and sum(sorted(sizes)[:2]) <= TARGET_BYTES
