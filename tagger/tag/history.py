"""Which runs a root knows and where each one stands: committed ones from `runs`, all others from `work/`."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from datetime import date as Date
from typing import Any, Literal

import pyarrow.compute as pc

from tagger.errors import BadInput
from tagger.lease import newest_lease
from tagger.storage import Root, outages_told
from tagger.tables.schema import COMMITTED
from tagger.tables.store import Tables
from tagger.tables.units import staged_units
from tagger.tag.manifest import load_manifest
from tagger.tag.runs import RunState, load_state, work_run_ids

Status = Literal["committed", "committing", "unfinished", "aborted", "unknown"]
"""`committing`: its plan of commit is written, and the next job completes it whatever happens. `unknown`: a folder
under `work/` that no `run.json` explains, and that no job goes on with."""

_LISTED = ["date", "run_id", "model_name", "model_version", "started_at", "new", "tagged", "rejected", "flagged"]


@dataclass(frozen=True, kw_only=True)
class RunFacts:
    """One run. Null is what is not known: counts before the commit, all but the ids of a run without `run.json`.

    staged_units of all_units are done; both are null once the run is committed, all_units until all photos are listed.
    """

    date: Date
    run_id: str
    status: Status
    model_name: str | None = None
    model_version: str | None = None
    started_at: datetime | None = None
    new: int | None = None
    tagged: int | None = None
    rejected: int | None = None
    flagged: int | None = None
    staged_units: int | None = None
    all_units: int | None = None

    def as_row(self, now: datetime) -> dict[str, Any]:
        """The run as a line of a listing. age_h: hours since it first started."""
        names = ("new", "tagged", "rejected", "flagged", "staged_units", "all_units")
        model = f"{self.model_name} {self.model_version}" if self.model_name else None
        age_h = round((now - self.started_at).total_seconds() / 3600, 2) if self.started_at else None
        known = {"date": self.date, "run_id": self.run_id, "status": self.status, "model": model}
        return known | {name: getattr(self, name) for name in names} | {"age_h": age_h}

    @property
    def stands(self) -> str:
        """How far it has come, in words."""
        if self.status == "committed":
            return "committed: its rows are in the views"
        if self.status == "committing":
            return "the commit is planned and not complete"
        if self.all_units is None:
            return "the photos are not all listed"
        return f"planned, {self.staged_units} of {self.all_units} units staged, not committed"


def date_of(run_id: str) -> Date:
    """The date in a run's id."""
    return datetime.strptime(run_id[:8], "%Y%m%d").date()


def list_runs(root: Root, date: Date | None = None) -> list[RunFacts]:
    """All runs, or those of one date, newest first."""
    tables = Tables(root)
    committed = _committed(root, tables)
    done = {run.run_id for run in committed}
    others = [_in_work(root, tables, run_id) for run_id in work_run_ids(root) if run_id not in done]
    wanted = [run for run in [*committed, *others] if date in (None, run.date)]
    never = datetime.min.replace(tzinfo=UTC)
    return sorted(wanted, key=lambda run: (run.date, run.started_at or never, run.run_id), reverse=True)


def find_run(root: Root, run_id: str) -> RunFacts:
    """One run. BadInput where the root does not know it."""
    tables = Tables(root)
    committed = [run for run in _committed(root, tables) if run.run_id == run_id]
    if committed:
        return committed[0]
    if run_id not in work_run_ids(root):
        raise BadInput(f"There is no run '{run_id}' under {root.uri}. tagger runs list names those there are.")
    return _in_work(root, tables, run_id)


def show_run(root: Root, run_id: str) -> dict[str, Any]:
    """Everything known about one run, and who holds its date. BadInput where the root does not know it."""
    run, tables = find_run(root, run_id), Tables(root)
    folder = list(root.list_objects(f"work/{run_id}/"))
    return {
        "run_id": run_id,
        "status": run.status,
        "stands": run.stands,
        **(_row(root, tables, run_id) if run.status == "committed" else _told(_state(root, run_id))),
        **({} if run.all_units is None else {"staged_units": run.staged_units, "all_units": run.all_units}),
        "transactions_in": tables.transactions(run_id),
        "work_files": len(folder),
        "work_bytes": sum(stored.size_bytes for stored in folder),
        "lease": _lease(root, run.date),
    }


def _committed(root: Root, tables: Tables) -> list[RunFacts]:
    runs = tables.dataset("runs")
    with outages_told(root):
        rows = runs.to_table(columns=_LISTED, filter=pc.field("status") == COMMITTED)
    return [RunFacts(status="committed", **row) for row in rows.to_pylist()]


def _in_work(root: Root, tables: Tables, run_id: str) -> RunFacts:
    state, manifest = _state(root, run_id), load_manifest(root, run_id)
    known: dict[str, Any] = {"date": date_of(run_id), "status": state.status if state else "unknown"}
    if state is not None:
        model = state.identity.model_name, state.identity.model_version
        known |= {"date": state.identity.date, "started_at": state.started_at}
        known |= dict(zip(("model_name", "model_version"), model, strict=True))
    if manifest is not None:
        known |= {"new": manifest.new, "all_units": sum(1 for _ in manifest.units())}
    if tables.has_plan(run_id):
        known["status"] = "committing"
    return RunFacts(run_id=run_id, staged_units=len(staged_units(root, run_id)), **known)


def _state(root: Root, run_id: str) -> RunState | None:
    try:
        return load_state(root, run_id)
    except FileNotFoundError:
        return None


def _row(root: Root, tables: Tables, run_id: str) -> dict[str, Any]:
    """The run's row in `runs`; lists of pairs as mappings."""
    runs = tables.dataset("runs")
    with outages_told(root):
        [row] = runs.to_table(filter=pc.field("run_id") == run_id).to_pylist()
    pairs = ("rejected_by_reason", "flagged_by_reason", "seconds_per_stage")
    named = {name: dict(tuple(pair.values()) for pair in row[name] or ()) for name in pairs}
    return {name: value for name, value in (row | named).items() if name not in ("run_id", "status")}


def _told(state: RunState | None) -> Mapping[str, Any]:
    """What `run.json` tells."""
    if state is None:
        return {}
    identity = state.identity
    return {
        "date": identity.date,
        "started_at": state.started_at,
        "model_name": identity.model_name,
        "model_version": identity.model_version,
        "config_digest": identity.config_digest,
        "seconds_per_stage": dict(state.seconds),
        "max_logit_residual": state.max_logit_residual,
    }


def _lease(root: Root, date: Date) -> str:
    lease, now = newest_lease(root, str(date)), time.time()
    if lease is None or not lease.is_held(now):
        return f"nobody holds {date}"
    return f"process {lease.pid} on {lease.host} holds {date}, seen {now - lease.renewed_at:.0f} s ago"
