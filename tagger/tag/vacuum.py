"""What no run and no reader needs any more: found, listed and removed.

    work folders    of committed and of aborted runs, and of none that a job could go on with
    table files     of aborted and of committed runs, if no version of the table names them, as added or as removed;
                    a committed run's are left by a try that was stopped and that another version went on with
    work folders    of dry runs that were killed
    leases          of dates that rest, all but the newest

What was written within the grace period stays, so that a process that lost its lease and does not know it yet finds
its files. A run's files are judged again and removed while its date's lease is held, so that no night is at work on it.
"""

import itertools
import logging
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from datetime import date as Date
from typing import Any, Literal

from tagger.errors import DateLocked
from tagger.lease import Lock, spent_leases
from tagger.storage import Root, StoredObject
from tagger.tables.log import TableLog
from tagger.tables.schema import PARTITION
from tagger.tables.store import COMMIT_ORDER
from tagger.tag.history import RunFacts, list_runs
from tagger.tag.runs import DRY_RUN, remove_work, work_run_ids

_LOG = logging.getLogger(__name__)

GRACE = timedelta(days=1)
"""Longer than any process sleeps through the loss of its lease."""

_PART = re.compile(rf"{PARTITION}=[^/]+/part-(?P<run_id>\d{{8}}-[0-9a-f]{{8}}-\d{{3,}})-\d+-[0-9a-f]{{16}}\.parquet")


@dataclass(frozen=True)
class Removable:
    """Files that may go. keys: relative to the root. run_id: a dry run's name for its folder, null for
    leases."""

    kind: Literal["table files", "work", "leases"]
    date: Date
    run_id: str | None
    why: str
    keys: tuple[str, ...]
    size_bytes: int

    def as_row(self) -> dict[str, Any]:
        """A line of a listing."""
        known = {"date": self.date, "run_id": self.run_id, "kind": self.kind, "why": self.why}
        return known | {"files": len(self.keys), "size_bytes": self.size_bytes}


def removable(root: Root, grace: timedelta = GRACE) -> list[Removable]:
    """What a vacuum would remove now."""
    return [*_leases(root), *_of_dry_runs(root, grace), *_of_runs(root, grace, None)]


def vacuum(root: Root, grace: timedelta = GRACE) -> list[Removable]:
    """Remove it. Returns what was removed; a date that a run holds is told and left for the next time."""
    removed = [*_leases(root), *_of_dry_runs(root, grace)]
    for found in removed:
        _delete(root, found)
    for date in sorted({found.date for found in _of_runs(root, grace, None)}):
        try:
            with Lock(root, str(date), 0):
                for found in _of_runs(root, grace, date):
                    _delete(root, found)
                    removed.append(found)
        except DateLocked as error:
            _LOG.warning("%s is left as it is: %s", date, error)
    return removed


def _delete(root: Root, found: Removable) -> None:
    if found.kind == "work" and found.run_id is not None:
        remove_work(root, found.run_id)
        return
    for key in found.keys:
        root.delete(key)


def _leases(root: Root) -> list[Removable]:
    spent = spent_leases(root, time.time())
    return [_removable("leases", date, None, "the date rests", leases) for date, leases in spent]


def _of_dry_runs(root: Root, grace: timedelta) -> list[Removable]:
    latest, found = datetime.now(UTC) - grace, []
    by_folder = itertools.groupby(root.list_objects(f"work/{DRY_RUN}"), key=lambda stored: stored.key.split("/")[1])
    for name, stored in by_folder:
        files = list(stored)
        newest = max(file.last_modified for file in files)
        found += [_removable("work", newest.date(), name, "a dry run", files)] if newest < latest else []
    return found


def _of_runs(root: Root, grace: timedelta, date: Date | None) -> list[Removable]:
    """Table files before the work folder, which alone tells that the run was aborted."""
    latest = datetime.now(UTC) - grace
    runs = {run.run_id: run for run in list_runs(root, date)}
    logs = [TableLog(root, name) for name in COMMIT_ORDER]
    found = []
    for run_id in [run_id for run_id in work_run_ids(root) if run_id in runs]:
        run = runs[run_id]
        if not _is_over(run, logs):
            continue
        folder = list(root.list_objects(f"work/{run_id}/"))
        files = list(_table_files(root, run, logs)) if run.status == "aborted" else []
        if folder and all(stored.last_modified < latest for stored in [*folder, *files]):
            found += [_removable("table files", run.date, run_id, run.status, files)] if files else []
            found += [_removable("work", run.date, run_id, run.status, folder)]
    committed = [run for run in runs.values() if run.status == "committed"]
    return [*found, *_left_over(root, latest, date, committed, logs)]


def _left_over(
    root: Root, latest: datetime, date: Date | None, committed: list[RunFacts], logs: list[TableLog]
) -> Iterator[Removable]:
    """Table files of committed runs that no version names. All transactions of such a run are in, so none will name
    them: what a run on its way to the commit needs is never among them."""
    files: dict[str, list[StoredObject]] = {run.run_id: [] for run in committed}
    for log in logs:
        held = {file.path for file in log.files}
        for run_id, path, stored in _parts(root, log, f"{PARTITION}={date or ''}"):
            is_old = run_id in files and stored.last_modified < latest
            if is_old and path not in held and path not in log.ever_named:
                files[run_id].append(stored)
    for run in committed:
        if files[run.run_id]:
            yield _removable("table files", run.date, run.run_id, "left over", files[run.run_id])


def _is_over(run: RunFacts, logs: list[TableLog]) -> bool:
    """Whether no job goes on with the run and none of it waits for the rest of it. An aborted run with a transaction
    in keeps its folder, so that its id, which Delta remembers, is not given to another run."""
    if run.status == "committed":
        return True
    return run.status in ("aborted", "unknown") and not any(log.has(run.run_id) for log in logs)


def _table_files(root: Root, run: RunFacts, logs: list[TableLog]) -> Iterator[StoredObject]:
    """Table files of a run that no version names."""
    for log in logs:
        for run_id, path, stored in _parts(root, log, f"{PARTITION}={run.date}/part-{run.run_id}-"):
            if run_id == run.run_id and path not in log.ever_named:
                yield stored


def _parts(root: Root, log: TableLog, prefix: str) -> Iterator[tuple[str, str, StoredObject]]:
    """Run id, path in the table's folder, and facts of each table file that a run wrote."""
    folder = f"tables/{log.name}/"
    for stored in root.list_objects(f"{folder}{prefix}"):
        part = _PART.fullmatch(path := stored.key.removeprefix(folder))
        if part is not None:
            yield part["run_id"], path, stored


def _removable(
    kind: Literal["table files", "work", "leases"], date: Date, run_id: str | None, why: str, files: list[StoredObject]
) -> Removable:
    return Removable(kind, date, run_id, why, tuple(f.key for f in files), sum(f.size_bytes for f in files))
