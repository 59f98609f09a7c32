"""A training's state as one folder of two files: arrays, and what they are, with the arrays' digest.

Ray Train uploads the folder and knows which one counts; whether its bytes are those that were written, only the digest
tells.
"""

import hashlib
import io
import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

logger = logging.getLogger(__name__)

_ARRAYS, _FACTS = "arrays.npz", "state.json"

Arrays = Sequence[np.ndarray]


@dataclass(frozen=True)
class State:
    """Where a training is. epoch, step: what it does next; sums: loss, hits and pictures of the epoch so far.

    weights: of the network; hidden: optimizer and random state; best: weights of the best epoch so far, none before the
    first. history: one dict an epoch. weights_digest: of `weights`, equal on all ranks.
    """

    epoch: int
    step: int
    sums: tuple[float, ...]
    history: list[dict[str, Any]]
    weights_digest: str
    weights: Arrays
    hidden: Arrays
    best: Arrays


_GROUPS = ("weights", "hidden", "best")


def write_state(folder: Path, state: State) -> None:
    """Write a state into an existing empty folder. OSError where the disk is full."""
    arrays = pack({f"{group}/{n}": array for group in _GROUPS for n, array in enumerate(getattr(state, group))})
    facts = {name: value for name, value in vars(state).items() if name not in _GROUPS}
    (folder / _ARRAYS).write_bytes(arrays)
    (folder / _FACTS).write_text(json.dumps(facts | {"sha256": hashlib.sha256(arrays).hexdigest()}))


def read_state(folder: Path) -> State | None:
    """The state of a folder; None, with a warning, where a file is missing, cut short or changed."""
    try:
        facts = json.loads((folder / _FACTS).read_text())
        data = (folder / _ARRAYS).read_bytes()
    except (OSError, ValueError) as error:
        logger.warning("The checkpoint %s cannot be read (%s); the one before is taken.", folder, error)
        return None
    if not isinstance(facts, dict) or hashlib.sha256(data).hexdigest() != facts.pop("sha256", None):
        logger.warning("The checkpoint %s is not as it was written; the one before is taken.", folder)
        return None
    arrays = unpack(data)
    groups = {group: _numbered(arrays, f"{group}/") for group in _GROUPS}
    known: dict[str, Any] = {**facts, "sums": tuple(facts["sums"]), **groups}
    return State(**known)


def newest_state(folders: Iterable[Path]) -> State | None:
    """The first readable state of folders that are ordered from new to old; None where there is none."""
    return next((state for folder in folders if (state := read_state(folder)) is not None), None)


def pack(arrays: Mapping[str, np.ndarray]) -> bytes:
    """Named arrays as the bytes of an .npz file."""
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def unpack(data: bytes) -> dict[str, np.ndarray]:
    """The inverse of `pack`, without pickles."""
    with np.load(io.BytesIO(data), allow_pickle=False) as saved:
        return {name: saved[name] for name in saved.files}


def pack_weights(weights: Arrays) -> bytes:
    """A network's weights, in their order."""
    return pack({str(n): array for n, array in enumerate(weights)})


def unpack_weights(data: bytes) -> list[np.ndarray]:
    """The inverse of `pack_weights`."""
    return _numbered(unpack(data), "")


def _numbered(arrays: Mapping[str, np.ndarray], prefix: str) -> list[np.ndarray]:
    count = sum(name.startswith(prefix) for name in arrays)
    return [arrays[f"{prefix}{n}"] for n in range(count)]


def weights_digest(weights: Arrays) -> str:
    """SHA-256 over all weights' bytes: equal on two ranks exactly where every bit is."""
    digest = hashlib.sha256()
    for array in weights:
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
