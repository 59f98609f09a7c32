"""What stands behind an attribute's figures: curves, frequent confusions, and photos of each class to look at."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tagger.evaluation.metrics import Evaluation
from tagger.evaluation.selective import area_under_risk_coverage

Array = npt.NDArray[np.floating]
Numbers = npt.NDArray[np.integer]

_BINS = 15
_CURVE_POINTS = 100
_PAIRS = 20
_ERRORS, _RIGHT = 4, 2
"""Photos of a class on a page: few, so that the page stays small."""


@dataclass(frozen=True)
class ReliabilityBin:
    """Items with a confidence in (low, high]. confidence, accuracy: their means, in [0, 1]; None without items."""

    low: float
    high: float
    item_count: int
    confidence: float | None
    accuracy: float | None


@dataclass(frozen=True)
class RiskCoverage:
    """area: mean error rate over all coverages. coverage, risk: the curve, at most 101 places, coverage rising to 1."""

    area: float
    coverage: tuple[float, ...]
    risk: tuple[float, ...]


@dataclass(frozen=True)
class ConfusedPair:
    """`item_count` items with this label are predicted as something else: that share of all items with the label."""

    label: str
    predicted: str
    item_count: int
    share_of_label: float


@dataclass(frozen=True)
class Example:
    """One photo, its answer, and the calibrated confidence of it."""

    image_key: str
    predicted: str
    confidence: float


@dataclass(frozen=True)
class ClassExamples:
    """Of the items with one label: the most confident errors, and the most confident right answers."""

    errors: tuple[Example, ...]
    right: tuple[Example, ...]


@dataclass(frozen=True)
class Detail:
    """All of it, for one attribute. calibration_error_before: of the plain softmax, before the temperature.

    reliability: 15 bins of equal width, those of the calibration error. examples: class -> photos, classes with labels
    alone, in the order of the label space.
    """

    calibration_error_before: float
    reliability: tuple[ReliabilityBin, ...]
    risk_coverage: RiskCoverage
    confused_pairs: tuple[ConfusedPair, ...]
    examples: Mapping[str, ClassExamples]

    def to_dict(self) -> dict[str, Any]:
        """Plain lists, dicts and numbers."""
        return asdict(self)


def reliability(confidence: Array, right: npt.NDArray[np.bool_]) -> tuple[ReliabilityBin, ...]:
    """How often answers of a confidence are right, by 15 bins of equal width. confidence, right: (N,).

    Source: Guo et al. 2017 (reliability diagram), with the bins of its expected calibration error.
    """
    edges = np.linspace(0, 1, _BINS + 1)
    bin_of = np.clip(np.ceil(confidence * _BINS).astype(int) - 1, 0, _BINS - 1)
    members = [np.flatnonzero(bin_of == number) for number in range(_BINS)]
    return tuple(
        ReliabilityBin(
            float(edges[number]),
            float(edges[number + 1]),
            len(rows),
            float(confidence[rows].mean()) if len(rows) else None,
            float(right[rows].mean()) if len(rows) else None,
        )
        for number, rows in enumerate(members)
    )


def risk_coverage(confidence: Array, wrong: npt.NDArray[np.bool_]) -> RiskCoverage:
    """Error rate of the surest k items over the share k / N of all. confidence, wrong: (N,), N at least 1.

    Items of equal confidence count as if shuffled. Source: Geifman and El-Yaniv 2017.
    """
    values, place, counts = np.unique(-confidence, return_inverse=True, return_counts=True)
    tied = (np.bincount(place, weights=wrong, minlength=len(values)) / counts)[np.sort(place)]
    errors = np.cumsum(tied) / np.arange(1, len(tied) + 1)
    shown = np.unique(np.linspace(1, len(tied), min(_CURVE_POINTS + 1, len(tied))).round().astype(int))
    coverage, risk = (shown / len(tied)).tolist(), errors[shown - 1].tolist()
    return RiskCoverage(area_under_risk_coverage(-confidence, wrong), tuple(coverage), tuple(risk))


def confused_pairs(evaluation: Evaluation, most: int = _PAIRS) -> tuple[ConfusedPair, ...]:
    """The most frequent wrong answers, at most `most`, the most frequent first."""
    counts = np.array(evaluation.confusion)
    labelled = counts.sum(axis=1)
    np.fill_diagonal(counts, 0)
    order = np.argsort(-counts, axis=None, kind="stable")[:most]
    names = [result.name for result in evaluation.per_class]
    places = zip(*np.unravel_index(order, counts.shape), strict=True)
    found = ((label, other, counts[label, other]) for label, other in places)
    return tuple(
        ConfusedPair(names[label], names[other], int(count), float(count / labelled[label]))
        for label, other, count in found
        if count
    )


def class_examples(
    classes: Sequence[str], keys: Sequence[str], probabilities: Array, labels: Numbers
) -> dict[str, ClassExamples]:
    """Of each class with labels, its most confident errors and right answers; a tie goes to the item that comes first.

    keys: N image keys. probabilities: (N, K) calibrated. labels: (N,) int in [0, K).
    """
    predicted, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
    surest = np.argsort(-confidence, kind="stable")

    def shown(chosen: npt.NDArray[np.bool_], most: int) -> tuple[Example, ...]:
        rows = surest[chosen[surest]][:most]
        return tuple(Example(keys[row], classes[predicted[row]], float(confidence[row])) for row in rows)

    return {
        classes[label]: ClassExamples(
            shown((labels == label) & (predicted != label), _ERRORS),
            shown((labels == label) & (predicted == label), _RIGHT),
        )
        for label in np.unique(labels)
    }
