"""The Delta tables of a root: a run's files are written, named in a plan, and committed; committed runs are read.

    finalise      staged units -> table files, which no table knows yet
    commit_run    the run's own row, then `work/<run_id>/commit.json`, then one transaction each: rejects, tags, runs
    finish_run    the same transactions from the plan alone, those that are in skipped

The plan is written once, before the first transaction, and only its files are ever committed: whoever finishes a
run that died between two transactions commits the files that its first half belongs to.
"""

import datetime
import json
import logging
import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

import pyarrow.compute as pc
import pyarrow.dataset as ds
from deltalake import CommitProperties, DeltaTable, Schema, Transaction
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError
from deltalake.transaction import AddAction, RemoveAction
from pyarrow.fs import FileSelector, FileType, SubTreeFileSystem
from tenacity import retry, retry_if_exception_type, stop_after_attempt, stop_after_delay, wait_exponential

from tagger.errors import BadInput, StorageUnavailable
from tagger.storage import Root, outages_told
from tagger.tables.parts import TARGET_BYTES, DataFile, PartWriter
from tagger.tables.record import RunRecord
from tagger.tables.schema import COMMITTED, PARTITION, SCHEMAS
from tagger.tables.units import Unit

_LOG = logging.getLogger(__name__)

COMMIT_ORDER = ("rejects", "tags", "runs")
"""`runs` last: its row is what makes a run committed."""

_patient = retry(
    retry=retry_if_exception_type(StorageUnavailable),
    stop=stop_after_attempt(5) | stop_after_delay(30),
    wait=wait_exponential(multiplier=0.1),
    reraise=True,
)
"""deltalake waits for a server that is away, but does not ask again where an answer breaks off."""
_DAMAGED = re.compile("Json error|Parquet|Expected contiguous commit files|No table metadata or protocol")
_UNREACHED = re.compile("Generic S3 error|object ?store|error sending request|timed out", re.IGNORECASE)


class RunFiles(NamedTuple):
    """The table files of one run, written and not committed."""

    tags: list[DataFile]
    rejects: list[DataFile]


