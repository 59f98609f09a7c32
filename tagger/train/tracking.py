"""A training's figures for other eyes: TensorBoard's event files and an MLflow run, each by one line of configuration.

For the driver alone. Each sink is given the whole record so far and writes what its store lacks, so that a resumed
training, or a server that comes back, ends with every epoch once. A library that is not asked for is not imported.
"""

import contextlib
import logging
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any

from tagger.config import TrainConfig
from tagger.errors import Retryable
from tagger.train.event_files import EventFiles
from tagger.train.mlflow_run import MlflowRun
from tagger.train.record import Sink, TrainingFacts, TrainingRecord

logger = logging.getLogger(__name__)

_FAILED = "%s: the training goes on, and what is missing is sent when this works again: %s"


def open_sinks(train: TrainConfig) -> list[Sink]:
    """What the settings ask for; empty where nothing is tracked.

    ConfigError or BadInput where a setting cannot work. Whether a place answers is left to the tracker.
    """
    sinks: list[Sink] = []
    if train.tensorboard:
        sinks.append(EventFiles(train.tensorboard))
    if train.mlflow:
        sinks.append(MlflowRun(train.mlflow, train.name))
    for sink in sinks:
        with contextlib.suppress(Retryable):
            sink.check()
    return sinks


class Tracker:
    """One training's way to all sinks. Leaving the block tells how it ended; a failing sink never ends it.

    A row of `epochs` is a row of the history: its stage, its epoch from 1, and numbers. Rows may come one by one, or
    as the history so far.
    """

    def __init__(self, sinks: Iterable[Sink], facts: TrainingFacts) -> None:
        self._sinks, self._failed = tuple(sinks), set[str]()
        self._record = TrainingRecord(facts)

    def __enter__(self) -> "Tracker":
        self._write()
        return self

    def epochs(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Record epochs; one that was recorded before, in this start or an earlier one, stays as it is."""
        for row in rows:
            numbers = {name: value for name, value in row.items() if name not in ("stage", "epoch")}
            self._record.rows.setdefault(row["stage"], {}).setdefault(row["epoch"], numbers)
        self._write()

    def finished(self, figures: Mapping[str, Any]) -> None:
        """Record the final figures, name -> number; the training counts as finished, whatever comes after."""
        self._record.figures, self._record.status = figures, "FINISHED"
        self._write()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._record.status = "FINISHED"
        elif self._record.status == "RUNNING":
            self._record.status = "FAILED" if issubclass(kind, Exception) else "KILLED"
        self._write()

    def _write(self) -> None:
        for sink in self._sinks:
            try:
                sink.write(self._record)
            except sink.failures as error:
                if sink.label not in self._failed:
                    logger.warning(_FAILED, sink.label, error)
                self._failed.add(sink.label)
