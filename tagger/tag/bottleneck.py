"""Which stage limited a run: the one whose processes had the least time to wait, not the one that used most of it."""

from collections import Counter
from collections.abc import Mapping

from tagger.tag.preflight import Layout

_OPERATOR = {"download": "fetch", "decode": "fetch"}
"""Stages that take turns in one process; every other stage has processes of its own."""


def busy_s(seconds: Mapping[str, float], layout: Layout) -> dict[str, float]:
    """Seconds by stage, summed over processes -> seconds by stage that each of its processes worked on average."""
    processes = {"fetch": layout.fetch_tasks, "tag": layout.actors, "stage": layout.stage_tasks}
    return {stage: spent / processes[_operator(stage)] for stage, spent in seconds.items()}


def bottleneck(busy: Mapping[str, float]) -> str | None:
    """The longer stage of the operator whose processes were busy longest; None where nothing was done.

    busy: seconds by stage and process. All operators run for the same time, so the busiest one held up the others.
    """
    operators: Counter[str] = Counter()
    for stage, spent in busy.items():
        operators[_operator(stage)] += spent  # type: ignore[assignment]  # Counter is typed for whole numbers
    slowest = max(operators, key=lambda operator: operators[operator], default=None)
    own = [stage for stage in busy if _operator(stage) == slowest]
    return max(own, key=lambda stage: busy[stage], default=None)


def _operator(stage: str) -> str:
    return _OPERATOR.get(stage, stage)
