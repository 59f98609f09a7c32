"""Ranges of the key space -> units of work, while the ranges are still being listed.

Every range is a Ray task that hands on its shards as it writes them; a few run at once, without reserving a CPU, for
they wait for storage. Units come in waves, since Ray Data wants to know its rows before it starts: the first wave is
what was found within seconds, the last one what was found at last.
"""

import contextlib
import queue
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError

from tagger.catalog.listing import KeyRange
from tagger.errors import ClusterUnavailable, TaggerError
from tagger.tag.manifest import Shard, WorkUnit
from tagger.tag.plan import PlanJob, plan_range
from tagger.tag.progress import Worked

PATIENCE_S = 10.0
"""A wave waits so long for more: starting one costs as long, since every actor loads its networks anew."""
_TASK_RETRIES = 3


class Planning:
    """Context manager: plans ranges in parallel, within the block. `waves` hands out what was found.

    worked: told at once how many photos are planned, and when all are.
    """

    def __init__(
        self,
        job: PlanJob,
        ranges: Sequence[KeyRange],
        parallel: int,
        worked: Worked,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._job = job
        self._worked = worked
        self._counting = threading.Lock()
        self._patience_s = patience_s
        self._todo: queue.SimpleQueue[tuple[int, KeyRange]] = queue.SimpleQueue()
        for numbered in enumerate(ranges):
            self._todo.put(numbered)
        self._found: queue.SimpleQueue[Shard | Exception | None] = queue.SimpleQueue()  # None: a thread is done
        self._threads = [threading.Thread(target=self._plan, daemon=True) for _ in range(min(parallel, len(ranges)))]
        self._unplanned = len(self._threads)
        self._is_stopped = False

    def __enter__(self) -> "Planning":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_stopped = True

    def waves(self, most: int) -> Iterator[list[WorkUnit]]:
        """Units in lists of at most `most`, until all ranges are planned.

        TaggerError as planning raised it; ClusterUnavailable where Ray lost the tasks for good.
        """
        waiting: deque[WorkUnit] = deque()
        planning, due = len(self._threads), 0.0
        while planning or waiting:
            if not waiting:
                due = time.monotonic() + self._patience_s
            with contextlib.suppress(queue.Empty):
                left_s = max(0.0, due - time.monotonic()) if waiting else None
                found = self._found.get(timeout=left_s) if planning else ()
                if isinstance(found, Exception):
                    raise found
                planning -= found is None
                waiting.extend(found.units(self._job.tag.unit_size) if found else ())
            is_due = not planning or time.monotonic() >= due
            while waiting and (is_due or len(waiting) >= most):
                yield [waiting.popleft() for _ in range(min(most, len(waiting)))]

    def _plan(self) -> None:
        """One thread: range after range, until there is none, or one failed."""
        try:
            while not self._is_stopped:
                for shard in self._planned(*self._todo.get_nowait()):
                    with self._counting:
                        self._worked.planned += shard.photos
                    self._found.put(shard)
        except queue.Empty:
            with self._counting:
                self._unplanned -= 1
                self._worked.is_planned = not self._unplanned
        except (TaggerError, RayError) as error:
            self._found.put(error)
        finally:
            self._found.put(None)

    def _planned(self, number: int, part: KeyRange) -> Iterator[Shard]:
        task: Any = ray.remote(_shards).options(  # its generator is typed as one object
            num_cpus=0, num_returns="streaming", max_retries=_TASK_RETRIES, scheduling_strategy="SPREAD"
        )
        shards = task.remote(self._job, number, part)
        try:
            with listing_errors():
                for shard in shards:
                    yield ray.get(shard)
                    if self._is_stopped:
                        return
        finally:
            with contextlib.suppress(RayError, ValueError):
                ray.cancel(shards)


def _shards(job: PlanJob, number: int, part: KeyRange) -> Iterator[Shard]:
    """Ray sends values into its generators; this one takes them, what it delegates to need not."""
    yield from (shard for shard in plan_range(job, number, part))


@contextlib.contextmanager
def listing_errors() -> Iterator[None]:
    """A task's own error where it says what to do, else Ray's with the worker's trace; ClusterUnavailable where Ray
    lost the tasks."""
    try:
        yield
    except RayTaskError as error:
        raise (error.cause if isinstance(error.cause, TaggerError) else error) from None
    except RayError as error:
        raise ClusterUnavailable(f"The photos could not be listed: {str(error).splitlines()[0]}") from error
