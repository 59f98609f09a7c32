"""The second operator: pictures through the networks, a photo on which they fail put aside."""

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tagger.tables.schema import TAGS

Pixels: TypeAlias = npt.NDArray[np.uint8]

INFERENCE_ERRORS = (RuntimeError, ValueError, ArithmeticError, MemoryError)
"""What an engine raises on pictures it cannot answer for; anything else is a bug and ends the run."""

LOGIT_RESIDUAL = "logit_residual"
"""Beside the columns, a Tagger may answer the largest |logit - mean of its map| of the batch: the run's self-check."""


class TaggerLike(Protocol):
    """What the pipeline needs of a Tagger."""

    def tag(self, pixels: Pixels, image_keys: Sequence[str], run_date: datetime.date) -> Mapping[str, Any]:
        """(B, H, W, 3) uint8 and the keys of its pictures -> columns of `tags` by name, each of length B.

        NaN is null in the table. `logit_residual`, where given, is one number.
        """


@dataclass(frozen=True)
class Batch:
    """Pictures of one run. pixels: (N, H, W, 3) uint8, N may be 0. image_keys: N keys."""

    pixels: Pixels
    image_keys: Sequence[str]
    run_date: datetime.date

    def part(self, at: range) -> "Batch":
        """The pictures at consecutive places."""
        return Batch(self.pixels[at.start : at.stop], self.image_keys[at.start : at.stop], self.run_date)


@dataclass(frozen=True)
class Inferred:
    """answers: columns of `tags`, one row for each picture whose index is in `kept`. failed: index -> detail."""

    answers: pa.Table
    kept: tuple[int, ...]
    failed: Mapping[int, str]
    max_logit_residual: float | None


def infer(tagger: TaggerLike, pictures: Batch, batch_size: int) -> Inferred:
    """Answers for all pictures, `batch_size` at a time.

    A batch that fails is taken apart, so that the pictures at fault are known. RuntimeError where every picture fails
    and a plain grey one as well: then the engine is at fault, and no photo.
    """
    parts: list[_Answer] = []
    failed: dict[int, str] = {}
    total = len(pictures.image_keys)
    for start in range(0, total, batch_size):
        parts += _answers(tagger, pictures, range(start, min(start + batch_size, total)), failed)
    if failed and len(failed) == total:
        _check_engine(tagger, pictures)
    answers = pa.concat_tables([part.columns for part in parts]) if parts else pa.table({})
    residuals = [part.logit_residual for part in parts if part.logit_residual is not None]
    return Inferred(answers, tuple(n for part in parts for n in part.at), failed, max(residuals, default=None))


def _check_engine(tagger: TaggerLike, pictures: Batch) -> None:
    grey = np.full_like(pictures.pixels[:1], 128)
    try:
        tagger.tag(grey, ["a plain grey picture"], pictures.run_date)
    except INFERENCE_ERRORS as error:
        raise RuntimeError(f"Inference fails on every picture, and on a plain grey one: {error}") from error


@dataclass(frozen=True)
class _Answer:
    at: range
    columns: pa.Table
    logit_residual: float | None


def _answers(tagger: TaggerLike, pictures: Batch, at: range, failed: dict[int, str]) -> list[_Answer]:
    """Answers for the pictures at these places; one by one where together they fail, the failed ones told."""
    part = pictures.part(at)
    try:
        columns = dict(tagger.tag(part.pixels, part.image_keys, part.run_date))
    except INFERENCE_ERRORS as error:
        if len(at) > 1:
            return [answer for n in at for answer in _answers(tagger, pictures, range(n, n + 1), failed)]
        failed[at.start] = f"{type(error).__name__}: {error}"
        return []
    residual = columns.pop(LOGIT_RESIDUAL, None)
    table = pa.table({name: _array(name, values) for name, values in columns.items()})
    if len(table) != len(at):
        raise AssertionError(f"the Tagger answered {len(table)} rows for {len(at)} pictures")
    return [_Answer(at, table, None if residual is None else float(residual))]


def _array(name: str, values: Any) -> pa.Array:
    """A column in its type in the table. KeyError for a column that the table lacks."""
    rows = list(values) if isinstance(values, np.ndarray) and values.ndim > 1 else values
    return pa.array(rows, TAGS.field(name).type, from_pandas=True)
