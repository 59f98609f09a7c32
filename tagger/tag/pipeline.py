"""Units -> fetch and decode -> tag -> stage: three operators on Ray Data, in which one row is one unit.

So re-blocking can neither split nor merge a unit, and a unit is done when its staged file is there. Ray Data
schedules, places, retries and holds back; only a unit's name and a few numbers come back to the driver. An error that
people can act on travels as a row too, since Ray wraps an exception in pages of its own and loses its class.
"""

import json
import math
import pickle
import re
import time
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import ray.data
from ray.data import ActorPoolStrategy, DataContext, Dataset, TaskPoolStrategy
from ray.data.exceptions import ExecutionTimeoutError
from ray.exceptions import RayError, RayTaskError
from ray.util.annotations import RayDeprecationWarning

from tagger.errors import ClusterUnavailable, TaggerError
from tagger.storage import Root
from tagger.tag import metrics
from tagger.tag.fetch import FetchSettings, fetch_and_decode
from tagger.tag.infer import Batch, Inferred, TaggerLike, infer
from tagger.tag.manifest import WorkUnit, read_photos
from tagger.tag.noted import Noted
from tagger.tag.preflight import FETCH_CPUS, STAGE_CPUS, Layout
from tagger.tag.progress import Worked
from tagger.tag.stage import RunStamp, answered_rows, failed_rows, photo_rows, refusal_rows, stage_unit

ACTOR_RESTARTS = 16
"""Of one actor, in one wave of units. A picture that kills its actor does so four times at most before it is a reject
(`noted.py`), the next ones three times. Where all kill it the run ends; without a limit Ray would try for ever."""
TASK_RETRIES = 16
"""Of one task that fetches or stages, whose worker or node was lost. Ray Data would try for ever."""
STALL_S = 900.0
"""No unit moves for so long, beyond what its fetching may take: the cluster is stuck."""

_ANSI_COLOR = re.compile(r"\x1b\[\d*m")

Row = dict[str, Any]
LoadTagger = Callable[[str], TaggerLike]


@dataclass(frozen=True)
class TagJob:
    """What the operators need to know. gpus: of one actor."""

    root: Root
    stamp: RunStamp
    model_uri: str
    fetch: FetchSettings
    batch_size: int
    cpus_per_actor: float
    gpus: int


class Stalled(ClusterUnavailable):
    """Nothing moves any more."""


def tag_units(units: Sequence[WorkUnit], job: TagJob, layout: Layout, load_tagger: LoadTagger, worked: Worked) -> None:
    """Stage every unit; `worked` counts along. Units staged before an error stay staged.

    StorageUnavailable or another TaggerError as the operators raised it; ClusterUnavailable where workers keep dying,
    Stalled where nothing moves.
    """
    worked.handed_out += len(units)
    try:
        for row in _dataset(units, job, layout, load_tagger).iter_rows():
            if row["failure"]:
                raise pickle.loads(row["failure"])
            worked.add(row)
    except RayTaskError:
        raise  # a bug in an operator; its text holds the worker's trace
    except ExecutionTimeoutError as error:
        raise Stalled(f"Nothing moves in the cluster: {_first_line(error)} Start the command again.") from error
    except RayError as error:
        if getattr(error, "actor_init_failed", False):
            raise  # a bug, or a node without the libraries; its text holds the actor's trace
        raise ClusterUnavailable(f"The cluster could not finish: {_first_line(error)}") from error


def fetch_row(row: Row, job: TagJob) -> Row:
    """Operator 1: a unit of work -> its pictures, what is known of them, and the rejects so far."""
    unit = WorkUnit(row["name"], row["shard"], row["start"], row["count"])
    try:
        got = fetch_and_decode(read_photos(job.root, job.stamp.run_id, unit), job.fetch)
    except TaggerError as error:
        return _failure(unit.name, error)
    metrics.count("downloaded_bytes", got.downloaded_bytes)
    pixels = b"".join(each.picture.pixels.tobytes() for each in got.decoded)
    tables = {"photos": _packed(photo_rows(got.decoded)), "refusals": _packed(refusal_rows(got.rejected))}
    return {"unit": unit.name, "failure": b"", "pixels": pixels, "seconds": json.dumps(got.seconds), **tables}


