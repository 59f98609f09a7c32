"""From labelled items to what decides about review: thresholds, promises, and the risk model if it is worth having.

Fitted on the `calibrate` items, where groups left out say whether the risk model is used; figures from `report`.
"""

import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tagger.config import FocusConfig, ReviewConfig
from tagger.evaluation.risk_fit import RiskComparison, compare_with_confidence, fit_risk_model, left_out_probability
from tagger.flags.reasons import Signals, Thresholds
from tagger.flags.risk import RiskModel
from tagger.flags.thresholds import (
    Promise,
    by_budget,
    by_precision,
    fixed_thresholds,
    flagged_by_any,
    flagged_share,
    shares_by_reason,
)

logger = logging.getLogger(__name__)

MEASURED = ("flagged_share", "passing_type_precision", "passing_color_precision")
"""The names of the figures on the `report` items: a bundle holds them only where its own thresholds were measured."""


@dataclass(frozen=True)
class JudgedItems:
    """Items whose truth is known. wrong: attribute -> (N,) bool, the tag is not the label. groups: (N,)."""

    signals: Signals
    wrong: Mapping[str, npt.NDArray[np.bool_]]
    groups: npt.NDArray[Any]

    def __len__(self) -> int:
        return len(self.groups)

    def part(self, chosen: npt.NDArray[np.bool_]) -> "JudgedItems":
        """The items that (N,) bool `chosen` names."""
        return JudgedItems(
            self.signals.part(chosen), {name: each[chosen] for name, each in self.wrong.items()}, self.groups[chosen]
        )


@dataclass(frozen=True)
class ReviewFit:
    """What decides about review. promises: attribute -> promise, where a precision was asked for. risk_model: None
    unless it beats confidence alone in `comparison`, which is None where none could be fitted or measured.
    shares: reason -> share of the `calibrate` items; flagged_share: with any reason, `audit` as expected.
    measured: the same share of the `report` items, and which part of the tags that pass is right; None without them."""

    thresholds: Thresholds
    promises: Mapping[str, Promise]
    risk_model: RiskModel | None
    comparison: RiskComparison | None
    shares: Mapping[str, float]
    flagged_share: float
    measured: Mapping[str, float | None] | None

    def metrics(self) -> dict[str, Any]:
        """The figures that a bundle keeps."""
        return {
            "promises": {name: asdict(promise) for name, promise in self.promises.items()},
            "risk_model": self.comparison.to_dict() if self.comparison else None,
            "calibrate_shares_by_reason": dict(self.shares),
            **(self.measured or {}),
        }


def fit_review(
    calibrate: JudgedItems,
    report: JudgedItems | None,
    review: ReviewConfig,
    focus: FocusConfig,
    rng: np.random.Generator,
) -> ReviewFit:
    """Thresholds by budget or promise, and the risk model, from `calibrate`; `report` is only measured."""
    signals = calibrate.signals
    fixed = fixed_thresholds(signals, focus.low, focus.least_mask_quality, review.scope_share)
    thresholds = by_budget(signals, review.flagged_share, review.audit_share, fixed)
    promises = _promises(calibrate, thresholds, review)
    if promises:
        thresholds = replace(_promised(thresholds, promises), audit_share=review.audit_share)
    model, comparison = _risk_model(calibrate, rng)
    return ReviewFit(
        thresholds,
        promises,
        model,
        comparison,
        shares_by_reason(signals, thresholds),
        flagged_share(signals, thresholds),
        _measured(report, thresholds) if report is not None else None,
    )


def _promises(items: JudgedItems, thresholds: Thresholds, review: ReviewConfig) -> dict[str, Promise]:
    """By attribute, on the items that no reason but a low confidence holds back: the promise is about what passes.

    Each attribute's promise holds at its own delta, so both together at the sum.
    """
    others = replace(thresholds, type_confidence=None, color_confidence=None)
    passing = items.part(~flagged_by_any(items.signals, others))
    confidence = {"type": passing.signals.type_confidence, "color": passing.signals.color_confidence}
    promises: dict[str, Promise] = {}
    for name, target in (review.target_precision or {}).items():
        promises[name] = by_precision(confidence[name], ~passing.wrong[name], passing.groups, target)
        level = logging.INFO if promises[name].is_met else logging.WARNING
        logger.log(level, "review.target_precision, %s: %s", name, promises[name].as_text())
    return promises


def _risk_model(items: JudgedItems, rng: np.random.Generator) -> tuple[RiskModel | None, RiskComparison | None]:
    """The model if it is worth having, and how it compares with confidence alone on groups it was not fitted on."""
    model = fit_risk_model(items.signals, items.wrong["color"], items.groups)
    if model is None:
        return None, None
    score = left_out_probability(items.signals, items.wrong["color"], items.groups)
    known = ~np.isnan(score)
    seen = items.part(known)
    comparison = compare_with_confidence(score[known], seen.signals, seen.wrong["color"], seen.groups, rng)
    logger.info("risk model: %s", comparison.as_text())
    return model if comparison.is_better else None, comparison


def _measured(items: JudgedItems, thresholds: Thresholds) -> dict[str, Any]:
    """By the names of MEASURED. Precision is null where nothing passes."""
    passing = items.part(~flagged_by_any(items.signals, thresholds))
    right = {name: float(1 - wrong.mean()) if len(wrong) else None for name, wrong in passing.wrong.items()}
    return dict(zip(MEASURED, (flagged_share(items.signals, thresholds), right["type"], right["color"]), strict=True))


def _promised(thresholds: Thresholds, promises: Mapping[str, Promise]) -> Thresholds:
    """The promises' thresholds; where a target is out of reach, the stricter of the budget's and the best tested."""
    found: dict[str, Any] = {}
    for name, promise in promises.items():
        by_share = getattr(thresholds, f"{name}_confidence")
        known = [threshold for threshold in (promise.threshold, by_share) if threshold is not None]
        found[f"{name}_confidence"] = promise.threshold if promise.is_met else max(known, default=None)
    return replace(thresholds, **found)
