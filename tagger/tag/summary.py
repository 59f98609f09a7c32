"""What a nightly run tells at its end."""

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from tagger.tables.record import RunRecord


@dataclass(frozen=True, kw_only=True)
class RunSummary:
    """One night. `nothing new` adds no row to any table and has no run id.

    rejected_by_reason, flagged_by_reason: most frequent first. vanished: null where the listing was not a full one.
    older_answers: photos whose answers an older model or other settings gave (tag.retag redoes them).
    estimated_type_accuracy, estimated_color_accuracy: shares of right answers to expect. warnings: what was unusual.
    seconds_per_stage: summed over processes. wall_s: of this command alone. photos_per_s: of what this command worked
    on. resumed: it went on with a run that an earlier command had begun. finished_earlier: runs that an earlier command
    had left unfinished, or committed in part, completed now.
    """

    status: Literal["committed", "nothing new"]
    date: datetime.date
    run_id: str | None = None
    model_name: str
    model_version: str
    config_digest: str
    listed: int
    new: int
    tagged: int = 0
    rejected: int = 0
    flagged: int = 0
    rejected_by_reason: Mapping[str, int] = field(default_factory=dict)
    flagged_by_reason: Mapping[str, int] = field(default_factory=dict)
    vanished: int | None = None
    older_answers: int = 0
    seconds_per_stage: Mapping[str, float] = field(default_factory=dict)
    bottleneck: str | None = None
    max_logit_residual: float | None = None
    estimated_type_accuracy: float | None = None
    estimated_color_accuracy: float | None = None
    warnings: Sequence[str] = ()
    wall_s: float = 0.0
    photos_per_s: float = 0.0
    resumed: bool = False
    finished_earlier: tuple[str, ...] = ()

    @property
    def all_finished(self) -> tuple[str, ...]:
        """The runs that this command completed, its own one, if there is any, last."""
        return self.finished_earlier if self.run_id is None else (*self.finished_earlier, self.run_id)

    def facts(self) -> dict[str, Any]:
        """The summary as plain values that JSON can hold."""
        return asdict(self) | {
            "date": self.date.isoformat(),
            "finished_earlier": list(self.finished_earlier),
            "warnings": list(self.warnings),
        }


def told_by(record: RunRecord) -> dict[str, Any]:
    """The fields that a summary shares with the run's row."""
    names = (
        "date", "run_id", "model_name", "model_version", "config_digest", "listed", "new", "tagged", "rejected",
        "flagged", "rejected_by_reason", "flagged_by_reason", "vanished", "seconds_per_stage", "bottleneck",
        "max_logit_residual", "estimated_type_accuracy", "estimated_color_accuracy", "warnings",
    )  # fmt: skip
    return {name: getattr(record, name) for name in names}
