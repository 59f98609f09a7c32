"""A share of tonight's photos against the same share on recent nights, or against a limit."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import binomtest

from tagger.drift.compare import LEAST_ITEMS, LEAST_NIGHTS

LARGEST_DEVIATION = 3.5
"""Standard deviations beyond which a share is unusual. Source: Iglewicz and Hoaglin 1993, How to Detect and Handle
Outliers, for deviations from a median."""
LEAST_SPREAD = 0.01
"""Spread of a share between nights that is taken for granted: no shop is steadier."""


@dataclass(frozen=True)
class Share:
    """count of items photos."""

    count: int
    items: int

    @property
    def value(self) -> float:
        """In [0, 1]; NaN for no photo."""
        return self.count / self.items if self.items else float("nan")


def is_above(share: Share, limit: float) -> bool:
    """Whether the share is so far above the limit that chance alone does not explain it: one bad photo of three says
    little of the night.

    So it is where the whole 95 % interval lies above the limit. A limit of 0 is passed by a single photo, one of 1 by
    none. Source: Clopper and Pearson 1934, The Use of Confidence or Fiducial Limits, Biometrika 26.
    """
    if share.items == 0:
        return False
    interval = binomtest(share.count, share.items).proportion_ci(confidence_level=0.95, method="exact")
    return bool(interval.low > limit)


def comparable(nights: Sequence[Share]) -> list[Share]:
    """Nights of at least LEAST_ITEMS photos."""
    return [night for night in nights if night.items >= LEAST_ITEMS]


def usual_share(nights: Sequence[Share]) -> float:
    """The median of the nights' shares."""
    return float(np.median([night.value for night in nights]))


def deviation(tonight: Share, nights: Sequence[Share]) -> float | None:
    """How far tonight's share lies from the nights' median, in standard deviations, with its sign.

    The variance is the nights' own (median absolute deviation, scaled for a normal distribution), that of a binomial
    count tonight, and LEAST_SPREAD squared. Nights of fewer than LEAST_ITEMS photos do not count; None where tonight is
    one, or where fewer than LEAST_NIGHTS remain. Source of the scaled deviation: Leys et al. 2013, Journal of
    Experimental Social Psychology 49.
    """
    known = comparable(nights)
    if tonight.items < LEAST_ITEMS or len(known) < LEAST_NIGHTS:
        return None
    median = usual_share(known)
    spread = 1.4826 * float(np.median([abs(night.value - median) for night in known]))
    variance = spread**2 + median * (1 - median) / tonight.items + LEAST_SPREAD**2
    return (tonight.value - median) / float(np.sqrt(variance))
