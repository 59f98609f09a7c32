"""How the commands reach Ray, the cluster that is named or one embedded in this process, and what it has."""

import contextlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import ray

from tagger.config import RayConfig
from tagger.errors import ClusterUnavailable

_DEFAULTS = {
    # A loaded small machine needs longer than Ray's 60 s to import TensorFlow in every worker.
    "RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S": "300",
    # A worker that has not answered for as long is lost; Ray's own limit is 600 s.
    "RAY_TRAIN_WORKER_HEALTH_CHECK_TIMEOUT_S": "120",
    # A worker that reports a checkpoint waits until the controller looks at it next; Ray's own interval is 2 s.
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.5",
    "RAY_COLOR_PREFIX": "0",
    "TF_CPP_MIN_LOG_LEVEL": "3",
}
_WORKERS = {
    # A process that was given no GPU must not see one: Ray itself leaves them all visible to it.
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "1",
}
"""Environment of all of Ray's workers, also of a cluster that was started before."""
_EMBEDDED_WORKERS = _WORKERS | {
    # No dashboard, so nothing answers here, at once. Without it those who ask look 20 s for an address, in vain.
    "RAY_API_SERVER_ADDRESS": "http://127.0.0.1:9",
    # One machine: nobody announces that it will be taken away.
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",
}
_NOISY = (
    "ray.train",
    "ray.data",
    # Asks the dashboard, which the embedded Ray does not start, once a second.
    "ray.train.v2._internal.execution.controller.placement_group_cleaner",
    "tensorflow",
)


@dataclass(frozen=True)
class Capacity:
    """What the cluster has. node_*: the most that one node has, since an actor cannot be spread over two."""

    cpus: float
    gpus: float
    memory_bytes: float
    object_store_bytes: float
    node_cpus: float


@contextlib.contextmanager
def connected(config: RayConfig) -> Iterator[None]:
    """Ray, for the length of the block. ClusterUnavailable where the named cluster does not answer.

    Whatever Ray and its workers print goes to standard error: standard output is the result's.
    """
    for name, value in _DEFAULTS.items():
        os.environ.setdefault(name, value)
    address = address_of(config)
    with contextlib.redirect_stdout(sys.stderr):
        _start(config, address)
        try:
            yield
        finally:
            ray.shutdown()


def address_of(config: RayConfig) -> str | None:
    """The cluster that is named; None where one is embedded."""
    return config.address or os.environ.get("RAY_ADDRESS")


def cluster_capacity() -> Capacity:
    """What the Ray cluster has that this process is connected to."""
    if not ray.is_initialized():
        raise ClusterUnavailable("There is no Ray to run on: this process is not connected to a cluster.")
    total: Mapping[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    node_cpus = max((node["Resources"].get("CPU", 0.0) for node in nodes if node["Alive"]), default=0.0)
    cpus, gpus, memory, store = (total.get(name, 0.0) for name in ("CPU", "GPU", "memory", "object_store_memory"))
    return Capacity(cpus, gpus, memory, store, node_cpus)


def quiet_worker() -> None:
    """Let only warnings of the libraries through; runs first in every worker process."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", _DEFAULTS["TF_CPP_MIN_LOG_LEVEL"])
    for name in _NOISY:
        logging.getLogger(name).setLevel(logging.ERROR)


def _start(config: RayConfig, address: str | None) -> None:
    quiet_worker()
    shared: dict[str, Any] = {
        "logging_level": logging.WARNING,
        "runtime_env": {
            "worker_process_setup_hook": "tagger.cluster.quiet_worker",
            "env_vars": _WORKERS if address else _EMBEDDED_WORKERS,
        },
    }
    with _own_handler(), _told(address):
        if address:
            ray.init(address=address, **shared)
        else:
            store = config.object_store_mb * 2**20
            # "local": an embedded Ray of our own, even where another one runs on this machine.
            ray.init("local", num_cpus=config.num_cpus, object_store_memory=store, include_dashboard=False, **shared)


@contextlib.contextmanager
def _told(address: str | None) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # Ray raises a bare Exception where a node was too slow to start
        raise ClusterUnavailable(f"Ray at {address or 'this machine'} did not start or answer: {error}") from error


@contextlib.contextmanager
def _own_handler() -> Iterator[None]:
    """Keep this process's handler of SIGTERM: Ray puts one of its own in its place, which exits with 15, not 143."""
    handler = signal.getsignal(signal.SIGTERM)
    try:
        yield
    except SystemExit as stopped:
        raise SystemExit(128 + signal.SIGTERM if stopped.code == signal.SIGTERM else stopped.code) from stopped
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handler)
