"""How well a score finds the wrong tags: ranking, risk against coverage, flagged against passed, with intervals.

Every score here is higher for what is more likely wrong; a confidence goes in with its sign changed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

Array = npt.NDArray[np.floating]
Truth = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class FlagRates:
    """What a flag is worth. flagged_share: of all items. flagged_wrong, passed_wrong: share with a wrong tag among the
    flagged and among the others, each in [0, 1]; NaN where there is no such item."""

    flagged_share: float
    flagged_wrong: float
    passed_wrong: float


def auroc(score: Array, wrong: Truth) -> float:
    """Probability that a wrong item has a higher score than a right one, ties counting half.

    score: (N,) without NaN. wrong: (N,) bool. In [0, 1]; 0.5 is chance. NaN where all are right or all are wrong.
    From the rank sum (Mann and Whitney 1947): a tenth of the time of the area under a curve, of which intervals draw
    thousands.
    """
    wrong_count = int(np.count_nonzero(wrong))
    right_count = len(wrong) - wrong_count
    if not wrong_count or not right_count:
        return float("nan")
    beaten = rankdata(score)[wrong].sum() - wrong_count * (wrong_count + 1) / 2
    return float(beaten / (wrong_count * right_count))


def area_under_risk_coverage(score: Array, wrong: Truth) -> float:
    """Mean error rate of the k items of the lowest score, over k = 1 .. N; in [0, 1], lower is better.

    score: (N,) without NaN. wrong: (N,) bool. Items of equal score count as if shuffled, so that their order in the
    table changes nothing. NaN where N is 0. A score that says nothing has the error rate itself; even the best score is
    above 0 where anything is wrong.
    Source: Geifman and El-Yaniv 2017 (risk-coverage curve); Geifman et al. 2019 for its area.
    """
    if not len(score):
        return float("nan")
    values, place, counts = np.unique(score, return_inverse=True, return_counts=True)
    tied = (np.bincount(place, weights=wrong, minlength=len(values)) / counts)[np.sort(place)]
    return float(np.mean(np.cumsum(tied) / np.arange(1, len(tied) + 1)))


def flagged_error_rates(flagged: Truth, wrong: Truth) -> FlagRates:
    """Error rates among the flagged and among the others. flagged, wrong: (N,) bool."""
    return FlagRates(_share(flagged), _share(wrong[flagged]), _share(wrong[~flagged]))


def bootstrap_by_group(
    statistic: Callable[[npt.NDArray[np.integer]], float],
    groups: npt.NDArray[Any],
    rng: np.random.Generator,
    draws: int = 1000,
) -> tuple[float, float]:
    """The 95 % percentile interval of a statistic, with whole groups of near duplicates drawn again.

    statistic: rows, with repetitions, -> number; for a difference of two scores it computes both on the same rows.
    groups: (N,). Draws in which the statistic is NaN are left out; (NaN, NaN) where it always is.
    """
    number_of = np.unique(groups, return_inverse=True)[1]
    order = np.argsort(number_of, kind="stable")
    rows_of = np.split(order, np.cumsum(np.bincount(number_of))[:-1])
    chosen = (rng.integers(0, len(rows_of), len(rows_of)) for _ in range(draws))
    values = np.array([statistic(np.concatenate([rows_of[group] for group in drawn])) for drawn in chosen])
    known = values[~np.isnan(values)]
    low, high = np.quantile(known, [0.025, 0.975]) if len(known) else (np.nan, np.nan)
    return float(low), float(high)


def _share(values: Truth) -> float:
    return float(values.mean()) if len(values) else float("nan")
