"""The record of one run: its row in `runs`."""

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import pyarrow as pa

from tagger.tables.schema import COMMITTED, RUNS


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """One row of `runs`; the meaning of each field is in the table's columns. Mappings keep most frequent first."""

    run_id: str
    date: datetime.date
    started_at: datetime.datetime
    finished_at: datetime.datetime
    model_name: str
    model_version: str
    config_digest: str
    code_version: str
    listed: int
    new: int
    tagged: int
    rejected: int
    rejected_by_reason: Mapping[str, int] = field(default_factory=dict)
    flagged_by_reason: Mapping[str, int] = field(default_factory=dict)
    flagged: int = 0
    vanished: int | None = None
    seconds_per_stage: Mapping[str, float] = field(default_factory=dict)
    bottleneck: str | None = None
    status: str = COMMITTED
    max_logit_residual: float | None = None
    exit_code: int = 0
    estimated_type_accuracy: float | None = None
    estimated_type_accuracy_margin: float | None = None
    estimated_color_accuracy: float | None = None
    estimated_color_accuracy_margin: float | None = None
    warnings: Sequence[str] = ()
    drift: Sequence[Mapping[str, Any]] = ()
    distributions: Sequence[Mapping[str, Any]] = ()

    def table(self) -> pa.Table:
        """The record as a table of one row in the schema RUNS."""
        row = {item.name: getattr(self, item.name) for item in fields(self)}
        for name, (key, value) in _PAIRS.items():
            ordered = sorted(row[name].items(), key=lambda pair: -pair[1])
            row[name] = [{key: label, value: amount} for label, amount in ordered]
        return pa.Table.from_pylist([row], schema=RUNS)


_PAIRS = {
    "rejected_by_reason": ("reason", "count"),
    "flagged_by_reason": ("reason", "count"),
    "seconds_per_stage": ("stage", "seconds"),
}
