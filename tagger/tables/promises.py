"""What rows promise beyond their columns' types: which are never null, which ranges hold, what fits together.

`docs/columns.md` says it to readers; here it is asked of rows before they are committed.
"""

import datetime
import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tagger.tables.schema import COLUMNS, FINAL_REASONS, REVIEW_REASONS, TRANSIENT_REASONS
from tagger.tables.units import Unit

Rows = npt.NDArray[np.bool_]

_RANGES: dict[str, tuple[float, float]] = {
    "size_bytes": (0, math.inf),
    "width": (1, math.inf),
    "height": (1, math.inf),
    "type_confidence": (0, 1),
    "color_confidence": (0, 1),
    "cam_on_product": (0, 1),
    "focus": (-math.inf, 1),
    "cam_lift": (0, math.inf),
    "product_area": (0, 1),
    "flip_probability_change": (-1, 1),
    "foreground_area": (0, 1),
    "mask_quality": (0, 1),
    "risk": (0, 1),
    "audit_probability": (0, 1),
}
_ROUNDING = 1e-5
"""Sums of float32 that are 1 on paper."""

_BYTES = {"color_cam": 64, "type_cam": 64, "product_mask": 128}
_REJECT_REASONS = [*FINAL_REASONS, *TRANSIENT_REASONS]


@dataclass(frozen=True)
class Expected:
    """What the rows of one run have in common. classes: attribute -> the bundle's names; empty where unknown."""

    run_id: str
    date: datetime.date
    classes: Mapping[str, Sequence[str]] = field(default_factory=dict)


class Broken(NamedTuple):
    """A promise that some rows of a unit break. rows: how many; first: the image key of one."""

    promise: str
    rows: int
    first: str | None


def broken_promises(unit: Unit, expected: Expected) -> list[Broken]:
    """Every promise that a row of the unit breaks, with numbers; none for good rows."""
    found = [*_of_tags(unit.tags, expected), *_of_rejects(unit.rejects, expected)]
    return [broken for broken in found if broken.rows]


def _of_tags(tags: pa.Table, expected: Expected) -> Iterator[Broken]:
    yield from _common("tags", tags, expected)
    for attribute in ("type", "color"):
        yield from _ranked(tags, attribute, expected.classes.get(attribute))
    has_one = _is_null(tags, "focus") != _is_null(tags, "focus_null_reason")
    yield _told(tags, "exactly one of focus and focus_null_reason is null", ~has_one)
    for name, size in _BYTES.items():
        yield _told(tags, f"{name} has {size} bytes", _mask(pc.not_equal(pc.binary_length(tags[name]), size)))
    yield _rows(tags, "dominant_rgb is three values in 0..255", map(_is_rgb, tags["dominant_rgb"].to_pylist()))
    needs, reasons = tags["needs_review"].to_pylist(), tags["review_reasons"].to_pylist()
    yield _rows(tags, "needs_review tells whether review_reasons holds a known one", map(_is_reason, needs, reasons))


def _of_rejects(rejects: pa.Table, expected: Expected) -> Iterator[Broken]:
    yield from _common("rejects", rejects, expected)
    yield _told(rejects, "rejects.reason is known", _is_other(rejects, "reason", _REJECT_REASONS))


def _common(name: str, rows: pa.Table, expected: Expected) -> Iterator[Broken]:
    """What both tables promise: this run, no null where none may be, numbers within their ranges."""
    yield _told(rows, f"{name}.run_id is {expected.run_id}", _is_other(rows, "run_id", [expected.run_id]))
    yield _told(rows, f"{name}.date is {expected.date}", _is_other(rows, "date", [expected.date]))
    for column in COLUMNS[name]:
        if not column.null_when:
            yield _told(rows, f"{name}.{column.name} is never null", _is_null(rows, column.name))
        if column.name in _RANGES:
            low, high = _RANGES[column.name]
            promise = f"{name}.{column.name} is a number in [{low:g}, {high:g}]"
            yield _told(rows, promise, _is_outside(rows, column.name))


def _ranked(tags: pa.Table, attribute: str, classes: Sequence[str] | None) -> Iterator[Broken]:
    """The label, its confidence and the three most probable fit together, and are the bundle's."""
    if classes is not None:
        yield _told(tags, f"{attribute} is a class of the bundle", _is_other(tags, attribute, classes))
    columns = (tags[name].to_pylist() for name in (attribute, f"{attribute}_confidence", f"{attribute}_top3"))
    are_ranked = [_is_ranking(label, p, top, classes) for label, p, top in zip(*columns, strict=True)]
    promise = (
        f"{attribute}_top3 holds different classes by falling probability, from {attribute} and {attribute}_confidence"
    )
    yield _rows(tags, promise, are_ranked)


def _is_ranking(
    label: str | None, confidence: float | None, top: list[dict[str, Any]] | None, classes: Sequence[str] | None
) -> bool:
    """Null passes: that none is null is another promise."""
    if top is None or label is None or confidence is None:
        return True
    labels, chances = [each["label"] for each in top], [each["p"] for each in top]
    if not top or None in chances or labels[0] != label or len(set(labels)) < len(labels):
        return False
    if classes is not None and (len(top) != min(3, len(classes)) or not set(labels) <= set(classes)):
        return False
    is_sorted = all(a >= b - _ROUNDING for a, b in itertools.pairwise(chances))
    is_within = chances[-1] >= -_ROUNDING and sum(chances) <= 1 + _ROUNDING
    return is_sorted and is_within and abs(chances[0] - confidence) <= _ROUNDING


def _is_rgb(values: list[int | None] | None) -> bool:
    return values is None or (len(values) == 3 and all(v is not None and 0 <= v <= 255 for v in values))


def _is_reason(needs_review: bool | None, reasons: list[str] | None) -> bool:
    return reasons is None or (needs_review in (None, bool(reasons)) and set(reasons) <= set(REVIEW_REASONS))


def _is_null(rows: pa.Table, name: str) -> Rows:
    return _mask(rows[name].is_null())


def _is_other(rows: pa.Table, name: str, allowed: Sequence[Any]) -> Rows:
    """Not null, and none of the allowed values."""
    known = pc.is_in(rows[name], value_set=pa.array(allowed, rows.schema.field(name).type))
    return _mask(pc.and_(rows[name].is_valid(), pc.invert(known)))


def _is_outside(rows: pa.Table, name: str) -> Rows:
    """Not null, and no finite number of the column's range."""
    low, high = _RANGES[name]
    values = rows[name].to_numpy().astype(np.float64)
    is_good: Rows = np.isfinite(values) & (values >= low - _ROUNDING) & (values <= high + _ROUNDING)
    return ~is_good & ~_is_null(rows, name)


def _mask(values: pa.ChunkedArray) -> Rows:
    return np.asarray(pc.fill_null(values, False).to_numpy(), np.bool_)


def _rows(rows: pa.Table, promise: str, is_kept: Iterable[bool]) -> Broken:
    return _told(rows, promise, ~np.fromiter(is_kept, np.bool_, len(rows)))


def _told(rows: pa.Table, promise: str, is_broken: Rows) -> Broken:
    count = int(is_broken.sum())
    return Broken(promise, count, rows["image_key"][int(is_broken.argmax())].as_py() if count else None)
