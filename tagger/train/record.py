"""What is known of a training while it runs: its facts, its epochs, its figures, and a place that takes them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from numbers import Real
from typing import Any, Protocol


@dataclass(frozen=True)
class TrainingFacts:
    """What a training is: its id, settings as nested plain values, code, data, and item counts by role."""

    run_id: str
    config: Mapping[str, Any]
    code_version: str
    data_digest: str
    items: Mapping[str, int]


@dataclass(frozen=True)
class Point:
    """One number of a curve."""

    name: str
    step: int
    value: float


@dataclass
class TrainingRecord:
    """All that is known of a training so far. status: RUNNING, FINISHED, FAILED or KILLED, in MLflow's words."""

    facts: TrainingFacts
    rows: dict[str, dict[int, Mapping[str, Any]]] = field(default_factory=dict)
    """Stage -> epoch -> the numbers of its row in the history."""
    figures: Mapping[str, Any] = field(default_factory=dict)
    status: str = "RUNNING"

    def of_stage(self, stage: str, after: int = 0) -> list[Point]:
        """The stage's numbers as `<stage>/<name>`, in the order of the epochs, from the epoch behind `after`."""
        rows = sorted(self.rows[stage].items())
        return [point for epoch, row in rows if epoch > after for point in _points(stage, epoch, row)]

    def of_figures(self) -> list[Point]:
        """The final figures as `final/<name>`, at step 0."""
        return _points("final", 0, self.figures)


class Sink(Protocol):
    """A place for records."""

    label: str
    """The setting that asked for it."""
    failures: tuple[type[Exception], ...]
    """What `write` raises where the place does not answer."""

    def check(self) -> None:
        """Raise BadInput where the setting cannot work, Retryable where the place does not answer."""

    def write(self, record: TrainingRecord) -> None:
        """Bring the place up to date."""


def _points(prefix: str, step: int, numbers: Mapping[str, Any]) -> list[Point]:
    found = [(name, value) for name, value in numbers.items() if isinstance(value, Real)]
    return [Point(f"{prefix}/{name}", step, float(value)) for name, value in found]
