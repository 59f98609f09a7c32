"""What tonight would bring, how long it would take and what it would cost, without tagging anything."""

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import ray

from tagger.catalog.listing import KeyRange
from tagger.storage import Root
from tagger.tables.query import run_query
from tagger.tag.manifest import summed
from tagger.tag.plan import Found, PlanJob, look_at_range
from tagger.tag.planning import listing_errors

_RATES = """
SELECT (tagged + rejected) / epoch(finished_at - started_at) AS rate FROM runs
WHERE new >= 100 AND finished_at > started_at ORDER BY finished_at DESC LIMIT 5
"""


@dataclass(frozen=True)
class Estimate:
    """What a run would work on. vanished: null where not everything was listed.

    photos_per_s: median of the last five runs of at least 100 photos; null where there was none, and then seconds too.
    cost: in the currency of tag.price_per_hour; null without it. first: some of the keys.
    """

    listed: int
    new: int
    size_bytes: int
    vanished: int | None
    older_answers: int
    photos_per_s: float | None
    seconds: float | None
    cost: float | None
    first: tuple[str, ...]

    def facts(self) -> dict[str, Any]:
        """The estimate as plain values that JSON can hold."""
        return {"status": "dry run", **asdict(self), "first": list(self.first)}


def estimate(
    job: PlanJob, ranges: Sequence[KeyRange], parallel: int, price_per_hour: float | None, is_full: bool
) -> Estimate:
    """Look at all ranges, `parallel` at once, as Ray tasks. is_full: every photo is listed."""
    found = _looked_at(job, ranges, parallel)
    counts, new = summed((each.counts for each in found), is_full), sum(each.new for each in found)
    rate = usual_rate(job.root)
    seconds = new / rate if rate else None
    return Estimate(
        listed=counts.listed,
        new=new,
        size_bytes=sum(each.size_bytes for each in found),
        vanished=counts.vanished,
        older_answers=counts.older_answers,
        photos_per_s=rate,
        seconds=seconds,
        cost=None if seconds is None or price_per_hour is None else seconds / 3600 * price_per_hour,
        first=tuple(key for each in found for key in each.first)[:5],
    )


def usual_rate(root: Root) -> float | None:
    """Photos a second of the last runs, from their begin to their commit; null where no run tells."""
    return statistics.median(run_query(root, _RATES)["rate"].to_pylist() or [0.0]) or None


def _looked_at(job: PlanJob, ranges: Sequence[KeyRange], parallel: int) -> list[Found]:
    look = ray.remote(num_cpus=0, scheduling_strategy="SPREAD")(look_at_range)
    waiting, found = list(ranges), []
    with listing_errors():
        while waiting:
            now, waiting = waiting[:parallel], waiting[parallel:]
            found += ray.get([look.remote(job, part) for part in now])
    return found
