"""One number that orders the review queue: a fitted model of a wrong color, or the confidences and what objects."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tagger.errors import BundleError
from tagger.flags.reasons import Signals, Thresholds, excesses

# What is left of the chance to be right when a signal is as bad as it can be. Set by judgement, not fitted: focus sees
# confident answers that were read off the background, which confidence cannot see, so it must be able to lift them.
REMAINING_WITHOUT_FOCUS = 0.25
REMAINING_AT_ANOTHER_COLOR = 0.5

FEATURES = (
    "color_confidence",
    "color_margin",
    "color_entropy",
    "color_logit_norm",
    "type_confidence",
    "focus",
    "cam_lift",
    "mask_quality",
    "map_agreement",
    "color_distance",
)
"""What a risk model may read, in the columns' order of `risk_features`."""

_LEAST_CHANCE = 1e-6
_LEAST_LIFT = 1e-2
# An item further out than this many deviations is strange, not ever more certain.
_FURTHEST = 4.0


@dataclass(frozen=True)
class RiskModel:
    """Logistic regression on standardised signals: P(color tag wrong). Kept in the bundle.

    features: names out of FEATURES. means, scales (above 0), coefficients: one number a feature. A positive
    coefficient: the larger the feature, the likelier the color is wrong; they compare, as the features are
    standardised.
    """

    features: tuple[str, ...]
    means: tuple[float, ...]
    scales: tuple[float, ...]
    coefficients: tuple[float, ...]
    intercept: float

    def __post_init__(self) -> None:
        columns = (self.means, self.scales, self.coefficients)
        numbers = np.array([self.intercept, *self.means, *self.scales, *self.coefficients], dtype=np.float64)
        unknown = [name for name in self.features if name not in FEATURES]
        is_whole = all(len(column) == len(self.features) for column in columns) and np.isfinite(numbers).all()
        if unknown or not is_whole or min(self.scales, default=1.0) <= 0:
            raise BundleError(
                f"A risk model needs features out of {list(FEATURES)}, and a finite mean, a scale above 0 and a "
                f"coefficient for each. Received: {self!r}. Train the bundle again."
            )

    def probability(self, signals: Signals) -> np.ndarray:
        """P(color tag wrong), (N,) float64 in [0, 1]; a feature that is NaN counts as its mean."""
        values = risk_features(signals)[:, [FEATURES.index(name) for name in self.features]]
        standard = standardised(values, np.array(self.means), np.array(self.scales))
        score = standard @ np.array(self.coefficients) + self.intercept
        return np.asarray(1.0 / (1.0 + np.exp(-score)))

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON; the inverse of `from_dict`."""
        columns = zip(self.features, self.means, self.scales, self.coefficients, strict=True)
        features = {name: {"mean": m, "scale": s, "coefficient": c} for name, m, s, c in columns}
        return {"features": features, "intercept": self.intercept}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "RiskModel":
        """BundleError where a number is missing, not finite, or belongs to a feature that is not known."""
        try:
            entries = dict(data["features"])
            means, scales, coefficients = (
                tuple(float(entry[key]) for entry in entries.values()) for key in ("mean", "scale", "coefficient")
            )
            return cls(tuple(entries), means, scales, coefficients, float(data["intercept"]))
        except (KeyError, TypeError, ValueError) as error:
            raise BundleError(f"The bundle's risk model is damaged: {error!r}. Train the bundle again.") from error


def color_doubts(probabilities: np.ndarray, logits: np.ndarray) -> dict[str, np.ndarray]:
    """The signals of `Signals` that say how clear a color answer is: color_margin, color_entropy, color_logit_norm.

    probabilities: (N, K) calibrated, rows sum to 1. logits: (N, K) as the network gives them. Each (N,) float64.
    """
    ordered = -np.sort(-np.asarray(probabilities, dtype=np.float64), axis=1)
    second = ordered[:, 1] if ordered.shape[1] > 1 else 0.0
    centred = logits - logits.mean(axis=1, keepdims=True)
    return {
        "color_margin": ordered[:, 0] - second,
        "color_entropy": -(ordered * np.log(np.maximum(ordered, np.finfo(np.float64).tiny))).sum(axis=1),
        "color_logit_norm": np.linalg.norm(centred.astype(np.float64), axis=1),
    }


def risk_features(signals: Signals) -> np.ndarray:
    """(N, len(FEATURES)) float64, NaN unknown: confidences as log odds, the lift as its logarithm, others as is."""
    columns = [np.asarray(getattr(signals, name), dtype=np.float64) for name in FEATURES]
    changed = {"color_confidence": _log_odds, "type_confidence": _log_odds, "cam_lift": _log_lift}
    return np.stack([changed.get(name, np.asarray)(c) for name, c in zip(FEATURES, columns, strict=True)], axis=1)


def standardised(features: np.ndarray, means: np.ndarray, scales: np.ndarray) -> np.ndarray:
    """(N, F) float64 features in deviations from their means, at most 4 of them; the mean, 0, where NaN."""
    deviations = np.clip((features - means) / scales, -_FURTHEST, _FURTHEST)
    return np.asarray(np.nan_to_num(deviations, nan=0.0))


def risk(signals: Signals, thresholds: Thresholds, model: RiskModel | None = None) -> np.ndarray:
    """(N,) float64 in [0, 1]: 1 - P(type right) P(color right), the two taken as independent.

    P(type right) is the calibrated confidence; NaN confidence is risk 1. With a `model` P(color wrong) is the model's,
    and a color that changed with the background, which no model has seen, lowers what is left. Without one P(color
    right) is the calibrated confidence, lowered where focus or the product's pixels object: each objection multiplies
    by a factor that falls from 1 at its threshold, the lower the focus, the further the color.
    An order, not a probability: the factors are a judgement.
    """
    beyond = excesses(signals, thresholds)
    type_right = np.nan_to_num(np.asarray(signals.type_confidence, dtype=np.float64), nan=0.0)
    if model is None:
        color_right = np.nan_to_num(np.asarray(signals.color_confidence, dtype=np.float64), nan=0.0)
        objections = _remaining(beyond["low_focus"], REMAINING_WITHOUT_FOCUS)
        objections *= _remaining(beyond["color_disagrees"], REMAINING_AT_ANOTHER_COLOR)
    else:
        color_right = np.where(np.isnan(signals.color_confidence), 0.0, 1.0 - model.probability(signals))
        confirmed = np.where(signals.background_flip == 1, beyond["low_focus"], np.nan)
        objections = _remaining(confirmed, REMAINING_WITHOUT_FOCUS)
    return np.asarray(np.clip(1.0 - type_right * color_right * objections, 0.0, 1.0))


def _remaining(excess: np.ndarray, least: float) -> np.ndarray:
    return np.asarray(1.0 - (1.0 - least) * np.nan_to_num(excess, nan=0.0))


def _log_odds(chance: np.ndarray) -> np.ndarray:
    kept = np.clip(chance, _LEAST_CHANCE, 1 - _LEAST_CHANCE)
    return np.asarray(np.log(kept / (1 - kept)))


def _log_lift(lift: np.ndarray) -> np.ndarray:
    return np.asarray(np.log(np.maximum(lift, _LEAST_LIFT)))