class Tables:
    """The tables `tags`, `rejects` and `runs` under `<root>/tables/`."""

    def __init__(self, root: Root, target_bytes: int = TARGET_BYTES) -> None:
        self._root = root
        self._target_bytes = target_bytes

    def finalise(self, run_id: str, date: datetime.date, units: Iterable[Unit]) -> RunFiles:
        """Stream a run's units, in a fixed order, into table files. Again gives the same files under the same names."""
        tags, rejects = self._writer("tags", run_id, date), self._writer("rejects", run_id, date)
        for unit in units:
            tags.add(unit.tags)
            rejects.add(unit.rejects)
        return RunFiles(tags.close(), rejects.close())

    def commit_run(self, record: RunRecord, tags: Sequence[DataFile], rejects: Sequence[DataFile]) -> bool:
        """Commit a whole run: rejects, tags, runs. True if this call made it a committed run.

        A plan left by an earlier attempt wins over the arguments. ValueError where the files do not hold the
        numbers of rows that the record tells.
        """
        rows = sum(file.rows for file in tags), sum(file.rows for file in rejects)
        if rows != (record.tagged, record.rejected):
            raise ValueError(f"{record.run_id}: record says {record.tagged}, {record.rejected} rows; files hold {rows}")
        if not self.has_plan(record.run_id):
            writer = self._writer("runs", record.run_id, record.date)
            writer.add(record.table())
            plan = {"rejects": rejects, "tags": tags, "runs": writer.close()}
            text = json.dumps({name: [asdict(file) for file in files] for name, files in plan.items()})
            self._root.create_once(_plan_key(record.run_id), text.encode())
        return self.finish_run(record.run_id)

    def finish_run(self, run_id: str) -> bool:
        """Commit what a run's plan names and the tables lack. True if this call made it a committed run.

        FileNotFoundError where the run has no plan: then nothing of it is committed, and it goes on by its units; or
        another job committed it just now and removed its work.
        """
        plan = json.loads(self._root.read_bytes(_plan_key(run_id)))
        added = {name: self.commit(name, run_id, [DataFile(**file) for file in plan[name]]) for name in COMMIT_ORDER}
        return added["runs"]

    def unfinished_runs(self) -> list[str]:
        """Runs that have a plan and are not committed yet, sorted: every job calls `finish_run` on them first."""
        runs = self.delta("runs")
        return [
            run_id
            for run_id in self._work_folders()
            if (runs is None or runs.transaction_version(run_id) is None) and self.has_plan(run_id)
        ]

    def has_plan(self, run_id: str) -> bool:
        """Whether the run's commit is planned: the next job completes it."""
        return self._root.exists(_plan_key(run_id))

    def withdraw(self, run_id: str) -> bool:
        """Take back a run's plan, if it has one, so that no job commits it. False where a transaction of it is in:
        then the plan stays, and the run must be finished.

        A job that had read the plan before may still commit the run, which is then whole and committed.
        """
        if self.has_plan(run_id):
            plan = self._root.read_bytes(_plan_key(run_id))
            self._root.delete(_plan_key(run_id))
            if self.transactions(run_id):
                self._root.create_once(_plan_key(run_id), plan)
        return not self.transactions(run_id)

    def transactions(self, run_id: str) -> list[str]:
        """The tables that hold the run's transaction, in the order of a commit."""
        return [name for name in COMMIT_ORDER if self.has(name, run_id)]

    def has(self, name: str, run_id: str) -> bool:
        """Whether the table holds the run's transaction."""
        table = self.delta(name)
        return table is not None and table.transaction_version(run_id) is not None

    @_patient
    def commit(self, name: str, run_id: str, files: Sequence[DataFile]) -> bool:
        """One transaction that adds the files, possibly none, to a table. False where the run's is already in.

        Other writers may commit meanwhile, and answers may get lost: each attempt asks first. StorageUnavailable where
        the log refuses again and again or does not answer, BadInput where a file is gone (a table that names a missing
        file cannot be read) or the log is damaged.
        """
        uri = self._place(name).uri
        try:
            return self._commit_now(name, run_id, files)
        except CommitFailedError as error:
            raise StorageUnavailable(
                f"{uri} refused run {run_id} again and again, at last with: {error}. Start the job again when no other "
                "job writes."
            ) from error
        except DeltaError as error:
            raise log_error(error, uri) from error

    def committed_run_ids(self) -> frozenset[str]:
        """Ids of all committed runs."""
        runs = self.dataset("runs")
        with outages_told(self._root):
            rows = runs.to_table(columns=["run_id"], filter=pc.field("status") == COMMITTED)
        return frozenset(rows["run_id"].to_pylist())

    @_patient
    def delta(self, name: str) -> DeltaTable | None:
        """The Delta table as its log is now; none where nothing was committed to it yet. BadInput for a damaged log."""
        uri, options = self._place(name).delta()
        try:
            with outages_told(self._root):
                return DeltaTable(uri, storage_options=options)
        except TableNotFoundError:
            return None
        except DeltaError as error:
            raise log_error(error, uri) from error

    def dataset(self, name: str) -> ds.Dataset:
        """The table as it is in the log now, in the schema of this version; empty where nothing was committed yet.

        Whoever reads several tables opens `runs` first: it is committed last, so all rows of its runs are then in.
        """
        schema, table = SCHEMAS[name], self.delta(name)
        if table is None:
            return ds.dataset(schema.empty_table())
        filesystem, base = self._place(name).arrow()
        return table.to_pyarrow_dataset(filesystem=SubTreeFileSystem(base, filesystem), schema=schema)

    def _place(self, name: str) -> Root:
        return self._root.child("tables", name)

    def _writer(self, name: str, run_id: str, date: datetime.date) -> PartWriter:
        return PartWriter(self._place(name), SCHEMAS[name], run_id, date, self._target_bytes)

    def _create(self, name: str) -> DeltaTable:
        """CommitFailedError for the loser of a race; with retries it would add a second definition as version 1."""
        uri, options = self._place(name).delta()
        once = CommitProperties(max_commit_retries=0)
        return DeltaTable.create(
            uri, SCHEMAS[name], "ignore", [PARTITION], configuration=_settings(name), storage_options=options,
            commit_properties=once,
        )  # fmt: skip

    def _commit_now(self, name: str, run_id: str, files: Sequence[DataFile]) -> bool:
        with outages_told(self._root):
            table = self.delta(name) or self._create(name)
            self._widen(table, name)
            # The same handle asks and commits: then Delta itself refuses when another commits the run in between.
            if table.transaction_version(run_id) is not None:
                return False
            self._add(table, name, run_id, files)
        _LOG.info("%s: committed %d rows of run %s", name, sum(file.rows for file in files), run_id)
        return True

    def _widen(self, table: DeltaTable, name: str) -> None:
        """Declare the columns and settings that a table of an older version lacks; its rows are null there. Before the
        question whether the run is in, for it renews the handle. CommitFailedError for the loser of a race."""
        once = CommitProperties(max_commit_retries=0)
        declared = {field.name for field in table.schema().fields}
        missing = [field for field in Schema.from_arrow(SCHEMAS[name]).fields if field.name not in declared]
        if missing:
            table.alter.add_columns(missing, commit_properties=once)
            _LOG.info("%s: added the columns %s", name, ", ".join(field.name for field in missing))
        settings = _settings(name)
        if not settings.items() <= table.metadata().configuration.items():
            table.alter.set_table_properties(settings, commit_properties=once)

    def _add(self, table: DeltaTable, name: str, run_id: str, files: Sequence[DataFile]) -> None:
        for file in files:
            if not self._place(name).exists(file.path):
                gone = f"{self._place(name).uri}/{file.path}"
                raise BadInput(f"{gone} is gone; run {run_id} is not committed. Restore it from the bucket's versions.")
        now_ms = int(time.time() * 1000)
        actions: list[AddAction | RemoveAction] = [
            AddAction(f.path, f.size_bytes, {PARTITION: f.partition}, now_ms, True, _statistics(f)) for f in files
        ]
        properties = CommitProperties(app_transactions=[Transaction(run_id, 1)])
        table.create_write_transaction(actions, "append", SCHEMAS[name], [PARTITION], commit_properties=properties)

    def _work_folders(self) -> list[str]:
        filesystem, base = self._root.child("work").arrow()
        with outages_told(self._root):
            entries = filesystem.get_file_info(FileSelector(base, allow_not_found=True))
        return sorted(entry.base_name for entry in entries if entry.type == FileType.Directory)


