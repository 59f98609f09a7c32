"""A training's state as one folder of two files: arrays, and what they are, with the digest of both.

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

_ARRAYS, _FACTS, _DIGEST = "arrays.npz", "state.json", "sha256"

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
    (folder / _FACTS).write_text(json.dumps(facts | {_DIGEST: _digest(arrays, facts)}))


def read_state(folder: Path) -> State | None:
    """The state of a folder; None, with a warning, where a file is missing or damaged, or another version wrote it."""
    try:
        facts = json.loads((folder / _FACTS).read_text())
        arrays = (folder / _ARRAYS).read_bytes()
        if not isinstance(facts, dict) or facts.pop(_DIGEST, None) != _digest(arrays, facts):
            raise ValueError("not as it was written, or of another version")
        return _state(facts, unpack(arrays))
    except (OSError, ValueError, KeyError, TypeError) as error:
        logger.warning("The checkpoint %s cannot be used (%s); one before it is looked for.", folder, error)
        return None


def _state(facts: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> State:
    groups = {group: _numbered(arrays, f"{group}/") for group in _GROUPS}
    known: dict[str, Any] = {**facts, "sums": tuple(facts["sums"]), **groups}
    return State(**known)


def _digest(arrays: bytes, facts: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode() + arrays).hexdigest()


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
    """A network's weights, in their order. ValueError where there are none."""
    if not weights:
        raise ValueError("There are no weights to pack.")
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
