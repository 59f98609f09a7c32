"""Which training a command starts or goes on with, and what must be as it was when that training began.

`work/<run>/train.json` holds what it was started with; `work/<run>/published.json` says that it is over.
"""

import datetime
import hashlib
import json
import logging
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from tagger import __version__
from tagger.catalog.labels import LabelSpace
from tagger.config import Config
from tagger.errors import BadInput, ConfigError, GateRefused
from tagger.lease import LEASE_S, RENEW_S, Lock
from tagger.release import code_version
from tagger.storage import Root
from tagger.train.record import TrainingFacts

logger = logging.getLogger(__name__)

PATIENCE_S = LEASE_S + RENEW_S
"""How long a command waits for another one at work on its training: a dead one's lease has expired then."""


def run_id_of(config: Config, root: Root) -> str:
    """A fresh id, or the one to resume.

    BadInput where there is nothing to resume, ConfigError where the settings or the release differ, GateRefused where a
    gate ended it.
    """
    settings = _settings_digest(config)
    if config.train.resume is None:
        run_id = f"train-{datetime.datetime.now(datetime.UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(2)}"
        root.write_bytes(_start_key(run_id), json.dumps({"settings": settings, "code": code_version()}).encode())
        logger.info("training run %s under %s", run_id, root.uri)
        return run_id
    run_id = _last_run(root) if config.train.resume == "last" else config.train.resume
    try:
        started = json.loads(root.read_bytes(_start_key(run_id)))
    except FileNotFoundError as error:
        raise BadInput(f"There is no stopped training '{run_id}' under {root.uri}/work.") from error
    _check_is_open(root, run_id)
    code = started.get("code", "")
    if started.get("settings") != settings or code.partition("+")[0] != __version__:
        raise ConfigError(
            f"train.resume: the settings, or the version of tagger, differ from those that {run_id} was started with. "
            "Start afresh, without --resume."
        )
    if code != code_version():
        logger.warning("%s was started by the code %s and goes on with %s", run_id, code, code_version())
    logger.info("training run %s under %s goes on", run_id, root.uri)
    return run_id


def check_data(root: Root, facts: TrainingFacts, space: LabelSpace) -> None:
    """Record what a training learns from. ConfigError where an earlier start of it recorded other items or classes.

    Weights and checkpoints know classes and pictures by their numbers alone: under other ones they would mean others,
    and pictures that were learned from would be measured on.
    """
    started = json.loads(root.read_bytes(_start_key(facts.run_id)))
    now = {"types": list(space.types), "colors": list(space.colors), "items": facts.items, "digest": facts.data_digest}
    if "data" not in started:
        root.write_bytes(_start_key(facts.run_id), json.dumps(started | {"data": now}).encode())
    elif started["data"] != now:
        raise ConfigError(
            f"train.resume: since {facts.run_id} was started, {_difference(started['data'], now)}, so it cannot go on. "
            "Start afresh, without --resume."
        )


@contextmanager
def held(root: Root, run_id: str) -> Iterator[Callable[[], None]]:
    """The training is ours for the length of the block: two at work in it would remove each other's checkpoints.

    DateLocked where another command is at work on it, BadInput or GateRefused where that one has just ended it. A host
    that slept for long may lose it meanwhile: what the block is given, called before each step, raises DateLocked then.
    """
    with Lock(root, run_id, PATIENCE_S, RENEW_S, "Wait until that training ends, or stop it.") as lease:
        _check_is_open(root, run_id)
        yield lease.stop_if_taken


@contextmanager
def closing(root: Root, run_id: str) -> Iterator[None]:
    """A training's last step. Promoted or refused by a gate, it is over: no resume touches its bundle."""
    try:
        yield
    except GateRefused as refused:
        root.write_bytes(_end_key(run_id), json.dumps({"refused": str(refused)}).encode())
        raise
    root.write_bytes(_end_key(run_id), b"{}")


def _start_key(run_id: str) -> str:
    return f"work/{run_id}/train.json"


def _end_key(run_id: str) -> str:
    return f"work/{run_id}/published.json"


def _last_run(root: Root) -> str:
    """The training that was started last; their names sort by time."""
    started = [found.key for found in root.list_objects("work/train-") if found.key.endswith("/train.json")]
    if not started:
        raise BadInput(f"There is no stopped training under {root.uri}/work.")
    return max(started).split("/")[1]


def _check_is_open(root: Root, run_id: str) -> None:
    if not root.exists(_end_key(run_id)):
        return
    refused = json.loads(root.read_bytes(_end_key(run_id))).get("refused")
    if refused is None:
        raise BadInput(f"The training {run_id} is finished. Leave out --resume to start a fresh one.")
    raise GateRefused(
        f"The training {run_id} is finished and its bundle was refused: {refused} "
        "Leave out --resume to start a fresh one."
    )


def _settings_digest(config: Config) -> str:
    """Of the settings that determine the bundle; how many workers may change on resuming, what they learn may not."""
    free = {"resume", "workers", "cpus_per_worker", "use_gpu", "threads", "max_failures", "save_every", "cache"}
    free |= {"tensorboard", "mlflow", "data_note", "limits_note", "input_threads"}
    settings = config.model_dump(mode="json", include={"labels", "images", "catalog", "train", "focus", "review"})
    settings["train"] = {key: value for key, value in settings["train"].items() if key not in free}
    return hashlib.sha256(json.dumps(settings).encode()).hexdigest()


def _difference(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """What changed, in words."""
    for names in ("types", "colors"):
        if before[names] != now[names]:
            return f"the {names} {_changed(before[names], now[names])}"
    if before["items"] != now["items"]:
        return f"the number of items by role changed from {before['items']} to {now['items']}"
    return "the labels, the roles of the items, or the photos changed"


def _changed(before: list[str], now: list[str]) -> str:
    gone, new = [name for name in before if name not in now], [name for name in now if name not in before]
    parts = [f"{verb} {', '.join(names)}" for verb, names in (("lost", gone), ("gained", new)) if names]
    return " and ".join(parts) or "came into another order"