def log_error(error: DeltaError, uri: str) -> Exception:
    """What a person does about a log that deltalake cannot read."""
    reason = str(error).splitlines()[0]
    if _UNREACHED.search(reason):
        return StorageUnavailable(f"The log of the table {uri} did not answer: {reason}. Try again later.")
    if not _DAMAGED.search(reason):
        return BadInput(f"The table {uri} cannot be read: {reason}.")
    return BadInput(
        f"The log of the table {uri} is damaged: {reason}. Restore the newest files of {uri}/_delta_log from the "
        "bucket's versions or a backup; nothing else of the table is lost."
    )


def _settings(name: str) -> dict[str, str]:
    """Of a table: statistics are kept of the image key alone. Readers turn the statistics of every column of every file
    into conditions, which takes them milliseconds a file."""
    return {"delta.dataSkippingStatsColumns": "image_key"} if "image_key" in SCHEMAS[name].names else {}


def _statistics(file: DataFile) -> str:
    """What the log says of a file, so that readers open only those that may hold their keys.

    Source: Delta Transaction Log Protocol, "Per-file Statistics".
    """
    told: dict[str, Any] = {"numRecords": file.rows}
    if file.first_key is not None:
        keys = {"minValues": file.first_key, "maxValues": file.last_key, "nullCount": 0}
        told |= {name: {"image_key": value} for name, value in keys.items()}
    return json.dumps(told, ensure_ascii=False)  # deltalake 1.6 reads some escaped characters as others


def _plan_key(run_id: str) -> str:
    return f"work/{run_id}/commit.json"
