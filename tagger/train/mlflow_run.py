"""One MLflow run a training: parameters, tags, and metrics by epoch."""

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tagger.errors import BadInput, ConfigError, Retryable
from tagger.train.record import Point, TrainingFacts, TrainingRecord

_ENVIRONMENT = {
    # MLflow tells its makers about every call otherwise.
    "MLFLOW_DISABLE_TELEMETRY": "true",
    # MLflow 3.17 refuses folders otherwise.
    "MLFLOW_ALLOW_FILE_STORE": "true",
    # A call to a server that is down takes 4 minutes otherwise; the tracker's next call tries again anyway.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
}
"""Unless the user's environment says otherwise."""
_MOST_METRICS, _MOST_PARAMS = 500, 100
"""What one call may carry; MLflow's own limits are 1000 and 100."""


class MlflowRun:
    """A training's run, found again by its tag `run_id`, in the experiment named as the bundle.

    ConfigError where the URI cannot be used here or the library is missing.
    """

    failures: tuple[type[Exception], ...]

    def __init__(self, uri: str, experiment: str) -> None:
        self.label, self._experiment = f"train.mlflow = {uri}", experiment
        self._folder = Path(uri).expanduser().absolute() if ":" not in uri else None
        self._client, self._failure = _client(uri, self._folder.as_uri() if self._folder else uri)
        self.failures = (self._failure, OSError)
        self._run = self._status = ""
        self._known = dict[str, set[int]]()

    def check(self) -> None:
        """Find or make the experiment. BadInput where that cannot work, Retryable where no server answers."""
        try:
            self._experiment_id()
        except OSError as error:
            raise BadInput(f"{self.label} cannot be written to: {error}. Name another folder.") from error
        except self._failure as error:
            if error.get_http_status_code() < 500:
                raise BadInput(f"{self.label}: {error}") from error
            raise Retryable(str(error)) from error

    def _experiment_id(self) -> str:
        found = self._client.get_experiment_by_name(self._experiment)
        return str(found.experiment_id if found else self._client.create_experiment(self._experiment))

    def write(self, record: TrainingRecord) -> None:
        """Bring the run up to date."""
        if self._folder and not self._folder.is_dir():
            raise FileNotFoundError(f"the folder {self._folder} is gone")
        self._run = self._run or self._begin(record.facts)
        points = [point for stage in record.rows for point in record.of_stage(stage)]
        self._send([*points, *record.of_figures()])
        if record.status not in ("RUNNING", self._status):
            self._client.set_terminated(self._run, record.status)
        self._status = record.status

    def _begin(self, facts: TrainingFacts) -> str:
        experiment = self._experiment_id()
        tags = {"run_id": facts.run_id, "code_version": facts.code_version, "data_digest": facts.data_digest}
        params = _flat({**facts.config, "items": facts.items})
        found = self._client.search_runs([experiment], f"tags.run_id = '{facts.run_id}'", max_results=1)
        run = found[0] if found else self._client.create_run(experiment, tags=tags, run_name=facts.run_id)
        known = {**run.data.params, **run.data.tags}
        # A parameter is never changed in MLflow: what another start set otherwise becomes a tag.
        for name, value in {**tags, **params}.items():
            if known.get(name, value) != value:
                self._client.set_tag(run.info.run_id, f"resumed.{name}", value)
        self._send_params(run.info.run_id, {name: params[name] for name in params if name not in known})
        if run.info.status != "RUNNING":
            self._client.update_run(run.info.run_id, status="RUNNING")
        return str(run.info.run_id)

    def _send_params(self, run: str, params: Mapping[str, str]) -> None:
        from mlflow.entities import Param

        every = [Param(name, value) for name, value in params.items()]
        for start in range(0, len(every), _MOST_PARAMS):
            self._client.log_batch(run, params=every[start : start + _MOST_PARAMS])

    def _send(self, points: list[Point]) -> None:
        from mlflow.entities import Metric

        # Put back at the end: after a failure, what has arrived is read again.
        known, self._known = self._known, {}
        for name in {point.name for point in points} - known.keys():
            known[name] = {metric.step for metric in self._client.get_metric_history(self._run, name)}
        lacking = [point for point in points if point.step not in known[point.name]]
        now = int(time.time() * 1000)
        for start in range(0, len(lacking), _MOST_METRICS):
            batch = lacking[start : start + _MOST_METRICS]
            self._client.log_batch(self._run, [Metric(point.name, point.value, now, point.step) for point in batch])
            for point in batch:
                known[point.name].add(point.step)
        self._known = known


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested values as dotted keys; everything but text in JSON."""
    flat: dict[str, str] = {}
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value if isinstance(value, str) else json.dumps(value)
    return flat


def _client(uri: str, place: str) -> tuple[Any, Any]:
    """A client, and the class of MLflow's errors."""
    if "@" in urlsplit(uri).netloc:
        raise ConfigError(
            "train.mlflow holds a user name or a password, which would be recorded. Set MLFLOW_TRACKING_USERNAME and "
            "MLFLOW_TRACKING_PASSWORD instead."
        )
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    try:
        from mlflow.exceptions import MlflowException
        from mlflow.tracking import MlflowClient
        from mlflow.tracking.registry import UnsupportedModelRegistryStoreURIException
    except ModuleNotFoundError as error:
        raise ConfigError("train.mlflow needs a library more: pip install mlflow-skinny.") from error
    try:
        return MlflowClient(place), MlflowException
    except UnsupportedModelRegistryStoreURIException as error:
        raise ConfigError(
            f"train.mlflow = '{uri}' is no place that MLflow can write to here. Give a folder or http(s)://HOST; for "
            "sqlite:///FILE and other databases: pip install mlflow."
        ) from error
    except OSError as error:
        raise BadInput(f"train.mlflow = '{uri}' cannot be written to: {error}. Name another folder.") from error
