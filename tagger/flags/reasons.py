"""Signals of an item and the bundle's thresholds -> the ordered list of reasons why a person should look at it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import date
from hashlib import blake2b
from typing import Any

import numpy as np

from tagger.errors import BundleError

# In this order where two reasons are equally far beyond their thresholds: nothing goes before a confirmed `low_focus`.
REASONS = (
    "low_focus",
    "low_type_confidence",
    "low_color_confidence",
    "color_disagrees",
    "out_of_scope",
    "mask_uncertain",
    "audit",
)


# Stands for NaN everywhere, whose length is only known with the other signals.
_UNKNOWN: Any = None
# What is left of how far `low_focus` is beyond its threshold where repainting the background changed nothing.
_LEFT_AFTER_NO_FLIP = 0.5


@dataclass(frozen=True)
class Signals:
    """What is known about a batch, each (N,) float. NaN: not known; so is a signal that is left out.

    type_confidence, color_confidence  calibrated, in [0, 1]; NaN counts as below any threshold
    focus                              share of the attainable, at most 1; NaN where it is null
    mask_quality                       estimated IoU of the product mask, in [0, 1]; NaN counts as below any threshold
    color_distance                     of the color tag from the product's pixels, in spreads (`color_distance.py`)
    scope_score                        higher is less like the trained types, one unit a clear step
    audit_draw                         in [0, 1), from `audit_draws`
    color_margin                       first less second calibrated probability, in [0, 1]
    color_entropy                      of the calibrated probabilities, in nats, at least 0
    color_logit_norm                   Euclidean, of the logits less their mean, at least 0
    cam_lift                           share of the evidence on the product by the product's area, at least 0
    map_agreement                      what the type map and the color map have in common, in [0, 1]
    background_flip                    1 where repainting the background changed the color tag, 0 where it did not
    """

    type_confidence: np.ndarray
    color_confidence: np.ndarray
    focus: np.ndarray
    mask_quality: np.ndarray
    color_distance: np.ndarray
    scope_score: np.ndarray
    audit_draw: np.ndarray
    color_margin: np.ndarray = _UNKNOWN
    color_entropy: np.ndarray = _UNKNOWN
    color_logit_norm: np.ndarray = _UNKNOWN
    cam_lift: np.ndarray = _UNKNOWN
    map_agreement: np.ndarray = _UNKNOWN
    background_flip: np.ndarray = _UNKNOWN

    def __post_init__(self) -> None:
        for field in fields(self):
            if getattr(self, field.name) is _UNKNOWN:
                object.__setattr__(self, field.name, np.full(self.type_confidence.shape, np.nan))
        shapes = {field.name: getattr(self, field.name).shape for field in fields(self)}
        if len(set(shapes.values())) > 1 or len(self.type_confidence.shape) != 1:
            raise ValueError(f"Signals must be arrays of one length. Received: {shapes}")

    def __len__(self) -> int:
        return len(self.type_confidence)

    def part(self, chosen: np.ndarray) -> "Signals":
        """The items that `chosen` names, indices or (N,) bool."""
        return Signals(**{field.name: getattr(self, field.name)[chosen] for field in fields(self)})


@dataclass(frozen=True)
class Thresholds:
    """Where each reason begins; None: the reason never applies. Kept in the bundle.

    Below: type_confidence, color_confidence, focus, mask_quality. Above: color_distance, out_of_scope_score.
    audit_share: probability in [0, 1] that an item is looked at whatever its signals say.
    """

    type_confidence: float | None = None
    color_confidence: float | None = None
    focus: float | None = None
    mask_quality: float | None = None
    color_distance: float | None = None
    out_of_scope_score: float | None = None
    audit_share: float = 0.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            is_ratio = field.name in {"type_confidence", "color_confidence", "mask_quality", "audit_share"}
            allowed = (0.0, 1.0) if is_ratio else (-np.inf, np.inf)
            if value is None and field.name != "audit_share":
                continue
            if not isinstance(value, int | float) or not np.isfinite(value) or not allowed[0] <= value <= allowed[1]:
                raise BundleError(f"Threshold {field.name} must be a number in {list(allowed)}. Received: {value!r}")

    def to_dict(self) -> dict[str, float | None]:
        """Ready for JSON; the inverse of `from_dict`."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Thresholds":
        """BundleError where a threshold is missing, unknown or out of its range."""
        known = {field.name for field in fields(cls)}
        if set(data) != known:
            raise BundleError(
                f"Thresholds must have the keys {sorted(known)}. Received: {sorted(data)}. Train the bundle again."
            )
        return cls(**data)


