"""Labels that are probably wrong, by confident learning, for a person to decide."""

import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

SUSPECT_COUNT = 60
"""Suspects of an attribute that are listed: what a person decides in a quarter of an hour."""


@dataclass(frozen=True)
class Suspect:
    """A label that is probably wrong. label, suggested: with their calibrated probabilities.

    quality: the label's probability, in [0, 1]; the lower, the more suspicious.
    """

    image_key: str
    label: str
    label_probability: float
    suggested: str
    suggested_probability: float
    quality: float


@dataclass(frozen=True)
class LabelNoise:
    """suspect_count of item_count labels look wrong. suspects: the most suspicious of them, the worst first."""

    item_count: int
    suspect_count: int
    suspects: tuple[Suspect, ...]

    @property
    def suspect_share(self) -> float:
        """In [0, 1]."""
        return self.suspect_count / self.item_count

    def to_dict(self) -> dict[str, Any]:
        """Plain lists, dicts and numbers."""
        return asdict(self) | {"suspect_share": self.suspect_share}


def label_noise(
    classes: Sequence[str],
    keys: Sequence[str],
    probabilities: npt.NDArray[np.floating],
    labels: npt.NDArray[np.integer],
    most: int = SUSPECT_COUNT,
) -> LabelNoise | None:
    """The labels of one attribute that are probably wrong; None where fewer than two classes have labels.

    classes: K names. keys: N image keys. probabilities: (N, K) calibrated, of networks that were not fitted on these
    items: a network repeats the wrong labels that it has learned. labels: (N,) int in [0, K).
    A weak network suspects right labels too: the count is of labels worth a look, not of errors.
    Source: Northcutt et al. 2021, Confident Learning (prune by noise rate), in cleanlab.
    """
    if len(np.unique(labels)) < 2:
        return None
    suspicious, quality = _cleanlab(np.asarray(labels), probabilities)
    rows = np.flatnonzero(suspicious)
    worst = rows[np.argsort(quality[rows], kind="stable")][:most]
    suspects = tuple(_suspect(classes, keys[row], probabilities[row], labels[row], quality[row]) for row in worst)
    return LabelNoise(len(labels), len(rows), suspects)


def _cleanlab(
    labels: npt.NDArray[np.integer], probabilities: npt.NDArray[np.floating]
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.floating]]:
    """(N,) whether a label is suspicious, and (N,) its quality."""
    # cleanlab takes seconds to import: readers of figures alone must not pay for it.
    from cleanlab.filter import find_label_issues
    from cleanlab.rank import get_label_quality_scores

    with warnings.catch_warnings():
        # It warns of each class with few labels, which the page of classes shows anyway.
        warnings.simplefilter("ignore", UserWarning)
        suspicious = find_label_issues(labels, probabilities, n_jobs=1)
    quality = get_label_quality_scores(labels, probabilities, method="self_confidence")
    return np.asarray(suspicious, bool), np.asarray(quality, np.float64)


def _suspect(
    classes: Sequence[str], key: str, probabilities: npt.NDArray[np.floating], label: int, quality: float
) -> Suspect:
    best = int(probabilities.argmax())
    return Suspect(
        key, classes[label], float(probabilities[label]), classes[best], float(probabilities[best]), float(quality)
    )
