"""What recent runs say of themselves, for tonight to be compared with."""

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from tagger.storage import Root, outages_told
from tagger.tables.schema import COMMITTED, PARTITION
from tagger.tables.store import Tables


@dataclass(frozen=True)
class PastRun:
    """A committed run. The meaning of each field is in the columns of `runs`; distributions: None where an older
    version made the run."""

    run_id: str
    date: datetime.date
    finished_at: datetime.datetime
    model_name: str
    model_version: str
    new: int
    tagged: int
    rejected: int
    flagged: int
    distributions: Sequence[Mapping[str, Any]] | None


def recent_runs(root: Root, most: int, least_new: int = 0, model: tuple[str, str] | None = None) -> list[PastRun]:
    """The newest committed runs of at least `least_new` new photos, newest first, at most `most`.

    model: name and version of the one whose runs are meant; None for all.
    """
    runs = Tables(root).dataset("runs")
    is_wanted = (pc.field("status") == COMMITTED) & (pc.field("new") >= least_new)
    for column, value in zip(("model_name", "model_version"), model or (), strict=False):
        is_wanted &= pc.field(column) == value
    with outages_told(root):
        return _newest_of(runs, most, is_wanted)


def _newest_of(runs: ds.Dataset, most: int, is_wanted: pc.Expression) -> list[PastRun]:
    # Distributions are the larger part of a row: they are read of the chosen runs only.
    known = runs.to_table(columns=["run_id", PARTITION, "finished_at"], filter=is_wanted)
    chosen = known.sort_by([("finished_at", "descending"), ("run_id", "descending")]).slice(0, most)
    if not len(chosen):
        return []
    is_chosen = pc.field("run_id").isin(chosen["run_id"].combine_chunks())
    since = pc.field(PARTITION) >= pa.scalar(pc.min(chosen[PARTITION]).as_py())
    rows = runs.to_table(columns=[field.name for field in fields(PastRun)], filter=since & is_chosen)
    return sorted((PastRun(**row) for row in rows.to_pylist()), key=_age, reverse=True)


def _age(run: PastRun) -> tuple[datetime.datetime, str]:
    return run.finished_at, run.run_id
