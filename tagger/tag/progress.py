"""How far the pipeline is: counts of staged units, and a line now and then."""

import json
import logging
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

_LOG = logging.getLogger(__name__)

PROGRESS_EVERY_S = 10.0


@dataclass
class Worked:
    """What the pipeline did. seconds: by stage, summed over processes."""

    tagged: int = 0
    rejected: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    max_logit_residual: float | None = None

    def add(self, row: Mapping[str, Any]) -> None:
        """Count a staged unit."""
        self.tagged += int(row["tagged"])
        self.rejected += int(row["rejected"])
        for stage, seconds in json.loads(row["seconds"]).items():
            self.seconds[stage] = self.seconds.get(stage, 0.0) + seconds
        if not math.isnan(row["residual"]):
            self.max_logit_residual = max(self.max_logit_residual or 0.0, float(row["residual"]))


class Progress:
    """One line each ten seconds: done / total, rate, rejected, time left."""

    def __init__(self, total: int, worked: Worked, clock: Callable[[], float] = time.monotonic) -> None:
        self._total = total
        self._worked = worked
        self._clock = clock
        self._started = self._told = clock()

    def tell(self, is_last: bool = False) -> None:
        """Log a line when one is due."""
        now = self._clock()
        if now - self._told < PROGRESS_EVERY_S and not is_last:
            return
        self._told = now
        done = self._worked.tagged + self._worked.rejected
        rate = done / max(now - self._started, 1e-9)
        left_s = (self._total - done) / rate if rate else math.inf
        _LOG.info(
            "%d of %d photos, %.1f photos/s, %d rejected, %.0f s left",
            done, self._total, rate, self._worked.rejected, left_s,
        )  # fmt: skip
