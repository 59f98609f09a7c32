"""How far the pipeline is: counts of staged units, and what can be said of them while it runs."""

import contextlib
import json
import logging
import math
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tagger.tag import metrics

_LOG = logging.getLogger(__name__)

LINE_EVERY_S = 10.0
LOOK_EVERY_S = 1.0
RATE_OVER_S = 60.0
"""The rate that is told is that of the last minute."""
ETA_OVER_S = 600.0
"""The time left follows from a longer while, for units come in bursts."""
KNOWN_AFTER_S = 10.0
"""A rate is told after so long a look at it; before, it would be a guess."""


@dataclass
class Worked:
    """What is planned, and what the pipeline did of it. Photos, unless it says otherwise.

    planned: of the manifest as far as it is written; `is_planned` says that it is complete.
    staged_before: by earlier commands that the run was stopped in.
    handed_out, units: units of work that this command gave to the pipeline, and those of them that are staged.
    seconds: by stage, summed over processes. may_go_on: called with every staged unit; raises where the run must end.
    """

    planned: int = 0
    is_planned: bool = False
    staged_before: int = 0
    tagged: int = 0
    handed_out: int = 0
    units: int = 0
    rejected_by_reason: Counter[str] = field(default_factory=Counter)
    seconds: dict[str, float] = field(default_factory=dict)
    max_logit_residual: float | None = None
    may_go_on: Callable[[], None] = lambda: None

    @property
    def rejected(self) -> int:
        """Rejected by this command, for whatever reason."""
        return self.rejected_by_reason.total()

    @property
    def queued(self) -> int:
        """Units that wait for an operator or are in work."""
        return self.handed_out - self.units

    @property
    def done(self) -> int:
        """In a staged row, those of earlier commands included."""
        return self.staged_before + self.tagged + self.rejected

    def add(self, row: Mapping[str, Any]) -> None:
        """Count a staged unit. Raises what `may_go_on` does."""
        self.units += 1
        self.tagged += int(row["tagged"])
        self.rejected_by_reason.update(json.loads(row["rejected_by_reason"]))
        for stage, seconds in json.loads(row["seconds"]).items():
            self.seconds[stage] = self.seconds.get(stage, 0.0) + seconds
        if not math.isnan(row["residual"]):
            self.max_logit_residual = max(self.max_logit_residual or 0.0, float(row["residual"]))
        self.may_go_on()


class Rates:
    """Photos per second over windows of time. The time before the first staged unit counts for nothing.

    Actors load their networks then, so a rate that included it would promise a far too late end.
    """

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def look(self, now_s: float, done: int) -> None:
        """Note how many are done now."""
        self._seen.append((now_s, done))
        while self._seen[-1][0] - self._seen[0][0] > ETA_OVER_S:
            self._seen.popleft()

    def over(self, window_s: float) -> float | None:
        """The mean rate over the last `window_s` seconds, or over what was seen; None while that is too short."""
        seen = tuple(self._seen)  # another thread may be looking
        if not seen:
            return None
        now_s, done = seen[-1]
        since_s, before = next(each for each in seen if now_s - each[0] <= window_s)
        return (done - before) / (now_s - since_s) if now_s - since_s >= KNOWN_AFTER_S else None


class Progress:
    """Tells how far `worked` is: a log line each ten seconds, and the text of a terminal's live line at any time."""

    def __init__(self, run_id: str, worked: Worked, clock: Callable[[], float] = time.monotonic) -> None:
        self._run_id = run_id
        self._worked = worked
        self._clock = clock
        self._started_s = self._told_s = clock()
        self._rates = Rates()

    @contextlib.contextmanager
    def told(self) -> Iterator[None]:
        """In the block, progress is told by a thread of its own, for a pipeline that stands still calls nobody."""
        ended = threading.Event()
        thread = threading.Thread(target=self._keep_telling, args=(ended,), name="progress", daemon=True)
        self._tell(live=self.line)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
            self._tell(live=None)

    def look(self) -> None:
        """Note the counts, set the gauges, and log a line when one is due."""
        now_s = self._clock()
        metrics.gauge("run_info", 1, self._run_id)
        metrics.gauge("run_photos", self._worked.planned, "planned")
        metrics.gauge("run_photos", self._worked.done, "staged")
        if self._worked.units:
            self._rates.look(now_s, self._worked.done)
        if now_s - self._told_s >= LINE_EVERY_S:
            self._told_s = now_s
            self._tell(live=self.line)

    def facts(self) -> dict[str, Any]:
        """What a machine reads: rates in photos/s, eta_s null where nothing honest can be said."""
        worked = self._worked
        rate, steady = self._rates.over(RATE_OVER_S), self._rates.over(ETA_OVER_S)
        eta_s = (worked.planned - worked.done) / steady if steady and worked.is_planned else None
        return {
            "run_id": self._run_id,
            "stage": "tag",
            "done": worked.done,
            "total": worked.planned,
            "is_planned": worked.is_planned,
            "photos_per_s": None if rate is None else round(rate, 2),
            "eta_s": None if eta_s is None else round(eta_s),
            "units": worked.units,
            "queued_units": worked.queued,
            "elapsed_s": round(self._clock() - self._started_s, 1),
            "rejected": dict(worked.rejected_by_reason),
        }

    def line(self) -> str:
        """What people read."""
        facts = self.facts()
        total = f"{facts['total']:,}" if facts["is_planned"] else f"at least {facts['total']:,} (still planning)"
        parts = [f"{facts['done']:,} of {total} photos"]
        if facts["photos_per_s"] is not None:
            parts.append(f"{facts['photos_per_s']:.1f} photos/s")
        rejected = facts["rejected"]
        if rejected:
            reasons = ", ".join(f"{reason} {count}" for reason, count in Counter(rejected).most_common())
            parts.append(f"{sum(rejected.values()):,} rejected ({reasons})")
        if facts["eta_s"]:
            parts.append(f"{_duration(facts['eta_s'])} left")
        parts.append(f"{_duration(facts['elapsed_s'])} so far")
        return ", ".join(parts)

    def _keep_telling(self, ended: threading.Event) -> None:
        while not ended.wait(LOOK_EVERY_S):
            self.look()

    def _tell(self, live: Callable[[], str] | None) -> None:
        _LOG.info("%s", self.line(), extra={"fields": self.facts(), "live": live})


def _duration(seconds: float) -> str:
    """1:02:03 or 2:03: hours where there are any, minutes, seconds."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