class TagRow:
    """Operator 2, an actor that holds one Tagger: pictures -> the columns that the networks fill."""

    def __init__(self, job: TagJob, load_tagger: LoadTagger) -> None:
        self._job = job
        self._failure: TaggerError | None = None
        self._is_restarted = bool(ray.get_runtime_context().was_current_actor_reconstructed)
        try:
            self._tagger = metrics.Timed(load_tagger(job.model_uri))
        except TaggerError as error:
            self._failure = error

    def __call__(self, row: Row) -> Row:
        if row["failure"] or self._failure:
            return _failure(row["unit"], self._failure) if self._failure else row
        started = time.monotonic()
        photos, side = _unpacked(row["photos"]), self._job.fetch.fit.size_px
        pixels = np.frombuffer(row["pixels"], np.uint8).reshape(len(photos), side, side, 3)
        batch = Batch(pixels, photos["image_key"].to_pylist(), self._job.stamp.date)
        try:
            got = self._inferred(row["unit"], batch)
        except TaggerError as error:
            return _failure(row["unit"], error)
        refusals = pa.concat_tables([_unpacked(row["refusals"]), failed_rows(photos, got.failed)])
        residual = math.nan if got.max_logit_residual is None else got.max_logit_residual
        seconds = json.loads(row["seconds"]) | {"tag": time.monotonic() - started}
        tables = {"photos": _packed(answered_rows(photos, got)), "refusals": _packed(refusals)}
        return {
            "unit": row["unit"], "failure": b"", "seconds": json.dumps(seconds), "residual": residual, **tables
        }  # fmt: skip

    def _inferred(self, unit: str, batch: Batch) -> Inferred:
        """With notes where an actor died before, perhaps on a picture of this unit."""
        if not self._is_restarted:
            return infer(self._tagger, batch, self._job.batch_size)
        noted = Noted(self._tagger, self._job.root, self._job.stamp.run_id, unit)
        got = infer(noted, batch, self._job.batch_size)
        noted.finish()
        return got


def stage_row(row: Row, job: TagJob) -> Row:
    """Operator 3: all rows of a unit -> its staged file; the numbers go on to the driver."""
    if row["failure"]:
        return _outcome(row["unit"], row["failure"])
    started = time.monotonic()
    photos, refusals = _unpacked(row["photos"]), _unpacked(row["refusals"])
    try:
        stage_unit(job.root, row["unit"], job.stamp, photos, refusals)
    except TaggerError as error:
        return _outcome(row["unit"], pickle.dumps(error))
    seconds = json.loads(row["seconds"]) | {"stage": time.monotonic() - started}
    reasons = Counter(refusals["reason"].to_pylist())
    metrics.count_unit(photos, reasons, seconds)
    return _outcome(row["unit"], b"") | {
        "tagged": len(photos), "rejected_by_reason": json.dumps(reasons), "seconds": json.dumps(seconds),
        "residual": row["residual"],
    }  # fmt: skip


def _dataset(units: Sequence[WorkUnit], job: TagJob, layout: Layout, load_tagger: LoadTagger) -> Dataset:
    _set_context(job.fetch.longest_s(max(unit.count for unit in units)))
    fetch: Any = fetch_row  # Dataset.map is typed for functions of one argument, its fn_args forgotten
    tag: Any = TagRow
    stage: Any = stage_row
    as_task: dict[str, Any] = {"fn_args": (job,), "max_retries": TASK_RETRIES}
    rows = [{"name": u.name, "shard": u.shard, "start": u.start, "count": u.count} for u in units]
    with warnings.catch_warnings():
        # Ray 2.60 announces named parameters for restarts and has none yet.
        warnings.simplefilter("ignore", RayDeprecationWarning)
        return (
            ray.data.from_items(rows, override_num_blocks=len(rows))
            .map(fetch, compute=TaskPoolStrategy(layout.fetch_tasks), num_cpus=FETCH_CPUS, **as_task)
            .map(
                tag,
                fn_constructor_args=(job, load_tagger),
                compute=ActorPoolStrategy(size=layout.actors),
                num_cpus=job.cpus_per_actor,
                num_gpus=job.gpus,
                max_restarts=ACTOR_RESTARTS,
                max_task_retries=ACTOR_RESTARTS,
            )
            .map(stage, compute=TaskPoolStrategy(layout.stage_tasks), num_cpus=STAGE_CPUS, **as_task)
        )


def _set_context(slowest_unit_s: float) -> None:
    context = DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    context.max_errored_blocks = 0
    context.execution_no_progress_timeout_s = STALL_S + slowest_unit_s


def _failure(unit: str, error: TaggerError) -> Row:
    empty = {"pixels": b"", "photos": b"", "refusals": b"", "seconds": "{}", "residual": math.nan}
    return {"unit": unit, "failure": pickle.dumps(error), **empty}


def _outcome(unit: str, failure: bytes) -> Row:
    nothing = {"tagged": 0, "rejected_by_reason": "{}", "seconds": "{}", "residual": math.nan}
    return {"unit": unit, "failure": failure, **nothing}


def _packed(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


def _unpacked(data: bytes) -> pa.Table:
    return pa.ipc.open_stream(data).read_all()


def _first_line(error: BaseException) -> str:
    return _ANSI_COLOR.sub("", str(error).strip().split("\n")[0])