def audit_draws(image_keys: Sequence[str], run_date: date) -> np.ndarray:
    """(N,) float64 in [0, 1), a hash of key and night: a run done again draws the same items."""
    return np.array([_audit_draw(key, run_date) for key in image_keys], dtype=np.float64)


def excesses(signals: Signals, thresholds: Thresholds) -> dict[str, np.ndarray]:
    """By reason, (N,) float64: how far beyond its threshold, in [0, 1]; NaN where the reason does not apply.

    For what must not be low it is the missing share of the threshold; for what must not be high, d / (1 + d) with d the
    distance from the threshold in the signal's own unit. `low_focus` needs a mask that is believed; a color that
    changed with the background confirms it (1), one that did not halves it.
    """
    mask_shortfall = _shortfall(signals.mask_quality, thresholds.mask_quality)
    is_focus_believed = np.isnan(mask_shortfall) & ~np.isnan(signals.focus)
    return {
        "low_focus": np.where(is_focus_believed, _low_focus(signals, thresholds.focus), np.nan),
        "low_type_confidence": _shortfall(signals.type_confidence, thresholds.type_confidence),
        "low_color_confidence": _shortfall(signals.color_confidence, thresholds.color_confidence),
        "color_disagrees": _surplus(signals.color_distance, thresholds.color_distance),
        "out_of_scope": _surplus(signals.scope_score, thresholds.out_of_scope_score),
        "mask_uncertain": mask_shortfall,
        "audit": np.where(signals.audit_draw < thresholds.audit_share, 0.0, np.nan),
    }


def review_reasons(signals: Signals, thresholds: Thresholds) -> list[list[str]]:
    """For each item the reasons to look at it, the one furthest beyond its threshold first, `audit` last; often none.

    A `low_focus` that repainting confirmed goes before all. A stricter threshold never removes an item from review. It
    never removes a reason either, but for mask_quality: there `low_focus` gives way to `mask_uncertain`, since a focus
    on a doubtful mask says nothing.
    """
    by_reason = excesses(signals, thresholds)
    table = np.stack([by_reason[reason] for reason in REASONS], axis=1)
    order = np.argsort(-table, axis=1, kind="stable")
    return [
        [REASONS[column] for column in columns if not np.isnan(row[column])]
        for row, columns in zip(table, order, strict=True)
    ]


def _audit_draw(image_key: str, run_date: date) -> float:
    text = f"tagger audit 1\0{run_date.isoformat()}\0{image_key}"
    digest = blake2b(text.encode(errors="surrogatepass"), digest_size=8).digest()
    return (int.from_bytes(digest, "big") >> 11) / 2**53


def _low_focus(signals: Signals, threshold: float | None) -> np.ndarray:
    shortfall = _shortfall(signals.focus, threshold)
    # NaN, where focus is not low at all, stays NaN: a flip alone is no low focus.
    confirmed = np.where(signals.background_flip == 1, np.maximum(shortfall, 1.0), shortfall)
    return np.where(signals.background_flip == 0, shortfall * _LEFT_AFTER_NO_FLIP, confirmed)


def _shortfall(values: np.ndarray, threshold: float | None) -> np.ndarray:
    """The missing share of the threshold where a value is below it; NaN values are below by all of it."""
    if threshold is None:
        return np.full(len(values), np.nan)
    # In float64, for a threshold may lie between two neighbouring float32 values.
    exact = np.asarray(values, dtype=np.float64)
    share = (threshold - exact) / (threshold if threshold > 0 else 1.0)
    return np.where(exact >= threshold, np.nan, np.nan_to_num(np.clip(share, 0.0, 1.0), nan=1.0))


def _surplus(values: np.ndarray, threshold: float | None) -> np.ndarray:
    """d / (1 + d) where a value is above the threshold by d; NaN values are not above it."""
    if threshold is None:
        return np.full(len(values), np.nan)
    # Infinity over infinity is undefined; from here on the share is 1 to the last digit anyway.
    beyond = np.minimum(np.asarray(values, dtype=np.float64) - threshold, 1e16)
    is_above = beyond > 0
    return np.where(is_above, beyond / np.where(is_above, 1.0 + beyond, 1.0), np.nan)
