"""The share of right answers to expect of a night that nobody has labelled."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

_NORMAL_95 = 1.96


@dataclass(frozen=True)
class ExpectedAccuracy:
    """estimate: in [0, 1]. margin: half the width of its 95 % interval."""

    estimate: float
    margin: float


@dataclass
class ConfidenceSum:
    """What an estimate needs of a night's calibrated confidences p: their number, sum, and sum of p (1 - p)."""

    items: int = 0
    total: float = 0.0
    variance: float = 0.0

    def add(self, confidences: npt.NDArray[np.floating]) -> None:
        """Count a batch (N,) in [0, 1]."""
        values = np.asarray(confidences, np.float64)
        self.items += len(values)
        self.total += float(values.sum())
        self.variance += float((values * (1 - values)).sum())


def expected_accuracy(confidences: ConfidenceSum, calibrated_on: int) -> ExpectedAccuracy | None:
    """The mean calibrated confidence, which is the accuracy where confidences mean what they say; None for no photo.

    calibrated_on: labelled photos behind the calibration; 0 where that is not known. The interval holds the chance in
    tonight's answers, each right with its own probability, and the chance in those labelled photos. It does not hold
    the assumption: that a photo of confidence p is right with probability p tonight as it was then. The assumption
    survives another mix of easy and hard photos; it breaks for photos unlike any that the networks learned from, on
    which confidences are usually too high.
    Sources: Guillory et al. 2021, Predicting with Confidence on Unseen Distributions (average confidence); NannyML,
    Confidence-based Performance Estimation, for its sampling error.
    """
    if not confidences.items:
        return None
    mean = confidences.total / confidences.items
    variance = confidences.variance / confidences.items**2
    if calibrated_on:
        variance += mean * (1 - mean) / calibrated_on
    return ExpectedAccuracy(mean, _NORMAL_95 * float(np.sqrt(variance)))
