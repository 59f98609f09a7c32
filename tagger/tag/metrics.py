"""The nightly run's metrics, through Ray's exporter: Ray puts `ray_` before each name and `_total` behind a counter's.

Each is made where it is first used, in the process that counts; where there is no Ray, nothing is counted.
docs/monitoring.md has the table.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date as Date
from functools import cache
from typing import Any, NamedTuple

import pyarrow as pa
import ray
from ray.util.metrics import Counter, Gauge, Histogram

from tagger.tag.infer import Pixels, TaggerLike

BATCH_S = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
"""Upper bounds of the histogram of batch times: 64 photos take 10 ms on a large GPU and seconds on one core."""


class Measure(NamedTuple):
    """One metric. kind: as Prometheus has it. label: what tells its series apart; empty where it has one."""

    kind: str
    label: str
    meaning: str


MEASURES = {
    "tagger_photos_tagged": Measure("counter", "", "photos staged with a tag"),
    "tagger_photos_rejected": Measure("counter", "reason", "photos staged as rejects"),
    "tagger_photos_flagged": Measure("counter", "reason", "tagged photos by review reason; one can have many"),
    "tagger_units_staged": Measure("counter", "", "units of work staged"),
    "tagger_downloaded_bytes": Measure("counter", "", "bytes of photos that were downloaded"),
    "tagger_stage_seconds": Measure("counter", "stage", "time that processes worked, summed over processes"),
    "tagger_batch_seconds": Measure("histogram", "", "time of one batch through the networks, maps and masks"),
    "tagger_run_photos": Measure("gauge", "state", "photos of the run: `planned` so far, `staged` of them"),
    "tagger_run_info": Measure("gauge", "run_id", "1 while the run works"),
}


def count(name: str, amount: float, value: str = "") -> None:
    """Add to the counter tagger_`name`. value: of its label."""
    if amount > 0 and ray.is_initialized():
        _metric(f"tagger_{name}").inc(amount, _labels(f"tagger_{name}", value))


def gauge(name: str, amount: float, value: str = "") -> None:
    """Set the gauge tagger_`name`. Ray forgets a gauge some 20 seconds after it was set: set it again and again."""
    if ray.is_initialized():
        _metric(f"tagger_{name}").set(amount, _labels(f"tagger_{name}", value))


def count_unit(photos: pa.Table, rejected_by_reason: Mapping[str, int], seconds: Mapping[str, float]) -> None:
    """Count a staged unit. photos: those with an answer; review_reasons may be missing. seconds: by stage."""
    count("units_staged", 1)
    count("photos_tagged", len(photos))
    for reason, amount in rejected_by_reason.items():
        count("photos_rejected", amount, reason)
    for reasons in photos["review_reasons"].to_pylist() if "review_reasons" in photos.column_names else ():
        for reason in reasons or ():
            count("photos_flagged", 1, reason)
    for stage, spent in seconds.items():
        count("stage_seconds", spent, stage)


@dataclass(frozen=True)
class Timed:
    """A Tagger whose batches are timed."""

    tagger: TaggerLike

    def tag(self, pixels: Pixels, image_keys: Sequence[str], run_date: Date) -> Mapping[str, Any]:
        """What the Tagger says; the time of a batch that fails is not told."""
        started = time.monotonic()
        answer = self.tagger.tag(pixels, image_keys, run_date)
        if ray.is_initialized():
            _metric("tagger_batch_seconds").observe(time.monotonic() - started)
        return answer


@cache
def _metric(name: str) -> Any:
    kind, label, meaning = MEASURES[name]
    labels = (label,) if label else ()
    if kind == "histogram":
        return Histogram(name, meaning, list(BATCH_S), labels)
    return (Counter if kind == "counter" else Gauge)(name, meaning, labels)


def _labels(name: str, value: str) -> dict[str, str]:
    label = MEASURES[name].label
    return {label: value} if label else {}
